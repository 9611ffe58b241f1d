"""HDF5 files that others wrote: nothing is read that lies in another file, or unpacks to absurdly much."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from kpcore.errors import KpError
from kpcore.reading.budget import Limit, fair, within
from kpcore.reading.opening import guarded, regular

PIECE = 64
"""Texts that are read at once, at most."""
HEAP = b"GCOL"
"""What a heap of texts of any length begins with, in an HDF5 file; its size follows 4 bytes behind."""
LONGEST_NAME = 4096
"""Characters of a name."""


@contextmanager
def opened(path: Path, kind: str) -> Iterator[h5py.File]:
    """Open a file for reading, guarded until it is closed.

    Raises:
        KpError: instead of whatever else is raised in the meantime.
    """
    with guarded(path, kind):
        regular(path, kind)
        with h5py.File(path, "r") as file:
            yield file


def names(group: h5py.Group) -> list[str]:
    """Return the names of what lies in this very file: a link could lead to any other, or to what never answers."""
    return [name for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink)]


def child(group: h5py.Group, name: str) -> h5py.Group | None:
    """Return a group of this very file; None where there is none, or it is a link or an array."""
    link = group.get(name, getlink=True)
    found = group[name] if isinstance(link, h5py.HardLink) else None
    return found if isinstance(found, h5py.Group) else None


def own(group: h5py.Group, name: str, path: Path) -> h5py.Dataset | None:
    """Return an array of this very file: a link could lead to any other. None where there is none, or it is a group.

    Raises:
        KpError: it lies elsewhere, or unpacks to too much.
    """
    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise elsewhere(path, name)
    found = group[name]
    return plain(found, name, path) if isinstance(found, h5py.Dataset) else None


def strings(dataset: h5py.Dataset, name: str, path: Path) -> list[str]:
    """Return an array's texts, (N,), read in pieces: a file can name one long text as often as it likes.

    Raises:
        KpError: one is longer than any image's name.
    """
    within(Limit.ITEMS, len(dataset), f"'{name}' holds {len(dataset):,} texts", path)
    found: list[str] = []
    piece = _piece(path)
    while len(found) < len(dataset):
        found += [str(text) for text in dataset.asstr()[len(found) : len(found) + piece]]
        longest = max(map(len, found[-piece:]))
        if longest > LONGEST_NAME:
            raise KpError(f"{path}: '{name}' holds a text of {longest:,} characters, which is no name of an image")
    return found


def attribute(node: h5py.Group | h5py.Dataset, name: str, path: Path) -> Any:
    """Return an attribute's value; None where there is none.

    Raises:
        KpError: it is a list that unpacks to too much: all of its texts may be one.
    """
    if name not in node.attrs:
        return None
    about = node.attrs.get_id(name)
    count = math.prod(about.shape or ())
    within(Limit.ITEMS, count, f"attribute '{name}' has {count:,} entries", path)
    if about.dtype.hasobject:
        fair(count * longest_text(path), path.stat().st_size, f"attribute {name}", path)
    return node.attrs[name]


def longest_text(path: Path) -> int:
    """Return how many bytes a file's longest text of variable length has, from the heaps in which such texts lie.

    The library gives no way to ask, and reads all of an attribute at once.
    """
    if not path.stat().st_size:
        return 0
    longest, place = 0, 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while (place := data.find(HEAP, place)) >= 0:
            longest = max(longest, _longest_of(data, place))
            place += len(HEAP)
    return longest


def _longest_of(data: mmap.mmap, place: int) -> int:
    """Return the size of the largest object of one heap: HDF5 File Format Specification 3.0, III.E.

    Raises:
        ValueError: the space that is left begins in the middle and has no size: the library would look for its end for
            ever.
    """
    size = int.from_bytes(data[place + 8 : place + 16], "little")
    start, end, longest = place, min(place + size, len(data)), 0
    place += 16
    while place + 16 <= end:
        found = int.from_bytes(data[place + 8 : place + 16], "little")
        if any(data[place : place + 2]):
            longest = max(longest, min(found, len(data)))
            place += 16 + (found + 7) // 8 * 8
        elif found:  # object 0 is space that is left
            place += found
        elif data[start + 4 : start + 8] == b"\1\0\0\0":  # a heap, and not four letters in a picture
            raise ValueError("a heap of its texts is damaged")
        else:
            break
    return longest


def _piece(path: Path) -> int:
    """Return how many texts of a file can be read at once."""
    return max(1, min(PIECE, Limit.UNPACKED.most // max(1, longest_text(path))))


def plain(dataset: h5py.Dataset, name: str, path: Path) -> h5py.Dataset:
    """Return the array.

    Raises:
        KpError: its bytes lie in another file, or unpack to too much.
    """
    if dataset.is_virtual or dataset.external:
        raise elsewhere(path, name)
    stored = int(dataset.id.get_storage_size())
    fair(int(dataset.nbytes), stored, name, path)
    if dataset.dtype.kind in "iufb":  # readers turn numbers into 8 bytes each
        count = int(dataset.size or 0)
        within(Limit.BYTES, 8 * count, f"'{name}' holds {count:,} numbers", path)
    if dataset.chunks:  # one may be larger than its array, and is unpacked whole
        fair(dataset.dtype.itemsize * math.prod(dataset.chunks), stored, f"a chunk of {name}", path)
    return dataset


def elsewhere(path: Path, name: str) -> KpError:
    """Return the error for an array whose bytes lie in another file, or may do."""
    return KpError(f"{path}: '{name}' lies in another file, or is a link that could lead there; write it into this one")
