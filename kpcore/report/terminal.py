"""The tables of a study on a terminal: a row a mode as in the paper, or where that is too wide a row a column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kpcore.errors import visible
from kpcore.evidence.whole import Evidence
from kpcore.records.results import Results
from kpcore.report.breaking import broken, pieces
from kpcore.report.grid import Grid, grids

WIDEST = 100
"""Columns of the terminal that tables take at most."""
SPAN = re.compile(r" \(([−+]?[\d.]+) to ([−+]?[\d.]+)\)")
"""An interval behind its figure."""
HEADING, LABEL = 10, 26
"""Columns that a heading, and the name of a row, take at most where their parts allow."""


def print_tables(results: Results, console: Console, evidence: Evidence | None = None) -> None:
    """Print all tables, at most 100 columns wide; with intervals and verdicts where there is evidence."""
    for grid in grids(results, evidence):
        print_grid(grid, console)


def print_grid(grid: Grid, console: Console) -> None:
    """Print one table, at most 100 columns wide, with what it is about above and its notes below."""
    width = min(console.width, WIDEST)
    console.print(_text(grid.title, style="bold"), width=width)
    for line in grid.sets:
        console.print(_text(line, style="dim"), width=width)
    for table in tables(grid, width):
        console.print(table, width=width)
    for note in grid.notes:
        console.print(_text(note, style="dim"), width=width)
    console.print()


@dataclass(frozen=True)
class Sheet:
    """A table as text, before it is known how many of its columns fit beside its first one.

    ``joined`` columns, the last ones, stay with the last of the others.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    joined: int = 0


def tables(grid: Grid, width: int) -> list[Table]:
    """Return a grid in as few tables of that width as it takes: with a row a mode, or else with a row a column."""
    return min(blocks(by_mode(grid), width), blocks(by_column(grid), width), key=len)


def by_mode(grid: Grid) -> Sheet:
    """The grid as it is; what comments on the average stays beside it, in narrow columns."""
    rows = tuple((row[0], *map(_stacked, row[1:])) for row in grid.rows)
    return Sheet(grid.header, rows, joined=len(grid.header) - 1 - grid.scores)


def by_column(grid: Grid) -> Sheet:
    """The grid turned: a column a mode."""
    _, *names = grid.header
    cells = zip(*(row[1:] for row in grid.rows), strict=True)
    rows = tuple((name, *row) for name, row in zip(names, cells, strict=True))
    return Sheet(("Column", *(row[0] for row in grid.rows)), rows)


def blocks(sheet: Sheet, width: int) -> list[Table]:
    """Return the sheet's columns in tables that are as wide as the width allows."""
    last = len(sheet.header) - sheet.joined
    units = [[place] for place in range(1, last - 1)] + [list(range(last - 1, len(sheet.header)))]
    made = [units[0]]
    for unit in units[1:]:
        if _wide(_table(sheet, [*made[-1], *unit])) <= width:
            made[-1] = [*made[-1], *unit]
        else:
            made.append(unit)
    return [_table(sheet, places) for places in made]


def _wide(table: Table) -> int:
    """The columns that a table takes where nothing of it is wrapped."""
    return table.__rich_measure__(console := Console(width=10_000), console.options).maximum


def _table(sheet: Sheet, places: Sequence[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(_text(lines(sheet.header[0], LABEL)), overflow="fold", vertical="top")
    for place in places:
        left = sheet.header[place] == "Seeds"
        heading = _text(lines(sheet.header[place], HEADING))
        table.add_column(heading, justify="left" if left else "right", overflow="fold", vertical="top")
    for row in sheet.rows:
        table.add_row(_text(lines(row[0], LABEL)), *(_text(row[place]) for place in places))
    return table


def lines(text: str, room: int) -> str:
    """Return a text on lines of ``room`` columns, or as many more as the longest part of a name takes."""
    shown = visible(text)
    longest = max((cell_len(piece) for word in shown.split() for piece in pieces(word)), default=0)
    return "\n".join(broken(shown, lambda line: cell_len(line) <= max(room, longest)))


def _text(text: str, style: str = "") -> Text:
    return Text("\n".join(map(visible, text.split("\n"))), style=style)


def _stacked(cell: str) -> str:
    """A cell on several narrow lines."""
    stacked = cell.replace(" ± ", "\n± ").replace("not ", "not\n").replace(", ", "\n")
    return SPAN.sub(_span, stacked).replace(" (these two)", "\n(these two)")


def _span(found: re.Match[str]) -> str:
    """An interval on a line of its own; with a dash where no sign is near."""
    low, high = found.groups()
    return f"\n{low} to {high}" if "−" in found[0] or "+" in found[0] else f"\n{low}–{high}"
