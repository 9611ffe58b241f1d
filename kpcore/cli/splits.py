"""``kp splits``: which keypoints are learned first, and which after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.group import Group
from kpcore.cli.output import meeting, number, print_json, print_lines, print_table
from kpcore.errors import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpcore.keypoints import KeypointSplit, Skeleton
    from kpcore.study.rules import RuleSplits

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, help="List and show keypoint splits.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Source = Annotated[
    str | None,
    typer.Argument(
        help="A study file, for its splits, or a data set's name. [default: every data set whose keypoints are known]",
        show_default=False,
    ),
]
Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Profile of the study file.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A key of the study file. Repeatable.")
]
MANY = 5
"""Names of a rule's splits that the overview lists, at most."""


@app.command("list")
def list_splits(source: Source = None, profile: Profile = None, sets: Sets = None, as_json: AsJson = False) -> None:
    """List splits."""
    from kpcore.registry import registry
    from kpcore.study import source as data

    found = data.list_splits(source, registry(), profile, sets or [])
    if as_json:
        print_json({name: [rule_record(rule) for rule in rules] for name, rules in found.items()})
    elif source is None:
        print_overview(found)
    else:
        for name, rules in found.items():
            print_rules(name, rules)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A split's name, or RULE:NAME.")],
    source: Source = None,
    profile: Profile = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Show a split: its keypoint sets, what they share and leave out, report columns, published values."""
    from kpcore.registry import registry
    from kpcore.study import source as data
    from kpcore.study.rules import pick

    found = pick(data.list_splits(source, registry(), profile, sets or []), name)
    if as_json:
        print_json({dataset: record(split) for dataset, split in found.items()})
        return
    for dataset, split in found.items():
        print_split(split, dataset)


def print_overview(found: Mapping[str, Sequence[RuleSplits]]) -> None:
    """Print the names of the splits that each data set has, a line a rule."""
    rows = [
        [name, rule.rule, listed([split.name for split in rule.splits], MANY)]
        for name, rules in found.items()
        for rule in rules
        if rule.splits
    ]
    if not rows:
        print_lines(["No data set plugin says its skeleton without data; give a study file: kp splits list STUDY.toml"])
        return
    print_table(["data set", "rule", "splits"], rows)
    print_lines(
        [
            "",
            "With their keypoints: 'kp splits list DATASET', or a study file; one in full: 'kp splits show NAME'.",
        ]
    )


def print_rules(name: str, rules: Sequence[RuleSplits]) -> None:
    """Print the splits on one data set's skeleton, and why some rules give none."""
    rows = [[rule.rule, split.name, *brief(split)] for rule in rules for split in rule.splits]
    print_table(["rule", "split", "S1", "S2", "overlap"], rows, title=f"on the skeleton of '{name}'", whole=("split",))
    print_lines(f"rule '{rule.rule}' gives none without options: {rule.reason}" for rule in rules if rule.reason)


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


def groups(skeleton: Skeleton, names: Sequence[str]) -> list[str]:
    """Return keypoints briefly: by group where all of a group is there."""
    whole = {group: members for group, members in skeleton.groups.items() if set(members) <= set(names)}
    covered = {name for members in whole.values() for name in members}
    return [*whole, *(name for name in names if name not in covered)]


def briefly(skeleton: Skeleton, names: Sequence[str]) -> str:
    """Return keypoints by group, or "all but ..." where that says it in fewer words."""
    there = groups(skeleton, names)
    rest = groups(skeleton, [name for name in skeleton.names if name not in names])
    return f"all but {' '.join(rest)}" if rest and len(rest) + 2 < len(there) else " ".join(there)


def brief(split: KeypointSplit) -> list[str]:
    """Return S1, S2 and overlap for the list, each by its own skeleton; a split of one step has no S2."""
    first, last = split.steps[0].keypoints, split.steps[-1].keypoints
    target = briefly(last.skeleton, last.names) if len(split.steps) > 1 else ""
    return [briefly(first.skeleton, first.names), target, briefly(last.skeleton, split.overlap)]


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
