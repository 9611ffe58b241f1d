"""``kp splits``: which keypoints are learned first, and which after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.group import Group
from kpcore.cli.output import meeting, number, print_json, print_lines, print_table

if TYPE_CHECKING:
    from kpcore.keypoints import KeypointSplit

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, help="List and show keypoint splits.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Source = Annotated[
    Path | None,
    typer.Argument(
        help="A study file, for its splits. [default: those that rules give without options]", show_default=False
    ),
]


@app.command("list")
def list_splits(source: Source = None, as_json: AsJson = False) -> None:
    """List splits."""
    from kpcore.registry import registry
    from kpcore.study import source as data

    found = data.list_splits(source, registry())
    if as_json:
        print_json({name: [rule_record(rule) for rule in rules] for name, rules in found.items()})
        return
    for name, rules in found.items():
        rows = [[rule.rule, split.name, *brief(split)] for rule in rules for split in rule.splits]
        print_table(["rule", "split", "S1", "S2", "overlap"], rows, title=f"on the skeleton of '{name}'")
        print_lines(f"rule '{rule.rule}' gives none without options: {rule.reason}" for rule in rules if rule.reason)
    if not found:
        print_lines(["No data set plugin says its skeleton without data; give a study file: kp splits list STUDY.toml"])


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A split's name, or RULE:NAME.")],
    source: Source = None,
    as_json: AsJson = False,
) -> None:
    """Show a split: its keypoint sets, what they share and leave out, report columns, published values."""
    from kpcore.registry import registry
    from kpcore.study import source as data
    from kpcore.study.rules import pick

    found = pick(data.list_splits(source, registry()), name)
    if as_json:
        print_json({dataset: record(split) for dataset, split in found.items()})
        return
    for dataset, split in found.items():
        print_split(split, dataset)


def rule_record(rule: Any) -> dict[str, Any]:
    """Return what a rule gives as JSON."""
    return {"rule": rule.rule, "reason": rule.reason, "splits": [record(split) for split in rule.splits]}


def record(split: KeypointSplit) -> dict[str, Any]:
    """Return a split as JSON."""
    return {
        "name": split.name,
        "steps": [list(step.keypoints.names) for step in split.steps],
        "datasets": [step.dataset for step in split.steps],
        "extra": list(split.extra) if split.crosses else [],
        "missing": list(split.missing) if split.crosses else [],
        "overlap": list(split.overlap),
        "unused": list(split.unused),
        "columns": {column.name: list(column.keypoints) for column in split.columns},
        "average": [column.name for column in split.columns if column.in_average],
        "reference": split.reference,
        "reference_convention": split.reference_convention,
    }


def groups(split: KeypointSplit, names: tuple[str, ...]) -> str:
    """Return keypoints briefly: by group where all of a group is there."""
    skeleton = split.target.skeleton
    whole = {group: members for group, members in skeleton.groups.items() if set(members) <= set(names)}
    covered = {name for members in whole.values() for name in members}
    return " ".join([*whole, *(name for name in names if name not in covered)])


def brief(split: KeypointSplit) -> list[str]:
    """Return S1, S2 and overlap for the list; a split of one step has no S2."""
    last = split.target.names if len(split.steps) > 1 else ()
    return [groups(split, names) for names in (split.source.names, last, split.overlap)]


def print_split(split: KeypointSplit, dataset: str) -> None:
    """Print everything of one split."""
    rows = [
        *(
            (f"S{number}", f"{len(step.keypoints)}: {', '.join(step.keypoints.names)}")
            for number, step in enumerate(split.steps, 1)
        ),
        ("overlap", ", ".join(split.overlap) or "none"),
        ("unused", ", ".join(split.unused) or "none"),
        *(("across", line) for line in meeting(split)),
    ]
    print_table(["", "keypoints"], rows, title=f"split '{split.name}' on the skeleton of '{dataset}'")
    columns = [
        [column.name, ", ".join(column.keypoints), "yes" if column.in_average else "no"] for column in split.columns
    ]
    print_lines([""])
    print_table(["column", "mean over", "in the average"], columns)
    if split.reference:
        print_lines([""])
        print_reference(split)


def print_reference(split: KeypointSplit) -> None:
    """Print the published values."""
    names = [*(column.name for column in split.columns), "average"]
    rows = [
        [mode, *(number(values[name], 2) if name in values else "" for name in names)]
        for mode, values in split.reference.items()
    ]
    print_table(["published", *names], rows, right=names)
