"""Predictions put aside in a file, for formats whose first line hangs on the last picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from kpcore.interfaces import Predicted
from kpcore.tensors import Float64Array


class Spool:
    """Predictions that are added one by one and given back in order, as often as asked, without their pixels.

    Memory does not grow with their number. What is given back is what was added, to the last bit, but for what a COCO
    file of boxes says of it.

    Args:
        path: of the file that they lie in; it goes with :meth:`remove`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        path.unlink(missing_ok=True)  # of a run that was killed, or a link

    def add(self, found: Predicted) -> None:
        """Put a picture's predictions aside."""
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(json.dumps(_record(found)) + "\n")  # in ASCII: names of files need not be text

    def rest(self) -> None:
        """Close the file until the next is added, so that any number of spools can be filled in turns."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __iter__(self) -> Iterator[Predicted]:
        self.rest()
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield _predicted(json.loads(line))

    def remove(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # what a full disk did not take
            self.rest()
        self._path.unlink(missing_ok=True)


def _record(found: Predicted) -> dict[str, Any]:
    arrays = {"crops": found.crops, "points": found.points, "confidence": found.confidence}
    return {
        "name": found.name,
        "path": str(found.path),
        "frame": found.frame,
        "size": found.size,
        "ids": found.ids,
        "problem": found.problem,
        **{name: [list(array.shape), array.ravel().tolist()] for name, array in arrays.items()},
    }


def _predicted(record: dict[str, Any]) -> Predicted:
    def array(name: str) -> Float64Array:
        shape, values = record[name]
        return np.array(values, np.float64).reshape(shape)

    return Predicted(
        name=record["name"],
        path=Path(record["path"]),
        frame=record["frame"],
        size=(record["size"][0], record["size"][1]),
        crops=array("crops"),
        ids=tuple(record["ids"]),
        points=array("points"),
        confidence=array("confidence"),
        problem=record["problem"],
    )
