"""A face from the front: where its 68 landmarks lie, by identity and by expression.

Lengths are in distances of the outer eye corners; x to the viewer's right, y down, (0, 0) between the eyes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kp_faces.skeletons import FACES68, mirror_of
from kpcore.tensors import Float64Array

HALF = {
    "r_jaw_1": (-0.84, 0.02), "r_jaw_2": (-0.83, 0.24), "r_jaw_3": (-0.80, 0.46), "r_jaw_4": (-0.75, 0.67),
    "r_jaw_5": (-0.66, 0.88), "r_jaw_6": (-0.53, 1.05), "r_jaw_7": (-0.37, 1.18), "r_jaw_8": (-0.19, 1.27),
    "chin": (0.0, 1.30),
    "r_brow_1": (-0.66, -0.16), "r_brow_2": (-0.56, -0.24), "r_brow_3": (-0.44, -0.27), "r_brow_4": (-0.32, -0.25),
    "r_brow_5": (-0.20, -0.20),
    "nose_bridge_1": (0.0, 0.0), "nose_bridge_2": (0.0, 0.14), "nose_bridge_3": (0.0, 0.28), "nose_tip": (0.0, 0.41),
    "r_nose_wing": (-0.15, 0.52), "r_nostril": (-0.08, 0.555), "nose_base": (0.0, 0.575),
    "r_eye_outer": (-0.50, 0.0), "r_eye_upper_outer": (-0.415, -0.055), "r_eye_upper_inner": (-0.305, -0.055),
    "r_eye_inner": (-0.21, 0.015), "r_eye_lower_inner": (-0.305, 0.05), "r_eye_lower_outer": (-0.415, 0.05),
    "r_mouth_corner": (-0.28, 0.82), "r_mouth_upper_1": (-0.17, 0.765), "r_mouth_upper_2": (-0.06, 0.735),
    "mouth_upper": (0.0, 0.75), "r_mouth_lower_1": (-0.18, 0.90), "r_mouth_lower_2": (-0.075, 0.945),
    "mouth_lower": (0.0, 0.95), "r_mouth_inner_corner": (-0.25, 0.823), "r_mouth_inner_upper": (-0.075, 0.82),
    "mouth_inner_upper": (0.0, 0.825), "r_mouth_inner_lower": (-0.075, 0.835), "mouth_inner_lower": (0.0, 0.838),
}  # fmt: skip
"""A mean face's right half and middle."""


def _whole() -> Float64Array:
    places = []
    for name in FACES68.names:
        x, y = HALF[name] if name in HALF else HALF[mirror_of(name) or name]
        places.append((x if name in HALF else -x, y))
    return np.array(places)


MEAN = _whole()
"""(68, 2)."""


def places(names: Iterable[str]) -> list[int]:
    """Return landmarks' columns."""
    return [FACES68.index(name) for name in names]


def group(name: str) -> list[int]:
    """Return columns of a group."""
    return places(FACES68.groups[name])


JAW, BROW, NOSE, EYE, MOUTH = (group(name) for name in ("jaw", "brow", "nose", "eye", "mouth"))
LOWER_LIP = places(name for name in FACES68.groups["mouth"] if "lower" in name)


def side_of(side: str, name: str) -> list[int]:
    """Return the columns of one side's group, in order."""
    return places(point for point in FACES68.groups[name] if point.startswith(side))


@dataclass(frozen=True)
class Build:
    """What makes a face one person's; 1 or 0 is the mean."""

    width: float
    jaw: float
    chin: float
    eyes: float
    eye_gap: float
    brow_height: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_width: float
    mouth_height: float
    lips: float
    uneven: Float64Array  # (68, 2)


@dataclass(frozen=True)
class Expression:
    """What makes a face one moment's: 0 is at rest, but for ``lids``, which are open at 1."""

    mouth: float
    smile: float
    brows: float
    frown: float
    lids: float


def draw_build(rng: np.random.Generator) -> Build:
    """Draw a person."""
    width, jaw, chin, eyes, gap, height, tilt, length, nose, mouth, low, lips = rng.normal(
        (1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1), (0.055, 0.06, 0.05, 0.1, 0.02, 0.025, 0.02, 0.08, 0.13, 0.1, 0.025, 0.25)
    ).tolist()
    return Build(
        width, jaw, chin, max(eyes, 0.75), gap, float(np.clip(height, -0.05, 0.04)), tilt, length, nose, mouth, low,
        float(np.clip(lips, 0.4, 1.8)),
        rng.normal(0, 0.006, (68, 2)),
    )  # fmt: skip


def draw_expression(rng: np.random.Generator) -> Expression:
    """Draw a moment: two in five mouths are open, one in fifteen pairs of eyes is closed."""
    mouth = rng.uniform(0.03, 0.3) if rng.random() < 0.4 else 0.0
    smile = float(np.clip(rng.normal(0.25, 0.45), -0.6, 1.2))
    lids = 0.12 if rng.random() < 0.06 else float(np.clip(rng.normal(1, 0.18), 0.5, 1.5))
    brows, frown = np.clip(rng.normal((0.01, 0.0), (0.03, 0.02)), (-0.04, -0.04), (0.1, 0.04)).tolist()
    return Expression(float(mouth), smile, brows, frown, lids)


def landmarks(build: Build, expression: Expression) -> Float64Array:
    """Return (68, 2): the person's face in this moment."""
    points = MEAN + build.uneven * _free()
    _shape_outline(points, build)
    _shape_features(points, build)
    _move(points, build, expression)
    return points


def _free() -> Float64Array:
    """(68, 1): outline and ridge stay even, so that the head does."""
    free = np.ones((68, 1))
    free[[*JAW, *NOSE]] = 0
    return free


def _shape_outline(points: Float64Array, build: Build) -> None:
    low = np.clip(MEAN[JAW, 1] / 1.3, 0, 1)
    square = build.jaw * np.sin(np.pi * low) ** 2
    points[JAW, 0] *= build.width * (1 + square)
    points[JAW, 1] += build.chin * low**2


def _shape_features(points: Float64Array, build: Build) -> None:
    for side, sign in (("r_", -1), ("l_", 1)):
        eye, brow = side_of(side, "eye"), side_of(side, "brow")
        centre = points[eye].mean(0)
        points[eye] = centre + (points[eye] - centre) * (1 + 0.5 * (build.eyes - 1), build.eyes)
        points[[*eye, *brow], 0] += sign * build.eye_gap
        out = np.abs(points[brow, 0]) - 0.44
        points[brow, 1] += build.brow_height + build.brow_tilt * out / 0.24
    points[NOSE, 1] *= build.nose_length
    points[NOSE, 0] *= build.nose_width
    centre = np.array([0.0, MEAN[FACES68.index("mouth_inner_upper"), 1]])
    points[MOUTH] = centre + (points[MOUTH] - centre) * (build.mouth_width, build.lips)
    points[MOUTH, 1] += build.mouth_height + 0.5 * build.chin + 0.4 * (build.nose_length - 1)


def _move(points: Float64Array, build: Build, expression: Expression) -> None:
    corner = (np.abs(points[MOUTH, 0]) / np.abs(points[MOUTH, 0]).max()) ** 2
    points[MOUTH, 0] *= 1 + 0.16 * expression.smile - 0.35 * expression.mouth
    points[MOUTH, 1] -= 0.075 * expression.smile * (corner - 0.3)
    drop = expression.mouth * (1 - (np.abs(points[:, 0]) / np.abs(points[MOUTH, 0]).max()).clip(0, 1) ** 2)
    points[LOWER_LIP, 1] += drop[LOWER_LIP]
    low = np.clip(MEAN[JAW, 1] / 1.3, 0, 1) ** 2
    points[JAW, 1] += 0.7 * expression.mouth * low
    points[BROW, 1] -= expression.brows
    for side, sign in (("r_", 1), ("l_", -1)):
        eye, brow = side_of(side, "eye"), side_of(side, "brow")
        inner = (0.66 - np.abs(MEAN[brow, 0])) / 0.46
        points[brow] += np.stack([sign * 0.5 * expression.frown * inner, expression.frown * inner], axis=1)
        middle = points[eye, 1].mean() + 0.25 * (1 - expression.lids) * 0.05
        points[eye, 1] = middle + (points[eye, 1] - middle) * expression.lids
