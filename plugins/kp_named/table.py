"""What both forms of the annotation come to: keypoints by name, and rows of people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kpcore.errors import KpError
from kpcore.reading import cells
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE, FloatArray, StateArray

LARGEST = 1e6
"""Pixels beyond which a number is no place in an image."""
STATES = (UNLABELLED, HIDDEN, VISIBLE)


@dataclass(frozen=True)
class Point:
    """A keypoint of one person: pixels as the file has them, and its state."""

    place: tuple[float, ...]
    state: int


@dataclass(frozen=True)
class Row:
    """One person.

    Args:
        where: "line 3" or "samples[2]", for messages.
        image: path below the folder of images.
        part: name of its part; "" where the file has none.
        person: names the person within the image.
        box: left, top, width, height; None where the file has none.
        points: by name; who is not there is not labelled.
    """

    where: str
    image: str
    part: str
    person: str
    box: tuple[float, float, float, float] | None
    points: dict[str, Point]


@dataclass(frozen=True)
class Table:
    """An annotation file.

    Args:
        names: keypoints, in the file's order.
        rows: people, in the file's order.
        dims: coordinates of a point.
        mirrors: keypoint -> partner, as far as the file says; None: read them off the names.
        groups: keypoint -> group, as far as the file says.
        edges: pairs of keypoints.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    dims: int
    mirrors: dict[str, str] | None = None
    groups: dict[str, str] = field(default_factory=dict)
    edges: tuple[tuple[str, str], ...] = ()


def number(value: object, where: str) -> float:
    """Return a finite number of sensible size; raises KpError with the place."""
    try:
        found = _number(value, where)
    except (KpError, OverflowError):
        found = math.nan
    if not math.isfinite(found) or abs(found) > LARGEST:
        shown = repr(value)[:40]
        raise KpError(f"{where}: {shown} is no coordinate; write a number of pixels, or leave it empty")
    return found


def _number(value: object, where: str) -> float:
    if isinstance(value, str):
        return cells.number(value, where)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def missing(value: object) -> bool:
    """Whether a coordinate says that there is none: null, NaN, or a text that says so."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and cells.is_missing(value))


def state(value: object, where: str) -> int:
    """Return 0, 1 or 2; raises KpError with the place."""
    found = number(value, where)
    if found not in STATES:
        raise KpError(f"{where}: {value!r} is no visibility; it is 0 (not labelled), 1 (hidden) or 2 (visible)")
    return int(found)


def keypoint_of(name: str, where: str) -> str:
    """Return a keypoint's name; raises KpError where it cannot be shown on one line."""
    if not name.isprintable() or len(name) > 100:
        raise KpError(f"{where}: the name {name[:40]!a} is unprintable or longer than 100 characters; choose another")
    return name


def box_of(values: Sequence[float], where: str) -> tuple[float, float, float, float]:
    """Return left, top, width, height; raises KpError where it has no area."""
    left, top, width, height = values
    if width <= 0 or height <= 0:
        raise KpError(f"{where}: the box is {width:g} x {height:g} pixels; both must be above 0")
    return left, top, width, height


def arrays(row: Row, names: Sequence[str], dims: int, origin: int) -> tuple[FloatArray, StateArray]:
    """Return points (K, D), 0-based, NaN where unlabelled, and states (K,)."""
    points = np.full((len(names), dims), np.nan, np.float32)
    states = np.full(len(names), UNLABELLED, np.uint8)
    for place, name in enumerate(names):
        point = row.points.get(name)
        if point is not None and point.state != UNLABELLED:
            points[place] = point.place
            points[place, :2] -= origin
            states[place] = point.state
    return points, states


def check_rows(table: Table, path: object) -> Table:
    """Return the table; raises KpError where nobody is in it, or one person is in it twice."""
    if not table.rows:
        raise KpError(f"{path}: no rows; write one a person")
    seen: dict[tuple[str, str], str] = {}
    for row in table.rows:
        key = (row.image, row.person)
        if key in seen:
            raise KpError(
                f"{path}, {row.where}: image '{row.image}', person '{row.person}' stands in {seen[key]} already; give"
                " the people of an image names of their own (person)"
            )
        seen[key] = row.where
    parted = [row for row in table.rows if row.part]
    if parted and len(parted) < len(table.rows):
        bare = next(row for row in table.rows if not row.part)
        raise KpError(f"{path}, {bare.where}: no part, where other rows have one; give every row a part, or none")
    _check_parts(parted, path)
    return table


def _check_parts(rows: Sequence[Row], path: object) -> None:
    """Refuse an image in two parts: it would be trained on and scored."""
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(row.image, row)
        if other.part != row.part:
            raise KpError(
                f"{path}, {row.where}: image '{row.image}' is in part {row.part[:40]!a}, but in {other.part[:40]!a} in"
                f" {other.where}; parts share no image: give all of its people one part"
            )
