"""The 16 keypoints of MPII, in its order, in 2D or 3D."""

from __future__ import annotations

from kpcore.keypoints import Skeleton
from kpcore.reading.skeletons import sided_keypoints

NAMES = (
    "r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "thorax", "upper_neck", "head_top",
    "r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist",
)  # fmt: skip

EDGES = (
    ("r_ankle", "r_knee"), ("r_knee", "r_hip"), ("r_hip", "pelvis"), ("l_hip", "pelvis"), ("l_knee", "l_hip"),
    ("l_ankle", "l_knee"), ("pelvis", "thorax"), ("thorax", "upper_neck"), ("upper_neck", "head_top"),
    ("r_wrist", "r_elbow"), ("r_elbow", "r_shoulder"), ("r_shoulder", "thorax"), ("l_shoulder", "thorax"),
    ("l_elbow", "l_shoulder"), ("l_wrist", "l_elbow"),
)  # fmt: skip

_GROUPS = {"upper_neck": "neck", "head_top": "head"}


def skeleton(dims: int) -> Skeleton:
    """Return the skeleton; ``dims`` is 2 or 3."""
    return Skeleton("people", sided_keypoints(NAMES, _GROUPS), EDGES, dims)
