"""``results.json`` and ``history.jsonl``: what a study found, as typed records.

Everything that a report prints is made from these alone: no torch, no plugin. A file holds nothing that differs between
two equal runs (no times, no paths).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kpcore.cache import content_key
from kpcore.config import Strict, explain
from kpcore.errors import KpError, unknown
from kpcore.keypoints import KeypointSplit
from kpcore.reading.budget import Limit, within
from kpcore.reading.opening import regular

UNSTATED = "the file does not say whether it was made as they were"
"""Why nothing stands beside published figures in a file that was written before results recorded it."""
RESULTS = "results.json"
AVERAGE = "average"
"""The key of a reference's average, beside its columns."""
CHANGED = ", changed: "
"""Stands in a preset between its name and the keys that ``--set`` changed; a resolved file keeps both."""
DECIMALS = 4
"""Scores are rounded to this many decimals: finer than any table, and the same on both sides of a round trip."""

Model = TypeVar("Model", bound=BaseModel)
Status = Literal["done", "failed", "pending"]
Count = Annotated[int, Field(ge=0)]


def _score(value: Any) -> Any:
    """NaN (nothing was labelled) becomes None, a number is rounded; anything else is left for pydantic to refuse."""
    if not isinstance(value, float | np.floating) or math.isinf(value):
        return value
    return None if math.isnan(value) else round(float(value), DECIMALS)


Score = Annotated[float | None, BeforeValidator(_score)]
"""A figure in the metric's unit; None where it does not exist, in JSON ``null``."""


class DataInfo(Strict):
    """Which samples were trained on and scored; ``sample`` marks generated ones.

    ``step`` is what a split's steps call the data set, "" the study's own. ``left_out`` counts training people left out
    because another data set is scored on their images, ``leaked`` those whose images are scored and which were trained
    on all the same, ``undecoded`` those of a part that are left out because their picture cannot be decoded. ``others``
    are the data sets of earlier steps.
    """

    label: str
    list: str
    people: dict[str, Count]
    sample: bool
    step: str = ""
    left_out: Count = 0
    leaked: Count = 0
    undecoded: dict[str, Count] = Field(default_factory=dict)
    others: tuple[DataInfo, ...] = ()

    @property
    def name(self) -> str:
        """The label, marked ``sample data`` where the people are generated."""
        marked = self.sample and "sample data" not in self.label
        return f"{self.label} (sample data)" if marked else self.label

    @property
    def description(self) -> str:
        """Label, list and number of samples a part, in words."""
        return f"{self.name}; {self.extent}"

    @property
    def extent(self) -> str:
        """List and number of samples a part, in words."""
        samples = ", ".join(f"{count:,} {part}" for part, count in self.people.items())
        without = f", {self.left_out:,} left out of training" if self.left_out else ""
        lost = "".join(f", {count:,} of {part} without a picture left out" for part, count in self.undecoded.items())
        own = (f"list {self.list}; " if self.list else "") + f"samples: {samples}{without}{lost}"
        return "; ".join([own, *(f"and {other.step or 'own data'}: {other.description}" for other in self.others)])


class SplitInfo(Strict):
    """A keypoint split as reports need it.

    ``reference`` holds published figures, mode -> {column or "average": value}; ``reference_convention`` says how they
    were made, "" where that is not stated; ``not_compared`` says why the study was not made as they were, "" where it
    was, by its settings and its people, whatever it calls itself. ``datasets`` names the data set of each step, where
    there are several; ``extra`` and ``missing`` are then the keypoints that meet no partner by name. ``mean_shape`` is
    what the mean shape of the training people scores, {column or "average": value}.
    """

    name: str
    steps: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    overlap: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    reference: dict[str, dict[str, float]] = Field(default_factory=dict)
    reference_convention: str = ""
    not_compared: str = UNSTATED
    datasets: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    mean_shape: dict[str, Score] = Field(default_factory=dict)
    averaged: tuple[str, ...] = ()
    """Keypoints that the validation's average follows; empty where it is not known."""
    validation_mean_shape: Score = None
    """What the mean shape scores by the validation metric, on the people that are validated on."""

    @classmethod
    def of(
        cls, split: KeypointSplit, *, mean_shape: Mapping[str, float] | None = None, not_compared: str = UNSTATED
    ) -> SplitInfo:
        """Take down a split: its sets and columns by name, what a paper printed for it, what the mean shape scores."""
        return cls(
            name=split.name,
            steps=tuple(step.keypoints.names for step in split.steps),
            columns=tuple(column.name for column in split.columns),
            overlap=split.overlap,
            unused=split.unused,
            reference=split.reference,
            reference_convention=split.reference_convention,
            not_compared=not_compared if split.reference else "",
            datasets=tuple(step.dataset for step in split.steps) if split.crosses else (),
            extra=split.extra if split.crosses else (),
            missing=split.missing if split.crosses else (),
            mean_shape=dict(mean_shape or {}),
        )


class ModeInfo(Strict):
    """A transfer mode: the name in the study file, and its strategy's one line."""

    name: str
    summary: str


class JobInfo(Strict):
    """One training: its content key, its place in the study (step 0 is S1), and the keys of the jobs it builds on.

    A job that several modes share has mode "". ``labels`` is the share of the images whose labels it saw.
    """

    key: str
    name: str
    split: str
    mode: str
    seed: int
    step: Count
    labels: Annotated[float, Field(gt=0, le=1)] = 1.0
    sources: tuple[str, ...] = ()
    status: Status = "pending"
    reason: str = ""


class Retained(Strict):
    """What a network still scores on the keypoints of an earlier step (0 is S1), on that step's own data.

    ``before`` is the average of the network that was trained on that step, where it is a source of this one; of one
    that a study was given as its S1, where this training was made since that is kept.
    ``normaliser`` says what that data's lengths are, where it is another data set's than the row's.
    """

    step: Count
    normaliser: str = ""
    keypoints: tuple[str, ...]
    columns: dict[str, Score]
    average: Score
    before: Score = None


class Row(Strict):
    """The score of one split, mode, seed and share of the labels.

    Epochs count from 1; ``job`` is the key of the training that was scored. A row that is not done has no columns; a
    failed one says why. ``retained`` has an entry for every earlier step whose keypoints its last head still predicts.
    """

    split: str
    mode: str
    seed: int
    labels: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training images whose labels the last step learned from."""
    images: Count | None = None
    """How many images that is."""
    columns: dict[str, Score] = Field(default_factory=dict)
    average: Score = None
    convention: str = ""
    retained: tuple[Retained, ...] = ()
    epochs: Count | None = None
    best_epoch: Count | None = None
    scored_epoch: Count | None = None
    """Whose weights were scored: the best, or with ``training.keep = "last"`` the last."""
    iterations: Count | None = None
    job: str = ""
    status: Status
    reason: str = ""

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Row:
        if self.status == "failed" and not self.reason:
            raise ValueError("status 'failed' needs a reason")
        if self.status == "done" and not (self.columns and self.convention):
            raise ValueError("status 'done' needs columns and a convention")
        if self.status != "done" and self.columns:
            raise ValueError(f"status '{self.status}' has columns; only a row that is done has scores")
        return self

    @property
    def title(self) -> str:
        """What it is called: "d-transfer-0", of a share of the labels "d-transfer-labels0.1-0"."""
        share = "" if self.labels == 1 else f"-labels{self.labels:g}"
        return f"{self.split}-{self.mode}{share}-{self.seed}"

    def value(self, column: str) -> float | None:
        """The score of this column, or of ``"average"``; None where it does not exist."""
        return self.average if column == AVERAGE else self.columns.get(column)


class Results(Strict):
    """The whole of ``results.json``.

    ``preset`` is the profile's name, or what a plain file calls itself ("paper"): a label, which decides nothing.
    Tables have the order of ``splits``, ``modes`` and each split's ``columns``. ``baseline`` names the mode that the
    others are compared with, "" where none is. ``validation_convention`` names the metric of the training curves;
    ``higher_is_better`` is the direction of the scores, ``average_name`` what tables head a row's ``average`` with.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    version: Literal[1] = Field(default=1, alias="schema")
    study: str
    preset: str = "own"
    data: DataInfo
    higher_is_better: bool = True
    average_name: str = "Average"
    legend: str = ""
    validation_convention: str = ""
    validation_higher_is_better: bool = True
    validation_unit: str = ""
    splits: tuple[SplitInfo, ...] = Field(min_length=1)
    modes: tuple[ModeInfo, ...] = Field(min_length=1)
    baseline: str = ""
    jobs: tuple[JobInfo, ...] = ()
    rows: tuple[Row, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Results:
        splits, modes = [split.name for split in self.splits], [mode.name for mode in self.modes]
        keys = [job.key for job in self.jobs]
        for kind, names in (("splits", splits), ("modes", modes), ("jobs", keys)):
            _once(names, where=kind)
        if self.baseline:
            _exists(self.baseline, modes, kind="mode", where="baseline")
        _once([row.title for row in self.rows], where="rows")
        for place, row in enumerate(self.rows):
            _exists(row.split, splits, kind="split", where=f"rows[{place}].split")
            _exists(row.mode, modes, kind="mode", where=f"rows[{place}].mode")
            if row.job:
                _exists(row.job, keys, kind="job", where=f"rows[{place}].job")
        return self

    @property
    def labels(self) -> dict[str, str]:
        """Mode name -> what tables call it: its summary, with the name where two modes share a summary."""
        summaries = [mode.summary for mode in self.modes]
        return {
            mode.name: mode.summary if summaries.count(mode.summary) == 1 else f"{mode.summary} ({mode.name})"
            for mode in self.modes
        }

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of the labels that there are rows of, the largest first."""
        return tuple(sorted({row.labels for row in self.rows}, reverse=True)) or (1.0,)

    def at(self, share: float) -> Results:
        """Return the rows of one share of the labels alone."""
        return self.model_copy(update={"rows": tuple(row for row in self.rows if row.labels == share)})

    @property
    def conventions(self) -> tuple[str, ...]:
        """Conventions of the scores, each once; more than one only where a folder's studies were mixed."""
        return tuple(dict.fromkeys(row.convention for row in self.rows if row.convention))

    @property
    def digest(self) -> str:
        """Digest of all scores and of the trainings that have them: files beside the results name what they are of."""
        rows = [row for row in self.canonical().rows if row.status == "done"]
        return content_key([[row.title, row.job, row.convention, repr(row.columns), repr(row.average)] for row in rows])

    def rows_of(self, split: str, mode: str | None = None) -> list[Row]:
        """Rows of a split, and of one mode of it where named, in the order of modes, shares of the labels and seeds."""
        order = {info.name: place for place, info in enumerate(self.modes)}
        rows = [row for row in self.rows if row.split == split and mode in (None, row.mode)]
        return sorted(rows, key=lambda row: (order[row.mode], -row.labels, row.seed))

    def canonical(self) -> Results:
        """Return equal results in the order of files: splits, then modes, then seeds; columns as in the split."""
        rows = [_in_order(row, split.columns) for split in self.splits for row in self.rows_of(split.name)]
        splits = {info.name: place for place, info in enumerate(self.splits)}
        modes = {info.name: place for place, info in enumerate(self.modes)}
        jobs = sorted(
            self.jobs,
            key=lambda job: (splits.get(job.split, -1), job.step, modes.get(job.mode, -1), job.seed, job.key),
        )
        return self.model_copy(update={"rows": tuple(rows), "jobs": tuple(jobs)})

    def to_json(self) -> str:
        """Return the file's text: canonical order, two spaces, ``null`` where a figure does not exist."""
        return self.canonical().model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str = "results.json") -> Results:
        """Read the text of a file back.

        Raises:
            KpError: not JSON, an unknown or missing key, a wrong type, or a name that the file itself does not declare.
        """
        return _read(cls, text, where)


class HistoryRecord(BaseModel):
    """One line of ``history.jsonl``: an epoch, counted from 1, and where it left the job; other keys are let pass."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    epoch: Annotated[int, Field(ge=1, le=1_000_000)]
    iterations: Count
    loss: Score
    learning_rate: float | None = None
    validation: Score = None


def read_results(folder: Path) -> Results:
    """Read a study's ``results.json``.

    Args:
        folder: of the study.

    Raises:
        KpError: there is none, or it cannot be read.
    """
    path = folder / RESULTS
    try:
        text = _text(path)
    except (FileNotFoundError, NotADirectoryError):
        raise KpError(f"{path}: no such file; give the folder that 'kp run' wrote, as runs/STUDY") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KpError(f"{path}: cannot be read: {error}") from None
    return Results.from_json(text, where=str(path))


def read_history(path: Path) -> list[HistoryRecord]:
    """Read a job's ``history.jsonl``.

    Raises:
        KpError: the file cannot be read, or a line is no record; with file and line number.
    """
    try:
        lines = _text(path).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KpError(f"{path}: cannot be read as a training history: {error}") from None
    return [_read(HistoryRecord, line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]


def _text(path: Path) -> str:
    """Return a file's text; refuses what is no regular file, or larger than any."""
    size = regular(path, "a file that 'kp run' writes")
    within(Limit.BYTES, size, f"has {size:,} bytes", path, parts=8)
    return path.read_text(encoding="utf-8")


def _read(model: type[Model], text: str, where: str) -> Model:
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        if problem["type"] == "json_invalid":
            raise KpError(f"{where}: {problem['msg']}; run the study again, or mend the file") from None
        raise KpError(explain(error, model, where)) from None


def _once(names: Iterable[str], *, where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{where}: '{name}' occurs twice")
        seen.add(name)


def _exists(name: str, options: Iterable[str], *, kind: str, where: str) -> None:
    names = list(options)
    if name not in names:
        raise ValueError(str(unknown(kind, name, names, where=where)))


def _in_order(row: Row, columns: Iterable[str]) -> Row:
    """The row with its columns in the split's order; columns of the metric's own come after, in theirs."""
    ordered = {name: row.columns[name] for name in columns if name in row.columns}
    rest: Mapping[str, float | None] = {name: value for name, value in row.columns.items() if name not in ordered}
    return row.model_copy(update={"columns": {**ordered, **rest}})
