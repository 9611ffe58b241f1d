"""Image files decoded to 8-bit RGB, turned where a sample wants it, and refused where bytes are missing."""

from __future__ import annotations

import io
import re
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from kpcore.errors import KpError
from kpcore.reading.budget import Limit, within
from kpcore.reading.headers import Header, header_of, read_header
from kpcore.reading.opening import one_line, regular
from kpcore.reading.quiet import hushed
from kpcore.reading.turning import turn_of, turned, turned_back
from kpcore.samples import Sample
from kpcore.tensors import AnyArray, ImageArray

JPEG_START = b"\xff\xd8"
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND"
_START_OF_SCAN = b"\xff\xda"
_END = b"\xff\xd9"
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
SHARE = (0.001, 0.999)
"""Shares of the values of a 16-bit picture below which one becomes black, and above which white."""
ROWS = 64
"""Rows of a 16-bit picture that are stretched at once."""
_END_OF_IMAGE, _START_OF_IMAGE = _END[1], JPEG_START[1]


def decode_image(path: Path) -> ImageArray:
    """Decode an image file.

    Grey, palette and 1-bit pictures become RGB; an alpha channel is dropped, the colours under it are taken as they
    are. A channel of 16 bits is stretched (:func:`stretched`).

    Returns:
        (H, W, 3) uint8 RGB, in stored pixels: an EXIF orientation is ignored; :func:`pixels_of` heeds it.

    Raises:
        KpError: the file is missing, truncated, damaged, no image, too large, or of a kind that is not read; with the
            path. OpenCV alone would fill what a truncated JPEG lacks with grey.
    """
    return _decoded(*_opened(path), path)


def pixels_of(sample: Sample) -> ImageArray:
    """Return a sample's picture, (H, W, 3) uint8 RGB, turned as its stated size and option say; raises likewise."""
    return sample.image if not isinstance(sample.image, Path) else read_picture(sample, sample.image)[0]


def read_picture(sample: Sample, path: Path) -> tuple[ImageArray, Header]:
    """Return a sample's picture as :func:`pixels_of` does, from this file, and its header, read once."""
    data, header = _opened(path)
    pixels = _decoded(data, header, path)
    return turned(pixels, turn_of(header, sample.stated_size, sample.orientation)), header


def manner(header: Header, turn: int) -> str:
    """Return what a picture's pixels hang on beside its bytes: how they are read where that is not as they are stored.

    It is part of content keys: change its words whenever the same bytes would give other pixels.
    """
    words = []
    if header.bits > 8:
        words.append("stretched to 8 bits")
    if turn != 1 or (header.tiff and header.orientation != 1):
        words.append(f"turned {turn}")
    if header.tiff and header.alpha:
        words.append("alpha dropped")
    return ", ".join(words)


def _opened(path: Path) -> tuple[bytes, Header]:
    data = _read(path)
    if is_truncated(data):
        raise KpError(f"{path}: image is truncated ({len(data)} bytes, its end is missing); copy or download it again")
    header = header_of(io.BytesIO(data), path)
    if data.startswith(JPEG_START):  # chance bytes of a scan are never a marker
        scans = data.count(_START_OF_SCAN)
        within(Limit.SCANS, scans, f"the JPEG has {scans:,} scans", path)
    return data, header


def _decoded(data: bytes, header: Header, path: Path) -> ImageArray:
    try:
        with hushed():
            pixels = _by_pillow(data) if header.tiff and header.alpha and header.bits == 8 else _by_opencv(data)
    except Exception as error:  # OpenCV's own, or whatever a damaged byte leads Pillow to
        raise KpError(f"{path}: image cannot be decoded ({one_line(error)})") from error
    if pixels is None:
        raise KpError(f"{path}: not an image that can be decoded ({len(data)} bytes); copy or download it again")
    if pixels.shape[:2] not in (header.size[::-1], header.size):
        raise KpError(f"{path}: its header says {header.size}, its pixels are {pixels.shape[1::-1]}; save it again")
    if header.tiff:  # decoders turn it, whatever they are told
        pixels = turned_back(pixels, header.orientation)
    return stretched(pixels) if pixels.dtype == np.uint16 else np.asarray(pixels, np.uint8)


def _by_opencv(data: bytes) -> AnyArray | None:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _by_pillow(data: bytes) -> AnyArray:
    """Decode a TIFF with alpha, whose colours OpenCV darkens by it."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def stretched(pixels: AnyArray) -> ImageArray:
    """Bring 16-bit pixels (H, W, 3) to 8 bits: the range from the picture's 0.1 to its 99.9 percentile fills 0..255.

    What uses a part of 16 bits (12-bit cameras, depth, X-ray) would be nearly black by a fixed scale. Channels share
    the range, so colours keep their balance. Where both percentiles are the same, the smallest and the largest value
    take their place; a picture of one value keeps its upper 8 bits.
    """
    below = np.cumsum(sum(np.bincount(rows.ravel(), minlength=2**16) for rows in _pieces(pixels)))
    low, high = np.searchsorted(below, np.multiply(SHARE, below[-1]))
    if low == high:
        low, high = int(pixels.min()), int(pixels.max())
    if low == high:
        return np.asarray(pixels >> 8, np.uint8)
    scaled = (np.arange(2**16, dtype=np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    table = np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)
    found = np.empty(pixels.shape, np.uint8)
    for rows, made in zip(_pieces(pixels), _pieces(found), strict=True):
        np.take(table, rows, out=made)
    return found


def _pieces(pixels: AnyArray) -> list[AnyArray]:
    """Return views of some rows each: what is made of a large picture at once would take many times its memory."""
    return [pixels[start : start + ROWS] for start in range(0, len(pixels), ROWS)]


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in stored pixels, from the file's header alone; raises as ``read_header``."""
    return read_header(path).size


def is_truncated(data: bytes) -> bool:
    """Whether a JPEG or a PNG lacks its end. Bytes after the end are tolerated; other formats are never truncated."""
    if data.startswith(JPEG_START):
        return not _jpeg_ends(data)
    return data.startswith(PNG_START) and not _png_ends(data)


def _png_ends(data: bytes) -> bool:
    """Walk the chunks to the last: OpenCV makes room for as many bytes as a chunk claims, up to 4 GB."""
    place = len(PNG_START)
    while place + 12 <= len(data):
        if data[place + 4 : place + 8] == PNG_END:
            return True
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return False


def _jpeg_ends(data: bytes) -> bool:
    """Walk the markers to the end-of-image, skipping segments: a thumbnail in one has an end of its own."""
    place = len(JPEG_START)
    while found := _MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            return True
        if marker not in (_START_OF_IMAGE, 0x01):  # these two carry no length
            place += max(2, int.from_bytes(data[place : place + 2], "big"))
        if marker == _START_OF_SCAN[1] and _is_last_scan(data, place):
            return True
    return False


def _is_last_scan(data: bytes, start: int) -> bool:
    """Whether a scan that begins here goes on to an end-of-image without another marker; False where that is unsure.

    Counting is ten times as fast as the search for each marker, which took a twelfth of the time of reading a picture.
    """
    end = data.find(_END, start)
    scan = data[start:end] if end >= 0 else b""
    return end >= 0 and scan.count(b"\xff") == scan.count(b"\xff\x00")


def _read(path: Path) -> bytes:
    try:
        size = regular(path, "an image")
        within(Limit.BYTES, size, f"the image file has {size:,} bytes", path)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KpError(f"{path}: image file does not exist") from error
    except OSError as error:
        raise KpError(f"{path}: image cannot be read ({one_line(error)})") from error
