"""What single samples add to a score: a metric's terms, checked; or its scores on drawn images, where it has none."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpcore.draws import Clusters, draws
from kpcore.errors import ContractError, shown
from kpcore.evaluation.score import Scored
from kpcore.keypoints import Column, default_columns
from kpcore.records.values import RowValues
from kpcore.tensors import AnyArray, Float64Array
from kpcore.terms import Composition, Terms

RESAMPLES = 1_000
"""Draws that a metric without terms is scored on."""
TOLERANCE = 1e-9
"""Terms give the score to this much, in its unit or of itself."""

Places = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class SampleValues:
    """One score, made of its samples.

    Args:
        scores: (S,) columns and the average.
        composition: how they are made of T terms; columns without places where there are none.
        groups: joint group -> places of its mean, of groups that no column is made of.
        keypoints: keypoint -> places of its mean.
        terms: numerators and denominators (N, T); None where the metric has none.
        replicates: (B, S) scores of draws of the clusters; None where there are terms.
    """

    scores: Float64Array
    composition: Composition
    groups: Places
    keypoints: Places
    terms: Terms | None = None
    replicates: Float64Array | None = None


def sample_values(scored: Scored, clusters: Clusters, resamples: int = RESAMPLES) -> SampleValues:
    """Return what a score is made of.

    Args:
        scored: the score.
        clusters: of its samples.
        resamples: draws, for a metric without terms.

    Raises:
        ContractError: the metric's terms are none, or do not give its score.
        KpError: as the metric raises.
    """
    scores = np.array([*scored.scores.columns.values(), scored.scores.average], np.float64)
    terms = _score_terms(scored)
    if terms is None:
        names: dict[str, tuple[int, ...]] = dict.fromkeys(scored.scores.columns, ())
        return SampleValues(scores, Composition(names, ()), {}, {}, replicates=_rescored(scored, clusters, resamples))
    terms = _in_order(scored, terms, scores)
    terms, groups = _with(terms, scored, _other_groups(scored))
    terms, keypoints = _with(terms, scored, [Column(name, (name,)) for name in scored.keypoints.names])
    return SampleValues(scores, terms.composition, groups, keypoints, terms=terms)


def row_values(mode: str, seed: int, values: SampleValues, labels: float = 1.0) -> RowValues:
    """Return a row as it is stored; ``labels`` is the share of the labels that it was trained on."""
    terms = values.terms
    return RowValues(
        mode=mode,
        seed=seed,
        scores=values.scores,
        numerators=terms.numerators if terms else None,
        denominators=terms.denominators if terms else None,
        replicates=values.replicates,
        labels=labels,
    )


def _score_terms(scored: Scored) -> Terms | None:
    """Return the terms of the columns and of the metric's aspects.

    None where there are none, or where an aspect's column would be a mean of means, which no composition holds.
    """
    terms = checked_terms(scored, scored.columns)
    for name, values in scored.aspects.items():
        more = checked_terms(scored, scored.columns, values)
        if terms is None or more is None or any(isinstance(place, str) for place in more.average):
            return None
        terms = _with_average(terms, name, more)
    return terms


def _with_average(terms: Terms, name: str, more: Terms) -> Terms:
    """Return the terms with the average of others as one more column."""
    count = terms.numerators.shape[1]
    used = [place for place in more.average if isinstance(place, int)]
    return replace(
        terms,
        numerators=np.column_stack([terms.numerators, more.numerators[:, used]]),
        denominators=np.column_stack([terms.denominators, more.denominators[:, used]]),
        columns={**terms.columns, name: tuple(range(count, count + len(used)))},
    )


def checked_terms(scored: Scored, columns: Sequence[Column], values: Float64Array | None = None) -> Terms | None:
    """Return the metric's terms for these columns, of the score's values where none are given.

    Raises:
        ContractError: they are none.
    """
    metric = scored.metric
    terms = metric.terms(scored.values if values is None else values, scored.truth, scored.keypoints, columns)
    if terms is None:
        return None
    if not isinstance(terms, Terms):
        raise ContractError(metric, "terms()", f"{shown(terms)}, expected Terms or None")
    if problem := terms.problem(len(scored.truth)):
        raise ContractError(metric, "terms()", problem)
    return terms


def _in_order(scored: Scored, terms: Terms, scores: Float64Array) -> Terms:
    """Return the terms with their columns in the order of the score, which they must give."""
    names = scored.scores.columns
    if set(names) != set(terms.columns):
        problem = f"columns {', '.join(terms.columns)}, expected {', '.join(names)}, as score() gives"
        raise ContractError(scored.metric, "terms()", problem)
    ordered = replace(terms, columns={name: terms.columns[name] for name in names})
    found = ordered.scores()
    if not np.allclose(found, scores, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        place = int(np.argmax(~np.isclose(found, scores, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)))
        problem = (
            f"{found[place]:.10g} for '{(*names, 'average')[place]}', expected {scores[place]:.10g}, as score() gives"
        )
        raise ContractError(scored.metric, "terms()", problem)
    return ordered


def _other_groups(scored: Scored) -> list[Column]:
    """Return a column a joint group of which the score has none."""
    sets = [set(column.keypoints) for column in scored.columns]
    return [
        group
        for group in default_columns(scored.keypoints)
        if group.name not in scored.scores.columns and set(group.keypoints) not in sets
    ]


def _with(terms: Terms, scored: Scored, columns: Sequence[Column]) -> tuple[Terms, Places]:
    """Return the terms with those of more columns, and where these are; none where the metric has its own columns."""
    more = checked_terms(scored, columns) if columns else None
    if more is None or not all(column.name in more.columns for column in columns):
        return terms, {}
    above, below = terms.numerators, terms.denominators
    places = {}
    for place in sorted({place for column in columns for place in more.columns[column.name]}):
        one, other = more.numerators[:, place], more.denominators[:, place]
        same = np.flatnonzero((above == one[:, None]).all(0) & (below == other[:, None]).all(0))
        places[place] = int(same[0]) if same.size else above.shape[1]
        if not same.size:
            above, below = np.column_stack([above, one]), np.column_stack([below, other])
    found = {column.name: tuple(places[place] for place in more.columns[column.name]) for column in columns}
    return replace(terms, numerators=above, denominators=below), found


def _rescored(scored: Scored, clusters: Clusters, resamples: int) -> Float64Array:
    """Return (B, S) scores of draws of the clusters."""
    counts = np.concatenate(list(draws(len(clusters), resamples)))[:, clusters.of]
    metric, wanted = scored.metric, (resamples, len(scored.scores.columns) + 1)
    found = metric.rescored(
        scored.predicted, scored.confidence, scored.truth, scored.keypoints, scored.columns, counts
    )  # fmt: skip
    if found is None:
        with warnings.catch_warnings():  # of what a draw happens to have no labels
            warnings.simplefilter("ignore", RuntimeWarning)
            found = np.stack([_score_of(scored, count) for count in counts])
    if not isinstance(found, np.ndarray) or found.shape != wanted or found.dtype != np.float64:
        raise ContractError(metric, "rescored()", f"{shown(found)}, expected {wanted} float64")
    return found


def _score_of(scored: Scored, counts: AnyArray) -> Float64Array:
    """Return (S,) scores of one draw; an image that is drawn twice is two images."""
    places = np.repeat(np.arange(len(counts)), counts)
    copies = np.concatenate([np.arange(count) for count in counts])
    people = scored.truth.take(places.tolist())
    names = tuple(f"{name}#{copy}" for name, copy in zip(people.image_ids, copies, strict=True))
    surer = None if scored.confidence is None else scored.confidence[places]
    found = scored.metric.score(
        scored.predicted[places], surer, replace(people, image_ids=names), scored.keypoints, scored.columns
    )
    return np.array([*(found.columns[name] for name in scored.scores.columns), found.average], np.float64)
