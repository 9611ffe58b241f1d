"""How many clusters of equal size the samples of a score are worth, and why, where these are too few for a verdict.

A column that is labelled on three images knows nothing of the other images; a mean to which one video gives half of
the frames is not the mean of twenty videos. Kish, Survey Sampling (1965), sec. 11.7: (sum of weights)^2 / sum of
squared weights; clusters of different size in place of C: Carter, Schnepel and Steigerwald, Asymptotic Behavior of a t
Test Robust to Cluster Heterogeneity, Review of Economics and Statistics 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kpcore.draws import ClusterKind, Clusters
from kpcore.errors import listed
from kpcore.evidence.intervals import few
from kpcore.tensors import Float64Array

DIGITS = 6
LARGE = 2.0
"""Times an equal part, from which on a cluster is named for being large."""


@dataclass(frozen=True, eq=False)
class Effective:
    """Effective numbers of clusters, and what is said where they are few.

    Args:
        numbers: (S,) a score; 0 of one that does not exist.
        reasons: S sentences' ends, "" where a verdict is possible.
    """

    numbers: Float64Array
    reasons: tuple[str, ...]

    def part(self, start: int, stop: int) -> Effective:
        """Return the same of these scores alone."""
        return Effective(self.numbers[start:stop], self.reasons[start:stop])

    @classmethod
    def of_samples(cls, clusters: Clusters, scores: int) -> Effective:
        """Count them for so many scores of which no more is known than their samples."""
        ones = np.ones((len(clusters.of), 1))
        return cls.of(ones, clusters, lambda ratios: np.repeat(ratios, scores, -1))

    @classmethod
    def of(
        cls, denominators: Float64Array, clusters: Clusters, scores: Callable[[Float64Array], Float64Array]
    ) -> Effective:
        """Count them: of a term by its denominators, of a score by its terms' parts in its variance.

        A score's number is the harmonic mean of its terms', weighted by the variance that each gives it where their
        clusters differ alike: a term of few clusters, which an average depends on most, decides.

        Args:
            denominators: (N, T), 0 or more.
            clusters: of the N samples.
            scores: makes (..., S) scores of (..., T) ratios, as means of them.
        """
        sums = clusters.sums(denominators)
        totals = sums.sum(0)
        known = totals > 0
        shares = sums[:, known] / totals[known]
        of_terms = 1 / (shares**2).sum(0)
        unit = np.full((len(of_terms), len(totals)), np.nan)
        unit[:, known] = np.eye(len(of_terms))
        variances = np.nan_to_num(scores(unit)) ** 2 / of_terms[:, None]  # (T, S)
        every = variances.sum(0)
        numbers = np.divide(every, (variances / of_terms[:, None]).sum(0), out=np.zeros(len(every)), where=every > 0)
        numbers = np.round(numbers, DIGITS)
        leading = shares[:, variances.argmax(0)] if len(of_terms) else np.zeros((len(sums), len(every)))
        reasons = (_reason(one, share, clusters.kind) for one, share in zip(numbers, leading.T, strict=True))
        return cls(numbers, tuple(reasons))


def without_verdict(names: Sequence[str], found: Sequence[Effective]) -> Iterator[str]:
    """Yield a sentence a reason, with the scores that have no verdict because of it.

    Args:
        names: of the scores of all that is found, in its order; "" for one that does not exist.
        found: one after the other.
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in zip(names, (reason for one in found for reason in one.reasons), strict=True):
        if reason and name:
            by_reason.setdefault(reason, []).append(name)
    for reason, which in by_reason.items():
        yield f"no verdict on {listed(which)}: {reason}"


def _reason(number: float, shares: Float64Array, kind: ClusterKind) -> str:
    """Return why so few clusters decide nothing; "" where they may, or where there is no score."""
    if number == 0 or not few(number):
        return ""
    there, largest = int((shares > 0).sum()), float(shares.max())
    plural = f"{kind}{'s' * (there != 1)}"
    if there > 1 and largest > LARGE / there:
        return f"one {kind} holds {largest:.0%} of its labels: {there} {plural} are worth {number:.1f} of equal size"
    return f"its labels are on {there} {plural} alone"
