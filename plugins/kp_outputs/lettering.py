"""Words on pictures: names beside keypoints where there is room, a line an instance, and a legend below the picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kpcore.drawing import EDGE, MARKS, PAPER, Mark, draw_mark, word_of
from kpcore.tensors import Float64Array, ImageArray

FONT = cv2.FONT_HERSHEY_SIMPLEX
SMALLEST, LARGEST = 0.35, 1.2
"""Sizes of letters, in OpenCV's units: 0.35 is 8 px high."""
NAMED = 20
"""Keypoints of a network whose names are written."""
NARROWEST = 160
"""Pixels of a picture's width below which it has no legend."""
MEANS = {"S1": "S1, learned first", "S2": "S2, learned last", "S1 and S2": "in S1 and S2", "other": "other"}
UNSURE = "hollow: unsure"
AROUND = ((1, 0.5), (-1, 0.5), (0, 0), (0, 1), (1, 0), (1, 1), (-1, 0), (-1, 1))
"""Where a name may stand by its mark, across and down: right, left, above, below, and the corners."""
GAP = 3
ROOM = 1.6
"""Side of an instance's crop over the height of all its names, one above the other, from which on they are written."""


@dataclass(frozen=True)
class Text:
    """A line of letters: its size, and the pixels that it takes."""

    words: str
    size: float
    width: int
    height: int

    @classmethod
    def of(cls, words: str, size: float) -> Text:
        """Measure a line; what OpenCV has no letter for is a question mark."""
        plain = words.encode("ascii", "replace").decode()
        (width, height), below = cv2.getTextSize(plain, FONT, size, 1)
        return cls(plain, size, width, height + below)

    def draw(self, canvas: ImageArray, left: int, top: int) -> None:
        """Write it, light on the picture made dark."""
        behind = canvas[max(0, top - 1) : top + self.height + 1, max(0, left - 1) : left + self.width + 1]
        behind[:] = behind // 3
        base = top + cv2.getTextSize(self.words, FONT, self.size, 1)[0][1]
        cv2.putText(canvas, self.words, (left, base), FONT, self.size, EDGE, 1, cv2.LINE_AA)


class Lettering:
    """Words of one picture; none covers a mark, or another word, or leaves the picture.

    Args:
        canvas: (H, W, 3) uint8 RGB, with its marks.
        marks: of every instance, with the marks' radius.
    """

    def __init__(self, canvas: ImageArray, marks: Sequence[tuple[Mapping[str, Mark], int]]) -> None:
        self._canvas = canvas
        self._size = size_of(canvas)
        boxes = [
            (x - radius, y - radius, x + radius, y + radius)
            for found, radius in marks
            for x, y in (mark.place for mark in found.values())
        ]
        self._taken: Float64Array = np.array(boxes, np.float64).reshape(-1, 4)

    def headline(self, words: str, marks: Mapping[str, Mark], radius: int) -> None:
        """Write a line above an instance, or below it; none where it is wider than twice the instance."""
        text = Text.of(words, self._size)
        places = np.array([mark.place for mark in marks.values()])
        (left, top), (right, bottom) = places.min(0), places.max(0)
        if text.width > max(2 * (right - left), bottom - top, 24 * radius):
            return
        start = int(np.clip(left, 1, max(1, self._canvas.shape[1] - text.width - 1)))
        self._put(text, [(start, top - 2 * radius - text.height), (start, bottom + 2 * radius)])

    def names(self, marks: Mapping[str, Mark], radius: int) -> None:
        """Write names beside their marks, where there is room; none of an instance that they would cover."""
        texts = {name: Text.of(name, self._size) for name in marks}
        if ROOM * sum(text.height for text in texts.values()) > radius * MARKS:
            return
        for name, text in texts.items():
            mark = marks[name]
            self._put(text, _around(mark, text, radius + GAP))

    def _put(self, text: Text, places: Iterable[tuple[int, int]]) -> None:
        """Write a text at the first of these places (left, top) that is free, if one is."""
        for left, top in places:
            box = np.array([left - 1, top - 1, left + text.width + 1, top + text.height + 1], np.float64)
            if self._free(box):
                self._taken = np.vstack([self._taken, box])
                text.draw(self._canvas, left, top)
                return

    def _free(self, box: Float64Array) -> bool:
        height, width = self._canvas.shape[:2]
        inside = box[0] >= 0 and box[1] >= 0 and box[2] < width and box[3] < height
        meets = (self._taken[:, :2] < box[2:]).all(1) & (self._taken[:, 2:] > box[:2]).all(1)
        return bool(inside and not meets.any())


def size_of(canvas: ImageArray) -> float:
    """Return the size of letters on a picture: they grow with it, as a viewer shrinks it."""
    return float(np.clip(max(canvas.shape[:2]) / 1800, SMALLEST, LARGEST))


def _around(mark: Mark, text: Text, gap: int) -> list[tuple[int, int]]:
    """Return the places (left, top) of a text around a mark."""
    x, y = mark.place
    across = {1: x + gap, -1: x - gap - text.width, 0: x - text.width // 2}
    down = {0: y - gap - text.height, 0.5: y - text.height // 2, 1: y + gap}
    return [(across[aside], down[height]) for aside, height in AROUND]


def with_legend(canvas: ImageArray, names: Sequence[str], steps: Sequence[Sequence[str]]) -> ImageArray:
    """Return a picture with a strip below that says what marks mean; as it is where it is narrow.

    Args:
        canvas: (H, W, 3) uint8 RGB.
        names: of the keypoints.
        steps: keypoints of each step of the network's training, S1 first; of fewer than two the strip tells no sets.
    """
    width = canvas.shape[1]
    if width < NARROWEST:
        return canvas
    words = dict.fromkeys(word_of(name, steps[0], steps[-1]) for name in names) if len(steps) > 1 else {}
    size = size_of(canvas)
    line = round(Text.of("Sg", size).height * 1.6 / 2) * 2  # even, as video wants it
    texts = [*((word, Text.of(MEANS[word], size)) for word in MEANS if word in words), ("", Text.of(UNSURE, size))]
    places = _rows([text.width + 2 * line for _, text in texts], width)
    strip = np.full((line * (1 + places[-1][1]), width, 3), PAPER, np.uint8)
    for (word, text), (left, row) in zip(texts, places, strict=True):
        draw_mark(strip, Mark((left + line // 2, row * line + line // 2), not word), word or "S1", line // 5)
        text.draw(strip, left + line, row * line + (line - text.height) // 2)
    return np.vstack([canvas, strip])


def _rows(widths: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Return left and row of things of these widths, a new row where one does not fit."""
    places, left, row = [], 0, 0
    for width in widths:
        if left and left + width > most:
            left, row = 0, row + 1
        places.append((left, row))
        left += width
    return places
