"""95% intervals: given the trainings as they are, and across trainings of other seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from kpcore.tensors import Float64Array

LEVEL = 0.95
MOST_UNKNOWN = 0.05
"""Share of draws, at most, in which a score may not exist (nobody with that keypoint was drawn)."""

Limits = tuple[float, float]


@dataclass(frozen=True)
class Spread:
    """A mean over n trainings, and what moves it: other samples, and other seeds.

    Args:
        value: the mean over seeds: of scores, or of differences paired by seed.
        seeds: n.
        clusters: C, of samples: how many of equal size they are worth, see :mod:`kpcore.evidence.effective`.
        trainings: variance of one training's value among seeds, on these samples; 0 where n = 1.
        shared: variance among draws of the samples that all seeds share: the mean covariance of two seeds' values, and
            with one seed the variance of its value.
        own: variance among draws that is each training's own; it is in ``trainings`` too.
    """

    value: float
    seeds: int
    clusters: float
    trainings: float
    shared: float
    own: float

    @classmethod
    def of(cls, values: Float64Array, replicates: Float64Array, clusters: float) -> Spread:
        """Take it down from (n,) values and their (B, n) replicates."""
        return cls.given(values, covariance(replicates, clusters), clusters)

    @classmethod
    def given(cls, values: Float64Array, covariance: Float64Array, clusters: float) -> Spread:
        """Take it down from (n,) values and the (n, n) covariance of their draws; see :func:`covariance`."""
        seeds = len(values)
        single = float(np.trace(covariance)) / seeds
        if seeds == 1:
            return cls(float(values[0]), 1, clusters, 0.0, single, 0.0)
        shared = max(0.0, float(covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1)))
        return cls(float(values.mean()), seeds, clusters, float(values.var(ddof=1)), shared, max(0.0, single - shared))

    @property
    def parts(self) -> Parts:
        """What the mean's variance is made of."""
        return Parts(self.trainings / self.seeds, self.shared, self.shared + self.own / self.seeds)

    def t_limits(self, level: float = LEVEL) -> Limits:
        """Return the limits of the interval over other seeds and samples; of one seed, over other samples."""
        far = float(reach(1 - level, self.parts, self.seeds, self.clusters))
        return self.value - far, self.value + far


def covariance(replicates: Float64Array, clusters: float) -> Float64Array:
    """Return the (n, n) covariance of (B, n) replicates, of draws in which all of them exist.

    The bootstrap's variance is too small by (C - 1) / C, as that of a sample divided by its size is (Hesterberg 2015,
    sec. 4.2); it is put right here.
    """
    known = replicates[~np.isnan(replicates).any(1)]
    return np.atleast_2d(np.cov(known, rowvar=False)) * clusters / (clusters - 1)


class Parts(NamedTuple):
    """Variances of a mean over seeds.

    Args:
        trainings: of its trainings, with all that is their own, as the seeds show it.
        shared: of the samples, as far as they move all trainings alike.
        sampling: of the samples, given these trainings: a part of both.
    """

    trainings: Float64Array | float
    shared: Float64Array | float
    sampling: Float64Array | float


def reach(
    error: Float64Array | float, parts: Parts, seeds: Float64Array | float, clusters: Float64Array | float
) -> Float64Array:
    """Return how far an interval goes to either side; the arguments are broadcast.

    Trainings and shared samples have a t interval each, with n - 1 and C - 1 degrees of freedom; the squares of their
    reaches add up (Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine
    2008). Adding variances first, with Satterthwaite's degrees of freedom, covers too little: three seeds that happen
    to agree then count as proof that all would. It never goes less far than that of these trainings alone, which is
    all that there is with one seed.

    Args:
        error: share that the interval may miss, both sides together.
        parts: of the mean's variance.
        seeds: n.
        clusters: C.
    """
    of_seeds = special.stdtrit(np.maximum(1.0, np.asarray(seeds) - 1.0), np.asarray(error) / 2)
    of_samples = special.stdtrit(np.asarray(clusters) - 1.0, np.asarray(error) / 2)
    across = of_seeds**2 * parts.trainings + of_samples**2 * parts.shared
    return np.asarray(np.sqrt(np.maximum(across, of_samples**2 * parts.sampling)))


def percentile_limits(replicates: Float64Array, clusters: float, level: float = LEVEL) -> Limits | None:
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


def expanded_tail(clusters: float, level: float = LEVEL) -> float:
    """Return the share to be cut off at either end, a little less than (1 - level) / 2."""
    quantile = float(stats.t.ppf((1 + level) / 2, clusters - 1))
    return float(stats.norm.cdf(-((clusters / (clusters - 1)) ** 0.5) * quantile))


def percentile_error(replicates: Float64Array, clusters: float) -> float:
    """Return the share that the expanded percentile interval may miss when it just reaches 0: the p value of it.

    0 where no draw is on the other side.
    """
    known = replicates[~np.isnan(replicates)]
    beyond = min(0.5, float((known <= 0).mean()), float((known >= 0).mean()))
    shrunk = -stats.norm.ppf(beyond) * ((clusters - 1) / clusters) ** 0.5
    return float(2 * stats.t.sf(shrunk, clusters - 1))


def least_p(clusters: Float64Array | float) -> Float64Array:
    """Return the smallest p value of a test by signs, 2^(1 - C): with fewer clusters no test is believed more."""
    return np.asarray(2.0 ** (1 - np.asarray(clusters, np.float64)))


def few(clusters: float) -> bool:
    """Whether so few clusters decide nothing, however they come out."""
    return bool(least_p(clusters) >= 1 - LEVEL)
