"""``CollectedData*.csv``: header rows scorer, (individuals,) bodyparts, coords; then a row a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kp_deeplabcut.table import LEVELS, Labels, assemble, image_name
from kpcore.errors import KpError
from kpcore.reading.cells import number
from kpcore.reading.csv_rows import INDEX as ROW_NUMBERS
from kpcore.reading.csv_rows import Row, csv_rows
from kpcore.reading.paths import Images

INDEX = (1, 3)
"""Columns that name the image: its path, or labeled-data, video and file name."""


def read_csv(path: Path, names: Images) -> Labels:
    """Read the file; an empty cell (or ``nan``, ``NA``, ``-``) is a part that is not labelled.

    Args:
        path: the file.
        names: finds its images.

    Raises:
        KpError: it is not of this layout; with the row, counted from 1 as an editor does.
    """
    rows = _without_numbers(list(csv_rows(path, "a CollectedData CSV file")))
    header = _header(path, [cells for _, cells in rows[: len(LEVELS)]])
    index = _index_columns(path, header["coords"])
    columns = _columns(header, index)
    images, values = [], []
    for line, row in rows[len(header) :]:
        if len(row) != index + len(columns):
            raise KpError(
                f"{path}, row {line}: has {len(row)} cells; the header has {index + len(columns)}; mend this row (what"
                " is not labelled is an empty cell)"
            )
        images.append(image_name(names, f"{path}, row {line}", row[:index]))
        values.append(_numbers(row[index:], columns, f"{path}, row {line}"))
    if not images:
        raise KpError(f"{path}: has a header and no frames; label some first")
    return assemble(path, images, columns, np.array(values, np.float64))


def _without_numbers(rows: list[Row]) -> list[Row]:
    """Leave out a nameless first column of row numbers, which pandas writes when it saves what it read."""
    top = [cells for _, cells in rows if len(cells) > 1 and cells[1] in LEVELS]
    rest = rows[len(top) :]
    if not top or not all(ROW_NUMBERS.fullmatch(cells[0]) for cells in top):
        return rows
    numbered = all(cells[0].isdecimal() for _, cells in rest)
    return [(line, cells[1:]) for line, cells in rows] if numbered else rows


def _header(path: Path, rows: list[list[str]]) -> dict[str, list[str]]:
    """Return level -> its row."""
    found = {row[0]: row for row in rows if row[0] in LEVELS}
    expected = [level for level in LEVELS if level in found or level != "individuals"]
    begins = [row[0][:40] for row in rows[: len(expected)]]
    if begins != expected:
        raise KpError(
            f"{path}: the first rows begin with {', '.join(map(repr, begins)) or 'nothing'}; DeepLabCut's begin with"
            " scorer, (individuals,) bodyparts, coords: delete what stands before these (pandas: to_csv(index=False))"
        )
    if len({len(row) for row in found.values()}) > 1:
        cells = ", ".join(str(len(found[level])) for level in expected)
        raise KpError(f"{path}: the header's rows have different lengths ({cells} cells); fill the shorter ones")
    return found


def _index_columns(path: Path, coords: list[str]) -> int:
    filled = [place for place, cell in enumerate(coords) if cell and place]
    index = filled[0] if filled else len(coords)
    if not filled or index not in INDEX:
        raise KpError(
            f"{path}: {index} columns come before the labels; DeepLabCut writes 1 (the image) or 3; delete the others"
        )
    return index


def _columns(header: dict[str, list[str]], index: int) -> list[tuple[str, str, str]]:
    """Return the (individual, bodypart, coordinate) of each column."""
    coords = header["coords"]
    individuals = header.get("individuals", [""] * len(coords))
    return list(zip(individuals[index:], header["bodyparts"][index:], coords[index:], strict=True))


def _numbers(cells: list[str], columns: list[tuple[str, str, str]], where: str) -> list[float]:
    """Return the numbers of a row, NaN where missing, and where the column is neither x nor y."""
    return [
        number(cell, where) if axis in ("x", "y") else np.nan for cell, (_, _, axis) in zip(cells, columns, strict=True)
    ]
