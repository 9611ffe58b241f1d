"""Synthetic faces: a parametric head with 68 landmarks, painted, lit, turned and photographed."""
