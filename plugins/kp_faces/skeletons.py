"""The four published sets of facial landmarks under one vocabulary of names.

A landmark that two data sets both mark has one name, so that a network meets what it learned. ``r_`` and ``l_`` are the
subject's right and left; the subject's right is at the left of a picture seen from the front.

=================== ============ ============= ============ ===========================================================
name                faces68      wflw98        cofw29       aflw19
=================== ============ ============= ============ ===========================================================
r_jaw_1..8, chin    0-7, 8       0, 2, .. 16   28 (chin)    18 (ChinCenter)
r_brow_1..5         17-21        33-37         0, 4, 2      0, 1, 2 (both: 1 outer end, 3 middle, 5 inner end)
nose_bridge_1..3    27-29        51-53
nose_tip            30           54            20           13 (NoseCenter)
r_nose_wing         31           55            18           12 (NoseLeft: AFLW says the viewer's left)
r_nostril           32           56
nose_base           33           57            21
r_eye_outer, inner  36, 39       60, 64        8, 10        6, 8
r_eye_upper, lower               62, 66        12, 13
r_pupil                          96            16           7 (LeftEyeCenter)
r_mouth_corner      48           76            22           15
mouth_upper, lower  51, 57       79, 85        24, 27
mouth_inner_...     60-67        88-95         25, 26
mouth_centre                                                16 (MouthCenter)
=================== ============ ============= ============ ===========================================================

The sets were marked by different people after different rules: r_brow_3 is on the brow's upper edge in WFLW and COFW
and in its middle in AFLW, and AFLW's chin is a little higher. WFLW's jaw has a point more between each two of the 68
(``r_jaw_mid_1`` lies between ``r_jaw_1`` and ``r_jaw_2``).

Sources: Sagonas et al., ICCV Workshops 2013 (68); Wu et al., CVPR 2018 (98); Burgos-Artizzu et al., ICCV 2013 (29);
Koestinger et al., ICCV Workshops 2011, and Zhu et al., CVPR 2016 (21, of which 19 are used).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from kpcore.keypoints import Keypoint, Skeleton

GROUPS = ("jaw", "brow", "eye", "nose", "mouth")
"""Left and right share these; every landmark of the four sets is in one."""
WORDS = {"chin": "jaw", "pupil": "eye", "nostril": "nose"}
"""First words of names (after the side) that are no group's own."""

LEFT_OF_RIGHT = {"r_": "l_", "l_": "r_"}


def mirror_of(name: str) -> str | None:
    """Return the partner of a name that begins with a side, else None."""
    other = LEFT_OF_RIGHT.get(name[:2])
    return None if other is None else other + name[2:]


def group_of(name: str) -> str:
    """Return the group of a name of this vocabulary; "" for any other name."""
    plain = name[2:] if mirror_of(name) else name
    word = plain.split("_")[0]
    group = WORDS.get(word, word)
    return group if group in GROUPS else ""


def _right(*names: str) -> list[str]:
    return [f"r_{name}" for name in names]


def _mirrored(names: Iterable[str]) -> list[str]:
    return [mirror_of(name) or name for name in names]


def _numbered(name: str, last: int) -> list[str]:
    return [f"{name}_{number}" for number in range(1, last + 1)]


def _across(right: Sequence[str], middle: Sequence[str] = ()) -> list[str]:
    """Return a row of points from the right over the middle to the left: the left half is the mirrored right."""
    return [*right, *middle, *_mirrored(reversed(right))]


BROW = _right(*_numbered("brow", 5))
NOSE_RIDGE = [*_numbered("nose_bridge", 3), "nose_tip"]
NOSE_BASE = _across(_right("nose_wing", "nostril"), ["nose_base"])
EYE_68 = _right(
    "eye_outer", "eye_upper_outer", "eye_upper_inner", "eye_inner", "eye_lower_inner", "eye_lower_outer"
)  # fmt: skip
EYE_98 = _right(
    "eye_outer", "eye_upper_outer", "eye_upper", "eye_upper_inner",
    "eye_inner", "eye_lower_inner", "eye_lower", "eye_lower_outer",
)  # fmt: skip
MOUTH = [
    *_across(_right("mouth_corner", "mouth_upper_1", "mouth_upper_2"), ["mouth_upper"]),
    *_mirrored(_right("mouth_lower_1", "mouth_lower_2")), "mouth_lower", *_right("mouth_lower_2", "mouth_lower_1"),
    *_across(_right("mouth_inner_corner", "mouth_inner_upper"), ["mouth_inner_upper"]),
    "l_mouth_inner_lower", "mouth_inner_lower", "r_mouth_inner_lower",
]  # fmt: skip


def _left_eye(right: Sequence[str], inner: int) -> list[str]:
    """Return the left eye's points: from the inner corner over the upper lid outwards, and back below."""
    upper, lower = right[: inner + 1], right[inner + 1 :]
    return _mirrored([*reversed(upper), *reversed(lower)])


ORDER_68 = (
    *_across(_right(*_numbered("jaw", 8)), ["chin"]),
    *_across(BROW), *NOSE_RIDGE, *NOSE_BASE,
    *EYE_68, *_left_eye(EYE_68, 3), *MOUTH,
)  # fmt: skip
"""iBUG's order, as in 300-W (Sagonas et al., ICCV Workshops 2013)."""

_JAW_98 = [name for number in range(1, 9) for name in _right(f"jaw_{number}", f"jaw_mid_{number}")]
_LOW_BROW = _right("brow_low_5", "brow_low_4", "brow_low_3", "brow_low_2")
ORDER_98 = (
    *_across(_JAW_98, ["chin"]),
    *BROW, *_LOW_BROW, *_mirrored(reversed(BROW)), *_mirrored(reversed(_LOW_BROW)),
    *NOSE_RIDGE, *NOSE_BASE,
    *EYE_98, *_left_eye(EYE_98, 4), *MOUTH, "r_pupil", "l_pupil",
)  # fmt: skip
"""WFLW's order."""


def _pairs(*names: str) -> list[str]:
    return [side + name for name in names for side in ("r_", "l_")]


ORDER_29 = (
    *_pairs("brow_1", "brow_5"), "r_brow_3", "r_brow_low_3", "l_brow_3", "l_brow_low_3",
    *_pairs("eye_outer", "eye_inner"), "r_eye_upper", "r_eye_lower", "l_eye_upper", "l_eye_lower",
    *_pairs("pupil", "nose_wing"), "nose_tip", "nose_base", *_pairs("mouth_corner"),
    "mouth_upper", "mouth_inner_upper", "mouth_inner_lower", "mouth_lower", "chin",
)  # fmt: skip
"""COFW's order, which is LFPW's."""

ORDER_19 = (
    *_across(_right("brow_1", "brow_3", "brow_5")),
    *_across(_right("eye_outer", "pupil", "eye_inner")),
    "r_nose_wing", "nose_tip", "l_nose_wing", "r_mouth_corner", "mouth_centre", "l_mouth_corner", "chin",
)  # fmt: skip
"""AFLW's 21 without the ears, as in Zhu et al., CVPR 2016."""


def _chain(names: Sequence[str], *, closed: bool = False) -> list[tuple[str, str]]:
    return [*pairwise(names), *([(names[-1], names[0])] if closed else [])]


def _face(name: str, order: Sequence[str], edges: Iterable[tuple[str, str]]) -> Skeleton:
    known = [edge for edge in edges if set(edge) <= set(order)]
    return Skeleton(name, tuple(Keypoint(point, mirror_of(point), group_of(point)) for point in order), tuple(known))


_MIDDLE = [*_chain(NOSE_RIDGE), *_chain(NOSE_BASE), ("nose_tip", "nose_base")]
_LIPS = [*_chain(MOUTH[:12], closed=True), *_chain(MOUTH[12:], closed=True)]


def _both(edges: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [side for edge in edges for side in (edge, (mirror_of(edge[0]) or edge[0], mirror_of(edge[1]) or edge[1]))]


FACES68 = _face(
    "faces68",
    ORDER_68,
    [*_chain(ORDER_68[:17]), *_both([*_chain(BROW), *_chain(EYE_68, closed=True)]), *_MIDDLE, *_LIPS],
)
"""68 landmarks of 300-W."""
WFLW98 = _face(
    "wflw98",
    ORDER_98,
    [*_chain(ORDER_98[:33]), *_both([*_chain([*BROW, *_LOW_BROW], closed=True), *_chain(EYE_98, closed=True)]),
     *_MIDDLE, *_LIPS],
)  # fmt: skip
"""98 landmarks of WFLW."""
COFW29 = _face(
    "cofw29",
    ORDER_29,
    [*_both([*_chain(["r_brow_1", "r_brow_3", "r_brow_5", "r_brow_low_3"], closed=True),
             *_chain(["r_eye_outer", "r_eye_upper", "r_eye_inner", "r_eye_lower"], closed=True),
             ("r_nose_wing", "nose_base"), ("r_nose_wing", "nose_tip"),
             *_chain(["r_mouth_corner", "mouth_upper"]), *_chain(["r_mouth_corner", "mouth_lower"])])],
)  # fmt: skip
"""29 landmarks of COFW and LFPW."""
AFLW19 = _face(
    "aflw19",
    ORDER_19,
    [*_both([*_chain(["r_brow_1", "r_brow_3", "r_brow_5"]), *_chain(["r_eye_outer", "r_pupil", "r_eye_inner"]),
             ("r_nose_wing", "nose_tip"), ("r_mouth_corner", "mouth_centre")])],
)  # fmt: skip
"""19 landmarks of AFLW."""

SKELETONS = {skeleton.name: skeleton for skeleton in (FACES68, WFLW98, COFW29, AFLW19)}
CORNERS = ("r_eye_outer", "l_eye_outer")
"""Outer eye corners, whose distance is the inter-ocular normaliser."""
