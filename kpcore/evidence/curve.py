"""A score against numbers of images, straight in their logarithm between those tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from kpcore.evidence.intervals import Spread
from kpcore.tensors import AnyArray, Float64Array

GRID = 33
"""Numbers of images, evenly in their logarithm, at which a difference is looked at, besides those that were tried."""


@dataclass(frozen=True, eq=False)
class Curve:
    """What a mode scores with so many images.

    Args:
        images: (P,) different numbers, ascending.
        weights: (P, S): the score with each number is this mean of the S measured ones.
        values: (P,) a monotone curve's scores, none lower than the one before; higher is better.
        fitted: whether the measured ones fell anywhere, so that they were equalled out for it.
    """

    images: Float64Array
    weights: Float64Array
    values: Float64Array
    fitted: bool

    @classmethod
    def of(cls, images: AnyArray, scores: Float64Array) -> Curve:
        """Fit it to S scores, each with its number of images: isotonic regression by least squares.

        Pool adjacent violators (Barlow et al., Statistical Inference under Order Restrictions, 1972); two scores of one
        number of images are one, their mean.
        """
        different, places, counts = np.unique(images, return_inverse=True, return_counts=True)
        means = (places.ravel() == np.arange(len(different))[:, None]) / counts[:, None]
        found = isotonic_regression(means @ scores, weights=counts.astype(np.float64))
        fitted = not np.allclose(found.x, means @ scores)
        return cls(different.astype(np.float64), means, found.x, fitted)

    def at(self, images: float) -> Float64Array:
        """Return (S,): the score with that many images, nothing equalled out, is this mean of the measured ones."""
        logs = np.log(self.images)
        shares = [np.interp(np.log(images), logs, one) for one in np.eye(len(logs))]
        return np.asarray(np.asarray(shares) @ self.weights)

    def reaches(self, score: float) -> float:
        """Return the smallest number of images with this score by the monotone curve; infinity above it, 0 below."""
        place = int(np.searchsorted(self.values, score))
        if place == len(self.values):
            return float("inf")
        if place == 0:
            return float(self.images[0]) if score == self.values[0] else 0.0
        low, high = self.values[place - 1 : place + 1]
        first, last = np.log(self.images[place - 1 : place + 1])
        found = np.exp(first + (score - low) / (high - low) * (last - first))
        return float(found.clip(self.images[place - 1], self.images[place]))  # not beyond them by rounding


Ends = tuple[float | None, float | None]
"""Of an interval of numbers of images; None where it goes on beyond the smallest or the largest that was tried."""


@dataclass(frozen=True, eq=False)
class Against:
    """A mode's score with some images, and the curve of the baseline that it is compared with.

    Args:
        curve: of the baseline.
        values: (1 + S, n) scores of n seeds: the mode's, then the measured ones of the curve.
        covariance: (1 + S, n, 1 + S, n) of their draws.
        clusters: drawn from.
    """

    curve: Curve
    values: Float64Array
    covariance: Float64Array
    clusters: float

    @property
    def equal(self) -> float:
        """The number of images with which the baseline scores as the mode; see :meth:`Curve.reaches`."""
        return self.curve.reaches(float(self.values[0].mean()))

    def given(self, images: float) -> float:
        """Return how far the difference lies outside its 95% interval around 0, with these trainings."""
        values, covariance = self._difference(images)
        return _outside(Spread.given(values.mean(keepdims=True), covariance.mean(keepdims=True), self.clusters))

    def across(self, images: float) -> float:
        """Return the same over other seeds too."""
        return _outside(Spread.given(*self._difference(images), self.clusters))

    def _difference(self, images: float) -> tuple[Float64Array, Float64Array]:
        """Return (n,) differences of the mode and the curve at that many images, and their (n, n) covariance."""
        weights = np.append(1.0, -self.curve.at(images))
        covariance = np.einsum("s,sitj,t->ij", weights, self.covariance, weights)
        return weights @ self.values, covariance

    def ends(self, outside: Callable[[float], float]) -> Ends:
        """Return the numbers of images with which the baseline's score is not told from the mode's.

        From the first to the last whose difference has an interval that holds 0 (inversion of a test, as in Fieller
        1954): nothing is assumed of how the estimated number is spread, and where the baseline may never reach the mode
        there is no end. The difference is that of the measured scores, not of the monotone curve: equalling out looks
        at the scores first, and takes the doubt out of them.

        Args:
            outside: :meth:`given` or :meth:`across`.
        """
        first, last = self.curve.images[[0, -1]]
        found = np.clip(self.equal, first, last)
        grid = np.unique([*np.geomspace(first, last, GRID).clip(first, last), *self.curve.images, found])
        far = np.array([outside(one) for one in grid])
        if first <= self.equal <= last:
            far[grid == found] = min(0.0, *far[grid == found])  # however the scores around it jump
        told = np.flatnonzero(far <= 0)
        if not len(told):
            return (None, float(first)) if self.equal < first else (float(last), None)
        low, high = told[[0, -1]]
        return (
            None if low == 0 or self.equal < first else _root(grid, far, low - 1),
            None if high == len(grid) - 1 or self.equal > last else _root(grid, far, high),
        )


def _outside(spread: Spread) -> float:
    low, high = spread.t_limits()
    return max(low, -high)


def _root(grid: Float64Array, far: Float64Array, place: int) -> float:
    """Return where a straight line between this point of the grid and the next is 0."""
    (first, last), (one, other) = np.log(grid[place : place + 2]), far[place : place + 2]
    return float(np.exp(first + one / (one - other) * (last - first)))
