"""The writer ``h5``: the file that ``kp run`` writes of its own predictions and ``kp eval`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from kpcore.evaluation.predictions import FORMAT
from kpcore.interfaces import About, Predicted, Sink, Writer
from kpcore.placing import beside

CHUNK = 128
"""Instances of a chunk, and of what is held before it is written."""
HELD = 1 << 16
"""Bytes of a data set's chunks that HDF5 holds; what is written is not read again."""
KNOWN = 1 << 19
"""Bytes of the file's layout that HDF5 holds."""
TEXT = h5py.string_dtype()


class Hdf5(Writer):
    """Points (N, K, D) with names, origin, image and instance ids, frame numbers, crops, and rows of COCO boxes."""

    file: ClassVar[str] = "predictions.h5"

    def open(self, path: Path, about: About) -> Sink:
        """Begin the file."""
        return _Sink(path, about)


class _Sink(Sink):
    def __init__(self, path: Path, about: About) -> None:
        self._path = path
        self._partial = beside(path)
        self._file = h5py.File(self._partial, "w", rdcc_nbytes=HELD)
        hold_little(self._file)
        names = about.keypoints.names
        self._file.attrs.update({"format": FORMAT, "origin": 0, "model": about.model})
        self._file.attrs.create("keypoints", list(names), dtype=TEXT)
        for name, (shape, kind) in columns(len(names), about.keypoints.skeleton.dims).items():
            self._file.create_dataset(name, (0, *shape), kind, maxshape=(None, *shape), chunks=(CHUNK, *shape))
        self._held: list[Predicted] = []
        self._waiting = 0
        self._rows = True

    def add(self, found: Predicted) -> None:
        """Write its instances, some at a time."""
        if not len(found.points):
            return
        self._held.append(replace(found, pixels=None))
        self._waiting += len(found.points)
        if self._waiting >= CHUNK:
            self._write()

    def _write(self) -> None:
        rows = [row for one in self._held for row in one.rows]
        self._rows &= len(rows) == self._waiting
        for name, values in {**_values(self._held), **({"rows": rows} if self._rows else {})}.items():
            data = self._file[name]
            start = len(data)
            data.resize(start + self._waiting, 0)
            data[start:] = values
        self._held, self._waiting = [], 0

    def finish(self) -> Sequence[Path]:
        """Give the file its name; places in a COCO file are in it where every instance has one."""
        if self._held:
            self._write()
        if not self._rows:
            del self._file["rows"]
        self._file.close()
        self._partial.replace(self._path)
        return [self._path]

    def abandon(self) -> None:
        """Remove what was begun."""
        with suppress(OSError, RuntimeError):  # what a full disk did not take
            self._file.close()
        self._partial.unlink(missing_ok=True)


def hold_little(file: h5py.File) -> None:
    """Have HDF5 hold less of what it knows of a file's layout than the 32 MiB that it goes up to with many chunks."""
    config = file.id.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.min_size = config.max_size = KNOWN
    file.id.set_mdc_config(config)


def columns(keypoints: int, dims: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return the data sets, each with the shape of an instance and the type."""
    return {
        "preds": ((keypoints, dims), np.float64),
        "confidence": ((keypoints,), np.float32),
        "frames": ((), np.int64),
        "crops": ((3,), np.float64),
        "rows": ((), np.int64),
        "image_ids": ((), TEXT),
        "person_ids": ((), TEXT),
    }


def _values(found: Sequence[Predicted]) -> dict[str, Any]:
    """Return what some pictures with instances add to every data set but ``rows``."""
    return {
        "preds": np.concatenate([one.points for one in found]),
        "confidence": np.concatenate([one.confidence for one in found]),
        "frames": [-1 if one.frame is None else one.frame for one in found for _ in one.points],
        "crops": np.concatenate([one.crops for one in found]),
        "image_ids": [one.name for one in found for _ in one.points],
        "person_ids": [name or str(place) for one in found for place, name in enumerate(one.ids)],
    }
