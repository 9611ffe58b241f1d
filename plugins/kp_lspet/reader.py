"""``joints.mat`` of LSP and LSP extended: one array of 14 joints of everybody, in Matlab's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kp_lspet.skeleton import ORDER
from kpcore.errors import KpError
from kpcore.reading.matlab import load
from kpcore.tensors import UNLABELLED, VISIBLE, AnyArray, Float64Array, StateArray

LARGEST = 1e5
"""Pixels beyond which a coordinate is no place in an image."""


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
    held = load(path, "LSP's joints.mat, a Matlab file")
    array: AnyArray | None = held.get("joints")
    if array is None or array.dtype.kind not in "fiu" or array.ndim != 3 or not array.shape[2]:
        found = "is missing" if array is None else f"is {array.dtype} {array.shape}"
        raise KpError(f"{path}: 'joints' {found}; LSP's is an array of numbers, (14, 3, N) or (3, 14, N)")
    return array.astype(np.float64)
