"""A grey picture that is drawn on in the mouse's units."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from kp_deeplabcut.synthetic.mouse import HEIGHT, WIDTH
from kpcore.tensors import Float64Array

FINE = 16
"""OpenCV takes places in sixteenths of a pixel (``shift = 4``)."""


class Canvas:
    """A grey picture drawn on in the mouse's units.

    Args:
        scale: pixels per unit.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.pixels: Float64Array = np.zeros((round(HEIGHT * scale), round(WIDTH * scale)), np.float32)

    def place(self, x: float, y: float) -> tuple[int, int]:
        """Return a place in OpenCV's sixteenths; pixel centres lie at integers in units and pixels alike."""
        return round(((x + 0.5) * self.scale - 0.5) * FINE), round(((y + 0.5) * self.scale - 0.5) * FINE)

    def line(self, points: Sequence[tuple[float, float]], width: float, light: float) -> None:
        """Draw a line through points."""
        places = np.array([self.place(x, y) for x, y in points], np.int32)
        cv2.polylines(self.pixels, [places], False, light, max(1, round(width * self.scale)), cv2.LINE_AA, 4)

    def blob(self, at: tuple[float, float], radii: tuple[float, float], light: float, turn: float = 0.0) -> None:
        """Fill an ellipse, turned by so many degrees."""
        axes = (max(1, round(radii[0] * self.scale * FINE)), max(1, round(radii[1] * self.scale * FINE)))
        cv2.ellipse(self.pixels, self.place(*at), axes, turn, 0, 360, light, -1, cv2.LINE_AA, 4)
