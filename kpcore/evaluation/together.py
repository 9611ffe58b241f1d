"""Scores of several predictions of the same people, put together so that they can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kpcore.errors import KpError
from kpcore.evaluation.clusters import clusters_of
from kpcore.evaluation.score import Result
from kpcore.evaluation.values import row_values, sample_values
from kpcore.records.values import SplitValues
from kpcore.terms import Composition


def together(results: Mapping[str, Result], split: str = "") -> SplitValues:
    """Return what the samples added to every score, a row a name.

    Args:
        results: name -> score, one or more, by one metric on one part.
        split: that was scored, "" for none.

    Raises:
        KpError: they are not of the same people, or not on the same keypoints.
    """
    first_name, first = next(iter(results.items()))
    rows = np.asarray(first.found.truth.rows, np.int64)
    for name, other in results.items():
        if not np.array_equal(rows, other.found.truth.rows):
            raise KpError(
                f"{name} predicts {other.people:,} people and {first_name} {first.people:,}, not the same ones; compare"
                " predictions of the same people, or score each alone"
            )
        if other.found.keypoints.names != first.found.keypoints.names:
            raise KpError(
                f"{name} and {first_name} are scored on other keypoints; score both on those that both predict"
            )
    clusters = clusters_of(first.found.samples)
    values = {name: sample_values(one.found, clusters) for name, one in results.items()}
    base = values[first_name]
    average = () if first.note else base.composition.average  # which has no meaning without a split
    stored = {name: replace(one, scores=np.append(one.scores[:-1], results[name].average))
              for name, one in values.items()}  # fmt: skip
    return SplitValues(
        name=split,
        data=f"{first.data}{f', list {first.listed}' if first.listed else ''}, part {first.part}",
        convention=first.convention,
        higher_is_better=first.found.metric.higher_is_better,
        clusters=clusters,
        samples=rows,
        composition=Composition(base.composition.columns, average),
        groups=base.groups,
        keypoints=base.keypoints,
        rows=tuple(row_values(name, 0, one) for name, one in stored.items()),
    )
