"""The labelled points that say something about the unit of coordinates: those that are no placeholders."""

from __future__ import annotations

import numpy as np

from kpcore.audit.found import Mask, labelled
from kpcore.audit.placeholders import CORNERS
from kpcore.samples import Instances
from kpcore.tensors import Float64Array

SLACK = 1.0
"""Pixels outside its picture beyond which a point says nothing of the unit; that it lies there is told elsewhere."""

Span = tuple[float, float]


def flat_points(people: Instances) -> Float64Array:
    """(N, K, 2) points, NaN where not labelled or no number."""
    points = people.points[..., :2]
    known = labelled(people) & np.isfinite(points).all(-1)
    return np.where(known[..., None], points, np.nan)


def judged_points(people: Instances, sizes: Float64Array) -> Float64Array:
    """(N, K, 2) labelled points, NaN also where they lie at a placeholder's corner or outside their picture.

    Args:
        people: N.
        sizes: (N, 2) width and height of their pictures, NaN where unknown.
    """
    points = flat_points(people)
    corner = np.any([(points == place).all(-1) for place in CORNERS], axis=0)
    with np.errstate(invalid="ignore"):  # comparisons with what is unknown are false
        outside = ((points < -SLACK) | (points > sizes[:, None] + SLACK)).any(-1)
    return np.where((corner | outside)[..., None], np.nan, points)


def within(points: Float64Array, span: Span) -> Mask:
    """(..., 2) -> (..., 2): whether a coordinate lies in a span; false where it is unknown."""
    with np.errstate(invalid="ignore"):
        return np.asarray((points >= span[0]) & (points <= span[1]))


def repeated(points: Float64Array) -> Mask:
    """(..., 2) -> (...): whether another point lies at exactly the same place."""
    flat = points.reshape(-1, 2)
    places = flat[:, 0] + 1j * flat[:, 1]  # unique() is tens of times faster on these than on rows
    _, which, counts = np.unique(places, return_inverse=True, return_counts=True)
    return np.asarray(((counts[which] > 1) & ~np.isnan(flat[:, 0])).reshape(points.shape[:-1]))
