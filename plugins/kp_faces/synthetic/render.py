"""Surfaces drawn by points: every patch becomes many small coloured squares, the nearest on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kpcore.tensors import AnyArray, Float64Array, FloatArray

FINER = 2
"""The canvas has this many times the photograph's pixels along each side."""
_SPACING = 1.3
"""Canvas pixels between most points of a patch; each covers a square of two."""
_DISTANCE = 9.0
"""The camera's distance, in distances of the outer eye corners."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Where the head is in the picture.

    Args:
        rotation: (3, 3) of the head.
        scale: canvas pixels a unit, at the head's axis.
        origin: (2,) canvas pixels of the middle between the ears.
    """

    rotation: Float64Array
    scale: float
    origin: Float64Array

    def project(self, points: Float64Array) -> Float64Array:
        """Return (..., 3): canvas pixels x, y, and the depth, larger nearer."""
        turned = points @ self.rotation.T
        near = 1 / (1 - turned[..., 2:] / _DISTANCE)
        return np.concatenate([turned[..., :2] * near * self.scale + self.origin, turned[..., 2:]], axis=-1)


@dataclass(frozen=True)
class Light:
    """A lamp: (3,) unit vector towards it, its strength, the strength from everywhere, and its colour."""

    towards: Float64Array
    lamp: float
    ambient: float
    colour: Float64Array


@dataclass(frozen=True, eq=False)
class Patch:
    """A piece of surface over a grid.

    Args:
        points: (r, c, 3) before rotation.
        colour: gives the colours (H, W, 3) of a finer grid.
        thin: seen from both sides.
    """

    points: Float64Array
    colour: Callable[[int, int], FloatArray]
    thin: bool = False


def flat(colour: Float64Array) -> Callable[[int, int], FloatArray]:
    """Return the colours of a patch of one colour."""
    return lambda height, width: np.tile(colour.astype(np.float32), (height, width, 1))


def draw(canvas: FloatArray, patches: Sequence[Patch], camera: Camera, light: Light) -> None:
    """Draw patches onto a canvas (H, W, 3), in place."""
    drawn = [_points(patch, camera, light) for patch in patches]
    places, depths, colours = (np.concatenate([one[k] for one in drawn]) for k in range(3))
    order = np.argsort(depths, kind="stable")
    _splat(canvas, places[order], colours[order])


def _points(patch: Patch, camera: Camera, light: Light) -> tuple[AnyArray, FloatArray, FloatArray]:
    """Return (n, 2) places, (n,) depths and (n, 3) colours of the points that face the camera."""
    projected = camera.project(patch.points)
    normals = _normals(patch.points) @ camera.rotation.T
    towards = normals @ light.towards
    shade = light.ambient + light.lamp * (np.abs(towards) if patch.thin else np.clip(towards, 0, None))
    height, width = (_finer(projected, axis) for axis in (0, 1))
    stacked = np.concatenate([projected, shade[..., None]], axis=-1).astype(np.float32)
    fine = np.asarray(cv2.resize(stacked, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    facing = cv2.resize(normals[..., 2].astype(np.float32), (width, height)) > 0
    shown = np.ones_like(facing) if patch.thin else facing
    kept = fine[shown]
    lit = patch.colour(height, width)[shown] * kept[:, 3:] * light.colour.astype(np.float32)
    return np.rint(kept[:, :2] - 0.5).astype(np.int32), kept[:, 2], lit.astype(np.float32)


def _finer(projected: Float64Array, axis: int) -> int:
    """Return how many points a grid needs along an axis for most of them to be close."""
    apart = np.hypot(*np.moveaxis(np.diff(projected[..., :2], axis=axis), -1, 0))
    return int(min(np.ceil(projected.shape[axis] * np.quantile(apart, 0.9) / _SPACING) + 1, 900))


def _normals(points: Float64Array) -> Float64Array:
    """Return unit normals (r, c, 3), outwards where columns go to the viewer's right and rows down."""
    down, right = np.gradient(points, axis=(0, 1))
    normals = np.cross(right, down)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9))


def _splat(canvas: FloatArray, places: AnyArray, colours: FloatArray) -> None:
    """Write squares of two by two pixels in order, later ones over earlier ones."""
    height, width = canvas.shape[:2]
    x, y = places[:, 0].clip(-2, width), places[:, 1].clip(-2, height)
    across = width + 4  # a frame of two takes what is outside
    corners = np.array([0, 1, across, across + 1])
    targets = (((y + 2) * across + x + 2)[:, None] + corners).ravel()
    last = np.full((height + 4) * across, -1, np.int64)
    last[targets] = np.arange(len(targets)) // 4  # of several at one pixel the last stays
    seen = last.reshape(height + 4, across)[2:-2, 2:-2]
    canvas[seen >= 0] = colours[seen[seen >= 0]]
