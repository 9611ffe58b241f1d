"""Pictures of a part, and where the labels of each lie."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kp_yolo.description import Description
from kpcore.errors import KpError
from kpcore.reading.opening import read_text

PICTURES = frozenset(
    (".bmp", ".dng", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp", ".pfm", ".heic", ".avif", ".jp2")
)
"""Endings that ultralytics takes for pictures."""
IMAGES, LABELS = "images", "labels"


@dataclass(frozen=True)
class Picture:
    """One picture of a part.

    Args:
        name: its path below the root, with forward slashes.
        path: the file.
        labels: the file of its labels, which need not be there.
        where: the line of the list that names it; "" where it was found in a folder.
    """

    name: str
    path: Path
    labels: Path
    where: str = ""


@dataclass(frozen=True)
class Place:
    """What a part's folders and lists come to.

    Args:
        pictures: in the order of names, or of the list.
        moved: what the YAML says and was not found so, but by the end of its path below the root.
        orphans: files of labels, below the root, whose picture is not there.
        respelled: names that differ from those of the files taken for them, in case or Unicode form.
    """

    pictures: tuple[Picture, ...]
    moved: tuple[str, ...]
    orphans: tuple[str, ...]
    respelled: tuple[str, ...] = ()


class Places:
    """Finds the pictures of a data set below its root, wherever its YAML was written.

    ``path``, ``train``, ``val`` and the lines of lists are often those of another machine, or start at a folder that
    was not copied. What is no path below the root is looked for by its end: ``/content/pets/train/images`` and
    ``../train/images`` are ``train/images`` where that is there. Nothing outside the root is read.
    """

    def __init__(self, root: Path, told: Description) -> None:
        self._root = _absolute(root)
        self._told = told
        self._listings: dict[Path, dict[str, Path]] = {}
        self._respelled: list[str] = []
        base = self._below(told.base, [told.path.parent]) if told.base else None
        self._base = base if base is not None and base.is_dir() else _absolute(told.path.parent)

    def of(self, part: str) -> Place:
        """Return the pictures of a part.

        Raises:
            KpError: a folder or list of it is not there, or holds no picture.
        """
        pictures: dict[str, Picture] = {}
        self._respelled = []
        moved, orphans = [], list[str]()
        for text in self._told.parts[part]:
            place = self._place(part, text)
            if place != _absolute(self._base / _plain(text)):
                moved.append(text)
            if place.is_dir():
                found = list(self._in_folder(place))
                orphans += self._orphans(place, found)
            else:
                found = list(self._in_list(place))
            if not found:
                raise KpError(f"{self._told.path}, {part}: no pictures in {place}; put them there, or mend the path")
            pictures |= {picture.name: picture for picture in found}
        return Place(tuple(pictures.values()), tuple(moved), tuple(orphans), tuple(self._respelled))

    def _place(self, part: str, text: str) -> Path:
        place = self._below(text, [self._base, self._root])
        if place is None:
            raise KpError(
                f"{self._told.path}, {part}: neither '{text[:200]}' nor an end of it is a folder or list below"
                f" {self._root}; mend the path, which starts at the folder of this file"
            )
        return place

    def _below(self, text: str, starts: list[Path]) -> Path | None:
        """Return what a path means below the root; None where nothing of it is there."""
        return next((path for path in self._meant(text, starts) if path.exists()), None)

    def _meant(self, text: str, starts: list[Path]) -> Iterator[Path]:
        """Yield the paths below the root that are tried: from one of the starts, then its ends, the longest first."""
        plain = _plain(text)
        parts = [part for part in PurePosixPath(plain).parts if part not in ("/", "..")]
        ends = (self._root.joinpath(*parts[first:]) for first in range(len(parts)))
        for path in map(_absolute, (*(start / plain for start in starts), *ends)):
            if path.is_relative_to(self._root):
                yield path

    def _in_folder(self, folder: Path) -> Iterator[Picture]:
        for path in sorted(_files(folder)):
            if path.suffix.lower() in PICTURES:
                yield self._picture(path)

    def _in_list(self, path: Path) -> Iterator[Picture]:
        text = read_text(path, "a list of pictures, one a line")
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield self._listed(line, path.parent, f"{path}, line {number}")

    def _listed(self, name: str, folder: Path, where: str) -> Picture:
        """Return the picture that a list names; where it is not there, it is the one that has labels."""
        meant = list(self._meant(name, [folder, self._base]))
        if not any(path.is_file() for path in meant):
            meant = [self._like(path) for path in meant]
        tried = [self._picture(path, where) for path in meant]
        if not tried:
            raise KpError(f"{where}: {name.strip()[:80]!a} is no path of a picture; mend the list")
        there = (one for one in tried if one.path.is_file())
        return next(there, None) or next((one for one in tried if one.labels.is_file()), tried[0])

    def _picture(self, path: Path, where: str = "") -> Picture:
        return Picture(path.relative_to(self._root).as_posix(), path, self._labels(path), where)

    def _labels(self, picture: Path) -> Path:
        """Return the file of labels: ``labels`` for the last ``images`` in the path; where there is none, beside it."""
        parts = list(picture.relative_to(self._root).parts)
        beside = picture.with_suffix(".txt")
        if IMAGES not in parts[:-1]:
            return self._like(beside)
        last = len(parts) - 2 - parts[-2::-1].index(IMAGES)
        swapped = self._root.joinpath(*parts[:last], LABELS, *parts[last + 1 :]).with_suffix(".txt")
        return beside if beside.exists() and not swapped.exists() else self._like(swapped)

    def _like(self, path: Path) -> Path:
        """Return the file itself, or the one beside it whose name differs in case or Unicode form alone."""
        if path.exists():
            return path
        folder = path.parent
        if folder not in self._listings:
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            self._listings[folder] = {_folded(file.name): file for file in files}
        found = self._listings[folder].get(_folded(path.name))
        if found is not None:
            self._respelled.append(f"{path.name} is {found.name}")
        return found or path

    def _orphans(self, folder: Path, pictures: list[Picture]) -> Iterator[str]:
        """Yield files of labels that no picture has."""
        labels = self._labels(folder / "any.png").parent
        known = {picture.labels for picture in pictures}
        if labels == folder or not labels.is_dir():
            return
        for path in sorted(_files(labels)):
            if path.suffix == ".txt" and path not in known:
                yield path.relative_to(self._root).as_posix()


def _folded(name: str) -> str:
    """Return what names have in common that differ in case or Unicode form alone; macOS decomposes accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _plain(text: str) -> str:
    return text.strip().replace("\\", "/")


def _absolute(path: Path) -> Path:
    """Return the path without ``..``; links stay as they are, so that what is linked into the root is below it."""
    return Path(os.path.normpath(path.absolute()))


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if not name.startswith("."))
