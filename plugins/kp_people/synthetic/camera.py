"""A weak-perspective camera: orthographic, scaled at the pelvis, so that pixels times mm-per-px are exact.

Camera space: pixels, x right, y down, z away from the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_people.synthetic.body import turn_x, turn_y, turn_z
from kpcore.tensors import Float64Array

FACING = np.diag([1.0, -1.0, -1.0])
"""Body space of a person who faces the camera -> camera space: the person's left is on the image's right."""


@dataclass(frozen=True)
class Camera:
    """Where a person's body space lies in the image.

    Args:
        rotation: (3, 3) from body space to camera space, without scale.
        mm_per_px: millimetres a pixel.
        root: (3,) the pelvis in camera space, px; its z orders people of one image.
    """

    rotation: Float64Array
    mm_per_px: float
    root: Float64Array

    def project(self, points: Float64Array) -> Float64Array:
        """Body-space millimetres (..., 3) to camera-space pixels (..., 3)."""
        return np.asarray(points @ self.rotation.T / self.mm_per_px + self.root)


def draw_rotation(rng: np.random.Generator, pitch: float, roll: float, turn: float) -> Float64Array:
    """Draw which way a person stands: facing us within ``turn`` degrees, mostly upright, one in twelve leaning far."""
    lean = 38.0 if rng.random() < 1 / 12 else 6.0
    stance = turn_z(rng.normal(0.0, lean)) @ turn_x(rng.normal(0.0, lean / 2)) @ turn_y(rng.uniform(-turn, turn))
    return np.asarray(FACING @ turn_z(roll) @ turn_x(pitch) @ stance)


def draw_view(rng: np.random.Generator) -> tuple[float, float]:
    """Draw the camera's pitch (looking down is positive) and roll, degrees."""
    return float(np.clip(rng.normal(8.0, 10.0), -15.0, 40.0)), float(rng.normal(0.0, 2.5))
