"""Predictions to values a sample and keypoint, and to scores; alignment by row; the mean shape."""
