"""One synthetic mouse that runs on a wheel: a few lengths, a gait, and where that puts its bodyparts in two views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpcore.tensors import Float64Array

PAWS = ("paw1LH", "paw2LF", "paw3RF", "paw4RH")
SIDE = (*PAWS, "tailBase", "tailMid", "nose", "obs")
BELOW = (*PAWS, "tailBase", "tailMid", "nose", "obsHigh", "obsLow")
BODYPARTS = (*(f"{name}_top" for name in SIDE), *(f"{name}_bot" for name in BELOW))
"""The 17 columns of a mouse seen from the side ("top", the upper picture) and from below ("bot")."""
WIDTH, HEIGHT, SEAM = 396, 406, 168
"""Units of the drawing; the view from below begins at SEAM."""


@dataclass(frozen=True, eq=False)
class Mouse:
    """A mouse in one frame, in the drawing's units.

    Args:
        nose, hip: x of the snout's tip, and of the tail's base.
        back: y of the body's middle in the view from the side.
        spine: y of the body's middle at nose and at the tail's base in the view from below.
        thick: half the body's height, and half its breadth from below.
        paws: (4, 3): x, y from the side, y from below; left hind, left fore, right fore, right hind.
        tail: (2, 3): the tail's base and middle, as the paws.
        obstacle: x of the rod that it must step over; None where there is none.
    """

    nose: float
    hip: float
    back: float
    spine: tuple[float, float]
    thick: tuple[float, float]
    paws: Float64Array
    tail: Float64Array
    obstacle: float | None

    @property
    def nose_place(self) -> tuple[float, float, float]:
        """x, y from the side, y from below."""
        return self.nose, self.back - 0.15 * self.thick[0], self.spine[0]

    def points(self) -> dict[str, tuple[float, float]]:
        """Return bodypart -> place, of all that there are; some may lie outside the picture."""
        found: dict[str, tuple[float, float]] = {}
        bodies = [*zip(PAWS, self.paws, strict=True), ("tailBase", self.tail[0]), ("tailMid", self.tail[1])]
        for name, (x, side, below) in [*bodies, ("nose", self.nose_place)]:
            found[f"{name}_top"], found[f"{name}_bot"] = (float(x), float(side)), (float(x), float(below))
        if self.obstacle is not None:
            found["obs_top"] = (self.obstacle, ROD)
            found["obsHigh_bot"], found["obsLow_bot"] = (self.obstacle, 186.0), (self.obstacle, 386.0)
        return found


ROD = 88.0
"""y of the obstacle's end in the view from the side."""


def wheel(x: float) -> float:
    """Return y of the wheel's rim under x, in the view from the side."""
    return 104.0 + ((x - 215.0) / 215.0) ** 2 * 42.0


def draw_mouse(random: np.random.Generator) -> Mouse:
    """Return a mouse of random size, place and posture."""
    length = random.uniform(225, 320)
    nose = random.uniform(length + 45, 392)
    hip = nose - length
    back = random.uniform(48, 62)
    middle, lean = random.uniform(262, 308), random.uniform(-18, 18)
    spine = (middle - lean, middle + lean)
    thick = (random.uniform(27, 35), random.uniform(36, 46))
    return Mouse(
        nose, hip, back, spine, thick, _paws(random, nose, hip, spine), _tail(random, hip, back, spine[1]),
        random.uniform(20, 376) if random.random() < 0.72 else None,
    )  # fmt: skip


def _paws(random: np.random.Generator, nose: float, hip: float, spine: tuple[float, float]) -> Float64Array:
    """Return the paws: a stride of its own phase each, raised while it swings forwards."""
    length = nose - hip
    rests = np.array([0.20, 0.62, 0.66, 0.20])  # share of the body's length from the tail
    phase = random.uniform(0, 2 * np.pi) + np.array([0.0, np.pi, 0.0, np.pi]) + random.normal(0, 0.5, 4)
    x = hip + length * rests + 0.17 * length * np.cos(phase)
    lift = np.maximum(0, np.sin(phase)) * random.uniform(10, 34)
    middle = spine[1] + (spine[0] - spine[1]) * rests
    apart = np.array([-50.0, -28.0, 28.0, 50.0]) * random.uniform(0.8, 1.15)
    below = middle + apart + random.normal(0, 4, 4)
    return np.stack([x, np.array([wheel(place) for place in x]) - 4 - lift, below], axis=1)


def _tail(random: np.random.Generator, hip: float, back: float, spine: float) -> Float64Array:
    """Return the tail's base and middle; the middle is often out of the picture."""
    reach, up, aside = random.uniform(34, 62), random.uniform(-0.7, 0.9), random.uniform(-0.8, 0.8)
    base = np.array([hip + 4, back - 4, spine])
    return np.stack([base, base + reach * np.array([-np.cos(up), np.sin(up), aside])])
