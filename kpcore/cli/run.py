"""``kp run``: run a study, or show its plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Trainings at once. [default: what cores and memory hold; 1 on a GPU]"),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train everything again, whatever the cache has.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print jobs, cache hits and cost; train nothing.")] = False,
) -> None:
    """Run a study; run it again to go on with what is unfinished."""
    from rich.console import Console

    from kpcore.cli import display
    from kpcore.registry import registry
    from kpcore.report.curves import write_curves
    from kpcore.report.tables import print_tables, write_tables
    from kpcore.study.executors import local
    from kpcore.study.opening import open_study
    from kpcore.study.planning import plan_study
    from kpcore.study.reasons import damaged, reasons
    from kpcore.study.runner import run_study
    from kpcore.training.device import choose_device, jobs_at_once

    console = Console()
    with display.Bar(console, "Writing sample data") as bar:
        study = open_study(
            registry(), config, profile, sets or [], lambda text: console.print(text, style="yellow"), bar
        )
    settings = study.config.training
    where = choose_device(device, settings.precision, settings.threads)
    at_once = jobs or jobs_at_once(where)
    plan_of_jobs = plan_study(study, where)
    folder = out or Path("runs") / study.config.study.name
    display.print_header(console, study, plan_of_jobs, where, at_once)
    display.print_reasons(console, reasons(plan_of_jobs, study.config.study.name, folder))
    if plan:
        display.print_lines(console, damaged(plan_of_jobs))
        display.print_plan(console, study, plan_of_jobs, where, at_once)
        if plan_of_jobs.refused:
            raise typer.Exit(1)
        return
    with display.Display(console, plan_of_jobs) as watcher:
        results = run_study(study, plan_of_jobs, where, folder, watcher, local(at_once), fresh=fresh)
    written = write_tables(results, folder)
    written += write_curves(results, display.histories(plan_of_jobs), folder)
    print_tables(results, console)
    console.print(f"Written to {folder}: results.json, {', '.join(path.name for path in written)}")
    if failed := display.failures(results):
        Console(stderr=True).print(f"kp: {display.failure(failed)}", style="red", highlight=False)
        raise typer.Exit(1)
