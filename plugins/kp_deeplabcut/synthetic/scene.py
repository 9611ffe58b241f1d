"""A frame of a synthetic mouse: infrared light, a wheel, the mouse from the side above and from below beneath."""

from __future__ import annotations

import cv2
import numpy as np

from kp_deeplabcut.synthetic.mouse import HEIGHT, ROD, SEAM, WIDTH, Mouse, wheel
from kp_deeplabcut.synthetic.render import Canvas
from kpcore.tensors import AnyArray, Float64Array


def draw_scene(random: np.random.Generator, mouse: Mouse, size: int) -> AnyArray:
    """Return the frame, (H, size) uint8 grey: drawn at twice its size, blurred a little, noisy, under random light."""
    height = round(size * HEIGHT / WIDTH)
    canvas = Canvas(2 * size / WIDTH)
    fur = random.uniform(0.26, 0.42)
    _background(canvas, random)
    _below(canvas, random, mouse, fur)
    _side(canvas, random, mouse, fur)
    small = cv2.resize(canvas.pixels, (size, height), interpolation=cv2.INTER_AREA)
    lit = small * random.uniform(0.7, 1.25) * _light(random, height, size) + random.uniform(0, 0.08)
    noisy = lit + random.normal(0, random.uniform(0.005, 0.03), lit.shape)
    return np.clip(noisy * 255, 0, 255).astype(np.uint8)


def _light(random: np.random.Generator, height: int, width: int) -> Float64Array:
    """Return a gentle slope of brightness, (H, W)."""
    across, down = random.uniform(-0.25, 0.25, 2)
    columns, rows = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    slope: Float64Array = 1 + across * columns[None] + down * rows[:, None]
    return slope


def _background(canvas: Canvas, random: np.random.Generator) -> None:
    """Draw the wheel with its holes, and the slotted floor."""
    rim = [(float(x), wheel(x)) for x in range(-8, WIDTH + 9, 8)]
    canvas.line([(x, y + 14) for x, y in rim], 24, random.uniform(0.10, 0.22))
    canvas.line(rim, 3, random.uniform(0.3, 0.55))
    shift = random.uniform(0, 30)
    for x in np.arange(shift, WIDTH, 30):
        canvas.blob((float(x), wheel(float(x)) + 13), (5, 5), 0.05)
    low = round(SEAM * canvas.scale)
    canvas.pixels[low:] = random.uniform(0.10, 0.17)
    slots = random.uniform(0.02, 0.08)
    for column, x in enumerate(np.arange(random.uniform(0, 16), WIDTH, 16)):
        for y in np.arange(SEAM - 40 + 24 * (column % 2), HEIGHT, 48):
            canvas.line([(float(x), max(SEAM + 4, float(y))), (float(x), max(SEAM + 4, float(y) + 30))], 4, slots)


def _below(canvas: Canvas, random: np.random.Generator, mouse: Mouse, fur: float) -> None:
    """Draw the view from below: a dim body, its paws bright on the floor."""
    light = random.uniform(0.28, 0.4)
    if mouse.obstacle is not None:
        canvas.line([(mouse.obstacle, 184), (mouse.obstacle, 388)], 8, random.uniform(0.4, 0.6))
    base, middle = mouse.tail[:, [0, 2]]
    end = middle + (middle - base) * 1.5
    canvas.line([_pair(base), _pair(middle), _pair(end)], 9, light + 0.1)
    front, rear = mouse.spine
    turn = float(np.degrees(np.arctan2(front - rear, mouse.nose - mouse.hip)))
    centre = (mouse.hip + 0.42 * (mouse.nose - mouse.hip), rear + 0.42 * (front - rear))
    canvas.blob(centre, (0.44 * (mouse.nose - mouse.hip), mouse.thick[1]), fur * 0.75, turn)
    head = (mouse.hip + 0.84 * (mouse.nose - mouse.hip), rear + 0.84 * (front - rear))
    canvas.blob(head, (0.16 * (mouse.nose - mouse.hip), 0.42 * mouse.thick[1]), fur * 0.85, turn)
    canvas.blob((mouse.nose - 4, front), (6, 5), 0.6, turn)
    for place, (x, _, y) in enumerate(mouse.paws):
        hind = place in (0, 3)
        canvas.line([(x - 14, y * 0.8 + centre[1] * 0.2), (x, y)], 8, light + 0.05)
        canvas.blob((x, y), (13, 7) if hind else (9, 8), light + 0.3, float(random.uniform(-15, 15)))


def _side(canvas: Canvas, random: np.random.Generator, mouse: Mouse, fur: float) -> None:
    """Draw the view from the side: far legs, body, near legs; nothing of it reaches over the seam."""
    below = canvas.pixels[round(SEAM * canvas.scale) :].copy()
    base, middle = mouse.tail[:, :2]
    canvas.line([_pair(base), _pair(middle), _pair(middle + (middle - base) * 1.5)], 7, fur + 0.22)
    for place in (2, 3):
        _leg(canvas, mouse, place, fur + 0.06)
    if mouse.obstacle is not None:
        canvas.blob((mouse.obstacle, ROD), (8, 8), 0.95)
    length = mouse.nose - mouse.hip
    canvas.blob((mouse.hip + 0.4 * length, mouse.back), (0.41 * length, mouse.thick[0]), fur)
    nose, tip, _ = mouse.nose_place
    canvas.blob((nose - 0.17 * length, tip), (0.165 * length, 0.55 * mouse.thick[0]), fur * 1.08, 6.0)
    canvas.blob((nose - 0.24 * length, tip - 0.5 * mouse.thick[0]), (14, 13), fur * 1.5)
    canvas.blob((nose - 0.1 * length, tip - 4), (4, 4), 0.03)
    canvas.blob((nose - 3, tip), (5, 4), 0.65)
    for place in (0, 1):
        _leg(canvas, mouse, place, fur + 0.28)
    canvas.blob(_pair(base), (5, 5), fur + 0.3)
    canvas.pixels[round(SEAM * canvas.scale) :] = below


def _leg(canvas: Canvas, mouse: Mouse, place: int, light: float) -> None:
    x, y, _ = mouse.paws[place]
    root = mouse.hip + (mouse.nose - mouse.hip) * (0.2 if place in (0, 3) else 0.62)
    knee = ((root + x) / 2 + 8, (mouse.back + y) / 2 + 6)
    canvas.line([(root, mouse.back + 12), knee, (float(x), float(y))], 9, light)
    canvas.blob((float(x) + 3, float(y)), (9, 4), light + 0.15)


def _pair(point: Float64Array) -> tuple[float, float]:
    return float(point[0]), float(point[1])
