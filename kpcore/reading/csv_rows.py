"""CSV files: commas, semicolons or tabs, in UTF-8, quoted as spreadsheets do."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from kpcore.reading.opening import read_text, unreadable

SEPARATORS = ",;\t"


def csv_rows(path: Path, kind: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of the rows that are not empty; cells without white space around them.

    The separator is the one that the first line has most of. A row's line is the one it ends on, counted from 1.

    Raises:
        KpError: as :func:`kpcore.reading.opening.read_text`, or a quote is left open.
    """
    text = read_text(path, kind)
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            if any(cells := [cell.strip() for cell in row]):
                yield reader.line_num, cells
    except csv.Error as error:
        raise unreadable(path, kind, error) from error
