"""The terminal: names from files and studies are shown as they are, and are neither its commands nor markup."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from kpcore.errors import visible
from kpcore.report.breaking import broken, pieces


class Terminal(Console):
    """A console for texts that hold others' names.

    Args:
        options: as rich's own console takes them; markup is off.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text, as rich makes one of every string in lines and tables."""
        return super().render_str(visible(text), **options)


class Names:
    """Lines of long names, which are broken at their separators where a column of a table is too narrow for them.

    Args:
        text: the lines; those that begin with spaces are indented by them in all their parts.
    """

    def __init__(self, text: str) -> None:
        self.lines = visible(text).split("\n")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the parts that fit the width."""
        for line in self.lines:
            indent = line[: len(line) - len(line.lstrip())]
            yield Text("\n".join(indent + part for part in parts(line, options.max_width - len(indent))))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the columns of the longest part of a name, and of the longest line."""
        longest = [cell_len(part) for line in self.lines for word in line.split() for part in pieces(word)]
        return Measurement(max(longest, default=0), max(map(cell_len, self.lines)))


def parts(line: str, room: int) -> list[str]:
    """Return a line in parts of so many columns."""
    return broken(line, lambda part: cell_len(part) <= room)
