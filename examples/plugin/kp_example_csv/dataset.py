"""Named keypoints in ``train.csv`` and ``valid.csv``: an image a row, two columns a keypoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from kp_example_csv.table import Row, keypoint_names, read
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.paths import image_path
from kpcore.reading.roots import existing_root
from kpcore.reading.skeletons import sided_keypoints
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, VISIBLE

PARTS = ("train", "valid")


class CsvPoints(Dataset):
    """Images with named points. The skeleton is what the header of ``train.csv`` says."""

    root_variable: ClassVar[str] = "KP_CSV_ROOT"

    class Config(ComponentConfig):
        """``[dataset] name = "csv"``."""

        root: str | None = Field(
            default=None, description="folder with images/, train.csv and valid.csv; KP_CSV_ROOT where absent"
        )
        margin: float = Field(default=1.5, ge=1, description="crop side over the longer side of the box of the points")
        normaliser: tuple[str, str] | None = Field(
            default=None, description="two keypoints whose distance divides errors; the crop side does where absent"
        )

    def __init__(self, *, root: str | None, margin: float, normaliser: tuple[str, str] | None) -> None:
        self._root = existing_root(root, self.root_variable, "images/, train.csv and valid.csv")
        self._margin, self._pair = margin, normaliser
        self._header, _ = read(self._file("train"))
        names = keypoint_names(self._header, self._file("train"))
        self._skeleton = Skeleton("csv", sided_keypoints(names))
        self._ends = [self._skeleton.index(name) for name in normaliser or ()]

    @property
    def facts(self) -> Facts:
        return Facts(
            label=f"CSV {self._root.resolve().name}",
            skeleton=self._skeleton,
            parts=PARTS,
            normaliser=f"distance from {self._pair[0]} to {self._pair[1]}" if self._pair else "crop side",
            default_metric="pck",
        )

    def samples(self, part: str) -> Sequence[Sample]:
        found = [self._sample(number, row) for number, row in enumerate(self._rows(part))]
        return [sample for sample in found if sample is not None]

    def findings(self, part: str) -> Sequence[Finding]:
        missing = len(self._rows(part)) - len(self.samples(part))
        return [Finding("note", "rows left out: no box of points, or no normaliser", missing)] if missing else []

    def _file(self, part: str) -> Path:
        if part not in PARTS:
            raise unknown("part", part, PARTS, where=str(self._root))
        return self._root / f"{part}.csv"

    def _image(self, name: str) -> Path:
        return self._root / "images" / name

    def _rows(self, part: str) -> list[Row]:
        header, rows = read(self._file(part))
        if header != self._header:
            raise KpError(f"{self._file(part)}: its columns are not those of train.csv; give both files the same")
        return rows

    def _sample(self, number: int, row: Row) -> Sample | None:
        points = np.array([row.point(name) for name in self._skeleton.names], np.float32)  # (K, 2)
        labelled = ~np.isnan(points).any(1)
        if not labelled.any():
            return None
        low, high = points[labelled].min(0), points[labelled].max(0)
        side = self._margin * float((high - low).max())
        length = math.dist(*points[self._ends].tolist()) if self._pair else side
        if not (side > 0 and length > 0):  # NaN where an end of the normaliser is not labelled
            return None
        state = np.where(labelled, VISIBLE, UNLABELLED).astype(np.uint8)
        name = image_path(row.cells["image"], row.where)
        return Sample(self._image(name), points, state, (low + high) / 2, side, length, name, str(number), number)
