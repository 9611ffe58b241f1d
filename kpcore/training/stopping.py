"""The rule that says when an epoch was better than all before."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Progress:
    """What an epoch's validation value says: is it the best so far, and for how long has there been none better.

    Args:
        higher_is_better: direction of the metric.
        min_improvement: what counts as better.
    """

    higher_is_better: bool
    min_improvement: float
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    """Epochs since the best one."""

    def record(self, epoch: int, value: float) -> bool:
        """Take the value of this epoch (counted from 1); return whether it is the best so far. NaN never is."""
        better = not math.isnan(value) and (
            self.best is None
            or (value - self.best if self.higher_is_better else self.best - value) > self.min_improvement
        )
        if better:
            self.best, self.best_epoch, self.stale = value, epoch, 0
        else:
            self.stale += 1
        return better
