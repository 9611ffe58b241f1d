"""JSON annotation: a list of objects, one a person. Every error names the file and the row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kpcore.errors import KpError, unknown
from kpcore.reading.opening import read_json
from kpcore.reading.paths import Images
from kpcore.tensors import Float64Array


@dataclass(frozen=True)
class Rows:
    """Some rows of a file.

    Args:
        path: the file.
        rows: the objects.
        numbers: each row's place in the file, 0-based.
    """

    path: Path
    rows: Sequence[dict[str, Any]]
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def load(cls, path: Path, kind: str) -> Rows:
        """Read all rows.

        Raises:
            KpError: it is not JSON, or not a list of objects.
        """
        rows = read_json(path, kind)
        if not isinstance(rows, list):
            raise KpError(f"{path}: holds a {type(rows).__name__}; expected {kind}, a list with one object a person")
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                raise KpError(f"{path}, row {number}: holds a {type(row).__name__}; expected an object")
        return cls(path, rows, range(len(rows)))

    def where(self, keep: Sequence[bool]) -> Rows:
        """Return the rows whose entry is true."""
        chosen = [place for place, kept in enumerate(keep) if kept]
        return Rows(self.path, [self.rows[place] for place in chosen], [self.numbers[place] for place in chosen])

    def images(self, key: str, names: Images) -> tuple[str, ...]:
        """Return a field of image names."""
        return tuple(names.name(self._value(place, key), self._place(place, key)) for place in range(len(self)))

    def arrays(self, key: str, shape: tuple[int, ...], *, gaps: bool = False) -> Float64Array:
        """Return a field of numbers, (N, *shape); with ``gaps`` a null among them is NaN.

        Raises:
            KpError: a row lacks the field, or holds something else there.
        """
        found = np.empty((len(self), *shape))
        for place in range(len(self)):
            found[place] = self._array(place, key, shape, gaps)
        return found

    def optional(self, key: str) -> Float64Array:
        """Return a field of one number each, (N,), NaN where the row lacks it or holds null."""
        found = np.full(len(self), np.nan)
        for place, row in enumerate(self.rows):
            if row.get(key) is not None:
                found[place] = self._array(place, key, ())
        return found

    def _array(self, place: int, key: str, shape: tuple[int, ...], gaps: bool = False) -> Float64Array:
        value = self._value(place, key)
        try:
            array = np.array(_filled(value) if gaps and shape else value)
            if array.shape == shape and array.dtype.kind in "biuf":
                return array.astype(np.float64)
        except ValueError:  # numpy's answer to ragged lists
            array = np.empty(0)
        expected = f"numbers {shape}" if shape else "a number"
        raise KpError(f"{self._place(place, key)}: expected {expected}, got {json.dumps(value)[:60]}")

    def _value(self, place: int, key: str) -> Any:
        if key not in self.rows[place]:
            raise unknown("field", key, self.rows[place], where=f"{self._place(place, key)} is missing")
        return self.rows[place][key]

    def _place(self, place: int, key: str) -> str:
        return f"{self.path}, row {self.numbers[place]}, '{key}'"


def _filled(value: Any) -> Any:
    """Return rows of numbers with NaN for null."""
    if not isinstance(value, list):
        return value
    return [[np.nan if one is None else one for one in row] if isinstance(row, list) else row for row in value]
