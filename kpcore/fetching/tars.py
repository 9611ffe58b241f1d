"""Tar files, zipped or not, read from their beginning to their end once."""

from __future__ import annotations

import bz2
import gzip
import tarfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO, cast

from kpcore.fetching.entries import Count, Entry, Limits, damaged
from kpcore.fetching.names import ArchiveError

BLOCK = 512
"""Bytes of a tar file's block; one of zeros or more mark its end."""
HEADERS = 2**20
"""Bytes of one entry's headers in a tar file, at most; they are read into memory."""
KINDS = {
    tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.FIFOTYPE: "a pipe",
    tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device",
}  # fmt: skip


class Bounded:
    """A stream that gives no more bytes than were allowed, so that no header fills the memory.

    Args:
        stream: gives the bytes.
        path: the archive, for errors.
    """

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path = stream, path
        self._left = 0
        self.last = b""
        """The last block of what was read."""

    def allow(self, count: int) -> None:
        """Let so many bytes be read from here on."""
        self._left = count

    def read(self, count: int) -> bytes:
        """Return as many bytes, or fewer at the end.

        Raises:
            ArchiveError: more than were allowed.
        """
        data = self._stream.read(count)
        self._left -= len(data)
        self.last = (self.last + data)[-BLOCK:]
        if self._left < 0:
            raise ArchiveError(
                f"{self._path}: has headers of over {HEADERS:,} bytes; nothing of the archive was placed"
            )
        return data


class Tar:
    """A tar file, read from its beginning to its end once.

    Args:
        stream: gives the unzipped bytes.
        file: the archive itself, which tells how far the reading is.
        path: of it.
        limits: of it.
    """

    total = 0

    def __init__(self, stream: IO[bytes], file: IO[bytes], path: Path, limits: Limits) -> None:
        self._stream = Bounded(stream, path)
        self._file, self._path = file, path
        self._count = Count(path, limits)

    def entries(self) -> Iterator[Entry]:
        """Yield every file and folder, in the archive's order."""
        self._stream.allow(HEADERS)
        with closing(tarfile.open(fileobj=cast("IO[bytes]", self._stream), mode="r|")) as tar:
            while (member := tar.next()) is not None:
                kind = KINDS.get(member.type, "" if member.isreg() or member.isdir() else "of an unknown kind")
                kind = "sparse" if member.issparse() else kind
                name = self._count.check(member.name, member.size, folder=member.isdir(), kind=kind)
                self._stream.allow(member.size + HEADERS)  # what is not read of it is passed over with the next header
                if name:
                    yield Entry(name, member.size, member.isdir(), partial(_reader, tar, member))
            self._check_end(tar)

    def done(self, unpacked: int) -> tuple[int, int]:
        """Return bytes read of the archive, of all."""
        del unpacked
        return self._file.tell(), self._path.stat().st_size

    def _check_end(self, tar: tarfile.TarFile) -> None:
        """Read what follows the last entry: tar takes damage for the end, and a sum of gzip's stands behind it."""
        rest = cast("IO[bytes]", tar.fileobj)
        while data := rest.read(2**16):
            if any(data):
                raise damaged(self._path, "what follows its last file is no tar")
        if any(self._stream.last):
            raise damaged(self._path, "its end mark is missing")


def _reader(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    return cast("IO[bytes]", tar.extractfile(member))


def unzipped(path: Path, file: IO[bytes], start: bytes) -> IO[bytes]:
    """Return a stream of a tar file's own bytes.

    Raises:
        ArchiveError: it is no tar file.
    """
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(file))
    if start[257:262] != b"ustar":
        raise ArchiveError(f"{path}: is no zip, tar, tar.gz or tar.bz2 file (it begins with {start[:8]!a})")
    return file
