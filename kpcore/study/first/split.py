"""A first question: the keypoints in two halves, groups and mirror pairs whole."""

from __future__ import annotations

from collections.abc import Sequence

from kpcore.keypoints import Skeleton

FEWEST = 2
"""Keypoints of each half."""


def halves(skeleton: Skeleton) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return two sets of names, groups where one word stands for its keypoints; None where there are too few.

    The skeleton's order is kept, and cut where the halves are most equal: files usually go from head to toe.
    """
    teams = _teams(skeleton)
    sizes = [sum(len(team) for team in teams[:cut]) for cut in range(len(teams) + 1)]
    whole = sizes[-1]
    cuts = [cut for cut, size in enumerate(sizes) if FEWEST <= size <= whole - FEWEST]
    if not cuts:  # at most three sets: the middle one may still stand against its neighbours
        return _middle(skeleton, teams)
    best = min(cuts, key=lambda cut: abs(2 * sizes[cut] - whole))
    return _spelled(skeleton, teams[:best]), _spelled(skeleton, teams[best:])


def _middle(skeleton: Skeleton, teams: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    if len(teams) != 3 or min(len(teams[1]), len(teams[0]) + len(teams[2])) < FEWEST:
        return None
    return _spelled(skeleton, teams[1:2]), _spelled(skeleton, [teams[0], teams[2]])


def everything(skeleton: Skeleton) -> tuple[str, ...]:
    """Return the names of all keypoints, groups where one word stands for them."""
    return _spelled(skeleton, _teams(skeleton))


def _teams(skeleton: Skeleton) -> list[tuple[str, ...]]:
    """Return sets of keypoints that stay together: those of a group, and mirror partners."""
    team = {name: name for name in skeleton.names}
    ties = [(members[0], other) for members in skeleton.groups.values() for other in members[1:]]
    ties += [(point.name, point.mirror) for point in skeleton.keypoints if point.mirror]
    for one, other in ties:
        team |= {name: team[one] for name, of in team.items() if of == team[other]}
    found: dict[str, list[str]] = {}
    for name in skeleton.names:
        found.setdefault(team[name], []).append(name)
    return [tuple(members) for members in found.values()]


def _spelled(skeleton: Skeleton, teams: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    words: list[str] = []
    for team in teams:
        groups = list(dict.fromkeys(skeleton[name].group for name in team))
        clear = all(group not in skeleton.names or skeleton.groups[group] == (group,) for group in groups)
        whole = sum(len(skeleton.groups[group]) for group in groups) == len(team)
        words += groups if clear and whole else team
    return tuple(words)
