"""``kp run``: run a study, or show its plan."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpcore.errors import InterruptError
from kpcore.interrupts import Stopped, asked, held, leave, stoppable

if TYPE_CHECKING:
    from rich.console import Console

    from kpcore.cli.stages import Stages
    from kpcore.study.executors import Executor
    from kpcore.study.jobs import JobPlan
    from kpcore.study.study import Study
    from kpcore.training.device import Device

app = typer.Typer()


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="The study file (TOML).", show_default=False)],
    profile: Annotated[str | None, typer.Option(help="Overlay [profiles.NAME] of the file.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Set one key, e.g. dataset.root=PATH. Repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results. [default: runs/STUDY]")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps. [default: the best there is]")] = None,
    devices: Annotated[
        str | None,
        typer.Option(help="Share the trainings out to several devices of this machine, e.g. cuda:0,cuda:1."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Trainings at once. [default: what cores and memory hold; 1 on a GPU]"),
    ] = None,
    executor: Annotated[str, typer.Option(help="local, or ray for the machines of a Ray cluster.")] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="Of the Ray cluster: HOST:PORT or auto. [default: RAY_ADDRESS, else this machine alone]"),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train everything again, whatever the cache has.")] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            envvar="KP_TRACK",
            help="Show the study in a tracker too: tensorboard, mlflow, wandb, or a plugin's. Repeatable.",
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print jobs, cache hits and cost; train nothing.")] = False,
    job: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Train this job alone, by its name or its key's beginning, into the cache; no results are written."
            " Repeatable.",
        ),
    ] = None,
    names: Annotated[
        bool, typer.Option("--names", help="With --plan: print stage and name of what is to be trained, a line each.")
    ] = False,
) -> None:
    """Run a study; run it again to go on with what is unfinished, or was stopped (Ctrl+C, SIGTERM, SIGHUP)."""
    from kpcore.cli import single
    from kpcore.cli.output import console as new_console
    from kpcore.cli.places import Places
    from kpcore.cli.stages import Stages

    single.check_options(job or [], out, plan=plan, names=names)
    places = Places(executor, address, device, devices, jobs)
    places.check_options(single=bool(job))
    request = Asked(config, profile, sets or [], places.first, [] if job else track or [])
    if single.launched():
        single.hush()
        from kpcore.cli.together import train_together

        train_together(request, job or [], fresh=fresh)
    with in_a_line():
        console = new_console(stderr=names)
        with Stages(console, "Loading PyTorch ...") as stages:
            places.check_devices()
            study, job_plan, where = opened(console, stages, request)
        from kpcore.training.checkpoint import interval

        interval()  # where it is wrong, that is said now
        pool = places.open(study.config.training, where)
        folder = out or Path("runs") / study.config.study.name
        target = Target(where, places.at_once(where), folder, fresh, pool)
        if names:
            done = single.print_names(job_plan)
        elif plan:
            done = show_plan(console, study, job_plan, target)
        elif job:
            done = single.train_named(console, study, job_plan, target, job, tracked=bool(track))
        else:
            done = interruptible(lambda: run_plan(console, study, job_plan, target), job_plan, fresh=fresh)
    if not done:
        raise typer.Exit(1)


@contextmanager
def in_a_line(insisted: Callable[[int], None] | None = leave) -> Iterator[None]:
    """Have a signal end the block in one line; a second one ends the command where it is, or what is given here."""
    with stoppable(insisted=insisted):
        try:
            yield
        except Stopped as stop:
            raise InterruptError("the same command goes on", stop.number) from None


@dataclass(frozen=True)
class Asked:
    """What the command line says of the study, of the device that it is run on, and of the trackers that show it."""

    file: Path
    profile: str | None
    sets: list[str]
    device: str | None
    track: list[str]


def opened(console: Console, stages: Stages, asked: Asked) -> tuple[Study, JobPlan, Device]:
    """Open a study, find its device and plan its jobs."""
    with held():  # torch that is broken off while it is imported ends the process
        from kpcore.cli.tracking import track
        from kpcore.registry import registry
        from kpcore.study.opening import open_study
        from kpcore.study.planning import plan_study
        from kpcore.training.device import choose_device

    track(registry(), asked.track)
    stages(f"Opening {asked.file.name} ...")
    whole = not console.is_terminal  # a terminal breaks lines at words, a file keeps them
    notice = partial(console.print, style="yellow", markup=False, highlight=False, soft_wrap=whole)
    study = open_study(registry(), asked.file, asked.profile, asked.sets, notice, stages.progress, stages)
    settings = study.config.training
    where = choose_device(asked.device, settings.precision, settings.threads)
    stages("Planning the trainings ...")
    return study, plan_study(study, where), where


@dataclass(frozen=True)
class Target:
    """Where and how a study is run.

    Args:
        device: of each job.
        at_once: how many jobs; 0 for as many as a cluster holds.
        folder: of the results.
        fresh: train everything again.
        executor: that runs them.
    """

    device: Device
    at_once: int
    folder: Path
    fresh: bool
    executor: Executor


def show_plan(console: Console, study: Study, plan: JobPlan, target: Target) -> bool:
    """Print what would be run; return whether all of it can be."""
    from kpcore.cli import display
    from kpcore.cli.plan import print_plan
    from kpcore.study.reasons import damaged

    print_head(console, study, plan, target)
    display.print_lines(console, damaged(plan))
    print_plan(console, study, plan, target.device, target.at_once)
    return not plan.refused


def interruptible(work: Callable[[], bool], plan: JobPlan, *, fresh: bool) -> bool:
    """Train the jobs of a plan; an interrupt says how to go on."""
    from kpcore.cli.display import goes_on

    try:
        return work()
    except (KeyboardInterrupt, OSError) as stop:  # a terminal that is closed takes no last words either
        if isinstance(stop, OSError) and not asked():
            raise
        same = "the same command" + (" without --fresh" if fresh else "")
        raise InterruptError(f"{same} {goes_on(plan)}", asked() or signal.SIGINT) from None


def run_plan(console: Console, study: Study, plan: JobPlan, target: Target) -> bool:
    """Run what is missing, and print and write the results; return whether nothing failed."""
    from kpcore.api.closing import tell_ended, write_files
    from kpcore.cli import display
    from kpcore.cli.live import Display
    from kpcore.cli.refresh import Refresher
    from kpcore.cli.report import page_of
    from kpcore.cli.stages import Stages
    from kpcore.cli.terminal import Terminal
    from kpcore.report.ending import print_ending
    from kpcore.report.page.folder import read_words
    from kpcore.report.terminal import print_tables
    from kpcore.study.runner import run_study

    print_head(console, study, plan, target)
    folder, executor = target.folder, target.executor
    refresher = Refresher(plan, folder, lambda text: display.print_lines(console, [text]))
    with Display(console, plan, study.validation.convention, refresher) as watcher:
        results = run_study(study, plan, target.device, folder, watcher, executor, fresh=target.fresh)
    with Stages(console, "Making intervals, tables and curves ..."):
        known, written = write_files(plan, folder, results)
    print_tables(results, console, known)
    console.print(f"Written to {folder}: results.json, {', '.join(path.name for path in written)}")
    with Stages(console, "Drawing the page ..."):
        page = page_of(console, study, plan, folder, known)
    console.print()
    print_ending(read_words(folder, known), console, str(page or ""))
    display.print_lines(console, tell_ended(study, folder, results))
    if failed := display.failures(results):
        Terminal(stderr=True).print(f"kp: {display.failure(failed)}", style="red", highlight=False)
    return not failed


def print_head(console: Console, study: Study, plan: JobPlan, target: Target) -> None:
    """Say what is run, on what data, and why what was trained before is trained again."""
    from kpcore.cli import display
    from kpcore.study.asked import same_answers
    from kpcore.study.reasons import reasons
    from kpcore.study.remarks import metric_remarks

    display.print_header(console, study, plan, target.device, target.at_once)
    display.print_lines(console, [f"Warning: {line}" for line in (*metric_remarks(study), *same_answers(study, plan))])
    display.print_reasons(console, reasons(plan, study.config.study.name, target.folder))
