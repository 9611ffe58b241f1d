"""Facial landmarks: readers of published layouts, and synthetic faces."""
