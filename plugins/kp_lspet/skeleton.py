"""The 14 joints of Leeds Sports Poses, in the order of its annotation (Johnson, Everingham, BMVC 2010)."""

from __future__ import annotations

from kpcore.keypoints import Skeleton
from kpcore.reading.skeletons import sided_keypoints

ORDER = (
    "r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "r_wrist", "r_elbow",
    "r_shoulder", "l_shoulder", "l_elbow", "l_wrist", "neck", "head_top",
)  # fmt: skip

EDGES = (
    ("r_ankle", "r_knee"), ("r_knee", "r_hip"), ("l_ankle", "l_knee"), ("l_knee", "l_hip"), ("r_hip", "l_hip"),
    ("r_hip", "r_shoulder"), ("l_hip", "l_shoulder"), ("r_shoulder", "neck"), ("l_shoulder", "neck"),
    ("r_wrist", "r_elbow"), ("r_elbow", "r_shoulder"), ("l_wrist", "l_elbow"), ("l_elbow", "l_shoulder"),
    ("neck", "head_top"),
)  # fmt: skip


LSP = Skeleton("lsp", sided_keypoints(ORDER, {"head_top": "head"}), EDGES)
"""Names are MPII's where the joint is the same. ``neck`` is where the head begins, which MPII calls ``upper_neck``."""

TORSO = (("r_shoulder", "l_hip"), ("l_shoulder", "r_hip"))
"""The torso's two diagonals."""
