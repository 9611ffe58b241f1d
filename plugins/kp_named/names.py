"""A skeleton from a list of names: mirror partners and groups by the word for the side, where nothing else is said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kpcore.errors import KpError, unknown
from kpcore.keypoints import Keypoint, Skeleton

SWAP = {"left": "right", "right": "left", "l": "r", "r": "l"}
WORDS = re.compile(r"([_\-. ]+)")


def build(
    names: Sequence[str],
    mirrors: Mapping[str, str] | None,
    groups: Mapping[str, str],
    edges: Sequence[tuple[str, str]],
    dims: int,
    *,
    where: str,
) -> Skeleton:
    """Return the skeleton.

    Args:
        names: in the file's order.
        mirrors: one way is enough; None: partners by name.
        groups: keypoint -> group; else what a pair's names share, or the name itself.
        edges: pairs of names.
        dims: 2 or 3.
        where: for messages.

    Raises:
        KpError: a partner or a grouped name does not exist, or a keypoint has two partners.
    """
    pairs: dict[str, str] = {}
    if mirrors is None:
        pairs = {name: other for name in names if (other := partner(name)) is not None and other in names}
    for one, other in (mirrors or {}).items():
        for name, its in ((one, other), (other, one)):
            if name not in names:
                raise unknown("keypoint", name, names, where=f"{where}, mirrors")
            if pairs.setdefault(name, its) != its or name == its:
                raise KpError(f"{where}, mirrors: '{name}' has the partners '{pairs[name]}' and '{its}'; it has one")
    for name in groups:
        if name not in names:
            raise unknown("keypoint", name, names, where=f"{where}, groups")
    return Skeleton(
        "named",
        tuple(Keypoint(name, pairs.get(name), groups.get(name) or _shared(name, pairs, names)) for name in names),
        tuple(edges),
        dims,
    )


def partner(name: str) -> str | None:
    """Return the name with the other side: ``left_ear`` gives ``right_ear``; None where not one word is a side."""
    words = WORDS.split(name)
    sides = [place for place, word in enumerate(words) if word.lower() in SWAP]
    if len(sides) != 1 or len(words) == 1:
        return None
    word = words[sides[0]]
    other = SWAP[word.lower()]
    words[sides[0]] = other if word.islower() else other.upper() if word.isupper() else other.capitalize()
    return "".join(words)


def _shared(name: str, pairs: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the name without its side; the pair's first name where that is another keypoint's, or nothing."""
    if name not in pairs:
        return name
    if partner(name) != pairs[name]:
        return min(name, pairs[name], key=names.index)
    rest = "_".join(word for word in WORDS.split(name)[::2] if word.lower() not in SWAP)
    return rest if rest and rest not in names else min(name, pairs[name], key=names.index)
