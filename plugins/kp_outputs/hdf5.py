"""The writer ``h5``: the file that ``kp run`` writes of its own predictions and ``kp eval`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from kpcore.evaluation.predictions import FORMAT, write_points
from kpcore.interfaces import About, Predicted, Sink, Writer


class Hdf5(Writer):
    """Points (N, K, D) with names, origin, image and instance ids, frame numbers, crops, and rows of COCO boxes."""

    file: ClassVar[str] = "predictions.h5"

    def open(self, path: Path, about: About) -> Sink:
        """Begin the file."""
        return _Sink(path, about)


class _Sink(Sink):
    def __init__(self, path: Path, about: About) -> None:
        self._path = path
        self._about = about
        self._found: list[Predicted] = []

    def add(self, found: Predicted) -> None:
        """Keep points and names, some hundred bytes an instance."""
        if len(found.points):
            self._found.append(found)

    def finish(self) -> Sequence[Path]:
        """Write the file."""
        found, keypoints = self._found, self._about.keypoints
        count, dims = len(keypoints), keypoints.skeleton.dims
        rows = [row for one in found for row in one.rows]
        frames = [-1 if one.frame is None else one.frame for one in found for _ in one.points]
        write_points(
            self._path,
            np.concatenate([np.empty((0, count, dims)), *(one.points for one in found)]),
            np.concatenate([np.empty((0, count)), *(one.confidence for one in found)]),
            keypoints.names,
            {"format": FORMAT, "origin": 0, "model": self._about.model},
            {
                "frames": np.array(frames, np.int64),
                "crops": np.concatenate([np.empty((0, 3)), *(one.crops for one in found)]),
                **({"rows": np.array(rows, np.int64)} if len(rows) == len(frames) else {}),
            },
            {
                "image_ids": [one.name for one in found for _ in one.points],
                "person_ids": [name or str(k) for one in found for k, name in enumerate(one.ids)],
            },
        )
        return [self._path]
