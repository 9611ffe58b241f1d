"""Coordinates against the pictures they lie on: shares or percent instead of pixels, and places far outside."""

from __future__ import annotations

import numpy as np

from kpcore.audit.found import Level, Mask, anywhere, found_in
from kpcore.audit.judged import Span, flat_points, judged_points, within
from kpcore.audit.percent import AXES, percent_findings
from kpcore.interfaces import Finding
from kpcore.samples import Instances
from kpcore.tensors import Float64Array

ONE: Span = (-1.0, 2.0)
"""Between these lie shares of a picture: 0..1, one less where a file counts pixels from 1, one more for what is cut."""
TINY = 16.0
"""Pixels of a picture's shorter side below which a person may really be that small."""
MOST = 0.5
"""Share of the coordinates within 0..1 from which all are taken to be shares: nobody's half lies in two columns."""
ALONE = (5, 3)
"""Coordinates, and different ones, from which one axis alone is taken for shares."""
FEW = 5
"""Labelled keypoints outside that say nothing of all."""
FAR = 0.15
"""Of a picture's longer side: a labelled keypoint further outside is no truncated body part."""
MANY = 0.25
"""Share of the labelled keypoints outside their pictures beyond which the points are another picture's."""
REMEDY = "multiply x by the picture's width and y by its height"
TRUST = "where they are right, set dataset.trust_coordinates = true"


def unit_findings(people: Instances, sizes: Float64Array, *, trusted: bool = False) -> list[Finding]:
    """Coordinates that are no pixels: within 0..1, or within 0..100 on larger pictures; placeholders do not count.

    Args:
        people: N.
        sizes: (N, 2) width and height of their pictures, NaN where unknown.
        trusted: a warning instead of an error.
    """
    points = judged_points(people, sizes)
    return _share_findings(people, points, sizes, trusted) or percent_findings(people, points, sizes, trusted=trusted)


def _share_findings(people: Instances, points: Float64Array, sizes: Float64Array, trusted: bool) -> list[Finding]:
    """Coordinates within 0..1: an error where these are most on an axis, a warning where they are some people's."""
    with np.errstate(invalid="ignore"):
        points = np.where((sizes.min(1) >= TINY)[:, None, None], points, np.nan)
    inside = within(points, ONE)
    level: Level = "warning" if trusted else "error"
    axes = _axes_in_shares(points, inside)
    if axes:
        every = bool((inside | np.isnan(points))[..., axes].all())
        what = f"{'all' if every else 'most'} {'coordinates' if len(axes) > 1 else AXES[axes[0]]}"
        return found_in(people, level, _shares(what), anywhere(np.asarray(inside[..., axes].all(-1))))
    known = ~np.isnan(points)
    some = anywhere(known) & (inside | ~known).all((1, 2))
    if not _fractions(points[some][known[some]].reshape(-1, 2)):
        return []
    return found_in(people, "warning", _shares("all coordinates of some people"), some)


def _axes_in_shares(points: Float64Array, inside: Mask) -> list[int]:
    """Return the axes (0 x, 1 y) on which most coordinates lie within 0..1 and differ."""
    known = int((~np.isnan(points[..., 0])).sum())
    most = [axis for axis in (0, 1) if inside[..., axis].sum() >= max(1, MOST * known)]
    values = [points[..., axis][inside[..., axis]] for axis in most]
    different = [len(np.unique(some)) for some in values]
    if len(most) == 1:
        return most if len(values[0]) >= ALONE[0] and different[0] >= ALONE[1] else []
    return most if max(different, default=0) > 1 else []


def _fractions(points: Float64Array) -> bool:
    """Whether (M, 2) points differ and have fractions: whole numbers may be placeholders."""
    return bool(len(points)) and bool(np.ptp(points, axis=0).max() > 0 and (points != np.round(points)).any())


def _shares(what: str) -> str:
    read = "shares of the picture, as YOLO or MediaPipe write them?"
    return f"{what} lie in 0..1: {read} {REMEDY}, or export in pixels; {TRUST}"


def outside_findings(people: Instances, sizes: Float64Array, *, trusted: bool = False) -> list[Finding]:
    """Labelled keypoints outside their picture: an error where they are many, a warning where some are far, or a note.

    Arguments are those of :func:`unit_findings`.
    """
    points = flat_points(people)
    with np.errstate(invalid="ignore"):  # comparisons with what is unknown are false
        beyond = np.maximum(-0.5 - points, points - (sizes[:, None] - 0.5)).max(-1)
        outside, far = beyond > 0, beyond > FAR * sizes.max(1)[:, None]
    known = int((~np.isnan(beyond)).sum())
    count, away = int(outside.sum()), int(far.sum())
    if count > max(FEW, MANY * known):
        remedy = f"are they of another size or crop of the picture, or x and y exchanged? {TRUST}"
        what = f"{count} of {known} labelled keypoints lie outside their picture: {remedy}"
        return found_in(people, "warning" if trusted else "error", what, anywhere(outside))
    slight = found_in(
        people, "note", f"truncated: {count - away} labelled keypoints lie outside", anywhere(outside & ~far)
    )
    what = f"{away} labelled keypoints lie far outside their picture, by over {FAR:.0%} of its longer side"
    return [*found_in(people, "warning", what, anywhere(far)), *slight]
