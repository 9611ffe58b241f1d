"""Names of files in archives: only plain relative paths, and no two that a file system may take for one."""

from __future__ import annotations

import unicodedata

from kpcore.errors import KpError

LONGEST, LONGEST_PART = 1024, 255
"""Bytes of a path, and of one folder or file in it."""


class ArchiveError(KpError):
    """An archive is damaged, hostile, or another one than it should be."""


def problem_of(name: str) -> str:
    """Return why a path may not be used below a folder; "" where it may."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in name:
        return "is not a path below the archive's own folder"
    if ".." in parts:
        return "leaves the archive's folder"
    if any(part in ("", ".") for part in parts):
        return "has an empty part"
    if not name.isprintable():
        return "holds characters that cannot be shown"
    if len(name.encode()) > LONGEST or any(len(part.encode()) > LONGEST_PART for part in parts):
        return "is too long"
    return ""


def plain(name: str) -> str:
    """Return an archive's spelling without the ``./`` before it and the ``/`` behind it; "" for the archive itself."""
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name.removesuffix("/")


class Names:
    """The names of one archive, to tell those that meet: given twice, in two spellings of case, or file and folder.

    Args:
        where: the archive, for errors.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._known: dict[str, tuple[str, bool]] = {}
        self._files: set[str] = set()

    def add(self, name: str, *, folder: bool) -> None:
        """Take a plain path down.

        Raises:
            ArchiveError: it meets another.
        """
        parts = name.split("/")
        for count in range(1, len(parts)):
            self._add("/".join(parts[:count]), folder=True)
        self._add(name, folder=folder)

    def _add(self, name: str, *, folder: bool) -> None:
        key = unicodedata.normalize("NFC", name).casefold()
        known = self._known.setdefault(key, (name, folder))
        if known[0] != name:
            raise self._refused(name, f"and {known[0][-120:]!a} are one file on many systems")
        if known[1] != folder:
            raise self._refused(name, "is both a file and a folder")
        if not folder and key in self._files:
            raise self._refused(name, "is there twice")
        if not folder:
            self._files.add(key)

    def _refused(self, name: str, why: str) -> ArchiveError:
        return ArchiveError(f"{self._where}: {name[-120:]!a} {why}; nothing of the archive was placed")
