"""Sets of keypoints in few words: their groups where the body is known, counted where there are many."""

from __future__ import annotations

from collections.abc import Sequence

from kpcore.records.results import SplitInfo
from kpcore.records.shown import Body

MOST = 6
"""Names that a short text lists."""


def short(names: Sequence[str], body: Body | None) -> str:
    """Return a set in few words: "ankle, knee, wrist" where it has all of these groups, else its names."""
    words = list(names)
    if body is not None and set(names) <= set(body.keypoints):
        words = _groups(names, body)
    listed = ", ".join(words[:MOST]) + (f" and {len(words) - MOST} more" if len(words) > MOST else "")
    return listed if len(words) == len(names) else f"{listed} ({len(names)} points)"


def _groups(names: Sequence[str], body: Body) -> list[str]:
    group = dict(zip(body.keypoints, body.groups, strict=True))
    whole = {one for one in group.values() if all(name in names for name, other in group.items() if other == one)}
    return list(dict.fromkeys(group[name] if group[name] in whole else name for name in names))


def known_as(names: Sequence[str], split: SplitInfo) -> str:
    """Return what a set is called in a split: S1, S2, both, or how many points it has."""
    wanted = set(names)
    for number, step in enumerate(split.steps, 1):
        if wanted == set(step):
            return f"S{number}"
    every = {name for step in split.steps for name in step}
    if wanted == every:
        return " + ".join(f"S{number}" for number in range(1, len(split.steps) + 1))
    return f"{len(names)} points"
