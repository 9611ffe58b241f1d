"""Files that are whole or not there: written under a name of their own, and given theirs in one step.

HDF5 files are made in memory first, so that a full disk is an ``OSError`` of plain writing: the HDF5 library ends the
process where it cannot write what it holds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

SUFFIX = ".partial"


def partial_of(path: Path) -> Path:
    """Return the name under which this thread of this process writes a file, beside it and with its suffix."""
    return path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}{SUFFIX}{path.suffix}")


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a file to be written under another name, which takes the place of ``path`` once it is whole.

    A kill leaves the old file or the new one, two writers do not meet half-way, and a link of that name is replaced,
    not followed.

    Args:
        path: of the file.
        durable: have its bytes and its name on the disk before this returns, so that a power cut cannot take them.

    Raises:
        OSError: it cannot be written; of the file that was asked for, not of one that nobody knows.
    """
    partial = partial_of(path)
    try:
        yield partial
        if durable:
            flush(partial)
        partial.replace(path)
        if durable:
            flush(path.parent)
    except OSError as error:
        if error.filename not in (None, str(partial), partial):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes | memoryview, *, durable: bool = False) -> None:
    """Write a file in one step; raises as :func:`replacing` does."""
    with replacing(path, durable=durable) as partial:
        partial.write_bytes(content)


@contextmanager
def replacing_hdf5(path: Path) -> Iterator[h5py.File]:
    """Give an HDF5 file in memory, which is written in one step once it is closed; raises as :func:`replacing` does."""
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        content = file.id.get_file_image()
    replace_file(path, content)


def flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)
