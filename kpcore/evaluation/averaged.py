"""Which keypoints a metric's average is of, found by asking the metric itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpcore.interfaces import Metric
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import Float64Array

LOW, HIGH = 0.0, 1000.0
"""Values of a keypoint between which every average moves that counts it: shares, percentages and errors alike."""


def averaged(
    metric: Metric, predicted: Float64Array, people: Instances, keypoints: KeypointSet, columns: Sequence[Column]
) -> tuple[str, ...]:
    """Return the keypoints that the average follows: not those that nobody has, or that the metric leaves out.

    Args:
        metric: whose average.
        predicted: (N, K, D) source pixels.
        people: N, with all keypoints of the skeleton.
        keypoints: the set along K.
        columns: of the split.
    """
    values = metric.values(predicted, people, keypoints)

    def average(place: int, value: float) -> float:
        changed = values.copy()
        changed[~np.isnan(values[:, place]), place] = value
        return metric.reduce(changed, people, keypoints, columns).average

    # A keypoint that nobody has stays NaN, and so does an average of such ones alone; NaN follows nothing.
    return tuple(
        name for place, name in enumerate(keypoints.names) if _differ(average(place, LOW), average(place, HIGH))
    )


def _differ(low: float, high: float) -> bool:
    return not np.isclose(low, high, equal_nan=True)
