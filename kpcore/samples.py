"""One annotated instance, and the arrays that a metric needs of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from kpcore.tensors import UNLABELLED, AnyArray, Float64Array, FloatArray, ImageArray, StateArray

BadImages = Literal["fail", "leave_out"]
"""What is done with samples whose picture is missing or cannot be decoded."""
Orientation = Literal["auto", "stored", "turned"]
"""Whether an image's pixels are taken as they are stored, turned as its EXIF orientation says, or what fits."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One instance of one image.

    Args:
        image: path of the image, or its pixels, (H, W, 3) uint8 RGB.
        points: (K, D) float32, in the skeleton's order; pixels, 0-based, pixel centres at integers. D = 3 adds z: depth
            relative to the root, in the same pixels as x and y at the root's distance. NaN where unlabelled.
        state: (K,) uint8 of :data:`~kpcore.tensors.UNLABELLED`, ``HIDDEN``, ``VISIBLE``.
        centre: (2,) crop centre, pixels.
        side: crop side, pixels; any data set's "scale" is turned into it by its reader.
        normaliser: length that errors are divided by, pixels (PCKh: 0.6 x the head box's diagonal).
        image_id: names the image; people of one image share it.
        person_id: names the person within the image.
        row: row in the annotation file, 0-based.
        mm_per_px: for 3D, millimetres per pixel at the root's distance (weak perspective).
        stated_size: (width, height) that the annotation gives for its picture, pixels; None where it gives none.
        orientation: whether the picture is turned as its EXIF orientation says; a reader whose format tells says so,
            and the core's option of that name comes before it.
    """

    image: Path | ImageArray
    points: FloatArray
    state: StateArray
    centre: FloatArray
    side: float
    normaliser: float
    image_id: str
    person_id: str
    row: int
    mm_per_px: float | None = None
    stated_size: tuple[int, int] | None = None
    orientation: Orientation = "auto"


@dataclass(frozen=True, eq=False)
class Instances:
    """N annotated instances (people, faces, mice) as arrays; ``len(instances)`` is N.

    Fields are those of :class:`Sample`, one entry an instance.
    """

    points: Float64Array  # (N, K, D), source pixels, NaN where unlabelled
    state: StateArray  # (N, K)
    normaliser: Float64Array  # (N,), source pixels
    side: Float64Array  # (N,), source pixels
    centre: Float64Array  # (N, 2), source pixels
    image_ids: tuple[str, ...]  # N
    person_ids: tuple[str, ...]  # N
    rows: AnyArray  # (N,)
    mm_per_px: Float64Array  # (N,), NaN where unknown

    def __len__(self) -> int:
        return len(self.image_ids)

    def select(self, columns: Sequence[int]) -> Instances:
        """Return the same instances with only these keypoint columns."""
        chosen = list(columns)
        return Instances(
            self.points[:, chosen], self.state[:, chosen], self.normaliser, self.side, self.centre, self.image_ids,
            self.person_ids, self.rows, self.mm_per_px,
        )  # fmt: skip

    def take(self, places: Sequence[int]) -> Instances:
        """Return only the instances at these places, in this order."""
        chosen = list(places)
        return Instances(
            self.points[chosen], self.state[chosen], self.normaliser[chosen], self.side[chosen], self.centre[chosen],
            tuple(self.image_ids[place] for place in chosen), tuple(self.person_ids[place] for place in chosen),
            self.rows[chosen], self.mm_per_px[chosen],
        )  # fmt: skip

    def without(self, columns: Sequence[int]) -> Instances:
        """Return the same instances with these keypoints unlabelled."""
        points, state = self.points.copy(), self.state.copy()
        points[:, list(columns)], state[:, list(columns)] = np.nan, UNLABELLED
        return replace(self, points=points, state=state)

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Instances:
        """Stack samples; raises ValueError where there are none."""
        return cls(
            points=np.stack([sample.points for sample in samples]).astype(np.float64),
            state=np.stack([sample.state for sample in samples]),
            normaliser=np.array([sample.normaliser for sample in samples], np.float64),
            side=np.array([sample.side for sample in samples], np.float64),
            centre=np.stack([sample.centre for sample in samples]).astype(np.float64),
            image_ids=tuple(sample.image_id for sample in samples),
            person_ids=tuple(sample.person_id for sample in samples),
            rows=np.array([sample.row for sample in samples]),
            mm_per_px=np.array(
                [np.nan if sample.mm_per_px is None else sample.mm_per_px for sample in samples], np.float64
            ),
        )
