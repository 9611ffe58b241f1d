"""How far off annotators are at each keypoint, in object scales: the sigmas of OKS."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kpcore.errors import unknown
from kpcore.keypoints import KeypointSet
from kpcore.tensors import Float64Array

COCO_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
    "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
"""By group; measured on 5,000 images that were annotated twice (cocodataset.org, "Keypoint Evaluation")."""


def sigmas_of(keypoints: KeypointSet, given: Mapping[str, float], default: float) -> Float64Array:
    """Return (K,) sigmas: those given by keypoint name or group, else COCO's by group, else the default.

    Raises:
        KpError: a given name is neither a keypoint nor a group of the skeleton.
    """
    skeleton = keypoints.skeleton
    for name in given:
        if name not in skeleton.names and name not in skeleton.groups:
            exist = dict.fromkeys([*skeleton.names, *skeleton.groups])
            raise unknown("keypoint or group", name, exist, where="metric 'oks', sigmas")
    return np.array([_sigma(name, skeleton[name].group, given, default) for name in keypoints.names], np.float64)


def _sigma(name: str, group: str, given: Mapping[str, float], default: float) -> float:
    found = (table.get(key) for table in (given, COCO_SIGMAS) for key in (name, group))
    return next((sigma for sigma in found if sigma is not None), default)
