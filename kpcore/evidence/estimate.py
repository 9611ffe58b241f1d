"""Means over seeds with their intervals, of quantities that may be known no better than to within an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy import stats

from kpcore.config import Strict
from kpcore.evidence.intervals import LEVEL, Parts, reach
from kpcore.evidence.model import DIGITS, Figure, Probability
from kpcore.evidence.verdicts import Verdict, holm, verdict
from kpcore.tensors import Float64Array

UNIFORM = 12
"""A uniform distribution's squared width over its variance."""


class Grain(NamedTuple):
    """How coarse values are: by how much the true one may lie below, and above, what was read."""

    below: float = 0.0
    above: float = 0.0


EXACT = Grain()


class Estimate(Strict):
    """A mean over seeds with its 95% t interval.

    No interval with one seed, nor where seeds agree to the last digit in what is not read at steps: that says nothing
    of others.
    """

    value: Figure
    low: Figure | None = None
    high: Figure | None = None

    @classmethod
    def of(cls, values: Sequence[float], least: float = -math.inf, grain: Grain = EXACT) -> Self:
        """Take it down from one value a seed.

        The variance is not less than that of the grain, even where all seeds were read at one place, and the interval
        reaches over the grain at least.

        Args:
            values: one a seed.
            least: the interval holds nothing below it that the grain does not hold.
            grain: of the values.
        """
        array = np.asarray(values, np.float64)
        mean = float(array.mean())
        variance = _variance(array, grain) if len(array) > 1 else 0.0
        if not variance:
            return cls(value=mean)
        far = float(reach(1 - LEVEL, Parts(variance, 0.0, 0.0), len(array), 2))
        return cls(
            value=mean, low=min(max(mean - far, least), mean - grain.below), high=max(mean + far, mean + grain.above)
        )


class Gain(Estimate):
    """A mean difference to the baseline over seeds, and whether it is told from chance: across seeds alone.

    ``adjusted`` is the p value after Holm's correction; None, as is the verdict, where there is no interval.
    """

    p: Probability | None = None
    adjusted: Probability | None = None
    verdict: Verdict | None = None

    @classmethod
    def of(cls, values: Sequence[float], least: float = -math.inf, grain: Grain = EXACT) -> Self:
        """Take it down from one difference a seed; p is of the interval that just reaches 0."""
        found = super().of(values, least, grain)
        return (
            found
            if found.low is None
            else found.model_copy(update={"p": _shown(_p(np.asarray(values, np.float64), grain))})
        )

    def judged(self, adjusted: float, *, higher_is_better: bool) -> Self:
        """Return it with its verdict."""
        said = verdict(self.value, adjusted, higher_is_better=higher_is_better)
        return self.model_copy(update={"adjusted": _shown(adjusted), "verdict": said})


def judged(found: Sequence[Gain | None], *, higher_is_better: bool) -> list[Gain | None]:
    """Return them with verdicts, corrected for being so many."""
    adjusted = iter(holm([one.p for one in found if one is not None and one.p is not None]))
    return [
        one if one is None or one.p is None else one.judged(next(adjusted), higher_is_better=higher_is_better)
        for one in found
    ]


def _shown(p: float) -> float:
    """Return a p value with as many digits as matter."""
    return float(f"{p:.{DIGITS}g}")


def _variance(array: Float64Array, grain: Grain) -> float:
    """Return the variance of the mean."""
    return max(float(array.var(ddof=1)), (grain.below**2 + grain.above**2) / UNIFORM) / len(array)


def _p(array: Float64Array, grain: Grain) -> float:
    mean = float(array.mean())
    if -grain.above <= mean <= grain.below:
        return 1.0
    return float(2 * stats.t.sf(abs(mean) / math.sqrt(_variance(array, grain)), len(array) - 1))
