"""Tables and curves of a study that still runs, made again now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kpcore.cli.display import histories
from kpcore.errors import KpError
from kpcore.records.results import read_results
from kpcore.study.jobs import JobPlan

SECONDS = 30.0
"""At least so long between two drawings."""
SHARE = 0.02
"""Of the time, at most, that goes into drawing: it is taken from a training in this process."""


class Turns:
    """Says when work may be done again: after ``seconds``, and so that it takes no more than ``share`` of the time.

    Args:
        seconds: between two turns, at least.
        share: of the time that the work takes, at most.
    """

    def __init__(self, seconds: float, share: float = SHARE) -> None:
        self.seconds = seconds
        self.share = share
        self.next = time.monotonic() + seconds

    def take(self, work: Callable[[], None]) -> None:
        """Do the work if it is its turn."""
        started = time.monotonic()
        if started < self.next:
            return
        work()
        ended = time.monotonic()
        self.next = ended + max(self.seconds, (ended - started) / self.share)


class Refresher:
    """Writes ``tables.md`` as jobs end and ``curves.png`` as epochs do, from what lies in the study's folder.

    Args:
        plan: all jobs.
        folder: the study's.
        notice: is told once where that cannot be done; the study goes on.
    """

    def __init__(self, plan: JobPlan, folder: Path, notice: Callable[[str], None]) -> None:
        self.plan = plan
        self.folder = folder
        self.notice = notice
        self.stopped = False
        self.tables = Turns(0.0)
        self.curves = Turns(SECONDS)

    def __call__(self, ended: bool) -> None:
        """Make again what has its turn; ``ended`` says that a job has, else it was an epoch."""
        if self.stopped:
            return
        try:
            if ended:
                self.tables.take(self._tables)
            self.curves.take(self._curves)
        except (KpError, OSError) as error:
            self.stopped = True
            self.notice(f"Tables and curves are made when the study has ended, not before: {error}")

    def _tables(self) -> None:
        from kpcore.report.files import save
        from kpcore.report.tables import markdown

        save(self.folder / "tables.md", markdown(read_results(self.folder)).encode())

    def _curves(self) -> None:
        from kpcore.report.curves import curves_png
        from kpcore.report.files import save

        drawn = curves_png(read_results(self.folder), histories(self.plan, unfinished=True))
        save(self.folder / "curves.png", drawn)
