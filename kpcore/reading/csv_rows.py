"""CSV files, in the one dialect that all readers take.

Commas, semicolons or tabs between cells, quoted as spreadsheets do; UTF-8, or UTF-16 as Excel's "Unicode text" is. A
decimal comma where semicolons or tabs are between cells. Empty lines, comments (``#``) and empty columns at the end
are left out; :func:`csv_table` also leaves out the nameless column of row numbers that pandas writes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kpcore.errors import KpError
from kpcore.reading.cells import NUMBER
from kpcore.reading.opening import read_text, unreadable

SEPARATORS = ",;\t"
HINT = re.compile(r"sep=([,;\t])\s*", re.IGNORECASE)
"""Excel's first line, which says the separator."""
COMMA = re.compile(r"([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)", re.ASCII)
POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?", re.ASCII)
INDEX = re.compile(r"(?:Unnamed: ?\d+(?:_level_\d+)?)?")
"""What pandas calls a column that has no name."""

Row = tuple[int, list[str]]
"""Line in the file, counted from 1, that a row ends on; and its cells, without white space around them."""


def csv_rows(path: Path, kind: str) -> Iterator[Row]:
    """Yield the rows that are not empty. The separator is the one that splits the first line into most cells.

    Raises:
        KpError: as :func:`kpcore.reading.opening.read_text`; a quote is left open; or a column has decimal points and
            decimal commas.
    """
    lines, start = _lines(read_text(path, kind))
    try:
        separator = _separator(lines)
        reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=separator, strict=True)
        split = [(reader.line_num + start, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise unreadable(path, kind, error) from error
    rows = _trimmed([row for row in split if any(row[1])])
    yield from rows if separator == "," else _with_points(rows, path)


def csv_table(path: Path, kind: str) -> list[Row]:
    """Return the rows of a file whose first row names the columns, without a first column of row numbers.

    Raises:
        KpError: as :func:`csv_rows`.
    """
    rows = list(csv_rows(path, kind))
    indexed = len(rows) > 1 and bool(INDEX.fullmatch(rows[0][1][0])) and all(row[0].isdecimal() for _, row in rows[1:])
    return [(line, cells[1:]) for line, cells in rows] if indexed else rows


def _lines(text: str) -> tuple[list[str], int]:
    """Return the lines from the first that is neither empty nor a comment, and how many came before it."""
    lines = io.StringIO(text, newline="").readlines()
    start = next((k for k, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines))
    return lines[start:], start


def _separator(lines: list[str]) -> str:
    """Return the separator; Excel's line that says it becomes an empty one."""
    if lines and (hint := HINT.fullmatch(lines[0])):
        lines[0] = "\n"
        return hint[1]
    return max(SEPARATORS, key=lambda separator: len(next(csv.reader(lines[:1], delimiter=separator), [])))


def _trimmed(rows: Sequence[Row]) -> list[Row]:
    """Leave out columns at the end that are empty in every row, and comments among the rows."""
    width = max((_filled(cells) for _, cells in rows if not cells[0].startswith("#")), default=0)
    kept = [(line, cells[: max(width, _filled(cells))]) for line, cells in rows]
    return [row for row in kept if not _is_comment(row[1], width)]


def _is_comment(cells: Sequence[str], width: int) -> bool:
    """Whether a row that begins with # is none of the table's: an image may be called #1.png."""
    return cells[0].startswith("#") and len(cells) != width and not any(map(NUMBER.fullmatch, cells[1:]))


def _filled(cells: Sequence[str]) -> int:
    """Return how many cells there are up to the last that is not empty."""
    return max((place for place, cell in enumerate(cells, 1) if cell), default=0)


def _with_points(rows: Sequence[Row], path: Path) -> Iterator[Row]:
    """Write decimal commas as points.

    Raises:
        KpError: a column has both, so that one of them may separate thousands.
    """
    first: dict[tuple[int, bool], tuple[int, str]] = {}
    for line, cells in rows:
        for place, cell in enumerate(cells):
            comma = bool(COMMA.fullmatch(cell))
            if comma or POINT.fullmatch(cell):
                first.setdefault((place, comma), (line, cell))
                if (other := first.get((place, not comma))) is not None:
                    raise KpError(
                        f"{path}, line {line}: {cell!r}, but {other[1]!r} in line {other[0]} of the same column; write"
                        " all numbers with a decimal point, or all with a decimal comma"
                    )
        yield line, [COMMA.sub(r"\1.\2", cell) if COMMA.fullmatch(cell) else cell for cell in cells]
