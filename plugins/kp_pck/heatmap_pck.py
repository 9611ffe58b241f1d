"""Newell's training accuracy, the paper's Fig. 3: PCK in whole heatmap pixels, person by person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from kp_pck.pck import averaged
from kp_pck.tally import Tally, places_by_column, shares, with_term
from kpcore.interfaces import ComponentConfig, Metric, Scores, Terms
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, Float64Array

BoolArray = npt.NDArray[np.bool_]


class HeatmapPck(Metric):
    """Percentage of right keypoints as the released hourglass code counts them while it trains.

    Prediction and label are whole pixels of a square heatmap over the crop: the pixel that a point lies in, which for a
    prediction is its heatmap's maximum again, where decoding moves it by less than half a pixel (a quarter does; DARK
    mostly). A label outside the crop does not count; nor does one in the map's first row or column, which his code
    takes for an empty map. He draws labels up to 3 pixels beyond the crop at its border and counts them there; this
    leaves them out.

    The average is a mean over people: of each person's share of right keypoints among those that count. Columns are
    means over their keypoints' own percentages. His prediction is the mean with that on the mirrored image: set
    ``flip_test`` beside it.

    Args:
        heatmap: side of the heatmaps, pixels: the network's resolution over its stride; 64 is the paper's.
        threshold: share of that side; 0.05 is 3.2 pixels of 64.
        groups: groups or keypoints that the average counts, as far as they are scored; all where None.
    """

    class Config(ComponentConfig):
        """Options of a metric's table with ``name = "heatmap_pck"``."""

        heatmap: int = Field(default=64, ge=4, description="side of the heatmaps, pixels: resolution over stride")
        threshold: float = Field(default=0.05, gt=0, description="share of that side; 0.05 is 3.2 pixels of 64")
        groups: Annotated[list[str], Field(min_length=1)] | None = Field(
            default=None, description="groups that the average counts, as far as they are scored; all where absent"
        )

    def __init__(self, *, heatmap: int, threshold: float, groups: list[str] | None) -> None:
        self._heatmap = heatmap
        self._threshold = threshold
        self._groups = groups

    @property
    def convention(self) -> str:
        """As in "PCK@3.2 of 64 whole heatmap pixels, mean over people, over ankle, knee"."""
        over = f", over {', '.join(self._groups)}" if self._groups else ""
        limit = self._threshold * self._heatmap
        return f"PCK@{limit:g} of {self._heatmap} whole heatmap pixels, mean over people{over}"

    @property
    def value_unit(self) -> str:
        """Of errors."""
        return "heatmap sides"

    @property
    def higher_is_better(self) -> bool:
        """Yes."""
        return True

    @property
    def average_name(self) -> str:
        """The figure person by person; it is no mean of the columns."""
        return "PCK"

    @property
    def unit(self) -> str:
        """Percent."""
        return "%"

    def values(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return (N, K) distances of whole pixels, as shares of the heatmap's side.

        NaN where the label does not count (unlabelled, outside the crop, in the first row or column); infinite where it
        does and the prediction is missing.
        """
        chosen = truth.select(keypoints.indices)
        there, here = self._pixels(chosen.points, chosen), self._pixels(predicted, chosen)
        with np.errstate(invalid="ignore"):
            inside = ((there >= 1) & (there < self._heatmap)).all(-1)
            distances = np.hypot(*np.moveaxis(here - there, -1, 0)) / self._heatmap
        missing = np.isnan(here).any(-1)
        counts = inside & (chosen.state != UNLABELLED)
        return np.where(counts, np.where(missing, np.inf, distances), np.nan)

    def _pixels(self, points: Float64Array, people: Instances) -> Float64Array:
        """Return (N, K, 2) indices of the pixels that points lie in, column and row from 0; NaN stays.

        Pixel centres are at integers on both sides, so the crop's first edge is half a source pixel before its first
        pixel's centre; both halves cancel.
        """
        edge = people.centre - people.side[:, None] / 2
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            shares = (points[..., :2] - edge[:, None]) / people.side[:, None, None]
            return np.asarray(np.floor(self._heatmap * shares))

    def reduce(
        self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]
    ) -> Scores:
        """Reduce (N, K) values to percentages.

        Raises:
            KpError: the skeleton has no such group, none of the groups is scored, or a column's keypoint is not.
        """
        del truth
        tally = Tally.of(values, keypoints, threshold=self._threshold, strict=False)
        scores = {column.name: tally.unweighted(column.keypoints) for column in columns}
        names = averaged(keypoints, self._groups, "heatmap_pck")
        return Scores(scores, self._mean_over_people(values[:, list(keypoints.places(names))]))

    def terms(self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]) -> Terms:
        """Return a term a keypoint, and the mean over people; raises KpError as ``reduce`` does."""
        del truth
        right, counted = shares(values, threshold=self._threshold, strict=False)
        terms = Terms(right, counted, places_by_column(keypoints, columns), ())
        names = averaged(keypoints, self._groups, "heatmap_pck")
        own, counts = self._own_shares(values[:, list(keypoints.places(names))])
        return with_term(terms, 100 * own, counts.astype(np.float64))

    def _mean_over_people(self, values: Float64Array) -> float:
        """Return the mean, over people with any label that counts, of their shares of right ones; NaN without any."""
        own, counts = self._own_shares(values)
        return float(100 * own[counts].mean()) if counts.any() else float("nan")

    def _own_shares(self, values: Float64Array) -> tuple[Float64Array, BoolArray]:
        """Return everybody's share of right ones among those that count, 0 without any; and who has any, both (N,)."""
        counted = (~np.isnan(values)).sum(1)
        right = (values <= self._threshold).sum(1)
        own = np.divide(right, counted, out=np.zeros(len(values)), where=counted > 0)
        return own, counted > 0
