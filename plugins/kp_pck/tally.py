"""Counts of correct and of counted keypoints, and their means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kpcore.errors import KpError
from kpcore.interfaces import Terms
from kpcore.keypoints import Column, KeypointSet
from kpcore.tensors import Float64Array


@dataclass(frozen=True, eq=False)
class Tally:
    """How often each keypoint of a set was right.

    Args:
        keypoints: the set.
        correct: (K,) people in whom it is right.
        counted: (K,) people in whom it is labelled.
    """

    keypoints: KeypointSet
    correct: Float64Array
    counted: Float64Array

    @classmethod
    def of(cls, values: Float64Array, keypoints: KeypointSet, *, threshold: float, strict: bool) -> Tally:
        """Count (N, K) relative distances below the threshold (``strict``), or up to it; NaN is not counted."""
        correct = values < threshold if strict else values <= threshold
        return cls(keypoints, correct.sum(0, dtype=np.float64), (~np.isnan(values)).sum(0, dtype=np.float64))

    def unweighted(self, names: Sequence[str]) -> float:
        """Return the mean of the keypoints' own percentages; those never labelled are left out, NaN where all are."""
        places = list(places_of(self.keypoints, names))
        correct, counted = self.correct[places], self.counted[places]
        return mean_of_known(100 * correct[counted > 0] / counted[counted > 0])

    def weighted(self, names: Sequence[str]) -> float:
        """Return the percentage among all labels of these keypoints; NaN where there are none."""
        places = list(places_of(self.keypoints, names))
        counted = self.counted[places].sum()
        return float(100 * self.correct[places].sum() / counted) if counted else float("nan")


def places_of(keypoints: KeypointSet, names: Sequence[str]) -> tuple[int, ...]:
    """Return the places of these keypoints in the set; raises KpError where one is not in it."""
    strangers = [name for name in names if name not in keypoints]
    if strangers:
        raise KpError(
            f"a column counts {', '.join(strangers)}, which is not among the keypoints that are scored"
            f" ({', '.join(keypoints.names)}); score columns of this set"
        )
    return tuple(keypoints.places(names))


def places_by_column(keypoints: KeypointSet, columns: Iterable[Column]) -> dict[str, tuple[int, ...]]:
    """Return the places of every column's keypoints; raises KpError where one is not in the set."""
    return {column.name: places_of(keypoints, column.keypoints) for column in columns}


def shares(values: Float64Array, *, threshold: float, strict: bool) -> tuple[Float64Array, Float64Array]:
    """Return (N, K) numerators and denominators of the keypoints' percentages, a term a keypoint."""
    correct = values < threshold if strict else values <= threshold
    return 100 * correct.astype(np.float64), (~np.isnan(values)).astype(np.float64)


def with_term(terms: Terms, numerators: Float64Array, denominators: Float64Array) -> Terms:
    """Return the terms with one more, (N,) each, which is the average."""
    return Terms(
        np.column_stack([terms.numerators, numerators]),
        np.column_stack([terms.denominators, denominators]),
        terms.columns,
        (terms.numerators.shape[1],),
    )


def mean_of_known(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN; NaN where there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
