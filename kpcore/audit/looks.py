"""Pictures that look nearly the same: copies that were encoded anew, scaled or a little brightened.

A picture's look is its grey thumbnail of ``SIDE`` x ``SIDE`` pixels, blurred before, so that a copy of another size has
the same one. Two pictures are near where, both at mean 0 and standard deviation 1, no pixel of their looks differs by
more than ``NEAR``. A crop, a mirrored or a turned copy looks different, and is not recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from kpcore.data.fingerprint import remembered
from kpcore.errors import KpError
from kpcore.reading.images import image_size, is_truncated
from kpcore.reading.quiet import hushed
from kpcore.tensors import AnyArray, FloatArray, ImageArray

SIDE = 16
NEAR = 0.25
"""Of a look's standard deviation. Measured on parts of MPII, LSP extended, 300-W, COCO and on filmed mice: copies as
JPEG of quality 50 differ by up to 0.12, halved copies by 0.02 to 0.15 (medians, up to 0.53); different photographs of
LSP and different poses of the mouse by 1.1 and more; frames of one film, moments apart, by 0.13 to 0.7."""
FLAT = 6.0
"""Grey levels: a look that varies less (an empty picture) says nothing."""
DECODED = 128
"""Pixels of the shorter side that a JPEG is decoded to, at least: the whole is not needed."""
KIND = "looks-1"
_SCALED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: cv2.IMREAD_GRAYSCALE,
}  # fmt: skip
CHUNK = 512


def looks_of(images: Sequence[Path | ImageArray]) -> FloatArray:
    """Return (N, SIDE * SIDE) looks at mean 0 and standard deviation 1; NaN of what is flat or cannot be read.

    Those of files are remembered in the cache, by path, size and times.
    """
    files = [image for image in images if isinstance(image, Path)]
    texts = dict(zip(files, remembered(files, KIND, _of_file), strict=True))
    rows = [texts[image] if isinstance(image, Path) else _text(_grey(image)) for image in images]
    empty = np.full(SIDE * SIDE, np.nan, np.float32)
    return np.array([_standard(np.frombuffer(bytes.fromhex(row), np.uint8)) if row else empty for row in rows])


def near_pairs(ours: FloatArray, theirs: FloatArray) -> list[tuple[int, int]]:
    """Return (place in ours, place in theirs) of looks that are near, see :data:`NEAR`, in order.

    Args:
        ours: (N, P) looks.
        theirs: (M, P) looks.
    """
    found = []
    for start in range(0, len(theirs), CHUNK):
        some = theirs[start : start + CHUNK]
        alike = np.nan_to_num(ours) @ np.nan_to_num(some).T / ours.shape[1]
        # A difference of NEAR everywhere is a correlation of 1 - NEAR^2 / 2: whatever is less alike cannot be near.
        for one, other in np.argwhere(alike >= 1 - NEAR**2 / 2).tolist():
            if np.abs(ours[one] - some[other]).max() <= NEAR:
                found.append((one, start + other))
    return sorted(found)


def _of_file(path: Path) -> str:
    """Return a file's look as text; "" where it cannot be read, which others report."""
    try:
        width, height = image_size(path)
    except KpError:
        return ""
    scale = next(scale for scale in _SCALED if scale == 1 or min(width, height) >= scale * DECODED)
    try:
        data = path.read_bytes()
        with hushed():
            grey = None if is_truncated(data) else cv2.imdecode(np.frombuffer(data, np.uint8), _SCALED[scale])
    except (OSError, cv2.error):
        return ""
    return "" if grey is None else _text(np.asarray(grey, np.uint8))


def _grey(pixels: ImageArray) -> ImageArray:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _text(grey: ImageArray) -> str:
    height, width = grey.shape
    blurred = cv2.GaussianBlur(grey, (0, 0), sigmaX=width / (3 * SIDE), sigmaY=height / (3 * SIDE))
    return bytes(cv2.resize(blurred, (SIDE, SIDE), interpolation=cv2.INTER_AREA)).hex()


def _standard(pixels: AnyArray) -> FloatArray:
    values = pixels.astype(np.float32)
    spread = float(values.std())
    return (values - values.mean()) / spread if spread >= FLAT else np.full_like(values, np.nan)
