"""The names that a study gives keypoints: what a table of aliases makes of a skeleton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kpcore.errors import KpError, unknown
from kpcore.keypoints import Keypoint, Skeleton


def renamed(skeleton: Skeleton, aliases: Mapping[str, str], where: str) -> Skeleton:
    """Return the skeleton under the study's names; raises KpError with the table's place in the study file."""
    try:
        return rename(skeleton, aliases)
    except KpError as error:
        raise KpError(f"{where}.{error}") from None


def rename(skeleton: Skeleton, aliases: Mapping[str, str]) -> Skeleton:
    """Return the skeleton with these keypoints renamed, everywhere; a group that bore a point's name is renamed too.

    Raises:
        KpError: there is no such keypoint, or the new name is another keypoint's.
    """
    for old, new in aliases.items():
        if old not in skeleton.names:
            raise unknown("keypoint", old, skeleton.names, where="aliases")
        if new in skeleton.names and new not in aliases:
            raise KpError(f"aliases: '{old}' cannot be called '{new}': that is another keypoint of this data set")
    twice = sorted({new for new in aliases.values() if list(aliases.values()).count(new) > 1})
    if twice:
        raise KpError(f"aliases: two keypoints would be called '{twice[0]}'")

    def called(name: str) -> str:
        return aliases.get(name, name)

    points = tuple(
        Keypoint(called(point.name), point.mirror and called(point.mirror), _own_group(point))
        for point in skeleton.keypoints
    )
    edges = tuple((called(first), called(last)) for first, last in skeleton.edges)
    return replace(skeleton, keypoints=points, edges=edges)


def _own_group(point: Keypoint) -> str:
    """Return the group that stays; "" where it is the name, which the new name then takes."""
    return "" if point.group == point.name else point.group
