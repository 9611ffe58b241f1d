"""What ``kp run`` says before and after its trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from kpcore.cache import cache_dir
from kpcore.cli.output import meeting, size
from kpcore.errors import listed, visible
from kpcore.records.folder import JobFolder
from kpcore.records.results import HistoryRecord, Results
from kpcore.study.data import StudyData
from kpcore.study.jobs import JobPlan
from kpcore.study.study import Study
from kpcore.study.workshop import wanted_stores
from kpcore.training.device import Device

NAMED = 4
"""Jobs that one line names."""


def print_header(console: Console, study: Study, plan: JobPlan, device: Device, jobs: int) -> None:
    """Say what is about to be run, on what data; of 0 jobs at once a cluster says how many."""
    done = sum(JobFolder.of(job.key).done for job in plan.jobs)
    name = study.config.study.name
    data = " + ".join(described(one) for one in study.data.values())
    console.print(Text.assemble((name, "bold"), f"  {visible(data)}; preset {visible(study.preset)}"))
    for split in study.splits:
        for line in meeting(split):
            console.print(f"Split {split.name}: {line}", highlight=False)
    seeds, shares = len(study.config.study.seeds), len(study.config.study.labels)
    rows, product = len(plan.rows) + len(plan.refused), len(study.splits) * len(study.modes) * shares * seeds
    of_labels = ((shares, "share of the labels", "shares of the labels"),) if shares > 1 else ()
    factors = ((len(study.splits), "split"), (len(study.modes), "mode"), *of_labels, (seeds, "seed"))
    equal = " = " + " x ".join(counted(*one) for one in factors) if rows == product else ""
    at_once = jobs or "as many as the cluster holds"
    console.print(
        f"{counted(rows, 'row')}{equal}; {counted(len(plan.jobs), 'training')} ({plan.shared} saved by sharing,"
        f" {done} in the cache), {at_once} at once on {device.torch}, {device.precision}, {threads(device)} each",
        highlight=False,
    )
    if missing := [store for store in wanted_stores(study) if not store.path.exists()]:
        count, needed = sum(store.people for store in missing), sum(store.size for store in missing)
        console.print(f"Crops to prepare: {counted(count, 'sample')}, {size(needed)} in {cache_dir()}", highlight=False)


def goes_on(plan: JobPlan) -> str:
    """Return from where a study that was stopped goes on, as its checkpoints tell: "goes on from iteration 9 of x"."""
    behind = {job.name: JobFolder.of(job.key).iterations for job in plan.jobs}
    begun = [f"iteration {count:,} of {name}" for name, count in behind.items() if count]
    return f"goes on from {listed(begun, NAMED)}" if begun else "goes on; what is trained is kept"


def counted(count: int, noun: str, many: str = "") -> str:
    """Return a number with its noun: "1 row", "1,716 samples"; ``many`` of them are so called."""
    return f"{count:,} {noun if count == 1 else many or f'{noun}s'}"


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
    lost = "".join(f" ({count} of {part} without a picture left out)" for part, count in data.undecoded.items())
    return f"{name}{data.label}{listed}; {people}{left_out}{lost}"


def threads(device: Device) -> str:
    """Return the threads in words."""
    return "1 thread" if device.threads == 1 else f"{device.threads} threads"


def duration(seconds: float) -> str:
    """Return a duration as people say it: "45 s", "12 min", "3.5 h", "9.2 days"."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}" if unit < 3600 else f"{seconds / unit:.1f} {name}"
    return f"{seconds / 86400:.1f} days"


def histories(plan: JobPlan, *, unfinished: bool = False) -> Mapping[str, list[HistoryRecord]]:
    """Read the history of every finished job, and where asked for those of jobs that still run."""
    folders = [JobFolder.of(job.key) for job in plan.jobs]
    return {folder.key: folder.history() for folder in folders if folder.done or (unfinished and folder.begun)}


def failures(results: Results) -> dict[str, str]:
    """Return name -> reason of the jobs that failed, and of the rows that failed without one."""
    jobs = {job.name: job.reason for job in results.jobs if job.status == "failed"}
    keys = {job.key for job in results.jobs if job.status == "failed"}
    rows = [row for row in results.rows if row.status == "failed" and row.job not in keys]
    return {row.title: row.reason for row in rows} | jobs


def failure(failed: Mapping[str, str]) -> str:
    """Return one line on what failed."""
    name, reason = next(iter(failed.items()))
    return f"{len(failed)} of the study's jobs failed; {name}: {reason}"
