"""HDF5 files that others wrote: nothing is read that lies in another file, or unpacks to absurdly much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from kpcore.errors import KpError
from kpcore.reading.opening import guarded

SMALL = 2**26
"""Bytes that may be unpacked from however few."""
MOST_UNPACKED = 200
"""Bytes unpacked for a stored one, at most, of anything that is not small: coordinates hardly compress."""
PIECE = 64
"""Texts that are read at once."""
LONGEST_NAME = 4096
"""Characters of a name."""


@contextmanager
def opened(path: Path, kind: str) -> Iterator[h5py.File]:
    """Open a file for reading, guarded until it is closed.

    Raises:
        KpError: instead of whatever else is raised in the meantime.
    """
    with guarded(path, kind), h5py.File(path, "r") as file:
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
    found: list[str] = []
    while len(found) < len(dataset):
        found += [str(text) for text in dataset.asstr()[len(found) : len(found) + PIECE]]
        longest = max(map(len, found[-PIECE:]))
        if longest > LONGEST_NAME:
            raise KpError(f"{path}: '{name}' holds a text of {longest:,} characters, which is no name of an image")
    return found


def plain(dataset: h5py.Dataset, name: str, path: Path) -> h5py.Dataset:
    """Return the array.

    Raises:
        KpError: its bytes lie in another file, or unpack to too much.
    """
    if dataset.is_virtual or dataset.external:
        raise elsewhere(path, name)
    fair(int(dataset.nbytes), int(dataset.id.get_storage_size()), name, path)
    return dataset


def elsewhere(path: Path, name: str) -> KpError:
    """Return the error for an array whose bytes lie in another file, or may do."""
    return KpError(f"{path}: '{name}' lies in another file, or is a link that could lead there; write it into this one")


def fair(unpacked: int, stored: int, name: str, path: Path) -> None:
    """Refuse an array that declares far more bytes than it stores.

    Raises:
        KpError: it does.
    """
    if unpacked > SMALL and unpacked > MOST_UNPACKED * stored:
        raise KpError(
            f"{path}: '{name}' declares {unpacked:,} bytes in {stored:,} stored ones, which no annotation does;"
            " download or write it again"
        )
