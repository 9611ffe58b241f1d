"""The crop's geometry and the augmentation's draws.

Affines are (2, 3) float64 and map pixels to pixels, with pixel centres at integers. What is drawn for a person is a
pure function of (seed, pass, index), so that workers, devices and interruptions cannot change it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from kpcore.config import Augmentation
from kpcore.tensors import Float64Array, ImageArray


@dataclass(frozen=True)
class Draw:
    """One draw of the augmentation.

    Args:
        scale: factor on the crop's side: above 1 the person becomes smaller.
        rotation: degrees, counted clockwise as seen on the screen.
        flip: whether left and right are mirrored.
        colour: factor on each of R, G, B.
        shift: (x, y) of the crop, as a share of its side.
    """

    scale: float = 1.0
    rotation: float = 0.0
    flip: bool = False
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)


AS_IS = Draw()


def generator(*key: int) -> np.random.Generator:
    """Return a generator that depends on nothing but these integers."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([value & 0xFFFFFFFF for value in key])))


def draw_augmentation(seed: int, epoch: int, index: int, augmentation: Augmentation) -> Draw:
    """Draw for person ``index`` in pass ``epoch`` over the data (paper, section 3.3: uniform scale and rotation)."""
    random = generator(seed, epoch, index, 1)
    scale, rotation, flip, x, y, *colour = random.random(8).tolist()
    low, high = augmentation.scale
    return Draw(
        scale=low + (high - low) * scale,
        rotation=augmentation.rotation * (2 * rotation - 1),
        flip=bool(flip < augmentation.flip),
        colour=(
            1 + augmentation.colour * (2 * colour[0] - 1),
            1 + augmentation.colour * (2 * colour[1] - 1),
            1 + augmentation.colour * (2 * colour[2] - 1),
        ),
        shift=(augmentation.translation * (2 * x - 1), augmentation.translation * (2 * y - 1)),
    )


def order(seed: int, epoch: int, people: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the order of a pass over the data, (people,)."""
    return generator(seed, epoch, 0, 0).permutation(people)


def reach(augmentation: Augmentation) -> float:
    """How far the augmentation can see, as a factor on the crop's side: the margin that a stored crop needs."""
    angle = math.radians(min(augmentation.rotation, 45.0))
    return augmentation.scale[1] * (math.cos(angle) + math.sin(angle)) + 2 * augmentation.translation


def crop_affine(
    centre: Float64Array | tuple[float, float],
    side: float,
    size: int,
    *,
    scale: float = 1.0,
    rotation: float = 0.0,
    flip: bool = False,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Float64Array:
    """Return the (2, 3) map from source pixels to the pixels of a crop of ``size`` x ``size``.

    Args:
        centre: (x, y) source pixels that land in the crop's middle, (size - 1) / 2.
        side: source pixels along the crop's side before ``scale``.
        size: crop pixels along its side.
        scale: factor on ``side``.
        rotation: degrees, clockwise as seen on the screen.
        flip: mirror left and right, after the rotation.
        shift: of the crop's middle, as a share of its side.
    """
    factor = size / (side * scale)
    angle = math.radians(rotation)
    cos, sin = factor * math.cos(angle), factor * math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]], np.float64)
    if flip:
        linear[0] = -linear[0]
    middle = np.asarray(centre, np.float64) + side * np.asarray(shift, np.float64)
    return np.column_stack([linear, (size - 1) / 2 - linear @ middle])


def apply(affine: Float64Array, points: Float64Array) -> Float64Array:
    """Map points (..., D); z is scaled as lengths are."""
    mapped = points[..., :2] @ affine[:, :2].T + affine[:, 2]
    if points.shape[-1] == 2:
        return mapped
    return np.concatenate([mapped, points[..., 2:] * length_factor(affine)], axis=-1)


def length_factor(affine: Float64Array) -> float:
    """Factor on lengths."""
    return float(math.sqrt(abs(np.linalg.det(affine[:, :2]))))


def invert(affine: Float64Array) -> Float64Array:
    """Return the map back."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def compose(outer: Float64Array, inner: Float64Array) -> Float64Array:
    """Return the map that does ``inner`` first, then ``outer``."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.column_stack([linear, outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def warp(image: ImageArray, affine: Float64Array, size: int) -> ImageArray:
    """Return the (size, size, 3) crop, bilinear; zero where the image does not reach (FACTS: zero padding)."""
    return np.asarray(cv2.warpAffine(image, affine, (size, size), flags=cv2.INTER_LINEAR), np.uint8)
