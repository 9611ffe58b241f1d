"""``kp bench``: what this machine makes of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kpcore.cli.output import number, print_json, print_lines, print_table, size, tell
from kpcore.interrupts import held


def bench(
    config: Annotated[Path, typer.Argument(metavar="STUDY", help="A study file.", show_default=False)],
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Profile of the study file.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A key of the study. Repeatable.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps. [default: the best there is]")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="start-up, prepare, pipeline, predict, checkpoint or steps. Repeatable."),
    ] = None,
    precisions: Annotated[
        list[str] | None, typer.Option("--precision", help="fp32, bf16 or fp16. Repeatable. [default: the study's]")
    ] = None,
    vs_naive: Annotated[
        bool, typer.Option("--vs-naive", help="Add the plain fp32 NCHW eager step of the same network.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Compare this many trainings at once with one alone.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Passes over everything that is compared.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps in a row in each of them.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time start-up, preparing, the input pipeline, predicting, checkpoints and training steps of a study."""
    with held():  # torch that is broken off while it is imported ends the process
        from kpcore.measure.bench import PARTS, Bench, run_bench
        from kpcore.measure.timing import Effort
        from kpcore.registry import registry
        from kpcore.study.opening import open_study
        from kpcore.training.device import choose_device, choose_precisions

    study = open_study(registry(), config, profile, sets or [], say)
    settings = study.config.training
    where = choose_device(device, settings.precision, settings.threads)
    chosen = choose_precisions(device, precisions or [where.precision])
    what = Bench(chosen_parts(only, PARTS), chosen, vs_naive, jobs, Effort(rounds, steps))
    result = run_bench(study, where, what, lambda text: say(f"measuring {text} ..."))
    if as_json:
        print_json(result)
    else:
        print_result(result)


def say(text: str) -> None:
    """Tell on stderr what goes on."""
    tell(text)


def chosen_parts(only: list[str] | None, known: tuple[str, ...]) -> frozenset[str]:
    """Return what is measured; raises KpError where a name is none."""
    from kpcore.errors import unknown

    for name in only or []:
        if name not in known:
            raise unknown("part", name, known, where="--only")
    return frozenset(only or known)


def print_result(result: dict[str, Any]) -> None:
    """Print what was measured, for people."""
    head = ("study", "preset", "data", "chip", "threads", "torch")
    print_lines([", ".join(f"{name} {result[name]}" for name in head), ""])
    lines = [f"start-up: {name} {number(seconds, 2)} s" for name, seconds in result.get("start_up", {}).items()]
    if "prepare" in result:
        lines.append("prepare: {people} people, {people_per_second:.0f} a second".format(**result["prepare"]))
    if "pipeline" in result:
        line = (
            "input pipeline: {samples_per_second_per_core:.0f} samples a second and core"
            " (crops {batches:.0%}, input {input:.0%}, targets {targets:.0%})"
        )
        lines.append(line.format(**result["pipeline"]))
    if "checkpoint" in result:
        lines.append(checkpoint_line(**result["checkpoint"]))
    if "predict" in result:
        line = (
            "kp predict: {whole:.1f} crops a second at {resolution} px in {precision}, the network alone {alone:.1f},"
            " ratio {ratio:.2f}"
        )
        lines.append(line.format(**result["predict"]))
    print_lines([*lines, ""])
    if "steps" in result:
        print_steps(result)
    if "at_once" in result:
        line = "{jobs} at once: {at_once:.1f} images/s, one alone: {alone:.1f}, ratio {ratio:.2f}"
        print_lines([line.format(**result["at_once"])])


def checkpoint_line(job: str, bytes: int, seconds: float, every: float | None, share: float) -> str:
    """Return the line on what checkpoints cost."""
    apart = f"one in {every / 60:g} minutes takes {share:.2%} of training" if every else "none inside an epoch"
    return f"checkpoint of {job}: {size(bytes)}, on the disk in {seconds:.2f} s; {apart}"


def print_steps(result: dict[str, Any]) -> None:
    """Print the steps and how they compare."""
    heads = ["batch", "ms, in memory", "ms, on data", "images/s", "data ratio", "waiting %", "TFLOP/s", "memory"]
    rows = [
        [
            step["job"], step["precision"], step["batch"], milliseconds(step["in_memory"]),
            milliseconds(step["streamed"]), number(step["images_per_second"]), optional(step["data_ratio"], 3),
            optional(step["waiting"] and 100 * step["waiting"], 2), number(step["tflops"], 3), size(step["peak"]),
        ]
        for step in result["steps"]
    ]  # fmt: skip
    print_table(["step of", "precision", *heads], rows, right=heads)
    print_lines(["", *(f"{name}: {number(value, 2)}" for name, value in result["ratios"].items())])


def milliseconds(seconds: float | None) -> str:
    """Return a cell of milliseconds."""
    return optional(seconds and 1000 * seconds, 1)


def optional(value: float | None, digits: int) -> str:
    """Return a cell of what may not have been measured."""
    return "-" if value is None else number(value, digits)
