"""From a difference to a verdict: p values, Holm's correction, equivalence, and what would decide an undecided one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import optimize, stats

from kpcore.evidence.intervals import Parts, Spread, least_p, reach
from kpcore.tensors import AnyArray, Float64Array

ERROR = 0.05
"""How often a table may tell of any difference that is not there."""
POWER = 0.80
"""How often a difference of the size seen should be told."""
MOST_SEEDS = 100
MOST_SAMPLES = 100
"""Times as many samples as there are."""
SMALLEST = 1e-12
"""No p value below this is told apart from it."""

Verdict = Literal["positive", "negative", "undecided", "identical"]


def p_value(spread: Spread) -> float:
    """Return the two-sided p value that there is no difference: of the interval that just reaches 0.

    With C clusters no test by signs gives less than 2^(1 - C); neither does this, so that three images decide nothing.
    """

    def beyond(power: float) -> float:
        return float(reach(np.exp(power), spread.parts, spread.seeds, spread.clusters)) - abs(spread.value)

    if spread.value == 0:
        return 1.0
    lowest = float(np.log(SMALLEST))
    found = SMALLEST if beyond(lowest) <= 0 else float(np.exp(optimize.brentq(beyond, lowest, 0.0)))
    return max(found, float(least_p(spread.clusters)))


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


def no_worse(spread: Spread, margin: float, *, higher_is_better: bool) -> bool:
    """Whether it is worse than the baseline by less than the margin: by the one-sided 95% limit (non-inferiority)."""
    low, high = spread.t_limits(1 - 2 * ERROR)
    return low > -margin if higher_is_better else high < margin


def equivalent(spread: Spread, margin: float) -> bool:
    """Whether it differs by less than the margin either way: two one-sided tests (Schuirmann 1987)."""
    return all(no_worse(spread, margin, higher_is_better=way) for way in (True, False))


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
    counts = np.arange(2, MOST_SEEDS + 1, dtype=np.float64)
    parts = Parts(spread.trainings / counts, spread.shared, spread.shared + spread.own / counts)
    enough = _told(spread.value, parts, counts, spread.clusters, level)
    limit = _told(spread.value, Parts(np.zeros(1), spread.shared, spread.shared), 2.0, spread.clusters, level)
    return _first(counts, enough, reachable=bool(limit[0]), beyond=MOST_SEEDS + 1)


def samples_needed(spread: Spread, level: float = ERROR) -> float | None:
    """Return how many times as many samples would tell a difference of this size, with as many seeds.

    Returns:
        Infinite where no number of samples would, since so few seeds leave more doubt; with one seed, doubt about other
        seeds is left out. None where there is no difference.
    """
    if spread.value == 0:
        return None
    factors = np.concatenate([np.arange(1, 10, 0.1), np.arange(10, MOST_SAMPLES + 1)])
    kept = max(0.0, spread.trainings - spread.own)
    own = min(spread.own, spread.trainings)  # 0 with one seed
    parts = Parts((kept + own / factors) / spread.seeds, spread.shared / factors, spread.parts.sampling / factors)
    enough = _told(spread.value, parts, spread.seeds, spread.clusters * factors, level)
    endless = Parts(np.array([kept / spread.seeds]), 0.0, 0.0)
    limit = _told(spread.value, endless, spread.seeds, spread.clusters, level)
    return _first(factors, enough, reachable=bool(limit[0]), beyond=MOST_SAMPLES + 1)


def _first(counts: Float64Array, enough: AnyArray, *, reachable: bool, beyond: float) -> float:
    """Return the first count that is enough; one beyond all where a larger one would be; infinity where none would."""
    if enough.any():
        return float(counts[np.argmax(enough)])
    return beyond if reachable else float("inf")


def _told(
    value: float, parts: Parts, seeds: Float64Array | float, clusters: Float64Array | float, level: float
) -> AnyArray:
    """Whether a true difference of this value is told with 80% power."""
    variance = np.maximum(parts.trainings + parts.shared, parts.sampling)
    far = reach(level, parts, seeds, clusters) + stats.norm.ppf(POWER) * np.sqrt(variance)
    return np.asarray((abs(value) >= far) & (least_p(clusters) < level))
