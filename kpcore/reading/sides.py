"""Sides in names: which keypoints of a list are left and right of each other, and what they share.

A name says its side by one marker, and a pair differs in that marker alone, written alike: ``LeftPaw`` and
``RightPaw``, ``l_eye`` and ``r_eye``. Nobody is half of a pair whose other half is not in the list: ``lip`` is no left
``rip``. Where a name can be read in several ways, the first of ``MARKERS`` that finds a partner counts, so a word comes
before a letter, and a letter that stands alone before one that is part of a word. A marker that occurs twice in a name
(``left_of_left_eye``) says nothing.

"near" and "off", which horses' legs are called by, are no sides: seen from the other side, the near leg may still be
the one near the camera.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

OTHER = {"left": "right", "l": "r"} | {"right": "left", "r": "l"}

_LETTER = r"[^\W\d_]"
WORD = re.compile(
    rf"(?<!{_LETTER})(?:left|right)(?![a-z])|(?:Left|Right)(?![a-z])|(?<!{_LETTER})(?:LEFT|RIGHT)(?!{_LETTER})"
)
ALONE = re.compile(r"(?<![^\W_])[lrLR](?![^\W_])")
CAPITAL_LAST = re.compile(rf"(?<=[a-z0-9])[LR](?!{_LETTER})")
CAPITAL_FIRST = re.compile(rf"(?<!{_LETTER})(?:[LR](?=[A-Z][a-z])|[lr](?=[A-Z]))")

MARKERS = (
    WORD,  # left_eye, EarLeft, leftEar, "left ear", paw-left-front
    re.compile(r"left|right|Left|Right|LEFT|RIGHT"),  # leftear, Lefteye
    ALONE,  # l_eye, ear.L, paw-l-top
    re.compile(rf"(?<!{_LETTER})[lrLR](?!{_LETTER})"),  # eye_L1, L1
    CAPITAL_LAST,  # earL, pawR_top, forelegL1
    CAPITAL_FIRST,  # LEar, LBigToe, lShoulder
    re.compile(r"(?<=[a-z0-9])[LR](?=[A-Z][a-z])"),  # kneeLInner
    re.compile(rf"(?<![A-Z])[LR](?=[A-Z](?!{_LETTER}))"),  # LF, LH_paw, paw1RH
    re.compile(rf"(?<=[A-Z])(?<![A-Z][A-Z])[LR](?!{_LETTER})"),  # FL, HR_paw
    re.compile(r"^(?:[LR](?=[A-Z]{3}|[a-z]{3})|[lr](?=[a-z]{3}))"),  # LSHO, Lhip, lhip, lfemur
)
"""Ways to say a side, in order of preference."""
CLEAR = (WORD, ALONE, CAPITAL_LAST, CAPITAL_FIRST)
"""Ways that say a side also where the partner is not there."""


def mirror_partners(names: Sequence[str]) -> dict[str, str | None]:
    """Return every name's partner in the list, None where it has none.

    Partners point at each other, nobody is its own, and the order of the names does not matter.
    """
    partners: dict[str, str | None] = dict.fromkeys(names)
    for marker in MARKERS:
        free = {name for name, partner in partners.items() if partner is None}
        for name in free:
            other = _swapped(name, marker)
            if other in free and _swapped(other, marker) == name:
                partners[name] = other
    return partners


def without_partner(names: Sequence[str]) -> list[str]:
    """Return the names that clearly say a side, but have no partner in the list."""
    return [name for name, partner in mirror_partners(names).items() if partner is None and names_a_side(name)]


def names_a_side(name: str) -> bool:
    """Whether a name clearly says a side: by the word, or a letter set off from the rest; ``l`` alone does not."""
    return bool(_told(name))


def shared_name(name: str, partner: str) -> str:
    """Return what the names of a pair share: ``paw_front`` of ``paw_left_front``; "" where they differ in more."""
    same = (_without(name, marker) for marker in MARKERS if _swapped(name, marker) == partner)
    return next(same, "")


def side_of(name: str, partner: str) -> str:
    """Return "left" or "right" for one of a pair; "" where the names tell no side."""
    for marker in MARKERS:
        if _swapped(name, marker) == partner:
            return "left" if marker.findall(name)[0].lower() in ("left", "l") else "right"
    return ""


def said_side(name: str) -> str:
    """Return "left" or "right" where a name clearly says a side, see :func:`names_a_side`; else ""."""
    found = {"left" if marker.findall(name)[0].lower() in ("left", "l") else "right" for marker in _told(name)}
    return found.pop() if len(found) == 1 else ""


def contradiction(name: str, partner: str, names: Sequence[str]) -> str:
    """Return why two keypoints are no mirror pair by their names; "" where names do not tell.

    Args:
        name: of one.
        partner: of the other.
        names: of all keypoints.
    """
    meant = mirror_partners(names)
    for one, other in ((name, partner), (partner, name)):
        if (own := meant[one]) not in (None, other):
            return f"by its name the partner of '{one}' is '{own}'"
    sides = said_side(name), said_side(partner)
    if sides[0] and sides[0] == sides[1]:
        return f"both say {sides[0]}"
    alone = [one for one, side in zip((name, partner), sides, strict=True) if not side]
    return f"'{alone[0]}' says no side" if len(alone) == 1 and not side_of(name, partner) else ""


def _told(name: str) -> list[re.Pattern[str]]:
    """Return the clear ways in which a name says its side, once each, and something besides."""
    return [marker for marker in CLEAR if len(marker.findall(name)) == 1 and _without(name, marker)]


def _swapped(name: str, marker: re.Pattern[str]) -> str | None:
    """Return the name with the other side; None where the marker does not occur, or more than once."""
    if len(found := list(marker.finditer(name))) != 1:
        return None
    (side,) = found
    return name[: side.start()] + _cased(OTHER[side[0].lower()], side[0]) + name[side.end() :]


def _cased(word: str, like: str) -> str:
    if like.islower():
        return word
    return word.upper() if like.isupper() else word.capitalize()


def _without(name: str, marker: re.Pattern[str]) -> str:
    """Return the name without its side, and without the separator that stood beside it."""
    before, after = marker.split(name, maxsplit=1)
    joint = re.search(r"[_\-. ]+$", before)
    if joint and re.match(r"[_\-. ]", after):  # front_left_paw: one of the two stays
        before = before[: joint.start()]
    return (before + after).strip("_-. ")
