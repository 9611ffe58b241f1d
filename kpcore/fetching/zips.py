"""Zip files, their directories checked whole."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from kpcore.fetching.entries import Count, Entry, Limits
from kpcore.fetching.names import ArchiveError

HEADER = 46 + 2048
"""Bytes of one entry in a zip file's directory, at most on average."""


class Zip:
    """A zip file; all of its directory is checked before the first entry is yielded.

    Args:
        file: it, open.
        path: of it.
        limits: of it.
    """

    def __init__(self, file: zipfile.ZipFile, path: Path, limits: Limits) -> None:
        self._file = file
        count = Count(path, limits)
        self._names = [_checked(info, count) for info in file.infolist()]
        self.total = sum(info.file_size for info in file.infolist())

    def entries(self) -> Iterator[Entry]:
        """Yield every file and folder, in the directory's order."""
        for info, name in zip(self._file.infolist(), self._names, strict=True):
            if name:
                yield Entry(name, info.file_size, info.is_dir(), partial(self._file.open, info))

    def done(self, unpacked: int) -> tuple[int, int]:
        """Return bytes unpacked, of all."""
        return unpacked, self.total


def _checked(info: zipfile.ZipInfo, count: Count) -> str:
    form = stat.S_IFMT(info.external_attr >> 16)
    kind = "encrypted" if info.flag_bits & 1 else ""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        kind = f"compressed in a way ({info.compress_type}) that is not read"
    if form not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "a symbolic link" if form == stat.S_IFLNK else "neither a file nor a folder"
    return count.check(info.orig_filename, info.file_size, folder=info.is_dir(), kind=kind)


def small_directory(path: Path, file: IO[bytes], limits: Limits) -> IO[bytes]:
    """Refuse a zip file whose directory, which is read into memory whole, is too large for the entries it may have."""
    size = path.stat().st_size
    file.seek(max(0, size - 2**16 - 22))
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place >= 0 and len(tail) >= place + 22:
        length = struct.unpack_from("<L", tail, place + 12)[0]
        if length == 0xFFFFFFFF and (wide := tail.rfind(b"PK\6\6", 0, place)) >= 0 and len(tail) >= wide + 56:
            length = struct.unpack_from("<Q", tail, wide + 40)[0]
        if min(length, size) > HEADER * limits.entries:
            raise ArchiveError(f"{path}: has a directory of {length:,} bytes; nothing of the archive was placed")
    file.seek(0)
    return file
