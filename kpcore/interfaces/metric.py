"""Metric: one value a person and keypoint, and the reduction of many to columns and an average.

Everywhere ``truth`` has all keypoints of the data set, in its skeleton's order, and ``keypoints`` is the set that was
predicted, of the same skeleton: so a metric can measure lengths between keypoints that are not scored (the eye corners,
where the jaw is); ``truth.select(keypoints.indices)`` has those that are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from kpcore.errors import ContractError, KpError, shown
from kpcore.interfaces.component import Component
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import AnyArray, Float64Array
from kpcore.terms import Terms


@dataclass(frozen=True)
class Scores:
    """What a report shows of one evaluation.

    Args:
        columns: column's name -> score, in percent or the metric's unit; NaN where nothing was labelled. Results hold
            no infinite score.
        average: of the columns, as the convention takes it; NaN where nothing was labelled.
    """

    columns: dict[str, float]
    average: float


class Metric(Component):
    """Scores predictions in source pixels: those of the image file, 0-based, pixel centres at integers.

    Axes: N instances, K keypoints of the set that was predicted, D dimensions. ``truth`` is wider: it has all keypoints
    of the skeleton; ``truth.select(keypoints.indices)`` has the K of ``predicted``, in the same order.
    """

    @property
    @abstractmethod
    def convention(self) -> str:
        """How the numbers are made, named ("PCKh@0.5 kptransfer"); every result carries it."""

    def convention_of(self, keypoints: KeypointSet) -> str:
        """Return the convention as it is for these keypoints, where it takes constants by their names."""
        del keypoints
        return self.convention

    @property
    @abstractmethod
    def higher_is_better(self) -> bool:
        """Direction of improvement: early stopping, the best epoch and reports follow it."""

    @property
    def average_name(self) -> str:
        """What tables head the average with: what it is ("AP", "NME"), where it is no mean of the columns."""
        return "Average"

    def reads(self, keypoints: KeypointSet) -> Sequence[str]:
        """Return keypoints of the skeleton beyond the set whose truth ``values`` looks at, to measure lengths by.

        While a network is validated, all keypoints that are neither in the set nor named here are unlabelled: so a job
        that does not read them is not trained again when they are.
        """
        del keypoints
        return ()

    def remarks(self, keypoints: KeypointSet) -> Sequence[str]:
        """Return what a user should know before these keypoints are scored: a constant that is only assumed for them.

        ``kp run`` and ``kp data check`` print it as a warning, one line each.
        """
        del keypoints
        return ()

    @property
    def unit(self) -> str:
        """Return the unit of scores for a figure's axis ("%"), or "" where the convention says it or there is none."""
        return ""

    @property
    def value_unit(self) -> str:
        """Return what one keypoint's value is counted in ("head sizes", "mm"), or "" where there is no word for it."""
        return ""

    @property
    def legend(self) -> str:
        """Return what the columns of ``aspects`` are, in a few words for the line under a table; "" where none are."""
        return ""

    @abstractmethod
    def values(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return (N, K) values, NaN where not counted (the truth is unlabelled); usually a missing prediction is wrong.

        Args:
            predicted: (N, K, D) source pixels, float64; NaN = missing. With D = 3, z is relative to the root.
            truth: N instances with all keypoints of the skeleton.
            keypoints: the set along K.

        Raises:
            KpError: what the metric measures by is not labelled; with image and row.
        """

    def aspects(
        self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet
    ) -> Mapping[str, Float64Array]:  # fmt: skip
        """Return further values a person and keypoint, by the name of the column that tables get of each; usual: none.

        They are of the same unit and direction as ``values``: how much of an error lies in the picture's plane, say. A
        column is the average that ``reduce`` makes of them; none enters the average. Intervals come of ``terms``.

        Args:
            predicted: as for ``values``.
            truth: as for ``values``.
            keypoints: as for ``values``.

        Returns:
            Column's name -> (N, K) float64, NaN where not counted.
        """
        del predicted, truth, keypoints
        return {}

    @abstractmethod
    def reduce(
        self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]
    ) -> Scores:
        """Reduce (N, K) values to report columns and an average.

        Args:
            values: as returned by ``values`` for the same instances.
            truth: the same instances, with all keypoints of the skeleton.
            keypoints: the set along the values' keypoint axis.
            columns: the split's columns, or one a group of the set where there is no split. Each has a ``name``, the
                names of its ``keypoints``, all of them in the set (``keypoints.places(column.keypoints)`` are their
                places along K), and ``in_average``. A convention with fixed columns of its own may ignore them.

        Returns:
            A score for every column by its name, and the average: usual is the unweighted mean of the columns with
            ``in_average``, NaN left out.

        Raises:
            KpError: the convention needs keypoints that are not in the set.
        """

    def terms(
        self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]
    ) -> Terms | None:
        """Return what every sample adds to the score, where that is made of ratios of sums over samples.

        Intervals and comparisons are made of these: the core draws the samples anew ten thousand times. They must give
        the columns and the average of ``score`` to 1e-9. None (the default) says that the score is nothing of that
        kind, or that nobody has written it down: then the core scores drawn images again and again, which is slow.

        Args:
            values: as for ``reduce``.
            truth: as for ``reduce``.
            keypoints: as for ``reduce``.
            columns: as for ``reduce``.

        Raises:
            KpError: as ``reduce`` does.
        """
        del values, truth, keypoints, columns
        return None

    def rescored(
        self,
        predicted: Float64Array,
        confidence: Float64Array | None,
        truth: Instances,
        keypoints: KeypointSet,
        columns: Sequence[Column],
        counts: AnyArray,
    ) -> Float64Array | None:
        """Return the scores of draws of the images, for a metric without terms that knows a quick way.

        None (the default): the core calls ``score`` on every draw, in which an image that is drawn twice is two images.
        This must give the same.

        Args:
            predicted: as for ``score``.
            confidence: as for ``score``.
            truth: as for ``score``.
            keypoints: as for ``score``.
            columns: as for ``score``.
            counts: (B, N) how often each instance is drawn; those of one image are drawn together.

        Returns:
            (B, C + 1) columns in the order of ``score``, and the average; NaN where a draw has none.
        """
        del predicted, confidence, truth, keypoints, columns, counts
        return None

    def score(
        self,
        predicted: Float64Array,
        confidence: Float64Array | None,
        truth: Instances,
        keypoints: KeypointSet,
        columns: Sequence[Column],
    ) -> Scores:
        """Score predictions: by default ``reduce`` of ``values``, and after its columns one an aspect.

        A metric that needs more than one value a person and keypoint (average precision matches and ranks the people of
        an image) does its own work here.

        Args:
            predicted: (N, K, D) source pixels, NaN = missing.
            confidence: (N, K) in the codec's units, larger is surer; None where the predictions carry none.
            truth: as for ``values``.
            keypoints: the set along K.
            columns: as for ``reduce``.
        """
        del confidence
        found = self.reduce(self.measured(predicted, truth, keypoints), truth, keypoints, columns)
        aspects = self.measured_aspects(predicted, truth, keypoints)
        more = {name: self.reduce(values, truth, keypoints, columns).average for name, values in aspects.items()}
        if taken := next((name for name in more if name in found.columns), None):
            raise KpError(
                f"{self.convention}: an aspect's column is named '{taken}', and so is a column of the split; rename"
                " that one, or leave the aspects out"
            )
        return Scores({**found.columns, **more}, found.average) if more else found

    @final
    def measured(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return ``values``; raises ContractError where they are not (N, K): broadcast, they would score in silence."""
        return self._fitting(self.values(predicted, truth, keypoints), predicted.shape[:2], "values()")

    @final
    def measured_aspects(
        self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet
    ) -> dict[str, Float64Array]:  # fmt: skip
        """Return ``aspects``; raises ContractError where they are not (N, K) each, by name."""
        found = self.aspects(predicted, truth, keypoints)
        if not isinstance(found, Mapping) or not all(isinstance(name, str) and name.strip() for name in found):
            raise ContractError(self, "aspects()", f"{shown(found)}, expected values by column's name")
        wanted = predicted.shape[:2]
        return {name: self._fitting(values, wanted, f"aspects()[{name!r}]") for name, values in found.items()}

    def _fitting(self, values: Float64Array, wanted: tuple[int, ...], what: str) -> Float64Array:
        if not isinstance(values, np.ndarray) or values.shape != wanted or values.dtype.kind != "f":
            raise ContractError(self, what, f"{shown(values)}, expected {wanted} float64")
        return values
