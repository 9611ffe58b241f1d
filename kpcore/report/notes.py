"""What is said below the curves: what is marked, what is averaged, and where two metrics disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from kpcore.records.results import AVERAGE, HistoryRecord, Results, SplitInfo
from kpcore.report.summary import Estimate, estimate

Histories = Mapping[str, Sequence[HistoryRecord]]
"""Job key -> its epochs, in order; a job that has not begun may be absent."""

MOST = 3
"""Pairs of modes that a note names; the rest are counted."""


def footnotes(results: Results, histories: Histories) -> list[str]:
    """Return the notes of the figure, each a paragraph."""
    return [
        _marks(results),
        *(_averaged(split) for split in results.splits if split.averaged),
        *(note for split in results.splits for note in _disagreement(results, split, histories)),
    ]


def scored_values(results: Results, histories: Histories, split: str, mode: str) -> Estimate:
    """Summarise what validation read at the scored epochs of a mode's finished seeds."""
    return Estimate.of(
        record.validation
        for row in results.rows_of(split, mode)
        if row.status == "done"
        for record in histories.get(row.job, ())
        if record.epoch == row.scored_epoch
    )


def _marks(results: Results) -> str:
    seeds = len({row.seed for row in results.rows})
    band = (
        "line: mean over seeds; band: their range; thin line: a seed that ran longer"
        if seeds > 1
        else "1 seed: no spread"
    )
    unfinished = sum(row.status != "done" for row in results.rows)
    missing = f"; {unfinished} of {len(results.rows)} runs not finished" if unfinished else ""
    return f"Dot: the epoch whose network was scored; {band}{missing}."


def _averaged(split: SplitInfo) -> str:
    return f"Split {split.name} averages {', '.join(split.averaged)}."


def _disagreement(results: Results, split: SplitInfo, histories: Histories) -> list[str]:
    """A note where validation puts one mode above another and the final score puts it below."""
    pairs = [
        f"{results.labels[above]} above {results.labels[below]}" for above, below in _ordered(results, split, histories)
    ]
    if not pairs:
        return []
    more = f", and {len(pairs) - MOST} more" if len(pairs) > MOST else ""
    final = " and ".join(results.conventions)
    return [
        f"Split {split.name}: validation ranks {', '.join(pairs[:MOST])}{more}; the final score ({final}) does not."
    ]


def _ordered(results: Results, split: SplitInfo, histories: Histories) -> list[tuple[str, str]]:
    """Pairs of modes (above, below) by validation that the final averages put the other way round."""
    found = []
    for one, other in combinations([mode.name for mode in results.modes], 2):
        seen = _sign(
            scored_values(results, histories, split.name, one).mean,
            scored_values(results, histories, split.name, other).mean,
            results.validation_higher_is_better,
        )
        final = _sign(
            estimate(results, split.name, one, AVERAGE).mean,
            estimate(results, split.name, other, AVERAGE).mean,
            results.higher_is_better,
        )
        if seen * final < 0:
            found.append((one, other) if seen > 0 else (other, one))
    return found


def _sign(one: float | None, other: float | None, higher_is_better: bool) -> int:
    """1 where the first is better, -1 where the second is, 0 where they are equal or one is absent."""
    if one is None or other is None:
        return 0
    return ((one > other) - (one < other)) * (1 if higher_is_better else -1)
