"""What ``kp run`` shows: header, plan with cost, and the live table of jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from kpcore.cache import cache_dir
from kpcore.cli.output import meeting, size
from kpcore.errors import visible
from kpcore.measure.estimate import Cost, estimate
from kpcore.records.folder import JobFolder
from kpcore.records.results import HistoryRecord, Results
from kpcore.study.data import StudyData
from kpcore.study.executors import State
from kpcore.study.jobs import Job, JobPlan
from kpcore.study.study import Study
from kpcore.study.workshop import wanted_stores
from kpcore.training.device import Device

BLOCKS = "▁▂▃▄▅▆▇█"
NAMED = 4
"""Jobs that one line names."""


def print_header(console: Console, study: Study, plan: JobPlan, device: Device, jobs: int) -> None:
    """Say what is about to be run, on what data."""
    done = sum(JobFolder.of(job.key).done for job in plan.jobs)
    name = study.config.study.name
    data = " + ".join(described(one) for one in study.data.values())
    console.print(Text.assemble((name, "bold"), f"  {visible(data)}; preset {visible(study.preset)}"))
    for split in study.splits:
        for line in meeting(split):
            console.print(f"Split {split.name}: {line}", highlight=False)
    console.print(
        f"{len(plan.rows) + len(plan.refused)} rows = {len(study.splits)} splits x {len(study.modes)} modes x"
        f" {len(study.config.study.seeds)} seeds; {len(plan.jobs)} trainings ({plan.shared} saved by sharing,"
        f" {done} in the cache), {jobs} at once on {device.torch}, {device.precision}, {threads(device)} each",
        highlight=False,
    )
    if missing := [store for store in wanted_stores(study) if not store.path.exists()]:
        count, needed = sum(store.people for store in missing), sum(store.size for store in missing)
        console.print(f"Crops to prepare: {count:,} people, {size(needed)} in {cache_dir()}", highlight=False)


def print_reasons(console: Console, reasons: Mapping[str, str]) -> None:
    """Say why jobs are trained again, those with one reason in one line."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        console.print(f"To be trained again: {shown}: {reason}", highlight=False)


def print_lines(console: Console, lines: Sequence[str]) -> None:
    """Print lines that deserve attention."""
    for line in lines:
        console.print(line, style="yellow", highlight=False)


def described(data: StudyData) -> str:
    """Return what one data set is, in words."""
    name = f"{data.name}: " if data.name else ""
    listed = f", list {data.list_name}" if data.list_name else ""
    people = ", ".join(f"{data.people(part):,} {part}" for part in ("train", "valid"))
    left_out = f" ({len(data.left_out)} left out)" if data.left_out else ""
    return f"{name}{data.label}{listed}; {people}{left_out}"


def print_plan(console: Console, study: Study, plan: JobPlan, device: Device, jobs: int) -> None:
    """Print jobs, sources, parameters and cost; train nothing. ``jobs`` are run at once."""
    costs = timed(console, study, plan, device)
    table = Table(box=None, pad_edge=False)
    for name in ("job", "starts from"):
        table.add_column(name, no_wrap=True)
    for name in ("parameters", "trained", "iterations", "s/it", "at most"):
        table.add_column(name, justify="right", no_wrap=True)
    for cost in costs:
        sources = ", ".join(source.name for source in cost.job.sources) or "nothing"
        spent = ("in the cache", "") if cost.cached else (f"{cost.step_seconds:.3f}", duration(cost.seconds))
        table.add_row(
            cost.job.name, sources, f"{cost.parameters:,}", f"{cost.trained:,}", f"{cost.iterations:,}", *spent
        )
    console.print(table)
    for row in plan.refused:
        console.print(f"{row.split.name}-{row.mode.name}-{row.seed}: failed: {row.reason}", highlight=False)
    total = sum(cost.seconds for cost in costs)
    early = "; early stopping may end jobs sooner" if study.config.training.early_stopping else ""
    console.print(
        f"{len(costs)} trainings, {plan.shared} saved because jobs share their source. At most {duration(total)} of"
        f" training on {device.torch} ({threads(device)}, {device.precision}), about {duration(total / jobs)} with"
        f" {jobs} at once; measured on steps with random images, one job at a time. Validation and scoring come on"
        f" top{early}.",
        highlight=False,
    )


def timed(console: Console, study: Study, plan: JobPlan, device: Device) -> list[Cost]:
    """Measure the cost of every job, with a note that it takes a moment."""
    with console.status("Timing a few training steps of each kind of job ..."):
        return estimate(study, plan, device)


def threads(device: Device) -> str:
    """Return the threads in words."""
    return "1 thread" if device.threads == 1 else f"{device.threads} threads"


def duration(seconds: float) -> str:
    """Return a duration as people say it: "45 s", "12 min", "3.5 h", "9.2 days"."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}" if unit < 3600 else f"{seconds / unit:.1f} {name}"
    return f"{seconds / 86400:.1f} days"


def sparkline(values: Sequence[float | None], width: int = 24) -> str:
    """Draw the values, from 0 to the largest, in block characters; the last ``width`` of them."""
    shown = [value or 0.0 for value in values][-width:]
    top = max(shown, default=0.0) or 1.0
    return "".join(BLOCKS[min(len(BLOCKS) - 1, int(max(value, 0.0) / top * len(BLOCKS)))] for value in shown)


def histories(plan: JobPlan) -> Mapping[str, list[HistoryRecord]]:
    """Read the history of every finished job."""
    folders = [JobFolder.of(job.key) for job in plan.jobs]
    return {folder.key: folder.history() for folder in folders if folder.done}


def failures(results: Results) -> dict[str, str]:
    """Return name -> reason of the jobs that failed, and of the rows that failed without one."""
    jobs = {job.name: job.reason for job in results.jobs if job.status == "failed"}
    keys = {job.key for job in results.jobs if job.status == "failed"}
    rows = [row for row in results.rows if row.status == "failed" and row.job not in keys]
    return {f"{row.split}-{row.mode}-{row.seed}": row.reason for row in rows} | jobs


def failure(failed: Mapping[str, str]) -> str:
    """Return one line on what failed."""
    name, reason = next(iter(failed.items()))
    return f"{len(failed)} of the study's jobs failed; {name}: {reason}"


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


class Display:
    """A live table of jobs on a terminal; elsewhere a line an event.

    Use as a context manager; it is a :class:`kpcore.study.runner.Watcher`.
    """

    def __init__(self, console: Console, plan: JobPlan) -> None:
        self.console = console
        self.tracks = {job.key: Track(job) for job in plan.jobs}
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
            self.console.print(f"Prepared the crops of {total:,} people.", highlight=False)
            self.prepared = None

    def notice(self, text: str) -> None:
        """Print a line above the table."""
        self.console.print(text, style="yellow", highlight=False)

    def job_started(self, job: Job) -> None:
        """Show the job as running."""
        self.tracks[job.key].state = "training"
        self.tracks[job.key].started = time.perf_counter()

    def iteration(self, job: Job, done: int, total: int) -> None:
        """Show how far the job is."""
        track = self.tracks[job.key]
        if not track.done:  # a resumed job does not start at 0
            track.first = done - 1
            track.began = time.perf_counter()
        track.done, track.total = done, total

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        """Add to the job's curve."""
        self.tracks[job.key].validation.append(record["validation"])

    def job_finished(self, job: Job, state: State) -> None:
        """Show how the job ended."""
        track = self.tracks[job.key]
        track.state = "in the cache" if state.cached else state.status
        track.seconds = time.perf_counter() - track.started if track.started else 0.0
        if not state.cached and (not self.console.is_terminal or state.status == "failed"):
            last = f", validation {track.validation[-1]:.1f}" if track.validation and track.validation[-1] else ""
            where = f" (traceback: {state.traceback})" if state.traceback else ""
            reason = f": {state.reason}{where}" if state.reason else f" in {duration(track.seconds)}{last}"
            self.console.print(f"{job.name}: {state.status}{reason}", highlight=False)

    def render(self) -> RenderableType:
        """Return the table as it stands."""
        if self.prepared is not None:
            return Text(f"Preparing crops: {self.prepared[0]:,} of {self.prepared[1]:,} people")
        table = Table(box=None, pad_edge=False)
        for name in ("job", "state", "iterations", "it/s", "left", "validation"):
            table.add_column(name, justify="right" if name in ("iterations", "it/s", "left") else "left", no_wrap=True)
        for track in self._shown():
            table.add_row(*self._cells(track))
        finished = sum(track.state not in ("waiting", "training") for track in self.tracks.values())
        return Group(table, Text(f"{finished} of {len(self.tracks)} trainings done", style="bold"))

    def _shown(self) -> list[Track]:
        """Return the jobs around the running one, as many as fit the screen."""
        tracks = list(self.tracks.values())
        room = max(4, self.console.height - 4)
        running = next((place for place, track in enumerate(tracks) if track.state == "training"), 0)
        first = max(0, min(running - room // 2, len(tracks) - room))
        return tracks[first : first + room]

    @staticmethod
    def _cells(track: Track) -> list[str]:
        curve = sparkline(track.validation)
        last = f" {track.validation[-1]:.1f}" if track.validation and track.validation[-1] is not None else ""
        if track.state != "training":
            spent = duration(track.seconds) if track.seconds else ""
            return [track.job.name, track.state, "", "", spent, curve + last]
        speed = track.speed
        left = duration((track.total - track.done) / speed) if speed else ""
        return [track.job.name, "training", f"{track.done:,}/{track.total:,}", f"{speed:.1f}", left, curve + last]
