"""Distances between prediction and truth, relative to a length of each person."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kpcore.errors import KpError
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, Float64Array


def relative_distances(predicted: Float64Array, truth: Instances, lengths: Float64Array) -> Float64Array:
    """Return (N, K) distances in the image plane over each person's length.

    NaN where the keypoint is unlabelled, hidden keypoints count; infinite where it is labelled and the prediction is
    missing. Coordinates may be negative: labels above the frame count. A third dimension is left out.

    Args:
        predicted: (N, K, D) source pixels, NaN where missing.
        truth: N instances.
        lengths: (N,) source pixels.

    Raises:
        KpError: a person with labels has no positive length.
    """
    labelled = truth.state != UNLABELLED
    _check(lengths, labelled.any(1), truth)
    offsets = predicted[..., :2] - truth.points[..., :2]
    distances = np.hypot(offsets[..., 0], offsets[..., 1])
    with np.errstate(divide="ignore", invalid="ignore"):  # people without labels may lack a length
        relative = distances / lengths[:, None]
    missing = np.isnan(predicted[..., :2]).any(-1)
    return np.where(labelled, np.where(missing, np.inf, relative), np.nan)


def _check(lengths: Float64Array, scored: npt.NDArray[np.bool_], truth: Instances) -> None:
    bad = np.flatnonzero(scored & ~((lengths > 0) & np.isfinite(lengths)))
    if bad.size:
        first = bad[0]
        raise KpError(
            f"image {truth.image_ids[first]}, row {truth.rows[first]}: errors would be divided by {lengths[first]:g}"
            f" pixels ({bad.size} such people); mend the row's normaliser, or leave the person out"
        )
