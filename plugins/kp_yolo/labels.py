"""One file of labels: a line an instance, all numbers as shares of the picture's width and height."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kpcore.errors import KpError
from kpcore.reading.opening import read_text
from kpcore.tensors import UNLABELLED, VISIBLE, Float64Array, StateArray

KIND = "labels of a YOLO pose data set"
LARGEST = 2**24
"""Bytes of the labels of one picture."""
SLACK = 0.01
"""How far a number may lie outside 0 to 1: rounding, and points just beyond the picture's edge."""
BOX = ("cx", "cy", "w", "h")


@dataclass(frozen=True, eq=False)
class Instance:
    """One line.

    Args:
        line: its number, from 1.
        kind: number of its class.
        box: (4,) centre x, centre y, width, height; shares of the picture's width and height.
        points: (K, 2) shares of the picture's width and height; NaN where unlabelled.
        state: (K,).
        zeros: how many keypoints at (0, 0) were taken for unlabelled, which a file without visibilities cannot say.
    """

    line: int
    kind: int
    box: Float64Array
    points: Float64Array
    state: StateArray
    zeros: int = 0


def read_labels(path: Path, keypoints: int, dims: int) -> list[Instance]:
    """Read the file.

    Args:
        path: the file.
        keypoints: number K that a line has.
        dims: numbers a keypoint, 2 or 3.

    Raises:
        KpError: with the line, where one has another number of numbers, or a number that cannot be.
    """
    text = read_text(path, KIND, LARGEST)
    rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    return [_instance(words, keypoints, dims, path, number) for number, words in rows if words]


def _instance(words: list[str], keypoints: int, dims: int, path: Path, line: int) -> Instance:
    where = f"{path}, line {line}"
    expected = 5 + keypoints * dims
    if len(words) != expected:
        kind = " (a box without keypoints)" if len(words) == 5 else ""
        raise KpError(
            f"{where}: {len(words)} numbers{kind}; class, box and {keypoints} keypoints of {dims} are {expected}: mend"
            " the line, or kpt_shape"
        )
    values = _numbers(words, where)
    kind = values[0]
    if not (kind >= 0 and kind == int(kind)):
        raise KpError(f"{where}: class {words[0][:40]!a}; must be a whole number from 0")
    _within(values[1:5], lambda place: BOX[place], where)
    points = values[5:].reshape(keypoints, dims)
    state, zeros = _states(points, where)
    labelled = state != UNLABELLED
    flat = np.where(labelled[:, None], points[:, :2], 0.0)
    _within(flat.ravel(), lambda place: f"{'xy'[place % 2]} of keypoint {place // 2}", where)
    return Instance(line, int(kind), values[1:5], np.where(labelled[:, None], points[:, :2], np.nan), state, zeros)


def _numbers(words: list[str], where: str) -> Float64Array:
    """Return the numbers; only class and box must be finite, since what is unlabelled may hold anything."""
    try:
        values = np.array([float(word) for word in words], np.float64)
    except ValueError:
        wrong = next(word for word in words if not _is_number(word))
        raise KpError(f"{where}: {wrong[:40]!a} is no number; mend the line") from None
    if not np.isfinite(values[:5]).all():
        raise KpError(f"{where}: class or box is not finite; mend the line")
    return values


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _states(points: Float64Array, where: str) -> tuple[StateArray, int]:
    """Return (K,) states, and how many of them were read off a (0, 0)."""
    if points.shape[1] == 2:
        zero = (points == 0).all(1)
        with np.errstate(invalid="ignore"):
            absent = zero | (points < 0).any(1) | np.isnan(points).any(1)
        return np.where(absent, UNLABELLED, VISIBLE).astype(np.uint8), int(zero.sum())
    seen = points[:, 2]
    wrong = np.flatnonzero(~np.isin(seen, (0, 1, 2)))
    if wrong.size:
        place = wrong[0]
        told = f"visibility {seen[place]:g} of keypoint {place}"
        raise KpError(f"{where}: {told}; must be 0 (not labelled), 1 (hidden), 2 (visible)")
    return seen.astype(np.uint8), 0


def _within(values: Float64Array, called: Callable[[int], str], where: str) -> None:
    with np.errstate(invalid="ignore"):
        outside = np.flatnonzero(~((values >= -SLACK) & (values <= 1 + SLACK)))
    if outside.size:
        place = int(outside[0])
        raise KpError(
            f"{where}: {called(place)} is {values[place]:g}; numbers are shares of the picture's width and height, 0 to"
            " 1: divide pixels by the picture's size"
        )
