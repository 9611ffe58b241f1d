"""Learning-rate schedules: one class a member of the study file's union, and what makes the one that is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from kpcore.config import Constant, OneCycle, Plateau, Schedule


class LearningRate:
    """Factor on the learning rate. This one is constant; others mind the iteration, or how good the epochs were."""

    def factor(self, iteration: int) -> float:
        """Return the factor at this iteration, counted from 0."""
        return 1.0

    def epoch_ended(self, improved: bool) -> None:
        """Take note of whether an epoch was the best so far."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""


class PlateauRate(LearningRate):
    """Divide the rate whenever the epochs have stopped getting better (paper, section 3.3).

    Args:
        settings: factor and patience.
    """

    def __init__(self, settings: Plateau) -> None:
        self.settings = settings
        self.dropped = 0  # how often the rate has been divided
        self.waited = 0  # epochs without improvement since the last best or drop

    def factor(self, iteration: int) -> float:
        """Return the factor of this epoch."""
        return float(self.settings.factor**self.dropped)

    def epoch_ended(self, improved: bool) -> None:
        """Drop the rate at the first epoch after ``patience`` epochs without improvement that has none either.

        The count is that of torch's ``ReduceLROnPlateau``.
        """
        self.waited = 0 if improved else self.waited + 1
        if self.waited > self.settings.patience:
            self.dropped += 1
            self.waited = 0

    def state(self) -> dict[str, Any]:
        """Return how often the rate was dropped, and for how long it has waited since."""
        return {"dropped": self.dropped, "waited": self.waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on waiting from there."""
        self.dropped, self.waited = int(state["dropped"]), int(state["waited"])


class OneCycleRate(LearningRate):
    """One rise and one fall over the whole job.

    Args:
        settings: warm-up and fall.
        iterations: of the whole job.
    """

    def __init__(self, settings: OneCycle, iterations: int) -> None:
        self.settings = settings
        self.iterations = iterations

    def factor(self, iteration: int) -> float:
        """Return the factor at this iteration, counted from 0."""
        return one_cycle((iteration + 1) / self.iterations, self.settings.warmup, self.settings.fall)


BUILDERS: Mapping[type[Any], Callable[[Any, int], LearningRate]] = {
    Plateau: lambda settings, iterations: PlateauRate(settings),
    OneCycle: OneCycleRate,
    Constant: lambda settings, iterations: LearningRate(),
}
"""Settings -> what makes the schedule of a job of that many iterations."""


def make_rate(settings: Schedule, iterations: int) -> LearningRate:
    """Return the schedule of a job of that many iterations."""
    return BUILDERS[type(settings)](settings, iterations)


def one_cycle(share: float, warmup: float, fall: Literal["cosine", "linear"] = "cosine") -> float:
    """Cosine from 1/25 up to 1 in the first ``warmup`` of the run, cosine or straight down to 1/2500 in the rest.

    Smith & Topin, "Super-Convergence" (2019), with one phase up and one down; ``share`` in (0, 1].
    """
    start, end = 1 / 25, 1 / 2500
    if share < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * share / warmup)) / 2
    left = (share - warmup) / (1 - warmup)
    return end + (1 - end) * (1 - left if fall == "linear" else (1 + math.cos(math.pi * left)) / 2)
