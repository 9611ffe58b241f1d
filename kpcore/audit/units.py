"""Coordinates against the pictures they lie on: shares or percent instead of pixels, and places far outside."""

from __future__ import annotations

import numpy as np

from kpcore.audit.found import Level, Mask, anywhere, found_in, labelled
from kpcore.interfaces import Finding
from kpcore.samples import Instances
from kpcore.tensors import Float64Array

ONE = (-1.0, 2.0)
"""Between these lie shares of a picture: 0..1, one less where a file counts pixels from 1, one more for what is cut."""
HUNDRED = (-1.0, 101.0)
"""Between these lies percent of a picture."""
TINY = 16.0
"""Pixels of a picture's shorter side below which a person may really be that small."""
SPREAD = 50.0
"""Percent of both sides that coordinates in percent reach over, all people together; less is only warned of."""
LARGE = 250.0
"""Pixels of every picture's shorter side from which places that spread so within 0..100 are no pixels."""
VERY_LARGE = 500.0
"""Pixels of every picture's shorter side from which any places within 0..100 deserve a look."""
ENOUGH = 5
"""People from which their places say something about the unit."""
FEW = 5
"""Labelled keypoints outside that say nothing of all."""
FAR = 0.15
"""Of a picture's longer side: a labelled keypoint further outside is no truncated body part."""
MANY = 0.25
"""Share of the labelled keypoints outside their pictures beyond which the points are another picture's."""
REMEDY = "multiply x by the picture's width and y by its height"
TRUST = "where they are right, set dataset.trust_coordinates = true"


def unit_findings(people: Instances, sizes: Float64Array, *, trusted: bool = False) -> list[Finding]:
    """Coordinates that are no pixels: all within 0..1, or within 0..100 on large pictures.

    Args:
        people: N.
        sizes: (N, 2) width and height of their pictures, NaN where unknown.
        trusted: a warning instead of an error.
    """
    points, shorter = _flat(people), sizes.min(1)
    level: Level = "warning" if trusted else "error"
    some = anywhere(~np.isnan(points[..., 0]))
    within = some & (shorter >= TINY) & _within(points, ONE)
    if within.any() and _varied(_at(points, within)):
        everybody = bool((within == some).all())
        return found_in(people, level if everybody else "warning", _shares(everybody), within)
    if _percent(points, shorter, some):
        reach = float(np.ptp(_at(points, some), axis=0).min())
        what = "all coordinates lie in 0..100 on far larger pictures: percent, as Label Studio exports it?"
        remedy = f"{REMEDY} and divide by 100, or export in pixels; {TRUST}"
        return found_in(people, level if reach >= SPREAD else "warning", f"{what} {remedy}", some)
    return []


def _varied(points: Float64Array) -> bool:
    """Whether (M, 2) points differ and have fractions: what lies at (0, 0) alone is a placeholder, no share."""
    return bool(np.ptp(points, axis=0).max() > 0 and (points != np.round(points)).any())


def _shares(everybody: bool) -> str:
    what = "all coordinates lie in 0..1" if everybody else "all coordinates of some people lie in 0..1"
    return f"{what}: shares of the picture, as YOLO or MediaPipe write them? {REMEDY}, or export in pixels; {TRUST}"


def _percent(points: Float64Array, shorter: Float64Array, some: Mask) -> bool:
    """Whether everybody's coordinates lie in 0..100 with fractions, on pictures large for how far these reach."""
    known = bool(some.sum() >= ENOUGH) and not np.isnan(shorter[some]).any()
    if not known or not _within(points, HUNDRED).all() or not _varied(_at(points, some)):
        return False
    far = float(np.ptp(_at(points, some), axis=0).min()) >= SPREAD
    return bool(shorter[some].min() >= (LARGE if far else VERY_LARGE))


def outside_findings(people: Instances, sizes: Float64Array, *, trusted: bool = False) -> list[Finding]:
    """Labelled keypoints outside their picture: an error where they are many, a warning where some are far, or a note.

    Arguments are those of :func:`unit_findings`.
    """
    points = _flat(people)
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


def _flat(people: Instances) -> Float64Array:
    """(N, K, 2) points, NaN where not labelled or no number."""
    points = people.points[..., :2]
    known = labelled(people) & np.isfinite(points).all(-1)
    return np.where(known[..., None], points, np.nan)


def _at(points: Float64Array, rows: Mask) -> Float64Array:
    """(M, 2) labelled points of these people."""
    flat = points[rows].reshape(-1, 2)
    return flat[~np.isnan(flat[:, 0])]


def _within(points: Float64Array, span: tuple[float, float]) -> Mask:
    """(N,) whether all labelled points of a person lie in a span; true where there is none."""
    return np.asarray((np.isnan(points) | ((points >= span[0]) & (points <= span[1]))).all((1, 2)))
