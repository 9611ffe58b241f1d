"""Splits that a user writes out by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from kp_kptransfer.selection import ordered
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Split
from kpcore.keypoints import Column, KeypointSet, KeypointSplit, Skeleton, Step, default_columns

OWN = ""
"""How a step names the study's own data set."""
Names = Annotated[list[str], Field(min_length=1)]


class Steps(ComponentConfig):
    """One table ``[split.sets.NAME]``. Wherever a keypoint can be named, so can a group of them."""

    steps: list[Names] = Field(
        min_length=1, description="keypoints of S1, S2, ...; the last are scored; one step is a plain training"
    )
    columns: dict[str, Names] = Field(
        default={}, description="report columns, each over some of the last step's keypoints; its groups where absent"
    )
    average: list[str] | None = Field(default=None, description="columns that the average counts; all where absent")
    datasets: list[str] | None = Field(
        default=None,
        description='data set of each step, NAME of [datasets.NAME]; "" and absent mean the study\'s own, [dataset]',
    )


class ExplicitSplits(Split):
    """The user's own splits, over any skeleton.

    Args:
        sets: split name -> its steps, columns and average.
    """

    class Config(ComponentConfig):
        """Options of ``[split] name = "explicit"``."""

        sets: dict[str, Steps] = Field(min_length=1, description="split name -> steps, columns, average")

    def __init__(self, *, sets: dict[str, Steps]) -> None:
        self._sets = sets

    def splits(self, skeleton: Skeleton, others: Mapping[str, Skeleton]) -> Sequence[KeypointSplit]:
        """Return the splits in the file's order, each set in the skeleton's order.

        Raises:
            KpError: no such keypoint, group, data set or column; one named twice; a column over keypoints that are not
                scored.
        """
        skeletons = {OWN: skeleton, **others}
        return [_split(name, table, skeletons) for name, table in self._sets.items()]


def _split(name: str, table: Steps, skeletons: Mapping[str, Skeleton]) -> KeypointSplit:
    where = f"split.sets.{name}"
    datasets = table.datasets or [OWN] * len(table.steps)
    if len(datasets) != len(table.steps):
        raise KpError(
            f"{where}.datasets: names {len(datasets)} data sets for {len(table.steps)} steps; name one a step"
        )
    for dataset in datasets:
        if dataset not in skeletons:
            raise unknown("data set", dataset, [one for one in skeletons if one], where=f"{where}.datasets")
    sets = tuple(
        Step(ordered(skeletons[dataset], names, where=f"{where}.steps[{place}]"), dataset)
        for place, (dataset, names) in enumerate(zip(datasets, table.steps, strict=True))
    )
    return KeypointSplit(name, sets, _columns(table, sets[-1].keypoints, where))


def _columns(table: Steps, target: KeypointSet, where: str) -> tuple[Column, ...]:
    columns = {name: _scored(target, names, f"{where}.columns.{name}") for name, names in table.columns.items()} or {
        column.name: column.keypoints for column in default_columns(target)
    }
    counted = list(columns) if table.average is None else table.average
    for name in counted:
        if name not in columns:
            raise unknown("column", name, columns, where=f"{where}.average")
    if not counted:
        raise KpError(f"{where}.average: counts no column; name at least one of {', '.join(columns)}")
    return tuple(Column(name, points, name in counted) for name, points in columns.items())


def _scored(target: KeypointSet, names: Sequence[str], where: str) -> tuple[str, ...]:
    """Resolve a column's names; a group stands for those of its keypoints that are scored."""
    chosen = target.skeleton.select(names, where=where).names
    strangers = [name for name in names if name in target.skeleton.names and name not in target]
    scored = tuple(name for name in chosen if name in target)
    if strangers or not scored:
        raise KpError(
            f"{where}: {', '.join(strangers or names)} not among the keypoints of the last step, which are scored"
            f" ({', '.join(target.names)})"
        )
    return scored
