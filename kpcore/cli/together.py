"""``torchrun ... -m kpcore run STUDY --job NAME``: one training by several processes, of which the first speaks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeVar

import torch
import typer
from rich.console import Console

from kpcore.cli.app import FAILED, WRONG_INPUT, for_people, interrupted, say
from kpcore.cli.output import console as new_console
from kpcore.cli.run import Asked, in_a_line, interruptible, opened
from kpcore.cli.single import OPTION, train_jobs
from kpcore.cli.stages import Stages
from kpcore.cli.terminal import Terminal
from kpcore.errors import FaultError, InterruptError, KpError
from kpcore.interrupts import exit_code
from kpcore.network import Network
from kpcore.records.folder import JobFolder
from kpcore.study.executors import local
from kpcore.study.executors.here import kept_traceback, prepared
from kpcore.study.executors.interface import Run
from kpcore.study.faults import fault
from kpcore.study.guard import told
from kpcore.study.jobs import Job, JobPlan
from kpcore.study.planning import job_plan
from kpcore.study.protocol import follow, moving
from kpcore.study.some import Wanted, chosen, lacking
from kpcore.study.study import Study
from kpcore.training.checkpoint import interval
from kpcore.training.device import Device
from kpcore.training.launched import leave, meet, own_device
from kpcore.training.loop import JobError
from kpcore.training.process import set_up_process
from kpcore.training.ranks import FirstError, Ranks

Value = TypeVar("Value")


class Nobody:
    """Watches a training in silence."""

    def preparing(self, *told: object) -> None:
        """Say nothing."""

    iteration = epoch = notice = preparing


def train_together(asked: Asked, names: Sequence[str], *, fresh: bool) -> NoReturn:
    """Train one job with the other processes that ``torchrun`` has started, and end this process.

    It is ended where it is: after an error others may wait in libraries that would keep it from its end.
    """
    try:
        with in_a_line(insisted=None):  # torchrun passes signals on, and itself kills those that do not end
            code = _train(asked, names, fresh)
    except InterruptError as stop:
        code = interrupted(stop) if leads() else exit_code(stop.number)
    except typer.Exit as found:
        code = found.exit_code
    except KpError as error:
        code = say(f"error: {_place()}{for_people(error)}", FAILED if isinstance(error, FaultError) else WRONG_INPUT)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def leads() -> bool:
    """Whether this process is the one that speaks."""
    return os.environ["RANK"] == "0"


def _place() -> str:
    """Return which process speaks, where it is not the one that does."""
    return "" if leads() else f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']}: "


def _train(asked: Asked, names: Sequence[str], fresh: bool) -> int:
    if len(names) != 1:
        what = (
            f"they were given {len(names)}" if names else "write --job NAME (kp run STUDY --plan --names prints them)"
        )
        raise _once(f"torchrun has started {os.environ['WORLD_SIZE']} processes, which train one job together; {what}")
    interval()  # where it is wrong, that is said now
    device = own_device(asked.device)
    console = new_console() if leads() else Terminal(quiet=True, force_terminal=False)
    ranks = meet(device)
    wanted = _agreed(ranks, lambda: _open(console, replace(asked, device=device), names, fresh, ranks))
    _compare(ranks, wanted.jobs[0])
    missing = ranks.of_first(lambda: bool(wanted.missing))
    if ranks.first:
        one = JobPlan(tuple(wanted.jobs), ())
        code = 0 if interruptible(lambda: train_jobs(console, wanted, local(1), 1), one, fresh=fresh) else FAILED
    else:
        code = _follow(wanted) if missing else 0
    if not code:
        leave()
    return code


def _once(line: str) -> Exception:
    """Return an error that the first process alone tells."""
    return KpError(line) if leads() else typer.Exit(WRONG_INPUT)


def _open(console: Console, asked: Asked, names: Sequence[str], fresh: bool, ranks: Ranks) -> Wanted:
    """Open the study and find its job; raises KpError where it cannot be trained here by so many processes."""
    with Stages(console, "Loading PyTorch ...") as stages:
        study, plan, where = opened(console, stages, asked)
    device = replace(where, ranks=ranks)
    wanted = Wanted(study, plan, chosen(plan, names), device, Path("runs") / study.config.study.name, fresh)
    for job in wanted.missing:
        _check(study, job, device)
    return wanted


def _check(study: Study, job: Job, device: Device) -> None:
    ranks, training = device.ranks, study.config.training
    ranks.share(training.batch_size)
    if training.compile == "graphs":
        raise KpError("training.compile = 'graphs': not where several processes train one job; use 'blocks' or 'off'")
    for other in job.waits_for:
        if not JobFolder.of(other.key).done:
            raise KpError(f"{OPTION} {job.name}: {lacking(other, job)}; run {OPTION} {other.name} first")
    if ranks.first and (who := JobFolder.of(job.key).owner()):
        raise KpError(f"{OPTION} {job.name}: {who} trains it; several processes do not wait for it")
    with torch.device("meta"):
        network = Network(study.backbone, study.codec, job.layout)
    ranks.check(network, moving(network, job_plan(study, job)[1]), device.torch)


def _agreed(ranks: Ranks, work: Callable[[], Value]) -> Value:
    """Return what work makes, where it succeeds in all processes; else one line on what went wrong in the first such.

    Raises:
        KpError: in the first process, with that line.
        Exit: in the others.
    """
    made: list[Value] = []
    line = ""
    try:
        made.append(work())
    except Exception as error:
        line = for_people(error) or ""
        if not line:
            raise
    lines = ranks.everyone(line)
    if any(lines):
        number = next(number for number, line in enumerate(lines) if line)
        where = f"process {number} of {ranks.count}: " if number else ""
        raise _once(where + lines[number])
    return made[0]


def _compare(ranks: Ranks, job: Job) -> None:
    """Check that all processes train the same; they may run on several machines."""
    keys = ranks.everyone(job.key)
    number = next((number for number, key in enumerate(keys) if key != keys[0]), None)
    if number is not None:
        raise _once(
            f"process {number} of {ranks.count} plans another training as {job.name}: data, plugins, versions or"
            " settings differ between the machines"
        )


def _follow(wanted: Wanted) -> int:
    """Take part in the training; what the first process says of its end is not said again."""
    study, device, (job,) = wanted.study, wanted.device, wanted.jobs
    try:
        set_up_process(device, study.config.training.compile)
        shop = prepared(Run(study, wanted.plan, device, [job], Nobody()))
        follow(job, shop, Nobody())
    except (JobError, FirstError):
        return FAILED
    except (Exception, SystemExit) as error:
        line = fault(error, device.torch) or told(error, study.known)
        where = "" if isinstance(error, KpError) else f" (traceback: {kept_traceback(job.key, error)})"
        return say(f"{_place()}{job.name}: {line}{where}", FAILED)
    return 0
