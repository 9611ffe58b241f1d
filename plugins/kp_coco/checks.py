"""Facts that a file states twice, compared: area and box, box and keypoints, keypoints and their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from kp_coco.crops import CROP
from kp_coco.rows import BOX_TO_AREA, Person
from kpcore.interfaces import Finding
from kpcore.tensors import UNLABELLED, Float64Array

LEAST, MOST = 0.05, 1.1
"""Area over the box's area that an outline can have: thin animals and people behind others have little, none has more
than its box. In a few dozen of COCO's images it is 0.16 to 0.95."""
SLACK = 2.0
"""Pixels by which boxes are rounded, or keypoints lie beside them."""
RARE = 0.01
"""Share of people below which areas are a note: among tens of thousands some are of slivers."""
WHOLE = 0.95
"""Share of people of whom something must hold to be true of the file."""
BEYOND = 0.25
"""Share of boxes that reach beyond the picture where they are left, top, right, bottom: every one whose centre is right
of the picture's or below it, but for a tenth."""

Level = Literal["note", "warning", "error"]
Mask = npt.NDArray[np.bool_]


def comparisons(people: Sequence[Person]) -> tuple[Finding, ...]:
    """Return what people's numbers contradict, one finding a kind."""
    if not people:
        return ()
    number = _numbers(people)
    corners = _corners(people)
    if corners:  # what follows is of boxes, and would only say it again
        return (*number, *corners)
    return (*number, *_outside(people), *_areas(people))


def _numbers(people: Sequence[Person]) -> list[Finding]:
    labelled = [int((person.state != UNLABELLED).sum()) for person in people]
    hits = [one.counted is not None and one.counted != count for one, count in zip(people, labelled, strict=True)]
    first = next((place for place, hit in enumerate(hits) if hit), 0)
    what = f"num_keypoints is not the number of labelled keypoints ({people[first].counted}, {labelled[first]} labelled"
    return _found("warning", what, people, np.array(hits))


def _found(level: Level, what: str, people: Sequence[Person], hits: Mask) -> list[Finding]:
    """Return one finding over people where ``hits`` (N,) is true; ``what`` ends within a bracket."""
    places = np.flatnonzero(hits)
    if not places.size:
        return []
    return [Finding(level, f"{what}; first: {people[places[0]].place})", len(places))]


def _outside(people: Sequence[Person]) -> list[Finding]:
    """Boxes that hold none of their keypoints, also if they are made as large as the crop."""
    boxes = np.stack([person.box for person in people])
    margin = (CROP - 1) / 2 * boxes[:, 2:] + SLACK
    low, high = boxes[:, :2] - margin, boxes[:, :2] + boxes[:, 2:] + margin
    hits = np.array([one.has_box for one in people]) & ~_within(people, low, high).any(1)
    return _found(
        "warning", f"box with every labelled keypoint outside {CROP} x its size (of another one", people, hits
    )


def _within(people: Sequence[Person], low: Float64Array, high: Float64Array) -> Mask:
    """Return (N, K) which labelled keypoints lie between two corners (N, 2)."""
    points = np.stack([person.points for person in people])
    with np.errstate(invalid="ignore"):  # unlabelled ones may be no number
        inside = ((points >= low[:, None]) & (points <= high[:, None])).all(-1)
    return np.asarray(inside & _labelled(people))


def _labelled(people: Sequence[Person]) -> Mask:
    return np.asarray(np.stack([person.state for person in people]) != UNLABELLED)


def _corners(people: Sequence[Person]) -> list[Finding]:
    """Boxes that are left, top, right, bottom: as such they hold the keypoints and lie within the pictures."""
    stated = [person for person in people if person.has_box]
    if not stated:
        return []
    boxes = np.stack([person.box for person in stated])
    rising: Mask = np.asarray((boxes[:, 2:] > boxes[:, :2]).all(1))
    held = _within(stated, boxes[:, :2] - SLACK, boxes[:, 2:] + SLACK).sum(1) == _labelled(stated).sum(1)
    shown = _shown(stated, boxes) if np.mean(rising & held) >= WHOLE else None
    if not shown:
        return []
    first = ", ".join(f"{value:g}" for value in boxes[0])
    what = f"boxes are left, top, right, bottom; they must be left, top, width, height: write them so ({first}"
    return _found(shown, what, stated, rising)


def _shown(people: Sequence[Person], boxes: Float64Array) -> Level | None:
    """Return how sure it is that boxes which can be left, top, right, bottom are: "error", "warning" or None.

    Sure where boxes read as left, top, width, height reach beyond the pictures by a tenth, and read as corners do not.
    Where no size is stated, boxes that begin well away from the picture's edge tell it, less surely.
    """
    sizes = np.array([person.picture.size or (np.nan, np.nan) for person in people], np.float64)
    known: Mask = np.asarray(~np.isnan(sizes).any(1))
    if not known.any():
        return "warning" if np.mean((boxes[:, :2] > 0.25 * boxes[:, 2:]).any(1)) >= 0.5 else None
    with np.errstate(invalid="ignore"):
        beyond: Mask = np.asarray((boxes[:, :2] + boxes[:, 2:] > 1.1 * sizes + SLACK).any(1))
        within: Mask = np.asarray((boxes[:, 2:] <= sizes + SLACK).all(1))
    return "error" if np.mean(beyond[known]) >= BEYOND and np.mean(within[known]) >= WHOLE else None


def _areas(people: Sequence[Person]) -> list[Finding]:
    boxes = np.stack([person.box for person in people])
    areas = np.array([person.area for person in people])
    has_area, has_box = (np.array([getattr(one, name) for one in people]) for name in ("has_area", "has_box"))
    high = MOST * (boxes[:, 2] + SLACK) * (boxes[:, 3] + SLACK)
    whole = boxes[:, 2] * boxes[:, 3]
    hits = has_area & ((areas < LEAST * whole) | (has_box & (areas > high)))
    found = _misfits(people, hits, areas, boxes)
    alike = has_area & has_box & (np.abs(areas - whole) <= 0.01 * whole)
    if not found and np.mean(alike) >= WHOLE:
        what = f"areas are the boxes' own (no outline drawn): OKS forgives more than with COCO's, {BOX_TO_AREA} of it"
        found = _found("note", f"{what} on the whole (width x height", people, alike)
    return found


def _misfits(people: Sequence[Person], hits: Mask, areas: Float64Array, boxes: Float64Array) -> list[Finding]:
    if not hits.any():
        return []
    first = int(np.flatnonzero(hits)[0])
    level: Level = "warning" if np.mean(hits) >= RARE else "note"
    box = f"{boxes[first, 2]:g} x {boxes[first, 3]:g}"
    what = (
        f"areas do not fit their boxes, and OKS is scaled by them: mend them, or set 0 for {BOX_TO_AREA} x the box"
        f" (under {LEAST} or over {MOST} of it: {areas[first]:g} for {box}"
    )
    return _found(level, what, people, hits)
