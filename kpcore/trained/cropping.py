"""A crop of a picture as a network's input, by the same two steps as in training: cut out, then one warp."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kpcore.data.geometry import ScaleShift, warp_into
from kpcore.data.store import Cut, cut, window
from kpcore.samples import Sample
from kpcore.tensors import Float64Array, ImageArray
from kpcore.trained.framing import Crop

NOWHERE = Path()


def input_of(pixels: ImageArray, crop: Crop, resolution: int, name: str) -> tuple[ImageArray, Float64Array]:
    """Cut a crop out of a picture.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        crop: in its pixels; may reach beyond its edges, where the input is 0.
        resolution: of the input.
        name: of the picture, for messages.

    Returns:
        The input (R, R, 3) uint8 RGB, and the (2, 3) map from the picture's pixels to the input's.

    Raises:
        KpError: the crop is too large to be cut.
    """
    sample, how = _sample(crop, name), Cut(resolution, 1.0)
    stored = cut(pixels, sample, how)
    there = ScaleShift.crop(sample.centre, sample.side, resolution)
    image: ImageArray = np.empty((resolution, resolution, 3), np.uint8)
    warp_into(image, stored, there.after(window(sample, how).map.inverse()).inverse().affine)
    return image, there.affine


def _sample(crop: Crop, name: str) -> Sample:
    """Return a sample that has nothing but its crop, in the precision that samples have."""
    return Sample(
        image=NOWHERE,
        points=np.empty((0, 2), np.float32),
        state=np.empty(0, np.uint8),
        centre=np.array([crop.x, crop.y], np.float32),
        side=crop.side,
        normaliser=np.nan,
        image_id=name,
        person_id="",
        row=0,
    )
