"""The 17 joints of Human3.6M that its users train on, of the 32 of its recordings.

A joint that is MPII's has MPII's name. Two need a word: ``thorax`` (joint 13 of 32; "neck" in some code) lies between
the shoulders, as MPII's does. ``upper_neck`` (joint 14; "Head" in the recordings, "Neck/Nose" in Martinez et al. 2017,
"Jaw" in SPIN) is where the head turns on the neck: MPII's nearest joint, though not marked by the same people.
"""

from __future__ import annotations

from kpcore.keypoints import Skeleton
from kpcore.reading.skeletons import sided_keypoints

ORDER = (
    "pelvis", "r_hip", "r_knee", "r_ankle", "l_hip", "l_knee", "l_ankle", "spine", "thorax", "upper_neck", "head_top",
    "l_shoulder", "l_elbow", "l_wrist", "r_shoulder", "r_elbow", "r_wrist",
)  # fmt: skip
"""In the order of Pavlakos et al. (2017) and Martinez et al. (2017)."""

SPIN = (14, 2, 1, 0, 3, 4, 5, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6)
"""Where these lie among SPIN's 24: its pelvis 14, spine 16, neck 12 (our thorax), jaw 17 (upper_neck), head 18."""

EDGES = (
    ("pelvis", "r_hip"), ("r_hip", "r_knee"), ("r_knee", "r_ankle"),
    ("pelvis", "l_hip"), ("l_hip", "l_knee"), ("l_knee", "l_ankle"),
    ("pelvis", "spine"), ("spine", "thorax"), ("thorax", "upper_neck"), ("upper_neck", "head_top"),
    ("thorax", "l_shoulder"), ("l_shoulder", "l_elbow"), ("l_elbow", "l_wrist"),
    ("thorax", "r_shoulder"), ("r_shoulder", "r_elbow"), ("r_elbow", "r_wrist"),
)  # fmt: skip

_GROUPS = {"upper_neck": "neck", "head_top": "head"}


H36M = Skeleton("h36m", sided_keypoints(ORDER, _GROUPS), EDGES, 3)
"""17 keypoints in 3D; the root is the pelvis."""

ROOT = ORDER.index("pelvis")
