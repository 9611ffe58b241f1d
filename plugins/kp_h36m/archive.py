"""Arrays of numbers and of text out of HDF5 and .npz files, which may be hostile; nothing pickled is ever loaded."""

from __future__ import annotations

import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import h5py
import numpy as np

from kpcore.errors import KpError, unknown
from kpcore.reading import hdf5
from kpcore.reading.budget import fair
from kpcore.reading.opening import guarded
from kpcore.tensors import AnyArray, Float64Array

KIND = "Human3.6M's annotation"
MOST_ROWS = 10_000_000
"""Human3.6M has 3.6 million frames."""
KINDS = "iuf"
LONGEST_HEADER = 2**16
"""Bytes in which an array's header ends; numpy itself would first read as many as the header claims to have."""


@dataclass(frozen=True)
class Field:
    """What a file declares of one of its arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


class Archive(ABC):
    """Named arrays in a file, which is opened for each call and closed after it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """What the file declares, without reading any array."""
        with guarded(self.path, KIND):
            return self._fields()

    def numbers(self, key: str, shape: tuple[int, ...]) -> Float64Array:
        """Read an array of this shape; raises KpError where it has another, or holds no numbers."""
        field = self.field(key)
        if field.shape != shape or field.dtype.kind not in KINDS:
            raise KpError(f"{self.path}: '{key}' has shape {field.shape} of {field.dtype}; expected numbers {shape}")
        with guarded(self.path, KIND):
            return np.asarray(self._read(key), np.float64)

    def texts(self, key: str, rows: int) -> tuple[str, ...]:
        """Read an array of strings, one a row; raises KpError where it is none."""
        field = self.field(key)
        if field.shape != (rows,):
            raise KpError(f"{self.path}: '{key}' has shape {field.shape}; expected one name a row, ({rows},)")
        with guarded(self.path, KIND):
            return tuple(self._texts(key))

    def field(self, key: str) -> Field:
        """Return what is declared of an array; raises KpError where there is none, or too much of it."""
        if key not in self.fields:
            raise unknown("array", key, sorted(self.fields), where=f"{self.path}")
        field = self.fields[key]
        if field.shape and field.shape[0] > MOST_ROWS:
            raise KpError(
                f"{self.path}: '{key}' declares {field.shape[0]:,} rows; Human3.6M has fewer than {MOST_ROWS:,}"
            )
        return field

    @abstractmethod
    def _fields(self) -> Mapping[str, Field]: ...

    @abstractmethod
    def _read(self, key: str) -> AnyArray: ...

    @abstractmethod
    def _texts(self, key: str) -> Iterator[str]: ...


class Hdf5(Archive):
    """Datasets in the root group of an HDF5 file."""

    def _fields(self) -> Mapping[str, Field]:
        with h5py.File(self.path, "r") as file:
            found = {key: file[key] for key in hdf5.names(file) if isinstance(file[key], h5py.Dataset)}
            return {key: Field(tuple(item.shape or ()), item.dtype) for key, item in found.items()}

    def _read(self, key: str) -> AnyArray:
        with h5py.File(self.path, "r") as file:
            return np.asarray(self._dataset(file, key)[()])

    def _texts(self, key: str) -> Iterator[str]:
        with h5py.File(self.path, "r") as file:
            dataset = self._dataset(file, key)
            if not h5py.check_string_dtype(dataset.dtype):
                raise KpError(f"{self.path}: '{key}' holds {dataset.dtype}; expected strings")
            yield from hdf5.strings(dataset, key, self.path)

    def _dataset(self, file: h5py.File, key: str) -> h5py.Dataset:
        return hdf5.plain(file[key], key, self.path)


class Npz(Archive):
    """Members of a .npz, read from the header on; one that holds Python objects is a pickle and is refused."""

    def _fields(self) -> Mapping[str, Field]:
        with zipfile.ZipFile(self.path) as file:
            names = [name for name in file.namelist() if name.endswith(".npy")]
            if len(set(names)) < len(names):
                raise KpError(f"{self.path}: holds two arrays of one name; write it again")
            return {name.removesuffix(".npy"): self._field(file, name) for name in names}

    def _field(self, file: zipfile.ZipFile, name: str) -> Field:
        with file.open(name) as member:
            shape, _, dtype = _header(io.BytesIO(member.read(LONGEST_HEADER)))
        return Field(shape, dtype)

    def _read(self, key: str) -> AnyArray:
        if self.field(key).dtype.hasobject:
            raise pickled(self.path, key)
        with zipfile.ZipFile(self.path) as file, file.open(f"{key}.npy") as member:
            info = file.getinfo(f"{key}.npy")
            fair(info.file_size, info.compress_size, key, self.path)
            head = io.BytesIO(member.read(LONGEST_HEADER))
            shape, fortran, dtype = _header(head)
            member.seek(head.tell())
            size = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if size != info.file_size - member.tell():
                raise KpError(f"{self.path}: '{key}' declares {size:,} bytes and holds another number of them")
            flat = np.frombuffer(member.read(size), dtype)
            member.read(1)  # the end, where zipfile compares the checksum
        return flat.reshape(shape, order="F" if fortran else "C")

    def _texts(self, key: str) -> Iterator[str]:
        kind = self.field(key).dtype.kind
        if kind not in "USO":
            raise KpError(f"{self.path}: '{key}' holds {self.field(key).dtype}; expected strings")
        for name in self._read(key).tolist():
            yield name.decode("utf-8") if isinstance(name, bytes) else str(name)


def pickled(path: Path, key: str) -> KpError:
    """The error for an array of Python objects."""
    return KpError(
        f"{path}: '{key}' holds pickled Python objects, which could run any code and are never loaded; write it as a"
        " plain array (np.array of numbers, or of strings of one length)"
    )


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Return shape, whether the first axis runs fastest, and type; a limit on its length is numpy's."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(member)
    raise ValueError(f"array format {version} is neither 1.0 nor 2.0")
