"""Coordinates in percent of the picture, and how far the file itself tells them from pixels.

Places within 0..100 on far larger pictures are percent, or pixels of something small at the top left. What tells: they
reach just up to 100; boxes in the file fit them only as percent; as percent they are whole pixels. That is an error.
Where nothing tells it is a warning that names both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpcore.audit.found import Level, Mask, anywhere, found_in
from kpcore.audit.judged import Span, repeated, within
from kpcore.interfaces import Finding
from kpcore.samples import Instances
from kpcore.tensors import Float64Array

HUNDRED: Span = (-1.0, 101.0)
"""Between these lies percent of a picture: one less where a file counts pixels from 1, one more for what is cut."""
LEAST = 120.0
"""Pixels of a picture's shorter side from which its points are judged: on smaller ones pixels are much like percent."""
SMALL = 150.0
"""Pixels of the pictures' shorter sides, their median, from which places that lie about as percent would deserve a
look: they reach just up to 100, or fill most of 0..100 about its middle."""
LARGE = 250.0
"""The same, from which they are percent, and from which any places within 0..100 deserve a look."""
ENOUGH = 5
"""Points from which their places say something about the unit."""
PEOPLE = 3
"""People from whom the end of their coordinates says that these are percent: one alone ends somewhere."""
ENOUGH_ALONE = 10
"""The same where one axis alone looks like percent: something may stand at the left edge of all pictures."""
STRAYS = 0.05
"""Share of the points outside 0..100, at most (or one point); places that several share do not count."""
REACH = (92.0, 96.0)
"""The largest coordinate, and the end of the range that it suggests, at least, where coordinates reach up to 100: what
fills the first 90 pixels does not."""
SPREAD = 50.0
"""Percent that coordinates reach over, at least, to be told by where they end."""
FILLED = (60.0, 10.0)
"""Percent that coordinates about the middle of 0..100 reach over, at least, and how far their mean is from it, at most:
small things are seldom so, and what is photographed often is."""
WORTH = 25.0
"""Percent that they reach over, at least, to be worth a warning: one small thing may lie anywhere."""
TIGHT = 0.4
"""Of a crop's side: crops are drawn about boxes, and points of the same unit usually reach over more of them."""
WHOLE = 0.9
"""Of a picture's longer side: a crop of that side is the picture's and tells nothing of the points."""
FITTING = 0.8
"""Share of the people with crops of their own whose crops must fit the points only as percent."""
UNEVEN = 8
"""Coordinates that are no eighths of a pixel, at least, to be told by what they are as percent."""
CHANCE = 0.3
"""How often a number is taken for a whole pixel by chance, at most, to be told by that."""
AXES = ("x", "y")
CERTAIN = "percent of the picture, as Label Studio exports it?"
EITHER = "percent of the picture, as Label Studio exports it, or pixels of something small at the top left?"
MEND = "if percent, multiply x by the picture's width and y by its height and divide by 100, or export in pixels"
TRUST = "if pixels, set dataset.trust_coordinates = true"


@dataclass(frozen=True, eq=False)
class Look:
    """Points whose coordinates on some axes may be percent.

    Args:
        axes: 0 for x, 1 for y.
        values: (M, A) their coordinates on these axes, the strays left out.
        sides: (M, A) sides of their pictures, px.
        strays: how many points of several places lie outside 0..100.
        people: how many have such points.
    """

    axes: tuple[int, ...]
    values: Float64Array
    sides: Float64Array
    strays: int
    people: int

    @property
    def side(self) -> float:
        """The shorter of the pictures' median sides, px."""
        return float(np.median(self.sides, axis=0).min())

    @property
    def spread(self) -> Float64Array:
        """(A,) how far the values reach over each axis."""
        return np.asarray(np.ptp(self.values, axis=0))


def percent_findings(
    people: Instances, points: Float64Array, sizes: Float64Array, *, trusted: bool = False
) -> list[Finding]:
    """Coordinates that are, or may be, percent of their pictures, on both axes or on one.

    Args:
        people: N.
        points: (N, K, 2) those that can be judged, NaN elsewhere.
        sizes: (N, 2) width and height of their pictures, NaN where unknown.
        trusted: one level less.
    """
    with np.errstate(invalid="ignore"):  # an unknown size is not large
        points = np.where((sizes.min(1) >= LEAST)[:, None, None], points, np.nan)
    for axes in ((0, 1), (0,), (1,)):
        look = _look(points, sizes, axes)
        level = _level(look, people, points, sizes) if look else None
        if look and level:
            lower: Level = "warning" if level == "error" else "note"
            hits = anywhere(_inside(points, axes))
            return found_in(people, lower if trusted else level, _told(look, level), hits)
    return []


def _look(points: Float64Array, sizes: Float64Array, axes: Sequence[int]) -> Look | None:
    """Return the points on these axes; None where too few are left, or too many lie outside 0..100."""
    chosen = list(axes)
    known, inside = ~np.isnan(points[..., 0]), _inside(points, axes)
    once = known & ~inside & ~repeated(points)
    count, placeholders = int(inside.sum()), int((known & ~inside & ~once).sum())
    if count < ENOUGH or once.sum() > max(1, STRAYS * count) or placeholders > count:
        return None
    sides = np.broadcast_to(sizes[:, None], points.shape)[inside][:, chosen]
    return Look(tuple(axes), points[inside][:, chosen], sides, int(once.sum()), int(anywhere(inside).sum()))


def _inside(points: Float64Array, axes: Sequence[int]) -> Mask:
    """(N, K) whether a point lies in 0..100 on these axes."""
    return np.asarray(within(points, HUNDRED)[..., list(axes)].all(-1))


def _level(look: Look, people: Instances, points: Float64Array, sizes: Float64Array) -> Level | None:
    """Return how sure it is that these are percent; None where it is not worth a word."""
    both = len(look.axes) > 1
    proven = _whole_as_percent(look) or (both and _boxes_say_so(people, points, sizes))
    reaching = _reaches_hundred(look)
    telling = reaching and not look.strays and look.people >= PEOPLE
    if proven or (both and telling and look.side >= LARGE):
        return "error"
    if not both:
        return "warning" if reaching and look.side >= LARGE and len(look.values) >= ENOUGH_ALONE else None
    near = look.side >= LARGE and bool(look.spread.max() >= WORTH)
    return "warning" if near or (look.side >= SMALL and (reaching or _fills_hundred(look))) else None


def _told(look: Look, level: Level) -> str:
    which = "coordinates" if len(look.axes) > 1 else AXES[look.axes[0]]
    what = f"{'nearly all' if look.strays else 'all'} {which} lie in 0..100 on far larger pictures"
    return f"{what}: {CERTAIN if level == 'error' else EITHER} {MEND}; {TRUST}"


def _reaches_hundred(look: Look) -> bool:
    """Whether the values end just at 100 on every axis on which they differ."""
    differing = look.values[:, look.spread > 0]
    if not differing.size:
        return False
    spread, most = np.ptp(differing, axis=0), differing.max(0)
    end = most + spread / (len(differing) - 1)  # of an even distribution with this largest value
    return bool((spread >= SPREAD).all() and (most >= REACH[0]).all() and (end >= REACH[1]).all())


def _fills_hundred(look: Look) -> bool:
    """Whether the values fill most of 0..100 about its middle, on every axis."""
    extent, off = FILLED
    away = np.abs(look.values.mean(0) - 50)
    return len(look.values) >= ENOUGH_ALONE and bool((look.spread >= extent).all() and (away <= off).all())


def _boxes_say_so(people: Instances, points: Float64Array, sizes: Float64Array) -> bool:
    """Whether the crops, which readers draw about boxes in the file, hold the points as percent, and not as pixels."""
    known = ~np.isnan(points[..., 0])
    own = (known.sum(1) > 1) & (people.side < WHOLE * sizes.max(1))
    if own.sum() < 2:
        return False
    given = points[own]
    side, centre = people.side[own], people.centre[own]
    extent = (np.nanmax(given, axis=1) - np.nanmin(given, axis=1)).max(1)
    away = np.abs(given * sizes[own][:, None] / 100 - centre[:, None])
    held = (np.isnan(away) | (away <= side[:, None, None] / 2 + 1)).all((1, 2))
    return bool((held & (extent < TIGHT * side)).mean() >= FITTING)


def _whole_as_percent(look: Look) -> bool:
    """Whether values that are no round numbers are whole pixels once they are taken for percent."""
    values, sides = look.values.ravel(), look.sides.ravel()
    uneven = ~_near_whole(values * 8, 1e-3)
    values, sides = values[uneven], sides[uneven]
    if len(values) < UNEVEN:
        return False
    steps = [10.0**-digits for digits in (1, 2, 3, 4)]
    step = next((step for step in steps if _near_whole(values / step, 0.02 * 1e-3 / step).all()), 0.0)
    slack = step * sides / 200 + 2e-3  # of what was rounded to that step, and of float32
    if 2 * float(np.median(slack)) > CHANCE:
        return False
    return any(_near_whole(values * whole / 100, slack).mean() >= 0.95 for whole in (sides, sides - 1))


def _near_whole(values: Float64Array, slack: Float64Array | float) -> Mask:
    return np.asarray(np.abs(values - np.round(values)) <= slack)
