"""NME: the mean error of a face's landmarks over a length of the face, and two statistics of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from kp_nme.lengths import LENGTHS, MEASURED, WORDS, Normaliser
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Metric, Scores, Terms
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, Float64Array

Report = Literal["nme", "auc", "failure"]


class Nme(Metric):
    """Normalised mean error of landmarks, in percent of a length of the face.

    A face's error in a column is the mean over those of the column's keypoints that are labelled, as 300-W has it
    (Sagonas et al., Image and Vision Computing 2016): first the mean over a face's points, then over faces. The average
    is the same over all scored keypoints at once, without those of columns that stay out of it; it is not the mean of
    the columns. Hidden keypoints count.

    ========== ================================================================== ==============
    report     what a column holds, in percent                                    better is
    ========== ================================================================== ==============
    nme        mean of the faces' errors                                          lower
    auc        area under the share of faces with an error up to x, for x from 0  higher
               to the threshold, over the threshold; exact, without bins
    failure    share of faces whose error is above the threshold                  lower
    ========== ================================================================== ==============

    A face without a positive length (an eye corner is not labelled) is left out. A labelled point without a prediction
    is infinitely far: its face fails and adds no area, but a mean does not exist.

    Args:
        normaliser: the length; see :mod:`kp_nme.lengths`. Inter-pupil errors are about 1.4 times inter-ocular ones.
        report: as above.
        threshold: share of the length, for ``auc`` and ``failure``.
    """

    class Config(ComponentConfig):
        """Options of a metric's table with ``name = "nme"``."""

        normaliser: Normaliser = Field(
            description="inter_ocular: distance of outer eye corners; inter_pupil: of pupils or eye centres; box: root"
            " of the area of the labelled points' box; sample: the data set's own"
        )
        report: Report = Field(
            default="nme", description="the mean error, the area under its cumulative curve, or the share of failures"
        )
        threshold: float = Field(
            default=0.08, gt=0, description="share of the length at which the curve ends and above which a face fails"
        )

    def __init__(self, *, normaliser: Normaliser, report: Report, threshold: float) -> None:
        self._normaliser = normaliser
        self._report = report
        self._threshold = threshold

    @property
    def convention(self) -> str:
        """As in "nme-inter_ocular (percent)" or "nme-box AUC@0.08 (percent)"."""
        limit = f"@{self._threshold:g}"
        what = {"nme": "", "auc": f" AUC{limit}", "failure": f" failure rate{limit}"}[self._report]
        return f"nme-{self._normaliser}{what} (percent)"

    @property
    def average_name(self) -> str:
        """The figure over all scored points at once; it is no mean of the columns."""
        return {"nme": "NME", "auc": "AUC", "failure": "Failures"}[self._report]

    @property
    def value_unit(self) -> str:
        """Of errors: not percent, which the scores are in."""
        return WORDS[self._normaliser]

    @property
    def higher_is_better(self) -> bool:
        """Only of the area."""
        return self._report == "auc"

    def reads(self, keypoints: KeypointSet) -> Sequence[str]:
        """The keypoints that the length is measured between."""
        return MEASURED[self._normaliser](keypoints.skeleton)

    def values(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return (N, K) errors in lengths of the face.

        NaN where unlabelled or the face has no length; infinite where it is labelled and the prediction is missing.

        Raises:
            KpError: the skeleton lacks the normaliser's keypoints, or no face with labels has a length.
        """
        lengths = LENGTHS[self._normaliser](truth, keypoints.skeleton)
        usable = np.isfinite(lengths) & (lengths > 0)
        chosen = truth.select(keypoints.indices)
        labelled = chosen.state != UNLABELLED
        if labelled.any() and not labelled[usable].any():
            raise self._no_length(truth, int(np.argmax(labelled.any(1))))
        offsets = predicted[..., :2] - chosen.points[..., :2]
        with np.errstate(over="ignore"):  # an impossible error is infinite
            relative = np.hypot(offsets[..., 0], offsets[..., 1]) / np.where(usable, lengths, np.nan)[:, None]
        missing = np.isnan(predicted[..., :2]).any(-1)
        return np.where(labelled & usable[:, None], np.where(missing, np.inf, relative), np.nan)

    def reduce(
        self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]
    ) -> Scores:
        """Reduce (N, K) values to percentages.

        Raises:
            KpError: a column's keypoint is not scored, or a mean is asked for and a prediction is missing.
        """
        if self._report == "nme":
            _check_predicted(values, truth, keypoints)
        scores = {column.name: self._statistic(values, keypoints, column.keypoints) for column in columns}
        return Scores(scores, self._statistic(values, keypoints, _averaged(keypoints, columns)))

    def terms(self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]) -> Terms:
        """Return a term a column and one of the average: means over faces; raises KpError as ``reduce`` does."""
        if self._report == "nme":
            _check_predicted(values, truth, keypoints)
        sets = [*(column.keypoints for column in columns), _averaged(keypoints, columns)]
        errors = np.stack([face_errors(values, keypoints, names) for names in sets], -1)
        known = ~np.isnan(errors)
        numerators = 100 * STATISTICS[self._report](np.where(known, errors, 0.0), self._threshold)
        places = {column.name: (place,) for place, column in enumerate(columns)}
        return Terms(np.where(known, numerators, 0.0), known.astype(np.float64), places, (len(columns),))

    def _statistic(self, values: Float64Array, keypoints: KeypointSet, names: Sequence[str]) -> float:
        errors = face_errors(values, keypoints, names)
        known = errors[~np.isnan(errors)]
        return float(100 * STATISTICS[self._report](known, self._threshold).mean()) if known.size else float("nan")

    def _no_length(self, truth: Instances, place: int) -> KpError:
        return KpError(
            f"image {truth.image_ids[place]}, row {truth.rows[place]}, and every other face: normaliser"
            f" '{self._normaliser}' cannot be measured (a point that it needs is not labelled, or the length is not"
            f" positive); take another of {', '.join(LENGTHS)}"
        )


def face_errors(values: Float64Array, keypoints: KeypointSet, names: Sequence[str]) -> Float64Array:
    """Return the mean error (N,) of each face over these keypoints; NaN where none of them is labelled.

    Raises:
        KpError: a name is not in the set.
    """
    strangers = [name for name in names if name not in keypoints]
    if strangers:
        raise KpError(
            f"a column counts {', '.join(strangers)}, which is not among the keypoints that are scored"
            f" ({', '.join(keypoints.names)}); score columns of this set"
        )
    chosen = values[:, list(keypoints.places(names))]
    counted = (~np.isnan(chosen)).sum(1)
    total = np.nansum(chosen, axis=1)
    return np.asarray(np.divide(total, counted, out=np.full(len(chosen), np.nan), where=counted > 0))


def own_error(errors: Float64Array, threshold: float) -> Float64Array:
    """Return the errors; the threshold does not enter."""
    del threshold
    return errors


def own_area(errors: Float64Array, threshold: float) -> Float64Array:
    """Return what every face adds to the area under the cumulative distribution of the errors, over the threshold.

    A face with error e adds the step from e on, to the threshold: an area of max(0, threshold - e). The mean of those
    is the integral from 0 to the threshold.
    """
    return np.asarray(np.clip(1 - errors / threshold, 0, None))


def own_failure(errors: Float64Array, threshold: float) -> Float64Array:
    """Return 1 where an error is above the threshold."""
    return (errors > threshold).astype(np.float64)


STATISTICS: Mapping[Report, Callable[[Float64Array, float], Float64Array]] = {
    "nme": own_error,
    "auc": own_area,
    "failure": own_failure,
}
"""What a face adds to the mean that is reported."""


def _averaged(keypoints: KeypointSet, columns: Sequence[Column]) -> list[str]:
    """Return the keypoints that the average counts: all but those of columns that stay out of it."""
    left_out = {name for column in columns if not column.in_average for name in column.keypoints}
    return [name for name in keypoints.names if name not in left_out]


def _check_predicted(values: Float64Array, truth: Instances, keypoints: KeypointSet) -> None:
    missing = np.argwhere(np.isinf(values))
    if missing.size:
        face, place = missing[0]
        raise KpError(
            f"image {truth.image_ids[face]}, row {truth.rows[face]}: no prediction of labelled '"
            f"{keypoints.names[place]}' ({len(missing)} such points), so there is no mean error; predict all, or take"
            ' report = "auc" or "failure" of metric \'nme\''
        )
