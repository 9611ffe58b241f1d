"""A split's table as plain text, laid out like the paper's Tables 2-5; every format is written from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kpcore.evidence.model import TableEvidence
from kpcore.evidence.whole import Evidence
from kpcore.records.results import AVERAGE, CHANGED, Results, SplitInfo
from kpcore.report.figures import NOTHING, decimals, difference, figure, mean_and_spread
from kpcore.report.shares import share_notes, share_rows
from kpcore.report.spans import compared, remarks, score
from kpcore.report.summary import (
    Estimate,
    below_mean_shape,
    columns_of,
    estimate,
    obstacle,
    to_baseline,
    to_reference,
)

BELOW = "†"
"""Marks the row of a mode that the mean shape is better than."""

MEAN_SHAPE = "Mean shape"
"""Names the row of what the mean shape of the training samples scores."""

Cell = Callable[[str], str]
"""Mode name -> the text of its cell."""


@dataclass(frozen=True)
class Grid:
    """One table: what it shows, the sets it is about, and cells as text; the first column names the row.

    ``scores`` counts the score columns, which follow the first one; the columns after them comment on the average.
    """

    split: str
    title: str
    caption: str
    sets: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    scores: int


def grids(results: Results, evidence: Evidence | None = None) -> list[Grid]:
    """Return one table a split, in the study's order; of several shares of the labels one more, with all of them.

    Args:
        results: of the study.
        evidence: for intervals and verdicts; deviations over seeds where None.
    """
    most = results.shares[0]
    made = []
    for split in results.splits:
        made.append(grid(results.at(most), split, evidence.table(split.name, most) if evidence else None))
        if len(results.shares) > 1:
            made.append(_shares(results, split, evidence))
    return made


def _shares(results: Results, split: SplitInfo, evidence: Evidence | None) -> Grid:
    """Lay out the averages of all shares of the labels."""
    header, rows = share_rows(results, split, evidence)
    return Grid(
        split=split.name,
        title=f"Split {split.name}, by labelled images: {headline(results)}",
        caption=f"Split {split.name}, {results.average_name} by labelled images: {_caption(results)}",
        sets=(),
        header=header,
        rows=tuple(rows),
        notes=tuple(share_notes(results, split, evidence)),
        scores=len(header) - 1,
    )


def grid(results: Results, split: SplitInfo, evidence: TableEvidence | None = None) -> Grid:
    """Lay out the table of one split: a row a mode, a column a report column, then the average and its comparisons.

    A column in which no row has a figure is left out, once anything is scored.

    Args:
        results: of one share of the labels.
        split: of it.
        evidence: of the split; deviations over seeds where None.
    """
    scores = _scores(results, split, evidence)
    columns = {"Mode": _label(results, split), **scores, **_comparisons(results, split, evidence)}
    names = [mode.name for mode in results.modes if results.rows_of(split.name, mode.name)]
    rows = [
        *(tuple(cell(name) for cell in columns.values()) for name in names or results.labels),
        *_mean_shape(results, split, columns),
    ]
    kept = [place for place in range(len(columns)) if not results.conventions or _filled(rows, place)]
    header = [name for place, name in enumerate(columns) if place in kept]
    return Grid(
        split=split.name,
        title=f"Split {split.name}: {headline(results)}",
        caption=f"Split {split.name}: {_caption(results)}",
        sets=_sets(split),
        header=tuple(header),
        rows=tuple(tuple(row[place] for place in kept) for row in rows),
        notes=tuple(_notes(results, split, header, evidence)),
        scores=sum(name in scores for name in header),
    )


def _filled(rows: Iterable[tuple[str, ...]], place: int) -> bool:
    return any(row[place] != NOTHING for row in rows)


def _label(results: Results, split: SplitInfo) -> Cell:
    """A row's name, marked where the mean shape does better."""
    return lambda mode: results.labels[mode] + (f" {BELOW}" if below_mean_shape(results, split, mode) else "")


def _caption(results: Results) -> str:
    """Convention, data, how many samples were scored and the preset: what a reader of the table must know."""
    scored = results.data.people.get("valid")
    parts = [f"{_convention(results)} on {results.data.name}", *([] if scored is None else [f"{scored:,} samples"])]
    return ", ".join([*parts, shortly(results.preset)])


def shortly(preset: str) -> str:
    """Return a preset in few words: what ``--set`` changed is counted; the table's title names it."""
    name, _, keys = preset.partition(CHANGED)
    changed = len(keys.split(", ")) if keys else 0
    return f"preset {name}" + (f" with {changed} setting{'s' * (changed != 1)} changed" if changed else "")


def headline(results: Results) -> str:
    """What the figures are: data set, list, samples, convention and preset, in one line."""
    return f"{results.data.description}; {_convention(results)}; {preset_in_words(results)}"


def _convention(results: Results) -> str:
    convention = " and ".join(results.conventions) or "nothing scored yet"
    return convention + ("" if results.higher_is_better else " (lower is better)")


def preset_in_words(results: Results) -> str:
    """Which settings of the study file were run."""
    return f"preset {results.preset}"


def _scores(results: Results, split: SplitInfo, evidence: TableEvidence | None) -> dict[str, Cell]:
    def cell(column: str) -> Cell:
        if evidence is not None:
            return lambda mode: score(evidence, mode, column, decimals(results))
        return lambda mode: mean_and_spread(estimate(results, split.name, mode, column), decimals(results))

    return {**{name: cell(name) for name in columns_of(results, split)}, _heading(results, split): cell(AVERAGE)}


def _heading(results: Results, split: SplitInfo) -> str:
    """The average's heading, such that no column of the metric's own goes by the same name."""
    taken = results.average_name in columns_of(results, split)
    return f"{results.average_name} (all)" if taken else results.average_name


def _comparisons(results: Results, split: SplitInfo, evidence: TableEvidence | None) -> dict[str, Cell]:
    columns: dict[str, Cell] = {}
    digits = decimals(results)
    if split.reference and not obstacle(results, split):
        columns["Paper avg"] = lambda mode: figure(split.reference.get(mode, {}).get(AVERAGE), digits)
        columns["vs paper"] = lambda mode: difference(to_reference(results, split, mode), digits)
    if _has_baseline(results):
        columns[f"vs {results.baseline}"] = lambda mode: (
            difference(to_baseline(results, split.name, mode), digits)
            if evidence is None
            else compared(evidence, mode, digits)
        )
    columns["Seeds"] = lambda mode: _seeds(results, split.name, mode)
    return columns


def _mean_shape(results: Results, split: SplitInfo, columns: Iterable[str]) -> list[tuple[str, ...]]:
    """The row of the mean shape, where it was scored."""
    if not split.mean_shape:
        return []
    names = {**{name: name for name in columns_of(results, split)}, _heading(results, split): AVERAGE}
    cells = [figure(split.mean_shape.get(names.get(column, "")), decimals(results)) for column in columns]
    return [(MEAN_SHAPE, *cells[1:])]


def _has_baseline(results: Results) -> bool:
    return len(results.modes) > 1 and results.baseline != ""


def _seeds(results: Results, split: str, mode: str) -> str:
    """How many seeds the row's figures come from, and what became of the others."""
    statuses = Counter(row.status for row in results.rows_of(split, mode))
    others = [f"{statuses[status]} {status}" for status in ("failed", "pending") if statuses[status]]
    return ", ".join([str(statuses["done"]), *others])


def _sets(split: SplitInfo) -> tuple[str, ...]:
    lines = [f"S{number}{_from(split, number)}: {', '.join(names)}" for number, names in enumerate(split.steps, 1)]
    if split.extra:
        lines.append(f"Unknown to the last data set: {', '.join(split.extra)}")
    if split.missing:
        lines.append(f"Unknown to the earlier data sets: {', '.join(split.missing)}")
    if split.overlap:
        lines.append(f"In both: {', '.join(split.overlap)}")
    if split.unused:
        lines.append(f"Unused: {', '.join(split.unused)}")
    return tuple(lines)


def _from(split: SplitInfo, number: int) -> str:
    """Which data set a step's samples are from, where there are several."""
    return f" (from {split.datasets[number - 1] or 'own data'})" if split.datasets else ""


def _notes(
    results: Results, split: SplitInfo, header: Iterable[str], evidence: TableEvidence | None
) -> list[str]:  # fmt: skip
    empty = [name for name in columns_of(results, split) if name not in header]
    below = any(below_mean_shape(results, split, mode.name) for mode in results.modes)
    return [
        *([f"{BELOW} worse than the mean shape, which looks at no picture."] if below else []),
        *([f"No figures: {', '.join(empty)}."] if empty else []),
        *_besides(results, split),
        *_leaked(results),
        *_reference_note(results, split),
        *_retained(results, split),
        *(
            _seed_notes(results, split.name, compared=f"vs {results.baseline}" in header)
            if evidence is None
            else [*remarks(results.labels, evidence, decimals(results)), evidence.signature]
        ),
        *_unfinished(results, split.name),
    ]


def _besides(results: Results, split: SplitInfo) -> list[str]:
    """A line on columns of a metric's own beside a split's: none of them enters the average."""
    columns = columns_of(results, split)
    own = [name for name in columns if name in split.columns]
    besides = [name for name in columns if name not in split.columns]
    if not own or not besides:
        return []
    return [
        f"{results.average_name} is made of the keypoints of {', '.join(own)}, not of {' and '.join(besides)}"
        + (f" ({results.legend})." if results.legend else ".")
    ]


def _leaked(results: Results) -> list[str]:
    """One line for every data set in which images that are scored were trained on."""
    return [
        f"{data.name}: {data.leaked:,} training samples are of images that are also scored, the same or nearly, or of"
        " one video with them: scores may be too high."
        for data in (results.data, *results.data.others)
        if data.leaked
    ]


def _retained(results: Results, split: SplitInfo) -> list[str]:
    """One line for every mode and earlier step whose keypoints its networks still predict."""
    digits = decimals(results)
    notes = []
    for mode in results.modes:
        kept = [one for row in results.rows_of(split.name, mode.name) for one in row.retained]
        for step in sorted({one.step for one in kept}):
            found = [one for one in kept if one.step == step]
            now, before = (Estimate.of(getattr(one, name) for one in found) for name in ("average", "before"))
            source = (
                "" if before.mean is None else f"; the network trained on it alone {mean_and_spread(before, digits)}"
            )
            own = f" (its own data, normaliser: {found[0].normaliser})" if found[0].normaliser else ""
            notes.append(f"{results.labels[mode.name]}, on S{step + 1}{own}: {mean_and_spread(now, digits)}{source}.")
    return notes


def _reference_note(results: Results, split: SplitInfo) -> list[str]:
    reason = obstacle(results, split)
    return [f"Paper's figures: not comparable: {reason}."] if split.reference and reason else []


def _seed_notes(results: Results, split: str, *, compared: bool) -> list[str]:
    counts = [estimate(results, split, mode.name, AVERAGE).n for mode in results.modes]
    notes = []
    if any(count > 1 for count in counts):
        notes.append("Mean ± sample standard deviation over seeds.")
    if 1 in counts:
        notes.append("1 seed: no spread; one seed decides nothing.")
    if compared and any(counts):
        notes.append(
            f"vs {results.baseline}: difference of the averages over the seeds that both modes have; it comes without"
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
