"""PCK: correct within a share of a length of the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from kp_pck.distances import relative_distances
from kp_pck.lengths import WHERE, Normaliser, Pair, Word, counted_in, lengths, told, without_length
from kp_pck.tally import Tally, places_by_column, places_of, shares
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Metric, Scores, Terms
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, Float64Array


class Pck(Metric):
    """Percentage of labelled keypoints whose error is at most a share of a length of the person.

    Decoded points are compared with the labels, in source pixels, and the average is the unweighted mean over
    keypoints. Newell's training accuracy has the default's threshold, but is made in whole heatmap pixels and person by
    person: that is the metric ``heatmap_pck``.

    Keypoints and columns without any label are NaN and left out of the means. So are people whose labels do not tell
    the length: one keypoint of the pair is not labelled, or one keypoint alone is no box.

    Args:
        normaliser: ``crop`` is the crop's side; ``sample`` is ``Sample.normaliser``; ``box`` is the longer side of the
            smallest upright box around all labelled keypoints (Yang and Ramanan, TPAMI 2013); two names are the
            distance of those keypoints, whether they are scored or not.
        threshold: share of that length.
        groups: groups or keypoints that the average counts, as far as they are scored; all where None. The columns are
            the split's in any case.
    """

    class Config(ComponentConfig):
        """Options of a metric's table with ``name = "pck"``."""

        normaliser: Normaliser = Field(
            default="crop",
            description="crop: the crop's side; sample: the data set's own; box: longer side of the labelled keypoints'"
            ' box; ["NAME", "OTHER"]: the distance of two keypoints',
        )
        threshold: float = Field(default=0.05, gt=0, description="share of that length")
        groups: Annotated[list[str], Field(min_length=1)] | None = Field(
            default=None, description="groups that the average counts, as far as they are scored; all where absent"
        )

    def __init__(self, *, normaliser: Word | Pair, threshold: float, groups: list[str] | None) -> None:
        self._normaliser = normaliser
        self._threshold = threshold
        self._groups = groups

    @property
    def convention(self) -> str:
        """As in "PCK@0.05 of the crop side, average over ankle, knee"."""
        over = f", average over {', '.join(self._groups)}" if self._groups else ""
        return f"PCK@{self._threshold:g} of {told(self._normaliser)}{over}"

    @property
    def average_name(self) -> str:
        """The figure over all keypoints alike; it is no mean of the columns, of which some have more keypoints."""
        return "PCK"

    @property
    def unit(self) -> str:
        """Percent."""
        return "%"

    @property
    def value_unit(self) -> str:
        """Of errors."""
        return counted_in(self._normaliser)

    @property
    def higher_is_better(self) -> bool:
        """Yes."""
        return True

    def reads(self, keypoints: KeypointSet) -> Sequence[str]:
        """The keypoints that the length is measured between; raises KpError where the skeleton lacks one."""
        if isinstance(self._normaliser, tuple):
            return keypoints.skeleton.pair(self._normaliser, where=WHERE)
        return keypoints.skeleton.names if self._normaliser == "box" else ()

    def values(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return (N, K) errors in those lengths: NaN where unlabelled, infinite where no prediction was made.

        Raises:
            KpError: a person with labels has no positive crop side or normaliser, nobody has one of another length, or
                the skeleton lacks a keypoint that it is measured between.
        """
        length = lengths(self._normaliser, truth, keypoints.skeleton)
        chosen = truth.select(keypoints.indices)
        if self._normaliser not in ("crop", "sample"):
            chosen = self._with_length(chosen, length)
        return relative_distances(predicted, chosen, length)

    def _with_length(self, chosen: Instances, length: Float64Array) -> Instances:
        """Return people, those without a length unlabelled."""
        usable = length > 0
        labelled = (chosen.state != UNLABELLED).any(1)
        if labelled.any() and not (labelled & usable).any():
            raise without_length(self._normaliser, chosen, int(np.argmax(labelled)))
        return replace(chosen, state=np.where(usable[:, None], chosen.state, UNLABELLED))

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
        return Scores(scores, tally.unweighted(averaged(keypoints, self._groups, "pck")))

    def terms(self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]) -> Terms:
        """Return a term a keypoint; raises KpError as ``reduce`` does."""
        del truth
        right, counted = shares(values, threshold=self._threshold, strict=False)
        average = places_of(keypoints, averaged(keypoints, self._groups, "pck"))
        return Terms(right, counted, places_by_column(keypoints, columns), average)


def averaged(keypoints: KeypointSet, groups: Sequence[str] | None, metric: str) -> tuple[str, ...]:
    """Return the keypoints of the set that are in these groups, all of them where None.

    Raises:
        KpError: the skeleton has no such group, or none of them is in the set.
    """
    if groups is None:
        return keypoints.names
    wanted = keypoints.skeleton.select(groups, where=f"metric '{metric}', groups")
    scored = tuple(name for name in keypoints.names if name in wanted)
    if not scored:
        raise KpError(
            f"metric '{metric}', groups: none of {', '.join(groups)} is among the keypoints that are scored"
            f" ({', '.join(keypoints.names)}); name one that is, or leave groups out"
        )
    return scored
