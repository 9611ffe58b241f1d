"""Image files: decoded as they are stored, and refused where bytes are missing."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from kpcore.errors import KpError
from kpcore.reading.opening import one_line
from kpcore.tensors import ImageArray

JPEG_START = b"\xff\xd8"
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_END_OF_IMAGE, _START_OF_IMAGE = 0xD9, 0xD8


def decode_image(path: Path) -> ImageArray:
    """Decode an image file.

    Returns:
        (H, W, 3) uint8 RGB, in stored pixels: an EXIF orientation is ignored, because annotations are in stored pixels.

    Raises:
        KpError: the file is missing, truncated, damaged, or no image; with the path. OpenCV alone would fill what a
            truncated JPEG lacks with grey.
    """
    data = _read(path)
    if is_truncated(data):
        raise KpError(f"{path}: image is truncated ({len(data)} bytes, its end is missing); copy or download it again")
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        raise KpError(f"{path}: image cannot be decoded ({one_line(error)})") from error
    if pixels is None:
        raise KpError(f"{path}: not an image that can be decoded ({len(data)} bytes); copy or download it again")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in stored pixels, from the file's header alone.

    Raises:
        KpError: the file is missing, or no image.
    """
    try:
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore")  # of large pictures: only the header is read
            with Image.open(stream) as image:
                return image.size
    except FileNotFoundError as error:
        raise KpError(f"{path}: image file does not exist") from error
    except UnidentifiedImageError as error:
        raise KpError(f"{path}: not an image; copy or download it again") from error
    except Exception as error:  # Pillow raises whatever a damaged byte leads it to
        raise KpError(f"{path}: image cannot be read ({one_line(error)})") from error


def is_truncated(data: bytes) -> bool:
    """Whether a JPEG or a PNG lacks its end. Bytes after the end are tolerated; other formats are never truncated."""
    if data.startswith(JPEG_START):
        return not _jpeg_ends(data)
    return data.startswith(PNG_START) and PNG_END not in data


def _jpeg_ends(data: bytes) -> bool:
    """Walk the markers to the end-of-image, skipping segments: a thumbnail in one has an end of its own."""
    place = len(JPEG_START)
    while found := _MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            return True
        if marker not in (_START_OF_IMAGE, 0x01):  # these two carry no length
            place += max(2, int.from_bytes(data[place : place + 2], "big"))
    return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KpError(f"{path}: image file does not exist") from error
    except OSError as error:
        raise KpError(f"{path}: image cannot be read ({one_line(error)})") from error
