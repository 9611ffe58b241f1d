"""What a format leaves out because the network was not sure, counted so that it can be said."""

from __future__ import annotations

from typing import Any

import numpy as np

from kpcore.tensors import Float64Array


class Unsure:
    """Counts keypoints and instances that are left out for their confidence.

    Args:
        least: confidence that a keypoint must have; None where all are kept.
    """

    def __init__(self, least: float | None) -> None:
        self._least = least
        self._keypoints, self._left = 0, 0
        self._instances, self._empty = 0, 0

    def count(self, points: Float64Array, kept: Any) -> None:
        """Take an instance down.

        Args:
            points: (K, D) pixels, NaN where one is lost.
            kept: (K,) whether a keypoint is written.
        """
        there = np.isfinite(points).all(1)
        self._keypoints += int(there.sum())
        self._left += int((there & ~kept).sum())
        self._instances += 1
        self._empty += not kept.any()

    def notes(self) -> list[str]:
        """Return a line on what was left out; none where all was to be kept."""
        if self._least is None:
            return []
        return [
            f"{self._left:,} of {self._keypoints:,} keypoints are less sure than {self._least:g} and left out;"
            f" {self._empty:,} of {self._instances:,} instances have none left"
        ]
