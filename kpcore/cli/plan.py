"""What ``kp run --plan`` shows: jobs, their sources, parameters and cost."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from kpcore.cli.display import counted, duration, threads
from kpcore.cli.terminal import Names
from kpcore.measure.estimate import Cost, estimate
from kpcore.study.jobs import Job, JobPlan
from kpcore.study.runner import refused_row
from kpcore.study.study import Study
from kpcore.training.device import Device

NUMBERS = ("params", "trained", "iterations", "s/it", "at most")
"""Headings of a job's figures; with short figures they leave half of 80 columns to its name."""


def print_plan(console: Console, study: Study, plan: JobPlan, device: Device, jobs: int) -> None:
    """Print jobs, sources, parameters and cost; train nothing. ``jobs`` are run at once."""
    with console.status("Timing a few training steps of each kind of job ..."):
        costs = estimate(study, plan, device)
    console.print(plan_table(costs))
    for row in plan.refused:
        console.print(f"{refused_row(row).title}: failed: {row.reason}", highlight=False)
    total = sum(cost.seconds for cost in costs)
    early = "; early stopping may end jobs sooner" if study.config.training.early_stopping else ""
    if not total:
        console.print("Nothing is left to train: all of it is in the cache.", highlight=False)
        return
    together = f", about {duration(shortest(costs, jobs))} with {jobs} at once" if jobs > 1 and len(costs) > 1 else ""
    console.print(
        f"{counted(len(costs), 'training')}, {plan.shared} saved because jobs share their source. About"
        f" {duration(total)} of training on {device.torch} ({threads(device)}, {device.precision}){together}; measured"
        f" on steps with random images, one job at a time. Validation and scoring come on top{early}.",
        highlight=False,
    )


def shortest(costs: Sequence[Cost], jobs: int) -> float:
    """Return the seconds that ``jobs`` at once need at least: their share of all, or the longest chain of sources."""
    ends: dict[str, float] = {}
    for cost in costs:  # sources come before what starts from them
        ends[cost.job.key] = cost.seconds + max((ends.get(other.key, 0) for other in cost.job.waits_for), default=0)
    return max([sum(cost.seconds for cost in costs) / jobs, *ends.values()])


def plan_table(costs: Sequence[Cost]) -> Table:
    """Return the jobs as a table, those that differ in nothing but the seed in one row."""
    table = Table(box=None, pad_edge=False)
    table.add_column("job")
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    for group in alike(costs):
        table.add_row(Names(title(group)), *figures(group))
    return table


def alike(costs: Sequence[Cost]) -> list[list[Cost]]:
    """Return the costs in groups of jobs that differ in nothing but the seed, in the order of their first."""
    groups: dict[tuple[object, ...], list[Cost]] = {}
    for cost in costs:
        same = (stem(cost.job), cost.parameters, cost.trained, cost.iterations, cost.step_seconds)
        groups.setdefault(same, []).append(cost)
    return list(groups.values())


def stem(job: Job) -> str:
    """Return a job's name without its seed."""
    return job.name.removesuffix(f"-{job.seed}")


def title(group: Sequence[Cost]) -> str:
    """Return what a row calls its jobs, and below that what they start from."""
    jobs = [cost.job for cost in group]
    seeds = ",".join(str(job.seed) for job in jobs)
    name = jobs[0].name if len(jobs) == 1 else f"{stem(jobs[0])}-{{{seeds}}}"
    sources = dict.fromkeys(source.name if len(jobs) == 1 else stem(source) for source in jobs[0].sources)
    return name + (f"\n  from {', '.join(sources)}" if sources else "")


def figures(group: Sequence[Cost]) -> tuple[str, ...]:
    """Return a row's cells: what all its jobs share, and how long each that is not in the cache takes at most."""
    one, missing = group[0], [cost for cost in group if not cost.cached]
    shared = (short(one.parameters), short(one.trained), f"{one.iterations:,}")
    if not missing:
        return (*shared, "", "cached")
    many = f"{len(missing)} x " if len(group) > 1 else ""
    return (*shared, f"{one.step_seconds:.3g}", many + duration(missing[0].seconds))


def short(count: int) -> str:
    """Return a number of parameters in three digits: "12.8M"."""
    value, units = float(count), iter(("", "k", "M", "G"))
    unit = next(units)
    while value >= 999.5 and (larger := next(units, None)) is not None:
        value, unit = value / 1000, larger
    return f"{value:.3g}{unit}"
