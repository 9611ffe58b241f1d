"""``joints.mat`` of LSP and LSP extended: one array of 14 joints of everybody, in Matlab's pixels."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from kp_lspet.skeleton import ORDER
from kpcore.errors import KpError
from kpcore.tensors import UNLABELLED, VISIBLE, AnyArray, Float64Array, StateArray

LARGEST = 1e5
"""Pixels beyond which a coordinate is no place in an image."""
PROBE = "import sys; from scipy.io import loadmat; loadmat(sys.argv[1], appendmat=False, variable_names=['joints'])"


@dataclass(frozen=True, eq=False)
class Joints:
    """What the file says of N people.

    Args:
        extended: whether it is LSP extended.
        points: (N, 14, 2) 0-based pixels, NaN where unlabelled.
        state: (N, 14).
        dropped: joints that are said to be labelled at no possible place, and count as unlabelled.
    """

    extended: bool
    points: Float64Array
    state: StateArray
    dropped: int


def read_joints(path: Path) -> Joints:
    """Read the file.

    LSP extended holds (14, 3, N), x, y and whether the joint is labelled. LSP holds (3, 14, N); everybody has all
    joints labelled there, and the third number is not read: its readme and its users differ on whether it marks the
    visible or the occluded joints. So a labelled joint counts as visible in both.

    Raises:
        KpError: the file is missing, damaged or of another layout.
    """
    raw = _array(path)
    shape = raw.shape
    if shape[:2] == (len(ORDER), 3):
        extended, places, labelled = True, raw[:, :2].transpose(2, 0, 1), raw[:, 2].T != 0
    elif shape[:2] == (3, len(ORDER)):
        extended, places, labelled = False, raw[:2].transpose(2, 1, 0), np.ones((shape[2], len(ORDER)), bool)
    else:
        raise KpError(f"{path}: 'joints' is {shape}; LSP extended has (14, 3, N), LSP (3, 14, N)")
    possible = (np.isfinite(places) & (np.abs(np.nan_to_num(places)) < LARGEST)).all(-1)
    kept = labelled & possible
    return Joints(
        extended=extended,
        points=np.where(kept[..., None], places - 1, np.nan),
        state=np.where(kept, VISIBLE, UNLABELLED).astype(np.uint8),
        dropped=int((labelled & ~possible).sum()),
    )


def _array(path: Path) -> Float64Array:
    if not path.is_file():
        raise KpError(f"{path}: no such file; LSP's folder holds joints.mat beside images/")
    if not _survivable(path):
        raise KpError(f"{path}: is damaged so badly that reading it crashes; download or write it again")
    try:
        held: dict[str, Any] = loadmat(path, appendmat=False, variable_names=["joints"])
    except Exception as error:  # scipy raises whatever a damaged byte leads it to
        why = " ".join((str(error) or type(error).__name__).split())
        raise KpError(f"{path}: cannot be read as a Matlab file: {why[:120]}") from None
    array: AnyArray | None = held.get("joints")
    if array is None or array.dtype.kind not in "fiu" or array.ndim != 3 or not array.shape[2]:
        found = "is missing" if array is None else f"is {array.dtype} {array.shape}"
        raise KpError(f"{path}: 'joints' {found}; LSP's is an array of numbers, (14, 3, N) or (3, 14, N)")
    return array.astype(np.float64)


def _survivable(path: Path) -> bool:
    """Whether scipy comes back from this file, tried in a process of its own: a damaged type code can crash it."""
    tried = subprocess.run([sys.executable, "-P", "-c", PROBE, str(path)], capture_output=True, check=False)
    return tried.returncode >= 0
