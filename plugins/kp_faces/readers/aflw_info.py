"""``AFLWinfo_release.mat`` (Zhu et al., CVPR 2016): 19 landmarks and the published lists of AFLW."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kp_faces.readers.table import Table, check_numbers, from_rows
from kp_faces.skeletons import AFLW19
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Finding
from kpcore.reading.matlab import load
from kpcore.reading.paths import Images
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE, AnyArray, Float64Array

KIND = "AFLWinfo_release.mat"
POINTS = len(AFLW19.names)
TRAIN = 20_000
"""Faces, in the order of ``ra``, that are trained on; the others (4,386) are scored."""


def read(path: Path, images: Images) -> tuple[Table, AnyArray]:
    """Read all faces.

    ``data`` holds x of all landmarks, then y; ``mask_new`` is 1 where one is visible: the others were placed all the
    same and are hidden, but for those at (0, 0) or less. ``bbox`` holds left, right, top and bottom; ``ra`` the places
    of the faces, 1-based, first those to train on.

    Returns:
        the faces, and which are scored (N,).

    Raises:
        KpError: the file is damaged, or a variable is missing or of another shape.
    """
    fields = load(path, KIND)
    count = len(np.atleast_2d(_field(fields, "data", path)))
    marks = _numbers(fields, "data", (count, 2 * POINTS), path)
    seen = _numbers(fields, "mask_new", (count, POINTS), path) > 0
    left, right, top, bottom = _numbers(fields, "bbox", (count, 4), path).T
    points = np.stack([marks[:, :POINTS], marks[:, POINTS:]], axis=-1)
    placed = seen | (points > 0).any(-1)
    state = np.where(seen, VISIBLE, np.where(placed, HIDDEN, UNLABELLED)).astype(np.uint8)
    check_numbers(points, state, str(path))
    names = _names(_field(fields, "nameList", path), count, path, images)
    table = from_rows(
        list(map(images.path, names)), names, points, state=state, rows=range(count),
        boxes=np.stack([left, top, right, bottom], axis=1),
    )  # fmt: skip
    note = Finding("note", "landmarks that mask_new calls invisible are read as hidden", int((state == HIDDEN).sum()))
    return table.noting(note, *images.findings()), _scored(_field(fields, "ra", path), count, path)


def _field(fields: dict[str, Any], name: str, path: Path) -> AnyArray:
    if name not in fields:
        raise unknown("variable", name, [key for key in fields if not key.startswith("__")], where=str(path))
    return np.asarray(fields[name])


def _numbers(fields: dict[str, Any], name: str, shape: tuple[int, int], path: Path) -> Float64Array:
    found = _field(fields, name, path)
    if found.shape != shape or found.dtype.kind not in "biuf":
        raise KpError(f"{path}: '{name}' has shape {found.shape} of {found.dtype}; expected numbers {shape}")
    return found.astype(np.float64)


def _names(cells: AnyArray, count: int, path: Path, images: Images) -> list[str]:
    if cells.dtype != object or cells.size != count:
        raise KpError(f"{path}: 'nameList' has shape {cells.shape} of {cells.dtype}; expected {count} cells of text")
    texts = [np.asarray(cell).ravel() for cell in cells.ravel()]
    return [
        images.name(str(text[0]) if text.dtype.kind == "U" and len(text) else "", f"{path}, nameList, row {row}")
        for row, text in enumerate(texts)
    ]


def _scored(order: AnyArray, count: int, path: Path) -> AnyArray:
    places = order.ravel()
    if places.dtype.kind not in "iuf" or not np.array_equal(np.sort(places), np.arange(1, count + 1)):
        raise KpError(f"{path}: 'ra' is no order of the {count} faces; download the file again")
    scored = np.zeros(count, bool)
    scored[places[TRAIN:].astype(np.int64) - 1] = True
    return scored
