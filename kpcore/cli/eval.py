"""``kp eval``: score predictions from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.output import number, print_json, print_lines, print_table

if TYPE_CHECKING:
    from kpcore.evaluation.score import Result

METRIC = ("metric.", "evaluation.metric.")
"""Begins a ``--set`` for the metric; the second as in a study file."""


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="HDF5 with 'preds' (N, K, D).", show_default=False)],
    dataset: Annotated[str, typer.Option("--dataset", metavar="NAME", help="The data set plugin.", show_default=False)],
    root: Annotated[Path | None, typer.Option("--root", metavar="PATH", help="Root of the data.")] = None,
    part: Annotated[str, typer.Option("--part", metavar="NAME", help="The part that was predicted.")] = "valid",
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="[default: the data set's own]")
    ] = None,
    convention: Annotated[
        str | None, typer.Option("--convention", metavar="NAME", help="How numbers are made.")
    ] = None,
    threshold: Annotated[float | None, typer.Option("--threshold", help="What counts as correct.")] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="NAME", help="Score the last set of this split.")
    ] = None,
    origin: Annotated[
        int | None,
        typer.Option(
            "--origin", min=0, max=1, help="First pixel's coordinate. [default: the file's, or the annotation's]"
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the data set, dataset.KEY or KEY; of the metric, metric.KEY. Repeatable.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score predictions from anywhere.

    The file holds one row a person, in the annotation file's order, in pixels of the image.
    """
    from kpcore.config import parse_options
    from kpcore.evaluation.predictions import read_predictions
    from kpcore.evaluation.score import build_metric, score
    from kpcore.registry import registry
    from kpcore.study.rules import find_split
    from kpcore.study.source import open_named

    known = registry()
    given = read_predictions(predictions).with_origin(origin)
    of_metric = [one.removeprefix("evaluation.") for one in sets or [] if one.startswith(METRIC)]
    opened = open_named(known, dataset, root, [one for one in sets or [] if not one.startswith(METRIC)])
    (part,) = opened.parts(part)
    chosen = find_split(known, split, opened.dataset.skeleton) if split else None
    options = {"convention": convention, "threshold": threshold, **parse_options(of_metric, "metric")}
    built = build_metric(known, metric or opened.dataset.facts.default_metric, options)
    result = score(opened.dataset, part, given, built.metric, chosen)
    if as_json:
        print_json(
            {"data": result.data, "part": part, "people": result.people, "metric": built.name, "split": split,
             "convention": built.options.get("convention", result.convention), "description": result.convention,
             "threshold": built.options.get("threshold"), "columns": result.columns, "average": result.average}
        )  # fmt: skip
    else:
        print_result(result, split)


def print_result(result: Result, split: str | None) -> None:
    """Print a score as a table with what it is."""
    some = "" if result.people == result.people_of_part else f" of {result.people_of_part:,}"
    named = f", split {split}" if split else ""
    print_lines([f"{result.data}, part {result.part}, {result.people:,}{some} people{named}: {result.convention}", ""])
    cells: dict[str, Any] = {**result.columns, "average": result.average}
    print_table(list(cells), [[number(value, 2) for value in cells.values()]], right=list(cells))
