"""Tables for the page: every score with its interval, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from kpcore.evidence.model import Cell, Interval, TableEvidence
from kpcore.records.results import AVERAGE, SplitInfo
from kpcore.report.figures import difference, figure
from kpcore.report.page.folder import Run
from kpcore.report.page.words import SIGNS
from kpcore.report.spans import not_counted
from kpcore.report.summary import below_mean_shape, columns_of, estimate, obstacle, to_reference

SAID = {"positive": "better", "negative": "worse", "undecided": "undecided", "identical": "identical"}


@dataclass(frozen=True)
class Entry:
    """One cell: the figure, what stands below it in small, a verdict, the paper's figure; "" where there is none."""

    value: str
    below: str = ""
    verdict: str = ""
    said: str = ""
    paper: str = ""


@dataclass(frozen=True)
class Line:
    """One row: its name, colour's place (None for what is no mode), cells, and whether the mean shape is better."""

    name: str
    place: int | None
    cells: Sequence[Entry]
    below_shape: bool = False


@dataclass(frozen=True)
class PageTable:
    """One split's table on one share of the labels."""

    split: str
    caption: str
    header: Sequence[str]
    lines: Sequence[Line]
    notes: Sequence[str]


def page_tables(run: Run) -> Iterator[PageTable]:
    """Yield a table a split and share of the labels that has rows."""
    for split in run.splits:
        for share in run.results.shares:
            part = Run(run.name, run.results.at(share), run.evidence, shown=run.shown)
            if part.results.rows_of(split.name):
                yield _table(part, split, share)


def _table(run: Run, split: SplitInfo, share: float) -> PageTable:
    found = run.table(split.name, share)
    columns = [*columns_of(run.results, split), AVERAGE]
    compared = bool(found and found.differences)
    paper = share == 1 and bool(split.reference) and not obstacle(run.results, split)
    names = [mode.name for mode in run.results.modes if run.results.rows_of(split.name, mode.name)]
    header = [
        *(run.results.average_name if column == AVERAGE else column for column in columns),
        *([f"Average, difference to {run.results.labels[run.results.baseline]}"] if compared else []),
        *(["Paper", "vs paper"] if paper else []),
        "Seeds",
    ]
    lines = [_line(run, split, mode, columns, found, compared=compared, paper=paper) for mode in names]
    return PageTable(
        split.name,
        _caption(run, split, share),
        header,
        [*lines, *_mean_shape(run, split, columns, len(header))],
        list(_notes(run, split, found)),
    )


def _caption(run: Run, split: SplitInfo, share: float) -> str:
    convention = " and ".join(run.results.conventions) or "nothing scored yet"
    lower = "" if run.results.higher_is_better else ", lower is better"
    images = next((row.images for row in run.results.rows_of(split.name) if row.images), None)
    labels = "" if share == 1 else f"; {share:.0%} of the labels" + (f", {images:,} images" if images else "")
    return f"Split {split.name}{labels}: {convention}{lower}"


def _line(
    run: Run, split: SplitInfo, mode: str, columns: Sequence[str], table: TableEvidence | None, *, compared: bool,
    paper: bool,
) -> Line:  # fmt: skip
    cells = [_score(run, split, mode, column, table) for column in columns]
    if paper:
        cells = [*map(partial(_beside, run, split, mode), columns, cells)]
    if compared and table:
        cells.append(_difference(run, mode, table))
    if paper:
        published = split.reference.get(mode, {}).get(AVERAGE)
        to_paper = to_reference(run.results, split, mode)
        cells += [Entry(figure(published, run.digits)), Entry(difference(to_paper, run.digits))]
    done = estimate(run.results, split.name, mode, AVERAGE).n
    rows = len(run.results.rows_of(split.name, mode))
    cells.append(Entry(str(done) if done == rows else f"{done} of {rows}"))
    return Line(run.results.labels[mode], run.place(mode), cells, below_mean_shape(run.results, split, mode))


def _score(run: Run, split: SplitInfo, mode: str, column: str, table: TableEvidence | None) -> Entry:
    cell: Cell | None = table.cell(mode, column) if table else None
    if cell is None:
        return Entry(figure(estimate(run.results, split.name, mode, column).mean, run.digits))
    found = table.difference(mode, column) if table else None
    told = found is not None and found.verdict in ("positive", "negative")
    return Entry(
        figure(cell.value, run.digits),
        _limits(cell.interval, run.digits),
        found.verdict if found is not None and told else "",
        f"{SIGNS[found.verdict]} {SAID[found.verdict]}" if found is not None and told else "",
    )


def _beside(run: Run, split: SplitInfo, mode: str, column: str, entry: Entry) -> Entry:
    """Return a score with the paper's; the average's has a column."""
    published = None if column == AVERAGE else split.reference.get(mode, {}).get(column)
    return entry if published is None else replace(entry, paper=figure(published, run.digits))


def _difference(run: Run, mode: str, table: TableEvidence) -> Entry:
    found = table.difference(mode, AVERAGE)
    if found is None:
        return Entry(figure(None, run.digits))
    limits = found.interval
    below = f"{difference(limits.low, run.digits)} to {difference(limits.high, run.digits)}" if limits else ""
    said = f"{SIGNS[found.verdict]} {SAID[found.verdict]}"
    return Entry(difference(found.value, run.digits), below, found.verdict, said)


def _limits(limits: Interval | None, digits: int) -> str:
    return f"{figure(limits.low, digits)} to {figure(limits.high, digits)}" if limits else ""


def _mean_shape(run: Run, split: SplitInfo, columns: Sequence[str], wide: int) -> list[Line]:
    if not split.mean_shape:
        return []
    cells = [Entry(figure(split.mean_shape.get(column), run.digits)) for column in columns]
    return [Line("Mean shape", None, [*cells, *[Entry("")] * (wide - len(columns))])]


def not_beside(run: Run) -> Iterator[str]:
    """Yield why the paper's figures are not beside the scores, a sentence a reason; splits where not all share it."""
    reasons: dict[str, list[str]] = {}
    for split in run.splits:
        if split.reference and (reason := obstacle(run.results, split)):
            reasons.setdefault(reason, []).append(split.name)
    for reason, names in reasons.items():
        where = (
            "these" if len(names) == len(run.splits) else f"those of split{'s' * (len(names) > 1)} {', '.join(names)}"
        )
        yield f"The paper's figures are not beside {where}: not comparable, {reason}."


def _notes(run: Run, split: SplitInfo, table: TableEvidence | None) -> Iterator[str]:
    for row in run.results.rows_of(split.name):
        if row.status == "failed":
            yield f"{run.results.labels[row.mode]}, seed {row.seed} failed: {row.reason}"
    if table is not None:
        yield from not_counted(run.results.labels, table)
        yield from (f"{note[0].upper()}{note[1:]}." for note in table.notes)
    if table is None:
        yield "No intervals: nothing is known of single samples."
