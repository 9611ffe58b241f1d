"""MPII's files as its publisher serves them (human-pose.mpi-inf.mpg.de, "Download")."""

from __future__ import annotations

from kpcore.interfaces import Download, Licence

BASE = "https://datasets.d2.mpi-inf.mpg.de/andriluka14cvpr"
TERMS = Licence(
    name="MPII Human Pose, terms of its publisher",
    summary="Annotations and code are free for research; commercial use is not allowed, since the authors do not have"
    " the copyright of the images. Cite Andriluka et al., CVPR 2014.",
    page="http://human-pose.mpi-inf.mpg.de/#download",
)

DOWNLOADS = (
    Download(
        name="images",
        address=f"{BASE}/mpii_human_pose_v1.tar.gz",
        licence=TERMS,
        places={"images": "images"},
        size=12_900_000_000,
        unpacked=30_000_000_000,
        entries=40_000,
    ),
    Download(
        name="annotations",
        address=f"{BASE}/mpii_human_pose_v1_u12_2.zip",
        licence=TERMS,
        places={"mpii_human_pose_v1_u12_2": "mpii_human_pose_v1_u12_2"},
        size=12_500_000,
        unpacked=1_000_000_000,
        entries=1_000,
    ),
)
"""The annotation comes last: with it the folder is one that the data set reads."""
