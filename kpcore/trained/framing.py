"""How a network wants its crops: from points that are known, from a box around an instance, or of a whole picture.

A data set's reader says for every instance where its crop lies. A new picture has no such line, so what the crops of
the training had in common is measured once and kept with the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kpcore.keypoints import KeypointSet
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, AnyArray, Float64Array

BOX_MARGIN = 1.25
"""Crop side over the longer side of a box, where nobody says otherwise: usual since Xiao et al., Simple Baselines for
Human Pose Estimation and Tracking (ECCV 2018)."""
FEWEST = 2
"""Labelled keypoints that a crop can be judged by."""


@dataclass(frozen=True)
class Crop:
    """A square of a picture.

    Args:
        x, y: its centre, source pixels.
        side: source pixels.
    """

    x: float
    y: float
    side: float


class Framing(BaseModel):
    """How a box becomes a crop.

    Args:
        box: crop side over the longer side of a box around an instance; the crop's centre is the box's.
        points: crop side over the longer side of the keypoints' own box, the median over the training's instances; None
            where that cannot be told (a single keypoint).
        shift: of the crop's centre from the middle of the keypoints' box, x and y in sides of the crop, medians.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: float = Field(default=BOX_MARGIN, gt=0, le=100)
    points: float | None = Field(default=None, gt=0, le=1000)
    shift: tuple[float, float] = (0.0, 0.0)

    def of_box(self, box: Sequence[float], margin: float | None = None) -> Crop:
        """Return the crop of a box (left, top, width, height), source pixels, as COCO counts them."""
        left, top, width, height = box
        return Crop(left + width / 2, top + height / 2, (margin or self.box) * max(width, height, 1.0))

    def of_points(self, points: Float64Array) -> Crop | None:
        """Return the crop of an instance whose keypoints (K, 2 or 3) are known; NaN ones do not count.

        None where fewer than two are known, or where they do not tell how large the instance is.
        """
        if self.points is None or (found := _box_of(points[:, :2])) is None:
            return None
        middle, longer = found
        side = self.points * longer
        return Crop(middle[0] + self.shift[0] * side, middle[1] + self.shift[1] * side, side)


def whole(width: int, height: int) -> Crop:
    """Return the crop that holds a whole picture."""
    return Crop((width - 1) / 2, (height - 1) / 2, float(max(width, height)))


def measured(samples: Sequence[Sample], keypoints: KeypointSet) -> Framing:
    """Return what the crops of these samples have in common, as seen from these keypoints.

    Samples in which all of them are labelled decide; where there are none, those with the most.
    """
    known = [(sample, _labelled(sample, keypoints)) for sample in samples]
    counts = [int(np.isfinite(points[:, 0]).sum()) for _, points in known]
    most = max(counts, default=0)
    if most < FEWEST:
        return Framing()
    best = (one for one, count in zip(known, counts, strict=True) if count == most)
    found = [seen for sample, points in best if (seen := _seen(sample, points)) is not None]
    if not found:
        return Framing()
    ratio, x, y = np.median(np.array(found), axis=0).tolist()
    return Framing(points=ratio, shift=(x, y))


def _seen(sample: Sample, points: Float64Array) -> tuple[float, float, float] | None:
    """Return crop side over keypoint box, and the centre's shift in crop sides."""
    found = _box_of(points)
    if found is None:
        return None
    middle, longer = found
    x, y = (np.asarray(sample.centre, np.float64) - middle) / sample.side
    return sample.side / longer, float(x), float(y)


def _labelled(sample: Sample, keypoints: KeypointSet) -> Float64Array:
    """Return the keypoints' x and y (K, 2), NaN where unlabelled."""
    places = list(keypoints.indices)
    labelled: AnyArray = sample.state[places] != UNLABELLED
    return np.where(labelled[:, None], sample.points[places, :2].astype(np.float64), np.nan)


def _box_of(points: Float64Array) -> tuple[Float64Array, float] | None:
    """Return the middle and the longer side of the box of points (K, 2); None where it has no size."""
    known = points[np.isfinite(points).all(1)]
    if len(known) < FEWEST:
        return None
    low, high = known.min(0), known.max(0)
    longer = float((high - low).max())
    return ((low + high) / 2, longer) if longer > 0 else None
