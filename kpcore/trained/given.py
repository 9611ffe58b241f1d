"""What a program hands over to predict on, looked at before it is used: an image, boxes, and what names pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kpcore.errors import KpError, shown
from kpcore.tensors import AnyArray, ImageArray
from kpcore.trained.boxes import Box, Boxes, read_boxes

PATHS = "give a path, or a list of paths: images, folders, patterns, lists (.txt), videos"


def rgb(image: object) -> ImageArray:
    """Return an image as (H, W, 3) uint8; raises KpError where it is none."""
    array = array_of(image)
    if (
        array is None
        or array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] != 3)
        or not array.size
    ):
        raise KpError(f"image: {shown(image)}; expected a path, (H, W, 3) uint8 RGB, or (H, W) grey")
    return np.ascontiguousarray(np.repeat(array[..., None], 3, 2) if array.ndim == 2 else array)


def boxes_of(boxes: object) -> tuple[Box, ...]:
    """Return boxes (N, 4) left, top, width, height, of which there may be none; raises KpError where one is none."""
    array = array_of(boxes, np.float64)
    if array is not None and array.size == 0 and array.ndim in (1, 2):
        return ()
    if array is None or array.ndim != 2 or array.shape[1] != 4 or not _are_boxes(array):
        file = ""
        if isinstance(boxes, str | Path | Boxes):
            file = "; a file of boxes is for predict_all(pictures, boxes=FILE)"
        raise KpError(f"boxes: {shown(boxes)}; expected (N, 4) left, top, width, height, pixels, sizes above 0{file}")
    return tuple(Box((left, top, width, height), None) for left, top, width, height in array.tolist())


def _are_boxes(array: AnyArray) -> bool:
    return bool(np.isfinite(array).all() and (array[:, 2:] > 0).all())


def array_of(value: object, kind: Any = None) -> AnyArray | None:
    """Return a value as an array; None where it cannot be one."""
    try:
        return np.asarray(value, kind)
    except (ValueError, TypeError, RuntimeError, OverflowError):
        return None


def boxes_file(boxes: str | Path | Boxes | None) -> Boxes | None:
    """Return what a file of boxes says; raises KpError where it is none."""
    if isinstance(boxes, Boxes | None):
        return boxes
    if not isinstance(boxes, str | Path):
        raise KpError(f"boxes: {shown(boxes)}; give a file of boxes: COCO's JSON, or a CSV")
    return read_boxes(Path(boxes))


def words_of(given: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return what names pictures as texts: one path, or several.

    Raises:
        KpError: something is no path.
    """
    if isinstance(given, str | os.PathLike):
        return [_word(given)]
    if not isinstance(given, Iterable):
        raise KpError(f"pictures: {shown(given)}; {PATHS}")
    return [_word(one) for one in given]


def _word(one: object) -> str:
    word = os.fspath(one) if isinstance(one, str | os.PathLike) else None
    if not isinstance(word, str) or not word:
        arrays = "; predict() takes an array" if hasattr(one, "shape") else ""
        raise KpError(f"pictures: {shown(one)} names none; {PATHS}{arrays}")
    return word


def canvas_of(image: object, like: ImageArray) -> ImageArray:
    """Return a copy of an image of another's size, to draw on; raises KpError where it is none, or of another size."""
    canvas = rgb(image)
    if canvas.shape != like.shape:
        raise KpError(f"image: {shown(canvas)}; the keypoints are of a picture of {shown(like)}")
    return canvas.copy()
