"""Volumetric heatmaps with soft-argmax, for 3D keypoints."""
