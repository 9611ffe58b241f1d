"""A live display that leaves no copies of itself behind where the terminal is resized."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleRenderable, RenderHook
from rich.control import Control
from rich.segment import ControlType


class Wiper(RenderHook):
    """Wipes what a resized terminal made of a live display beyond the lines that rich knows it to have.

    A terminal that gets narrower wraps the lines that are too wide now, one that gets lower pushes the first ones out
    of its screen, and one that gets higher brings them back. (One that cuts lines instead, as xterm does, loses some
    of what stands above.) Push it before the display starts, so that the display's own hook comes after.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.size = console.size
        self.lines: list[int] = []
        """Widths of the lines on the screen."""
        self.coming: list[int] = []
        self.above = 0
        """Lines of older drawings above the screen, nothing between them and the display."""

    def drawing(self, lines: Sequence[int]) -> None:
        """Take down the widths of the lines that are drawn next."""
        self.coming = list(lines)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Put the wiping in front of what is printed, after rich's own."""
        rows = self.excess()
        self.lines, self.size = self.coming, self.console.size
        if any(not isinstance(one, Control) for one in renderables):
            self.above = 0
        up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
        return [Control(*up * rows), *renderables] if rows else renderables

    def excess(self) -> int:
        """Return how many rows more the display takes at the new size than it has lines."""
        now, before = self.console.size, self.size
        if now == before or not self.lines:
            return 0
        rows = sum(max(1, -(-width // now.width)) for width in self.lines)
        back = min(self.above, max(0, now.height - before.height))
        self.above += max(0, rows - now.height) - back
        return rows - len(self.lines) + back
