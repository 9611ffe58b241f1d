"""Newell's ``train.h5`` and ``valid.h5`` (princeton-vl/pose-hg-train): adjusted centre and scale, 1-based pixels."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from kp_mpii.readers.plausible import unit_findings
from kp_mpii.readers.source import Source
from kp_mpii.readers.table import (
    JOINTS,
    Table,
    head_identity,
    shift_note,
    states,
    unadjusted_note,
    zero_based,
)
from kpcore.errors import KpError, unknown
from kpcore.reading import hdf5
from kpcore.reading.opening import read_text
from kpcore.reading.paths import Images
from kpcore.tensors import AnyArray, Float64Array

KIND = "Newell's HDF5 annotation"
MOST_PEOPLE = 1_000_000
"""MPII has 40,522."""


class NewellSource(Source):
    """Files by part."""

    list_name = "newell"

    def __init__(self, root: Path, files: Mapping[str, Path]) -> None:
        super().__init__(root)
        for path in files.values():
            _check_joints(path)
        self._files = files

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts whose file exists."""
        return tuple(self._files)

    def table(self, part: str) -> Table:
        """Read the part's file."""
        return read(self._files[part], self.images())


def _check_joints(path: Path) -> None:
    """Refuse a file of another body at once: Human3.6M's bears the same name. A damaged one is told when it is read.

    Raises:
        KpError: it holds another number of joints.
    """
    with suppress(OSError, RuntimeError, KeyError, ValueError), h5py.File(path, "r") as file:
        found = file["part"] if "part" in hdf5.names(file) else None
        shape = found.shape if isinstance(found, h5py.Dataset) else None
        if shape is not None and len(shape) == 3 and JOINTS not in shape:
            raise KpError(f"{path}: 'part' is {shape}; MPII's is (N, {JOINTS}, 2), so this is another data set's file")


def names_file(path: Path) -> Path:
    """``train_images.txt`` beside ``train.h5``."""
    return path.with_name(f"{path.stem}_images.txt")


def read(path: Path, names: Images) -> Table:
    """Read one file, whose images ``names`` finds.

    It holds part (N, 16, 2), center (N, 2), scale, normalize (N,), visible (N, 16), imgname; index, person.

    A joint at exactly (0, 0), or with a negative ``visible``, is unlabelled; ``visible`` 0 is hidden. A coordinate's
    sign says nothing: joints above or left of the picture have coordinates <= 0.

    Raises:
        KpError: the file is damaged, or a field is missing or of another shape.
    """
    with hdf5.opened(path, KIND) as file:
        people = _people(file, path)
        points = _numbers(file, path, "part", (people, JOINTS, 2))
        visible = _numbers(file, path, "visible", (people, JOINTS))
        scale, centres = _numbers(file, path, "scale", (people,)), _numbers(file, path, "center", (people, 2))
        table = Table(
            images=_images(file, path, people, names),
            points=zero_based(points),
            state=states(points.any(-1) & ~(visible < 0), visible > 0),
            centres=zero_based(centres),
            scales=scale / 1.25,
            head_sizes=_numbers(file, path, "normalize", (people,)),
            person_ids=_person_ids(file, path, people),
            rows=np.arange(people),
        )
    odd = unit_findings(scale, centres, visible, keys=("scale", "center", "visible"))
    return table.noting(shift_note(people), unadjusted_note(people), *names.findings(), *odd, *head_identity(table))


def _dataset(file: h5py.File, path: Path, key: str) -> h5py.Dataset:
    found = hdf5.own(file, key, path)
    if found is None:
        raise unknown("field", key, sorted(file), where=f"{path}: {KIND} needs field '{key}'")
    return found


def _people(file: h5py.File, path: Path) -> int:
    shape: tuple[int, ...] = _dataset(file, path, "part").shape or ()
    if len(shape) != 3:
        raise KpError(f"{path}: field 'part' has shape {shape}; expected (people, {JOINTS}, 2)")
    if shape[0] > MOST_PEOPLE:
        raise KpError(f"{path}: field 'part' declares {shape[0]:,} people; MPII has fewer than {MOST_PEOPLE:,}")
    return int(shape[0])


def _numbers(file: h5py.File, path: Path, key: str, shape: tuple[int, ...]) -> Float64Array:
    dataset = _dataset(file, path, key)
    if dataset.shape != shape or dataset.dtype.kind not in "iuf":
        raise KpError(f"{path}: field '{key}' has shape {dataset.shape} of {dataset.dtype}; expected numbers {shape}")
    return np.asarray(dataset[()], np.float64)


def _images(file: h5py.File, path: Path, people: int, images: Images) -> tuple[str, ...]:
    if "imgname" in hdf5.names(file):
        names, source = _stored_names(_dataset(file, path, "imgname"), path), f"{path}, field 'imgname'"
    else:
        names, source = read_text(names_file(path), "a list of image names").split(), str(names_file(path))
    if len(names) != people:
        raise KpError(f"{source}: {len(names)} image names for {people} people")
    return tuple(images.name(name, f"{source}, row {row}") for row, name in enumerate(names))


def _stored_names(dataset: h5py.Dataset, path: Path) -> list[str]:
    if h5py.check_string_dtype(dataset.dtype) and dataset.ndim == 1:
        return hdf5.strings(dataset, "imgname", path)
    if dataset.dtype.kind in "iuf" and dataset.ndim == 2:
        return [_spelled(codes, f"{path}, field 'imgname', row {row}") for row, codes in enumerate(dataset[()])]
    raise KpError(f"{path}: field 'imgname' has shape {dataset.shape} of {dataset.dtype}; expected strings or codes")


def _spelled(codes: AnyArray, where: str) -> str:
    if not ((codes >= 0) & (codes < 128)).all():
        raise KpError(f"{where}: holds character codes outside 0..127")
    return codes.astype(np.uint8).tobytes().rstrip(b"\0 ").decode("ascii")


def _person_ids(file: h5py.File, path: Path, people: int) -> tuple[str, ...]:
    if not {"index", "person"} <= set(hdf5.names(file)):
        return tuple(str(row) for row in range(people))
    index, person = (_numbers(file, path, key, (people,)) for key in ("index", "person"))
    return tuple(f"{image:.0f}/{who:.0f}" for image, who in zip(index, person, strict=True))
