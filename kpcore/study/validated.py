"""What the curves of a split's validation are of: the keypoints averaged, and what the mean shape would score."""

from __future__ import annotations

import numpy as np

from kpcore.evaluation.averaged import averaged
from kpcore.evaluation.mean_shape import mean_shape, placed
from kpcore.interfaces import Metric
from kpcore.keypoints import KeypointSplit
from kpcore.records.results import DECIMALS, SplitInfo
from kpcore.samples import Instances
from kpcore.study.study import Study
from kpcore.study.workshop import spread
from kpcore.tensors import Float64Array


def validated(study: Study, split: KeypointSplit, info: SplitInfo) -> SplitInfo:
    """Return the split's record with what its validation is of; as it is where the metric cannot say.

    A metric that fails here fails in every job too, and there the job says so.
    """
    try:
        return info.model_copy(update=_about(study, split))
    except (Exception, SystemExit):
        return info


def _about(study: Study, split: KeypointSplit) -> dict[str, object]:
    data, metric = study.scored, study.validation
    left_out = set(data.left_out)
    training = [one for place, one in enumerate(data.train.samples) if place not in left_out]
    everybody = data.valid.samples
    people = Instances.of([everybody[place] for place in spread(range(len(everybody)), study.watch.people)])
    predicted = placed(mean_shape(training)[list(split.target.indices)], people)
    return {
        "averaged": averaged(metric, predicted, people, split.target, split.columns),
        # Where held-out training people are validated on, they are drawn later, and others than these.
        "validation_mean_shape": _score(metric, predicted, people, split)
        if study.config.training.select_on == "valid"
        else None,
    }


def _score(metric: Metric, predicted: Float64Array, people: Instances, split: KeypointSplit) -> float | None:
    """Return the average, rounded as every score; None where nothing was labelled."""
    found = metric.score(predicted, np.ones(predicted.shape[:2]), people, split.target, split.columns).average
    return round(float(found), DECIMALS) if np.isfinite(found) else None
