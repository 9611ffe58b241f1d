"""What an image file's header says: size, format, orientation, depth. A kind that is not read is refused by name."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from PIL import Image, UnidentifiedImageError

from kpcore.errors import KpError
from kpcore.reading.opening import one_line

FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "GIF", "WEBP", "JPEG2000", "AVIF", "PPM")
"""Formats that are read; MPO is what phones write for a JPEG with a preview or a depth map behind it."""
MODES = {"1", "L", "P", "RGB", "RGBX", "YCbCr", "CMYK", "LA", "PA", "La", "RGBA", "RGBa", "I", "I;16", "I;16B", "I;16L"}
"""Pillow's words for pixels that become RGB."""
ALPHA = {"LA", "PA", "La", "RGBA", "RGBa"}
LARGEST_PIXELS = 178_956_970
"""Width times height beyond which an image is refused from its header: Pillow's limit, over half a gigabyte decoded."""
REMEDY = "save it as an 8-bit or 16-bit grey or RGB PNG"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_PNM = re.compile(rb"P[2356]\s+(?:#.*\s+)*\d+\s+(?:#.*\s+)*\d+\s+(?:#.*\s+)*(\d+)")
_ORIENTATION, _WIDTH, _HEIGHT, _BITS, _SUBFILE = 274, 256, 257, 258, 254


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
        KpError: the file is missing, no image, over :data:`LARGEST_PIXELS`, or of a kind that is not read.
    """
    try:
        with path.open("rb") as stream:
            return header_of(stream, path)
    except FileNotFoundError as error:
        raise KpError(f"{path}: image file does not exist") from error
    except OSError as error:
        raise KpError(f"{path}: image cannot be read ({one_line(error)})") from error


def header_of(stream: IO[bytes], path: Path) -> Header:
    """Read the header of an open file; ``path`` is for messages. Raises as :func:`read_header`."""
    start = stream.read(256)
    stream.seek(0)
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
        f"{path}: the image has {pixels:,} pixels, at most {LARGEST_PIXELS:,} are read; make it smaller, and its points"
    )


def _header(image: Any, start: bytes, path: Path) -> Header:
    # Pillow gives a TIFF's size as it will turn it
    size = (int(image.tag_v2[_WIDTH]), int(image.tag_v2[_HEIGHT])) if image.format == "TIFF" else image.size
    if size[0] * size[1] > LARGEST_PIXELS:
        raise _too_large(path, size[0] * size[1])
    bits = _bits(image, start)
    if problem := _problem(image, bits):
        raise KpError(f"{path}: {problem}; {REMEDY}")
    return Header(size, _orientation(image), bits, image.mode in ALPHA, image.format)


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
