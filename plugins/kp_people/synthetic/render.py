"""A canvas with a depth buffer: solids are shaded, anti-aliased at their outlines, and hide what lies behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kp_people.synthetic.camera import Camera
from kp_people.synthetic.solids import Hits, Solid, albedo, strike
from kpcore.tensors import AnyArray, Float64Array, FloatArray

_GROW = 0.5
"""Solids are drawn this much larger (px) and fade over the last pixel, so that outlines keep their place."""


@dataclass(frozen=True)
class Light:
    """One lamp and the sky.

    Args:
        direction: (3,) unit vector towards the lamp, camera space.
        lamp, sky: brightness from the lamp and from all around.
    """

    direction: Float64Array
    lamp: float
    sky: float


class Canvas:
    """An image in the making.

    Args:
        colour: (H, W, 3) float32 in [0, 1], drawn upon.
    """

    def __init__(self, colour: FloatArray) -> None:
        self.colour = colour
        self.depth: FloatArray = np.full(colour.shape[:2], np.inf, np.float32)

    def draw(self, solids: Iterable[Solid], camera: Camera, light: Light) -> None:
        """Draw solids, the farthest first so that soft outlines blend with what they cover."""
        for solid in sorted(solids, key=lambda solid: -_middle(solid, camera)):
            self._draw(solid, camera, light)

    def _draw(self, solid: Solid, camera: Camera, light: Light) -> None:
        window = self._window(solid.box(camera))
        if window is None:
            return
        rows, columns = window
        hits = strike(solid, camera, _grid(columns), _grid(rows), _GROW)
        turned = camera.rotation @ solid.rotation
        cover = _cover(hits, turned, _radius(solid, camera))
        cover[hits.depth >= self.depth[window]] = 0
        shade = _shade(hits, turned, light)
        colour = self.colour[window]
        colour += cover[..., None] * (albedo(solid.paint, hits.local) * shade[..., None] - colour)
        np.copyto(self.depth[window], hits.depth, where=cover > 0.5)

    def _window(self, box: tuple[float, float, float, float]) -> tuple[slice, slice] | None:
        """Rows and columns of the pixels in a box; None where all are outside the image."""
        height, width = self.depth.shape
        left, top = max(int(box[0]) - 1, 0), max(int(box[1]) - 1, 0)
        right, bottom = min(int(box[2]) + 3, width), min(int(box[3]) + 3, height)
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None

    def cover(self, mask: FloatArray, colour: FloatArray) -> None:
        """Lay something flat in front of everything: mask (H, W) in [0, 1], colour (H, W, 3) or (3,)."""
        self.colour += mask[..., None] * (colour - self.colour)
        self.depth[mask > 0.5] = -np.inf

    def hidden(self, points: Float64Array, slack: Float64Array) -> AnyArray:
        """Say which camera-space points (K, 3) have a surface more than ``slack`` (K,) px in front of them, (K,) bool.

        Points outside the image are hidden.
        """
        height, width = self.depth.shape
        x, y = np.rint(points[:, 0]).astype(int), np.rint(points[:, 1]).astype(int)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        front = self.depth[y.clip(0, height - 1), x.clip(0, width - 1)]
        return np.asarray(~inside | (front < points[:, 2] - slack))


def _grid(pixels: slice) -> FloatArray:
    return np.arange(pixels.start, pixels.stop, dtype=np.float32)


def _middle(solid: Solid, camera: Camera) -> float:
    """Depth of a solid's middle, px."""
    middle = solid.origin + solid.rotation[:, 1] * (solid.length * solid.stretch[1] / 2)
    return float(camera.project(middle)[2])


def _radius(solid: Solid, camera: Camera) -> float:
    """Typical radius of its outline, px."""
    return (solid.start + solid.end) / 2 * min(solid.stretch) / camera.mm_per_px + _GROW


def _along(hits: Hits, axis: Float64Array) -> FloatArray:
    """Scalar product of the normals with a direction in the solid's rotated axes."""
    nx, ny, nz = hits.normal
    return np.asarray(nx * np.float32(axis[0]) + ny * np.float32(axis[1]) + nz * np.float32(axis[2]))


def _cover(hits: Hits, turned: Float64Array, radius: float) -> FloatArray:
    """Covered share of each pixel: at d px from an outline of radius r, the normal faces us by sqrt(2 d / r)."""
    facing = np.maximum(-_along(hits, turned[2]), 0)
    cover = np.minimum(facing * facing * np.float32(radius / 2), 1)
    return np.where(np.isfinite(hits.depth), cover, np.float32(0))


def _shade(hits: Hits, turned: Float64Array, light: Light) -> FloatArray:
    """Brightness: the lamp by Lambert's law, the sky more from above than from below."""
    lamp = np.maximum(_along(hits, turned.T @ light.direction), 0) * np.float32(light.lamp)
    return np.asarray(lamp + np.float32(light.sky) * (1 - np.float32(0.25) * _along(hits, turned[1])))
