"""Square crops around one instance: its stated box, widened to its labelled points."""

from __future__ import annotations

import numpy as np

from kpcore.tensors import UNLABELLED, Float64Array, FloatArray, StateArray

SMALLEST = 16.0
"""Pixels: no crop is smaller."""


def widened(box: Float64Array | None, points: FloatArray, state: StateArray) -> tuple[FloatArray, float]:
    """Return the middle (2,) and the longer side, px, of the box that holds the given one and all labelled points.

    Args:
        box: (4,) left, top, right, bottom, px; None where only the points tell.
        points: (K, D) px; at least one is labelled where there is no box.
        state: (K,).
    """
    flat = points[state != UNLABELLED, :2].astype(np.float64)
    corners = flat if box is None else np.concatenate([flat, box.reshape(2, 2)])
    low, high = corners.min(0), corners.max(0)
    return ((low + high) / 2).astype(np.float32), float((high - low).max())


def crop_side(longer: float, margin: float) -> float:
    """Return the crop's side, px: the box's longer side times the margin, but not below :data:`SMALLEST`."""
    return max(SMALLEST, margin * longer)


def holds_none(box: Float64Array, points: FloatArray | Float64Array, state: StateArray) -> bool:
    """Whether every labelled point lies outside a box, by more than a tenth of its sides: of another row, or unit.

    Args:
        box: (4,) left, top, right, bottom, in the points' unit.
        points: (K, D).
        state: (K,); False where nothing is labelled.
    """
    flat = np.asarray(points[state != UNLABELLED, :2], np.float64)
    low, high = box[:2], box[2:]
    slack = (high - low) / 10
    return bool(len(flat)) and bool(((flat < low - slack) | (flat > high + slack)).any(1).all())
