"""What a network that never looked at an image would score: the mean shape of the people that are trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpcore.interfaces import Metric, Scores
from kpcore.keypoints import KeypointSplit
from kpcore.samples import Instances, Sample
from kpcore.tensors import UNLABELLED, Float64Array


def mean_shape(samples: Sequence[Sample]) -> Float64Array:
    """Return the mean place (K, D) of every keypoint in its crop: from the crop's centre, in crop sides.

    z is divided by the crop's side as x and y are. A keypoint that nobody has labelled is guessed at the centre.
    """
    people = Instances.of(samples)
    places = (people.points - _centres(people)) / people.side[:, None, None]
    labelled = people.state[..., None] != UNLABELLED
    counts = labelled.sum(axis=0)
    total = np.where(labelled, places, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, counts, out=np.zeros_like(total), where=counts > 0))


def _centres(people: Instances) -> Float64Array:
    """Return the crops' centres as (N, 1, D) points; their z is the root's, 0."""
    return np.pad(people.centre, ((0, 0), (0, people.points.shape[-1] - 2)))[:, None]


def score_mean_shape(
    training: Sequence[Sample], scored: Sequence[Sample], split: KeypointSplit, metric: Metric
) -> Scores:  # fmt: skip
    """Score the mean shape, put into every scored person's crop, as a prediction of the split's last step.

    Args:
        training: who the mean is of.
        scored: who it is put into.
        split: its last set and columns are scored.
        metric: the study's.
    """
    people = Instances.of(scored)
    predicted = placed(mean_shape(training)[list(split.target.indices)], people)
    return metric.score(predicted, None, people, split.target, split.columns)


def placed(shape: Float64Array, people: Instances) -> Float64Array:
    """Put a shape (K, D) in crop sides into everybody's crop: (N, K, D) source pixels."""
    return _centres(people) + shape * people.side[:, None, None]
