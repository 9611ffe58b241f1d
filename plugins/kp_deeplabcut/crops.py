"""Crops and lengths of labelled animals, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kpcore.reading.images import image_size
from kpcore.tensors import Float64Array

SMALLEST = 32.0
"""The crop's side at least, px."""
LEAST = 1.0
"""A length to divide errors by, at least, px."""


def points_box(points: Float64Array, factor: float) -> tuple[Float64Array, float]:
    """Return centre (2,) and side of the labelled points' box, times the factor; (K, 2) points, any labelled."""
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    return (low + high) / 2, max(SMALLEST, factor * float((high - low).max()))


def image_box(path: Path) -> tuple[Float64Array, float]:
    """Return centre (2,) and side of the square around the whole image, of which only the header is read.

    Raises:
        KpError: there is no such image, or it cannot be read.
    """
    width, height = image_size(path)
    return np.array([(width - 1) / 2, (height - 1) / 2]), float(max(width, height))


def length_of(points: Float64Array, ends: Sequence[int] | None) -> float:
    """Return the distance between two points, or the diagonal of the labelled box; NaN where there is none."""
    if ends is not None:
        return float(np.linalg.norm(points[ends[0]] - points[ends[1]]))
    if not np.isfinite(points).any():
        return float("nan")
    return float(np.linalg.norm(np.nanmax(points, axis=0) - np.nanmin(points, axis=0)))
