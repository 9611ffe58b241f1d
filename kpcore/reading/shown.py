"""Pictures as viewers show them: labelling tools that run in a browser, and ultralytics, turn a JPEG by its EXIF."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from PIL import Image

from kpcore.reading.images import image_size
from kpcore.reading.opening import guarded

ORIENTATION = 0x0112
SWAPPED = (5, 6, 7, 8)
"""Values of EXIF's orientation that swap width and height."""


class Shown(NamedTuple):
    """A picture's width and height, px, as it is shown, and whether that is not as it is stored."""

    size: tuple[int, int]
    turned: bool


def shown_size(path: Path) -> Shown:
    """Return how a picture is shown, from the file's header alone.

    Raises:
        KpError: the file is missing, or no image.
    """
    width, height = image_size(path)
    with guarded(path, "a picture"), Image.open(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1) if image.format in ("JPEG", "MPO") else 1
    return Shown((height, width) if orientation in SWAPPED else (width, height), orientation != 1)
