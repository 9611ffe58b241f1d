"""Pictures as viewers show them: labelling tools that run in a browser, and ultralytics, turn a JPEG by its EXIF."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kpcore.reading.headers import read_header

TURNED = ("JPEG", "MPO")
"""Formats that are shown as their EXIF orientation says."""


class Shown(NamedTuple):
    """A picture's width and height, px, as it is shown, and whether that is not as it is stored."""

    size: tuple[int, int]
    turned: bool


def shown_size(path: Path) -> Shown:
    """Return how a picture is shown, from the file's header alone.

    Raises:
        KpError: the file is missing, or no image.
    """
    header = read_header(path)
    turned = header.format in TURNED and header.orientation != 1
    return Shown(header.turned_size if turned else header.size, turned)
