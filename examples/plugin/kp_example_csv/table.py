"""A CSV file read without trust: every error names file, line and column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from kpcore.errors import KpError
from kpcore.reading.csv_rows import csv_rows


@dataclass(frozen=True)
class Row:
    """One line: where it stands, for messages, and its cells by column."""

    where: str
    cells: dict[str, str]

    def point(self, name: str) -> tuple[float, float]:
        """Return x and y of a keypoint, NaN where both cells are empty."""
        empty = not (self.cells[f"{name}_x"] or self.cells[f"{name}_y"])
        return (math.nan, math.nan) if empty else (self._number(f"{name}_x"), self._number(f"{name}_y"))

    def _number(self, column: str) -> float:
        try:
            value = float(self.cells[column])
        except ValueError:
            value = math.inf
        if not math.isfinite(value):
            raise KpError(
                f"{self.where}, column {column}: '{self.cells[column]}' is no pixel coordinate; write a number, or"
                " leave both cells of the point empty"
            )
        return value


def read(path: Path) -> tuple[list[str], list[Row]]:
    """Return the header and the rows, each with a cell a column."""
    lines = list(csv_rows(path, "a CSV file with a row an image"))
    header = lines[0][1] if lines else []
    for number, line in lines:
        if len(line) != len(header):
            raise KpError(f"{path}, line {number}: has {len(line)} cells, the header has {len(header)}; mend the line")
    return header, [Row(f"{path}, line {number}", dict(zip(header, line, strict=True))) for number, line in lines[1:]]


def keypoint_names(header: list[str], path: Path) -> list[str]:
    """Return the keypoints that the header names, in its order; a column that lacks or is there twice is an error."""
    names = list(dict.fromkeys(column[:-2] for column in header if column.endswith(("_x", "_y"))))
    for column in ("image", *(f"{name}_{axis}" for name in names for axis in "xy")):
        if header.count(column) != 1:
            raise KpError(f"{path}: has {header.count(column)} columns '{column}'; it needs one")
    if not names:
        raise KpError(f"{path}: has no columns NAME_x, NAME_y; add two for every keypoint")
    return names
