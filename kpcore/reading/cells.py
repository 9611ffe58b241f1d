"""One cell of a table as a number: what is missing, and what is no number."""

from __future__ import annotations

import math
import re

from kpcore.errors import KpError

MISSING = frozenset(("", "-", "--", "nan", "na", "n/a", "#n/a", "<na>", "null", "none"))
"""What a cell without a number holds, in lower case: as spreadsheets, pandas, R and people write it."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number; Python alone would also take ``1_000`` and ``infinity``."""


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no number."""
    return cell.strip().lower() in MISSING


def number(cell: str, where: str) -> float:
    """Return a cell's number; NaN where it is missing.

    Args:
        cell: with a decimal point; :func:`kpcore.reading.csv_rows.csv_rows` turns decimal commas into points.
        where: file, line and column, for the error.

    Raises:
        KpError: it is no number.
    """
    text = cell.strip()
    if NUMBER.fullmatch(text):
        return float(text)
    if is_missing(text):
        return math.nan
    raise KpError(
        f"{where}: {text[:40]!a} is not a number; write one, or leave the cell empty where nothing is labelled"
    )
