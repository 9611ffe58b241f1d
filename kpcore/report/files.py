"""Writing a report's files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from kpcore.errors import KpError


def save(path: Path, content: bytes) -> Path:
    """Write the file and its folder; return its path.

    Raises:
        KpError: the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise KpError(f"{path}: cannot be written: {error.strerror or error}; choose another folder") from None
    return path


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return comma-separated text; None is an empty cell, lines end in a line feed everywhere."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
