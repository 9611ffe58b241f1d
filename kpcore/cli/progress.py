"""A bar on a terminal; nothing elsewhere."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from kpcore.cli.output import console


class Progress:
    """How far something is; call it with (done, total).

    Args:
        what: is counted.
        quiet: show nothing.
    """

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        self._bar = Bar(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console(),
            transient=True,
        )
        self._shown = not quiet and self._bar.console.is_terminal
        self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> Progress:
        if self._shown:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show it."""
        self._bar.update(self._task, completed=done, total=total)
