"""The tables of a study, one a split, in the paper's layout: Markdown, LaTeX, tidy CSV and the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kpcore.errors import visible
from kpcore.records.results import AVERAGE, DECIMALS, Results, Row, SplitInfo
from kpcore.report.files import csv_text, save
from kpcore.report.grid import Grid, grids, headline
from kpcore.report.latex import escape, latex_table
from kpcore.report.summary import columns_of, obstacle

TERMINAL_WIDTH = 100
SCORES_A_TABLE = 6
"""Score columns that fit beside the row's name in the terminal's width; a wider table goes on below."""

MARKUP = re.compile(r"([\\|`*<>\[\]&~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""What Markdown reads as markup; an underscore within a word is none."""
CSV_HEADER = (
    "split", "mode", "seed", "column", "value", "paper", "difference", "convention", "data", "preset", "status", "note",
)  # fmt: skip


def write_tables(results: Results, folder: Path) -> list[Path]:
    """Write ``tables.md``, ``tables.tex`` and ``tables.csv``; return their paths.

    Raises:
        KpError: the folder cannot be written.
    """
    texts = {"tables.md": markdown(results), "tables.tex": latex(results), "tables.csv": csv_table(results)}
    return [save(folder / name, text.encode()) for name, text in texts.items()]


def markdown(results: Results) -> str:
    """Return all tables as GitHub-flavoured Markdown."""
    parts = [f"# {_markdown_text(results.study)}", *(_markdown_table(grid) for grid in grids(results))]
    return "\n\n".join(parts) + "\n"


def latex(results: Results) -> str:
    """Return all tables as LaTeX; the document that takes them in needs the package ``booktabs``."""
    opening = f"% {escape(results.study)}: {escape(headline(results))}\n% needs \\usepackage{{booktabs}}"
    return "\n\n".join([opening, *(latex_table(grid) for grid in grids(results))]) + "\n"


def csv_table(results: Results) -> str:
    """Return one line a split, mode, seed and column, unrounded; a row that is not done has lines without values."""
    lines = [
        line for split in results.splits for row in results.rows_of(split.name) for line in _lines(results, split, row)
    ]
    return csv_text(CSV_HEADER, lines)


def print_tables(results: Results, console: Console) -> None:
    """Print all tables, at most 100 columns wide."""
    width = min(console.width, TERMINAL_WIDTH)
    for grid in grids(results):
        console.print(_text(grid.title, style="bold"), width=width)
        for line in grid.sets:
            console.print(_text(line, style="dim"), width=width)
        for table in _terminal_tables(grid):
            console.print(table, width=width)
        for note in grid.notes:
            console.print(_text(note, style="dim"), width=width)
        console.print()


def _text(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)


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


def _lines(results: Results, split: SplitInfo, row: Row) -> Iterator[tuple[object, ...]]:
    blocked = obstacle(results, split)
    published = split.reference.get(row.mode, {})
    note = f"not comparable: {blocked}" if blocked and published else ""
    for column in (*columns_of(results, split), AVERAGE):
        value, paper = row.value(column), published.get(column)
        gap = None if value is None or paper is None or blocked else round(value - paper, DECIMALS)
        yield (
            row.split, row.mode, row.seed, column, value, paper, gap,
            row.convention, results.data.name, results.preset, row.status, row.reason or note,
        )  # fmt: skip


def _terminal_tables(grid: Grid) -> Iterator[Table]:
    """The grid in tables that fit: its score columns in blocks, and what comments on the average with the last one."""
    last = grid.scores + 1
    starts = range(1, last, SCORES_A_TABLE)
    for start in starts:
        stop = start + SCORES_A_TABLE if start != starts[-1] else len(grid.header)
        yield _terminal_table(grid, [0, *range(start, stop)])


def _terminal_table(grid: Grid, places: list[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for place in places:
        heading = _text(grid.header[place].replace(" ", "\n") if place > grid.scores else grid.header[place])
        side = place in (0, len(grid.header) - 1)
        table.add_column(heading, justify="left" if side else "right", overflow="fold", vertical="top")
    for row in grid.rows:
        table.add_row(*(_text(_stacked(row[place]) if place else row[place]) for place in places))
    return table


def _stacked(cell: str) -> str:
    """A cell on several narrow lines."""
    return cell.replace(" ± ", "\n± ").replace("not ", "not\n").replace(", ", "\n")
