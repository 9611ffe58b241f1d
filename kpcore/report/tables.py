"""The tables of a study, one a split, in the paper's layout: Markdown, LaTeX and tidy CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kpcore.errors import visible
from kpcore.evidence.model import TableEvidence
from kpcore.evidence.whole import Evidence
from kpcore.records.results import AVERAGE, DECIMALS, Results, SplitInfo
from kpcore.report.files import csv_text, save
from kpcore.report.grid import Grid, grids, headline
from kpcore.report.latex import escape, labels, latex_table
from kpcore.report.summary import below_mean_shape, columns_of, estimate, obstacle

Line = tuple[object, ...]
"""One line of the CSV, in the order of its header."""

MARKUP = re.compile(r"([\\|`*<>\[\]&~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""What Markdown reads as markup; an underscore within a word is none."""
AGAINST = "vs baseline"
"""The statistic of a difference to the baseline; that to published figures has a column."""
CSV_HEADER = (
    "split", "mode", "labels", "seed", "column", "statistic", "value", "seeds", "paper", "difference", "convention",
    "data", "preset", "status", "note",
)  # fmt: skip


def write_tables(results: Results, folder: Path, evidence: Evidence | None = None) -> list[Path]:
    """Write ``tables.md``, ``tables.tex`` and ``tables.csv``; return their paths.

    Args:
        results: of the study.
        folder: the study's.
        evidence: for intervals and verdicts; deviations over seeds where None.

    Raises:
        KpError: the folder cannot be written.
    """
    texts = {
        "tables.md": markdown(results, evidence),
        "tables.tex": latex(results, evidence),
        "tables.csv": csv_table(results, evidence),
    }
    return [save(folder / name, text.encode()) for name, text in texts.items()]


def markdown(results: Results, evidence: Evidence | None = None) -> str:
    """Return all tables as GitHub-flavoured Markdown."""
    parts = [f"# {_markdown_text(results.study)}", *(_markdown_table(grid) for grid in grids(results, evidence))]
    return "\n\n".join(parts) + "\n"


def latex(results: Results, evidence: Evidence | None = None) -> str:
    """Return all tables as LaTeX; the document that takes them in needs the package ``booktabs``."""
    opening = f"% {escape(results.study)}: {escape(headline(results))}\n% needs \\usepackage{{booktabs}}"
    made = grids(results, evidence)
    names = labels(results.study, [grid.split for grid in made])
    return "\n\n".join([opening, *map(latex_table, made, names)]) + "\n"


def csv_table(results: Results, evidence: Evidence | None = None) -> str:
    """Return the figures, unrounded: a line a split, mode, seed and column, then what holds over seeds.

    ``statistic`` is "value" for one seed; a row that is not done has such lines without values. "mean" and "sd" are
    over the ``seeds`` that are done, the sample standard deviation (ddof = 1) where there are two or more; "mean shape"
    is what the mean shape of the training samples scores. With evidence "low" and "high" are the 95% limits of the
    mean, and "vs baseline" with its own limits and "p" (after Holm's correction) compare it with the baseline's; the
    note of the first is the verdict. "note" has no value: it says once what holds for the split.
    """
    lines = [
        line
        for split in results.splits
        for share in results.shares
        for line in _lines(results.at(share), split, share, evidence)
    ]
    return csv_text(CSV_HEADER, lines)


def _lines(results: Results, split: SplitInfo, share: float, evidence: Evidence | None) -> Iterator[Line]:
    """Yield a split's lines of one share of the labels, which stands behind the mode in all of them."""
    table = evidence.table(split.name, share) if evidence else None
    parts = [_values(results, split), _means(results, split), _limits(results, table), _shape(results, split)]
    for part in [*parts, _remark(results, split)]:
        for line in part:
            yield (*line[:2], share, *line[2:])


def _limits(results: Results, table: TableEvidence | None) -> Iterator[Line]:
    """What is known of the means, and of their differences to the baseline's."""
    if table is None:
        return
    for cell in table.cells:
        found = {"low": cell.interval.low, "high": cell.interval.high} if cell.interval else {}
        for name, value in found.items():
            place = (table.split, cell.mode, None, cell.column, name)
            yield _summary(results, place, (value, len(cell.seeds), None, None))
    for one in table.differences:
        limits = one.interval
        found = {f"{AGAINST} low": limits.low, f"{AGAINST} high": limits.high} if limits else {}
        for name, value in {AGAINST: one.value, **found, "p": one.adjusted}.items():
            place = (table.split, one.mode, None, one.column, name)
            note = one.verdict if name == AGAINST else ""
            yield _summary(results, place, (value, len(one.seeds), None, None), note)


def _markdown_text(text: str) -> str:
    """Keep a name from being read as markup or ending its cell."""
    return MARKUP.sub(r"\\\1", visible(" ".join(text.split())))


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_markdown_text(cell) for cell in cells) + " |"


def _markdown_table(grid: Grid) -> str:
    rule = "|---|" + "---:|" * (len(grid.header) - 2) + "---|"
    table = "\n".join([_markdown_row(grid.header), rule, *(_markdown_row(row) for row in grid.rows)])
    bullets = "\n".join(f"- {_markdown_text(line)}" for line in (*grid.sets, *grid.notes))
    return "\n\n".join([f"## {_markdown_text(grid.title)}", table, bullets])


def _values(results: Results, split: SplitInfo) -> Iterator[Line]:
    for row in results.rows_of(split.name):
        for column in (*columns_of(results, split), AVERAGE):
            value = row.value(column)
            paper, gap = _beside(results, split, row.mode, column, value)
            yield (
                row.split, row.mode, row.seed, column, "value", value, 1 if row.status == "done" else 0, paper, gap,
                row.convention, results.data.name, results.preset, row.status, row.reason if column == AVERAGE else "",
            )  # fmt: skip


def _means(results: Results, split: SplitInfo) -> Iterator[Line]:
    for mode in (mode.name for mode in results.modes):
        for column in (*columns_of(results, split), AVERAGE):
            found = estimate(results, split.name, mode, column)
            below = column == AVERAGE and below_mean_shape(results, split, mode)
            place = (split.name, mode, None, column)
            if found.mean is not None:
                figures = (_rounded(found.mean), found.n, *_beside(results, split, mode, column, found.mean))
                yield _summary(results, (*place, "mean"), figures, "worse than the mean shape" if below else "")
            if found.spread is not None:
                yield _summary(results, (*place, "sd"), (_rounded(found.spread), found.n, None, None))


def _shape(results: Results, split: SplitInfo) -> Iterator[Line]:
    for column in (*columns_of(results, split), AVERAGE):
        if (value := split.mean_shape.get(column)) is not None:
            place = (split.name, "", None, column, "mean shape")
            yield _summary(results, place, (_rounded(value), None, None, None))


def _remark(results: Results, split: SplitInfo) -> Iterator[Line]:
    """What holds for the whole split, once: why no published figure stands beside its own."""
    if split.reference and (blocked := obstacle(results, split)):
        place = (split.name, "", None, "", "note")
        yield _summary(results, place, (None, None, None, None), f"not comparable: {blocked}")


def _summary(results: Results, place: Line, figures: Line, note: str = "") -> Line:
    """A line that no single seed stands behind: split to statistic, then value to difference, then what they are."""
    about = (" and ".join(results.conventions), results.data.name, results.preset, "", note)
    return (*place, *figures, *about)


def _rounded(value: float) -> float:
    return round(value, DECIMALS)


def _beside(
    results: Results, split: SplitInfo, mode: str, column: str, value: float | None
) -> tuple[float | None, float | None]:
    """The paper's figure and the difference to it; None where there is none, or it cannot be compared."""
    paper = None if obstacle(results, split) else split.reference.get(mode, {}).get(column)
    return paper, None if value is None or paper is None else _rounded(value - paper)
