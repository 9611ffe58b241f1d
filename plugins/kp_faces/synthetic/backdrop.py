"""What stands behind and before faces, and the photograph's own flaws."""

from __future__ import annotations

import cv2
import numpy as np

from kp_faces.synthetic.paint import noise
from kp_faces.synthetic.style import SKINS
from kpcore.tensors import Float64Array, FloatArray, ImageArray


def draw_backdrop(rng: np.random.Generator, height: int, width: int, clutter: float) -> FloatArray:
    """Draw a wall with things before it, (H, W, 3) float32 in [0, 1]."""
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    top, bottom = _colour(rng), _colour(rng)
    image = np.tile(top + np.float32(0.6) * ramp * (bottom - top), (1, width, 1))
    for _ in range(rng.poisson(2 + 12 * clutter)):
        _thing(rng, image)
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.6, 5.0))), np.float32)
    grain = (0.08 + 0.25 * clutter) * noise(rng, height, width, [(4, 4), (17, 17), (70, 70)])
    return np.asarray(np.clip(blurred * (1 + grain[..., None]), 0, 1), np.float32)


def _colour(rng: np.random.Generator) -> FloatArray:
    return np.clip(rng.uniform(0.05, 0.95) + rng.normal(0, 0.14, 3), 0.02, 0.98).astype(np.float32)


def _thing(rng: np.random.Generator, image: FloatArray) -> None:
    """Draw a box, a ball or a bar."""
    height, width = image.shape[:2]
    colour = _colour(rng).tolist()
    at = (int(rng.integers(width)), int(rng.integers(height)))
    size = height * rng.uniform(0.05, 0.35)
    kind = rng.integers(3)
    if kind == 0:
        turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
        corners = np.array(at) + size * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        cv2.fillPoly(image, [np.rint(corners).astype(np.int32)], colour, cv2.LINE_AA)
    elif kind == 1:
        axes = (int(0.6 * size) + 1, int(rng.uniform(0.4, 0.9) * size) + 1)
        cv2.ellipse(image, at, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    else:
        turn = rng.uniform(0, 2 * np.pi)
        end = (int(at[0] + 3 * size * np.cos(turn)), int(at[1] + 3 * size * np.sin(turn)))
        cv2.line(image, at, end, colour, int(rng.uniform(1, 0.08 * height)) + 1, cv2.LINE_AA)


def occlude(rng: np.random.Generator, canvas: FloatArray, points: Float64Array) -> None:
    """Put a hand, a microphone or a board before a face with these landmarks (68, 2), in place."""
    low, high = points.min(0), points.max(0)
    size = float((high - low).max())
    kind = rng.integers(3)
    if kind == 0:
        _hand(rng, canvas, points[int(rng.integers(17))], size)
    elif kind == 1:
        _microphone(rng, canvas, (low + high) / 2 + (0, 0.42 * size), size)
    else:
        corner = np.where(rng.random(2) < 0.5, low, high) + rng.uniform(-0.1, 0.15, 2) * size
        away = np.sign(corner - (low + high) / 2) * size
        box = np.array([corner, corner + away * (2, 0), corner + away * (2, 2), corner + away * (0, 2)])
        _fill(canvas, box + rng.normal(0, 0.05 * size, (4, 2)), _colour(rng))


def _fill(canvas: FloatArray, outline: Float64Array, colour: FloatArray) -> None:
    cv2.fillPoly(canvas, [np.rint(outline * 16).astype(np.int32)], colour.tolist(), cv2.LINE_AA, 4)


def _hand(rng: np.random.Generator, canvas: FloatArray, at: Float64Array, size: float) -> None:
    skin = np.asarray(SKINS[int(rng.integers(len(SKINS)))], np.float32) * rng.uniform(0.7, 1.0)
    turn = rng.uniform(-0.6, 0.6)
    along = np.array([np.sin(turn), -np.cos(turn)])
    across = np.array([along[1], -along[0]])
    palm = at + 0.28 * size * -along
    cv2.ellipse(
        canvas, tuple(np.rint(palm).astype(int).tolist()), (int(0.16 * size), int(0.24 * size)),
        float(np.degrees(turn)), 0, 360, skin.tolist(), -1, cv2.LINE_AA,
    )  # fmt: skip
    for finger in range(4):
        root = palm + across * (finger - 1.5) * 0.075 * size + along * 0.1 * size
        tip = root + along * size * (0.3 - 0.03 * abs(finger - 1.5)) + across * rng.normal(0, 0.02) * size
        start, end = np.rint(np.array([root, tip])).astype(int).tolist()
        shade = (skin * (1 - 0.07 * (finger % 2))).tolist()
        cv2.line(canvas, start, end, shade, max(int(0.075 * size), 1), cv2.LINE_AA)


def _microphone(rng: np.random.Generator, canvas: FloatArray, at: Float64Array, size: float) -> None:
    grey = float(rng.uniform(0.05, 0.35))
    top = at + rng.uniform(-0.15, 0.15, 2) * size
    end = top + size * np.array([rng.normal(0, 0.2), 1.5])
    start, stop = np.rint(np.array([top, end])).astype(int).tolist()
    cv2.line(canvas, start, stop, (grey, grey, grey), max(int(0.08 * size), 1), cv2.LINE_AA)
    cv2.circle(canvas, start, int(0.1 * size), (0.6 * grey, 0.6 * grey, 0.65 * grey), -1, cv2.LINE_AA)


def photograph(rng: np.random.Generator, image: FloatArray) -> ImageArray:
    """Expose, blur and quantise: contrast, tint, defocus, sensor noise, now and then no colour; (H, W, 3) uint8 RGB."""
    tint = rng.uniform(0.94, 1.06, 3) * rng.uniform(0.75, 1.15)
    exposed = ((image - 0.5) * np.float32(rng.uniform(0.8, 1.15)) + 0.5) * tint.astype(np.float32)
    if rng.random() < 0.05:
        exposed = np.repeat(exposed.mean(axis=2, keepdims=True), 3, axis=2)
    blurred = cv2.GaussianBlur(exposed, (0, 0), float(rng.uniform(0.2, 0.7)))
    grain = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0.0, 0.025))
    return np.asarray(np.clip((blurred + grain) * 255 + 0.5, 0, 255).astype(np.uint8))
