"""Skeletons from a category's keypoint names: mirror partners and groups are read off the names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kpcore.errors import KpError
from kpcore.keypoints import Skeleton
from kpcore.reading.sides import mirror_partners
from kpcore.reading.skeletons import sided_keypoints, told_partners

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


def build(
    title: str, names: Sequence[str], edges: Sequence[tuple[str, str]], pairs: Mapping[str, str], *, where: str
) -> Skeleton:
    """Return the skeleton of these names.

    Args:
        title: the skeleton's name.
        names: as in the file, in its order.
        edges: by name.
        pairs: mirror partners that the names do not tell; one way is enough.
        where: what errors name.

    Raises:
        KpError: a name occurs twice, or a pair does not exist or takes a keypoint twice.
    """
    told = {name: other for name, other in told_partners(names, pairs, "dataset.mirrors").items() if other is not None}
    by_name = mirror_partners([name for name in names if name not in told])
    try:
        return Skeleton(title, sided_keypoints(names, {}, by_name | told), tuple(edges))
    except KpError as error:
        raise KpError(f"{where}: {error}") from None


COCO = build("coco", ORDER, [(ORDER[one - 1], ORDER[other - 1]) for one, other in BONES], {}, where="COCO")
"""COCO's person, known without its files."""
