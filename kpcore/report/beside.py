"""A table of several runs: a row a mode of a run, laid out as a study's own."""

from __future__ import annotations

from collections.abc import Iterator

from kpcore.evidence.compare import ComparedSplit
from kpcore.records.results import AVERAGE
from kpcore.report.figures import decimals_of, figure
from kpcore.report.grid import Grid
from kpcore.report.spans import compared, remarks, span


def beside_grid(found: ComparedSplit) -> Grid:
    """Lay out one split of several runs: scores with intervals, and differences where they could be paired."""
    table = found.tables[0]
    averages = [cell.value for one in found.tables for cell in one.cells if cell.column == AVERAGE]
    digits = decimals_of(averages, [table.convention], higher_is_better=table.higher_is_better)
    heading = f"{found.average_name} (all)" if found.average_name in table.columns else found.average_name
    columns = (*table.columns, AVERAGE)
    rows = [
        (
            row.name,
            *(_cell(found, row.name, column, digits) for column in columns),
            *((compared(table, row.name, digits),) if found.baseline else ()),
            str(len(row.seeds)),
        )
        for row in found.rows
    ]
    direction = "" if table.higher_is_better else " (lower is better)"
    title = f"Split {found.split}: {found.data}; {table.convention}{direction}"
    return Grid(
        split=found.split,
        title=title,
        caption=title,
        sets=(),
        header=(
            "Run: mode", *table.columns, heading, *((f"vs {found.baseline}",) if found.baseline else ()), "Seeds",
        ),
        rows=tuple(rows),
        notes=tuple(_notes(found, digits)),
        scores=len(columns),
    )  # fmt: skip


def _cell(found: ComparedSplit, row: str, column: str, digits: int) -> str:
    cell = found.cell(row, column)
    return figure(None, digits) if cell is None else figure(cell.value, digits) + span(cell.interval, digits)


def _notes(found: ComparedSplit, digits: int) -> Iterator[str]:
    if found.reason:
        yield f"No differences: {found.reason}."
    labels = {row.name: row.name for row in found.rows}
    yield from dict.fromkeys(line for table in found.tables for line in remarks(labels, table, digits))
    yield from (f"{note}." for note in found.notes)
    yield from (table.signature for table in found.tables)
