"""A study's folder -> all that is said of its scores; nothing but the folder is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from kpcore.config import Strict
from kpcore.errors import KpError
from kpcore.evidence.convergence import Convergence, Histories, Seconds, convergence
from kpcore.evidence.counted import same_trainings
from kpcore.evidence.labels import LabelEvidence, by_labels
from kpcore.evidence.model import TableEvidence
from kpcore.evidence.resample import RESAMPLES
from kpcore.evidence.tables import table
from kpcore.placing import put
from kpcore.reading.opening import read_json
from kpcore.records.folder import HISTORY, TIMING
from kpcore.records.results import DECIMALS, HistoryRecord, Results, read_history, read_results
from kpcore.records.slugs import slug
from kpcore.records.values import VALUES, RowValues, SplitValues, Values, read_values

EVIDENCE = "evidence.json"
TIMED = {"convergence": {"reached": {"__all__": {"seconds"}}}}
"""What differs between two equal runs, and so is in no file."""


class Evidence(Strict):
    """What is said of a study's scores: ``evidence.json``, but for the seconds.

    ``notes`` say what is not known and why. A table is there for every split (and share of labels) with values,
    ``labels`` for every split that was run with several shares.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    version: Literal[1] = Field(default=1, alias="schema")
    study: str
    baseline: str
    tables: tuple[TableEvidence, ...]
    labels: tuple[LabelEvidence, ...] = ()
    convergence: Convergence | None = None
    notes: tuple[str, ...] = ()

    def table(self, split: str, labels: float = 1.0) -> TableEvidence | None:
        """The table of a split; None where there is none."""
        return next((one for one in self.tables if (one.split, one.labels) == (split, labels)), None)

    def by_labels(self, split: str) -> LabelEvidence | None:
        """What is said of a split by labelled images; None where it was run with one number of them."""
        return next((one for one in self.labels if one.split == split), None)

    def to_json(self) -> str:
        """Return the file's text, the same for equal runs."""
        return self.model_dump_json(indent=1, exclude=TIMED) + "\n"


def study(folder: Path, *, resamples: int = RESAMPLES) -> Evidence:
    """Return all that is said of a finished study's scores.

    Args:
        folder: of the study.
        resamples: draws of the samples.

    Raises:
        KpError: a file of the folder cannot be read, or is of another run than the rest.
    """
    results, values = read_study(folder)
    histories, seconds = courses(results, folder)
    return evidence(results, values, histories, seconds, resamples=resamples)


def read_study(folder: Path) -> tuple[Results, Values]:
    """Return a finished study's results, and the values that give them.

    Raises:
        KpError: a file of the folder cannot be read, or is of another run than the rest.
    """
    results = read_results(folder)
    values = read_values(folder / VALUES)
    check(results, values, folder / VALUES)
    return results, values


def evidence(
    results: Results, values: Values, histories: Histories, seconds: Seconds, *, resamples: int = RESAMPLES
) -> Evidence:
    """Return all that is said of these records; see :func:`study`."""
    modes = [mode.name for mode in results.modes]
    tables = tuple(
        table(split, rows, modes, results.baseline, versions=values.versions, resamples=resamples).model_copy(
            update={"trainings": _same_trainings(results, split.name, rows)}
        )
        for split in values.splits
        for rows in _by_labels(split)
    )
    return Evidence(
        study=results.study,
        baseline=results.baseline,
        tables=tables,
        labels=by_labels(results, values.splits, tables, resamples),
        convergence=convergence(results.at(results.shares[0]), histories, seconds),
        notes=tuple(_notes(results, values)),
    )


def _same_trainings(results: Results, split: str, rows: Sequence[RowValues]) -> dict[str, str]:
    jobs = {(row.mode, row.seed, row.labels): row.job for row in results.rows_of(split)}
    found: dict[str, dict[int, str]] = {}
    for row in rows:
        found.setdefault(row.mode, {})[row.seed] = jobs.get((row.mode, row.seed, row.labels), "")
    return same_trainings(found)


def write_evidence(found: Evidence, folder: Path) -> Path:
    """Write ``evidence.json`` in one step; return its path."""
    put(folder / EVIDENCE, found.to_json().encode())
    return folder / EVIDENCE


def check(results: Results, values: Values, path: Path) -> None:
    """Check that values give the results' own scores.

    Raises:
        KpError: they are of another run.
    """
    rows = {(row.split, row.mode, row.seed, row.labels): row for row in results.rows if row.status == "done"}
    for split in values.splits:
        for row in split.rows:
            beside = rows.get((split.name, row.mode, row.seed, row.labels))
            expected = None if beside is None else [*map(beside.value, split.composition.columns), beside.average]
            if expected is None or not np.allclose(
                row.scores, np.array(expected, np.float64), rtol=0, atol=10**-DECIMALS, equal_nan=True
            ):
                raise KpError(
                    f"{path}: split '{split.name}', mode '{row.mode}', seed {row.seed} is not what results.json says;"
                    " 'kp run' writes both again"
                )


def courses(results: Results, folder: Path) -> tuple[Histories, Seconds]:
    """Return the histories of the study's jobs, and the seconds after their epochs, as far as they are there."""
    histories: dict[str, list[HistoryRecord]] = {}
    seconds: dict[str, Sequence[float]] = {}
    for job in results.jobs:
        place = folder / "jobs" / slug(job.name)
        if (place / HISTORY).is_file():
            histories[job.key] = read_history(place / HISTORY)
        if (place / TIMING).is_file():
            seconds[job.key] = _at_epoch(place / TIMING)
    return histories, seconds


def _at_epoch(path: Path) -> list[float]:
    try:
        return [float(value) for value in read_json(path, TIMING)["at_epoch"]]
    except (ValueError, KeyError, TypeError):
        raise KpError(f"{path}: has no 'at_epoch' seconds; 'kp run' makes it again") from None


def _by_labels(split: SplitValues) -> list[list[RowValues]]:
    """Return the rows that make a table each: those of one share of labels, the largest first."""
    shares = sorted({row.labels for row in split.rows}, reverse=True)
    return [[row for row in split.rows if row.labels == share] for share in shares]


def _notes(results: Results, values: Values) -> list[str]:
    known = {(split.name, row.mode, row.seed, row.labels) for split in values.splits for row in split.rows}
    rows = [row for row in results.rows if row.status == "done"]
    without = [row.title for row in rows if (row.split, row.mode, row.seed, row.labels) not in known]
    notes = [f"no intervals for {', '.join(without)}: nothing is known of their samples"] if without else []
    if not results.baseline:
        notes.append("no differences: no mode is the baseline; name one with study.baseline")
    if len({row.seed for row in rows}) == 1:
        notes.append("one seed: intervals and verdicts are about these trainings; other seeds may differ by more")
    return notes
