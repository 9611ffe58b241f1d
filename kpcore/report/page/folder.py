"""A study's folder, read for its page: whatever is there; what is not is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from kpcore.cache import file_digest
from kpcore.errors import KpError
from kpcore.evidence import Evidence, study
from kpcore.evidence.model import TableEvidence
from kpcore.evidence.tables import table
from kpcore.reading.opening import read_json
from kpcore.records.folder import JobFolder
from kpcore.records.results import HistoryRecord, Results, Row, SplitInfo, read_results
from kpcore.records.shown import FOLDER, SHOWN, SLICES, Body, Shown, read_shown
from kpcore.records.slugs import slug
from kpcore.records.values import Values, read_values
from kpcore.report.figures import decimals
from kpcore.toml_text import read_toml

Plan = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Run:
    """All that a page is drawn from.

    Args:
        name: of the folder, as its commands spell it.
        results: ``results.json``.
        evidence: None where single samples are not known.
        slices: split -> evidence on parts of its points.
        shown: body, thresholds, gallery; None where they were not kept.
        histories: job key -> its epochs, as far as they are there.
        plans: job key -> its executed transfer plan, likewise.
        timing: seconds a job, and the machine.
        settings: ``study.toml``.
        missing: what could not be read and why, a line each.
    """

    name: str
    results: Results
    evidence: Evidence | None = None
    slices: Mapping[str, TableEvidence] = field(default_factory=dict)
    shown: Shown | None = None
    histories: Mapping[str, list[HistoryRecord]] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def full(self) -> Results:
        """The results on the largest share of the labels."""
        return self.results.at(self.results.shares[0])

    def table(self, split: str, labels: float | None = None) -> TableEvidence | None:
        """The evidence of a split, on the largest share of the labels where none is named; None where there is none."""
        share = self.results.shares[0] if labels is None else labels
        return self.evidence.table(split, share) if self.evidence else None

    def body(self, split: str) -> Body | None:
        """The body that a split is about; None where it was not kept."""
        found = self.shown.split(split) if self.shown else None
        return self.shown.bodies[found.body] if self.shown and found else None

    def finished(self, split: str, mode: str) -> list[Row]:
        """The rows of a split and mode that are done, on the largest share of the labels."""
        return [row for row in self.full.rows_of(split, mode) if row.status == "done"]

    def place(self, mode: str) -> int:
        """The place of a mode in the study, which decides its colour."""
        return [one.name for one in self.results.modes].index(mode)

    def carries(self, mode: str) -> bool:
        """Whether a mode starts from a network that learned S1; controls do not: they match one, or learn otherwise.

        What a study file says decides, and whether the mode's trainings built on others where any mode's did.
        """
        modes = self.settings.get("modes")
        own = modes.get(mode) if isinstance(modes, Mapping) else None
        told = own if isinstance(own, Mapping) else {}
        if told.get("matches") or told.get("source", "s1") not in ("", "s1"):
            return False
        sources = {job.key: bool(job.sources) for job in self.results.jobs if job.step}
        jobs = [sources[row.job] for row in self.results.rows if row.mode == mode and row.job in sources]
        return not jobs or any(jobs) or not any(sources.values())

    @property
    def splits(self) -> tuple[SplitInfo, ...]:
        """The study's splits."""
        return self.results.splits

    @property
    def digits(self) -> int:
        """Decimals of a score, as in the tables."""
        return decimals(self.results)


class Reader:
    """Reads a study's folder as far as it is there.

    Args:
        folder: that ``kp run`` wrote.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: list[str] = []

    def tried(self, read: Callable[[], T], otherwise: T) -> T:
        """Return what is read; the other thing, and a line that says why, where it cannot be."""
        try:
            return read()
        except (KpError, OSError) as error:
            self.missing.append(_without(self.folder, str(error)))
            return otherwise

    def _shown(self, results: Results) -> Shown | None:
        found = self.tried(lambda: _shown(self.folder, results), None)
        if found is not None and not found.results:
            self.missing.append(
                f"{FOLDER}/{SHOWN}: was written by an older version, so nobody can tell whether it was made with these"
                " results; 'kp run' writes it again"
            )
        return found

    def words(self, known: Evidence | None) -> Run:
        """Return what the answer in words is made of, and no more."""
        folder, results = self.folder, read_results(self.folder)
        nothing: dict[str, Any] = {}
        return Run(
            name=folder.resolve().name,
            results=results,
            evidence=known or (self.tried(lambda: study(folder), None) if _any_done(results) else None),
            shown=self._shown(results),
            timing=self.tried(lambda: _json(folder / "timing.json"), nothing),
            settings=self.tried(lambda: read_toml(folder / "study.toml"), nothing),
        )


def read_words(folder: Path, known: Evidence | None = None) -> Run:
    """Read of a study's folder what the answer in words is made of; arguments and errors as :func:`read_run`."""
    return Reader(folder).words(known)


def read_run(folder: Path, known: Evidence | None = None) -> Run:
    """Read a study's folder.

    Args:
        folder: that ``kp run`` wrote.
        known: its evidence, where it is made already.

    Raises:
        KpError: it has no results that can be read.
    """
    reader = Reader(folder)
    tried, missing = reader.tried, reader.missing
    found = reader.words(known)
    results = found.results
    no_history: list[HistoryRecord] = []
    nothing: dict[str, Any] = {}
    folders = {job.key: JobFolder(folder / "jobs" / slug(job.name)) for job in results.jobs if job.status == "done"}
    there = {key: one for key, one in folders.items() if one.begun}
    if len(there) < len(folders):
        missing.append(f"{len(folders) - len(there)} of {len(folders)} trainings are no longer in the cache")
    return replace(
        found,
        slices=tried(lambda: _slices(folder, results, found.shown), {}),
        histories={key: tried(one.history, no_history) for key, one in there.items()},
        plans={key: tried(one.plan, nothing) for key, one in there.items()},
        missing=tuple(missing),
    )


def _without(folder: Path, text: str) -> str:
    """Return a message without the folder, which a reader elsewhere does not have."""
    return text.replace(f"{folder}/", "").replace(f"{folder.resolve()}/", "")


def _shown(folder: Path, results: Results) -> Shown:
    """Return what is shown beside these results.

    Raises:
        KpError: it is not there, cannot be read, or was made with other results.
    """
    path = folder / FOLDER / SHOWN
    found = read_shown(path)
    other = found.results != results.digest if found.results else _foreign(found, results)
    if other:
        raise KpError(f"{path}: was made with other results than results.json; 'kp run' writes both again")
    return found


def _foreign(shown: Shown, results: Results) -> bool:
    """Whether a file that does not say what it was made with has splits or modes that the results have not."""
    modes = {mode.name for mode in results.modes}
    used = {one.mode for split in shown.splits for one in (split.thresholds.modes if split.thresholds else ())}
    used |= {one.mode for split in shown.splits for person in split.people for one in person.predicted}
    return not (used <= modes and {split.name for split in shown.splits} <= {split.name for split in results.splits})


def _any_done(results: Results) -> bool:
    return any(row.status == "done" for row in results.rows)


def _slices(folder: Path, results: Results, shown: Shown | None) -> dict[str, TableEvidence]:
    """Return evidence on parts of the points; none where none was made.

    Raises:
        KpError: the file is missing, cannot be read, or is not the one that was written with ``shown``.
    """
    path = folder / FOLDER / SLICES
    if shown is None:
        raise KpError(f"{path}: is left out: without {SHOWN} of these results nobody can tell what it is of")
    if not any(split.slices for split in shown.splits):
        return {}
    if not path.is_file():
        raise KpError(f"{path}: no such file; 'kp run' writes it")
    modes = [mode.name for mode in results.modes]
    values = read_values(path)
    if not (file_digest(path) == shown.slices if shown.slices else _rows_of(values) <= _rows(results)):
        raise KpError(f"{path}: was made with other results than {SHOWN}; 'kp run' writes both again")
    return {
        one.name: table(one, one.rows, modes, results.baseline, versions=values.versions)
        for one in values.splits
        if one.rows
    }


def _rows_of(values: Values) -> set[tuple[str, str, int]]:
    return {(split.name, row.mode, row.seed) for split in values.splits for row in split.rows}


def _rows(results: Results) -> set[tuple[str, str, int]]:
    return {(row.split, row.mode, row.seed) for row in results.rows}


def _json(path: Path) -> dict[str, Any]:
    found = read_json(path, "what 'kp run' writes there")
    return found if isinstance(found, dict) else {}
