"""Crops and lengths that a reader took from a person's points, taken anew where some of these are placeholders.

A reader does not know which points are none. What it drew around all of them is recognised by its numbers: the middle
and the extent of the points' box, or an edge just beyond the furthest point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, Float64Array, FloatArray

CLOSE = 0.01
"""Pixels within which numbers of one origin agree after float32."""
FLOOR = 32.0
"""Pixels: a crop that is drawn anew becomes no smaller, unless it was."""
WIDENED = 2.0
"""Pixels by which COCO's reader widens a crop beyond twice its furthest point; a whole picture's is 1 wider than that
to its corner, and is no such crop."""
USUAL = 1.25
"""Crop side over the points' extent where the reader's own factor cannot be seen."""


@dataclass(frozen=True)
class Crop:
    """Crop and length of a person, pixels.

    Args:
        centre: (2,).
        side: of the crop.
        normaliser: length that errors are divided by.
        normaliser_misled: whether that length ends at a placeholder, so that it cannot be told.
    """

    centre: FloatArray
    side: float
    normaliser: float
    normaliser_misled: bool = False


def redrawn(sample: Sample, dropped: npt.NDArray[np.bool_]) -> Crop:
    """Return crop and length without the dropped keypoints (K,); as they are where they do not hang on these."""
    labelled = sample.state != UNLABELLED
    given, left = (sample.points[mask, :2].astype(np.float64) for mask in (labelled, labelled & ~dropped))
    same = Crop(sample.centre, sample.side, sample.normaliser)
    if not dropped.any() or not len(left):
        return same
    centre, side = _box(sample, given, left)
    length = _length(sample.normaliser, given, left)
    misled = length is None and _ends_at(sample, dropped, labelled)
    return Crop(centre.astype(sample.centre.dtype), side, sample.normaliser if length is None else length, misled)


def _box(sample: Sample, given: Float64Array, left: Float64Array) -> tuple[Float64Array, float]:
    """Return centre and side: around what is left, where they were drawn around, or widened to, what was given."""
    centre = sample.centre.astype(np.float64)
    before, after = _extent(given), _extent(left)
    if np.allclose(_middle(given), centre, rtol=0, atol=CLOSE) and before > 0:
        return _middle(left), max(sample.side / before * after, min(FLOOR, sample.side))
    reach, remaining = (2 * float(np.abs(points - centre).max()) for points in (given, left))
    if remaining < reach and abs(sample.side - reach - WIDENED) < CLOSE:
        return centre, max(USUAL * remaining, min(FLOOR, sample.side))
    return centre, sample.side


def _length(length: float, given: Float64Array, left: Float64Array) -> float | None:
    """Return the box's longer side or diagonal of what is left, where the length is that of what was given."""
    for measure in (_extent, _diagonal):
        if abs(measure(given) - length) < CLOSE:
            return max(1.0, measure(left))
    return None


def _ends_at(sample: Sample, dropped: npt.NDArray[np.bool_], labelled: npt.NDArray[np.bool_]) -> bool:
    """Whether the length is a distance between a dropped keypoint and another."""
    points = sample.points[:, :2].astype(np.float64)
    away = np.linalg.norm(points[dropped][:, None] - points[labelled][None], axis=-1)
    return bool((np.abs(away - sample.normaliser) < CLOSE).any())


def _middle(points: Float64Array) -> Float64Array:
    return np.asarray((points.min(0) + points.max(0)) / 2)


def _extent(points: Float64Array) -> float:
    return float((points.max(0) - points.min(0)).max())


def _diagonal(points: Float64Array) -> float:
    return float(np.linalg.norm(points.max(0) - points.min(0)))
