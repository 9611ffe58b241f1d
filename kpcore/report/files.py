"""Writing a report's files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from kpcore.errors import FULL, FaultError, KpError, visible
from kpcore.placing import put

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a formula begins with."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def save(path: Path, content: bytes) -> Path:
    """Write the file in one step, and its folder; return its path. Of a link in its place the link goes.

    Raises:
        KpError: the place cannot be written; FaultError where the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return put(path, content)
    except OSError as error:
        if error.errno in FULL:
            raise FaultError(f"{path}: cannot be written: {error.strerror}; free disk space") from None
        raise KpError(f"{path}: cannot be written: {error.strerror or error}; choose another folder") from None


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return comma-separated text; None is an empty cell, lines end in a line feed everywhere.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which it takes for "text follows".
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def harmless(cell: object) -> object:
    """Return a cell that no spreadsheet calculates; numbers stay numbers, and control characters are escaped."""
    if not isinstance(cell, str):
        return cell
    shown = f"'{cell}" if cell.startswith(FORMULA) and not NUMBER.fullmatch(cell) else cell
    return visible(shown)
