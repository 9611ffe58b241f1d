"""One photograph of a face: head, hair, neck, clothes, glasses, and what stands behind and before it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from kp_faces.synthetic.backdrop import draw_backdrop, occlude, photograph
from kp_faces.synthetic.front import Build, Expression, draw_build, draw_expression, landmarks, side_of
from kp_faces.synthetic.head import Head, landmarks_3d
from kp_faces.synthetic.paint import LEFT, SCALE, TOP, curve, noise, paint
from kp_faces.synthetic.render import FINER, Camera, Light, Patch, draw, flat
from kp_faces.synthetic.style import Glasses, Style, draw_glasses, draw_style
from kpcore.tensors import Float64Array, FloatArray, ImageArray

_ROWS, _COLUMNS = 56, 96
"""Grid of the head."""
_FACE_UNITS = 1.75
"""Height of a face from the brows to the chin, with a little around."""


@dataclass(frozen=True)
class Difficulty:
    """How hard photographs are.

    Args:
        size: pixels of the photograph's width; it is a tenth higher.
        turn: heads turn to the side by at most this many degrees.
        occlusion: share of faces with something before them.
        clutter: how much lies about behind them, in [0, 1].
    """

    size: int
    turn: float
    occlusion: float
    clutter: float


@dataclass(frozen=True)
class Identity:
    """One person."""

    build: Build
    style: Style
    nose: float


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draw a person."""
    return Identity(draw_build(rng), draw_style(rng), float(np.clip(rng.normal(0.27, 0.045), 0.16, 0.4)))


def draw_scene(rng: np.random.Generator, person: Identity, difficulty: Difficulty) -> tuple[ImageArray, Float64Array]:
    """Photograph a person.

    Returns:
        the photograph (H, W, 3) uint8 RGB, and the landmarks (68, 2) in its pixels, 0-based.
    """
    width, height = FINER * difficulty.size, FINER * round(1.1 * difficulty.size)
    expression = draw_expression(rng)
    head = Head(landmarks(person.build, expression), person.nose, expression.mouth)
    camera = _camera(rng, width, height, difficulty.turn)
    light = _light(rng)
    canvas = draw_backdrop(rng, height, width, difficulty.clutter)
    _shoulders(rng, canvas, camera, person.style, light)
    draw(canvas, _patches(rng, head, person.style, expression), camera, light)
    if glasses := draw_glasses(rng):
        _wear(canvas, head, glasses, camera)
    points = camera.project(landmarks_3d(head, camera.rotation))[:, :2]
    if rng.random() < difficulty.occlusion:
        occlude(rng, canvas, points)
    small = cv2.resize(canvas, (width // FINER, height // FINER), interpolation=cv2.INTER_AREA)
    return photograph(rng, np.asarray(small, np.float32)), (points + 0.5) / FINER - 0.5


def rotation(yaw: float, pitch: float, roll: float) -> Float64Array:
    """Return (3, 3): first turned to the side, then up or down, then in the picture; radians."""
    turns = []
    for (one, other), angle in zip(((0, 2), (1, 2), (0, 1)), (yaw, pitch, roll), strict=True):
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = np.sin(angle), -np.sin(angle)
        turns.append(turn)
    return np.asarray(turns[2] @ turns[1] @ turns[0])


def _camera(rng: np.random.Generator, width: int, height: int, turn: float) -> Camera:
    yaw = np.clip(rng.normal(0, max(turn, 1e-6) / 2), -turn, turn)
    pitch, roll = np.clip(rng.normal(0, (9, 8)), -24, 24)
    scale = rng.uniform(0.42, 0.62) * width / _FACE_UNITS
    turned = rotation(*np.radians([yaw, pitch, roll]))
    middle = np.array([0.5 * width, 0.5 * height]) + rng.uniform(-0.07, 0.07, 2) * width
    face = turned @ (0.0, 0.45, 0.6)  # the face's own middle is in the picture's
    return Camera(turned, float(scale), middle - face[:2] * scale)


def _light(rng: np.random.Generator) -> Light:
    towards = np.array([rng.uniform(-1, 1), -rng.uniform(0.0, 1.0), rng.uniform(0.5, 1.2)])
    lamp = rng.uniform(0.3, 0.75)
    warm = 1 + rng.normal(0, 0.05) * np.array([1, 0, -1])
    return Light(towards / np.linalg.norm(towards), float(lamp), float(rng.uniform(0.95, 1.1) - 0.75 * lamp), warm)


def _patches(rng: np.random.Generator, head: Head, style: Style, expression: Expression) -> list[Patch]:
    painted = paint(rng, head.front, style, expression)
    found = [_skull(rng, head, style, painted), _neck(head, style), *(_ear(head, style, sign) for sign in (-1, 1))]
    return [*found, _curtain(rng, head, style)] if style.hairdo == "long" else found


def _skull(rng: np.random.Generator, head: Head, style: Style, painted: FloatArray) -> Patch:
    rows, turns = np.meshgrid(np.linspace(0, 1, _ROWS), np.radians(np.linspace(-172, 172, _COLUMNS)), indexing="ij")
    bare = head.at(rows, turns)
    above = _hairline(rng, style, np.degrees(turns)) - bare[..., 1]  # how far above the hairline
    points = head.at(rows, turns, style.volume * np.clip(above / 0.3, 0, 1))
    ends = np.where(np.cos(turns) > 0, bare[..., 0], 1.05 * np.sign(turns))
    places = ((np.stack([ends, bare[..., 1]], axis=-1) - (LEFT, TOP)) * SCALE).astype(np.float32)
    hair = np.clip(above / 0.07 + 0.5, 0, 1).astype(np.float32)
    strands = noise(rng, 96, 192, [(5, 70), (9, 140)])

    def colour(height: int, width: int) -> FloatArray:
        fine = cv2.resize(places, (width, height))
        skin = cv2.remap(painted, fine[..., 0], fine[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        locks = (1 + 0.55 * cv2.resize(strands, (width, height)))[..., None] * np.asarray(style.hair, np.float32)
        share = cv2.resize(hair, (width, height))[..., None]
        return np.asarray(skin + share * (locks - skin), np.float32)

    return Patch(points, colour)


def _hairline(rng: np.random.Generator, style: Style, turns: Float64Array) -> Float64Array:
    """Return y of the hairline at turns in degrees; everything above it is hair."""
    line = style.hairline + style.fringe
    if style.hairdo == "bald":
        return np.interp(np.abs(turns), [60, 95, 180], [-3.0, -0.05, 0.3])
    sides = 0.12 if style.hairdo == "short" else 0.3
    smooth = np.interp(
        np.abs(turns), [0, 30, 52, 68, 82, 96, 180], [line, line, (line - 0.45) / 2, -0.3, sides, 0.75, 0.8]
    )
    ragged = cv2.resize(rng.normal(0, 1, (1, 40)), (turns.shape[1], 1), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth + (0.015 + 0.12 * style.fringe) * ragged)


def _neck(head: Head, style: Style) -> Patch:
    """The underside of the chin, from the jaw's outline back to the neck, and the neck."""
    jaw = head.on_face(head.front[:17])
    turns = np.arctan2(np.linspace(-1, 1, 17), 0.25)
    ring = np.stack([0.5 * np.sin(turns), np.full(17, 1.25), 0.42 * np.cos(turns) - 0.1], axis=1)
    under = [jaw * (1, 1, 0.98) + share * (ring - jaw) for share in np.linspace(0, 1, 8)]
    down = [ring + step * np.array([0, 0.16, -0.03]) for step in range(1, 11)]
    colour = np.asarray(style.skin) * 0.8
    return Patch(np.array([*under, *down]), flat(colour))


def _ear(head: Head, style: Style, sign: int) -> Patch:
    up, around = np.meshgrid(np.linspace(-1.5, 1.5, 12), np.linspace(-np.pi, np.pi, 18), indexing="ij")
    half = abs(head.front[0, 0])
    x = sign * (half + 0.02) + 0.1 * np.cos(up) * np.sin(around)
    y, z = 0.16 + 0.24 * np.sin(up), -0.06 + 0.13 * np.cos(up) * np.cos(around)
    return Patch(np.stack([x, y, z], axis=-1), flat(np.asarray(style.skin) * (0.95, 0.88, 0.87)))


def _curtain(rng: np.random.Generator, head: Head, style: Style) -> Patch:
    """Long hair: a shell around the sides and the back of the head, down to its ends."""
    down, turns = np.meshgrid(np.linspace(0, 1, 30), np.radians(np.linspace(72, 288, 60)), indexing="ij")
    half = abs(head.front[0, 0]) + 0.02 + style.volume
    waves = 0.03 * np.sin(9 * down * style.length + rng.uniform(0, 6, (1, 60)))
    wide = half * np.interp(down, [0, 0.2, 0.5, 1], [0.7, 1.0, 1.08, 0.98]) + waves
    y = -0.95 + down * (style.length + 0.95) + 0.05 * rng.normal(0, 1, (1, 60)) * down
    points = np.stack([wide * np.sin(turns), y, -0.1 + (0.95 + style.volume) * np.cos(turns) * 0.95], axis=-1)
    strands = noise(rng, 64, 128, [(4, 50), (7, 110)])

    def colour(height: int, width: int) -> FloatArray:
        locks = 0.85 + 0.5 * cv2.resize(strands, (width, height))
        return np.asarray(locks[..., None] * np.asarray(style.hair, np.float32), np.float32)

    return Patch(points, colour, thin=True)


def _shoulders(rng: np.random.Generator, canvas: FloatArray, camera: Camera, style: Style, light: Light) -> None:
    """Clothes below the neck; shoulders stay upright when the head turns."""
    neck = camera.project(np.array([0.0, 1.6, -0.2]))[:2]
    middle = np.array([0.6 * neck[0] + 0.4 * camera.origin[0], neck[1]])
    half = np.array([[-0.45, -0.15], [-1.0, 0.1], [-1.75, 0.45], [-2.1, 1.3], [-2.2, 4.0]])
    half[:, 0] *= rng.uniform(0.85, 1.15)
    outline = np.concatenate([half, half[::-1] * (-1, 1)]) * camera.scale + middle
    shade = (light.ambient + 0.5 * light.lamp) * light.colour * np.asarray(style.cloth)
    _fill(canvas, curve(outline), shade)
    if rng.random() < 0.5:
        collar = np.array([[-0.5, -0.25], [0.0, 0.75], [0.5, -0.25]]) * camera.scale + middle
        _fill(canvas, collar, np.clip(shade + rng.uniform(-0.5, 0.6), 0.03, 0.95))


def _fill(canvas: FloatArray, outline: Float64Array, colour: Float64Array) -> None:
    cv2.fillPoly(canvas, [np.rint(outline * 16).astype(np.int32)], colour.tolist(), cv2.LINE_AA, 4)


def _wear(canvas: FloatArray, head: Head, glasses: Glasses, camera: Camera) -> None:
    """Draw glasses; a bar to each ear where the head does not hide it."""
    thick = max(1, round(0.035 * camera.scale))
    colour = [float(value) for value in glasses.frame]
    rims = [_rim(head, glasses, side) for side in ("r_", "l_")]
    for rim in rims:
        outline = np.rint(camera.project(rim)[:, :2] * 16).astype(np.int32)
        tint = canvas.copy()
        cv2.fillPoly(tint, [outline], [value * 0.5 for value in colour], cv2.LINE_AA, 4)
        canvas += np.float32(glasses.dark) * (tint - canvas)
        cv2.polylines(canvas, [outline], True, colour, thick, cv2.LINE_AA, 4)
    bridge = [rims[0][np.argmax(rims[0][:, 0])], rims[1][np.argmin(rims[1][:, 0])]]
    bars = [bridge]
    for rim, sign in zip(rims, (-1, 1), strict=True):
        if sign * camera.rotation[2, 0] > -0.12:  # this side is not turned away
            bars.append(
                [rim[np.argmax(sign * rim[:, 0])], np.array([sign * (abs(head.front[0, 0]) + 0.06), 0.02, 0.0])]
            )
    for bar in bars:
        ends = np.rint(camera.project(np.array(bar))[:, :2] * 16).astype(np.int32)
        for start, end in pairwise(ends.tolist()):
            cv2.line(canvas, start, end, colour, thick, cv2.LINE_AA, 4)


def _rim(head: Head, glasses: Glasses, side: str) -> Float64Array:
    """Return the rim (n, 3) of one lens, standing before the eye."""
    eye = np.asarray(head.on_face(head.front[side_of(side, "eye")]).mean(axis=0), np.float64)
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    power = 1.0 if glasses.round else 0.6
    x, y = (np.sign(f) * np.abs(f) ** power for f in (np.cos(turn), np.sin(turn)))
    wide, high = glasses.half
    return np.asarray(eye + np.stack([wide * x, 0.03 + high * y, 0.16 - 0.5 * np.sign(eye[0]) * wide * x], axis=1))
