"""The writer ``csv``: a row a keypoint, for spreadsheets, pandas and R."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from kpcore.interfaces import About, Predicted, Sink, Writer
from kpcore.placing import beside

DECIMALS = 4


class Table(Writer):
    """Columns image, frame, instance, keypoint, x, y, z (3D alone), confidence; empty cells where one is lost."""

    file: ClassVar[str] = "predictions.csv"

    def open(self, path: Path, about: About) -> Sink:
        """Begin the file, with its header."""
        return _Sink(path, about)


class _Sink(Sink):
    def __init__(self, path: Path, about: About) -> None:
        self._path = path
        self._names = about.keypoints.names
        self._partial = beside(path)
        self._file = self._partial.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        axes = ("x", "y", "z")[: about.keypoints.skeleton.dims]
        self._rows.writerow(["image", "frame", "instance", "keypoint", *axes, "confidence"])

    def add(self, found: Predicted) -> None:
        """Write its rows."""
        self._rows.writerows(self._of(found))

    def _of(self, found: Predicted) -> Iterator[list[str]]:
        frame = "" if found.frame is None else str(found.frame)
        for place, (points, surer) in enumerate(zip(found.points, found.confidence, strict=True)):
            instance = found.ids[place] or str(place)
            for name, point, sure in zip(self._names, points.tolist(), surer.tolist(), strict=True):
                yield [found.name, frame, instance, name, *map(_cell, point), _cell(sure)]

    def finish(self) -> Sequence[Path]:
        """Give the file its name."""
        self._file.close()
        self._partial.replace(self._path)
        return [self._path]

    def abandon(self) -> None:
        """Remove what was begun."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{DECIMALS}f}"
