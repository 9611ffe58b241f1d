"""The head as a surface: around an upright axis, through the outline that the jaw's landmarks lie on.

A point of the surface is named by a row (0 at the crown, 1 at the chin) and a turn (0 in front, -90 degrees at the
viewer's left, where the right ear is). Lengths as in :mod:`kp_faces.synthetic.front`; z points to the viewer, and is 0
between the ears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kp_faces.skeletons import FACES68
from kp_faces.synthetic.front import JAW, places, side_of
from kpcore.tensors import AnyArray, Float64Array

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

CROWN = ((0.0, -1.22), (0.36, -1.13), (0.62, -0.95), (0.78, -0.68), (0.85, -0.36), (0.85, -0.15))
"""Outline above the jaw's first landmark: x, y, from the crown down."""
EAR_ROW = len(CROWN)
_FRONT = ((-1.22, 0.0), (-1.1, 0.5), (-0.9, 0.78), (-0.6, 0.96), (-0.2, 1.02), (0.1, 0.98), (0.6, 1.0), (1.3, 0.93))
"""y, z of the profile without nose, brows and lips."""
_AXIS = ((-1.22, 0.0), (-0.6, 0.02), (0.0, 0.1), (0.45, 0.14), (0.7, 0.24), (0.9, 0.4), (1.05, 0.54), (1.3, 0.84))
"""y, z of the outline."""
_BACK = ((-1.22, 0.0), (-1.05, -0.62), (-0.7, -0.92), (-0.3, -1.0), (0.2, -0.8), (0.6, -0.35), (0.9, 0.1), (1.3, 0.8))
"""y, z of the back."""


@dataclass(frozen=True, eq=False)
class Head:
    """A head.

    Args:
        front: (68, 2) landmarks from the front.
        nose: how far its tip stands out.
        mouth: how far the mouth is open.
    """

    front: Float64Array
    nose: float = 0.28
    mouth: float = 0.0

    @cached_property
    def _outline(self) -> tuple[PchipInterpolator, Float64Array, Float64Array]:
        from scipy.interpolate import PchipInterpolator  # a quarter of a second that only drawing needs

        jaw = np.abs(self.front[JAW[:9]])
        jaw[:, 1] = self.front[JAW[:9], 1]
        crown = np.array(CROWN) * (jaw[0, 0] / 0.84, 1.0)
        knots = np.concatenate([crown, jaw])
        curve = PchipInterpolator(np.arange(len(knots)) / (len(knots) - 1), knots)
        rows = np.linspace(0, 1, 400)
        return curve, rows, curve(rows)[:, 1]

    @cached_property
    def _profiles(self) -> tuple[PchipInterpolator, PchipInterpolator, PchipInterpolator]:
        """Front, axis and back over y; below the ears they stretch with the chin."""
        from scipy.interpolate import PchipInterpolator

        chin = self.front[FACES68.index("chin"), 1] / 1.3

        def profile(knots: Sequence[tuple[float, float]]) -> PchipInterpolator:
            heights = [y * chin if y > 0.2 else y for y, _ in knots]
            return PchipInterpolator(heights, [z for _, z in knots], extrapolate=False)

        return profile(_FRONT), profile(_AXIS), profile(_BACK)

    def row_of(self, y: Float64Array) -> Float64Array:
        """Return the rows at these heights."""
        _, rows, heights = self._outline
        return np.interp(y, heights, rows)

    def at(self, rows: Float64Array, turns: Float64Array, swell: AnyArray | float = 0.0) -> Float64Array:
        """Return points (..., 3) of the surface.

        Args:
            rows: (...,) from 0 to 1.
            turns: (...,) radians.
            swell: (...,) how far hair stands off.
        """
        curve, _, _ = self._outline
        half, y = np.moveaxis(curve(rows), -1, 0)
        front, axis, back = (np.nan_to_num(profile(np.clip(y, -1.22, None))) for profile in self._profiles)
        facing = np.cos(turns)
        depth = np.where(facing > 0, np.maximum(front - axis, 0.02), np.maximum(axis - back, 0.02))
        x, z = (half + swell) * np.sin(turns), axis + (depth + swell) * facing
        lift = np.asarray(swell) * np.clip(-y - 0.5, 0, 1)
        z = z + np.where(facing > 0, self.relief(x, y), 0.0) * np.clip(4 * facing, 0, 1)
        return np.stack([x, y - lift, z], axis=-1)

    def on_face(self, points: Float64Array) -> Float64Array:
        """Return points (n, 3) of the surface whose place from the front is (n, 2)."""
        rows = self.row_of(points[:, 1])
        curve, _, _ = self._outline
        turns = np.arcsin(np.clip(points[:, 0] / np.maximum(curve(rows)[:, 0], 1e-6), -1, 1))
        return self.at(rows, turns)

    @cached_property
    def jaw_rows(self) -> Float64Array:
        """(17,) rows of the jaw's landmarks."""
        first = np.arange(EAR_ROW, EAR_ROW + 9) / (EAR_ROW + 8)
        return np.concatenate([first, first[-2::-1]])

    def relief(self, x: Float64Array, y: Float64Array) -> Float64Array:
        """Return how far nose, brows, lips, cheeks and chin stand out, at places from the front."""
        total = np.zeros(np.broadcast(x, y).shape)
        for centre_x, centre_y, wide, high, out in self._bumps:
            total += out * np.exp(-(((x - centre_x) / wide) ** 2) - ((y - centre_y) / high) ** 2)
        return total + self._ridge(x, y)

    @cached_property
    def _bumps(self) -> list[tuple[float, float, float, float, float]]:
        """Centre, half width, half height, and how far out."""
        found = []
        for side in ("r_", "l_"):
            (eye_x, eye_y), (brow_x, brow_y) = (self.front[side_of(side, part)].mean(0) for part in ("eye", "brow"))
            wing_x, wing_y = self.front[places([f"{side}nose_wing"])[0]]
            found += [
                (eye_x, eye_y - 0.02, 0.24, 0.13, -0.10), (eye_x, eye_y, 0.12, 0.09, 0.045),
                (brow_x, brow_y, 0.28, 0.09, 0.04), (0.82 * wing_x, wing_y - 0.03, 0.075, 0.07, 0.09),
                (1.1 * brow_x, 0.38, 0.26, 0.22, 0.05),
            ]  # fmt: skip
        upper, lower, chin = (self.front[FACES68.index(name), 1] for name in ("mouth_upper", "mouth_lower", "chin"))
        gap = self.front[places(["mouth_inner_upper", "mouth_inner_lower"]), 1]
        return [
            *found, (0.0, upper + 0.03, 0.2, 0.08, 0.06), (0.0, lower - 0.04, 0.17, 0.06, 0.06),
            (0.0, (lower + chin) / 2 - 0.03, 0.2, 0.08, -0.03), (0.0, chin - 0.12, 0.2, 0.13, 0.06),
            (0.0, float(gap.mean()), 0.2, 0.03 + float(np.ptp(gap)) / 2, -0.3 * self.mouth),
        ]  # fmt: skip

    def _ridge(self, x: Float64Array, y: Float64Array) -> Float64Array:
        """The nose: a ridge that rises to the tip and falls to its base."""
        top, tip = self.front[places(["nose_bridge_1", "nose_tip"]), 1]
        base = self.front[FACES68.index("nose_base"), 1]
        knots = [top - 0.25, top, (top + tip) / 2, tip, (tip + base) / 2, base, base + 0.07]
        out = np.interp(y, knots, [0, 0.25, 0.6, 1.0, 0.85, 0.3, 0]) * self.nose
        wide = np.interp(y, knots, [0.07, 0.07, 0.085, 0.11, 0.12, 0.1, 0.1])
        return np.asarray(out * np.exp(-((x / wide) ** 2)))


def landmarks_3d(head: Head, rotation: Float64Array) -> Float64Array:
    """Return the landmarks (68, 3) as an annotator sees them, before rotation.

    Where the cheek turns away, the jaw's landmarks lie on the contour that is seen: of each row that point which is
    farthest out to its side in the turned head.
    """
    points = head.on_face(head.front)
    moved = np.delete(np.arange(17), 8)  # all but the chin
    signs = np.where(moved < 8, -1.0, 1.0)[:, None]
    turns = signs * np.radians(np.linspace(90, 25, 27))
    lines = head.at(np.broadcast_to(head.jaw_rows[moved, None], turns.shape), turns)  # (16, 27, 3)
    farthest = np.argmax(signs * (lines @ rotation[0]), axis=1)
    points[np.array(JAW)[moved]] = lines[np.arange(len(moved)), farthest]
    return points
