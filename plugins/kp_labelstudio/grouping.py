"""Which keypoints of an annotation belong to one instance: by what they were put under, joined to, or lie in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from kp_labelstudio.export import Annotation, Region
from kpcore.errors import KpError

HUNDRED = (100, 100)
"""The size of a picture in percent of itself."""


@dataclass
class Instance:
    """Keypoints of one instance.

    Args:
        box: its rectangle; None where it has none.
        keypoints: in the annotation's order.
    """

    box: Region | None = None
    keypoints: list[Region] = field(default_factory=list)


@dataclass(frozen=True)
class Grouped:
    """An annotation's instances, and the keypoints that could belong to several."""

    instances: tuple[Instance, ...]
    unclear: tuple[Region, ...]


def group(annotation: Annotation) -> Grouped:
    """Return the instances of an annotation, in its order.

    A keypoint belongs to the rectangle, or to the other region, that it was put under (``parentID``) or is joined to
    by a relation; else to the only rectangle; else to the only one that it lies in. Where there is no rectangle, the
    keypoints that nothing joins are one instance.
    """
    teams = _teams(annotation)
    members = Counter(teams.values())
    order = {region.where: place for place, region in enumerate(annotation.regions)}
    found: dict[str, Instance] = {}
    loose: list[Region] = []
    for region in annotation.regions:
        team = teams[region.identity]
        if region.kind == "rectangle":
            found.setdefault(team, Instance()).box = region
        elif members[team] > 1:
            found.setdefault(team, Instance()).keypoints.append(region)
        else:
            loose.append(region)
    unclear = _settle(found, loose)
    for one in found.values():
        one.keypoints.sort(key=lambda region: order[region.where])
    return Grouped(tuple(found.values()), tuple(unclear))


def _settle(found: dict[str, Instance], loose: Sequence[Region]) -> list[Region]:
    """Put loose keypoints into instances; return those that fit into none, or into several."""
    boxed = [one for one in found.values() if one.box is not None]
    if loose and not boxed:
        found[""] = Instance(None, list(loose))
        return []
    unclear = []
    for region in loose:
        fitting = boxed if len(boxed) == 1 else [one for one in boxed if one.box and inside(region, one.box)]
        if len(fitting) == 1:
            fitting[0].keypoints.append(region)
        else:
            unclear.append(region)
    return unclear


def _teams(annotation: Annotation) -> dict[str, str]:
    """Return identity -> the identity that stands for all that are joined; two rectangles are never joined.

    Raises:
        KpError: a keypoint is joined to two rectangles.
    """
    regions = {region.identity: region for region in annotation.regions}
    teams = {identity: identity for identity in regions}
    pairs = [(region.identity, region.parent) for region in annotation.regions if region.parent]
    for one, other in (*pairs, *annotation.relations):
        kinds = [regions[end].kind for end in (one, other) if end in regions]
        if not kinds or kinds == ["rectangle", "rectangle"]:
            continue
        first, second = (teams.setdefault(end, end) for end in (one, other))
        joined = [end for end, team in teams.items() if team in (first, second)]
        if sum(end in regions and regions[end].kind == "rectangle" for end in joined) > 1:
            where = regions[one if one in regions else other].where
            raise KpError(f"{where}: is joined to two rectangles; drop a relation, or put it under one of them")
        teams |= dict.fromkeys(joined, first)
    return teams


def inside(point: Region, box: Region) -> bool:
    """Whether a keypoint lies in a rectangle, its edges included."""
    left, top, right, bottom = corners(box, HUNDRED if box.size is None else box.size)
    x, y = in_pixels(point.place, HUNDRED if box.size is None else box.size)
    return left <= x <= right and top <= y <= bottom


def corners(box: Region, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom, px, of the upright box around a rectangle that may be tilted."""
    x, y = in_pixels(box.place, size)
    width, height = in_pixels(box.extent, size)
    cos, sin = math.cos(math.radians(box.tilt)), math.sin(math.radians(box.tilt))
    across = [0.0, width * cos, -height * sin, width * cos - height * sin]
    down = [0.0, width * sin, height * cos, width * sin + height * cos]
    return x + min(across), y + min(down), x + max(across), y + max(down)


def in_pixels(percent: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
    """Return a place in pixels."""
    return percent[0] / 100 * size[0], percent[1] / 100 * size[1]
