"""Metric: one value a person and keypoint, and the reduction of many to columns and an average."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from kpcore.interfaces.component import Component
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import People
from kpcore.tensors import Float64Array


@dataclass(frozen=True)
class Scores:
    """Columns by name, in percent or the metric's unit, and their average; NaN where nothing was labelled."""

    columns: dict[str, float]
    average: float


class Metric(Component):
    """Scores predictions in source pixels."""

    @property
    @abstractmethod
    def convention(self) -> str:
        """How the numbers are made, named ("PCKh@0.5 kptransfer"); every result carries it."""

    @property
    @abstractmethod
    def higher_is_better(self) -> bool:
        """Direction of improvement."""

    @abstractmethod
    def values(self, predicted: Float64Array, people: People) -> Float64Array:
        """Return (N, K) values, NaN where not counted; predicted: (N, K, D) source pixels, NaN = missing."""

    @abstractmethod
    def reduce(self, values: Float64Array, people: People, keypoints: KeypointSet, columns: Sequence[Column]) -> Scores:
        """Reduce (N, K) values to report columns and an average.

        Args:
            values: as returned by ``values`` for the same people.
            people: the same people, whose keypoint axis is ``keypoints``.
            keypoints: the set along the keypoint axis.
            columns: the split's columns; a convention with fixed columns of its own may ignore them.

        Raises:
            KpError: the convention needs keypoints that are not in the set.
        """
