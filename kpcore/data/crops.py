"""How prepared crops lie on disk: raw pixels or JPEG, written so that a killed preparation goes on where it was.

A writer is fed crops in any order. What is safely on disk is noted beside it; finishing makes the store's HDF5 file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import cv2
import h5py
import numpy as np

from kpcore.errors import KpError
from kpcore.tensors import AnyArray, ImageArray

Kind = Literal["raw", "jpeg"]
JPEG_QUALITY = 95
JPEG_SHARE = 0.1
"""Bytes of a JPEG crop as a share of the raw one's: measured on crops of MPII at 256 pixels, margin included."""
SAFE_EVERY = 2.0
"""Seconds between two notes of what is safely on disk: what a kill costs at most."""

Fill = Callable[[h5py.File], None]
"""Writes everything but the crops into a store's file."""


class Crops(Protocol):
    """N crops of one side, read one by one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, S, S, 3)."""

    def __getitem__(self, row: int) -> ImageArray:
        """Return (S, S, 3) uint8 RGB."""


class JpegCrops:
    """Crops that are decoded when they are read.

    Args:
        data: the files, one after another, memory-mapped.
        places: (N, 2) offset and length of each.
        side: of a crop.
    """

    def __init__(self, data: ImageArray, places: AnyArray, side: int) -> None:
        self._data = data
        self._places = places
        self.shape = (len(places), side, side, 3)

    def __getitem__(self, row: int) -> ImageArray:
        """Decode one crop."""
        offset, length = self._places[row]
        pixels = cv2.imdecode(self._data[offset : offset + length], cv2.IMREAD_COLOR)
        if pixels is None or pixels.shape != self.shape[1:]:
            raise KpError(
                f"prepared crop {row} is damaged; remove its store with 'kp cache gc --stores', it is made anew"
            )
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def read_crops(path: Path, file: h5py.File) -> Crops:
    """Return the crops of an open store, memory-mapped."""
    data = file["crops"]
    mapped = np.memmap(path, np.uint8, "r", offset=data.id.get_offset(), shape=data.shape)
    return JpegCrops(mapped, file["places"][()], int(file.attrs["side"])) if "places" in file else mapped


class Writer(Protocol):
    """Takes a store's crops."""

    def missing(self) -> Sequence[int]:
        """Rows that are not on disk yet."""

    def encode(self, crop: ImageArray) -> AnyArray:
        """Return what is written of a crop; called in any thread."""

    def put(self, row: int, encoded: AnyArray) -> None:
        """Write a crop."""

    def safe(self) -> None:
        """Note what has been written, once it is safely on disk."""

    def finish(self) -> None:
        """Turn what was written into the store's file."""

    def discard(self) -> None:
        """Leave nothing behind."""

    def close(self) -> None:
        """Let go of files."""


def writer(kind: Kind, path: Path, people: int, side: int, fill: Fill) -> Writer:
    """Return the writer of a store, gone on with where an earlier one was killed."""
    return RawWriter(path, people, side, fill) if kind == "raw" else JpegWriter(path, people, side, fill)


class _Notes:
    """(N, 2) offset and length of every crop that is safely on disk, -1 elsewhere; a file of its own."""

    def __init__(self, path: Path, people: int) -> None:
        self.path = path
        if not path.exists() or path.stat().st_size != people * 16:
            np.full((people, 2), -1, np.int64).tofile(path)
        self.places = np.memmap(path, np.int64, "r+", shape=(people, 2))
        self.waiting: list[tuple[int, int, int]] = []
        self.noted = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self.noted > SAFE_EVERY

    def write(self) -> None:
        for row, offset, length in self.waiting:
            self.places[row] = offset, length
        self.places.flush()
        self.waiting.clear()
        self.noted = time.monotonic()

    def missing(self) -> list[int]:
        return np.flatnonzero(self.places[:, 0] < 0).tolist()


class RawWriter:
    """Raw crops in one contiguous block of the HDF5 file, which is laid out first and then filled through memory."""

    def __init__(self, path: Path, people: int, side: int, fill: Fill) -> None:
        self.path = path
        self.partial = path.with_suffix(".partial")
        self.shape = (people, side, side, 3)
        if not self._is_ours():
            path.with_suffix(".done").unlink(missing_ok=True)
            self._lay_out(fill)
        with h5py.File(self.partial, "r") as file:
            offset = file["crops"].id.get_offset()
        self.crops = np.memmap(self.partial, np.uint8, "r+", offset=offset, shape=self.shape)
        self.notes = _Notes(path.with_suffix(".done"), people)

    def _is_ours(self) -> bool:
        try:
            with h5py.File(self.partial, "r") as file:
                return bool(file.attrs.get("laid_out", False)) and file["crops"].shape == self.shape
        except (OSError, KeyError):
            return False

    def _lay_out(self, fill: Fill) -> None:
        """Write everything but the pixels, and reserve their place."""
        with h5py.File(self.partial, "w") as file:
            how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            how.set_layout(h5py.h5d.CONTIGUOUS)
            how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            h5py.h5d.create(file.id, b"crops", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(self.shape), how)
            fill(file)
            file.attrs["laid_out"] = True

    def missing(self) -> Sequence[int]:
        """Rows that are not on disk yet."""
        return self.notes.missing()

    def encode(self, crop: ImageArray) -> AnyArray:
        """Return the crop."""
        return crop

    def put(self, row: int, encoded: AnyArray) -> None:
        """Copy the pixels."""
        self.crops[row] = encoded
        self.notes.waiting.append((row, row, 1))
        if self.notes.due():
            self.safe()

    def safe(self) -> None:
        """Note what has been written, once it is safely on disk."""
        self.crops.flush()
        self.notes.write()

    def finish(self) -> None:
        """Give the file its name."""
        self.crops.flush()
        self.partial.replace(self.path)
        self.notes.path.unlink()

    def discard(self) -> None:
        """Leave nothing behind."""
        self.partial.unlink(missing_ok=True)
        self.path.with_suffix(".done").unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is open: what is mapped goes with this object."""


class JpegWriter:
    """JPEG crops appended to one file, and copied into the HDF5 file at the end."""

    def __init__(self, path: Path, people: int, side: int, fill: Fill) -> None:
        self.path = path
        self.partial = path.with_suffix(".partial")
        self.side = side
        self.fill = fill
        if not self.partial.exists():
            path.with_suffix(".done").unlink(missing_ok=True)
        self.notes = _Notes(path.with_suffix(".done"), people)
        self.stream = self.partial.open("ab")
        lost = self.notes.places.sum(1) > self.stream.tell()  # noted, but the bytes are not there
        self.notes.places[lost] = -1

    def missing(self) -> Sequence[int]:
        """Rows that are not on disk yet."""
        return self.notes.missing()

    def encode(self, crop: ImageArray) -> AnyArray:
        """Return the crop as a JPEG file, full colour resolution."""
        settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
        done, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), settings)
        if not done:
            raise KpError("a crop cannot be written as JPEG; set training.crops = 'raw'")
        return data

    def put(self, row: int, encoded: AnyArray) -> None:
        """Append the file."""
        self.notes.waiting.append((row, self.stream.tell(), len(encoded)))
        self.stream.write(encoded.tobytes())
        if self.notes.due():
            self.safe()

    def safe(self) -> None:
        """Note what has been written, once it has left this process."""
        self.stream.flush()
        self.notes.write()

    def finish(self) -> None:
        """Copy the files into the store's own."""
        self.safe()
        self.stream.close()
        whole = self.path.with_suffix(".whole")
        with h5py.File(whole, "w") as file:
            file.create_dataset("crops", data=np.memmap(self.partial, np.uint8, "r"))
            file["places"] = np.asarray(self.notes.places)
            file.attrs["side"] = self.side
            self.fill(file)
        whole.replace(self.path)
        self.discard()

    def discard(self) -> None:
        """Leave nothing behind."""
        self.close()
        for suffix in (".partial", ".done", ".whole"):
            self.path.with_suffix(suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file that is appended to."""
        self.stream.close()
