"""Image names in annotations: what they may be, and which file below the data set's root each one is.

One set of rules for every reader, in :class:`Images`:

- backslashes, which Windows writes, are slashes; white space around a name, ``./`` and doubled slashes go;
- a name is looked for below the folder of images, then below the root, which a note says;
- ``..`` may lead anywhere below the root; an absolute path is that of a project before it was moved: its longest end
  that is a file below the root is taken, which a note says;
- a name that differs from a file's in upper and lower case alone, or in its Unicode form, is that file's, with a
  warning;
- a colon is allowed where there is such a file; a URL never is;
- whatever else would leave the root is refused.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from kpcore.errors import KpError, told_apart
from kpcore.findings import Finding
from kpcore.reading.folders import CASE, FORM, Folders, Found, Place

LONGEST, LONGEST_PART = 1024, 255
"""Bytes of a path, and of one folder or file in it."""
ABSOLUTE = re.compile(r"/|[A-Za-z]:/")
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
MOVED = "moved"
FROM_ROOT = "from root"
SAID: dict[str, tuple[Literal["note", "warning"], str]] = {
    CASE: ("warning", "image names that differ from their files in upper and lower case: the files were taken"),
    FORM: ("warning", "image names that differ from their files in Unicode form: the files were taken"),
    MOVED: ("note", "paths of another folder or machine: the images were found by the ends of their paths"),
    FROM_ROOT: ("note", "image names start at the root, not at the folder of images"),
}
"""What is said of names that are not simply a file's."""


class Images:
    """The images that one annotation names; every folder is listed once.

    Args:
        folder: of the images.
        root: of the data set, which no name leaves; the folder where absent.
        beside: further folders, below which the end of a name is looked for.

    Attributes:
        remarks: kind of what was not simply a file's name -> examples, one a different name.
    """

    def __init__(self, folder: Path, root: Path | None = None, beside: Sequence[Path] = ()) -> None:
        self.folder = folder
        top, home = Path(folder).absolute(), Path(root or folder).absolute()
        self._inner = top.parts[len(home.parts) :] if top.is_relative_to(home) else None
        self._top, self._root = str(top), str(home)
        self._beside = [str(Path(path).absolute()) for path in beside]
        self._folders = Folders()
        self._known: dict[str, str] = {}
        self._ends: dict[Place, str] = {}
        self.remarks: dict[str, list[str]] = {}

    def name(self, value: object, where: str) -> str:
        """Return an image's path below the folder of images, with forward slashes, as its file is spelled.

        One that lies elsewhere below the root begins with ``../``. Where there is no such file, which the data check
        reports, it is as the annotation has it.

        Args:
            value: what the annotation holds.
            where: file and row, for errors and findings.

        Raises:
            KpError: it is no text, empty, unprintable or too long, a URL, or leaves the root; or several files are
                equally like it, or another name ends in the same file.
        """
        stated = stated_name(value, where)
        if stated not in self._known:
            self._known[stated] = self._resolved(stated, where)
        return self._known[stated]

    def path(self, name: str) -> Path:
        """Return the file of a name that :meth:`name` returned."""
        return Path(os.path.normpath(Path(self._top) / name)) if name.startswith("../") else self.folder / name

    def findings(self) -> tuple[Finding, ...]:
        """Return what was not simply a file's name, one finding a kind, counted in different names."""
        return findings_of([self])

    def _resolved(self, stated: str, where: str) -> str:
        inside = self._absolute(stated) if ABSOLUTE.match(stated) else self._relative(stated)
        found = self._folders.first(inside, where)
        if found is not None:
            name = self._below(found.place)
            if found.place in inside[1:]:
                self._remark(FROM_ROOT, f"{stated!r} is {name!r}")
            return self._remarked(found, stated)
        if ABSOLUTE.match(stated) or self._beside:
            found = self._by_end(stated, where)
        if found is not None:
            return self._remarked(found, stated)
        if not inside or ":" in stated:
            raise _refused(stated, where)
        return self._below(inside[0])

    def _relative(self, stated: str) -> list[Place]:
        """Return where a relative name leads from the folder of images, and from the root, as far as that is inside."""
        parts = tuple(stated.split("/"))
        if self._inner is None:
            ways = [(self._top, parts), (self._root, parts)]
        else:
            ways = [(self._root, (*self._inner, *parts)), *([(self._root, parts)] if self._inner else [])]
        return [Place(home, inside) for home, way in ways if (inside := _collapsed(way))]

    def _absolute(self, stated: str) -> list[Place]:
        """Return where an absolute path leads, if that is below the root or the folder of images."""
        path = Path(os.path.normpath(stated))
        homes = [home for home in (self._root, self._top) if stated.startswith("/") and path.is_relative_to(home)]
        return [Place(home, path.relative_to(home).parts) for home in homes[:1]]

    def _by_end(self, stated: str, where: str) -> Found | None:
        """Look for the longest end of a name: below all folders where it is absolute, else beside the annotation.

        Raises:
            KpError: another name has the same end.
        """
        parts = _collapsed(tuple(stated.split("/"))) or ()
        homes = [self._top, self._root, *self._beside] if ABSOLUTE.match(stated) else self._beside
        ends = [Place(home, parts[start:]) for start in range(len(parts)) for home in dict.fromkeys(homes)]
        found = self._folders.first(ends, where)
        if found is not None:
            self._remark(MOVED, f"{stated!r} is {self._below(found.place)!r}")
            other = self._ends.setdefault(found.place, stated)
            if other != stated:
                raise KpError(
                    f"{where}: image names {other[-120:]!a} and {stated[-120:]!a} both end in one file,"
                    f" '{self._below(found.place)}'; write paths below the folder of images"
                )
        return found

    def _remarked(self, found: Found, stated: str) -> str:
        name = self._below(found.place)
        if found.differs:
            one, other = told_apart(stated, name)
            self._remark(found.differs, f"'{one}' is '{other}'")
        return name

    def _remark(self, kind: str, example: str) -> None:
        self.remarks.setdefault(kind, []).append(example)

    def _below(self, place: Place) -> str:
        """Return a place's path from the folder of images."""
        if place.home == self._top:
            return "/".join(place.parts)
        inner = self._inner
        if place.home == self._root and inner and place.parts[: len(inner)] == inner:
            return "/".join(place.parts[len(inner) :])
        return Path(os.path.relpath("/".join((place.home, *place.parts)), self._top)).as_posix()


def findings_of(several: Iterable[Images]) -> tuple[Finding, ...]:
    """Return what names of several annotations were, one finding a kind; see :meth:`Images.findings`."""
    examples: dict[str, list[str]] = {}
    for images in several:
        for kind, found in images.remarks.items():
            examples.setdefault(kind, []).extend(found)
    return tuple(
        Finding(SAID[kind][0], f"{SAID[kind][1]} (first: {found[0]})", len(found)) for kind, found in examples.items()
    )


def _collapsed(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the parts of a path without "", "." and ".."; None where it leaves the folder that it starts from."""
    if "" not in parts and "." not in parts and ".." not in parts:
        return parts
    kept: list[str] = []
    for part in parts:
        if part == ".." and not kept:
            return None
        if part == "..":
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return tuple(kept)


def stated_name(value: object, where: str) -> str:
    """Return an image's name as an annotation has it, with forward slashes, no white space around it and no ``./``.

    Raises:
        KpError: it is no text, empty, unprintable or too long, names a folder, or is a URL.
    """
    name = value.strip().replace("\\", "/") if isinstance(value, str) else ""
    while name.startswith("./"):
        name = name[2:]
    if not _is_path(name):
        raise _refused(str(value), where)
    return name


def image_path(value: object, where: str) -> str:
    """Return an image's path below its folder, with forward slashes, without looking whether it is there.

    Raises:
        KpError: as :func:`stated_name`; it is absolute, has a colon, or an empty, ``.`` or ``..`` part.
    """
    name = stated_name(value, where)
    if ":" in name or {"", ".", ".."} & set(name.split("/")):
        raise _refused(name, where)
    return name


def _is_path(name: str) -> bool:
    if URL.match(name) and not ABSOLUTE.match(name):
        return False
    parts = name.split("/")
    if parts[-1] in ("", ".", "..") or not (name.isprintable() or all(map(_shows, name))):
        return False
    return len(name.encode()) <= LONGEST and all(len(part.encode()) <= LONGEST_PART for part in parts)


def _shows(character: str) -> bool:
    """Whether a character can be shown; spaces of all widths can, which macOS writes into names of screenshots."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _refused(name: str, where: str) -> KpError:
    why = "is not a path below the folder of images, such as walk/001.jpg"
    if ABSOLUTE.match(name):
        why = "is not a path below the folder of images, and no end of it is a file there"
    return KpError(f"{where}: image name {name[:80]!a} {why}; mend the annotation")
