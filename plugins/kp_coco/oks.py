"""Object keypoint similarity (COCO's measure of a pose), and average precision over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from kp_coco.average_precision import FIGURES, average_precision
from kp_coco.drawn_precision import drawn_precision
from kp_coco.sigmas import sigmas_of, told_sigmas, without_sigma
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Metric, Scores, Terms
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, AnyArray, Float64Array

NAMED = 6
"""Keypoints that a remark names."""

Report = Literal["ap", "similarity"]


class Oks(Metric):
    """OKS in percent: COCO's average precision, or the mean similarity of the report columns.

    The similarity of a predicted keypoint at distance d is exp(-d^2 / (2 s^2 (2 sigma)^2)), where s is the sample's
    normaliser (for COCO the square root of the segment's area) and sigma belongs to the keypoint. The OKS of a person
    is the mean over its labelled keypoints, hidden ones included (cocodataset.org, "Keypoint Evaluation").

    =========== ============================================================ =======================================
    report      columns                                                      average
    =========== ============================================================ =======================================
    ap          AP50, AP75, AP_M, AP_L, AR: pycocotools' own                 AP, over OKS thresholds 0.50:0.05:0.95
    similarity  the split's: mean over the column's keypoints of a person,   the same over all scored keypoints but
                then over people                                             those of columns that stay out of it
    =========== ============================================================ =======================================

    The people are given: one detection for everyone with a labelled keypoint among those that are scored, in the crop
    of the data set ("ground-truth boxes"). So AP here is not that of a system that finds people itself. COCO's own
    evaluation of the same detections can be a little higher: it ignores a wrong detection over a crowd region or over
    somebody without labelled keypoints, who are not among the people here. The score of a detection is the mean
    confidence of its keypoints; where predictions carry none, all are 1, and AP depends on the order of images. At most
    20 people of an image count, as in COCO. AP_M and AP_L are of people of 32^2 to 96^2 and of over 96^2 square pixels.

    Args:
        report: as above.
        sigmas: keypoint or group -> sigma, before the published ones: COCO's (which go by group: wrist, knee, ...),
            AP-10K's (neck, root of tail, paws) and CrowdPose's (head, neck).
        default_sigma: of keypoints that none of them names; 0.067 is the mean of COCO's 17. Where it is taken, a remark
            names the keypoints.
    """

    class Config(ComponentConfig):
        """Options of a metric's table with ``name = "oks"``."""

        report: Report = Field(default="ap", description="average precision, or mean similarity by report column")
        sigmas: dict[str, Annotated[float, Field(gt=0)]] = Field(
            default_factory=dict,
            description="sigma by keypoint or group, where it is not COCO's, AP-10K's or CrowdPose's",
        )
        default_sigma: float = Field(
            default=0.067, gt=0, description="sigma of keypoints that none of them has; the mean of COCO's 17"
        )

    def __init__(self, *, report: Report, sigmas: dict[str, float], default_sigma: float) -> None:
        self._report = report
        self._sigmas = dict(sigmas)
        self._default_sigma = default_sigma

    @property
    def convention(self) -> str:
        """As in "mean OKS (percent), sigmas by keypoint name, else 0.067"; whose these are, the keypoints tell."""
        return f"{self._what}, sigmas by keypoint name, else {self._default_sigma:g}"

    @property
    def _what(self) -> str:
        precision = "OKS AP@.50:.95, ground-truth boxes of labelled people"
        return precision if self._report == "ap" else "mean OKS (percent)"

    def convention_of(self, keypoints: KeypointSet) -> str:
        """As in "mean OKS (percent), sigmas: COCO's for 5 of 7 keypoints, the default 0.067 for 2"."""
        return f"{self._what}, sigmas: {told_sigmas(keypoints, self._sigmas, self._default_sigma)}"

    @property
    def average_name(self) -> str:
        """Average precision over all keypoints, or the mean similarity."""
        return "AP" if self._report == "ap" else "OKS"

    @property
    def value_unit(self) -> str:
        """From 0 to 1."""
        return "object keypoint similarity"

    @property
    def unit(self) -> str:
        """Percent, where the convention does not say it."""
        return "%" if self._report == "ap" else ""

    @property
    def higher_is_better(self) -> bool:
        """Yes."""
        return True

    def remarks(self, keypoints: KeypointSet) -> Sequence[str]:
        """Return a line that names the keypoints whose sigma is the default; none where all are known."""
        names = without_sigma(keypoints, self._sigmas)
        if not names:
            return ()
        shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        return (
            f"oks: no sigma is known for {len(names)} of {len(keypoints)} keypoints ({shown}): the default"
            f" {self._default_sigma:g} is taken; say how far off annotators are with evaluation.metric.sigmas, by"
            " keypoint or group, or score by another metric",
        )

    def values(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return (N, K) similarities from 0 to 1: NaN where unlabelled, 0 where no prediction was made.

        Raises:
            KpError: a person with labels has no positive normaliser, or a sigma is given for no keypoint.
        """
        chosen = truth.select(keypoints.indices)
        labelled = chosen.state != UNLABELLED
        areas = _areas(chosen)
        variances = (2 * sigmas_of(keypoints, self._sigmas, self._default_sigma)) ** 2
        offsets = predicted[..., :2] - chosen.points[..., :2]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far is far; without labels no area
            exponents = (offsets**2).sum(-1) / (2 * areas[:, None] * variances)
            similar = np.exp(-exponents)
        return np.where(labelled, np.nan_to_num(similar), np.nan)

    def reduce(
        self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]
    ) -> Scores:
        """Reduce (N, K) similarities to means in percent, whatever is reported: precision needs the points themselves.

        Raises:
            KpError: a column's keypoint is not scored.
        """
        del truth
        terms = _similarities(values, keypoints, columns)
        *scores, average = terms.scores().tolist()
        return Scores(dict(zip(terms.columns, scores, strict=True)), average)

    def terms(
        self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]
    ) -> Terms | None:
        """Return a term a column and one of the average: means over people. None for average precision.

        Raises:
            KpError: a column's keypoint is not scored.
        """
        del truth
        return _similarities(values, keypoints, columns) if self._report == "similarity" else None

    def score(
        self,
        predicted: Float64Array,
        confidence: Float64Array | None,
        truth: Instances,
        keypoints: KeypointSet,
        columns: Sequence[Column],
    ) -> Scores:
        """Score predictions; average precision has columns of its own.

        Raises:
            KpError: as for ``values`` and ``reduce``.
        """
        if self._report == "similarity":
            return self.reduce(self.values(predicted, truth, keypoints), truth, keypoints, columns)
        chosen = truth.select(keypoints.indices)
        sigmas = sigmas_of(keypoints, self._sigmas, self._default_sigma)
        found = average_precision(predicted[..., :2], confidence, chosen, _areas(chosen), sigmas)
        percent = {name: 100 * found[name] for name in FIGURES}
        average = percent.pop("AP")
        return Scores(percent, average)

    def rescored(
        self,
        predicted: Float64Array,
        confidence: Float64Array | None,
        truth: Instances,
        keypoints: KeypointSet,
        columns: Sequence[Column],
        counts: AnyArray,
    ) -> Float64Array:
        """Return average precision on draws of the images: matched once, and counted as often as drawn."""
        del columns
        chosen = truth.select(keypoints.indices)
        sigmas = sigmas_of(keypoints, self._sigmas, self._default_sigma)
        found = drawn_precision(predicted[..., :2], confidence, chosen, _areas(chosen), sigmas, counts)
        average = FIGURES.index("AP")
        return 100 * np.column_stack([np.delete(found, average, 1), found[:, average]])


def _areas(truth: Instances) -> Float64Array:
    """Return (N,) squares of the normaliser.

    Raises:
        KpError: somebody with labels has no positive one.
    """
    scored = (truth.state != UNLABELLED).any(1)
    bad = np.flatnonzero(scored & ~((truth.normaliser > 0) & np.isfinite(truth.normaliser)))
    if bad.size:
        first = bad[0]
        raise KpError(
            f"image {truth.image_ids[first]}, row {truth.rows[first]}: the scale of OKS is {truth.normaliser[first]:g}"
            f" pixels ({bad.size} such people); mend the row's normaliser, or leave the person out"
        )
    return np.asarray(truth.normaliser**2)


def _similarities(values: Float64Array, keypoints: KeypointSet, columns: Sequence[Column]) -> Terms:
    """Return the means over people of the mean over a column's keypoints, and over those that the average counts."""
    left_out = {name for column in columns if not column.in_average for name in column.keypoints}
    sets = [*(column.keypoints for column in columns), [n for n in keypoints.names if n not in left_out]]
    oks = np.stack([_own_oks(values, keypoints, names) for names in sets], -1)
    known = ~np.isnan(oks)
    places = {column.name: (place,) for place, column in enumerate(columns)}
    return Terms(np.where(known, 100 * oks, 0.0), known.astype(np.float64), places, (len(columns),))


def _own_oks(values: Float64Array, keypoints: KeypointSet, names: Sequence[str]) -> Float64Array:
    """Return everybody's mean over these keypoints (N,), a share; NaN where none of them is labelled."""
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
