"""What an archive that somebody else made may hold: every entry looked at, none trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from kpcore.fetching.names import ArchiveError, Names, plain, problem_of

RATIO = 100
"""Bytes that a byte of an archive may become; photographs stay below 2, JSON below 20."""
SLACK = 2**26
"""Bytes that any archive may hold, whatever its ratio."""


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


def damaged(path: Path, why: object) -> ArchiveError:
    """Return the error for an archive that cannot be unpacked."""
    return ArchiveError(
        f"{path}: is damaged or cut short ({' '.join(str(why).split())[:200]}); nothing of it was placed"
    )
