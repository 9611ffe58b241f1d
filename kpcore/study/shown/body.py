"""The body, face or animal at hand: its keypoints, edges and mean shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpcore.evaluation.mean_shape import mean_shape
from kpcore.keypoints import Skeleton
from kpcore.records.shown import Body
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED


def body(skeleton: Skeleton, training: Sequence[Sample]) -> Body:
    """Return a data set's keypoints and the mean shape of these people."""
    shape = mean_shape(training)[:, :2] + 0.5
    labelled = np.any([sample.state != UNLABELLED for sample in training], axis=0)
    return Body(
        keypoints=skeleton.names,
        groups=tuple(keypoint.group for keypoint in skeleton.keypoints),
        edges=skeleton.edges,
        shape=tuple(
            (float(x), float(y)) if known else None for (x, y), known in zip(shape.tolist(), labelled, strict=True)
        ),
    )
