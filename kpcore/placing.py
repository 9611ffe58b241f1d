"""Files put in their place in one step, whole or not at all, and never through a link that lies in the way.

A folder that files are written to may have been prepared by somebody else, and others may write there at the same
time. What is written there first bears a name that nobody else has, and takes the file's name when it is whole: a kill
leaves the old file or the new one, and of a link of that name the link goes, and not what it leads to. Folders below
the one that the user names are made, and never links.

HDF5 files are made in memory first, so that a full disk is an ``OSError`` of plain writing: the HDF5 library ends the
process where it cannot write what it holds.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from kpcore.errors import KpError, shown

LOST = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
"""What the system says of a flush that did not reach the disk."""
STEM = 60
"""Characters of a file's name that its temporary one keeps: names are of 255 bytes at most."""
TEMPORARY = re.compile(r"\..*\.([0-9a-f]{6})-([0-9]{1,10})-[0-9a-f]{8}\.partial(\.[^.]*)?", re.DOTALL)
"""A temporary name: a digest of the machine's name, and the process."""


def home(text: str) -> Path:
    """Return a path with its ``~`` expanded; as it stands where there is no such user."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path's own raises


def given(value: object, what: str) -> Path:
    """Return the path that a program hands over; raises KpError where it is none, with what it is to be."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise KpError(f"{what}: {shown(value)} is no path; give a text or a pathlib.Path")
    return Path(path)


def beside(path: Path) -> Path:
    """Make an empty file beside a path and return it: hidden, of the same ending, of a name that no other has.

    Raises:
        OSError: it cannot be made.
    """
    partial = path.with_name(f"{_hidden(path)}{path.suffix}")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:  # of the file that was asked for, not of one that nobody knows
        raise OSError(error.errno, error.strerror, str(path)) from None
    return partial


def beside_folder(path: Path) -> Path:
    """Make an empty folder beside a path and return it, as :func:`beside` makes a file."""
    partial = path.with_name(_hidden(path))
    partial.mkdir()
    return partial


def _hidden(path: Path) -> str:
    return f".{path.stem[:STEM]}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.partial"


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def sweep(base: Path) -> None:
    """Remove what processes of this machine that were killed have left half written in a folder."""
    for path in sorted(base.iterdir()) if base.is_dir() else ():
        found = TEMPORARY.fullmatch(path.name)
        if found is None or found[1] != _machine() or _lives(int(found[2])):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def _lives(process: int) -> bool:
    """Whether a process of this machine is at work; where the system does not tell, it is."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@contextmanager
def placed(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a file to be written, which takes its place at the end; where the block raises, nothing is left of it.

    Args:
        path: of the file.
        durable: have its bytes and its name on the disk before this returns, so that a power cut cannot take them.

    Raises:
        OSError: it cannot be written.
    """
    partial = beside(path)
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


def put(path: Path, content: bytes | memoryview, *, durable: bool = False) -> Path:
    """Write a file in one step and return it; raises as :func:`placed` does."""
    with placed(path, durable=durable) as partial:
        partial.write_bytes(content)
    return path


@contextmanager
def placed_hdf5(path: Path) -> Iterator[h5py.File]:
    """Give an HDF5 file in memory, which is written in one step once it is closed; raises as :func:`placed` does."""
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        content = file.id.get_file_image()
    put(path, content)


def elsewhere(error: OSError, stage: Path, place: Path) -> OSError:
    """Return an error of a file in a hidden folder as one of its place, which people know."""
    name = error.filename if isinstance(error.filename, str) else str(error.filename or "")
    if Path(name) != stage and stage not in Path(name).parents:
        return error
    return OSError(error.errno, error.strerror, str(place / Path(name).relative_to(stage)))


@contextmanager
def filled(path: Path) -> Iterator[Path]:
    """Give a hidden folder to be filled with files, which becomes a folder at the end or not at all.

    What killed processes left there goes.

    Args:
        path: of the folder; it is not there, or empty.

    Raises:
        KpError: it holds something.
        OSError: it cannot be made or written; a file's path is that of its place.
    """
    there = path.exists()
    sweep(path)
    if there and any(path.iterdir()):
        raise KpError(f"{path}: is not empty; name a folder that is not there yet")
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    stage = beside_folder(path / path.name if there else path)
    try:
        yield stage
        if there:
            for one in sorted(stage.iterdir(), reverse=True):  # a model's weights before its card
                one.replace(path / one.name)
        else:
            stage.rename(path)
    except OSError as error:
        raise elsewhere(error, stage, path) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk.

    Raises:
        OSError: the disk has lost what was to be written, or has no room for it. That a file system cannot flush is no
            error.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno in LOST:
            raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(file)


def copy(source: Path, path: Path) -> Path:
    """Copy a file's content in one step; return the copy.

    Raises:
        OSError: it cannot be read or written.
    """
    with placed(path) as partial:
        try:
            shutil.copyfile(source, partial)
        except OSError as error:
            if error.errno not in LOST:  # a full disk is told of the file that is read
                raise
            raise OSError(error.errno, error.strerror, str(path)) from None
    return path


def folder(base: Path, *parts: str) -> Path:
    """Make folders below one that the user named, which may be a link itself; return the last.

    Raises:
        KpError: a link is in the way.
        OSError: they cannot be made.
    """
    base.mkdir(parents=True, exist_ok=True)
    for part in parts:
        base = base / part
        if base.is_symlink():
            raise KpError(f"{base}: is a link, and nothing is written through one; remove it, or name another folder")
        base.mkdir(exist_ok=True)
    return base
