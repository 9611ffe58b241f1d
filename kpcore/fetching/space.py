"""Room on the disk, asked for before it is used."""

from __future__ import annotations

import shutil
from pathlib import Path

from kpcore.errors import KpError, size

RESERVE = 2**26
"""Bytes that are left free."""


def require(folder: Path, count: int, what: str) -> None:
    """Check that so many bytes fit where a folder is, or will be.

    Args:
        folder: it.
        count: bytes.
        what: they are for, for the error.

    Raises:
        KpError: the disk has less.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < count + RESERVE:
        raise KpError(
            f"{folder}: needs {size(count)} for {what}, and the disk has {size(free)} free; make room, or name a folder"
            " on another disk (--to)"
        )
