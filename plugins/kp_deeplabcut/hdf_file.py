"""``CollectedData*.h5``: what pandas' ``to_hdf`` writes in its "fixed" format, read as plain arrays.

pandas is not needed, and nothing is unpickled: a file whose arrays are objects (or of pandas' "table" format, whose
column names are pickled) is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kp_deeplabcut.table import Labels, assemble, image_name
from kpcore.errors import KpError
from kpcore.reading import hdf5
from kpcore.reading.paths import Images
from kpcore.tensors import AnyArray, Float64Array


def read_hdf(path: Path, names: Images) -> Labels:
    """Read the file.

    Args:
        path: the file.
        names: finds its images.

    Raises:
        KpError: it is damaged, holds pickled objects, or is not of this layout.
    """
    with hdf5.opened(path, "a CollectedData HDF5 file, or save it as CSV beside it") as file:
        return _labels(path, _frame(path, file), names)


def _frame(path: Path, file: Any) -> Any:
    """Return the group of the one data frame."""
    frames = [name for name in hdf5.names(file) if hdf5.child(file, name) is not None]
    if len(frames) != 1 or "block0_values" not in set(file[frames[0]]):
        listed = ", ".join(map(repr, frames))
        raise KpError(
            f"{path}: holds no data frame in pandas' fixed format (groups: {listed[:80] or 'none'});"
            f" save the labels as {path.with_suffix('.csv').name} beside it (pandas: DataFrame.to_csv)"
        )
    return file[frames[0]]


def _labels(path: Path, frame: Any, names: Images) -> Labels:
    values = _numbers(path, frame, "block0_values")
    if "block1_values" in set(frame):
        raise KpError(f"{path}: its columns have several types; labels are of one, so save it as CSV beside it")
    levels = _levels(path, frame, "block0_items")
    if len(levels) not in (3, 4) or values.ndim != 2:
        raise KpError(
            f"{path}: {len(levels)} header rows over {values.shape}; DeepLabCut has 3 or 4 over frames x columns"
        )
    index = _levels(path, frame, "axis1")
    if {len(level) for level in index} != {len(values)} or {len(level) for level in levels} != {values.shape[1]}:
        raise KpError(f"{path}: header, images and values {values.shape} do not fit each other; save it as CSV")
    people = levels[1] if len(levels) == 4 else [""] * len(levels[0])
    images = [image_name(names, f"{path}, row {row}", cells) for row, cells in enumerate(zip(*index, strict=True))]
    return assemble(path, images, list(zip(people, levels[-2], levels[-1], strict=True)), values)


def _levels(path: Path, frame: Any, name: str) -> list[list[str]]:
    """Return an axis' levels, spelled out: a plain index has one; a multi-index has names and where each occurs."""
    if name in set(frame):
        return [_texts(path, frame, name)]
    levels: list[list[str]] = []
    while f"{name}_level{len(levels)}" in set(frame):
        number = len(levels)
        texts = _texts(path, frame, f"{name}_level{number}")
        codes = _numbers(path, frame, f"{name}_label{number}")
        if codes.ndim != 1 or not ((codes >= 0) & (codes < len(texts))).all():
            raise KpError(f"{path}, '{name}_label{number}': points at names that are not there; save it as CSV")
        levels.append([texts[int(code)] for code in codes])
    if not levels:
        raise KpError(f"{path}: has no '{name}'; it is not what DeepLabCut writes, save it as CSV beside it")
    return levels


def _array(path: Path, frame: Any, name: str) -> AnyArray:
    held = hdf5.own(frame, name, path)
    if held is None or held.size is None:
        raise KpError(f"{path}, '{name}': is missing or no array; save it as CSV beside it")
    if held.dtype.kind == "O":
        raise KpError(
            f"{path}, '{name}': holds pickled objects, which are never unpickled; save the labels as"
            f" {path.with_suffix('.csv').name} beside it (pandas: DataFrame.to_csv)"
        )
    return np.asarray(held[()])


def _numbers(path: Path, frame: Any, name: str) -> Float64Array:
    array = _array(path, frame, name)
    if array.dtype.kind not in "fiu":
        raise KpError(f"{path}, '{name}': is {array.dtype}, not numbers; save it as CSV beside it")
    return array.astype(np.float64)


def _texts(path: Path, frame: Any, name: str) -> list[str]:
    array = _array(path, frame, name)
    if array.dtype.kind != "S" or array.ndim != 1:
        raise KpError(
            f"{path}, '{name}': is {array.dtype} {array.shape}, not a list of names; save it as CSV beside it"
        )
    try:
        return [bytes(text).decode() for text in array]
    except UnicodeDecodeError:
        raise KpError(f"{path}, '{name}': is not UTF-8; save it as CSV beside it") from None
