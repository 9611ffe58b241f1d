"""Files looked for by name in listings of their folders: exactly, else as another system would spell the name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from kpcore.errors import KpError

CASE = "upper or lower case"
FORM = "Unicode form"


class Place(NamedTuple):
    """A path: a folder, and parts below it."""

    home: str
    parts: tuple[str, ...]


class Found(NamedTuple):
    """A file as it is spelled on disk, and how the name that was looked for differs: "", CASE or FORM."""

    place: Place
    differs: str = ""


def same_form(name: str) -> str:
    """Return a name in Unicode's composed form: macOS decomposes letters with accents."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Return what names have in common that differ in case or Unicode form alone."""
    return same_form(same_form(name).casefold())


class Listing:
    """The names in one folder; none where there is no such folder, or it may not be read."""

    def __init__(self, folder: str) -> None:
        try:
            with os.scandir(folder) as entries:
                self.names = frozenset(entry.name for entry in entries)
        except OSError:
            self.names = frozenset()

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for name in sorted(self.names):
            groups.setdefault(folded(name), []).append(name)
        return groups

    def like(self, name: str, where: str) -> str | None:
        """Return the one name that is this one but for case or form; of several that with its case.

        Raises:
            KpError: there are several, and nothing tells which.
        """
        if name in self.names:
            return name
        alike = self._folded.get(folded(name), [])
        closest = [other for other in alike if same_form(other) == same_form(name)] or alike
        if len(closest) > 1:
            listed = ", ".join(f"{other[:80]!a}" for other in closest[:3])
            raise KpError(
                f"{where}: no file is called {name[:80]!a}, but several are but for case or Unicode form ({listed});"
                " write the name of one of them"
            )
        return closest[0] if closest else None


class Folders:
    """Listings by folder, each read once, when it is first asked for."""

    def __init__(self) -> None:
        self._listings: dict[Place, Listing] = {}
        self._spelled: dict[Place, Place | None] = {}

    def first(self, places: Sequence[Place], where: str) -> Found | None:
        """Return the first place that is there as it is spelled, else the first that is but for case or form.

        Raises:
            KpError: as :meth:`Listing.like`.
        """
        for place in places:
            if self._is_there(place):
                return Found(place)
        for place in places:
            if (spelled := self._alike(place, where)) is not None:
                same = all(same_form(a) == same_form(b) for a, b in zip(place.parts, spelled.parts, strict=True))
                return Found(spelled, FORM if same else CASE)
        return None

    def _is_there(self, place: Place) -> bool:
        if not place.parts:
            return True
        folder = Place(place.home, place.parts[:-1])
        return self._is_there(folder) and place.parts[-1] in self._listing(folder).names

    def _alike(self, place: Place, where: str) -> Place | None:
        """Return the place as it is spelled on disk; None where it is not there."""
        if not place.parts:
            return place
        folder = Place(place.home, place.parts[:-1])
        if folder not in self._spelled:
            self._spelled[folder] = self._alike(folder, where)
        spelled = self._spelled[folder]
        name = None if spelled is None else self._listing(spelled).like(place.parts[-1], where)
        return None if spelled is None or name is None else Place(place.home, (*spelled.parts, name))

    def _listing(self, folder: Place) -> Listing:
        if folder not in self._listings:
            self._listings[folder] = Listing("/".join((folder.home, *folder.parts)))
        return self._listings[folder]
