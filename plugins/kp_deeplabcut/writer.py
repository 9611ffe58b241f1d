"""The writer ``deeplabcut``: labels for a project's images, and what DeepLabCut itself would have found in a video."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from pydantic import Field

from kp_deeplabcut.folder import PREFIX
from kpcore.errors import KpError
from kpcore.interfaces import About, ComponentConfig, Predicted, Sink, Writer
from kpcore.tensors import Float64Array
from kpcore.trained.individuals import individuals

LABELED = "labeled-data"
DECIMALS = 4
PLAIN = r"^[^/\\,\"'\s][^/\\,\"']*$"
"""A scorer is a part of a file's name and of a CSV file's cells."""


class DeepLabCut(Writer):
    """DeepLabCut's CSV files: labels of images, in a project's layout, and positions with likelihoods of a video.

    ``labeled-data/FOLDER/CollectedData_SCORER.csv`` of images, by the folder that each is in (images right in a folder
    ``labeled-data`` have their file beside it), to be copied into a project and made into DeepLabCut's HDF5 by its own
    ``convertcsv2h5``. ``VIDEOSCORER.csv`` of a video, a row a frame. Where a picture has several instances, both have
    DeepLabCut's header of several animals: individuals are called as following or the boxes' file calls them where
    their ids last from picture to picture, else ``individual1``, ... by their order in each picture, which says nothing
    of who is who. A likelihood is the confidence, cut to 0 to 1; a network's are in its codec's units.
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
        path.mkdir(exist_ok=True)
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
        paths = [self._write_labels(folder, found) for folder, found in self._labels.items()]
        return paths + [self._write_video(name, found) for name, found in self._videos.items()]

    def _write_labels(self, folder: PurePosixPath, found: list[Predicted]) -> Path:
        """Write one folder's file; images without an instance have no row."""
        table = Table(self._names, _people(found))
        flat = folder == PurePosixPath(LABELED)
        place = self._folder if flat else self._folder.joinpath(*folder.parts)
        rows = [
            [*([row_of(one.path).as_posix()] if flat else row_of(one.path).parts), *map(_cell, numbers)]
            for one in found
            if np.isfinite(numbers := table.labels(one, self._least)).any()
        ]
        header = table.header(self._scorer, ("x", "y"), 1 if flat else 3)
        return _write(place / f"{PREFIX}_{self._scorer}.csv", [*header, *rows])

    def _write_video(self, name: str, found: list[Predicted]) -> Path:
        table = Table(self._names, _people(found))
        rows = [[str(one.frame), *map(_cell, table.positions(one))] for one in found]
        header = table.header(self._scorer, ("x", "y", "likelihood"), 1)
        return _write(self._folder / f"{name}{self._scorer}.csv", [*header, *rows])


class Table:
    """Columns of a file: keypoints, of one animal or of several.

    Args:
        names: of the keypoints.
        people: of the individuals; None for a file of one animal.
    """

    def __init__(self, names: Sequence[str], people: People | None) -> None:
        self._names = names
        self._people = people

    def header(self, scorer: str, axes: Sequence[str], index: int) -> Iterator[list[str]]:
        """Yield the header's rows, after ``index`` columns that name the picture."""
        who = self._people.names if self._people else ("",)
        columns = [(one, name, axis) for one in who for name in self._names for axis in axes]
        gap = [""] * (index - 1)
        yield ["scorer", *gap, *(scorer for _ in columns)]
        if self._people:
            yield ["individuals", *gap, *(one for one, _, _ in columns)]
        yield ["bodyparts", *gap, *(name for _, name, _ in columns)]
        yield ["coords", *gap, *(axis for _, _, axis in columns)]

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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return partial.replace(path)
