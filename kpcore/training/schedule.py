"""Learning-rate schedules, and the rule that says when an epoch was better than all before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from kpcore.config import Schedule


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


class LearningRate:
    """Factor on the learning rate: a function of the iteration, and for ``plateau`` of the epochs' values.

    Args:
        schedule: its settings.
        iterations: of the whole job, for ``onecycle``.
    """

    def __init__(self, schedule: Schedule, iterations: int) -> None:
        self.schedule = schedule
        self.iterations = iterations
        self.dropped = 0  # how often the plateau rule has divided the rate
        self.waited = 0  # epochs without improvement since the last best or drop

    def factor(self, iteration: int) -> float:
        """Return the factor at this iteration, counted from 0."""
        if self.schedule.name == "plateau":
            return float(self.schedule.factor**self.dropped)
        if self.schedule.name == "onecycle":
            return one_cycle((iteration + 1) / self.iterations, self.schedule.warmup, self.schedule.fall)
        return 1.0

    def epoch_ended(self, improved: bool) -> None:
        """Plateau: drop the rate at the first epoch after ``patience`` epochs without improvement that has none either.

        Paper, section 3.3; the count is that of torch's ``ReduceLROnPlateau``.
        """
        self.waited = 0 if improved else self.waited + 1
        if self.schedule.name == "plateau" and self.waited > self.schedule.patience:
            self.dropped += 1
            self.waited = 0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"dropped": self.dropped, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.dropped, self.waited = int(state["dropped"]), int(state["waited"])


def one_cycle(share: float, warmup: float, fall: Literal["cosine", "linear"] = "cosine") -> float:
    """Cosine from 1/25 up to 1 in the first ``warmup`` of the run, cosine or straight down to 1/2500 in the rest.

    Smith & Topin, "Super-Convergence" (2019), with one phase up and one down; ``share`` in (0, 1].
    """
    start, end = 1 / 25, 1 / 2500
    if share < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * share / warmup)) / 2
    left = (share - warmup) / (1 - warmup)
    return end + (1 - end) * (1 - left if fall == "linear" else (1 + math.cos(math.pi * left)) / 2)
