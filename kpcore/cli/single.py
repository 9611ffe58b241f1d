"""``kp run --job``: single jobs of a study, and ``kp run --plan --names``: what they are called."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kpcore.errors import KpError, listed

if TYPE_CHECKING:
    from rich.console import Console

    from kpcore.cli.run import Target
    from kpcore.study.executors import Executor, State
    from kpcore.study.jobs import JobPlan
    from kpcore.study.some import Wanted
    from kpcore.study.study import Study

OPTION = "--job"
NAMES = "--names"
TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What ``torchrun`` puts into the environment of every process that it starts."""


def check_options(jobs: Sequence[str], out: Path | None, *, plan: bool, names: bool) -> None:
    """Raise KpError where options do not go together."""
    if names and not plan:
        raise KpError(f"{NAMES}: prints names of a plan; write --plan {NAMES}")
    if jobs and plan:
        raise KpError(f"{OPTION}: trains, and --plan trains nothing; leave one of them out")
    if jobs and out is not None:
        raise KpError(f"--out: {OPTION} trains into the cache and writes no results; give --out to the run without it")


def launched() -> bool:
    """Whether this process is one of several that ``torchrun`` has started."""
    return all(name in os.environ for name in TOLD) and os.environ["WORLD_SIZE"] != "1"


def hush() -> None:
    """Have torch, not imported yet, keep its C++ warnings to itself: one is that no parameter is unused just now."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def print_names(plan: JobPlan) -> bool:
    """Print stage and name of every training that is not in the cache, those first that wait for no other."""
    from kpcore.records.folder import JobFolder
    from kpcore.study.some import stages

    stage = stages(plan)
    for job in sorted(plan.jobs, key=lambda job: stage[job.key]):
        if not JobFolder.of(job.key).done:
            print(f"{stage[job.key]}\t{job.name}")
    return not plan.refused


def train_named(
    console: Console, study: Study, plan: JobPlan, target: Target, names: Sequence[str], *, tracked: bool
) -> bool:  # fmt: skip
    """Train the jobs of these names; return whether all of them are in the cache then."""
    from kpcore.cli.display import print_lines
    from kpcore.cli.run import interruptible
    from kpcore.study.executors import local
    from kpcore.study.jobs import JobPlan
    from kpcore.study.some import Wanted, chosen

    if tracked:
        print_lines(console, [f"--track: trackers follow whole studies; the run without {OPTION} tells them of this"])
    wanted = Wanted(study, plan, chosen(plan, names), target.device, target.folder, target.fresh)
    work = JobPlan(tuple(wanted.jobs), ())
    at_once = max(1, min(target.at_once, len(wanted.missing)))
    return interruptible(lambda: train_jobs(console, wanted, local(at_once), at_once), work, fresh=target.fresh)


def train_jobs(console: Console, wanted: Wanted, executor: Executor, at_once: int) -> bool:
    """Train jobs of a plan that are not in the cache, ``at_once`` by the executor; return whether all are there then.

    Raises:
        KpError: what one of them starts from is not there.
    """
    from kpcore.cli import display
    from kpcore.cli.live import Display
    from kpcore.study.jobs import JobPlan
    from kpcore.study.some import await_sources, run_jobs

    study, device = wanted.study, wanted.device
    display.print_header(console, study, wanted.plan, device, at_once)
    by = f" by {device.ranks.count} processes" if device.ranks.count > 1 else ""
    names = listed([job.name for job in wanted.jobs], display.NAMED)
    console.print(f"Of these, into the cache and no further{by}: {names}", highlight=False)
    await_sources(wanted.missing, lambda text: display.print_lines(console, [text]))
    with Display(console, JobPlan(tuple(wanted.jobs), ()), study.validation.convention) as watcher:
        states = run_jobs(wanted, watcher, executor)
    return _tell(console, wanted, states)


def _tell(console: Console, wanted: Wanted, states: Mapping[str, State]) -> bool:
    """Say what has become of the jobs; return whether all went well."""
    from kpcore.cli import display
    from kpcore.cli.terminal import Terminal
    from kpcore.records.folder import JobFolder

    named = {job.key: job.name for job in wanted.jobs}
    for name in (named[key] for key, state in states.items() if state.cached):
        console.print(f"{name}: was in the cache", highlight=False)
    done = sum(JobFolder.of(job.key).done for job in wanted.plan.jobs)
    console.print(
        f"In the cache: {done} of the study's {display.counted(len(wanted.plan.jobs), 'training')}; kp run without"
        f" {OPTION} trains what is missing, and makes the results",
        highlight=False,
    )
    failed = {named[key]: state.reason for key, state in states.items() if state.status == "failed"}
    if failed:
        Terminal(stderr=True).print(f"kp: {display.failure(failed)}", style="red", highlight=False, soft_wrap=True)
    return not failed
