"""Crops against what they are cut for: whether they hold their keypoints, are of their size, and lie on the picture.

A reader that takes centre and side from a file gives crops beside their people where the file's unit, order of axes or
rows are other ones than the format's.
"""

from __future__ import annotations

import numpy as np

from kpcore.audit.found import Level, Mask, anywhere, found_in, labelled
from kpcore.interfaces import Finding
from kpcore.samples import Instances
from kpcore.tensors import Float64Array

MOST = 0.5
"""Share of a person's labelled keypoints outside the crop beyond which the crop is not that person's. On MPII, LSP
extended, 300-W, COCO and filmed mice nobody has more; 4 in 100 of MPII's people have any."""
MANY = 0.2
"""Share of the people with such crops beyond which that is true of the file; fewer are only warned of."""
FITS = 0.95
"""Share of those whom their crops hold with x and y exchanged from which that is told."""
SMALL, TINY = 1 / 20, 1 / 100
"""Of the crop's side: keypoints that reach over less, in the middle of all people, are warned of; over far less, they
are an error: at 256 pixels a whole person would be 2 or 3 of them. On the same data it is 0.57 to 0.9."""
FLOOR = 64.0
"""Pixels: crops up to this side are as small as readers make them, whatever lies in them."""
SPREAD = 3
"""Labelled keypoints from which their reach says something of the person's size."""
FAR = 0.05
"""Of a picture's longer side: who is cut off by its edge has no keypoint that far outside, but one whose axes are
exchanged has."""
SEVERAL, FEW, SOME = 2, 0.02, 0.05
"""People whose axes look exchanged from which that is warned of, at least, and their share; and their share from which
it is an error. A foot that the picture's lower edge cuts off looks so too: on a wide picture it lies inside once its
axes are exchanged."""
TRUST = "where they are right, set dataset.trust_coordinates = true"


def framing_findings(people: Instances, *, trusted: bool = False) -> list[Finding]:
    """Crops that do not hold most of their labelled keypoints, and crops far larger than these.

    Args:
        people: N.
        trusted: a warning instead of an error.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # what is not finite is reported elsewhere
        return [*_astray(people, trusted), *_oversized(people, trusted)]


def _astray(people: Instances, trusted: bool) -> list[Finding]:
    points = _flat(people)
    hits = _away(points, people)
    share = hits.sum() / max(1, anywhere(~np.isnan(points)).sum())
    if not hits.any():
        return []
    turned = ~_away(points[..., ::-1], people)[hits]
    hint = "; with x and y exchanged they lie inside: exchange them;" if turned.mean() >= FITS else ""
    ask = hint or "; are centre and scale in another unit or of another person, or x and y exchanged?"
    what = f"most labelled keypoints lie outside the crop that the file's centre and scale give{ask} {TRUST}"
    return found_in(people, "error" if share > MANY and not trusted else "warning", what, hits)


def _away(points: Float64Array, people: Instances) -> Mask:
    """(N,) whether most labelled points (N, K, 2) lie outside the crop."""
    known = ~np.isnan(points[..., 0])
    beyond = known & (np.abs(points - people.centre[:, None]).max(-1) > people.side[:, None] / 2)
    whole = (
        np.isfinite(people.side) & (people.side > 0) & np.isfinite(people.centre).all(1)
    )  # others are told elsewhere
    return np.asarray(whole & (beyond.sum(1) > MOST * known.sum(1)))


def _oversized(people: Instances, trusted: bool) -> list[Finding]:
    points = _flat(people)
    enough = np.asarray((~np.isnan(points[..., 0])).sum(1) >= SPREAD)
    low, high = (np.where(np.isnan(points), edge, points) for edge in (np.inf, -np.inf))
    reach = (high.max(1) - low.min(1)).max(-1) / people.side
    enough &= np.isfinite(reach) & (reach > 0) & (people.side > FLOOR)
    middle = float(np.median(reach[enough])) if enough.any() else 1.0
    if middle >= SMALL:
        return []
    what = f"labelled keypoints reach over 1/{1 / middle:.0f} of their crop (the middle of all people)"
    ask = "is the scale in another unit, such as pixels, or is the crop a whole picture of something small?"
    level: Level = "error" if middle < TINY and not trusted else "warning"
    return found_in(people, level, f"{what}; {ask} Give crops of the people's size; {TRUST}", enough)


def axes_findings(people: Instances, sizes: Float64Array, *, trusted: bool = False) -> list[Finding]:
    """Points that leave their pictures, and would not with x and y exchanged; centres of crops beside the picture.

    Args:
        people: N.
        sizes: (N, 2) width and height of their pictures, NaN where unknown.
        trusted: a warning instead of an error.
    """
    beside = _outside(people.centre[:, None], sizes)[:, 0]
    what = "crop centre lies outside the picture: of another unit, size or picture, or it stands for none"
    return [*found_in(people, "warning", what, beside), *_exchanged(people, sizes, trusted)]


def _exchanged(people: Instances, sizes: Float64Array, trusted: bool) -> list[Finding]:
    points = _flat(people)
    far = _outside(points, sizes, FAR)
    hits = anywhere(far) & ~anywhere(_outside(points[..., ::-1], sizes))
    if hits.sum() < max(SEVERAL, FEW * len(people)):
        return []
    what = "labelled keypoints lie far outside their picture, and with x and y exchanged none"
    level: Level = "error" if hits.sum() >= max(SEVERAL + 1, SOME * len(people)) and not trusted else "warning"
    return found_in(people, level, f"{what} does: exchange them in the annotation; {TRUST}", hits)


def _outside(points: Float64Array, sizes: Float64Array, by: float = 0.0) -> Mask:
    """(N, K) whether points (N, K, 2) lie outside pictures (N, 2); false where either is unknown.

    Args:
        points: pixels.
        sizes: width and height, pixels.
        by: share of the longer side by which they lie outside, at least.
    """
    slack = 0.5 + by * sizes.max(1)[:, None]
    with np.errstate(invalid="ignore"):  # comparisons with what is unknown are false
        return np.asarray((points.min(-1) < -slack) | ((points - sizes[:, None]).max(-1) > slack - 1))


def _flat(people: Instances) -> Float64Array:
    """(N, K, 2) points, NaN where not labelled or no number."""
    points = people.points[..., :2]
    known = labelled(people) & np.isfinite(points).all(-1)
    return np.where(known[..., None], points, np.nan)
