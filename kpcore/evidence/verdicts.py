"""From a difference to a verdict: p values, Holm's correction, equivalence, and what would decide an undecided one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from kpcore.evidence.intervals import Spread
from kpcore.tensors import AnyArray, Float64Array

ERROR = 0.05
"""How often a table may tell of any difference that is not there."""
POWER = 0.80
"""How often a difference of the size seen should be told."""
MOST_SEEDS = 100
MOST_SAMPLES = 100
"""Times as many samples as there are."""

Verdict = Literal["positive", "negative", "undecided"]


def p_value(spread: Spread) -> float:
    """Return the two-sided p value that there is no difference, by the t statistic that the interval is made of.

    With C clusters no test by signs gives less than 2^(1 - C); neither does this, so that three images decide nothing.
    """
    if spread.value == 0:
        return 1.0
    statistic = abs(spread.value) / spread.error if spread.variance > 0 else np.inf
    return max(float(2 * stats.t.sf(statistic, spread.freedom)), 2.0 ** (1 - spread.clusters))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values adjusted for being so many (Holm, Scandinavian Journal of Statistics 1979)."""
    order = np.argsort(np.asarray(values), kind="stable")
    factors = len(values) - np.arange(len(values))
    raised = np.maximum.accumulate(np.asarray(values, np.float64)[order] * factors).clip(max=1.0)
    adjusted = np.empty(len(values))
    adjusted[order] = raised
    return [float(value) for value in adjusted]


def verdict(difference: float, adjusted: float, *, higher_is_better: bool) -> Verdict:
    """Return whether a difference is told, and which way it goes: positive is better than the baseline."""
    if not adjusted < ERROR:
        return "undecided"
    return "positive" if (difference > 0) == higher_is_better else "negative"


def no_worse(value: float, error: float, freedom: float, margin: float) -> bool:
    """Whether it is worse than the baseline by less than the margin: by the one-sided 95% limit (non-inferiority).

    Args:
        value: the difference, positive where it is better than the baseline; for "no better" turn its sign.
        error: its standard error.
        freedom: degrees of freedom of that.
        margin: in the metric's unit.
    """
    return value - float(stats.t.ppf(1 - ERROR, freedom)) * error > -margin


def seeds_needed(spread: Spread, level: float = ERROR) -> float | None:
    """Return how many seeds would tell a difference of this size on these samples with 80% power.

    Args:
        spread: of the difference.
        level: of the test; smaller than 5% where a table has several.

    Returns:
        Infinite where no number of seeds would, since the samples alone leave more doubt; None where one seed was run,
        which says nothing of others.
    """
    if spread.seeds < 2 or spread.value == 0:
        return None
    shared, own = _parts(spread)
    counts = np.arange(2, MOST_SEEDS + 1, dtype=np.float64)
    between, sampling = spread.between / counts, shared + own / counts
    enough = _told(spread.value, _both(between, counts - 1, sampling, spread.clusters - 1), level)
    limit = _told(spread.value, _both(np.zeros(1), np.ones(1), np.array([shared]), spread.clusters - 1), level)
    return _first(counts, enough, reachable=bool(limit[0]), beyond=MOST_SEEDS + 1)


def samples_needed(spread: Spread, level: float = ERROR) -> float | None:
    """Return how many times as many samples would tell a difference of this size, with as many seeds.

    Returns:
        Infinite where no number of samples would, since so few seeds leave more doubt; with one seed, doubt about other
        seeds is left out. None where there is no difference.
    """
    if spread.value == 0:
        return None
    shared, own = _parts(spread)
    trainings = max(0.0, spread.between - own) / spread.seeds
    factors = np.concatenate([np.arange(1, 10, 0.1), np.arange(10, MOST_SAMPLES + 1)])
    sampling = (shared + own / spread.seeds) / factors
    between = trainings + (own / spread.seeds / factors if spread.seeds > 1 else np.zeros_like(factors))
    freedom = max(1, spread.seeds - 1) * np.ones_like(factors)
    enough = _told(spread.value, _both(between, freedom, sampling, spread.clusters * factors - 1), level)
    limit = _told(spread.value, (np.array([trainings]), freedom[:1]), level)
    return _first(factors, enough, reachable=bool(limit[0]), beyond=MOST_SAMPLES + 1)


def _first(counts: Float64Array, enough: AnyArray, *, reachable: bool, beyond: float) -> float:
    """Return the first count that is enough; one beyond all where a larger one would be; infinity where none would."""
    if enough.any():
        return float(counts[np.argmax(enough)])
    return beyond if reachable else float("inf")


def _both(
    between: Float64Array, seeds: Float64Array, sampling: Float64Array, clusters: Float64Array | float
) -> tuple[Float64Array, Float64Array]:
    """Return the sums of two variances and their degrees of freedom (Satterthwaite), from those of the parts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total = between + sampling
        freedom = total**2 / (between**2 / seeds + sampling**2 / clusters)
    return total, np.where(total > 0, freedom, 1.0)


def _parts(spread: Spread) -> tuple[float, float]:
    """Return the samples' variance that all trainings share, and that which is each training's own."""
    if spread.seeds < 2:
        return spread.sampling, 0.0
    own = max(0.0, (spread.single - spread.sampling) * spread.seeds / (spread.seeds - 1))
    return max(0.0, spread.sampling - own / spread.seeds), own


def _told(value: float, spread: tuple[Float64Array, Float64Array], level: float) -> AnyArray:
    """Whether a true difference of this value is told with 80% power, by variances and their degrees of freedom."""
    variances, freedom = spread
    reach = stats.t.ppf(1 - level / 2, freedom) + stats.t.ppf(POWER, freedom)
    return np.asarray(abs(value) >= reach * np.sqrt(variances))
