"""Rounded cones, stretched along their own axes: the one shape that bodies are made of, and where a ray meets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kp_people.synthetic.camera import Camera
from kpcore.tensors import AnyArray, Float64Array, FloatArray

_EPS = 1e-6


@dataclass(frozen=True)
class Paint:
    """Colours of a surface, RGB in [0, 1].

    Args:
        base: everywhere, unless a layer says otherwise.
        layers: (pattern, numbers, colour), later ones on top; see :data:`PATTERNS`.
    """

    base: tuple[float, float, float]
    layers: tuple[tuple[str, tuple[float, ...], tuple[float, float, float]], ...] = ()


@dataclass(frozen=True)
class Solid:
    """Spheres along a segment of the local y axis, from radius ``start`` to radius ``end``.

    Args:
        origin: (3,) body-space mm of the segment's start.
        rotation: (3, 3) local axes to body space.
        length: mm along local y, signed.
        start, end: radii, mm.
        stretch: factors along local x, y, z.
        paint: its colours.
    """

    origin: Float64Array
    rotation: Float64Array
    length: float
    start: float
    end: float
    stretch: tuple[float, float, float]
    paint: Paint

    def box(self, camera: Camera) -> tuple[float, float, float, float]:
        """Bounding box of its projection: left, top, right, bottom, px."""
        axes = camera.rotation @ self.rotation * np.array(self.stretch) / camera.mm_per_px
        start = camera.project(self.origin)[:2]
        end = start + axes[:2, 1] * self.length
        reach = np.linalg.norm(axes[:2], axis=1)
        low = np.minimum(start - reach * self.start, end - reach * self.end)
        high = np.maximum(start + reach * self.start, end + reach * self.end)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


@dataclass(frozen=True, eq=False)
class Hits:
    """Where the rays of a window of pixels (h, w) first meet a solid.

    Args:
        depth: (h, w) px along the camera's z; infinite where the ray misses.
        local: three (h, w) arrays, the point in the solid's unstretched coordinates, mm.
        normal: three (h, w) arrays, the outward normal in the solid's rotated axes, unit length.
    """

    depth: FloatArray
    local: tuple[FloatArray, FloatArray, FloatArray]
    normal: tuple[FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class _Rays:
    """Orthographic rays in a solid's unstretched coordinates, and the scalar products that every test needs."""

    direction: FloatArray  # (3,) local mm per px of depth
    start: tuple[FloatArray, FloatArray, FloatArray]  # at the depth of the solid's origin
    m3: FloatArray  # start . direction
    m4: float  # direction . direction
    m5: FloatArray  # start . start


def strike(solid: Solid, camera: Camera, columns: FloatArray, rows: FloatArray, grow: float) -> Hits:
    """Meet the rays through pixel columns (w,) and rows (h,) with a solid whose radii are ``grow`` px larger.

    The surface is two spheres and the cone that touches both; the equations follow I. Quilez, "Rounded cone -
    intersection" (iquilezles.org/articles/intersectors), for rays of any length.
    """
    rays = _rays(solid, camera, columns, rows)
    extra = grow * camera.mm_per_px
    start, end, length = solid.start + extra, solid.end + extra, solid.length
    near = _cone(rays, length, start, end) if abs(length) > abs(start - end) else None
    travel = np.minimum(_sphere(rays, 0.0, start), _sphere(rays, length, end))
    if near is not None:
        travel = np.minimum(travel, near)
    x, y, z = (
        origin + np.where(np.isfinite(travel), travel, 0) * step
        for origin, step in zip(rays.start, rays.direction, strict=True)
    )
    depth = (travel + np.float32(camera.project(solid.origin)[2])).astype(np.float32)
    return Hits(depth, (x, y, z), _normal(solid, (x, y, z), start - end))


def _rays(solid: Solid, camera: Camera, columns: FloatArray, rows: FloatArray) -> _Rays:
    inverse = (camera.rotation @ solid.rotation).T * camera.mm_per_px / np.array(solid.stretch)[:, None]
    inverse = inverse.astype(np.float32)
    origin = camera.project(solid.origin).astype(np.float32)
    across, down = (columns - origin[0])[None, :], (rows - origin[1])[:, None]
    x, y, z = (inverse[i, 0] * across + inverse[i, 1] * down for i in range(3))
    direction = inverse[:, 2]
    slope = inverse.T @ direction
    m3 = slope[0] * across + slope[1] * down
    return _Rays(direction, (x, y, z), m3, float(direction @ direction), x * x + y * y + z * z)


def _sphere(rays: _Rays, along: float, radius: float) -> FloatArray:
    """Travel to a sphere on the axis."""
    m3, m5 = rays.m3, rays.m5
    if along:
        m3 = m3 - np.float32(along * rays.direction[1])
        m5 = m5 - np.float32(2 * along) * rays.start[1] + np.float32(along**2)
    inside = m3 * m3 - np.float32(rays.m4) * (m5 - np.float32(radius**2))
    hit = (-m3 - np.sqrt(np.maximum(inside, 0))) / np.float32(rays.m4)
    return np.where(inside > 0, hit, np.float32(np.inf)).astype(np.float32)


def _cone(rays: _Rays, length: float, start: float, end: float) -> FloatArray | None:
    """Travel to the cone between the spheres; None where rays run along its flank: its equation has no square then."""
    taper, m0 = start - end, length**2
    d2, m2 = m0 - taper**2, length * float(rays.direction[1])
    k2 = d2 * rays.m4 - m2**2
    if abs(k2) <= _EPS * m0 * rays.m4:
        return None
    m1 = np.float32(length) * rays.start[1]
    k1 = np.float32(d2) * rays.m3 - m1 * np.float32(m2) + np.float32(m2 * taper * start)
    k0 = np.float32(d2) * rays.m5 - m1 * m1 + m1 * np.float32(2 * taper * start) - np.float32(m0 * start**2)
    inside = k1 * k1 - k0 * np.float32(k2)
    travel = (-k1 - np.sqrt(np.maximum(inside, 0))) / np.float32(k2)
    along = m1 - np.float32(start * taper) + travel * np.float32(m2)
    return np.where((inside > 0) & (along > 0) & (along < d2), travel, np.float32(np.inf)).astype(np.float32)


def _normal(
    solid: Solid, local: tuple[FloatArray, FloatArray, FloatArray], taper: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    x, y, z = local
    axis = _axis_point(y, solid.length, solid.start, taper)
    sx, sy, sz = (np.float32(1 / factor) for factor in solid.stretch)
    nx, ny, nz = x * sx, (y - axis) * sy, z * sz
    size = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9)
    return nx / size, ny / size, nz / size


def _axis_point(y: FloatArray, length: float, start: float, taper: float) -> FloatArray | float:
    """Local y of the sphere's centre that a surface point belongs to."""
    d2 = length**2 - taper**2
    if d2 <= 0:  # one sphere holds the other
        return 0.0 if taper >= 0 else length
    share = np.clip((y * np.float32(length) - np.float32(start * taper)) / np.float32(d2), 0, 1)
    return np.asarray(share * np.float32(length), np.float32)


def _below(local: tuple[FloatArray, ...], at: float) -> AnyArray:
    return np.asarray(local[1] < at)


def _rings(local: tuple[FloatArray, ...], period: float) -> AnyArray:
    return np.asarray(np.mod(local[1], period) < period / 2)


def _front(local: tuple[FloatArray, ...], half: float, low: float, high: float) -> AnyArray:
    x, y, z = local
    return np.asarray((np.abs(x) < half) & (y > low) & (y < high) & (z > 0))


def _sides(local: tuple[FloatArray, ...], half: float) -> AnyArray:
    return np.asarray((np.abs(local[2]) < half) & (np.abs(local[0]) > half))


PATTERNS: dict[str, Callable[..., AnyArray]] = {"below": _below, "rings": _rings, "front": _front, "sides": _sides}
"""Pattern -> where it covers a surface, from local coordinates (mm) and its numbers."""


def albedo(paint: Paint, local: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
    """Colours of surface points, (h, w, 3), or (3,) where the paint is plain."""
    colour = np.asarray(paint.base, np.float32)
    if not paint.layers:
        return colour
    colours = np.broadcast_to(colour, (*local[0].shape, 3)).copy()
    for pattern, numbers, layer in paint.layers:
        colours[PATTERNS[pattern](local, *numbers)] = layer
    return colours
