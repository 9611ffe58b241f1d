"""The faces of one part as columns, and the samples that are made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kp_faces.skeletons import CORNERS
from kpcore.errors import KpError
from kpcore.interfaces import Finding
from kpcore.keypoints import Skeleton
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, AnyArray, Float64Array, ImageArray, StateArray

FAR = 1e6
"""Pixels: no picture is as large, so a coordinate beyond it is damage."""
LEAST_SIDE = 8.0
"""Pixels: crops are at least this wide, also around a single landmark."""
REACH = 1.05
"""A crop reaches at least this much farther than its farthest landmark."""
SHIFTED = "coordinates are 1-based in the file and were shifted to 0-based, once"
Level = Literal["note", "warning"]
Length = Literal["inter_ocular", "box"]
"""What errors are divided by: the distance of the outer eye corners, or the root of the area of the face's box."""


@dataclass(frozen=True, eq=False)
class Table:
    """N faces, pixels, 0-based.

    Args:
        images: N paths, or pixels that lie in the annotation file and are read when they are asked for.
        image_ids: N names; faces of one image share one.
        points: (N, K, 2); anything where unlabelled.
        state: (N, K).
        boxes: (N, 4) left, top, right, bottom as annotated; NaN where there is none.
        rows: (N,) rows in the annotation, 0-based.
        findings: what the reader did, and what it left out.
    """

    images: Sequence[Path | ImageArray]
    image_ids: tuple[str, ...]
    points: Float64Array
    state: StateArray
    boxes: Float64Array
    rows: AnyArray
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.image_ids)

    def where(self, keep: AnyArray, *findings: Finding) -> Table:
        """Return the faces whose entry of ``keep`` (N,) is true, with these findings added."""
        places = np.flatnonzero(keep).tolist()
        return Table(
            [self.images[place] for place in places], tuple(self.image_ids[place] for place in places),
            self.points[places], self.state[places], self.boxes[places], self.rows[places],
            (*self.findings, *findings),
        )  # fmt: skip

    def noting(self, *findings: Finding) -> Table:
        """Return the same faces with these findings added."""
        return dataclasses.replace(self, findings=(*self.findings, *findings))

    def from_origin(self, origin: int) -> Table:
        """Return the same faces, 0-based, where the file calls the first pixel's centre ``origin``, and say so."""
        if not origin:
            return self
        shifted = dataclasses.replace(self, points=self.points - origin, boxes=self.boxes - origin)
        return shifted.noting(Finding("note", SHIFTED, len(self)))

    def labelled_only(self) -> Table:
        """Leave out faces without a labelled landmark."""
        keep = np.asarray((self.state != UNLABELLED).any(1))
        if keep.all():
            return self
        return self.where(keep, *self.counted("note", "faces without a labelled landmark left out", ~keep))

    def without_images(self, held: Collection[str]) -> Table:
        """Leave out faces on images that another part is scored on."""
        keep = np.array([name not in held for name in self.image_ids], bool)
        return self.where(keep, *self.counted("note", "faces on images of part 'valid' left out", ~keep))

    def counted(self, level: Level, what: str, hits: AnyArray) -> list[Finding]:
        """Return one finding over the faces whose entry of ``hits`` (N,) is true, naming the first; or none."""
        places = np.flatnonzero(hits)
        if not len(places):
            return []
        first = f"{self.image_ids[places[0]]}, row {self.rows[places[0]]}"
        return [Finding(level, f"{what} (first: {first})", len(places))]


def from_rows(
    images: Sequence[Path | ImageArray], image_ids: Sequence[str], points: Float64Array, *,
    state: StateArray, rows: Sequence[int], boxes: Float64Array | None = None,
) -> Table:  # fmt: skip
    """Return a table; without ``boxes`` no face has an annotated one."""
    count = len(image_ids)
    return Table(
        images, tuple(image_ids), points, state, np.full((count, 4), np.nan) if boxes is None else boxes,
        np.array(rows, np.int64),
    )  # fmt: skip


def check_numbers(points: Float64Array, state: StateArray, where: str) -> None:
    """Refuse labelled coordinates that can be no pixel; ``points`` (..., 2), ``state`` (...,).

    Raises:
        KpError: with the place.
    """
    known: AnyArray = state != UNLABELLED
    wrong: AnyArray = known & ~(np.abs(points) < FAR).all(-1)  # NaN compares as false
    if wrong.any():
        value = points[wrong][0].tolist()
        raise KpError(f"{where}: a landmark at {value} can be no pixel of a picture; mend the annotation")


def point_boxes(points: Float64Array, state: StateArray) -> Float64Array:
    """Return (N, 4) left, top, right, bottom of the labelled landmarks; there must be some in every row."""
    known = (state != UNLABELLED)[..., None]
    low = np.where(known, points, np.inf).min(1)
    high = np.where(known, points, -np.inf).max(1)
    return np.concatenate([low, high], axis=1)


def root_area(boxes: Float64Array) -> Float64Array:
    """Return (N,) square roots of the boxes' areas, pixels; at least 1."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.maximum(np.sqrt(np.clip(width, 0, None) * np.clip(height, 0, None)), 1.0)


def face_boxes(table: Table) -> Float64Array:
    """Return (N, 4): the annotated box, or that of the labelled landmarks where there is none."""
    positive = np.asarray((table.boxes[:, 2:] > table.boxes[:, :2]).all(1))
    drawn = positive & np.asarray((np.abs(table.boxes) < FAR).all(1))
    return np.where(drawn[:, None], table.boxes, point_boxes(table.points, table.state))


def crops(table: Table, factor: float) -> tuple[Float64Array, Float64Array]:
    """Return centres (N, 2) and sides (N,): the face's box, ``factor`` times its longer side, as wide as is needed."""
    boxes = face_boxes(table)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    longer = (boxes[:, 2:] - boxes[:, :2]).max(1)
    away = np.where((table.state != UNLABELLED)[..., None], np.abs(table.points - centres[:, None]), 0.0).max((1, 2))
    return centres, np.maximum(np.maximum(factor * longer, 2 * REACH * away), LEAST_SIDE)


def lengths(table: Table, skeleton: Skeleton, length: Length) -> tuple[Float64Array, AnyArray]:
    """Return normalisers (N,), and where (N,) the root of the box's area stands in for what is not labelled."""
    box = root_area(face_boxes(table))
    if length == "box" or not set(CORNERS) <= set(skeleton.names):
        return box, np.zeros(len(table), bool)
    corners = [skeleton.index(name) for name in CORNERS]
    with np.errstate(invalid="ignore"):
        apart = np.linalg.norm(table.points[:, corners[0]] - table.points[:, corners[1]], axis=-1)
    known = (table.state[:, corners] != UNLABELLED).all(1) & (apart > 0)
    return np.where(known, apart, box), ~known


def samples_of(table: Table, skeleton: Skeleton, factor: float, length: Length) -> tuple[Sample, ...]:
    """Return the faces as samples; see :func:`crops` and :func:`lengths`."""
    centres, sides = crops(table, factor)
    normalisers, _ = lengths(table, skeleton, length)
    points = np.where((table.state != UNLABELLED)[..., None], table.points, np.nan).astype(np.float32)
    return tuple(
        Sample(
            image=table.images[i], points=points[i], state=table.state[i], centre=centres[i].astype(np.float32),
            side=float(sides[i]), normaliser=float(normalisers[i]), image_id=table.image_ids[i],
            person_id=str(table.rows[i]), row=int(table.rows[i]),
        )
        for i in range(len(table))
    )  # fmt: skip
