"""PCK: correct within a share of the crop's side, as Newell's training accuracy and the paper's Fig. 3 have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from kp_pck.distances import relative_distances
from kp_pck.tally import Tally
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Metric, Scores
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import Float64Array

Normaliser = Literal["crop", "sample"]
LENGTHS: dict[Normaliser, str] = {"crop": "the crop side", "sample": "the data set's normaliser"}


class Pck(Metric):
    """Percentage of labelled keypoints whose error is at most a share of a length of the person.

    The defaults follow Newell's training accuracy: 3.2 of 64 heatmap pixels are 0.05 of the crop's side, and the
    average is the unweighted mean over keypoints. He compares the argmaxes of predicted and target heatmaps, in whole
    heatmap pixels; this compares decoded points with the labels, in source pixels, so it also sees smaller errors.

    Keypoints and columns without any label are NaN and left out of the means.

    Args:
        normaliser: ``crop`` is the crop's side, ``sample`` is ``Sample.normaliser``.
        threshold: share of that length.
        groups: groups or keypoints that the average counts, as far as they are scored; all where None. The columns are
            the split's in any case.
    """

    class Config(ComponentConfig):
        """Options of a metric's table with ``name = "pck"``."""

        normaliser: Normaliser = Field(default="crop", description="the crop's side, or the data set's own normaliser")
        threshold: float = Field(default=0.05, gt=0, description="share of that length")
        groups: Annotated[list[str], Field(min_length=1)] | None = Field(
            default=None, description="groups that the average counts, as far as they are scored; all where absent"
        )

    def __init__(self, *, normaliser: Normaliser, threshold: float, groups: list[str] | None) -> None:
        self._normaliser = normaliser
        self._threshold = threshold
        self._groups = groups

    @property
    def convention(self) -> str:
        """As in "PCK@0.05 of the crop side, average over ankle, knee"."""
        over = f", average over {', '.join(self._groups)}" if self._groups else ""
        return f"PCK@{self._threshold:g} of {LENGTHS[self._normaliser]}{over}"

    @property
    def unit(self) -> str:
        """Percent."""
        return "%"

    @property
    def higher_is_better(self) -> bool:
        """Yes."""
        return True

    def values(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return (N, K) errors in those lengths: NaN where unlabelled, infinite where no prediction was made.

        Raises:
            KpError: a person with labels has no positive length.
        """
        lengths = truth.side if self._normaliser == "crop" else truth.normaliser
        return relative_distances(predicted, truth.select(keypoints.indices), lengths)

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
        return Scores(scores, tally.unweighted(self._averaged(keypoints)))

    def _averaged(self, keypoints: KeypointSet) -> tuple[str, ...]:
        if self._groups is None:
            return keypoints.names
        wanted = keypoints.skeleton.select(self._groups, where="metric 'pck', groups")
        scored = tuple(name for name in keypoints.names if name in wanted)
        if not scored:
            raise KpError(
                f"metric 'pck', groups: none of {', '.join(self._groups)} is among the keypoints that are scored"
                f" ({', '.join(keypoints.names)}); name one that is, or leave groups out"
            )
        return scored
