"""Archives that somebody else made: their entries one by one, all of them looked at, none trusted."""

from __future__ import annotations

import bz2
import gzip
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Protocol, cast

from kpcore.errors import KpError
from kpcore.fetching.names import ArchiveError, Names, plain, problem_of

RATIO = 100
"""Bytes that a byte of an archive may become; photographs stay below 2, JSON below 20."""
SLACK = 2**26
"""Bytes that any archive may hold, whatever its ratio."""
BLOCK = 512
"""Bytes of a tar file's block; one of zeros or more mark its end."""
HEADERS = 2**20
"""Bytes of one entry's headers in a tar file, at most; they are read into memory."""
ZIP_HEADER = 46 + 2048
"""Bytes of one entry in a zip file's directory, at most on average."""
KINDS = {
    tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.FIFOTYPE: "a pipe",
    tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device",
}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Args:
        unpacked: bytes.
        entries: files and folders.
    """

    unpacked: int
    entries: int


@dataclass(frozen=True)
class Entry:
    """A file or folder in an archive; its name is a plain path that meets no other.

    Args:
        name: path below the archive.
        size: bytes, as its header states them.
        folder: whether it is a folder.
        open: opens a file to be read; a tar file's only until the next entry is asked for.
    """

    name: str
    size: int
    folder: bool
    open: Callable[[], IO[bytes]]


class Archive(Protocol):
    """An open archive."""

    total: int
    """Bytes of all files, where that is known before they are read; else 0."""

    def entries(self) -> Iterator[Entry]:
        """Yield every file and folder; raises ArchiveError at the first that is not harmless."""

    def done(self, unpacked: int) -> tuple[int, int]:
        """Return how far the reading is, and of how much, from the bytes that were unpacked."""


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[Archive]:
    """Open a zip or tar file, told apart by its first bytes.

    Raises:
        ArchiveError: it is neither, is damaged, or breaks a rule: a name that leaves the folder or meets another, a
            link, a device, more entries or bytes than it may have.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
            file.seek(0)
            if start.startswith(b"PK"):
                with zipfile.ZipFile(_small_directory(path, file, limits)) as found:
                    yield Zip(found, path, limits)
            else:
                yield Tar(_unzipped(path, file, start), file, path, limits)
    except KpError:
        raise
    except Exception as error:  # parsers of binary files raise anything on damaged input
        if isinstance(error, OSError) and error.errno is not None:  # the system's; gzip's and bz2's have none
            raise
        raise damaged(path, error) from error


def damaged(path: Path, why: object) -> ArchiveError:
    """Return the error for an archive that cannot be unpacked."""
    return ArchiveError(
        f"{path}: is damaged or cut short ({' '.join(str(why).split())[:200]}); nothing of it was placed"
    )


class Count:
    """Keeps what the entries of an archive come to within its limits.

    Args:
        path: the archive.
        limits: of it.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._entries, self._bytes = 0, 0
        self._limits = limits
        self._most = SLACK + RATIO * path.stat().st_size
        self._names = Names(str(path))

    def check(self, spelt: str, size: int, *, folder: bool, kind: str = "") -> str:
        """Take an entry down and return its plain name, "" for the archive's own folder.

        Args:
            spelt: its name, as the archive has it.
            size: bytes, as its header states them.
            folder: whether it is one.
            kind: what it is where it is neither file nor folder.

        Raises:
            ArchiveError: it is not harmless.
        """
        name = plain(spelt)
        problem = f"is {kind}" if kind else problem_of(name) if name or not folder else ""
        if problem:
            raise ArchiveError(f"{self._path}: {spelt[-120:]!a} {problem}; nothing of the archive was placed")
        self._entries += 1
        self._bytes += size
        if self._entries > self._limits.entries:
            raise self._too_much(f"more than {self._limits.entries:,} files and folders")
        if size < 0 or self._bytes > self._limits.unpacked:
            raise self._too_much(f"more than {self._limits.unpacked:,} bytes")
        if self._bytes > self._most:
            raise self._too_much(f"more than {RATIO} times its own size")
        if name:
            self._names.add(name, folder=folder)
        return name

    def _too_much(self, what: str) -> ArchiveError:
        return ArchiveError(
            f"{self._path}: unpacks to {what}, which its data set does not have; nothing of it was placed"
        )


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


def _small_directory(path: Path, file: IO[bytes], limits: Limits) -> IO[bytes]:
    """Refuse a zip file whose directory, which is read into memory whole, is too large for the entries it may have."""
    size = path.stat().st_size
    file.seek(max(0, size - 2**16 - 22))
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place >= 0 and len(tail) >= place + 22:
        length = struct.unpack_from("<L", tail, place + 12)[0]
        if length == 0xFFFFFFFF and (wide := tail.rfind(b"PK\6\6", 0, place)) >= 0 and len(tail) >= wide + 56:
            length = struct.unpack_from("<Q", tail, wide + 40)[0]
        if min(length, size) > ZIP_HEADER * limits.entries:
            raise ArchiveError(f"{path}: has a directory of {length:,} bytes; nothing of the archive was placed")
    file.seek(0)
    return file


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


def _unzipped(path: Path, file: IO[bytes], start: bytes) -> IO[bytes]:
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
