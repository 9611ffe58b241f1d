"""Keypoints on pictures: a mark in the colour and shape of the sets that a keypoint is in, and the skeleton's edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kpcore.keypoints import Skeleton
from kpcore.tensors import Float64Array, ImageArray

Colour = tuple[int, int, int]
LEGEND: dict[str, Colour] = {
    "S1": (86, 180, 233),
    "S2": (230, 159, 0),
    "S1 and S2": (0, 158, 115),
    "other": (190, 190, 190),
}
"""RGB of a keypoint by the sets that it is in: Okabe and Ito's, which every common colour blindness tells apart."""
SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "S2": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "S1 and S2": ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    "other": ((0, -1.2), (1.2, 1), (-1.2, 1)),
}
"""Corners of a mark in radii: square, diamond, triangle; S1 is a disc."""
EDGE: Colour = (235, 235, 235)
PAPER: Colour = (24, 24, 24)
UNSURE = 0.5
"""Share of the instance's median confidence below which a mark is an outline."""
MARKS = 70
"""A mark's radius is the crop's side over this."""
LEAST = 2
SHORT = 30_000
"""OpenCV's coordinates are short: what lies beyond is not drawn."""


@dataclass(frozen=True)
class Mark:
    """Where a keypoint is in a picture, and whether its mark is an outline alone: hidden, or not sure."""

    place: tuple[int, int]
    hidden: bool


def word_of(name: str, source: Sequence[str], target: Sequence[str]) -> str:
    """Return the legend's word for a keypoint of the first and the last set of a split."""
    found = {(True, True): "S1 and S2", (True, False): "S1", (False, True): "S2"}
    return found.get((name in source, name in target), "other")


def draw_edges(canvas: ImageArray, skeleton: Skeleton, found: Mapping[str, Mark], width: int = 1) -> None:
    """Draw the edges whose ends are both there."""
    for start, end in skeleton.edges:
        if start in found and end in found:
            cv2.line(canvas, found[start].place, found[end].place, EDGE, width, cv2.LINE_AA)


def draw_mark(canvas: ImageArray, mark: Mark, word: str, radius: int) -> None:
    """Draw a mark in the colour and shape of its sets; its outline alone where it is hidden."""
    colour = LEGEND[word]
    if word not in SHAPES:
        cv2.circle(canvas, mark.place, radius, colour, 1 if mark.hidden else -1, cv2.LINE_AA)
        return
    corners = np.rint(np.array(SHAPES[word]) * radius + mark.place).astype(np.int32)
    if not mark.hidden:
        cv2.fillPoly(canvas, [corners], colour, cv2.LINE_AA)
    cv2.polylines(canvas, [corners], True, colour, 1, cv2.LINE_AA)


def radius_of(side: float) -> int:
    """Return the radius of the marks of an instance whose crop has this side, pixels."""
    return max(LEAST, round(side / MARKS))


def marks_of(names: Sequence[str], points: Float64Array, confidence: Float64Array) -> dict[str, Mark]:
    """Return the marks of keypoints that are there; an outline where one is not sure.

    Args:
        names: K.
        points: (K, 2 or 3) pixels; NaN where one is lost.
        confidence: (K,).
    """
    median = float(np.nanmedian(confidence)) if np.isfinite(confidence).any() else 0.0
    return {
        name: Mark((round(x), round(y)), bool(surer < UNSURE * median))
        for name, (x, y), surer in zip(names, points[:, :2].tolist(), confidence.tolist(), strict=True)
        if abs(x) < SHORT and abs(y) < SHORT  # NaN is not
    }


def draw_instance(
    canvas: ImageArray, skeleton: Skeleton, marks: Mapping[str, Mark], steps: Sequence[Sequence[str]], radius: int
) -> None:  # fmt: skip
    """Draw edges and marks, in the colours of the first and the last step's sets; "other" where there are none."""
    source, target = (steps[0], steps[-1] if len(steps) > 1 else ()) if steps else ((), ())
    draw_edges(canvas, skeleton, marks, max(1, radius // 3))
    for name, mark in marks.items():
        draw_mark(canvas, mark, word_of(name, source, target), radius)
