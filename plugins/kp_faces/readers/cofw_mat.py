"""COFW's Matlab files, version 7.3: HDF5, with pictures in cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np

from kp_faces.readers.table import SHIFTED, Table, check_numbers, from_rows
from kp_faces.skeletons import COFW29
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Finding
from kpcore.reading import hdf5
from kpcore.reading.budget import fair
from kpcore.tensors import HIDDEN, VISIBLE, Float64Array, ImageArray

KIND = "COFW's .mat file, version 7.3"
POINTS = len(COFW29.names)
MOST = 100_000
"""Faces: no such file has more."""
LARGEST = 100_000_000
"""Pixels: no such picture has more."""


class Pictures(Sequence[ImageArray]):
    """The pictures of a file, read at once when the first is asked for, and held in memory.

    Args:
        path: the file.
        field: IsTr or IsT.
        count: how many there must be.
    """

    def __init__(self, path: Path, field: str, count: int) -> None:
        self._path = path
        self._field = field
        self._count = count
        self._read: list[ImageArray] = []

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> ImageArray: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ImageArray]: ...
    def __getitem__(self, place: int | slice) -> ImageArray | Sequence[ImageArray]:
        """Return a picture (H, W, 3) uint8 RGB."""
        if not self._read:
            with hdf5.opened(self._path, KIND) as file:
                cells = _cells(file, self._field, self._path)
                self._read = [_picture(file, cell, self._path, row) for row, cell in enumerate(cells)]
        return self._read[place]


def read(path: Path, ending: str) -> Table:
    """Read a file.

    Args:
        path: the file.
        ending: Tr or T, which its variables end with.

    Raises:
        KpError: it is damaged, or a variable is missing or of another shape.
    """
    with hdf5.opened(path, KIND) as file:
        cells = _cells(file, f"Is{ending}", path)
        _check_size(file, cells, path)
        count = len(cells)
        marks = _numbers(file, f"phis{ending}", (3 * POINTS, count), path).T
        boxes = _numbers(file, f"bboxes{ending}", (4, count), path).T
    points = np.stack([marks[:, :POINTS], marks[:, POINTS : 2 * POINTS]], axis=-1) - 1
    state = np.where(marks[:, 2 * POINTS :] > 0, HIDDEN, VISIBLE).astype(np.uint8)
    for row, one in enumerate(points):
        check_numbers(one, state[row], f"{path}, row {row}")
    names = [f"{path.stem}/{row:04d}" for row in range(count)]
    sides = np.concatenate([boxes[:, :2] - 1, boxes[:, :2] + boxes[:, 2:] - 1], axis=1)
    table = from_rows(
        Pictures(path, f"Is{ending}", count), names, points, state=state, rows=range(count), boxes=sides
    )  # fmt: skip
    return table.noting(Finding("note", SHIFTED, count))


def check(path: Path, ending: str) -> None:
    """Refuse a file without the variables; raises KpError."""
    with hdf5.opened(path, KIND) as file:
        for name in ("Is", "phis", "bboxes"):
            _own(file, f"{name}{ending}", path)


def _own(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    if name not in set(file):
        raise unknown("variable", name, [key for key in file if not key.startswith("#")], where=str(path))
    found = hdf5.own(file, name, path)
    if found is None:
        raise KpError(f"{path}: '{name}' is no plain variable; download the file again")
    return found


def _cells(file: h5py.File, name: str, path: Path) -> list[Any]:
    found = _own(file, name, path)
    of_cells = h5py.check_ref_dtype(found.dtype) is h5py.Reference
    if found.ndim != 2 or 1 not in found.shape or found.size > MOST or not of_cells:
        raise KpError(f"{path}: '{name}' has shape {found.shape} of {found.dtype}; expected a cell array of pictures")
    return list(found[()].ravel())


def _check_size(file: h5py.File, cells: Sequence[Any], path: Path) -> None:
    """Refuse pictures that unpack to absurdly much together: all cells may be of one; raises KpError."""
    found = [file[cell] for cell in cells if cell]
    unpacked = sum(int(picture.nbytes) for picture in found if isinstance(picture, h5py.Dataset))
    fair(unpacked, path.stat().st_size, "pictures", path)


def _numbers(file: h5py.File, name: str, shape: tuple[int, int], path: Path) -> Float64Array:
    found = _own(file, name, path)
    if found.shape != shape or found.dtype.kind not in "iuf":
        expected = f"{shape[1]} x {shape[0]}"
        raise KpError(f"{path}: '{name}' is {'x'.join(map(str, found.shape[::-1]))} in Matlab; expected {expected}")
    return np.asarray(found[()], np.float64)


def _picture(file: h5py.File, cell: Any, path: Path, row: int) -> ImageArray:
    """Return a picture; Matlab's axes are in reverse order in the file, and a grey one has two."""
    found = file[cell] if cell else None
    if not isinstance(found, h5py.Dataset):
        raise KpError(f"{path}: 'picture {row}' is no plain variable; download the file again")
    hdf5.plain(found, f"picture {row}", path)
    if found.dtype != np.uint8 or found.ndim not in (2, 3) or not 0 < found.size <= LARGEST:
        raise KpError(f"{path}, row {row}: picture has shape {found.shape} of {found.dtype}; expected bytes")
    pixels = np.asarray(found[()]).T
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] != 3:
        raise KpError(f"{path}, row {row}: picture has {pixels.shape[2]} colours; expected 1 or 3")
    return np.ascontiguousarray(pixels)
