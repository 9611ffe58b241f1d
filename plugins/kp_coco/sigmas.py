"""How far off annotators are at each keypoint, in object scales: the sigmas of OKS."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from kpcore.errors import unknown
from kpcore.keypoints import KeypointSet, Skeleton
from kpcore.tensors import Float64Array

COCO_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
    "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
"""By group; measured on 5,000 images that were annotated twice (cocodataset.org, "Keypoint Evaluation")."""
AP10K_SIGMAS = {
    "neck": 0.035, "root_of_tail": 0.035, "f_paw": 0.062, "front_paw": 0.062, "b_paw": 0.089, "back_paw": 0.089,
}  # fmt: skip
"""By group, beside COCO's, as AP-10K's evaluation has them (Yu et al., NeurIPS 2021): a front paw has the wrist's."""
CROWDPOSE_SIGMAS = {"head": 0.079, "top_head": 0.079, "head_top": 0.079, "neck": 0.079}
"""By group, beside COCO's, as CrowdPose's evaluation has them (Li et al., CVPR 2019): the shoulder's."""
PUBLISHED = ("COCO", "AP-10K", "CrowdPose")
GIVEN = "given"
"""Stands for the study's own table among the sources of sigmas."""
SIDES = {"left", "right", "l", "r"}
CROWDPOSE_BODY = {"shoulder", "elbow", "wrist", "hip", "knee", "ankle"}
"""The other groups that CrowdPose has."""


class Sigma(NamedTuple):
    """A sigma, in object scales, and whose it is: a published table's name, or ``GIVEN``."""

    value: float
    source: str


def sigmas_of(keypoints: KeypointSet, given: Mapping[str, float], default: float) -> Float64Array:
    """Return (K,) sigmas: those given by keypoint name or group, else the published ones, else the default.

    Published are COCO's, AP-10K's and CrowdPose's, by name, then by group, in any letter case, words joined by anything
    (``L_Eye``, ``Root of tail``). "neck" is AP-10K's beside its tail or paws, CrowdPose's beside CrowdPose's other
    keypoints, and unknown elsewhere, for the two differ.

    Raises:
        KpError: a given name is neither a keypoint nor a group of the skeleton.
    """
    skeleton = keypoints.skeleton
    for name in given:
        if name not in skeleton.names and name not in skeleton.groups:
            exist = dict.fromkeys([*skeleton.names, *skeleton.groups])
            raise unknown("keypoint or group", name, exist, where="metric 'oks', sigmas")
    found = _found(keypoints, given)
    return np.array([found[name].value if name in found else default for name in keypoints.names], np.float64)


def without_sigma(keypoints: KeypointSet, given: Mapping[str, float]) -> list[str]:
    """Return keypoints that nobody has published a sigma for, and that none is given for: they take the default."""
    found = _found(keypoints, given)
    return [name for name in keypoints.names if name not in found]


def told_sigmas(keypoints: KeypointSet, given: Mapping[str, float], default: float) -> str:
    """Return whose sigmas how many keypoints take: "COCO's for 13 of 17 keypoints, AP-10K's for 4"."""
    found = _found(keypoints, given)
    own = ", ".join(f"{name} {sigma:g}" for name, sigma in sorted(given.items()))
    words = {name: f"{name}'s" for name in PUBLISHED} | {"": f"the default {default:g}", GIVEN: f"given ({own})"}
    counts = Counter(found[name].source if name in found else "" for name in keypoints.names)
    first, *rest = (f"{words[source]} for {count}" for source, count in counts.items())
    return ", ".join([f"{first} of {len(keypoints)} keypoints", *rest])


def _found(keypoints: KeypointSet, given: Mapping[str, float]) -> dict[str, Sigma]:
    """Return the sigmas of keypoints that have one other than the default."""
    skeleton = keypoints.skeleton
    published = _published(skeleton)
    every = {name: _sigma(name, skeleton[name].group, given, published) for name in keypoints.names}
    return {name: sigma for name, sigma in every.items() if sigma is not None}


def _sigma(name: str, group: str, given: Mapping[str, float], published: Mapping[str, Sigma]) -> Sigma | None:
    mine = [Sigma(given[key], GIVEN) for key in (name, group) if key in given]
    theirs = [published[key] for key in (_plain(name), _plain(group), _sideless(name)) if key in published]
    return next(iter([*mine, *theirs]), None)


def _published(skeleton: Skeleton) -> dict[str, Sigma]:
    """Return the sigmas that hold for keypoints of this skeleton, by plain name or group."""
    groups = {_plain(group) for group in skeleton.groups}
    common = _of("COCO", COCO_SIGMAS)
    if _is_crowdpose(groups):
        return common | _of("CrowdPose", CROWDPOSE_SIGMAS)
    animal = (groups | {_sideless(name) for name in skeleton.names}) & set(AP10K_SIGMAS) - {"neck"}
    return common | _of("AP-10K", {name: sigma for name, sigma in AP10K_SIGMAS.items() if animal or name != "neck"})


def _of(source: str, table: Mapping[str, float]) -> dict[str, Sigma]:
    return {name: Sigma(value, source) for name, value in table.items()}


def _is_crowdpose(groups: Collection[str]) -> bool:
    rest = set(groups) - CROWDPOSE_BODY
    return len(groups) == len(CROWDPOSE_BODY) + 2 and "neck" in rest and rest <= set(CROWDPOSE_SIGMAS)


def _sideless(name: str) -> str:
    """Return a plain name without words for a side: a keypoint whose partner is not there has no group but itself."""
    return "_".join(word for word in _plain(name).split("_") if word not in SIDES)


def _plain(name: str) -> str:
    """Return a name in small letters, its words joined by underscores."""
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")
