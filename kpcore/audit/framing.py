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
SMALL, TINY = 1 / 20, 1 / 100
"""Of the crop's side: keypoints that reach over less, in the middle of all people, are warned of; over far less, they
are an error: at 256 pixels a whole person would be 2 or 3 of them. On the same data it is 0.57 to 0.9."""
SPREAD = 3
"""Labelled keypoints from which their reach says something of the person's size."""
FEW, SOME = 6, 0.02
"""Labelled keypoints outside their picture, and their share, from which exchanged axes are looked for."""
FITS = 0.05
"""Of those, still outside with the axes exchanged, at most."""
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
    hint = "; with x and y exchanged they lie inside: exchange them" if turned.mean() >= 1 - FITS else ""
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
    enough &= np.isfinite(reach) & (reach > 0)
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
    points = _flat(people)
    out, turned = _outside(points, sizes), _outside(points[..., ::-1], sizes)
    count, known = int(out.sum()), int((~np.isnan(points[..., 0]) & ~np.isnan(sizes[:, :1])).sum())
    beside = found_in(
        people, "warning", "crop centre lies outside the picture", _outside(people.centre[:, None], sizes)[:, 0]
    )
    if count < max(FEW, SOME * known) or turned.sum() > FITS * count:
        return beside
    what = f"{count} of {known} labelled keypoints lie outside their picture, and with x and y exchanged"
    still = f"{int(turned.sum())} do" if turned.any() else "none does"
    ask = f"exchange them in the annotation; {TRUST}"
    return [*beside, *found_in(people, "warning" if trusted else "error", f"{what} {still}: {ask}", anywhere(out))]


def _outside(points: Float64Array, sizes: Float64Array) -> Mask:
    """(N, K) whether points (N, K, 2) lie outside pictures (N, 2); false where either is unknown."""
    with np.errstate(invalid="ignore"):
        return np.asarray(((points < -0.5) | (points > sizes[:, None] - 0.5)).any(-1) & ~np.isnan(sizes[:, :1]))


def _flat(people: Instances) -> Float64Array:
    """(N, K, 2) points, NaN where not labelled or no number."""
    points = people.points[..., :2]
    known = labelled(people) & np.isfinite(points).all(-1)
    return np.where(known[..., None], points, np.nan)
