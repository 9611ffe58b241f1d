"""What stands behind and before people: walls, floors, clutter, occluders, shadows, and the photograph's own flaws."""

from __future__ import annotations

import cv2
import numpy as np

from kp_people.synthetic.render import Canvas
from kpcore.tensors import FloatArray, ImageArray


def draw_backdrop(rng: np.random.Generator, height: int, width: int, clutter: float) -> FloatArray:
    """Draw a wall and a floor with clutter, (H, W, 3) float32 in [0, 1]."""
    image = _wall_and_floor(rng, height, width)
    for _ in range(rng.poisson(2 + 14 * clutter)):
        _thing(rng, image)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 2.2))), np.float32)
    grain = texture(rng, height, width, 0.05 + 0.16 * clutter)
    return np.asarray(np.clip(image * (1 + grain)[..., None], 0, 1), np.float32)


def texture(rng: np.random.Generator, height: int, width: int, strength: float) -> FloatArray:
    """Smooth noise of several grain sizes around 0, (H, W)."""
    total = np.zeros((height, width), np.float32)
    for cells in (5, 17, 60):
        noise = rng.random((cells, cells), np.float32) - np.float32(0.5)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(total * np.float32(strength))


def _colour(rng: np.random.Generator) -> FloatArray:
    """Draw a muted colour."""
    grey = rng.uniform(0.08, 0.95)
    return np.clip(grey + rng.normal(0.0, 0.12, 3), 0.02, 0.98).astype(np.float32)


def _wall_and_floor(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    horizon = int(height * rng.uniform(0.35, 0.85))
    image = np.empty((height, width, 3), np.float32)
    image[:horizon] = _gradient(_colour(rng), _colour(rng), horizon, 0.5)
    image[horizon:] = _gradient(_colour(rng), _colour(rng), height - horizon, 0.8)
    return image


def _gradient(top: FloatArray, bottom: FloatArray, rows: int, strength: float) -> FloatArray:
    share = np.linspace(0.0, strength, rows, dtype=np.float32)[:, None, None]
    return np.asarray(top + share * (bottom - top))


def _thing(rng: np.random.Generator, image: FloatArray) -> None:
    """Draw a polygon, an ellipse or a bar; bars are about as thick as limbs, so a limb is more than an edge."""
    height, width = image.shape[:2]
    colour = tuple(float(value) for value in _colour(rng))
    at = (int(rng.integers(width)), int(rng.integers(height)))
    size = height * rng.uniform(0.04, 0.3)
    kind = rng.integers(3)
    if kind == 0:
        turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
        corners = np.array(at) + size * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        cv2.fillPoly(image, [np.rint(corners).astype(np.int32)], colour, cv2.LINE_AA)
    elif kind == 1:
        axes = (int(size * rng.uniform(0.3, 1)) + 1, int(size) + 1)
        cv2.ellipse(image, at, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    else:
        turn, reach = rng.uniform(0, 2 * np.pi), size * 2.5
        end = (int(at[0] + reach * np.cos(turn)), int(at[1] + reach * np.sin(turn)))
        cv2.line(image, at, end, colour, int(height * rng.uniform(0.01, 0.06)) + 1, cv2.LINE_AA)


def cast_shadow(image: FloatArray, feet: FloatArray, spread: float) -> None:
    """Darken the floor under points (n, 2) px, in place."""
    mask = np.zeros(image.shape[:2], np.float32)
    for x, y in np.rint(feet).astype(int):
        cv2.ellipse(mask, (int(x), int(y)), (int(2.2 * spread) + 1, int(0.6 * spread) + 1), 0, 0, 360, 0.5, -1)
    image *= 1 - cv2.GaussianBlur(mask, (0, 0), max(spread / 2, 1.0))[..., None]


def occlude(rng: np.random.Generator, canvas: Canvas, box: tuple[float, float, float, float]) -> None:
    """Put a post, a low box or leaves before a person whose outline fills ``box`` (left, top, right, bottom, px)."""
    height, width = canvas.depth.shape
    mask = np.zeros((height, width), np.float32)
    kind = rng.integers(3)
    if kind == 0:
        _post(rng, mask, box)
    elif kind == 1:
        _crate(rng, mask, box)
    else:
        _leaves(rng, mask, box)
    shading = 1 + texture(rng, height, width, 0.5) + np.linspace(0.1, -0.1, height, dtype=np.float32)[:, None]
    canvas.cover(mask, np.clip(_colour(rng) * shading[..., None], 0, 1))


def _post(rng: np.random.Generator, mask: FloatArray, box: tuple[float, float, float, float]) -> None:
    x = rng.uniform(box[0], box[2])
    slant = rng.normal(0.0, 0.06) * mask.shape[0]
    ends = (int(x - slant), -5), (int(x + slant), mask.shape[0] + 5)
    cv2.line(mask, *ends, 1.0, int((box[3] - box[1]) * rng.uniform(0.03, 0.09)) + 1, cv2.LINE_AA)


def _crate(rng: np.random.Generator, mask: FloatArray, box: tuple[float, float, float, float]) -> None:
    width, height = box[2] - box[0], box[3] - box[1]
    left = rng.uniform(box[0] - 0.2 * width, box[0] + 0.7 * width)
    top = box[3] - height * rng.uniform(0.1, 0.32)
    corners = (int(left), int(top)), (int(left + width * rng.uniform(0.4, 0.8)), mask.shape[0] + 5)
    cv2.rectangle(mask, *corners, 1.0, -1)


def _leaves(rng: np.random.Generator, mask: FloatArray, box: tuple[float, float, float, float]) -> None:
    size = 0.045 * (box[3] - box[1])
    heart = rng.uniform((box[0], box[1] + 0.2 * (box[3] - box[1])), (box[2], box[3]))
    for x, y in heart + rng.normal(0, 1.7 * size, (12, 2)):
        axes = (int(size * rng.uniform(0.7, 1.5)) + 1, int(size * 0.5) + 1)
        cv2.ellipse(mask, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)


def photograph(rng: np.random.Generator, image: FloatArray) -> ImageArray:
    """Expose, blur and quantise: contrast, tint, defocus and sensor noise; (H, W, 3) uint8 RGB."""
    contrast, tint = rng.uniform(0.8, 1.15), rng.uniform(0.92, 1.06, 3) * rng.uniform(0.8, 1.15)
    exposed = ((image - 0.5) * np.float32(contrast) + 0.5) * tint.astype(np.float32)
    blurred = cv2.GaussianBlur(exposed, (0, 0), float(rng.uniform(0.25, 0.8)))
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0.0, 0.03))
    return np.asarray(np.clip((blurred + noise) * 255 + 0.5, 0, 255).astype(np.uint8))
