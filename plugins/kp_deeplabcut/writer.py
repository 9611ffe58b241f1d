"""The writer ``deeplabcut``: labels for a project's images, and what DeepLabCut itself would have found in a video."""

from __future__ import annotations

import csv
import math
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from kp_deeplabcut.folder import PREFIX
from kp_deeplabcut.hdf_writer import write_hdf
from kp_deeplabcut.table import LEVELS
from kpcore import placing
from kpcore.errors import KpError
from kpcore.interfaces import About, ComponentConfig, Predicted, Sink, Writer
from kpcore.tensors import Float64Array
from kpcore.trained.individuals import individuals
from kpcore.trained.spool import Spool
from kpcore.trained.unsure import Unsure

Key = TypeVar("Key", str, PurePosixPath)
LABELED = "labeled-data"
DECIMALS = 4
PLAIN = r"^[^/\\,\"'\s][^/\\,\"']*$"
"""A scorer is a part of a file's name and of a CSV file's cells."""


class DeepLabCut(Writer):
    """DeepLabCut's CSV and HDF5: labels of images in a project's layout, positions with likelihoods of a video.

    ``labeled-data/FOLDER/CollectedData_SCORER.csv`` and ``.h5`` of images, by the folder that each is in (images right
    in a folder ``labeled-data`` have their files beside it), to be copied into a project; images without an instance
    have no row. ``VIDEOSCORER.csv`` and ``.h5`` of a video, a row a frame. The HDF5 is pandas' fixed format.

    Where a picture has several instances, both have DeepLabCut's header of several animals: individuals are called as
    following or the boxes' file calls them where their ids last from picture to picture, else ``individual1``, ... by
    their order in each picture, which says nothing of who is who. A likelihood is the confidence, cut to 0 to 1; a
    network's are in its codec's units.
    """

    file: ClassVar[str] = "deeplabcut"

    class Config(ComponentConfig):
        """Options of the writer ``deeplabcut``."""

        scorer: str = Field(
            default="kptransfer",
            pattern=PLAIN,
            description="whose labels these are; a project takes those of its config.yaml's scorer",
        )
        least: float | None = Field(
            default=None,
            description="confidence below which a label of an image is left empty, in the codec's units; all are kept"
            " where absent",
        )

    def __init__(self, *, scorer: str, least: float | None) -> None:
        self._scorer = scorer
        self._least = least

    def open(self, path: Path, about: About) -> Sink:
        """Make the folder; raises KpError where keypoints are 3D."""
        about.require_flat("deeplabcut")
        placing.folder(path.parent, path.name)
        return _Sink(path, about, self._scorer, self._least)


class _Sink(Sink):
    def __init__(self, folder: Path, about: About, scorer: str, least: float | None) -> None:
        self._folder = folder
        self._names = about.keypoints.names
        self._scorer = scorer
        self._least = -np.inf if least is None else least
        self._unsure = Unsure(least)
        self._images: dict[str, str] = {}
        self._labels: dict[PurePosixPath, _Group] = {}
        self._videos: dict[str, _Group] = {}
        self._last: _Group | None = None

    def add(self, found: Predicted) -> None:
        """Put a picture aside: only the last one tells how many animals the header has.

        Raises:
            KpError: two images would have one row.
        """
        if found.problem:
            return
        if found.frame is not None:
            self._group(self._videos, PurePosixPath(found.name).stem).add(found)
            return
        place = row_of(found.path)
        if other := self._images.get(str(place)):
            raise KpError(
                f"--format deeplabcut: {found.path} and {Path(other, place.name)} would both be {place}; give each"
                " image once, and images of one name from folders of other names"
            )
        for points, surer in zip(found.points, found.confidence, strict=True):
            self._unsure.count(points, np.isfinite(points).all(1) & ~(surer < self._least))
        self._images[str(place)] = sys.intern(str(found.path.parent))
        self._group(self._labels, place.parent).add(found)

    def _group(self, groups: dict[Key, _Group], key: Key) -> _Group:
        """Return the pictures of a file that is to be written; one such file alone is open."""
        if key not in groups:
            number = len(self._labels) + len(self._videos)
            groups[key] = _Group(Spool(self._folder / f"{number}.spool.partial"))
        if self._last is not groups[key]:
            if self._last is not None:
                self._last.spool.rest()
            self._last = groups[key]
        return groups[key]

    def finish(self) -> Sequence[Path]:
        """Write the files."""
        paths = [path for folder, group in self._labels.items() for path in self._write_labels(folder, group)]
        paths += [path for name, group in self._videos.items() for path in self._write_video(name, group)]
        self.abandon()
        return paths

    def notes(self) -> Sequence[str]:
        """Say what was left out of images' labels."""
        return self._unsure.notes()

    def abandon(self) -> None:
        """Remove what was put aside."""
        for group in (*self._labels.values(), *self._videos.values()):
            group.spool.remove()

    def _write_labels(self, folder: PurePosixPath, group: _Group) -> list[Path]:
        """Write one folder's files; images without an instance have no row."""
        table = Table(self._names, group.people(), self._scorer, ("x", "y"))

        def rows() -> Iterator[tuple[Path, Float64Array]]:
            found = ((one.path, table.labels(one, self._least)) for one in group.spool)
            return ((path, numbers) for path, numbers in found if np.isfinite(numbers).any())

        flat = folder == PurePosixPath(LABELED)
        kept = (row_of(path) for path, _ in rows())
        index = [(row.as_posix(),) if flat else row.parts for row in kept]
        if not index:
            return []
        place = self._folder if flat else placing.folder(self._folder, *folder.parts)
        stem = place / f"{PREFIX}_{self._scorer}"
        return table.write(stem, index, lambda: (numbers for _, numbers in rows()))

    def _write_video(self, name: str, group: _Group) -> list[Path]:
        table = Table(self._names, group.people(), self._scorer, ("x", "y", "likelihood"))
        index = array("q", (int(one.frame or 0) for one in group.spool))
        return table.write(self._folder / f"{name}{self._scorer}", index, lambda: map(table.positions, group.spool))


class _Group:
    """The pictures of one file, put aside.

    Args:
        spool: that they are put into.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._most = 0

    def add(self, found: Predicted) -> None:
        """Put a picture aside."""
        self._most = max(self._most, len(found.ids))
        self.spool.add(found)

    def people(self) -> People | None:
        """Return the individuals; None where no picture has several instances."""
        if self._most < 2:
            return None
        named = individuals(one.ids for one in self.spool)
        return People(named or [f"individual{number}" for number in range(1, self._most + 1)], by_id=named is not None)


class Table:
    """Columns of a file: keypoints, of one animal or of several.

    Args:
        names: of the keypoints.
        people: of the individuals; None for a file of one animal.
        scorer: of all columns.
        axes: of a keypoint.
    """

    def __init__(self, names: Sequence[str], people: People | None, scorer: str, axes: Sequence[str]) -> None:
        self._names = names
        self._people = people
        self._levels = LEVELS if people else tuple(level for level in LEVELS if level != "individuals")
        who = [(one,) for one in people.names] if people else [()]
        self._columns = [(scorer, *one, name, axis) for one in who for name in names for axis in axes]

    def write(
        self, stem: Path, index: Sequence[tuple[str, ...]] | Sequence[int], rows: Callable[[], Iterator[Float64Array]]
    ) -> list[Path]:
        """Write a CSV file and the same as HDF5, of one row or more; return both.

        Args:
            stem: path without its ending.
            index: of every row.
            rows: gives them, (C,) each, one after the other; asked for each file.
        """
        paths = [stem.with_name(f"{stem.name}{ending}") for ending in (".csv", ".h5")]
        with placing.placed(paths[0]) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(self._cells(index, rows()))
        with placing.placed(paths[1]) as partial:
            write_hdf(partial, self._levels, self._columns, index, rows())
        return paths

    def _cells(
        self, index: Sequence[tuple[str, ...]] | Sequence[int], rows: Iterator[Float64Array]
    ) -> Iterator[list[str]]:
        """Yield the CSV file's rows, its header first."""
        gap = [""] * (len(index[0]) - 1 if isinstance(index[0], tuple) else 0)
        for level, texts in zip(self._levels, zip(*self._columns, strict=True), strict=True):
            yield [level, *gap, *texts]
        for one, row in zip(index, rows, strict=True):
            yield [*(one if isinstance(one, tuple) else [str(one)]), *map(_cell, row.tolist())]

    def labels(self, found: Predicted, least: float) -> Float64Array:
        """Return x and y of every column, NaN where missing or less sure."""
        points, surer = self._placed(found)
        return np.where((surer < least)[..., None], np.nan, points).ravel()

    def positions(self, found: Predicted) -> Float64Array:
        """Return x, y and likelihood of every column, NaN where missing."""
        points, surer = self._placed(found)
        return np.concatenate([points, surer.clip(0, 1)[..., None]], 2).ravel()

    def _placed(self, found: Predicted) -> tuple[Float64Array, Float64Array]:
        """Return points (A, K, 2) and confidence (A, K) by individual."""
        count = len(self._people.names) if self._people else 1
        points = np.full((count, len(self._names), 2), np.nan)
        surer = np.full((count, len(self._names)), np.nan)
        places = self._people.places(found) if self._people else range(len(found.points))
        for place, there, sure in zip(places, found.points, found.confidence, strict=True):
            points[place], surer[place] = there, sure
        return points, surer


class People:
    """Individuals of a file.

    Args:
        names: of them.
        by_id: whether the instances' ids are these names; else they are by order.
    """

    def __init__(self, names: Sequence[str], *, by_id: bool) -> None:
        self.names = tuple(names)
        self._by_id = by_id

    def places(self, found: Predicted) -> list[int]:
        """Return which individual each instance is."""
        return [self.names.index(one) for one in found.ids] if self._by_id else list(range(len(found.ids)))


def row_of(path: Path) -> PurePosixPath:
    """Return how a project names an image: "labeled-data/FOLDER/NAME.png"."""
    folder = path.absolute().parent.name
    return PurePosixPath(LABELED, path.name) if folder == LABELED else PurePosixPath(LABELED, folder, path.name)


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{DECIMALS}f}"
