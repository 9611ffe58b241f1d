"""What a study found, for Python programs: rows as records or a frame, scores as arrays, networks by name. No torch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kpcore.errors import KpError, shown, unknown
from kpcore.placing import given
from kpcore.records.folder import HISTORY
from kpcore.records.results import AVERAGE, JobInfo, Results, Row, read_history
from kpcore.records.results import read_results as read_typed
from kpcore.records.slugs import slug
from kpcore.tensors import Float64Array

if TYPE_CHECKING:
    from kpcore.trained.api import TrainedModel

FIELDS = ("split", "mode", "seed", "labels", "images", "status", "reason", "convention", "epochs", "best_epoch")
"""What a record says besides its scores."""


class StudyResults:
    """Results of a study; :func:`kpcore.read_results` and a study's ``run`` make one.

    Args:
        folder: of the study, as ``kp run`` writes it.
        results: its ``results.json``, typed.
    """

    def __init__(self, folder: Path, results: Results) -> None:
        self.folder = folder
        self.results = results

    def __repr__(self) -> str:
        done = sum(row.status == "done" for row in self.results.rows)
        return f"StudyResults({str(self.folder)!r}: {self.results.data.name}, {done} of {len(self.results.rows)} rows)"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A record a split, mode, share of the labels and seed, in the tables' order.

        Keys are ``FIELDS``, ``average``, and a column each; a score that does not exist is None. A column that has the
        name of another key is kept as "NAME (column)".
        """
        return [_record(row) for row in self.results.canonical().rows]

    def frame(self) -> Any:
        """Return :attr:`rows` as a pandas frame; raises KpError where pandas is not installed."""
        return frame_of(self.rows)

    @property
    def failed(self) -> dict[str, str]:
        """Title of every row that failed -> why."""
        return {row.title: row.reason for row in self.results.rows if row.status == "failed"}

    def scores(self, split: str, mode: str, column: str = AVERAGE, *, labels: float | None = None) -> Float64Array:
        """Return the scores of a split and mode, (seeds,), in the order of seeds; NaN where there is none.

        Args:
            split: its name.
            mode: its name.
            column: of the split, or "average".
            labels: share of the labels; None for the largest.

        Raises:
            KpError: a name does not exist.
        """
        rows = self._rows(split, mode, labels)
        columns = [AVERAGE, *dict.fromkeys(name for row in rows for name in row.columns)]
        if column not in columns:
            raise unknown("column", column, columns, where=f"split '{split}'")
        return np.array([np.nan if (value := row.value(column)) is None else value for row in rows], np.float64)

    def history(self, split: str, mode: str, seed: int = 0, *, labels: float | None = None) -> list[dict[str, Any]]:
        """Return the epochs of a row's last training: ``epoch`` (from 1), ``iterations``, ``loss``, ``validation``, ...

        Raises:
            KpError: there is no such row, or its file cannot be read.
        """
        records = read_history(self.job_folder(split, mode, seed, labels=labels) / HISTORY)
        return [record.model_dump() for record in records]

    def job_folder(self, split: str, mode: str, seed: int = 0, *, labels: float | None = None) -> Path:
        """Return the folder of a row's last training: weights, history, predictions.

        Raises:
            KpError: there is no such row.
        """
        rows = self._rows(split, mode, labels)
        row = next((row for row in rows if row.seed == seed), None)
        if row is None:
            raise unknown("seed", seed, [str(row.seed) for row in rows], where=f"split '{split}', mode '{mode}'")
        job = next((job for job in self.results.jobs if job.key == row.job), None)
        if job is None:
            raise KpError(f"{self.folder}: row {row.title} has no training ({row.reason or row.status})")
        return self._folder_of(job)

    def load_model(
        self, split: str, mode: str, seed: int = 0, *, labels: float | None = None, device: str | None = None
    ) -> TrainedModel:
        """Load the network that a row scored, as :func:`kpcore.load_model` does.

        Raises:
            KpError: there is no such row, or no network of it.
        """
        from kpcore.trained.api import load_model

        return load_model(self.job_folder(split, mode, seed, labels=labels), device=device)

    def _folder_of(self, job: JobInfo) -> Path:
        return self.folder / "jobs" / slug(job.name)

    def _rows(self, split: str, mode: str, labels: float | None) -> list[Row]:
        results = self.results
        for kind, name, infos in (("split", split, results.splits), ("mode", mode, results.modes)):
            if name not in (names := [info.name for info in infos]):
                raise unknown(kind, name, names, where=str(self.folder))
        share = results.shares[0] if labels is None else labels
        if share not in results.shares:
            shares = ", ".join(f"{one:g}" for one in results.shares)
            raise KpError(f"{self.folder}: no share {shown(share)} of the labels; it has {shares}")
        return results.at(share).rows_of(split, mode)


def read_results(folder: str | Path) -> StudyResults:
    """Read the results of a study from its folder.

    Args:
        folder: that ``kp run`` or a study's ``run`` wrote.

    Raises:
        KpError: there are none, or they cannot be read.
    """
    path = given(folder, "results: folder")
    return StudyResults(path, read_typed(path))


def frame_of(records: list[dict[str, Any]]) -> Any:
    """Return records as a pandas frame; raises KpError where pandas is not installed."""
    try:
        return import_module("pandas").DataFrame(records)
    except ImportError:
        raise KpError("pandas is not installed, and frames need it; run 'pip install pandas', or use .rows") from None


def _record(row: Row) -> dict[str, Any]:
    record = {name: getattr(row, name) for name in FIELDS} | {AVERAGE: row.average}
    return record | {f"{name} (column)" if name in record else name: value for name, value in row.columns.items()}
