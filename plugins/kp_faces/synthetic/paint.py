"""The face's colours, painted as seen from the front: eyes, brows, lips, beard and folds on skin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kp_faces.skeletons import FACES68
from kp_faces.synthetic.front import Expression, places, side_of
from kp_faces.synthetic.style import Rgb, Style
from kpcore.tensors import AnyArray, Float64Array, FloatArray

LEFT, TOP, RIGHT, BOTTOM = -1.1, -1.3, 1.1, 1.8
"""What of the plane is painted, in distances of the outer eye corners."""
SCALE = 64
"""Pixels of the painting a unit."""
_FIXED = 4
"""OpenCV's fixed-point bits: polygons are placed to a sixteenth of a pixel."""
_OUTER = FACES68.names[48:60]
_INNER = FACES68.names[60:]


@dataclass(frozen=True, eq=False)
class Easel:
    """A painting and the landmarks that it follows.

    Args:
        image: (H, W, 3) float32 RGB in [0, 1], painted in place.
        front: (68, 2) landmarks from the front.
    """

    image: FloatArray
    front: Float64Array

    def at(self, *names: str) -> Float64Array:
        """Return landmarks (n, 2)."""
        return self.front[places(names)]

    def mask(self, outline: Float64Array, soft: float = 0.0) -> FloatArray:
        """Return the inside of a closed outline (n, 2) as (H, W), its edge softened by ``soft`` units."""
        mask = np.zeros(self.image.shape[:2], np.float32)
        cv2.fillPoly(mask, [_pixels(outline)], 1.0, cv2.LINE_AA, _FIXED)
        return _soft(mask, soft)

    def line(self, course: Float64Array, width: float, soft: float = 0.0) -> FloatArray:
        """Return a line (n, 2) of a width as a mask (H, W)."""
        mask = np.zeros(self.image.shape[:2], np.float32)
        thick = max(round(width * SCALE), 1)
        cv2.polylines(mask, [_pixels(course)], False, 1.0, thick, cv2.LINE_AA, _FIXED)
        return _soft(mask * min(1.0, width * SCALE / thick), soft)

    def disc(self, centre: Float64Array, radius: float, soft: float = 0.0) -> FloatArray:
        """Return a disc as a mask (H, W)."""
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        return self.mask(centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1), soft)

    def cover(self, mask: FloatArray, colour: Rgb | Float64Array, strength: float = 1.0) -> None:
        """Lay a colour over what the mask holds."""
        rows = _rows(mask)
        share = (mask[rows] * np.float32(strength))[..., None]
        self.image[rows] += share * (np.asarray(colour, np.float32) - self.image[rows])

    def darken(self, mask: FloatArray, by: float) -> None:
        """Darken what the mask holds."""
        rows = _rows(mask)
        self.image[rows] *= 1 - (mask[rows] * np.float32(by))[..., None]


def _rows(mask: FloatArray) -> slice:
    """Return the rows that hold anything; the others need no work."""
    held = np.flatnonzero(mask.any(axis=1))
    return slice(held[0], held[-1] + 1) if len(held) else slice(0)


def _pixels(points: Float64Array) -> AnyArray:
    return np.asarray(np.rint((points - (LEFT, TOP)) * SCALE * 2**_FIXED).astype(np.int32))


def _soft(mask: FloatArray, soft: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soft * SCALE), np.float32) if soft else mask


def curve(points: Float64Array, *, closed: bool = False, steps: int = 5) -> Float64Array:
    """Return a smooth curve through points (n, 2): Catmull and Rom's spline."""
    ends = (points[-1:], points[:2]) if closed else (2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1])
    knots = np.concatenate([ends[0], points, ends[1]])
    p0, p1, p2, p3 = (knots[k : len(knots) - 3 + k, None] for k in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    found = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * (p1 - p2) + p3 - p0) * t**3)
    whole = found.reshape(-1, 2)
    return whole if closed else np.concatenate([whole, points[-1:]])


def paint(rng: np.random.Generator, front: Float64Array, style: Style, expression: Expression) -> FloatArray:
    """Paint a face.

    Returns:
        (H, W, 3) float32 RGB; place (x, y) of the front is pixel ((x - LEFT) SCALE, (y - TOP) SCALE).
    """
    height, width = round((BOTTOM - TOP) * SCALE), round((RIGHT - LEFT) * SCALE)
    easel = Easel(np.tile(np.asarray(style.skin, np.float32), (height, width, 1)), front)
    _complexion(rng, easel, style)
    _beard(rng, easel, style)
    _folds(easel, style, expression)
    _nose(easel)
    _mouth(easel, style)
    gaze = np.clip(rng.normal(0, (0.035, 0.012)), (-0.06, -0.02), (0.06, 0.02))
    for side in ("r_", "l_"):
        _eye(easel, style, side, gaze)
        _brow(rng, easel, style, side)
    return np.clip(easel.image, 0, 1)


def noise(rng: np.random.Generator, height: int, width: int, cells: Sequence[tuple[int, int]]) -> FloatArray:
    """Return smooth noise around 0, (H, W), summed over grids of cells (rows, columns)."""
    total = np.zeros((height, width), np.float32)
    for rows, columns in cells:
        total += cv2.resize(rng.random((rows, columns), np.float32) - np.float32(0.5), (width, height))
    return total


def _complexion(rng: np.random.Generator, easel: Easel, style: Style) -> None:
    height, width = easel.image.shape[:2]
    easel.image[:] *= 1 + 0.06 * noise(rng, height, width, [(7, 5), (30, 22), (120, 90)])[..., None]
    blush = np.array(style.skin) * (1.03, 0.83, 0.82)
    for x in (-0.45, 0.45):
        easel.cover(easel.disc(np.array([x, 0.42]), 0.16, 0.12), blush, 0.5)
    easel.cover(easel.disc(easel.at("nose_tip")[0], 0.09, 0.06), blush, 0.5)
    for side in ("r_", "l_"):
        easel.darken(easel.mask(easel.front[side_of(side, "eye")] * (1, 1.0), 0.09), 0.22 + 0.25 * style.make_up)


def _beard(rng: np.random.Generator, easel: Easel, style: Style) -> None:
    if not style.beard:
        return
    height, width = easel.image.shape[:2]
    low = easel.front[3:14] * (1.15, 1.0) + np.stack([np.zeros(11), 0.4 * np.sin(np.linspace(0, np.pi, 11))], axis=1)
    if style.moustache:
        upper = easel.at("l_mouth_corner", "l_nose_wing", "nose_base", "r_nose_wing", "r_mouth_corner")
        upper += np.array([[0.16, 0.0], [0.02, 0.09], [0, 0.05], [-0.02, 0.09], [-0.16, 0.0]])
    else:
        upper = easel.at("l_mouth_corner", "mouth_lower", "r_mouth_corner")
        upper += np.array([[0.2, 0.08], [0, 0.07], [-0.2, 0.08]])
    area = np.concatenate([low, upper])
    grain = 1 + 0.9 * noise(rng, height, width, [(90, 80), (200, 170)])
    easel.cover(np.clip(easel.mask(area, 0.05) * grain, 0, 1), style.hair, 0.25 + 0.65 * style.beard)


def _folds(easel: Easel, style: Style, expression: Expression) -> None:
    depth = 0.1 + 0.25 * style.age + 0.25 * max(expression.smile, 0)
    for side, sign in (("r_", -1), ("l_", 1)):
        wing, corner = easel.at(f"{side}nose_wing", f"{side}mouth_corner")
        course = np.array([wing, (wing + corner) / 2, corner])
        course += sign * np.array([[0.03, 0], [0.1, 0], [0.09, 0]])
        easel.darken(easel.line(curve(course), 0.03, 0.015), depth)
        bag = easel.front[side_of(side, "eye")].mean(0) + np.array([[-0.15, 0.1], [0, 0.14], [0.15, 0.1]])
        easel.darken(easel.line(curve(bag), 0.025, 0.02), 0.08 + 0.2 * style.age)
    chin = easel.at("mouth_lower")[0] + np.array([[-0.14, 0.09], [0, 0.07], [0.14, 0.09]])
    easel.darken(easel.line(curve(chin), 0.04, 0.02), 0.18)


def _nose(easel: Easel) -> None:
    base = curve(easel.front[31:36])
    easel.darken(easel.line(base + np.array([0, 0.012]), 0.025, 0.012), 0.4)
    for side, sign in (("r_", -1), ("l_", 1)):
        nostril, wing = easel.at(f"{side}nostril", f"{side}nose_wing")
        hole = nostril + np.array([[-0.035, 0.0], [0, -0.03], [0.035, 0.0], [0, 0.01]])
        easel.darken(easel.mask(curve(hole, closed=True), 0.006), 0.75)
        edge = wing + np.array([[-0.02 * sign, -0.09], [0.015 * sign, -0.03], [-0.01 * sign, 0.02]])
        easel.darken(easel.line(curve(edge), 0.02, 0.01), 0.35)
        easel.darken(easel.line(np.array([[0.045 * sign, 0.05], wing - (0.06 * sign, 0.12)]), 0.05, 0.03), 0.12)


def _mouth(easel: Easel, style: Style) -> None:
    outer, inner = (curve(easel.at(*names), closed=True, steps=4) for names in (_OUTER, _INNER))
    easel.cover(easel.mask(outer, 0.006), style.lips, 0.85)
    lower = easel.mask(outer) * (np.arange(easel.image.shape[0]) > _row(easel.at("mouth_inner_lower")[0, 1]))[:, None]
    easel.cover(lower.astype(np.float32), np.minimum(np.array(style.lips) * 1.18, 1), 0.6)
    inside = easel.mask(inner)
    easel.cover(inside, (0.16, 0.05, 0.05))
    upper, low = easel.at("mouth_inner_upper", "mouth_inner_lower")[:, 1]
    if low - upper > 0.035:
        teeth = inside * (np.arange(easel.image.shape[0]) < _row(upper + min(0.1, 0.6 * (low - upper))))[:, None]
        easel.cover(_soft(teeth.astype(np.float32), 0.006), (0.88, 0.85, 0.8), 0.9)
    easel.darken(easel.line(curve(easel.at(*FACES68.names[60:65])), 0.018, 0.006), 0.55)


def _row(y: float) -> float:
    return (y - TOP) * SCALE


def _eye(easel: Easel, style: Style, side: str, gaze: Float64Array) -> None:
    points = easel.front[side_of(side, "eye")]
    points = points if side == "r_" else points[[3, 2, 1, 0, 5, 4]]  # outer, upper, inner, lower
    outline = curve(points, closed=True, steps=4)
    inside = easel.mask(outline)
    easel.cover(inside, (0.9, 0.88, 0.87))
    iris = points.mean(0) + gaze
    easel.cover(inside * easel.disc(iris, 0.068), style.iris)
    easel.cover(inside * easel.disc(iris, 0.034), (0.02, 0.02, 0.02))
    easel.cover(inside * easel.disc(iris + np.array([0.018, -0.022]), 0.014), (1, 1, 1), 0.9)
    lid = curve(points[:4])
    easel.darken(inside * easel.line(lid, 0.05, 0.012), 0.4)
    easel.darken(easel.line(lid, 0.018 + 0.02 * style.make_up, 0.004), 0.8)
    easel.darken(easel.line(curve(points[[3, 4, 5, 0]]), 0.01, 0.004), 0.45)
    easel.darken(easel.line(lid - (0, 0.05), 0.012, 0.008), 0.35)


def _brow(rng: np.random.Generator, easel: Easel, style: Style, side: str) -> None:
    points = easel.front[side_of(side, "brow")]
    points = points if side == "r_" else points[::-1]  # from the outer end
    thick = style.brows * np.array([0.35, 0.9, 1.15, 1.2, 0.9])[:, None] * (0, 1)
    upper, lower = curve(points - thick), curve(points + thick)
    mask = easel.mask(np.concatenate([upper, lower[::-1]]), 0.008)
    height, width = easel.image.shape[:2]
    grain = 0.85 + 0.5 * noise(rng, height, width, [(60, 140)])
    colour = np.array(style.hair) * 0.7 + 0.05 * np.array(style.skin)
    easel.cover(np.clip(mask * grain, 0, 1), colour, 0.85)
