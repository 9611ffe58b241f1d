"""What an image file's header says: size, format, orientation, depth. A kind that is not read is refused by name."""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from PIL import Image, UnidentifiedImageError

from kpcore.errors import KpError
from kpcore.reading.budget import Limit, remedy, within
from kpcore.reading.opening import one_line, regular

FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "GIF", "WEBP", "JPEG2000", "AVIF", "PPM")
"""Formats that are read; MPO is what phones write for a JPEG with a preview or a depth map behind it."""
MODES = {"1", "L", "P", "RGB", "RGBX", "YCbCr", "CMYK", "LA", "PA", "La", "RGBA", "RGBa", "I", "I;16", "I;16B", "I;16L"}
"""Pillow's words for pixels that become RGB."""
ALPHA = {"LA", "PA", "La", "RGBA", "RGBa"}
REMEDY = "save it as an 8-bit or 16-bit grey or RGB PNG"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_PNM = re.compile(rb"P[2356]\s+(?:#.*\s+)*\d+\s+(?:#.*\s+)*\d+\s+(?:#.*\s+)*(\d+)")
_ORIENTATION, _WIDTH, _HEIGHT, _BITS, _SUBFILE = 274, 256, 257, 258, 254
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_CODESTREAM = b"\xff\x4f\xff\x51"
"""How the stream in a JPEG 2000 file begins: its sizes are what is decoded, whatever the boxes around it say."""


@dataclass(frozen=True)
class Header:
    """What a file says of its picture.

    Args:
        size: (width, height) of the stored pixels.
        orientation: EXIF's, 1 to 8: how a viewer turns the stored pixels; 1 is as they are.
        bits: of a channel, 1 to 16.
        alpha: whether there is an alpha channel; it is dropped, and the colours under it are read as they are.
        format: Pillow's word for the file's, one of :data:`FORMATS`; "" for a picture that is in no file.
    """

    size: tuple[int, int]
    orientation: int = 1
    bits: int = 8
    alpha: bool = False
    format: str = ""

    @property
    def tiff(self) -> bool:
        """Whether it is a TIFF, which decoders turn themselves."""
        return self.format == "TIFF"

    @property
    def turned_size(self) -> tuple[int, int]:
        """(width, height) as a viewer shows the picture."""
        return turned_size(self.size, self.orientation)


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return (width, height) after a turn: orientations 5 to 8 exchange them."""
    return size[::-1] if orientation >= 5 else size


def read_header(path: Path) -> Header:
    """Read a file's header alone.

    Raises:
        KpError: the file is missing, no image, too large for the budget, or of a kind that is not read.
    """
    try:
        regular(path, "an image")
        with path.open("rb") as stream:
            return header_of(stream, path)
    except FileNotFoundError as error:
        raise KpError(f"{path}: image file does not exist") from error
    except OSError as error:
        raise KpError(f"{path}: image cannot be read ({one_line(error)})") from error


def header_of(stream: IO[bytes], path: Path) -> Header:
    """Read the header of an open file; ``path`` is for messages. Raises as :func:`read_header`."""
    start = stream.read(4096)
    stream.seek(0)
    most = Limit.PIXELS.most
    if Image.MAX_IMAGE_PIXELS is not None and most > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = most  # Pillow's own limit would refuse what the user lets pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures and odd metadata: only the header is read
            with Image.open(stream) as image:
                return _header(image, start, path)
    except KpError:
        raise
    except Image.DecompressionBombError as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(path, int(found[1]) if found else 0) from error
    except UnidentifiedImageError as error:
        if start.startswith(_TIFF):
            raise KpError(f"{path}: a TIFF of a kind that is not read; {REMEDY}") from error
        raise KpError(f"{path}: not an image; copy or download it again") from error
    except Exception as error:  # Pillow raises whatever a damaged byte leads it to
        raise KpError(f"{path}: image cannot be read ({one_line(error)})") from error


def _too_large(path: Path, pixels: int) -> KpError:
    return KpError(
        f"{path}: the image has {pixels:,} pixels, at most {Limit.PIXELS.most:,} are read; {remedy(Limit.PIXELS)}"
    )


def _header(image: Any, start: bytes, path: Path) -> Header:
    # Pillow gives a TIFF's size as it will turn it
    size = (int(image.tag_v2[_WIDTH]), int(image.tag_v2[_HEIGHT])) if image.format == "TIFF" else image.size
    if size[0] * size[1] > Limit.PIXELS.most:
        raise _too_large(path, size[0] * size[1])
    bits = _bits(image, start)
    if problem := _problem(image, bits):
        raise KpError(f"{path}: {problem}; {REMEDY}")
    if bits > 8:
        within(Limit.PIXELS, size[0] * size[1], f"the image has {size[0] * size[1]:,} pixels of {bits} bits", path,
               parts=2)  # fmt: skip
    _check_inside(image, start, path)
    return Header(size, _orientation(image), bits, image.mode in ALPHA, image.format)


def _check_inside(image: Any, start: bytes, path: Path) -> None:
    """Refuse sizes inside a file that are not its header's, and over the budget; raises KpError."""
    if image.format == "TIFF":
        width, length = (int(image.tag_v2.get(tag, 1)) for tag in (_TILE_WIDTH, _TILE_LENGTH))
        within(Limit.PIXELS, width * length, f"the image's tiles have {width * length:,} pixels", path)
    if image.format == "JPEG2000" and (place := start.find(_CODESTREAM)) >= 0:
        right, bottom, left, top = struct.unpack(">IIII", start[place + 8 : place + 24])
        pixels = max(0, right - left) * max(0, bottom - top)
        within(Limit.PIXELS, pixels, f"the image's stream has {pixels:,} pixels", path)


def _problem(image: Any, bits: int) -> str:
    """Say why a picture is not read; "" where it is."""
    depths = {"I": (16,), "CMYK": (8,)}.get(image.mode, (1, 2, 4, 8, 16))
    if image.format not in FORMATS or image.mode not in MODES or bits not in depths:
        return f"a {image.format} picture of {bits} bits a channel (Pillow's mode '{image.mode}') is not read"
    return "the file holds several pictures (pages or frames), not one" if _several(image) else ""


def _several(image: Any) -> bool:
    """Whether a file holds several pictures; previews behind a JPEG and a TIFF's smaller copies are none."""
    if image.format != "TIFF":
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    for page in count(1):
        try:
            image.seek(page)
        except EOFError:
            break
        if not int(image.tag_v2.get(_SUBFILE, 0)) & 1:
            return True
    image.seek(0)
    return False


def _bits(image: Any, start: bytes) -> int:
    """Return the bits of a channel as they are stored; Pillow's mode hides those of 16-bit RGB."""
    if image.format == "PNG":
        return start[24]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS, (1,))))
    if image.format == "PPM" and (found := _PNM.match(start)):
        return 16 if int(found[1]) > 255 else 8
    return 32 if image.mode == "F" else 16 if image.mode.startswith("I") else 8


def _orientation(image: Any) -> int:
    """Return EXIF's orientation; 1 where there is none, or one that does not exist."""
    try:
        found = Image.Image.getexif(image).get(_ORIENTATION, 1)  # PNG's own method would decode the picture
    except Exception:  # metadata that are damaged say nothing
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1
