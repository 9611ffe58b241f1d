"""People of an annotation file as samples, with the crops around them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kp_coco.columns import Table
from kpcore.reading.paths import Images
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, Float64Array

CROP = 1.25
"""Crop side over the larger side of the box, as is usual for COCO."""
SMALLEST = 16.0
"""Pixels: no crop is smaller."""
MARGIN = 2.0
"""Pixels that a crop reaches beyond a labelled keypoint outside the enlarged box, both sides together."""


def _centres(table: Table) -> Float64Array:
    return table.boxes[:, :2] + table.boxes[:, 2:] / 2


def crops(table: Table) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
    """Return (N,) crop sides, and where (N,) a labelled keypoint widened them."""
    offsets = np.abs(table.points - _centres(table)[:, None]).max(-1)
    furthest = np.where(table.state != UNLABELLED, offsets, 0.0).max(1, initial=0.0)
    usual = np.maximum(CROP * table.boxes[:, 2:].max(1, initial=0.0), SMALLEST)
    wide = 2 * furthest > usual
    return np.where(wide, 2 * furthest + MARGIN, usual), wide


def samples_of(table: Table, images: Images) -> tuple[Sample, ...]:
    """Return the people as samples; ``images`` has their files."""
    points = np.where((table.state != UNLABELLED)[..., None], table.points, np.nan).astype(np.float32)
    centres, (sides, _) = _centres(table).astype(np.float32), crops(table)
    return tuple(
        Sample(
            image=images.path(table.images[i]), points=points[i], state=table.state[i], centre=centres[i],
            side=float(sides[i]), normaliser=float(np.sqrt(table.areas[i])), image_id=table.images[i],
            person_id=table.person_ids[i], row=int(table.rows[i]), stated_size=table.sizes[i],
        )
        for i in range(len(table.images))
    )  # fmt: skip
