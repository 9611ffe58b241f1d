"""How far predictions are off, all thresholds at once: the share of points within each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpcore.evaluation.mean_shape import mean_shape, placed
from kpcore.evaluation.score import Scored
from kpcore.interfaces import Metric
from kpcore.records.shown import Thresholds, Within
from kpcore.samples import Sample
from kpcore.study.shown.chosen import Shots
from kpcore.tensors import Float64Array

POINTS = 61
"""Thresholds, from 0 on."""
COVERED = 0.97
"""Share of the points of the best training that the last threshold has: further out there is nothing to see."""
ROOM = 1.05


def thresholds(shots: Shots, training: Sequence[Sample]) -> Thresholds | None:
    """Return the shares of points within thresholds of the metric's values; None where no value is known.

    Args:
        shots: of the split.
        training: people whose mean shape is shown beside.
    """
    first = shots.first
    rising = more_is_better(first)
    every = [known(shot.scored.values) for shot in shots.every]
    if not any(values.size for values in every):
        return None
    at = _thresholds(every, rising=rising)
    predicted = placed(mean_shape(training)[list(first.keypoints.indices)], first.truth)
    return Thresholds(
        rising=rising,
        thresholds=tuple(at.tolist()),
        modes=tuple(
            Within(mode=shot.mode, seed=shot.seed, shares=_shares(values, at, rising=rising))
            for shot, values in zip(shots.every, every, strict=True)
            if values.size
        ),
        mean_shape=_shape_shares(first.metric, first, predicted, at, rising=rising),
    )


def more_is_better(scored: Scored) -> bool:
    """Whether a point's value is a similarity: asked of the metric, with the truth as prediction."""
    points = scored.truth.points[:, list(scored.keypoints.indices)]
    perfect = known(scored.metric.measured(points, scored.truth, scored.keypoints))
    return bool(perfect.size) and float(np.median(perfect)) > float(np.median(known(scored.values)))


def known(values: Float64Array) -> Float64Array:
    """Return the values (n,) that exist; an infinite one (no prediction) does."""
    return values[~np.isnan(values)]


def _thresholds(every: Sequence[Float64Array], *, rising: bool) -> Float64Array:
    """Return evenly spaced thresholds from 0 to where nearly all points of the best training are."""
    finite = [values[np.isfinite(values)] for values in every]
    if rising:
        return np.linspace(0.0, max((float(values.max()) for values in finite if values.size), default=1.0), POINTS)
    ends = [float(np.quantile(values, COVERED)) for values in finite if values.size]
    return np.linspace(0.0, ROOM * min(ends, default=1.0) or 1.0, POINTS)


def _shares(values: Float64Array, at: Float64Array, *, rising: bool) -> tuple[float, ...]:
    ordered = np.sort(values)
    if rising:
        return tuple((1 - np.searchsorted(ordered, at, side="left") / len(ordered)).tolist())
    return tuple((np.searchsorted(ordered, at, side="right") / len(ordered)).tolist())


def _shape_shares(
    metric: Metric, scored: Scored, predicted: Float64Array, at: Float64Array, *, rising: bool
) -> tuple[float, ...]:
    values = known(metric.measured(predicted, scored.truth, scored.keypoints))
    return _shares(values, at, rising=rising) if values.size else ()
