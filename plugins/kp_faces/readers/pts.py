"""``.pts`` files: one a picture, x and y of a landmark a line, 1-based, as 300-W's.

A whole file begins with ``version: 1`` and ``n_points: 68``, and has its numbers in braces; any of these may be
missing.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from kp_faces.readers.values import plain
from kpcore.errors import KpError
from kpcore.reading.cells import number
from kpcore.reading.opening import read_text
from kpcore.tensors import Float64Array

KIND = "a .pts file of landmarks"
_HEADER = re.compile(r"(version|n_points)\s*[:=]\s*(\S+)", re.IGNORECASE)


def read_pts(path: Path, count: int) -> Float64Array:
    """Read a file.

    Args:
        path: the file.
        count: how many landmarks it must hold.

    Returns:
        (count, 2), 1-based as in the file.

    Raises:
        KpError: a line is no pair of numbers, or there are more or fewer of them; with the line.
    """
    rows = []
    for place, line in enumerate(read_text(path, KIND).splitlines(), 1):
        text = line.strip().strip("{}").strip()
        if header := _HEADER.fullmatch(text):
            _check_header(header[1].lower(), header[2], count, f"{path}, line {place}")
        elif text:
            rows.append(_pair(text, f"{path}, line {place}"))
    if len(rows) != count:
        raise KpError(f"{path}: holds {len(rows)} landmarks; expected {count}; mend or remove the file")
    return np.array(rows, np.float64)


def _check_header(key: str, value: str, count: int, where: str) -> None:
    if key == "n_points" and value != str(count):
        raise KpError(f"{where}: n_points is {plain(value)}; expected {count}; mend or remove the file")


def _pair(text: str, where: str) -> tuple[float, float]:
    words = text.replace(",", " ").split()
    if len(words) != 2:
        raise KpError(f"{where}: expected x and y of a landmark, got {plain(text)}")
    return number(words[0], where), number(words[1], where)
