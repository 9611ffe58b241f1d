"""A split's table as plain text, laid out like the paper's Tables 2-5; every format is written from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from kpcore.report.summary import BASELINE, Estimate, columns_of, estimate, obstacle, to_baseline, to_reference
from kpcore.study.results import AVERAGE, Results, SplitInfo

NOTHING = "–"
"""Stands in a cell that has no figure."""

Cell = Callable[[str], str]
"""Mode name -> the text of its cell."""


@dataclass(frozen=True)
class Grid:
    """One table: what it shows, the sets it is about, and cells as text; the first column names the row.

    ``scores`` counts the score columns, which follow the first one; the columns after them comment on the average.
    """

    split: str
    title: str
    sets: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    scores: int


def grids(results: Results) -> list[Grid]:
    """Return one table a split, in the study's order."""
    return [grid(results, split) for split in results.splits]


def grid(results: Results, split: SplitInfo) -> Grid:
    """Lay out the table of one split: a row a mode, a column a report column, then the average and its comparisons."""
    scores = _scores(results, split)
    columns = {"Mode": results.labels.__getitem__, **scores, **_comparisons(results, split)}
    return Grid(
        split=split.name,
        title=f"Split {split.name}: {headline(results)}",
        sets=_sets(split),
        header=tuple(columns),
        rows=tuple(tuple(cell(mode.name) for cell in columns.values()) for mode in results.modes),
        notes=tuple(_notes(results, split)),
        scores=len(scores),
    )


def headline(results: Results) -> str:
    """What the figures are: data set, list, people, convention and preset, in one line."""
    convention = " and ".join(results.conventions) or "nothing scored yet"
    return f"{results.data.description}; {convention}; {preset_in_words(results)}"


def preset_in_words(results: Results) -> str:
    """Which settings of the study file were run."""
    return f"preset {results.preset}"


def one_decimal(value: float | None) -> str:
    """A figure as tables print it."""
    return NOTHING if value is None else f"{value:.1f}".replace("-", "−")


def difference(value: float | None) -> str:
    """A signed figure; what rounds to nothing has no sign."""
    if value is None:
        return NOTHING
    return "0.0" if round(value, 1) == 0 else f"{value:+.1f}".replace("-", "−")


def mean_and_spread(found: Estimate) -> str:
    """Mean ± sample standard deviation; the mean alone where there is one seed."""
    spread = "" if found.spread is None else f" ± {found.spread:.1f}"
    return one_decimal(found.mean) + spread


def _scores(results: Results, split: SplitInfo) -> dict[str, Cell]:
    def cell(column: str) -> Cell:
        return lambda mode: mean_and_spread(estimate(results, split.name, mode, column))

    return {**{name: cell(name) for name in columns_of(results, split)}, "Average": cell(AVERAGE)}


def _comparisons(results: Results, split: SplitInfo) -> dict[str, Cell]:
    columns: dict[str, Cell] = {}
    if split.reference:
        columns["Paper avg"] = lambda mode: one_decimal(split.reference.get(mode, {}).get(AVERAGE))
        columns["vs paper"] = lambda mode: difference(to_reference(results, split, mode))
    if _has_baseline(results):
        columns[f"vs {BASELINE}"] = lambda mode: difference(to_baseline(results, split.name, mode))
    columns["Seeds"] = lambda mode: _seeds(results, split.name, mode)
    return columns


def _has_baseline(results: Results) -> bool:
    return len(results.modes) > 1 and any(mode.name == BASELINE for mode in results.modes)


def _seeds(results: Results, split: str, mode: str) -> str:
    """How many seeds the row's figures come from, and what became of the others."""
    statuses = Counter(row.status for row in results.rows_of(split, mode))
    others = [f"{statuses[status]} {status}" for status in ("failed", "pending") if statuses[status]]
    return ", ".join([str(statuses["done"]), *others])


def _sets(split: SplitInfo) -> tuple[str, ...]:
    lines = [f"S{number}: {', '.join(names)}" for number, names in enumerate(split.steps, 1)]
    if split.overlap:
        lines.append(f"In both: {', '.join(split.overlap)}")
    if split.unused:
        lines.append(f"Unused: {', '.join(split.unused)}")
    return tuple(lines)


def _notes(results: Results, split: SplitInfo) -> list[str]:
    return [*_reference_note(results, split), *_seed_notes(results, split.name), *_unfinished(results, split.name)]


def _reference_note(results: Results, split: SplitInfo) -> list[str]:
    reason = obstacle(results, split)
    return [f"Paper's figures: not comparable: {reason}."] if split.reference and reason else []


def _seed_notes(results: Results, split: str) -> list[str]:
    counts = [estimate(results, split, mode.name, AVERAGE).n for mode in results.modes]
    notes = []
    if any(count > 1 for count in counts):
        notes.append("Mean ± sample standard deviation over seeds.")
    if 1 in counts:
        notes.append("1 seed: no spread; one seed decides nothing.")
    if _has_baseline(results) and any(counts):
        notes.append(
            f"vs {BASELINE}: difference of the averages over the seeds that both modes have; it comes without"
            " an interval and shows no effect by itself."
        )
    return notes


def _unfinished(results: Results, split: str) -> list[str]:
    """One line for every row that has no score."""
    return [
        f"{results.labels[row.mode]}, seed {row.seed}: {row.status}" + (f": {row.reason}" if row.reason else "")
        for row in results.rows_of(split)
        if row.status != "done"
    ]
