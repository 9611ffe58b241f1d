"""The writer ``deeplabcut``: labels for a project's images, and what DeepLabCut itself would have found in a video."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

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
        return _Sink(path, about, self._scorer, -np.inf if self._least is None else self._least)


class _Sink(Sink):
    def __init__(self, folder: Path, about: About, scorer: str, least: float) -> None:
        self._folder = folder
        self._names = about.keypoints.names
        self._scorer = scorer
        self._least = least
        self._images: dict[PurePosixPath, Path] = {}
        self._labels: dict[PurePosixPath, list[Predicted]] = defaultdict(list)
        self._videos: dict[str, list[Predicted]] = defaultdict(list)

    def add(self, found: Predicted) -> None:
        """Keep points, some hundred bytes an instance: only the last tells how many animals the header has.

        Raises:
            KpError: two images would have one row.
        """
        if found.problem:
            return
        if found.frame is not None:
            self._videos[PurePosixPath(found.name).stem].append(_light(found))
            return
        place = row_of(found.path)
        if other := self._images.get(place):
            raise KpError(
                f"--format deeplabcut: {found.path} and {other} would both be {place}; give each image once, and"
                " images of one name from folders of other names"
            )
        self._images[place] = found.path
        self._labels[place.parent].append(_light(found))

    def finish(self) -> Sequence[Path]:
        """Write the files."""
        paths = [path for folder, found in self._labels.items() for path in self._write_labels(folder, found)]
        return paths + [path for name, found in self._videos.items() for path in self._write_video(name, found)]

    def _write_labels(self, folder: PurePosixPath, found: list[Predicted]) -> list[Path]:
        """Write one folder's files; images without an instance have no row."""
        table = Table(self._names, _people(found), self._scorer, ("x", "y"))
        numbers = [table.labels(one, self._least) for one in found]
        kept = [place for place, row in enumerate(numbers) if np.isfinite(row).any()]
        if not kept:
            return []
        flat = folder == PurePosixPath(LABELED)
        rows = [row_of(found[place].path) for place in kept]
        index = [(row.as_posix(),) if flat else row.parts for row in rows]
        place = self._folder if flat else placing.folder(self._folder, *folder.parts)
        return table.write(place / f"{PREFIX}_{self._scorer}", index, [numbers[place] for place in kept])

    def _write_video(self, name: str, found: list[Predicted]) -> list[Path]:
        table = Table(self._names, _people(found), self._scorer, ("x", "y", "likelihood"))
        index = [int(one.frame or 0) for one in found]
        return table.write(self._folder / f"{name}{self._scorer}", index, [table.positions(one) for one in found])


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
        self, stem: Path, index: Sequence[tuple[str, ...]] | Sequence[int], rows: Sequence[Float64Array]
    ) -> list[Path]:
        """Write a CSV file and the same as HDF5, of one row or more; return both."""
        values = np.array(rows).reshape(len(rows), len(self._columns))
        paths = [stem.with_name(f"{stem.name}{ending}") for ending in (".csv", ".h5")]
        cells = [list(one) if isinstance(one, tuple) else [str(one)] for one in index]
        gap = [""] * (len(cells[0]) - 1)
        header = [
            [level, *gap, *texts] for level, texts in zip(self._levels, zip(*self._columns, strict=True), strict=True)
        ]
        body = [[*names, *map(_cell, row)] for names, row in zip(cells, values.tolist(), strict=True)]
        _write(paths[0], [*header, *body])
        return [paths[0], write_hdf(paths[1], self._levels, self._columns, index, values)]

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


def _people(found: Sequence[Predicted]) -> People | None:
    """Return the individuals; None where no picture has several instances."""
    most = max((len(one.ids) for one in found), default=0)
    if most < 2:
        return None
    named = individuals([one.ids for one in found])
    return People(named or [f"individual{number}" for number in range(1, most + 1)], by_id=named is not None)


def row_of(path: Path) -> PurePosixPath:
    """Return how a project names an image: "labeled-data/FOLDER/NAME.png"."""
    folder = path.absolute().parent.name
    return PurePosixPath(LABELED, path.name) if folder == LABELED else PurePosixPath(LABELED, folder, path.name)


def _light(found: Predicted) -> Predicted:
    """Return it without its pixels."""
    return replace(found, pixels=None)


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.{DECIMALS}f}"


def _write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Write a CSV file in one step."""
    partial = placing.beside(path)
    with partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return partial.replace(path)
