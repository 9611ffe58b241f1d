"""A split's stored values -> cells, differences and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpcore.evidence.counted import ZERO, corrected, standing
from kpcore.evidence.effective import Effective, without_verdict
from kpcore.evidence.intervals import Limits, Spread, few, percentile_error, percentile_limits
from kpcore.evidence.model import Cell, Difference, Interval, Place, TableEvidence
from kpcore.evidence.needed import needed
from kpcore.evidence.resample import RESAMPLES, resampled, same
from kpcore.evidence.signature import signature
from kpcore.evidence.verdicts import p_value, verdict
from kpcore.records.results import AVERAGE
from kpcore.records.values import RowValues, SplitValues
from kpcore.tensors import Float64Array
from kpcore.terms import means, ratios

Key = tuple[str, int]
"""Mode and seed."""
UNBOUNDED = (-np.inf, np.inf)
ROUNDING = 1e-9
"""By which a sample's percentage may miss 100."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Scores of rows, and the same on every draw of the samples.

    Args:
        names: S: of columns, or of groups, or of keypoints.
        rows: R modes and seeds.
        values: (R, S).
        replicates: (B, R, S).
        effective: number of clusters that were drawn from, a name.
        bounds: that no score of any samples can leave.
    """

    names: tuple[str, ...]
    rows: tuple[Key, ...]
    values: Float64Array
    replicates: Float64Array
    effective: Effective
    bounds: Limits = UNBOUNDED

    def seeds(self, *modes: str) -> tuple[int, ...]:
        """Seeds that all these modes have."""
        found = [{seed for mode, seed in self.rows if mode == wanted} for wanted in modes]
        return tuple(sorted(set.intersection(*found)))

    def of(self, mode: str, seeds: Sequence[int], place: int) -> tuple[Float64Array, Float64Array]:
        """Return (n,) values and (B, n) replicates of a mode's seeds, in their order."""
        rows = [self.rows.index((mode, seed)) for seed in seeds]
        return self.values[rows, place], self.replicates[:, rows, place]

    @property
    def existing(self) -> tuple[str, ...]:
        """The names, "" for a score that no row has."""
        there = np.atleast_1d(~np.isnan(self.values).all(0))
        return tuple(name if known else "" for name, known in zip(self.names, there, strict=True))

    def part(self, start: int, stop: int) -> Drawn:
        """Return the same of these names alone."""
        return replace(
            self,
            names=self.names[start:stop],
            values=self.values[:, start:stop],
            replicates=self.replicates[..., start:stop],
            effective=self.effective.part(start, stop),
        )


def drawn(split: SplitValues, rows: Sequence[RowValues], resamples: int = RESAMPLES) -> tuple[Drawn, Drawn, Drawn]:
    """Return the rows' columns with the average, groups and keypoints, on every draw.

    Rows whose metric has no terms have columns alone, as often drawn as they were stored.
    """
    keys = tuple((row.mode, row.seed) for row in rows)
    columns = (*split.composition.columns, AVERAGE)
    stored = [row.replicates for row in rows if row.replicates is not None]
    if stored:
        fewest = min(map(len, stored))
        replicates = np.stack([one[:fewest] for one in stored], 1)
        effective = Effective.of_samples(split.clusters, len(columns))
        every = Drawn(columns, keys, np.stack([row.scores for row in rows]), replicates, effective)
    else:
        every = _from_terms(split, rows, keys, columns, resamples)
    groups = len(columns) + (0 if stored else len(split.groups))
    return every.part(0, len(columns)), every.part(len(columns), groups), every.part(groups, len(every.names))


def _from_terms(
    split: SplitValues, rows: Sequence[RowValues], keys: tuple[Key, ...], columns: tuple[str, ...], resamples: int
) -> Drawn:
    def scores(ratios: Float64Array) -> Float64Array:
        parts = split.composition.scores(ratios), means(ratios, split.groups), means(ratios, split.keypoints)
        return np.concatenate(parts, -1)

    above = np.stack([row.numerators for row in rows if row.numerators is not None])
    every = [row.denominators for row in rows if row.denominators is not None]
    below = np.stack(every[:1] if same(every) else every)
    names = (*columns, *split.groups, *split.keypoints)
    values = scores(ratios(above.sum(1), below.sum(1)))
    replicates = resampled(above, below, split.clusters, scores, resamples)
    bounds = possible(above, below, higher_is_better=split.higher_is_better)
    effective = Effective.of(below.mean(0), split.clusters, scores)
    return Drawn(names, keys, values, replicates, effective, bounds)


def possible(above: Float64Array, below: Float64Array, *, higher_is_better: bool) -> Limits:
    """Return what no score of such samples can leave: 0 where nothing is negative, 100 where it is a percentage.

    A percentage is what is better where it is higher, and of which no sample has more than 100.

    Args:
        above: numerators, as in :class:`~kpcore.terms.Terms`.
        below: denominators, broadcast to them.
        higher_is_better: the metric's direction.
    """
    percentage = higher_is_better and not (above > 100 * (1 + ROUNDING) * below).any()
    return (-np.inf if (above < 0).any() else 0.0), (100.0 if percentage else np.inf)


def table(
    split: SplitValues, rows: Sequence[RowValues], modes: Sequence[str], baseline: str, *,
    versions: Mapping[str, str], resamples: int = RESAMPLES, trainings: bool = True,
) -> TableEvidence:  # fmt: skip
    """Return all that is said of one split's rows.

    Args:
        split: their values.
        rows: of it that make one table, one or more.
        modes: in the order of the table.
        baseline: the mode that the others are compared with, "" where none is.
        versions: that made the rows.
        resamples: draws of the samples.
        trainings: false for predictions from anywhere, whose seeds are not known.
    """
    columns, groups, keypoints = drawn(split, rows, resamples)
    here = [mode for mode in modes if any(row.mode == mode for row in rows)]
    found = tuple(
        differences(one, here, baseline, split.higher_is_better) for one in (columns, groups, keypoints)
    )  # fmt: skip
    return TableEvidence(
        split=split.name,
        labels=rows[0].labels,
        signature=signature(split, rows, len(columns.replicates), versions, trainings=trainings),
        convention=split.convention,
        higher_is_better=split.higher_is_better,
        samples=len(split.samples),
        clusters=len(split.clusters),
        cluster_kind=split.clusters.kind,
        baseline=baseline,
        columns=tuple(split.composition.columns),
        cells=cells(columns, here),
        differences=found[0],
        groups=found[1],
        keypoints=found[2],
        warnings=tuple(_warning(one, baseline) for one in (*found[0], *found[1]) if one.verdict == "negative"),
        notes=tuple(without_verdict([*columns.existing, *groups.existing], [columns.effective, groups.effective])),
    )


def cells(drawn: Drawn, modes: Sequence[str]) -> tuple[Cell, ...]:
    """Return the scores that exist, with their intervals, mode by mode."""
    found = []
    for mode in modes:
        seeds = drawn.seeds(mode)
        for place, name in enumerate(drawn.names):
            values, replicates = drawn.of(mode, seeds, place)
            if not np.isnan(values).any():
                both = intervals(values, replicates, drawn.effective.numbers[place])
                given, across = (_inside(one, drawn.bounds) for one in both)
                found.append(Cell(mode=mode, column=name, seeds=seeds, value=values.mean(), given=given, across=across))
    return tuple(found)


def _inside(one: Interval | None, bounds: Limits) -> Interval | None:
    """Return the part of a score's interval that is possible."""
    return one and Interval(low=max(one.low, bounds[0]), high=min(one.high, bounds[1]))


def intervals(
    values: Float64Array, replicates: Float64Array, clusters: float
) -> tuple[Interval | None, Interval | None]:
    """Return the intervals given the seeds and across them; None where there is none.

    Of few clusters there are too few different draws for percentiles, which end at the outermost: a t interval then.

    Args:
        values: (n,), one a seed.
        replicates: (B, n).
        clusters: drawn from, as many of equal size as they are worth; fewer than two have no interval.
    """
    limits = percentile_limits(replicates.mean(1), clusters) if clusters >= 2 else None
    if limits is None:
        return None, None
    if few(clusters):
        limits = Spread.of(values.mean(keepdims=True), replicates.mean(1, keepdims=True), clusters).t_limits()
    given = Interval(low=limits[0], high=limits[1])
    if len(values) < 2:
        return given, None
    low, high = Spread.of(values, replicates, clusters).t_limits()
    return given, Interval(low=low, high=high)


def differences(
    drawn: Drawn, modes: Sequence[str], baseline: str, higher_is_better: bool
) -> tuple[Difference, ...]:  # fmt: skip
    """Return every mode's differences to the baseline that exist, corrected for being so many."""
    found = [
        one
        for mode in modes
        if mode != baseline and baseline in modes
        for place in range(len(drawn.names))
        if (one := _difference(drawn, mode, baseline, place)) is not None
    ]
    firsts = standing([draws for _, _, draws in found])
    adjusted, level = corrected([one.p for one, _, _ in found], firsts)
    judged = [
        _judged(one, spread, p, level, higher_is_better) for (one, spread, _), p in zip(found, adjusted, strict=True)
    ]
    return tuple(_placed(judged, place, first) for place, first in enumerate(firsts))


def _placed(judged: Sequence[Difference], place: int, first: int) -> Difference:
    """Return a difference that says whether it is zero throughout, or the ``first`` one again."""
    one = judged[place]
    if first == ZERO:
        return one.model_copy(update={"verdict": "identical", "needed": None})
    stands = judged[first]
    return one if first == place else one.model_copy(update={"same_as": Place(mode=stands.mode, column=stands.column)})


def _difference(
    drawn: Drawn, mode: str, baseline: str, place: int
) -> tuple[Difference, Spread, Float64Array] | None:  # fmt: skip
    """Return a difference without a verdict, its spread, and its values above those of its draws.

    None where it does not exist or nothing is known of it.
    """
    seeds = drawn.seeds(mode, baseline)
    clusters = float(drawn.effective.numbers[place])
    if not seeds:
        return None
    (one, ones), (other, others) = (drawn.of(name, seeds, place) for name in (mode, baseline))
    values, replicates = one - other, ones - others
    if np.isnan(values).any():
        return None
    given, across = intervals(values, replicates, clusters)
    if given is None:
        return None
    spread = Spread.of(values, replicates, clusters)
    p = _p(spread, replicates)
    errors = [float(np.sqrt(part)) for part in spread.parts]
    about = Difference(
        mode=mode,
        column=drawn.names[place],
        seeds=seeds,
        value=spread.value,
        given=given,
        across=across,
        seeds_error=errors[0],
        shared_error=errors[1],
        samples_error=errors[2],
        clusters=clusters,
        p=p,
        adjusted=p,
        verdict="undecided",
        scope="across seeds" if across else "these trainings",
    )
    return about, spread, np.vstack([values, replicates])


def _p(spread: Spread, replicates: Float64Array) -> float:
    """Return the p value: of one seed not less than that of the percentile interval, which is what is printed of it."""
    if spread.seeds > 1 or few(spread.clusters):
        return p_value(spread)
    return max(p_value(spread), percentile_error(replicates[:, 0], spread.clusters))


def _judged(one: Difference, spread: Spread, adjusted: float, level: float, higher_is_better: bool) -> Difference:
    """Return the difference with its verdict; ``level`` is that of the hardest of the table."""
    found = verdict(spread.value, adjusted, higher_is_better=higher_is_better)
    if one.interval and one.interval.low <= 0 <= one.interval.high:  # as printed
        found = "undecided"
    more = needed(spread, level) if found == "undecided" else None
    return Difference(**{**dict(one), "adjusted": adjusted, "verdict": found, "needed": more})


def _warning(one: Difference, baseline: str) -> str:
    limits = f" ({one.interval.low:+.1f} to {one.interval.high:+.1f})" if one.interval else ""
    figures = f"{one.value:+.1f}{limits}".replace("-", "−")
    return f"{one.mode} is worse than {baseline} at {one.column}: {figures}"
