"""A skeleton from the names of bodyparts: which are left and right of each other, and what they share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kpcore.errors import KpError, unknown
from kpcore.keypoints import Keypoint, Skeleton

SWAP = {"left": "right", "l": "r", "right": "left", "r": "l"}
SIDES = (
    re.compile(r"left|right", re.IGNORECASE),  # leftEar, ear_right
    re.compile(r"(?<![A-Za-z])[lr](?![A-Za-z])", re.IGNORECASE),  # l_ear, ear_R, ear-l
    re.compile(r"(?<=[a-z0-9])[LR](?![A-Za-z])"),  # earL, pawR_top
    re.compile(r"^[LR](?=[A-Z][a-z])"),  # LEar
)
"""Ways to say a side, tried in order; a way counts where it occurs once in the name."""


def skeleton_of(
    bodyparts: Sequence[str],
    mirrors: Mapping[str, str] | None,
    groups: Mapping[str, Sequence[str]],
    edges: Sequence[tuple[str, str]],
) -> Skeleton:
    """Return the skeleton; mirrors by name where they are None.

    Raises:
        KpError: an option names no bodypart, or one twice.
    """
    pairs = mirrors_by_name(bodyparts) if mirrors is None else _both_ways(bodyparts, mirrors)
    shared = _shared(bodyparts, pairs) | _grouped(bodyparts, groups)
    points = tuple(Keypoint(name, pairs.get(name), shared.get(name, "")) for name in bodyparts)
    return Skeleton("deeplabcut", points, tuple(edges))


def mirrors_by_name(bodyparts: Sequence[str]) -> dict[str, str]:
    """Return name -> partner, for names that differ in nothing but one word or letter for the side."""
    found = {name: _partner(name, bodyparts) for name in bodyparts}
    return {name: partner for name, partner in found.items() if partner and found[partner] == name}


def _partner(name: str, bodyparts: Sequence[str]) -> str | None:
    for side in SIDES:
        places = list(side.finditer(name))
        if len(places) == 1:
            swapped = name[: places[0].start()] + _swapped(places[0].group()) + name[places[0].end() :]
            return swapped if swapped in bodyparts else None
    return None


def _swapped(word: str) -> str:
    other = SWAP[word.lower()]
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def _base(name: str) -> str:
    """Return the name without its side."""
    side = next(side for side in SIDES if len(side.findall(name)) == 1)
    return re.sub(r"([_\-. ])[_\-. ]+", r"\1", side.sub("", name)).strip("_-. ")


def _shared(bodyparts: Sequence[str], pairs: Mapping[str, str]) -> dict[str, str]:
    """Return name -> group of the pairs: what their names share, unless that is empty or a bodypart itself."""
    groups = {}
    for name, partner in pairs.items():
        sided = _partner(name, bodyparts) == partner
        base = _base(name) if sided else ""
        groups[name] = base if base and base not in bodyparts else "+".join(sorted((name, partner)))
    return groups


def _both_ways(bodyparts: Sequence[str], mirrors: Mapping[str, str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one, other in [*mirrors.items(), *((other, one) for one, other in mirrors.items())]:
        if one not in bodyparts:
            raise unknown("bodypart", one, bodyparts, where="data set 'deeplabcut', mirrors")
        if pairs.setdefault(one, other) != other or one == other:
            raise KpError(f"data set 'deeplabcut', mirrors: '{one}' has the partners '{pairs[one]}' and '{other}'")
    return pairs


def _grouped(bodyparts: Sequence[str], groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for group, names in groups.items():
        for name in names:
            if name not in bodyparts:
                raise unknown("bodypart", name, bodyparts, where=f"data set 'deeplabcut', groups.{group}")
            if name in found:
                raise KpError(f"data set 'deeplabcut', groups: '{name}' is in '{found[name]}' and in '{group}'")
            found[name] = group
    return found
