"""A part of a data set in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpcore.keypoints import Skeleton
from kpcore.samples import Instances, Sample
from kpcore.tensors import UNLABELLED, VISIBLE, Float64Array

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Summary:
    """One part.

    Args:
        part: its name.
        people: how many.
        images: how many.
        labelled: keypoint -> share of people in whom it is labelled, in [0, 1].
        visible: keypoint -> share of people in whom it is labelled and seen.
        side: crop side at :data:`QUANTILES`, source pixels.
        normaliser: the length that errors are divided by, at the same.
    """

    part: str
    people: int
    images: int
    labelled: dict[str, float]
    visible: dict[str, float]
    side: tuple[float, ...]
    normaliser: tuple[float, ...]


def summarise(part: str, samples: Sequence[Sample], skeleton: Skeleton) -> Summary:
    """Return the samples of a part, whose points are those of the skeleton, in numbers."""
    if not samples:
        return Summary(part, 0, 0, {}, {}, (), ())
    people = Instances.of(samples)
    names = skeleton.names
    return Summary(
        part=part,
        people=len(people),
        images=len(set(people.image_ids)),
        labelled=dict(zip(names, (people.state != UNLABELLED).mean(0).tolist(), strict=True)),
        visible=dict(zip(names, (people.state == VISIBLE).mean(0).tolist(), strict=True)),
        side=_quantiles(people.side),
        normaliser=_quantiles(people.normaliser),
    )


def _quantiles(values: Float64Array) -> tuple[float, ...]:
    known = values[np.isfinite(values)]
    return tuple(np.quantile(known, QUANTILES).tolist()) if len(known) else ()
