"""Finished studies beside each other, a split a table: every mode of every run is a row of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from kpcore.config import Strict
from kpcore.errors import KpError, listed, unknown
from kpcore.evidence.beside import ComparedRow, Run, joined, part_of, refuse_unlike, unpaired
from kpcore.evidence.counted import same_trainings
from kpcore.evidence.model import Cell, TableEvidence
from kpcore.evidence.resample import RESAMPLES
from kpcore.evidence.tables import table
from kpcore.evidence.whole import read_study


class ComparedRun(Strict):
    """One study: what it is called here, its own name, its preset, and its folder as it was given."""

    name: str
    study: str
    preset: str
    folder: str


class ComparedSplit(Strict):
    """One split of all runs.

    ``tables`` is one table with differences to ``baseline`` where they could be paired; otherwise one a run, without
    any, and ``reason`` says why. In them a row goes by its name. ``notes`` say what is missing.
    """

    split: str
    data: str
    average_name: str
    baseline: str
    rows: tuple[ComparedRow, ...]
    tables: tuple[TableEvidence, ...]
    reason: str = ""
    notes: tuple[str, ...] = ()

    def cell(self, row: str, column: str) -> Cell | None:
        """The score of a row in this column, or of ``"average"``; None where it does not exist."""
        return next((cell for table in self.tables if (cell := table.cell(row, column))), None)


class Comparison(Strict):
    """All that is said of several runs."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    version: Literal[1] = Field(default=1, alias="schema")
    runs: tuple[ComparedRun, ...]
    splits: tuple[ComparedSplit, ...]


@dataclass(frozen=True)
class Wanted:
    """What is compared.

    Args:
        splits: by name; all that the runs have in common where empty.
        modes: by name, of all runs, or "RUN:MODE" of one; all where empty.
        baseline: "RUN:MODE" that the others are compared with; where empty the first run's baseline, or if that is not
            among the modes the first row.
    """

    splits: Sequence[str] = ()
    modes: Sequence[str] = ()
    baseline: str = ""


def compare(folders: Sequence[Path], wanted: Wanted | None = None, *, resamples: int = RESAMPLES) -> Comparison:
    """Set finished studies beside each other.

    Args:
        folders: that ``kp run`` wrote, two or more; one alone against another baseline than its own.
        wanted: of them; all where None.
        resamples: draws of the samples.

    Raises:
        KpError: a folder cannot be read or is there twice, a name does not exist, there is no split in common, or the
            averages are over different columns, people or conventions.
    """
    wanted = wanted or Wanted()
    runs = read_runs(folders, alone=bool(wanted.baseline))
    names = splits_of(runs, wanted.splits)
    wanted = replace(wanted, modes=tuple(mode for name in wanted.modes for mode in _spelled(name, runs)))
    return Comparison(
        runs=tuple(
            ComparedRun(name=run.name, study=run.results.study, preset=run.results.preset, folder=run.folder.as_posix())
            for run in runs
        ),
        splits=tuple(_split(name, runs, wanted, resamples) for name in names),
    )


def read_runs(folders: Sequence[Path], *, alone: bool = False) -> list[Run]:
    """Read studies; each is called by its study's name, or where two have one, all by their folder's.

    ``alone``: one is enough.
    """
    places = [folder.resolve() for folder in folders]
    twice = [folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1]
    if twice:
        raise KpError(f"{twice[0]} is there twice; give every run once")
    found = [read_study(folder) for folder in folders]
    if len(found) < 2 and not alone:
        raise KpError(
            "one run has nothing to stand beside; give another one, or --baseline RUN:MODE for other differences"
        )
    choices = [results.study for results, _ in found], [place.name for place in places], list(map(str, folders))
    names = next(names for names in choices if len(set(names)) == len(names))
    return [Run(name, folder, *both) for name, folder, both in zip(names, folders, found, strict=True)]


def splits_of(runs: Sequence[Run], wanted: Sequence[str]) -> list[str]:
    """Return the splits that are compared: those that are wanted, or that all runs have."""
    every = [[split.name for split in run.results.splits] for run in runs]
    for run, names in zip(runs, every, strict=True):
        for name in wanted:
            if name not in names:
                raise unknown("split", name, names, where=f"--split, {run.name}")
    common = list(dict.fromkeys(wanted)) or [name for name in every[0] if all(name in names for names in every)]
    if not common:
        has = "; ".join(f"{run.name} has {listed(names)}" for run, names in zip(runs, every, strict=True))
        raise KpError(f"the runs have no split in common: {has}")
    return common


def _split(name: str, runs: Sequence[Run], wanted: Wanted, resamples: int) -> ComparedSplit:
    baseline = _baseline(name, runs, wanted)
    parts = [
        part for run in runs if (part := part_of(run, name, _modes_of(run, wanted), baseline)) is not None
    ]  # fmt: skip
    if not parts:
        raise KpError(f"split '{name}': no run has a finished row of it with values; 'kp run' goes on with each")
    refuse_unlike(name, parts)
    reason = unpaired(parts)
    rows = tuple(row for part in parts for row in part.rows)
    names = [row.name for row in rows]
    chosen = next((row.name for row in rows if (row.run, row.mode) == baseline), names[0])
    together = parts if reason else [joined(parts)]
    made = [
        table(
            part.values, part.values.rows, names, "" if reason else chosen,
            versions=_versions([part.run] if reason else runs), resamples=resamples,
        )
        for part in together
    ]  # fmt: skip
    jobs = {row.name: run.jobs(name, row) for run in runs for row in rows if row.run == run.name}
    shared = same_trainings(jobs)
    return ComparedSplit(
        split=name,
        data=parts[0].values.data,
        average_name=runs[0].results.average_name,
        baseline="" if reason else chosen,
        rows=rows,
        tables=tuple(one.model_copy(update={"trainings": shared}) for one in made),
        reason=reason,
        notes=(*_copies(rows, shared), *_notes(name, runs, rows, "" if reason else chosen)),
    )


def _baseline(split: str, runs: Sequence[Run], wanted: Wanted) -> tuple[str, str]:
    """Return run and mode of the row that others are compared with."""
    if not wanted.baseline:
        own = runs[0].results.baseline
        chosen = _modes_of(runs[0], wanted)
        return runs[0].name, own if chosen is None or own in chosen else ""
    rows, by_folder = _rows(runs), _rows(runs, by_folder=True)
    found = rows.get(wanted.baseline) or by_folder.get(wanted.baseline)
    if found is None:
        raise unknown("row", wanted.baseline, rows, where="--baseline")
    stored = next(run for run in runs if run.name == found[0]).split(split)
    if stored is None or not any(row.mode == found[1] for row in stored.rows):
        raise KpError(f"--baseline: {wanted.baseline} has no finished row with values in split '{split}'")
    return found


def _rows(runs: Sequence[Run], *, by_folder: bool = False) -> dict[str, tuple[str, str]]:
    """Return "RUN:MODE" -> the run's name and the mode, the folder before the colon where that is asked for."""
    return {
        f"{run.folder if by_folder else run.name}:{mode.name}": (run.name, mode.name)
        for run in runs
        for mode in run.results.modes
    }


def _spelled(name: str, runs: Sequence[Run]) -> list[str]:
    """Return what ``--mode`` names as "RUN:MODE": of a bare mode one for each run that has it.

    Raises:
        KpError: no run has such a mode.
    """
    rows = _rows(runs)
    known = {**_rows(runs, by_folder=True), **rows}
    if name in known:
        return [":".join(known[name])]
    found = [row for row, (_, mode) in rows.items() if mode == name]
    if not found:
        modes = list(dict.fromkeys(mode for _, mode in rows.values()))
        raise unknown("mode", name, rows if ":" in name else modes, where="--mode")
    return found


def _modes_of(run: Run, wanted: Wanted) -> list[str] | None:
    """Return the run's modes that are wanted; None where all are."""
    if not wanted.modes:
        return None
    return [mode.name for mode in run.results.modes if f"{run.name}:{mode.name}" in wanted.modes]


def _versions(runs: Sequence[Run]) -> dict[str, str]:
    """Return package -> its version, or versions, in these runs."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for package, version in run.values.versions.items():
            found.setdefault(package, {})[version] = None
    return {package: " and ".join(versions) for package, versions in found.items()}


def _copies(rows: Sequence[ComparedRow], trainings: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each run all of whose rows are trainings of one other run."""
    runs = {row.name: row.run for row in rows}
    for run in dict.fromkeys(runs.values()):
        own = [name for name, of in runs.items() if of == run]
        others = {runs[trainings[name]] if name in trainings else run for name in own}
        if len(others) == 1 and others != {run}:
            yield f"{run} and {others.pop()} hold the same trainings, not trainings of other seeds"


def _notes(split: str, runs: Sequence[Run], rows: Sequence[ComparedRow], baseline: str) -> Iterator[str]:
    for run in runs:
        if not any(row.run == run.name for row in rows):
            yield f"{run.name} has no finished row of these with values"
        missing = [row.title for row in run.results.rows_of(split) if row.status != "done"]
        if missing:
            yield f"{run.name}, not done: {listed(missing)}"
    seeds = next((set(row.seeds) for row in rows if row.name == baseline), set())
    for row in rows:
        if baseline and not seeds & set(row.seeds):
            yield f"{row.name} has no seed in common with {baseline}: no difference"
