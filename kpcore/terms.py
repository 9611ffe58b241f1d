"""A score as ratios of sums over samples: what intervals, tests and comparisons are made of.

Most scores are means: of the keypoints' shares of right ones, of faces' errors, of joints' distances. Written as ratios
of two sums over samples they can be made anew for any choice of the samples, by a product of matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kpcore.errors import listed, shown
from kpcore.tensors import Float64Array


@dataclass(frozen=True)
class Composition:
    """How columns and the average are made of ratios; every mean leaves NaN out, and is NaN where all are.

    Args:
        columns: column's name -> places of the ratios whose mean it is.
        average: places of the ratios whose mean it is; or names of columns, whose mean it is then.
    """

    columns: Mapping[str, tuple[int, ...]]
    average: tuple[int, ...] | tuple[str, ...]

    def scores(self, ratios: Float64Array) -> Float64Array:
        """Return (..., C + 1) scores of (..., T) ratios: the columns in their order, and the average."""
        columns = list(np.moveaxis(means(ratios, self.columns), -1, 0))
        by_name = dict(zip(self.columns, columns, strict=True))
        parts = [by_name[one] if isinstance(one, str) else ratios[..., one] for one in self.average]
        empty = np.empty((*ratios.shape[:-1], 0))
        return np.stack([*columns, known_mean(np.stack(parts, -1) if parts else empty)], -1)

    def problem(self, count: int) -> str:
        """Return why it is no composition of so many ratios; "" where it is one."""
        strangers = [one for one in self.average if isinstance(one, str) and one not in self.columns]
        if strangers:
            return f"an average of '{strangers[0]}', expected columns: {listed(self.columns)}"
        used = [place for places in (*self.columns.values(), self.average) for place in places]
        wrong = [place for place in used if not isinstance(place, str) and not 0 <= place < count]
        return f"a place {wrong[0]} of {count} terms" if wrong else ""


@dataclass(frozen=True, eq=False)
class Terms:
    """What every sample adds to a score: each term is a ratio, sum of numerators over sum of denominators.

    A term whose denominators add up to 0 is NaN (nothing was labelled).

    Args:
        numerators: (N, T) float64, finite, in the score's unit: 100 where a keypoint is right and 0 where it is not.
        denominators: (N, T) float64, finite, 0 or more: 1 where it counts.
        columns: column's name -> places along T whose ratios' mean is the column.
        average: places along T whose ratios' mean is the average; or names of columns whose mean it is.
    """

    numerators: Float64Array
    denominators: Float64Array
    columns: Mapping[str, tuple[int, ...]]
    average: tuple[int, ...] | tuple[str, ...]

    @property
    def composition(self) -> Composition:
        """How the scores are made of the ratios."""
        return Composition(self.columns, self.average)

    def scores(self) -> Float64Array:
        """Return (C + 1,) columns in their order and the average, of all samples once."""
        return self.composition.scores(ratios(self.numerators.sum(0), self.denominators.sum(0)))

    def problem(self, samples: int) -> str:
        """Return why these are no terms of so many samples; "" where they are."""
        for name in ("numerators", "denominators"):
            values = getattr(self, name)
            if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.ndim != 2:
                return f"{name} {shown(values)}, expected (N, T) float64"
            if len(values) != samples or not np.isfinite(values).all():
                return f"{name} {shown(values)}, expected finite ones of {samples} samples"
        if self.numerators.shape != self.denominators.shape or (self.denominators < 0).any():
            return f"denominators {shown(self.denominators)}, expected {self.numerators.shape} of 0 or more"
        return self.composition.problem(self.numerators.shape[1])


def ratios(numerators: Float64Array, denominators: Float64Array) -> Float64Array:
    """Return the ratios of sums, NaN where a denominator is 0; the arguments are broadcast."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = numerators / denominators
    return np.where(denominators > 0, found, np.nan)


def means(ratios: Float64Array, columns: Mapping[str, tuple[int, ...]]) -> Float64Array:
    """Return (..., C) means of the ratios (..., T) at each column's places."""
    found = [known_mean(ratios[..., list(places)]) for places in columns.values()]
    return np.stack(found, -1) if found else np.empty((*ratios.shape[:-1], 0))


def known_mean(values: Float64Array) -> Float64Array:
    """Return the mean along the last axis of what is not NaN; NaN where all is."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(-1), known.sum(-1)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))
