"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kpcore.errors import size as size
from kpcore.errors import visible

if TYPE_CHECKING:
    from rich.console import Console

    from kpcore.keypoints import KeypointSplit

UNWRAPPED = 240
"""Width where the output is no terminal: a pipe or a file wants one line a row."""


def console(*, stderr: bool = False) -> Console:
    """Return a console for stdout, or stderr, that takes texts as they are (a file's name is not markup)."""
    from kpcore.cli.terminal import Terminal

    free = not (sys.stderr if stderr else sys.stdout).isatty() and "COLUMNS" not in os.environ
    return Terminal(width=UNWRAPPED if free else None, stderr=stderr)


def print_json(value: Any) -> None:
    """Print a JSON value; what is not a number (NaN) becomes null, since JSON has no word for it."""
    print(escaped(json.dumps(without_nan(value), indent=2, ensure_ascii=False)))


def escaped(text: str) -> str:
    r"""Return JSON or TOML whose characters that no terminal shows are written ``\u009b``, as both allow."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    shown = character.isprintable() or character == "\n" or ord(character) > 0xFFFF
    return character if shown else f"\\u{ord(character):04x}"


def tell(text: str) -> None:
    """Print a line for people on stderr."""
    import typer

    typer.echo(visible(text), err=True)


def without_nan(value: Any) -> Any:
    """Return the value with None for every NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:  # fmt: skip
    """Print a table.

    Args:
        columns: headings; where all are empty, no line is left for them.
        rows: cells.
        title: above it.
        right: columns of numbers, which are set flush right and never wrap.
        whole: other columns that never wrap; the rest is broken at words, and within long names at their separators.

    Raises:
        ValueError: a row has another number of cells than there are columns.
    """
    from rich import box
    from rich.table import Table

    from kpcore.cli.terminal import Names

    kept = [name in (*right, *whole) for name in columns]
    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False,
        show_header=any(columns),
    )  # fmt: skip
    for name, stays in zip(columns, kept, strict=True):
        table.add_column(name, justify="right" if name in right else "left", no_wrap=stays, overflow="fold")
    for row in rows:
        if len(row) != len(columns):  # rich would shift or drop cells without a word
            raise ValueError(f"{len(row)} cells for {len(columns)} columns")
        texts = ["" if cell is None else str(cell) for cell in row]
        table.add_row(*(text if stays else Names(text) for text, stays in zip(texts, kept, strict=True)))
    console().print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, wrapped at words where a terminal is narrower."""
    out = console()
    for line in lines:
        out.print(line)


def meeting(split: KeypointSplit) -> list[str]:
    """Return lines on how the data sets of a split meet by name; none where there is only one."""
    if not split.crosses:
        return []
    steps = " -> ".join(step.dataset or "own data set" for step in split.steps)
    lines = [f"{steps}, {len(split.overlap)} of {len(split.target)} keypoints in both by name"]
    if split.extra:
        lines.append(f"only in an earlier step's data set: {', '.join(split.extra)}")
    if split.missing:
        lines.append(f"in no earlier step's data set: {', '.join(split.missing)}")
    return lines


def number(value: float, digits: int = 1) -> str:
    """Return a number for a table; a dash where it is NaN."""
    return "-" if value != value else f"{value:.{digits}f}"
