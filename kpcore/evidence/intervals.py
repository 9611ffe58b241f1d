"""95% intervals: given the trainings as they are, and across trainings of other seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from kpcore.tensors import Float64Array

LEVEL = 0.95
MOST_UNKNOWN = 0.05
"""Share of draws, at most, in which a score may not exist (nobody with that keypoint was drawn)."""

Limits = tuple[float, float]


@dataclass(frozen=True)
class Spread:
    """A mean over n trainings, and how far it may be off.

    Args:
        value: the mean over seeds: of scores, or of differences paired by seed.
        seeds: n.
        clusters: of samples.
        between: variance of one training's value among seeds, on these samples; 0 where n = 1.
        sampling: variance of the mean over seeds among draws of the samples.
        single: the same of one seed's value, the mean over seeds.
    """

    value: float
    seeds: int
    clusters: int
    between: float
    sampling: float
    single: float

    @classmethod
    def of(cls, values: Float64Array, replicates: Float64Array, clusters: int) -> Spread:
        """Take it down from (n,) values and their (B, n) replicates.

        The bootstrap's variance is too small by (C - 1) / C, as that of a sample divided by its size is (Hesterberg
        2015, sec. 4.2); it is put right here.
        """
        known = replicates[~np.isnan(replicates).any(1)]
        factor = clusters / (clusters - 1)
        return cls(
            value=float(values.mean()),
            seeds=len(values),
            clusters=clusters,
            between=float(values.var(ddof=1)) if len(values) > 1 else 0.0,
            sampling=factor * float(known.mean(1).var(ddof=1)),
            single=factor * float(known.var(0, ddof=1).mean()),
        )

    @property
    def variance(self) -> float:
        """Variance of the mean over seeds and samples.

        The samples' share that differs from seed to seed is in both parts: the interval is a little too wide.
        """
        return self.between / self.seeds + self.sampling

    @property
    def error(self) -> float:
        """Standard error: the root of the variance."""
        return float(self.variance**0.5)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of that variance (Satterthwaite, Biometrics 1946): n - 1 and C - 1 of its two parts."""
        parts = [(self.sampling, self.clusters - 1)]
        if self.seeds > 1:
            parts.append((self.between / self.seeds, self.seeds - 1))
        below = sum(part**2 / freedom for part, freedom in parts)
        return self.variance**2 / below if below > 0 else float(self.clusters - 1)

    def t_limits(self, level: float = LEVEL) -> Limits:
        """Return the limits of the t interval."""
        reach = float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.error
        return self.value - reach, self.value + reach


def percentile_limits(replicates: Float64Array, clusters: int, level: float = LEVEL) -> Limits | None:
    """Return the expanded percentile interval of (B,) replicates; None where too many of them do not exist.

    Percentiles alone are too narrow where clusters are few; taken further out they have the length of a t interval
    (Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 2015, sec. 5.3).
    """
    known = replicates[~np.isnan(replicates)]
    if len(known) < (1 - MOST_UNKNOWN) * len(replicates):
        return None
    tail = expanded_tail(clusters, level)
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def expanded_tail(clusters: int, level: float = LEVEL) -> float:
    """Return the share to be cut off at either end, a little less than (1 - level) / 2."""
    quantile = float(stats.t.ppf((1 + level) / 2, clusters - 1))
    return float(stats.norm.cdf(-((clusters / (clusters - 1)) ** 0.5) * quantile))
