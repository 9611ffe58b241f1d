"""What ``kp run`` shows while it trains: a progress bar, the live table of jobs, a line a job that ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from kpcore.cli.display import duration
from kpcore.errors import KpError
from kpcore.records.folder import JobFolder
from kpcore.records.results import HistoryRecord
from kpcore.study.executors import State
from kpcore.study.jobs import Job, JobPlan

BLOCKS = "▁▂▃▄▅▆▇█"
WIDE = 100
"""Columns of a terminal from which on the table has room for counts and long curves."""
RUNNING = ("starting", "training")


class Bar:
    """A progress bar that shows when it is first told something, and goes when it is left."""

    def __init__(self, console: Console, title: str) -> None:
        self.progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.title = title
        self.task: TaskID | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are behind."""
        if self.task is None:
            self.progress.start()
            self.task = self.progress.add_task(self.title)
        self.progress.update(self.task, completed=done, total=total)


@dataclass
class Track:
    """What the display knows of one job."""

    job: Job
    state: str = "waiting"
    done: int = 0
    total: int = 0
    started: float = 0.0
    began: float = 0.0
    first: int = 0
    seconds: float = 0.0
    validation: list[float | None] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Iterations a second since this run took the job up; 0 where nothing is known."""
        passed = time.perf_counter() - self.began if self.began else 0.0
        return (self.done - self.first) / passed if passed > 0 else 0.0

    @property
    def left(self) -> float:
        """Seconds that are left at this speed, at most; 0 where nothing is known."""
        return (self.total - self.done) / self.speed if self.speed else 0.0


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
        self.prepared: tuple[int, int] | None = None
        self.live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self.render)

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

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
        self.tracks[job.key].state = "starting"
        self.tracks[job.key].started = time.perf_counter()

    def iteration(self, job: Job, done: int, total: int) -> None:
        """Show how far the job is."""
        track = self.tracks[job.key]
        if not track.done:  # a resumed job does not start at 0
            track.state = "training"
            track.first = done - 1
            track.began = time.perf_counter()
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
        if state.cached:
            return
        if not self.console.is_terminal or state.status == "failed":
            self.console.print(self._last_word(track, state), highlight=False, markup=False)
        self.refresh(True)

    def _last_word(self, track: Track, state: State) -> str:
        if state.reason:
            where = f" (traceback: {state.traceback})" if state.traceback else ""
            return f"{track.job.name}: {state.status}: {state.reason}{where}"
        scored = f", {found}" if (found := self._scored(track)) else ""
        return f"{track.job.name}: {state.status} in {duration(track.seconds)}{scored}"

    def _scored(self, track: Track) -> str:
        """Return the validation of the epoch that was scored; "" where there is none."""
        record = kept_epoch(JobFolder.of(track.job.key))
        if record is None or record.validation is None:
            return ""
        return f"{self.metric} {record.validation:.1f} after epoch {record.epoch}"

    def render(self) -> RenderableType:
        """Return the table as it stands."""
        if self.prepared is not None:
            return Text(f"Preparing crops: {self.prepared[0]:,} of {self.prepared[1]:,} samples")
        table = Table(box=None, pad_edge=False)
        table.add_column("job", overflow="ellipsis")
        numbers = ("iterations" if self.wide else "done", "speed", "time")
        for name in ("state", *numbers, "validation"):
            table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True)
        for track in self._shown():
            table.add_row(*self._cells(track))
        finished = sum(track.state not in ("waiting", *RUNNING) for track in self.tracks.values())
        summary = f"{finished} of {len(self.tracks)} trainings done; validation: {self.metric}"
        return Group(table, Text(summary, style="bold", no_wrap=True, overflow="ellipsis"))

    @property
    def wide(self) -> bool:
        """Whether there is room for counts and long curves."""
        return self.console.width >= WIDE

    def _shown(self) -> list[Track]:
        """Return the jobs around the running one, as many as fit the screen."""
        tracks = list(self.tracks.values())
        room = max(1, self.console.height - 3)  # a table that is higher than the screen leaves copies of itself behind
        running = next((place for place, track in enumerate(tracks) if track.state in RUNNING), 0)
        first = max(0, min(running - room // 2, len(tracks) - room))
        return tracks[first : first + room]

    def _cells(self, track: Track) -> list[str]:
        values = track.validation
        last = f" {values[-1]:.1f}" if values and values[-1] is not None else ""
        curve = sparkline(values, 24 if self.wide else 8) + last
        if track.state not in RUNNING:
            return [
                track.job.name,
                track.state,
                "",
                "",
                f"took {duration(track.seconds)}" if track.seconds else "",
                curve,
            ]
        if not track.done:
            return [track.job.name, track.state, "", "", "", curve]
        done = f"{track.done:,}/{track.total:,}" if self.wide else f"{track.done / track.total:.0%}"
        left = f"{duration(track.left)} left" if track.left else ""
        return [track.job.name, track.state, done, speed_text(track.speed), left, curve]


def kept_epoch(folder: JobFolder) -> HistoryRecord | None:
    """Return the epoch whose weights a finished job kept; None where its records cannot be read."""
    try:
        result, history = folder.result(), folder.history()
        kept = folder.about()["settings"]["training"]["keep"]
    except (KpError, KeyError, TypeError):  # it only informs; the results say what is wrong
        return None
    number = result.best_epoch if kept == "best" and result.best_epoch else result.epochs
    return next((record for record in history if record.epoch == number), None)


def speed_text(speed: float) -> str:
    """Return a speed: "2.3 it/s", or where it is slower than one a second "1.8 s/it"; "" where nothing is known."""
    if not speed:
        return ""
    return f"{speed:.1f} it/s" if speed >= 1 else f"{1 / speed:.1f} s/it"


def sparkline(values: Sequence[float | None], width: int = 24) -> str:
    """Draw the values, from 0 to the largest, in block characters; the last ``width`` of them."""
    shown = [value or 0.0 for value in values][-width:]
    top = max(shown, default=0.0) or 1.0
    return "".join(BLOCKS[min(len(BLOCKS) - 1, int(max(value, 0.0) / top * len(BLOCKS)))] for value in shown)
