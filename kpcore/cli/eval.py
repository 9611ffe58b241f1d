"""``kp eval``: score predictions from anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.output import number, print_json, print_lines, print_table

if TYPE_CHECKING:
    from kpcore.evaluation.score import Result
    from kpcore.evidence.model import TableEvidence
    from kpcore.interfaces import Metric
    from kpcore.keypoints import KeypointSplit
    from kpcore.registry import Built, Registry
    from kpcore.study.source import Opened

METRIC = ("metric.", "evaluation.metric.")
"""Begins a ``--set`` for the metric; the second as in a study file."""


def evaluate(
    predictions: Annotated[
        list[Path],
        typer.Argument(
            help="HDF5 with 'preds' (N, K, D); of several, the others are compared with the first.", show_default=False
        ),
    ],
    dataset: Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="The data set plugin.")] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            "--study", metavar="STUDY", help="A study file, for its data, splits and metric, instead of a name."
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option("--root", metavar="PATH", help="Root of the data.")] = None,
    part: Annotated[str, typer.Option("--part", metavar="NAME", help="The part that was predicted.")] = "valid",
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="[default: the study's, or the data set's own]")
    ] = None,
    convention: Annotated[
        str | None, typer.Option("--convention", metavar="NAME", help="How numbers are made.")
    ] = None,
    threshold: Annotated[float | None, typer.Option("--threshold", help="What counts as correct.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME", help="Score the last set of this split. [default: a study's only one, else all]"
        ),
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
            help="An option of the data set, dataset.KEY or KEY; of the metric, metric.KEY. With --study also a key of"
            " the study. Repeatable.",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", min=0, help="Of several files: also say which are no worse than the first by this."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score predictions from anywhere, with 95% intervals; compare several, paired by sample.

    A file holds one row a person, in the annotation file's order, in pixels of the image. Images are drawn anew, with
    the people in them; the predictions stay as they are. Several files are compared on the keypoints that all predict.
    """
    from kpcore.cli.compared import known, names_of, print_compared
    from kpcore.evaluation.common import on_common_keypoints

    if margin is not None and not isfinite(margin):
        from kpcore.errors import KpError

        raise KpError(f"--margin {margin:g}: is no number that a score could be worse by; give one of 0 or more")
    options = {"convention": convention, "threshold": threshold}
    named = names_of(predictions)
    asked = Asked(tuple(named.values()), dataset, study, root, part, metric, split, origin)
    built, scores = scored(asked, options, sets or [])
    results = on_common_keypoints(dict(zip(named, scores, strict=True)))
    found = known(results)
    if as_json:
        print_json(records(built, results, found, margin))
    elif len(results) > 1:
        print_compared(results, found, built.component.average_name, margin)
    else:
        print_result(results[next(iter(results))], built.component.average_name, found)


@dataclass(frozen=True)
class Asked:
    """What is scored, as the command line names it."""

    predictions: tuple[Path, ...]
    dataset: str | None
    study: Path | None
    root: Path | None
    part: str
    metric: str | None
    split: str | None
    origin: int | None


def scored(asked: Asked, options: dict[str, Any], sets: list[str]) -> tuple[Built[Metric], list[Result]]:
    """Read, build and score; ``options`` are the metric's own of the command line, None where not given."""
    from kpcore.config import parse_options
    from kpcore.evaluation.predictions import read_predictions
    from kpcore.evaluation.score import build_metric, score
    from kpcore.registry import registry

    known = registry()
    given = [read_predictions(path).with_origin(asked.origin) for path in asked.predictions]
    of_metric = [one.removeprefix("evaluation.") for one in sets if one.startswith(METRIC)]
    opened = opened_data(known, asked, [one for one in sets if not one.startswith(METRIC)])
    (part,) = opened.parts(asked.part)
    split = chosen_split(known, opened, asked)
    name, own = chosen_metric(opened, asked.metric)
    given_options = {key: value for key, value in options.items() if value is not None}
    built = build_metric(known, name, {**own, **given_options, **parse_options(of_metric, "metric")})
    data = opened.data
    results = [score(opened.dataset, part, one, built.component, split, skeleton=data.skeleton) for one in given]
    # what the study calls its data: "sample data" where it is generated
    return built, [replace(one, data=data.label, listed=data.list_name) for one in results]


def chosen_split(known: Registry, opened: Opened, asked: Asked) -> KeypointSplit | None:
    """Return the split whose last set is scored: the named one, or a study's only one; None where all is scored.

    Raises:
        KpError: there is no such split, or the study has several and none is named.
    """
    if asked.split is None and len(opened.splits) > 1:
        from kpcore.errors import KpError, listed

        names = [split.name for split in opened.splits]
        what = f"{len(names)} splits; --split NAME says whose last set is scored ({listed(names)} exist)"
        raise KpError(f"{asked.study}: has {what}")
    return opened.split(known, asked.split)


def chosen_metric(opened: Opened, wanted: str | None) -> tuple[str, dict[str, Any]]:
    """Return the metric's name and its options of a study file: the wanted one, the study's, or the data set's own."""
    if wanted:
        return wanted, {}
    return opened.metric.name or opened.dataset.facts.default_metric, opened.metric.options


def opened_data(known: Registry, asked: Asked, sets: list[str]) -> Opened:
    """Open the data set of a name, or of a study; raises KpError where neither or both are given."""
    from kpcore.errors import KpError
    from kpcore.study.source import Request, open_request

    if asked.dataset is None and asked.study is None:
        raise KpError("which data set do these predictions belong to? give --dataset NAME, or --study STUDY.toml")
    request = Request(asked.study, asked.dataset, asked.root, sets=sets)
    return open_request(request, known, partial(typer.echo, err=True))


def records(
    built: Built[Metric], results: dict[str, Result], found: TableEvidence, margin: float | None
) -> dict[str, Any]:
    """Return one file's score as JSON; or of several each, and the differences to the first."""
    from kpcore.cli.compared import difference, intervals

    notes = list(found.notes)
    each = [
        {**record(built, result), "intervals": intervals(found, name), "notes": notes, "signature": found.signature}
        for name, result in results.items()
    ]
    if len(each) == 1:
        return each[0]
    return {
        "baseline": found.baseline,
        "files": dict(zip(results, each, strict=True)),
        "differences": [difference(one, margin, found.higher_is_better) for one in found.differences],
        "notes": notes,
        "signature": found.signature,
    }


def record(built: Built[Metric], result: Result) -> dict[str, Any]:
    """Return a score as JSON."""
    options = built.recipe.options
    return {
        "data": result.data,
        "part": result.part,
        "people": result.people,
        "metric": built.recipe.name,
        "split": result.split or None,
        "keypoints": result.keypoints,
        "not_scored": result.not_scored,
        "without_value": result.without_value,
        "unmatched": result.unmatched,
        "convention": options.get("convention", result.convention),
        "description": result.convention,
        "threshold": options.get("threshold"),
        "columns": result.columns,
        "average": result.average,
        "note": result.note,
    }


def print_result(result: Result, average: str, found: TableEvidence) -> None:
    """Print a score as a table with what it is; ``average`` is what the metric calls it ("AP")."""
    from kpcore.cli.compared import AVERAGE, limits

    some = "" if result.people == result.people_of_part else f" of {result.people_of_part:,}"
    head = f"{result.data}, part {result.part}, {result.people:,}{some} samples: {result.convention}"
    print_lines([head, *what_was_scored(result), ""])
    own = f"{average} (all)" if average in result.columns else average
    cells = [*result.columns.items(), *([] if result.note else [(own, result.average)])]
    given = {own if cell.column == AVERAGE else cell.column: limits(cell.given) for cell in found.cells}
    rows = [[name, number(value, 2), given.get(name, "-")] for name, value in cells]
    print_table(["column", "score", "95%"], rows, right=["score", "95%"])
    print_lines(["", *found.notes, found.signature, *(["", result.note] if result.note else [])])


def what_was_scored(result: Result) -> list[str]:
    """Return lines that say which keypoints were scored and why, and what was not."""
    from kpcore.errors import listed

    by = f"the last set of split '{result.split}'" if result.split else "all that are predicted"
    lines = [f"Scored: {len(result.keypoints)} keypoints, {by}: {listed(result.keypoints)}"]
    if result.not_scored:
        lines.append(f"Predicted, but not scored: {listed(result.not_scored)}")
    if result.without_value:
        why = "the length that it divides by, or all that it counts, is not labelled"
        lines.append(f"Left out: {result.without_value:,} samples with labels that the metric gives no value: {why}")
    if result.unmatched:
        lines.append(f"By image name: {result.unmatched}")
    return lines
