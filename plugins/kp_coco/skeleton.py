"""Skeletons from a category's keypoint names: mirror partners and groups are read off the names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from kpcore.errors import KpError, unknown
from kpcore.keypoints import Keypoint, Skeleton

SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
BREAK = re.compile(r"([_\-. ]+|(?<=[a-z])(?=[A-Z]))")
"""What stands between the words of a name: ``left_wrist``, ``L-Eye``, ``front left paw``, ``leftWrist``."""

ORDER = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's 17 keypoints of a person (Lin et al., ECCV 2014), in the order of its files."""

BONES = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
"""COCO's edges as its files have them, counted from 1."""


def mirrored(name: str) -> tuple[str, str] | None:
    """Return the name on the other side, and the name without its side; None where it names no side, or several.

    ``left_wrist`` gives ``right_wrist`` and ``wrist``; the sides are left, right, l and r, in any case, as a word of
    its own anywhere in the name.
    """
    words = BREAK.split(name)
    sided = [place for place, word in enumerate(words) if word.lower() in SIDES]
    if len(sided) != 1 or len(words) == 1:
        return None
    place = sided[0]
    other = [*words[:place], _cased(SIDES[words[place].lower()], words[place]), *words[place + 1 :]]
    rest = words[2:] if place == 0 else [*words[: place - 1], *words[place + 1 :]]
    return "".join(other), "".join(rest)


def _cased(word: str, like: str) -> str:
    if like.islower():
        return word
    return word.upper() if like.isupper() else word.capitalize()


def without_partner(names: Iterable[str]) -> list[str]:
    """Return names that name a side whose other side is not there."""
    every = list(names)
    return [name for name in every if (found := mirrored(name)) and found[0] not in every]


def build(
    title: str, names: Sequence[str], edges: Sequence[tuple[str, str]], pairs: Mapping[str, str], *, where: str
) -> Skeleton:
    """Return the skeleton of these names.

    Args:
        title: the skeleton's name.
        names: as in the file, in its order.
        edges: by name.
        pairs: mirror partners that the names do not tell, one way; the first name is their group.
        where: what errors name.

    Raises:
        KpError: a name occurs twice, or a pair does not exist or takes a keypoint twice.
    """
    ends = [name for pair in pairs.items() for name in pair]
    for name in ends:
        if name not in names:
            raise unknown("keypoint", name, names, where="dataset.mirrors")
        if ends.count(name) > 1:
            raise KpError(f"dataset.mirrors: '{name}' is in two pairs; name each pair once, one way")
    given = {**{one: (other, one) for one, other in pairs.items()}, **{b: (a, a) for a, b in pairs.items()}}
    try:
        return Skeleton(title, tuple(_keypoint(name, names, given) for name in names), tuple(edges))
    except KpError as error:
        raise KpError(f"{where}: {error}") from None


def _keypoint(name: str, names: Sequence[str], given: Mapping[str, tuple[str, str]]) -> Keypoint:
    found = given.get(name) or mirrored(name)
    if found is None or found[0] not in names or (name not in given and found[0] in given):
        return Keypoint(name)
    return Keypoint(name, mirror=found[0], group=found[1])


COCO = build("coco", ORDER, [(ORDER[one - 1], ORDER[other - 1]) for one, other in BONES], {}, where="COCO")
"""COCO's person, known without its files."""
