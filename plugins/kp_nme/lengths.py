"""The four lengths that landmark errors are divided by.

Each takes the truth of all keypoints of the data set, so that it finds its points where they are not predicted, and
returns one length a face in pixels, NaN where a point that it needs is not labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np

from kpcore.errors import KpError, unknown
from kpcore.keypoints import Skeleton
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, Float64Array

Normaliser = Literal["inter_ocular", "inter_pupil", "box", "sample"]
CORNERS = ("r_eye_outer", "l_eye_outer")
PUPILS = ("r_pupil", "l_pupil")
EYE = "eye"
WORDS: Mapping[Normaliser, str] = {
    "inter_ocular": "inter-ocular distances",
    "inter_pupil": "inter-pupil distances",
    "box": "sides of a square as large as the box",
    "sample": "normalisers of the data set",
}


class Length(Protocol):
    """A rule that gives every face a length."""

    def __call__(self, truth: Instances, skeleton: Skeleton) -> Float64Array:
        """Return (N,) lengths, pixels, NaN where it cannot be measured; raises KpError where it never can."""


def inter_ocular(truth: Instances, skeleton: Skeleton) -> Float64Array:
    """Distance of the outer eye corners (300-W; Sagonas et al., ICCV Workshops 2013)."""
    for name in CORNERS:
        if name not in skeleton.names:
            raise unknown("keypoint", name, skeleton.names, where="metric 'nme', normaliser 'inter_ocular'")
    right, left = (_centre(truth, skeleton, (name,)) for name in CORNERS)
    return _distance(right, left)


def inter_pupil(truth: Instances, skeleton: Skeleton) -> Float64Array:
    """Distance of the pupils, or where the skeleton has none, of the means of each eye's points.

    With 68 points the six points around an eye stand for its pupil (Ren et al., CVPR 2014, and later work on 300-W).
    """
    right, left = (_centre(truth, skeleton, names) for names in pupils(skeleton))
    return _distance(right, left)


def box(truth: Instances, skeleton: Skeleton) -> Float64Array:
    """Square root of width x height of the smallest upright box around the face's labelled points.

    Bulat and Tzimiropoulos, ICCV 2017: "the square root of the ground truth bounding box". All labelled points of the
    data set count, whether they are predicted or not.
    """
    del skeleton
    known = (truth.state != UNLABELLED)[..., None]
    high = np.where(known, truth.points[..., :2], -np.inf).max(1)
    low = np.where(known, truth.points[..., :2], np.inf).min(1)
    sides = np.maximum(high - low, 0.0)  # -inf where a face has no labels
    return np.asarray(np.sqrt(sides[:, 0]) * np.sqrt(sides[:, 1]))


def sample(truth: Instances, skeleton: Skeleton) -> Float64Array:
    """The data set's own normaliser."""
    del skeleton
    return truth.normaliser


LENGTHS: Mapping[Normaliser, Length] = {
    "inter_ocular": inter_ocular,
    "inter_pupil": inter_pupil,
    "box": box,
    "sample": sample,
}


MEASURED: Mapping[Normaliser, Callable[[Skeleton], Sequence[str]]] = {
    "inter_ocular": lambda skeleton: CORNERS,
    "inter_pupil": lambda skeleton: [name for side in pupils(skeleton) for name in side],
    "box": lambda skeleton: skeleton.names,
    "sample": lambda skeleton: (),
}
"""The keypoints that each length is measured between."""


def pupils(skeleton: Skeleton) -> list[tuple[str, ...]]:
    """Return the keypoints that stand for the right and for the left pupil."""
    if set(PUPILS) <= set(skeleton.names):
        return [(name,) for name in PUPILS]
    return [_eye(skeleton, side) for side in ("r_", "l_")]


def _eye(skeleton: Skeleton, side: str) -> tuple[str, ...]:
    names = tuple(name for name in skeleton.groups.get(EYE, ()) if name.startswith(side))
    if not names:
        raise KpError(
            f"metric 'nme', normaliser 'inter_pupil': skeleton '{skeleton.name}' has neither {' and '.join(PUPILS)} nor"
            f" keypoints {side}... of group '{EYE}' (groups: {', '.join(skeleton.groups)}); take normaliser = \"box\""
        )
    return names


def _centre(truth: Instances, skeleton: Skeleton, names: Sequence[str]) -> Float64Array:
    """Return the (N, 2) mean of the points, NaN where one is not labelled: part of an eye has another centre."""
    places = [skeleton.index(name) for name in names]
    labelled = (truth.state[:, places] != UNLABELLED).all(1)
    centre: Float64Array = truth.points[:, places, :2].mean(1)
    return np.where(labelled[:, None], centre, np.nan)


def _distance(one: Float64Array, other: Float64Array) -> Float64Array:
    return np.hypot(one[:, 0] - other[:, 0], one[:, 1] - other[:, 1])
