"""One image: people before a backdrop, and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_people.skeleton import NAMES, skeleton
from kp_people.synthetic.backdrop import cast_shadow, draw_backdrop, occlude, photograph
from kp_people.synthetic.camera import Camera, draw_rotation, draw_view
from kp_people.synthetic.figure import FLESH, Figure, draw_figure, head_box
from kp_people.synthetic.render import Canvas, Light
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE, Float64Array, ImageArray, StateArray

HEAD_MARGIN = 0.08
"""Annotated head boxes are a little loose; with this a standing person is about 4.8 head diagonals tall, as in MPII."""
CROP_HEADS = 6.0
"""Side of MPII's crop (200 px times the adjusted scale) in head-box diagonals: 10 head sizes of 0.6 diagonals."""
_DISTANCE_MM = 1500.0
"""Two people of one image stand this far apart along the view, so that their bodies do not meet."""
_OUTSIDE = 0.08
"""A joint this share of the image's height outside is still annotated."""
_NAMES_GROUP = [skeleton(3)[name].group for name in NAMES]
_FLESH = np.array([FLESH.get(name, FLESH.get(group, 0.0)) for name, group in zip(NAMES, _NAMES_GROUP, strict=True)])


@dataclass(frozen=True)
class Difficulty:
    """How hard images are.

    Args:
        size: pixels of the shorter side.
        turn: people face the camera within this many degrees; 180 is any way.
        occlusion: share of people with something before them.
        clutter: how much lies about, in [0, 1].
    """

    size: int
    turn: float
    occlusion: float
    clutter: float


@dataclass(frozen=True, eq=False)
class Person:
    """Ground truth of one person; pixels are 0-based, with pixel centres at integers.

    Args:
        points: (16, 3) x, y in px and z, the depth relative to the pelvis, in the same px.
        state: (16,) uint8 as :mod:`kpcore.tensors` defines.
        head: head box: left, top, right, bottom, px.
        mm_per_px: millimetres a pixel; exact for the whole body, as the camera is weak-perspective.
        rotation: (3, 3) body space to camera space.
    """

    points: Float64Array
    state: StateArray
    head: tuple[float, float, float, float]
    mm_per_px: float
    rotation: Float64Array


@dataclass(frozen=True)
class _Placed:
    figure: Figure
    camera: Camera

    @property
    def points(self) -> Float64Array:
        """(16, 3) camera-space px."""
        return self.camera.project(self.figure.keypoints)

    def box(self) -> Float64Array:
        """Outline: left, top, right, bottom, px."""
        boxes = np.array([solid.box(self.camera) for solid in self.figure.solids])
        return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])

    def moved(self, shift: Float64Array, scale: float = 1.0) -> _Placed:
        """Return the same person drawn ``scale`` times as large, then shifted (3,) px."""
        camera = self.camera
        return _Placed(self.figure, Camera(camera.rotation, camera.mm_per_px / scale, camera.root * scale + shift))


def draw_scene(
    rng: np.random.Generator, difficulty: Difficulty, annotated: int, bystander: bool
) -> tuple[ImageArray, list[Person]]:
    """Draw an image with ``annotated`` people, and perhaps one more that nobody annotated.

    Returns:
        the image (H, W, 3) uint8 RGB, and the annotated people.
    """
    count = annotated + int(bystander)
    height, width = _frame(rng, difficulty.size, count)
    people = _cast(rng, height, width, count, difficulty.turn)
    light = _light(rng)
    canvas = Canvas(draw_backdrop(rng, height, width, difficulty.clutter))
    for person in sorted(people, key=lambda person: -float(person.camera.root[2])):
        _draw(canvas, person, light)
    for person in people[:annotated]:
        if rng.random() < difficulty.occlusion:
            left, top, right, bottom = person.box()
            occlude(rng, canvas, (left, top, right, bottom))
    truths = [_truth(rng, canvas, person) for person in people[:annotated]]
    return photograph(rng, canvas.colour), truths


def _frame(rng: np.random.Generator, size: int, count: int) -> tuple[int, int]:
    """Draw the image's height and width; two people need a wider one."""
    if count > 1:
        return size, int(size * rng.uniform(1.25, 1.6))
    return size, int(size * rng.uniform(1.0, 1.3))


def _cast(rng: np.random.Generator, height: int, width: int, count: int, turn: float) -> list[_Placed]:
    """Draw people and place them side by side, each at its own distance."""
    pitch, roll = draw_view(rng)
    middles = width * (np.arange(count) + 0.5) / count
    depths = rng.permutation(count) * _DISTANCE_MM
    people = []
    for middle, depth in zip(middles, depths, strict=True):
        rotation = draw_rotation(rng, pitch, roll, turn)
        person = _fit(rng, _Placed(draw_figure(rng), Camera(rotation, 10.0, np.zeros(3))), height, width / count)
        people.append(_place(rng, person, (float(middle), height / 2), depth, height))
    return people


def _fit(rng: np.random.Generator, person: _Placed, height: int, width: float) -> _Placed:
    """Scale a person so that its crop is about the image's height and it fits."""
    left, top, right, bottom = head_box(person.figure, person.camera, HEAD_MARGIN)
    crop = CROP_HEADS * np.hypot(right - left, bottom - top)
    outline = person.box()
    most = min(0.97 * height / (outline[3] - outline[1]), 1.15 * width / (outline[2] - outline[0]))
    return person.moved(np.zeros(3), min(height / crop * rng.uniform(0.85, 1.12), most))


def _place(
    rng: np.random.Generator, person: _Placed, middle: tuple[float, float], depth: float, height: int
) -> _Placed:
    """Centre a person with some play; one in ten is pushed over the frame's lower or upper edge."""
    outline = person.box()
    shift = np.array([*middle, depth / person.camera.mm_per_px])
    shift[:2] -= (outline[:2] + outline[2:]) / 2
    play = max(height - (outline[3] - outline[1]), 0.0) / 2
    shift[:2] += rng.uniform(-1, 1, 2) * (0.06 * height, 0.9 * play)
    if rng.random() < 0.1:
        shift[1] += rng.choice([1.0, 1.0, -0.3]) * height * rng.uniform(0.15, 0.3)
    return person.moved(shift)


def _light(rng: np.random.Generator) -> Light:
    """Draw a lamp above and on our side of the people."""
    towards = np.array([rng.uniform(-1, 1), -rng.uniform(0.3, 1.2), -rng.uniform(0.4, 1.0)])
    lamp = rng.uniform(0.35, 0.75)
    return Light(towards / np.linalg.norm(towards), lamp, rng.uniform(0.95, 1.1) - 0.75 * lamp)


def _draw(canvas: Canvas, person: _Placed, light: Light) -> None:
    points = person.points
    feet = points[[NAMES.index("r_ankle"), NAMES.index("l_ankle")]]
    lowest = feet[feet[:, 1] > feet[:, 1].max() - 120 / person.camera.mm_per_px]
    below = lowest[:, :2] + (0, 70 / person.camera.mm_per_px)
    cast_shadow(canvas.colour, below.astype(np.float32), 80 / person.camera.mm_per_px)
    canvas.draw(person.figure.solids, person.camera, light)


def _truth(rng: np.random.Generator, canvas: Canvas, person: _Placed) -> Person:
    points, camera = person.points, person.camera
    girth = person.figure.body.girth
    hidden = canvas.hidden(points, (_FLESH * girth + 25) / camera.mm_per_px)
    state = np.where(hidden, HIDDEN, VISIBLE).astype(np.uint8)
    state[_missed(rng, points, canvas.depth.shape, hidden)] = UNLABELLED
    points[:, 2] -= camera.root[2]
    head = head_box(person.figure, camera, HEAD_MARGIN)
    return Person(points, state, head, camera.mm_per_px, camera.rotation)


def _missed(
    rng: np.random.Generator, points: Float64Array, shape: tuple[int, ...], hidden: Float64Array
) -> Float64Array:
    """Say which joints an annotator leaves out, (16,) bool: far outside, or (rarely) just so."""
    height, width = shape
    margin = _OUTSIDE * height
    x, y = points[:, 0], points[:, 1]
    outside = (x < -margin) | (x > width - 1 + margin) | (y < -margin) | (y > height - 1 + margin)
    return np.asarray(outside | (rng.random(len(points)) < np.where(hidden, 0.08, 0.01)))
