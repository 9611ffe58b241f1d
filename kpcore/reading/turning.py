"""Whether and how stored pixels are turned, so that points lie where their annotator saw them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kpcore.reading.headers import Header
from kpcore.samples import Orientation
from kpcore.tensors import ImageArray

TURNS: dict[int, Callable[[ImageArray], ImageArray]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}
"""EXIF orientation -> what a viewer makes of the stored pixels, (H, W, 3)."""
INVERSE = {6: 8, 8: 6}
"""EXIF orientation -> the one that undoes it; the others undo themselves."""


def turned(pixels: ImageArray, orientation: int) -> ImageArray:
    """Return pixels (H, W, 3) as a viewer shows them; orientations 5 to 8 exchange width and height."""
    return np.ascontiguousarray(TURNS[orientation](pixels))


def turned_back(pixels: ImageArray, orientation: int) -> ImageArray:
    """Return the stored pixels of what a decoder has turned."""
    return turned(pixels, INVERSE.get(orientation, orientation))


def turn_of(header: Header, stated: tuple[int, int] | None, option: Orientation) -> int:
    """Return the EXIF orientation by which a picture's stored pixels are turned; 1 where they are left.

    Args:
        header: of the picture's file.
        stated: (width, height) in the annotation; None where it gives none.
        option: ``stored`` never turns, ``turned`` always does, ``auto`` turns where the stated size is that of the
            turned picture and not of the stored one; where nothing tells (:func:`unclear`) it leaves the pixels.
    """
    fits = stated == header.turned_size and stated != header.size
    return header.orientation if option == "turned" or (option == "auto" and fits) else 1


def unclear(header: Header, stated: tuple[int, int] | None) -> bool:
    """Whether nothing tells if the points lie on the stored or the turned picture."""
    return header.orientation != 1 and (header.size == header.turned_size or stated not in _sizes(header))


def _sizes(header: Header) -> tuple[tuple[int, int], tuple[int, int]]:
    return header.size, header.turned_size
