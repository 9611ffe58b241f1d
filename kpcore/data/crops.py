"""How prepared crops lie on disk: raw pixels or JPEG, written so that a killed preparation goes on where it was.

A writer is fed crops in any order. What is safely on disk is noted beside it, with its digest; finishing makes the
store's HDF5 file, which holds crops and digests and nothing else: who they are of is told by the samples.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, Protocol

import cv2
import h5py
import numpy as np

from kpcore.errors import KpError
from kpcore.reading import hdf5
from kpcore.reading.opening import one_line
from kpcore.tensors import AnyArray, ImageArray

Kind = Literal["raw", "jpeg"]
JPEG_QUALITY = 95
JPEG_SHARE = 0.1
"""Bytes of a JPEG crop as a share of the raw one's: measured on crops of MPII at 256 pixels, margin included."""
SAFE_EVERY = 2.0
"""Seconds between two notes of what is safely on disk: what a kill costs at most."""


Mend = Callable[[int], AnyArray]
"""Makes the encoded crop of a row anew, from its image."""


class Crops:
    """N crops of one side, read one by one and checked against their digests when they are first read.

    A crop that is not what was written is made anew from its image, and ``told`` hears of it; its file is not used for
    that row again.

    Args:
        data: (N, S, S, 3) pixels, or with ``places`` the JPEG files one after another; memory-mapped.
        places: (N, 2) offset and length of each JPEG file; None for pixels.
        digests: (N, 32) of each crop as it lies on disk.
        side: of a crop.
        mend: for what is damaged.
        told: is given the row of what was damaged.
    """

    def __init__(
        self, data: ImageArray, places: AnyArray | None, digests: AnyArray, side: int, mend: Mend,
        told: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._data = data
        self._places = places
        self._digests = digests
        self._mend = mend
        self._told = told
        self._checked = np.zeros(len(digests), bool)
        self._mended: dict[int, AnyArray] = {}
        self.shape = (len(digests), side, side, 3)

    def __len__(self) -> int:
        return len(self._digests)

    def __getitem__(self, row: int) -> ImageArray:
        """Return (S, S, 3) uint8 RGB; raises IndexError beyond the last."""
        encoded = self._mended.get(row)
        if encoded is None:
            encoded = self._stored(row)
            if not self._checked[row]:
                encoded = self._check(row, encoded)
        return encoded if self._places is None else decode_jpeg(encoded)

    def damaged(self) -> list[int]:
        """Return the rows that are not as they were written; every crop is read."""
        return [row for row in range(len(self)) if digest(self._stored(row)) != self._digests[row].tobytes()]

    def _stored(self, row: int) -> AnyArray:
        if self._places is None:
            return np.asarray(self._data[row])
        offset, length = self._places[row]
        return self._data[offset : offset + length]

    def _check(self, row: int, encoded: AnyArray) -> AnyArray:
        self._checked[row] = True
        if digest(encoded) != self._digests[row].tobytes():
            self._told(row)
            encoded = self._mend(row)
            if digest(encoded) != self._digests[row].tobytes():
                raise KpError(
                    f"prepared crop {row} is damaged, and its image is not the one that it was cut from; run the study"
                    " again, and all crops are made anew"
                )
            self._mended[row] = encoded
        return encoded


def digest(encoded: AnyArray) -> bytes:
    """Return the SHA-256 of a crop as it lies on disk."""
    return hashlib.sha256(np.ascontiguousarray(encoded).data).digest()


def encode_jpeg(crop: ImageArray) -> AnyArray:
    """Return the crop as a JPEG file, full colour resolution."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise KpError("a crop cannot be written as JPEG; set training.crops = 'raw'")
    return np.asarray(data)


def decode_jpeg(encoded: AnyArray) -> ImageArray:
    """Return the pixels of a crop that :func:`encode_jpeg` wrote."""
    pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert pixels is not None  # its digest has been checked
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def index_digest(key: str, side: int, digests: AnyArray, places: AnyArray | None) -> np.bytes_:
    """Return what a store's file says of itself: the digest of all that its crops are found and checked by.

    Of fixed length: HDF5 keeps others in a heap, and reads a damaged heap for ever, or past its end.
    """
    found = hashlib.sha256(f"{key} {side} {len(digests)}".encode())
    found.update(np.ascontiguousarray(digests).data)
    if places is not None:
        found.update(np.ascontiguousarray(places, np.int64).data)
    return np.bytes_(found.hexdigest())


UNREADABLE = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError)
"""What opening a store's file raises where it is not as it was written."""


def crops_problem(path: Path) -> str:
    """Return what is wrong with a store's file, of which every crop is read; "" where nothing is."""
    try:
        with h5py.File(path, "r") as file:
            count, side = len(_own(file, "digests", path)), int(file.attrs["side"])
        damaged = read_crops(path, count, side, _nothing_to_mend, lambda row: None).damaged()
    except UNREADABLE as error:
        return one_line(error, 120)
    return f"{len(damaged)} of {count} crops are damaged (first: row {damaged[0]})" if damaged else ""


def _nothing_to_mend(row: int) -> AnyArray:
    raise AssertionError(f"crop {row} is only looked at")


def read_crops(path: Path, count: int, side: int, mend: Mend, told: Callable[[int], None]) -> Crops:
    """Open a store's crops, memory-mapped; what tells where they are is checked now, they themselves when first read.

    Raises:
        One of UNREADABLE: the file is not as it was written.
    """
    with h5py.File(path, "r") as file:
        data, digests = file["crops"], _own(file, "digests", path)[()]
        places = _own(file, "places", path)[()] if "places" in file else None
        if data.is_virtual or data.external or data.id.get_offset() is None:
            raise ValueError("its crops lie in another file, or in pieces")
        if digests.shape != (count, 32) or (places is None and data.shape != (count, side, side, 3)):
            raise ValueError(f"holds {digests.shape[0]} crops, {count} are needed")
        if file.attrs["index"] != index_digest(path.stem, side, digests, places):
            raise ValueError("its index is not as it was written")
        mapped = np.memmap(path, np.uint8, "r", offset=data.id.get_offset(), shape=data.shape)
    return Crops(mapped, places, digests, side, mend, told)


def _own(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """Return an array of this very file; raises ValueError where it lies elsewhere, or unpacks to too much."""
    try:
        found = hdf5.own(file, name, path)
    except KpError as error:
        raise ValueError(str(error)) from None
    if found is None:
        raise KeyError(name)
    return found


class Writer(Protocol):
    """Takes a store's crops."""

    def missing(self) -> Sequence[int]:
        """Rows that are not on disk yet."""

    def encode(self, crop: ImageArray) -> Encoded:
        """Return what is written of a crop, with its digest; called in any thread."""

    def put(self, row: int, encoded: Encoded) -> None:
        """Write a crop."""

    def safe(self) -> None:
        """Note what has been written, once it is safely on disk."""

    def finish(self) -> None:
        """Turn what was written into the store's file."""

    def discard(self) -> None:
        """Leave nothing behind."""

    def close(self) -> None:
        """Let go of files."""


Encoded = tuple[AnyArray, bytes]
"""What is written of a crop, and its digest."""


def writer(kind: Kind, path: Path, count: int, side: int) -> Writer:
    """Return the writer of a store, gone on with where an earlier one was killed; links in its way go."""
    for suffix in (".partial", ".done", ".whole"):
        if (link := path.with_suffix(suffix)).is_symlink():
            link.unlink()
    return RawWriter(path, count, side) if kind == "raw" else JpegWriter(path, count, side)


NOTE = np.dtype([("offset", np.int64), ("length", np.int64), ("digest", np.uint8, 32)])


class _Notes:
    """Offset, length and digest of every crop that is safely on disk, offset -1 elsewhere; a file of its own."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        if not path.exists() or path.stat().st_size != count * NOTE.itemsize:
            fresh = np.zeros(count, NOTE)
            fresh["offset"] = -1
            path.write_bytes(fresh.tobytes())
        self.table = np.fromfile(path, NOTE)
        self.waiting: list[tuple[int, int, int, bytes]] = []
        self.noted = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self.noted > SAFE_EVERY

    def write(self) -> None:
        with self.path.open("r+b") as file:
            for row, offset, length, digest in self.waiting:
                self.table[row] = (offset, length, np.frombuffer(digest, np.uint8))
                file.seek(row * NOTE.itemsize)
                file.write(self.table[row].tobytes())
        self.waiting.clear()
        self.noted = time.monotonic()

    def missing(self) -> list[int]:
        return np.flatnonzero(self.table["offset"] < 0).tolist()

    def seal(self, file: h5py.File, key: str, side: int, places: AnyArray | None) -> None:
        """Write the digests, and the digest of all that crops are found and checked by, into a store's file."""
        digests = np.ascontiguousarray(self.table["digest"])
        file["digests"][...] = digests
        file.attrs["index"] = index_digest(key, side, digests, places)


class RawWriter:
    """Raw crops in one contiguous block of the HDF5 file, which is laid out first, its room taken, and then filled.

    It is written as any file is: a disk that fills up is an error, where writing through memory would end the process.
    """

    def __init__(self, path: Path, count: int, side: int) -> None:
        self.path = path
        self.partial = path.with_suffix(".partial")
        self.shape = (count, side, side, 3)
        if not self._is_ours():
            path.with_suffix(".done").unlink(missing_ok=True)
            lay_out(self.partial, self.shape, count, side)
        self.offset = place_of(self.partial)
        self.stream = self.partial.open("r+b")
        self.notes = _Notes(path.with_suffix(".done"), count)

    def _is_ours(self) -> bool:
        try:
            with h5py.File(self.partial, "r") as file:
                whole = bool(file.attrs.get("laid_out", False)) and "digests" in file
                return whole and file["crops"].shape == self.shape
        except (OSError, KeyError):
            return False

    def missing(self) -> Sequence[int]:
        """Rows that are not on disk yet."""
        return self.notes.missing()

    def encode(self, crop: ImageArray) -> Encoded:
        """Return the crop."""
        return crop, digest(crop)

    def put(self, row: int, encoded: Encoded) -> None:
        """Write the pixels."""
        self.stream.seek(self.offset + row * math.prod(self.shape[1:]))
        self.stream.write(encoded[0].data)
        self.notes.waiting.append((row, row, 1, encoded[1]))
        if self.notes.due():
            self.safe()

    def safe(self) -> None:
        """Note what has been written, once it is safely on disk."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.notes.write()

    def finish(self) -> None:
        """Give the file its name."""
        self.safe()
        self.stream.close()
        with h5py.File(self.partial, "r+") as file:
            self.notes.seal(file, self.path.stem, self.shape[1], None)
        self.partial.replace(self.path)
        self.notes.path.unlink()

    def discard(self) -> None:
        """Leave nothing behind."""
        self.close()
        self.partial.unlink(missing_ok=True)
        self.path.with_suffix(".done").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file that is filled."""
        close(self.stream)


class JpegWriter:
    """JPEG crops appended to one file, and copied into the HDF5 file at the end."""

    def __init__(self, path: Path, count: int, side: int) -> None:
        self.path = path
        self.partial = path.with_suffix(".partial")
        self.side = side
        if not self.partial.exists():
            path.with_suffix(".done").unlink(missing_ok=True)
        self.notes = _Notes(path.with_suffix(".done"), count)
        self.stream = self.partial.open("ab")
        table = self.notes.table
        table["offset"][table["offset"] + table["length"] > self.stream.tell()] = -1  # noted, but the bytes are gone

    def missing(self) -> Sequence[int]:
        """Rows that are not on disk yet."""
        return self.notes.missing()

    def encode(self, crop: ImageArray) -> Encoded:
        """Return the crop as a JPEG file."""
        encoded = encode_jpeg(crop)
        return encoded, digest(encoded)

    def put(self, row: int, encoded: Encoded) -> None:
        """Append the file."""
        self.notes.waiting.append((row, self.stream.tell(), len(encoded[0]), encoded[1]))
        self.stream.write(encoded[0].tobytes())
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
        places = np.stack([self.notes.table["offset"], self.notes.table["length"]], axis=1)
        lay_out(whole, (self.partial.stat().st_size,), len(places), self.side)
        with whole.open("r+b") as file, self.partial.open("rb") as crops:
            file.seek(place_of(whole))
            shutil.copyfileobj(crops, file)
        with h5py.File(whole, "r+") as file:
            file["places"][...] = places
            self.notes.seal(file, self.path.stem, self.side, places)
        whole.replace(self.path)
        self.discard()

    def discard(self) -> None:
        """Leave nothing behind."""
        self.close()
        for suffix in (".partial", ".done", ".whole"):
            self.path.with_suffix(suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file that is appended to."""
        close(self.stream)


def lay_out(path: Path, shape: tuple[int, ...], count: int, side: int) -> None:
    """Make a store's file without its content, and have its room on the disk.

    Args:
        path: of the file.
        shape: of the block of bytes that its crops are; of one axis where they are JPEG.
        count: crops.
        side: of a crop.

    Raises:
        OSError: the disk has no room for it.
    """
    with h5py.File(path, "w") as file:
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_layout(h5py.h5d.CONTIGUOUS)
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        how.set_obj_track_times(False)  # equal crops are equal bytes
        h5py.h5d.create(file.id, b"crops", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(shape), how)
        file["digests"] = np.zeros((count, 32), np.uint8)
        if len(shape) == 1:
            file["places"] = np.zeros((count, 2), np.int64)
        file.attrs["side"] = side
        file.attrs["index"] = np.bytes_("0" * 64)
        file.attrs["laid_out"] = True
    take_room(path)


def place_of(path: Path) -> int:
    """Return where in a store's file its crops begin, bytes."""
    with h5py.File(path, "r") as file:
        return int(file["crops"].id.get_offset())


def take_room(path: Path) -> None:
    """Have a file's blocks on the disk, so that filling it needs no more; raises OSError where they are not to be had.

    A file system that cannot say is filled without.
    """
    with path.open("r+b") as file, suppress(AttributeError):  # not on every system
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise OSError(error.errno, error.strerror, str(path)) from None


def close(stream: IO[bytes]) -> None:
    """Close a file; that what it still held cannot be written has been said, or no longer matters."""
    with suppress(OSError):
        stream.close()
