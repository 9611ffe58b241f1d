"""The crop's geometry and the augmentation's draws.

Affines are (2, 3) float64 and map pixels to pixels, with pixel centres at integers. What is drawn for a person is a
pure function of (seed, pass, index), so that workers, devices and interruptions cannot change it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np

from kpcore.config import Augmentation
from kpcore.tensors import AnyArray, Float64Array, ImageArray

PADDED = 16
"""Times its crop's size up to which an image is warped with a fourth channel: the same bytes in half the time, since
OpenCV is faster on four than on three. To pad a much larger image would cost what that saves."""


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


@dataclass(frozen=True, eq=False)
class Draws:
    """The draws of B people, one array a field of :class:`Draw`.

    Args:
        scale: (B,).
        rotation: (B,) degrees.
        flip: (B,) bool.
        colour: (B, 3).
        shift: (B, 2).
    """

    scale: Float64Array
    rotation: Float64Array
    flip: AnyArray
    colour: Float64Array
    shift: Float64Array

    @classmethod
    def of(cls, draws: Sequence[Draw]) -> Draws:
        """Put single draws together."""
        return cls(*(np.array([getattr(draw, field.name) for draw in draws]) for field in fields(Draw)))

    def __getitem__(self, place: int) -> Draw:
        """Return the draw of one person."""
        red, green, blue = self.colour[place].tolist()
        x, y = self.shift[place].tolist()
        scale, rotation, flip = float(self.scale[place]), float(self.rotation[place]), bool(self.flip[place])
        return Draw(scale, rotation, flip, (red, green, blue), (x, y))


def generator(*key: int) -> np.random.Generator:
    """Return a generator that depends on nothing but these integers."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([value & 0xFFFFFFFF for value in key])))


def uniform_draws(seed: int, epoch: int, people: int, first: int = 0) -> Float64Array:
    """Return (people, 8) uniform numbers for a pass over the data, from person ``first`` on.

    A person's row depends on (seed, pass, person) alone.
    """
    random = generator(seed, epoch, 0, 1)
    random.bit_generator.advance(2 * first)  # type: ignore[attr-defined]  # a block of Philox is four numbers
    return random.random((people, 8))


def augment(uniform: Float64Array, augmentation: Augmentation) -> Draws:
    """Turn (B, 8) uniform numbers into draws (paper, section 3.3: uniform scale and rotation)."""
    low, high = augmentation.scale
    centred = 2 * uniform - 1
    return Draws(
        scale=low + (high - low) * uniform[:, 0],
        rotation=augmentation.rotation * centred[:, 1],
        flip=uniform[:, 2] < augmentation.flip,
        colour=1 + augmentation.colour * centred[:, 5:],
        shift=augmentation.translation * centred[:, 3:5],
    )


def draw_augmentation(seed: int, epoch: int, index: int, augmentation: Augmentation) -> Draw:
    """Draw for person ``index`` in pass ``epoch`` over the data."""
    return augment(uniform_draws(seed, epoch, 1, first=index), augmentation)[0]


def order(seed: int, epoch: int, people: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the order of a pass over the data, (people,)."""
    return generator(seed, epoch, 0, 0).permutation(people)


def reach(augmentation: Augmentation) -> float:
    """How far the augmentation can see, as a factor on the crop's side: the margin that a stored crop needs."""
    angle = math.radians(min(augmentation.rotation, 45.0))
    return augmentation.scale[1] * (math.cos(angle) + math.sin(angle)) + 2 * augmentation.translation


def crop_affine(
    centre: AnyArray | tuple[float, float],
    side: AnyArray | float,
    size: int,
    *,
    scale: AnyArray | float = 1.0,
    rotation: AnyArray | float = 0.0,
    flip: AnyArray | bool = False,
    shift: AnyArray | tuple[float, float] = (0.0, 0.0),
) -> Float64Array:
    """Return the (2, 3) map from source pixels to the pixels of a crop of ``size`` x ``size``.

    For B people at once every argument but ``size`` has a leading axis of B, and so has the result.

    Args:
        centre: (x, y) source pixels that land in the crop's middle, (size - 1) / 2.
        side: source pixels along the crop's side before ``scale``.
        size: crop pixels along its side.
        scale: factor on ``side``.
        rotation: degrees, clockwise as seen on the screen.
        flip: mirror left and right, after the rotation.
        shift: of the crop's middle, as a share of its side.
    """
    side = np.asarray(side, np.float64)
    factor = size / (side * scale)
    angle = np.radians(rotation)
    cos, sin = factor * np.cos(angle), factor * np.sin(angle)
    mirror = np.where(flip, -1.0, 1.0)
    linear = np.stack([np.stack([mirror * cos, -mirror * sin], -1), np.stack([sin, cos], -1)], -2)  # (..., 2, 2)
    middle = np.asarray(centre, np.float64) + side[..., None] * np.asarray(shift, np.float64)
    return _affine(linear, (size - 1) / 2 - _times(linear, middle))


@dataclass(frozen=True)
class ScaleShift:
    """A map of one factor and no turn, in plain numbers: faster than (2, 3) arrays, and the same to the bit.

    Args:
        factor: on both axes, not 0.
        x, y: where the origin lands.
    """

    factor: float
    x: float
    y: float

    @classmethod
    def crop(cls, centre: AnyArray, side: float, size: int) -> ScaleShift:
        """Return what :func:`crop_affine` does for a crop as it is."""
        factor, middle = size / side, (size - 1) / 2
        x, y = (middle - factor * value for value in centre.tolist())
        return cls(factor, x, y)

    def inverse(self) -> ScaleShift:
        """Return the map back, as :func:`invert`."""
        back = 1 / self.factor
        return ScaleShift(back, -(back * self.x), -(back * self.y))

    def after(self, inner: ScaleShift) -> ScaleShift:
        """Return the map that does ``inner`` first, as :func:`compose`."""
        return ScaleShift(self.factor * inner.factor, self.factor * inner.x + self.x, self.factor * inner.y + self.y)

    @property
    def affine(self) -> Float64Array:
        """As (2, 3)."""
        return np.array([[self.factor, 0.0, self.x], [0.0, self.factor, self.y]])


def apply(affine: Float64Array, points: Float64Array) -> Float64Array:
    """Map points (..., D) with one affine, or (B, K, D) with one a person, (B, 2, 3); z is scaled as lengths are."""
    offset = affine[..., 2] if affine.ndim == 2 else affine[..., None, :, 2]
    mapped = points[..., :2] @ np.swapaxes(affine[..., :2], -1, -2) + offset
    if points.shape[-1] == 2:
        return mapped
    factor = length_factor(affine) if affine.ndim == 2 else length_factor(affine)[..., None, None]
    return np.concatenate([mapped, points[..., 2:] * factor], axis=-1)


def length_factor(affine: Float64Array) -> Float64Array:
    """Factor on lengths, (...)."""
    factor: Float64Array = np.sqrt(np.abs(np.linalg.det(affine[..., :2])))
    return factor


def invert(affine: Float64Array) -> Float64Array:
    """Return the map back; (..., 2, 3)."""
    linear: Float64Array = np.linalg.inv(affine[..., :2]).astype(np.float64)
    return _affine(linear, -_times(linear, affine[..., 2]))


def compose(outer: Float64Array, inner: Float64Array) -> Float64Array:
    """Return the map that does ``inner`` first, then ``outer``; (..., 2, 3)."""
    linear = outer[..., :2]
    return _affine(linear @ inner[..., :2], _times(linear, inner[..., 2]) + outer[..., 2])


def _affine(linear: Float64Array, offset: Float64Array) -> Float64Array:
    return np.concatenate([linear, offset[..., None]], axis=-1)


def _times(linear: Float64Array, vector: Float64Array) -> Float64Array:
    return (linear @ vector[..., None])[..., 0]


def warp(image: ImageArray, affine: Float64Array, size: int) -> ImageArray:
    """Return the (size, size, 3) crop, bilinear; zero where the image does not reach (Newell's zero padding).

    Args:
        image: (H, W, 3) uint8.
        affine: (2, 3) image pixels to crop pixels.
        size: crop pixels along its side.
    """
    crop: ImageArray = np.empty((size, size, 3), np.uint8)
    warp_into(crop, image, invert(affine))
    return crop


def warp_into(crop: ImageArray, image: ImageArray, inverse: Float64Array) -> None:
    """Fill a crop as :func:`warp` does; ``inverse`` maps crop pixels to image pixels."""
    size, flags = (crop.shape[1], crop.shape[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if image.size > PADDED * crop.size:
        cv2.warpAffine(image, inverse, size, dst=crop, flags=flags)
        return
    padded = cv2.warpAffine(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), inverse, size, flags=flags)
    cv2.cvtColor(padded, cv2.COLOR_RGBA2RGB, dst=crop)
