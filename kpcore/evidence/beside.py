"""Whether scores of several runs are of one kind, and whether they can be paired by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kpcore.config import Strict
from kpcore.errors import KpError, listed
from kpcore.records.results import Results
from kpcore.records.values import RowValues, SplitValues, Values

MOST = 4
"""Columns that a refusal names of each run."""


class ComparedRow(Strict):
    """One mode of one run; ``name`` stands for it in the tables. Of several shares of the labels it is the largest."""

    name: str
    run: str
    mode: str
    labels: float
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """A finished study.

    Args:
        name: that no other of the runs has.
        folder: as it was given.
        results: of it.
        values: that give them.
    """

    name: str
    folder: Path
    results: Results
    values: Values

    def split(self, name: str) -> SplitValues | None:
        """Return the values of a split; None where none of its rows has any."""
        return next((split for split in self.values.splits if split.name == name), None)

    def jobs(self, split: str, compared: ComparedRow) -> dict[int, str]:
        """Return seed -> key of the training that a compared row is; "" where the results do not say it."""
        rows = [row for row in self.results.rows_of(split, compared.mode) if row.labels == compared.labels]
        return {row.seed: row.job for row in rows if row.seed in compared.seeds}


@dataclass(frozen=True, eq=False)
class Part:
    """What a run has of one split: values of the rows that are compared, renamed, and what they are."""

    run: Run
    values: SplitValues
    rows: tuple[ComparedRow, ...]


def part_of(run: Run, split: str, modes: Sequence[str] | None, baseline: tuple[str, str]) -> Part | None:
    """Return a run's rows of a split of these modes, or all, of the largest share of the labels; None where none is."""
    found = run.split(split)
    share = max((row.labels for row in found.rows), default=1.0) if found else 1.0
    kept: dict[str, list[RowValues]] = {mode.name: [] for mode in run.results.modes}
    for row in found.rows if found else ():
        if row.labels == share and (modes is None or row.mode in modes or (run.name, row.mode) == baseline):
            kept[row.mode].append(row)
    if found is None or not any(kept.values()):
        return None
    suffix = "" if share == 1 else f", labels {share:g}"
    rows = tuple(
        ComparedRow(
            name=f"{run.name}:{mode}{suffix}", run=run.name, mode=mode, labels=share,
            seeds=tuple(sorted(row.seed for row in own)),
        )
        for mode, own in kept.items() if own
    )  # fmt: skip
    renamed = [replace(one, mode=row.name, labels=1.0) for row in rows for one in kept[row.mode]]
    return Part(run, replace(found, rows=renamed), rows)


def refuse_unlike(split: str, parts: Sequence[Part]) -> None:
    """Raise KpError where scores are no averages of the same kind."""
    first, *others = parts
    for other in others:
        one, two = _kinds(first.values), _kinds(other.values)
        differ = [
            f"{kind} ({first.run.name}: {_own(one[kind], two[kind])}; {other.run.name}: {_own(two[kind], one[kind])})"
            for kind in one
            if set(one[kind]) != set(two[kind])
        ]
        if differ:
            raise KpError(
                f"split '{split}': averages of different kinds do not stand beside each other; they differ in"
                f" {' and in '.join(differ)}; compare runs that are scored alike, or name other splits with --split"
            )


def _own(kinds: Sequence[str], others: Sequence[str]) -> str:
    """What the one has and the other has not."""
    return listed([one for one in kinds if one not in others], MOST) if kinds else "none"


def _kinds(values: SplitValues) -> dict[str, list[str]]:
    """Return what averages must have in common, in words."""
    names = {place: name for name, places in values.keypoints.items() for place in places}

    def made_of(places: Sequence[int | str]) -> str:
        return ", ".join(sorted({str(names.get(one, one)) if isinstance(one, int) else one for one in places}))

    composition = values.composition
    made = {name: made_of(places) for name, places in composition.columns.items()}
    columns = [name if parts in ("", name) else f"{name} of {parts}" for name, parts in made.items()]
    return {
        "columns": [*columns, f"an average of {made_of(composition.average)}"],
        "people": [values.data],
        "convention": [values.convention, f"{'higher' if values.higher_is_better else 'lower'} is better"],
    }


def unpaired(parts: Sequence[Part]) -> str:
    """Return why rows of several runs cannot be paired by sample; "" where they can."""
    for part in parts[1:]:
        if problem := _unlike(parts[0], part):
            return problem
    return ""


def _unlike(one: Part, other: Part) -> str:
    both = f"{one.run.name} and {other.run.name}"
    if not np.array_equal(one.values.samples, other.values.samples):
        counts = f"{len(one.values.samples):,} and {len(other.values.samples):,}"
        return f"{both} are scored on other samples ({counts}), and what is not of the same samples cannot be paired"
    if not np.array_equal(one.values.clusters.of, other.values.clusters.of):
        return f"{both} say differently which samples are of one image, so their draws cannot be paired"
    if one.values.composition != other.values.composition or _kept_draws(one) != _kept_draws(other):
        return f"{both} keep their samples' values in different ways; run the older one again"
    return ""


def _kept_draws(part: Part) -> bool:
    return part.values.rows[0].replicates is not None


def joined(parts: Sequence[Part]) -> Part:
    """Return all rows as those of one split; groups and keypoints are those that all have alike."""
    first = parts[0].values

    def common(name: str) -> Mapping[str, tuple[int, ...]]:
        every = [getattr(part.values, name) for part in parts]
        return {key: places for key, places in every[0].items() if all(one.get(key) == places for one in every)}

    rows = [row for part in parts for row in part.values.rows]
    return replace(parts[0], values=replace(first, rows=rows, groups=common("groups"), keypoints=common("keypoints")))
