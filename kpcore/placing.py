"""Files put in their place in one step, never through a link that lies in the way.

A folder that files are written to may have been prepared by somebody else. What is written there first bears a name
that nobody else has, and takes the file's name when it is whole: of a link of that name the link goes, and not what it
leads to. Folders below the one that the user names are made, and never links.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from kpcore.errors import KpError

STEM = 60
"""Characters of a file's name that its temporary one keeps: names are of 255 bytes at most."""


def home(text: str) -> Path:
    """Return a path with its ``~`` expanded; as it stands where there is no such user."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path's own raises


def beside(path: Path) -> Path:
    """Make an empty file beside a path and return it: hidden, of the same ending, of a name that no other has.

    Raises:
        OSError: it cannot be made.
    """
    name = f".{path.stem[:STEM]}.{os.getpid()}-{secrets.token_hex(4)}.partial{path.suffix}"
    partial = path.with_name(name)
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:  # of the file that was asked for, not of one that nobody knows
        raise OSError(error.errno, error.strerror, str(path)) from None
    return partial


def put(path: Path, content: bytes) -> Path:
    """Write a file in one step; return it.

    Raises:
        OSError: it cannot be written.
    """
    partial = beside(path)
    try:
        partial.write_bytes(content)
        return partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        partial.unlink(missing_ok=True)


def copy(source: Path, path: Path) -> Path:
    """Copy a file's content in one step; return the copy.

    Raises:
        OSError: it cannot be read or written.
    """
    partial = beside(path)
    try:
        shutil.copyfile(source, partial)
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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
