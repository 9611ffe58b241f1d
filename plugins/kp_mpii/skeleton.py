"""MPII's 16 joints, in the order of its annotation (Andriluka et al., CVPR 2014)."""

from __future__ import annotations

from kpcore.keypoints import Skeleton
from kpcore.reading.skeletons import sided_keypoints

AXIS_GROUPS = {"pelvis": "pelvis", "thorax": "thorax", "upper_neck": "neck", "head_top": "head"}
"""Joints on the body's axis, and the group that each stands for."""

ORDER = (
    "r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "thorax",
    "upper_neck", "head_top", "r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist",
)  # fmt: skip

EDGES = (
    ("r_ankle", "r_knee"), ("r_knee", "r_hip"), ("r_hip", "pelvis"),
    ("l_ankle", "l_knee"), ("l_knee", "l_hip"), ("l_hip", "pelvis"),
    ("pelvis", "thorax"), ("thorax", "upper_neck"), ("upper_neck", "head_top"),
    ("r_wrist", "r_elbow"), ("r_elbow", "r_shoulder"), ("r_shoulder", "thorax"),
    ("l_wrist", "l_elbow"), ("l_elbow", "l_shoulder"), ("l_shoulder", "thorax"),
)  # fmt: skip


MPII = Skeleton("mpii", sided_keypoints(ORDER, AXIS_GROUPS), EDGES)
"""16 keypoints; mirror pairs 0-5 1-4 2-3 10-15 11-14 12-13."""

UPPER_NECK = ORDER.index("upper_neck")
HEAD_TOP = ORDER.index("head_top")
