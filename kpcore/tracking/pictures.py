"""Predictions as pictures: the people of the page's gallery, each mode's predictions on the same crop, side by side."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from kpcore.drawing import EDGE, Mark, draw_mark
from kpcore.errors import KpError
from kpcore.records.shown import FOLDER, SHOWN, Body, Person, Place, Predicted, read_shown
from kpcore.records.slugs import slug
from kpcore.tensors import ImageArray

ENLARGED = 2
"""The gallery's crops are small; marks need room."""
GAP = 4
"""Pixels between two modes."""
OFF = (213, 94, 0)
"""RGB of the line from where a point is to where it was predicted."""


def pictures(folder: Path) -> dict[str, ImageArray]:
    """Return (H, W, 3) uint8 RGB pictures of a study that ended, by "split/best 1 - mode - mode".

    Lines are the body's edges between labelled points, rings what is labelled; coloured marks are predictions, discs of
    S1 and squares of S2, each joined to the label it missed. None where the page was not made.
    """
    try:
        shown = read_shown(folder / FOLDER / SHOWN)
    except KpError:
        return {}
    found: dict[str, ImageArray] = {}
    for split in shown.splits:
        counts: Counter[str] = Counter()
        for person in split.people:
            counts[person.kind] += 1
            modes = " - ".join(slug(one.mode) for one in person.predicted)
            found[f"{slug(split.name)}/{person.kind} {counts[person.kind]} - {modes}"] = _side_by_side(
                person, shown.bodies[split.body]
            )
    return found


def _side_by_side(person: Person, body: Body) -> ImageArray:
    with Image.open(BytesIO(base64.b64decode(person.jpeg))) as kept:
        crop = np.asarray(kept.convert("RGB"))
    crop = np.asarray(cv2.resize(crop, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC), np.uint8)
    gap = np.full((crop.shape[0], GAP, 3), 255, np.uint8)
    panels = [one for predicted in person.predicted for one in (gap, _panel(crop, person, predicted, body))]
    return np.hstack(panels[1:] or [crop])


def _panel(crop: ImageArray, person: Person, predicted: Predicted, body: Body) -> ImageArray:
    canvas = crop.copy()
    truth, target = _marks(person.truth, canvas), _marks(predicted.target, canvas)
    for one, other in body.edges:
        if one in truth and other in truth:
            cv2.line(canvas, truth[one], truth[other], EDGE, 1, cv2.LINE_AA)
    for name in truth.keys() & target.keys():
        cv2.line(canvas, truth[name], target[name], OFF, 1, cv2.LINE_AA)
    for place in truth.values():
        cv2.circle(canvas, place, 3, EDGE, 1, cv2.LINE_AA)
    for word, places in (("S1", _marks(predicted.source, canvas)), ("S2", target)):
        for place in places.values():
            draw_mark(canvas, Mark(place, hidden=False), word, 3)
    return canvas


def _marks(places: Mapping[str, Place], canvas: ImageArray) -> dict[str, tuple[int, int]]:
    """Return pixels of places in crop sides, as whole numbers; a place is at most some crops away."""
    return dict(_pixels(places, canvas.shape[0]))


def _pixels(places: Mapping[str, Place], side: int) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, (x, y) in places.items():
        yield name, (round(x * side - 0.5), round(y * side - 0.5))
