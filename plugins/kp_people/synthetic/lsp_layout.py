"""LSP extended's layout: ``joints.mat``, (14, 3, N), 1-based pixels and whether a joint is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

from kp_people.skeleton import NAMES
from kp_people.synthetic.scene import Person
from kpcore.tensors import UNLABELLED

ORDER = (
    "r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "r_wrist", "r_elbow",
    "r_shoulder", "l_shoulder", "l_elbow", "l_wrist", "upper_neck", "head_top",
)  # fmt: skip
"""LSP's 14 joints by our names; its "neck" is where the head begins."""
HEADER_TEXT = 116
"""Bytes of free text that a Matlab file begins with."""


def lsp_name(place: int) -> str:
    """Return the image's name of the n-th person, counted from 0; the file counts from 1."""
    return f"im{place + 1:05d}.jpg"


def write_joints(path: Path, people: Sequence[Person]) -> None:
    """Write everybody's joints; one that is not labelled is at (0, 0)."""
    places = [NAMES.index(name) for name in ORDER]
    labelled = np.array([person.state[places] != UNLABELLED for person in people])  # (N, 14)
    points = np.array([person.points[places, :2] for person in people]) + 1
    rows = np.concatenate([np.where(labelled[..., None], points, 0.0), labelled[..., None]], axis=-1)  # (N, 14, 3)
    savemat(path, {"joints": rows.transpose(1, 2, 0)}, do_compression=True)
    with path.open("r+b") as file:  # scipy writes the date into the header's free text: equal people, equal bytes
        file.write(b"MATLAB 5.0 MAT-file".ljust(HEADER_TEXT))
