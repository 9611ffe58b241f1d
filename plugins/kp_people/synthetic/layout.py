"""Newell's MPII layout: ``annot/*.h5`` with 1-based pixels, centre and scale already adjusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kp_people.synthetic.scene import CROP_HEADS, Person
from kpcore.placing import placed_hdf5
from kpcore.tensors import UNLABELLED, VISIBLE, Float64Array

HEAD_SHARE = 0.6
"""PCKh's normaliser in head-box diagonals."""


@dataclass(frozen=True, eq=False)
class Row:
    """One annotated person: image name, place within the image, and what is true."""

    image: str
    place: int
    person: Person


def head_diagonal(person: Person) -> float:
    """Return the head box's diagonal, px."""
    left, top, right, bottom = person.head
    return float(np.hypot(right - left, bottom - top))


def crop_centre(person: Person) -> Float64Array:
    """Return the middle of the body as MPII's annotators would mark it, (2,) px: that of the joints' box."""
    points = person.points[:, :2]
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)


def write_annotation(path: Path, rows: Sequence[Row]) -> None:
    """Write one part: a missing joint is (0, 0), pixels are 1-based, scale is the crop's side over 200 px."""
    labelled = np.array([row.person.state != UNLABELLED for row in rows])
    points = np.array([row.person.points[:, :2] for row in rows]) + 1
    diagonals = np.array([head_diagonal(row.person) for row in rows])
    with placed_hdf5(path) as file:
        file["imgname"] = np.array([row.image.encode() for row in rows])  # fixed length, as theirs
        file["part"] = np.where(labelled[..., None], points, 0.0)
        file["center"] = np.array([crop_centre(row.person) for row in rows]) + 1
        file["scale"] = CROP_HEADS * diagonals / 200
        file["visible"] = np.array([row.person.state == VISIBLE for row in rows], np.float64)
        file["normalize"] = HEAD_SHARE * diagonals
        file["index"] = np.arange(len(rows), dtype=np.float64)
        file["person"] = np.array([row.place for row in rows], np.float64)


def write_truth(path: Path, parts: Mapping[str, Sequence[Person]]) -> None:
    """Write 3D truth a part: ``points`` (N, 16, 3) 0-based px, z from the pelvis; ``mm_per_px``; ``rotation``."""
    with placed_hdf5(path) as file:
        for part, people in parts.items():
            group = file.create_group(part)
            group["points"] = np.array([person.points for person in people])
            group["state"] = np.array([person.state for person in people])
            group["mm_per_px"] = np.array([person.mm_per_px for person in people])
            group["rotation"] = np.array([person.rotation for person in people])
