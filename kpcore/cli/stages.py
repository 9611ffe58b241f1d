"""What ``kp run`` is doing before its trainings, on one line of a terminal; nothing where the output is no terminal."""

from __future__ import annotations

from rich.console import Console
from rich.status import Status

from kpcore.interrupts import check


class Stages:
    """A line that says what is being done, from when the context is entered until it is left.

    Args:
        console: to show it on.
        first: what is done first.
    """

    def __init__(self, console: Console, first: str) -> None:
        self.now = self.shown = first
        self.status = Status(first, console=console) if console.is_terminal else None

    def __enter__(self) -> Stages:
        if self.status is not None:
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()

    def __call__(self, stage: str) -> None:
        """Say what is done now; a signal that some library has swallowed while it was imported is heard here."""
        check()
        self.now = stage
        self._show(stage)

    def progress(self, done: int, total: int) -> None:
        """Say how far sample data is written."""
        self._show(f"Writing sample data: {done:,} of {total:,} samples ..." if done < total else self.now)

    def _show(self, text: str) -> None:
        self.shown = text
        if self.status is not None:
            self.status.update(text)
