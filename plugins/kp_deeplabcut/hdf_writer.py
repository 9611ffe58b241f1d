"""A data frame as ``DataFrame.to_hdf`` writes it in its fixed format, the one that DeepLabCut keeps labels in.

Written by h5py alone: pandas and PyTables, which read it, are not needed. Nothing in it is pickled but the name of an
index that has none, which pandas writes as a pickled None (the two bytes ``N.``) and expects so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kpcore.tensors import AnyArray, Float64Array

KEY = "df_with_missing"
"""Name of the frame in DeepLabCut's files."""
SOME = 256
"""Rows that are written at once."""
NAMELESS = "N."
NOTHING = h5py.Empty("S1")
GROUP = {"CLASS": "GROUP", "TITLE": "", "VERSION": "1.0"}
ARRAY = {"CLASS": "ARRAY", "FLAVOR": "numpy", "TITLE": "", "VERSION": "2.4"}


def write_hdf(
    path: Path,
    names: Sequence[str],
    columns: Sequence[tuple[str, ...]],
    index: Sequence[tuple[str, ...]] | Sequence[int],
    rows: Iterable[Float64Array],
) -> None:
    """Write a frame.

    Args:
        path: the file.
        names: of the columns' levels.
        columns: C columns, each with a text a level.
        index: R rows, each with one or several texts, or their numbers.
        rows: R times (C,), NaN where missing; taken some at a time.
    """
    with h5py.File(path, "w") as file:
        _tell(file, {**GROUP, "PYTABLES_FORMAT_VERSION": "2.1"})
        frame = file.create_group(KEY)
        _tell(frame, {**GROUP, "pandas_type": "frame", "pandas_version": "0.15.2", "encoding": "UTF-8"})
        _tell(frame, {"errors": "strict", "ndim": 2, "nblocks": 1})
        for axis in ("axis0", "block0_items"):
            _levels(frame, axis, names, columns)
        _rows(frame, index)
        values = _told(frame.create_dataset("block0_values", (len(index), len(columns)), np.float64))
        for start, some in enumerate(batched(iter(rows), SOME)):
            values[start * SOME : start * SOME + len(some)] = np.stack(some)


def batched(rows: Iterator[Float64Array], count: int) -> Iterator[list[Float64Array]]:
    """Yield that many rows at a time."""
    while some := list(islice(rows, count)):
        yield some


def _rows(frame: Any, index: Sequence[tuple[str, ...]] | Sequence[int]) -> None:
    """Write the frame's index."""
    first = index[0] if index else 0
    if isinstance(first, tuple) and len(first) > 1:
        _levels(frame, "axis1", [NAMELESS] * len(first), index)  # type: ignore[arg-type]  # all are as the first
        return
    _tell(frame, {"axis1_variety": "regular"})
    if isinstance(first, tuple):
        _index(frame, "axis1", _texts([row[0] for row in index]), "string", NAMELESS)  # type: ignore[index]
    else:
        _index(frame, "axis1", np.array(index, np.int64), "integer", NAMELESS)


def _levels(frame: Any, axis: str, names: Sequence[str], cells: Sequence[tuple[str, ...]]) -> None:
    """Write an index of several levels: each one's texts, and which of them every entry has."""
    _tell(frame, {f"{axis}_variety": "multi", f"{axis}_nlevels": len(names)})
    for number, (name, texts) in enumerate(zip(names, zip(*cells, strict=True), strict=True)):
        known = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        level = _index(frame, f"{axis}_level{number}", _texts(list(known)), "string", name)
        _tell(level, {f"{axis}_name{'None' if name == NAMELESS else name}": name})
        _array(frame, f"{axis}_label{number}", np.array([known[text] for text in texts], np.int32))


def _index(frame: Any, name: str, values: AnyArray, kind: str, title: str) -> Any:
    array = _array(frame, name, values)
    _tell(array, {"kind": kind, "name": title, **({"nan_rep": ""} if kind == "string" else {})})
    return array


def _array(frame: Any, name: str, values: AnyArray) -> Any:
    return _told(frame.create_dataset(name, data=values))


def _told(array: Any) -> Any:
    """Describe an array as PyTables does; return it."""
    _tell(array, ARRAY)
    array.attrs["transposed"] = np.uint8(1)
    return array


def _tell(node: Any, attributes: Mapping[str, str | int]) -> None:
    """Set attributes as PyTables does: texts of a fixed length in UTF-8, numbers of 64 bits."""
    for name, value in attributes.items():
        if isinstance(value, int):
            node.attrs[name] = np.int64(value)
        elif value:
            told = value.encode()
            node.attrs.create(name, told, dtype=h5py.string_dtype("utf-8", len(told)))
        else:
            node.attrs[name] = NOTHING


def _texts(texts: Sequence[str]) -> AnyArray:
    return np.array([text.encode() for text in texts])
