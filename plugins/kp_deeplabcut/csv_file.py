"""``CollectedData*.csv``: header rows scorer, (individuals,) bodyparts, coords; then a row a frame."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from kp_deeplabcut.table import LEVELS, Labels, assemble, image_name
from kpcore.errors import KpError

INDEX = (1, 3)
"""Columns that name the image: its path, or labeled-data, video and file name."""


def read_csv(path: Path) -> Labels:
    """Read the file; an empty cell or ``nan`` is a part that is not labelled.

    Raises:
        KpError: it is not of this layout; with the row, counted from 1 as an editor does.
    """
    rows = _rows(path)
    header = _header(path, rows)
    index = _index_columns(path, header["coords"])
    columns = _columns(header, index)
    images, values = [], []
    for number, row in enumerate(rows[len(header) :], start=len(header) + 1):
        if len(row) != index + len(columns):
            raise KpError(f"{path}, row {number}: has {len(row)} cells; the header has {index + len(columns)}")
        images.append(image_name(path, number, [cell.strip() for cell in row[:index]]))
        values.append([_number(path, number, cell) for cell in row[index:]])
    if not images:
        raise KpError(f"{path}: has a header and no frames; label some first")
    return assemble(path, images, columns, np.array(values, np.float64))


def _rows(path: Path) -> list[list[str]]:
    """Return the rows that are not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except OSError as error:
        raise KpError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise KpError(f"{path}: is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise KpError(f"{path}: is not a CSV file: {error}") from None


def _header(path: Path, rows: list[list[str]]) -> dict[str, list[str]]:
    """Return level -> its row."""
    found = {row[0].strip(): [cell.strip() for cell in row] for row in rows[:4] if row[0].strip() in LEVELS}
    expected = [level for level in LEVELS if level in found or level != "individuals"]
    begins = [row[0].strip()[:40] for row in rows[: len(expected)]]
    if begins != expected:
        raise KpError(
            f"{path}: the first rows begin with {', '.join(map(repr, begins)) or 'nothing'}; DeepLabCut's begin with"
            " scorer, (individuals,) bodyparts, coords"
        )
    if len({len(row) for row in found.values()}) > 1:
        cells = ", ".join(str(len(found[level])) for level in expected)
        raise KpError(f"{path}: the header's rows have different lengths ({cells} cells)")
    return found


def _index_columns(path: Path, coords: list[str]) -> int:
    filled = [place for place, cell in enumerate(coords) if cell and place]
    index = filled[0] if filled else len(coords)
    if not filled or index not in INDEX:
        raise KpError(f"{path}: {index} columns come before the labels; DeepLabCut writes 1 (the image) or 3")
    return index


def _columns(header: dict[str, list[str]], index: int) -> list[tuple[str, str, str]]:
    """Return the (individual, bodypart, coordinate) of each column."""
    coords = header["coords"]
    individuals = header.get("individuals", [""] * len(coords))
    return list(zip(individuals[index:], header["bodyparts"][index:], coords[index:], strict=True))


def _number(path: Path, row: int, cell: str) -> float:
    try:
        return float(cell) if cell.strip() else np.nan
    except ValueError:
        raise KpError(f"{path}, row {row}: {cell[:40]!r} is not a number; leave it empty if not labelled") from None
