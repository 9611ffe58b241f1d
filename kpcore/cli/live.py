"""What ``kp run`` shows while it trains: the live table of jobs, a line a job that ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from kpcore.cli.display import duration
from kpcore.cli.jobtable import Screen, Track, job_table
from kpcore.cli.wiping import Wiper
from kpcore.errors import KpError, visible
from kpcore.records.folder import JobFolder
from kpcore.records.results import HistoryRecord
from kpcore.study.executors import State
from kpcore.study.jobs import Job, JobPlan


class Display:
    """A live table of jobs on a terminal; elsewhere a line an event.

    Use as a context manager; it is a :class:`kpcore.study.runner.Watcher`.

    Args:
        console: to show it on.
        plan: all jobs.
        metric: names what is read after every epoch.
        refresh: is called after every epoch and every job, with whether it was a job.
    """

    def __init__(
        self, console: Console, plan: JobPlan, metric: str, refresh: Callable[[bool], None] = lambda ended: None
    ) -> None:  # fmt: skip
        self.console = console
        self.tracks = {job.key: Track(job) for job in plan.jobs}
        self.metric = metric
        self.refresh = refresh
        self.named = False
        self.prepared: tuple[int, int] | None = None
        self.wiper = Wiper(console)
        self.live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self.render)

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self.console.push_render_hook(self.wiper)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live.is_started:
            self.live.stop()
            self.console.pop_render_hook()

    def preparing(self, done: int, total: int) -> None:
        """Show how far the crops are."""
        self.prepared = (done, total)
        if done == total:
            self.console.print(f"Prepared the crops of {total:,} samples.", highlight=False)
            self.prepared = None

    def notice(self, text: str) -> None:
        """Print a line above the table."""
        self.console.print(text, style="yellow", highlight=False, markup=False)

    def job_started(self, job: Job) -> None:
        """Show the job as starting: before its first iteration data and network are made ready."""
        track = self.tracks[job.key]
        track.state = "starting"
        track.started = time.perf_counter()
        track.before = epochs_before(job)  # now, since a job that goes on writes them anew after its next epoch only

    def iteration(self, job: Job, done: int, total: int) -> None:
        """Show how far the job is."""
        track = self.tracks[job.key]
        if not track.done:  # a resumed job does not start at 0
            track.state = "training"
            track.first = done - 1
            track.began = time.perf_counter()
            track.validation = [record.validation for record in track.before if record.iterations <= track.first]
        track.done, track.total = done, total

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        """Add to the job's curve."""
        self.tracks[job.key].validation.append(record["validation"])
        self.refresh(False)

    def job_finished(self, job: Job, state: State) -> None:
        """Show how the job ended."""
        track = self.tracks[job.key]
        track.state = "cached" if state.cached else state.status
        track.seconds = time.perf_counter() - track.started if track.started else 0.0
        if state.status == "done":
            track.validation = [record.validation for record in epochs_before(job)]
        if state.cached:
            return
        if not self.console.is_terminal or state.status == "failed":
            for line in self._last_words(track, state):
                self.console.print(line, highlight=False, markup=False)
        self.refresh(True)

    def _last_words(self, track: Track, state: State) -> Iterator[str]:
        """Yield how a job ended; before the first validation that is told, what validation is."""
        if state.reason:
            where = f" (traceback: {state.traceback})" if state.traceback else ""
            yield f"{track.job.name}: {state.status}: {state.reason}{where}"
            yield from (f"    {visible(line)}" for line in state.printed)
            return
        scored = _scored(track)
        if scored and not self.named:
            self.named = True
            yield f"Validation: {self.metric}"
        yield f"{track.job.name}: {state.status} in {duration(track.seconds)}{scored}"

    def render(self) -> RenderableType:
        """Return the table as it stands."""
        size = self.console.size
        if self.prepared is not None:
            lines = [f"Preparing crops: {self.prepared[0]:,} of {self.prepared[1]:,} samples"]
        else:  # a line that ends in the last column would be wrapped by some terminals
            lines = job_table(list(self.tracks.values()), self.metric, Screen(size.width - 1, size.height))
        self.wiper.drawing([cell_len(line) for line in lines])
        first, *rest = lines
        return Text("\n", no_wrap=True, overflow="ignore").join([Text(first, style="bold"), *map(Text, rest)])


def _scored(track: Track) -> str:
    """Return the validation of the epoch that was scored; "" where there is none."""
    record = kept_epoch(JobFolder.of(track.job.key))
    if record is None or record.validation is None:
        return ""
    return f", validation {record.validation:.1f} after epoch {record.epoch}"


def epochs_before(job: Job) -> list[HistoryRecord]:
    """Return the epochs of a job that are behind; none where they cannot be read."""
    folder = JobFolder.of(job.key)
    try:
        return folder.history() if folder.begun else []
    except KpError:  # it only informs; the results say what is wrong
        return []


def kept_epoch(folder: JobFolder) -> HistoryRecord | None:
    """Return the epoch whose weights a finished job kept; None where its records cannot be read."""
    try:
        result, history = folder.result(), folder.history()
        kept = folder.about()["settings"]["training"]["keep"]
    except (KpError, KeyError, TypeError):  # it only informs; the results say what is wrong
        return None
    number = result.best_epoch if kept == "best" and result.best_epoch else result.epochs
    return next((record for record in history if record.epoch == number), None)
