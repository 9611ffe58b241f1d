"""A job's folder: the only place that spells its files' names, reads them, writes them and says whether they hold.

``manifest.json`` is written last, with the digest of every file: a job is done where it is there and all of it holds.
Reports read a folder through this too, so nothing here needs torch.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kpcore.cache import cache_dir, content_key, flush, known_digest, replace_file, set_aside
from kpcore.errors import KpError
from kpcore.records.results import HistoryRecord, read_history

MANIFEST = "manifest.json"
ABOUT = "job.json"
RESULT = "result.json"
HISTORY = "history.jsonl"
PLAN = "plan.json"
TIMING = "timing.json"
WEIGHTS = "weights.safetensors"
ERROR = "error.txt"
LOCK = ".lock"
LOG = "worker.log"
CHECKPOINT = re.compile(r"checkpoint-(\d{6})-(?:(\d{9})-)?([0-9a-f]{32})\.pt")
"""Epochs behind, iterations behind (older ones do not tell), and the first half of the file's SHA-256.

So a checkpoint says itself whether it is whole.
"""
PASSING = (MANIFEST, ERROR, LOCK, LOG)
"""Files that no manifest lists."""


class Manifest(BaseModel):
    """``manifest.json``: whose files they are, the SHA-256 of each, and that of all this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job: str
    files: dict[str, str]
    digest: str

    @classmethod
    def of(cls, job: str, files: dict[str, str]) -> Manifest:
        """Write down these files of a job."""
        return cls(job=job, files=files, digest=content_key([job, files]))

    @property
    def whole(self) -> bool:
        """Whether it is as it was written."""
        return self.digest == content_key([self.job, self.files])


class JobResult(BaseModel):
    """``result.json``: how a training ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: Annotated[int, Field(ge=0)]
    best_epoch: Annotated[int, Field(ge=0)]
    best_validation: float | None
    validation_convention: str
    iterations: Annotated[int, Field(ge=0)]
    parameters: Annotated[int, Field(ge=0)]
    frozen: dict[str, Any]


class JobFolder:
    """The files of one job.

    Args:
        path: of the folder, whose name is the job's key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, key: str) -> JobFolder:
        """Return the folder of a job in the cache."""
        return cls(cache_dir() / "jobs" / key)

    @property
    def key(self) -> str:
        """The job's content key."""
        return self.path.resolve().name

    @property
    def weights(self) -> Path:
        """Where the trained network's weights are."""
        return self.path / WEIGHTS

    def predictions(self, number: int = 0) -> Path:
        """Where predictions are: on the job's own data set, and on those that it is scored on besides, from 1."""
        return self.path / (f"predictions-{number}.h5" if number else "predictions.h5")

    def lock(self) -> FileLock:
        """Return the lock that whoever trains the job holds; the folder is made where it is missing."""
        if self.path.exists() and not self.path.is_dir():
            set_aside(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path / LOCK)

    # Whether it is done

    def problem(self) -> str:
        """Return why the job is not done though its files are there; "" where it is done, or was never finished."""
        if self.path.exists() and not self.path.is_dir():
            return "is no folder"
        if not self._files():
            return ""
        if not (self.path / MANIFEST).exists():
            finished = (self.path / RESULT).exists() and not list(self._checkpoints())
            return f"{MANIFEST} is missing" if finished else ""
        try:
            manifest = Manifest.model_validate_json((self.path / MANIFEST).read_bytes())
        except (OSError, ValidationError):
            return f"{MANIFEST} is damaged"
        if not manifest.whole:
            return f"{MANIFEST} is not as it was written"
        if manifest.job != self.key:
            return f"{MANIFEST} is another job's"
        return next((wrong for name, wanted in manifest.files.items() if (wrong := self._differs(name, wanted))), "")

    @property
    def done(self) -> bool:
        """Whether the job was trained and scored, and every file is as it was written."""
        return (self.path / MANIFEST).exists() and not self.problem()

    @property
    def begun(self) -> bool:
        """Whether an epoch of it is behind, so that there is a history."""
        return (self.path / HISTORY).exists()

    def _differs(self, name: str, wanted: str) -> str:
        path = self.path / name
        try:
            return "" if known_digest(path) == wanted else f"{name} is not as it was written"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"

    def seal(self) -> None:
        """Write the manifest over all files, flushed to the disk before it; the job is done from then on."""
        files = {name: known_digest(self.path / name) for name in self._files()}
        for name in files:
            flush(self.path / name)
        manifest = Manifest.of(self.key, files)
        replace_file(self.path / MANIFEST, manifest.model_dump_json(indent=1).encode() + b"\n")
        flush(self.path / MANIFEST)
        flush(self.path)  # before what it replaces goes
        self.drop_checkpoints()

    def set_aside(self) -> None:
        """Move all files to a folder beside this one, the newest such alone is kept; the lock stays in place."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        set_aside(aside)  # an older one
        aside.mkdir(exist_ok=True)
        for item in list(self.path.iterdir()):
            if item.name not in (LOCK, LOG):  # both are in use by who trains the job now
                item.replace(aside / item.name)

    def _files(self) -> list[str]:
        """Names of the files that a manifest lists."""
        if not self.path.is_dir():
            return []
        names = sorted(item.name for item in self.path.iterdir() if item.is_file())
        return [name for name in names if name not in PASSING and not name.startswith((".", "checkpoint-"))]

    # Records

    def begin(self, title: str, study: str, settings: Mapping[str, Any]) -> None:
        """Say whose folder it is; what an earlier attempt said of its failure and its epochs goes."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in (ERROR, HISTORY):
            (self.path / name).unlink(missing_ok=True)
        self._write(ABOUT, {"title": title, "study": study, "key": self.key, "settings": settings})

    def about(self) -> dict[str, Any]:
        """Return what :meth:`begin` was told; empty where it cannot be read."""
        try:
            found = json.loads((self.path / ABOUT).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_plan(self, record: Mapping[str, Any]) -> None:
        """Write the executed transfer plan, with the proof of what stayed frozen."""
        self._write(PLAN, record)

    def write_history(self, records: list[dict[str, Any]]) -> None:
        """Write a line an epoch."""
        replace_file(self.path / HISTORY, "".join(json.dumps(record) + "\n" for record in records).encode())

    def write_timing(self, seconds: Mapping[str, Any]) -> None:
        """Write where the seconds went."""
        self._write(TIMING, seconds)

    def write_result(self, result: JobResult) -> None:
        """Write how the training ended."""
        self._write(RESULT, result.model_dump(mode="json"))

    def write_error(self, text: str) -> Path:
        """Write a failure's traceback; return where."""
        self.path.mkdir(parents=True, exist_ok=True)
        replace_file(self.path / ERROR, text.encode())
        return self.path / ERROR

    def open_log(self, *, again: bool) -> Path:
        """Return the file of what the job's process prints, empty unless an earlier try's is gone on with."""
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / LOG
        with path.open("ab" if again else "wb"):
            return path

    def close_log(self) -> None:
        """Let a log of nothing go."""
        with suppress(OSError):
            if not (self.path / LOG).stat().st_size:
                (self.path / LOG).unlink()

    def log_tail(self, lines: int = 10) -> tuple[str, ...]:
        """Return the last lines that the job's process printed; none where it printed nothing, or cannot be read."""
        try:
            with (self.path / LOG).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 200 * lines))
                found = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ()
        return tuple(found[-lines:])

    def history(self) -> list[HistoryRecord]:
        """Return the epochs; raises KpError where they cannot be read."""
        return read_history(self.path / HISTORY)

    def plan(self) -> dict[str, Any]:
        """Return the executed transfer plan; raises KpError where it cannot be read."""
        return self._read(PLAN)

    def timing(self) -> dict[str, Any]:
        """Return where the seconds went; raises KpError where that cannot be read."""
        return self._read(TIMING)

    def result(self) -> JobResult:
        """Return how the training ended; raises KpError where that cannot be read."""
        try:
            return JobResult.model_validate(self._read(RESULT))
        except ValidationError as error:
            raise KpError(f"{self.path / RESULT}: is not as it was written: {error.error_count()} wrong") from None

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        replace_file(self.path / name, json.dumps(value, indent=1).encode() + b"\n")

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError) as error:
            raise KpError(f"{self.path / name}: cannot be read: {error}; 'kp run' makes it again") from None
        return found

    # Checkpoints

    def keep_checkpoint(
        self, behind: tuple[int, int], write: Callable[[Path], None], beside: Path | None = None
    ) -> Path:  # fmt: skip
        """Write the checkpoint after so many epochs and iterations; others go only when it is whole on the disk.

        Args:
            behind: epochs, iterations.
            write: writes it to a path.
            beside: another one that stays.
        """
        epochs, iterations = behind
        partial = self.path / ".checkpoint.partial"
        try:
            write(partial)
            flush(partial)
            path = self.path / f"checkpoint-{epochs:06d}-{iterations:09d}-{known_digest(partial)[:32]}.pt"
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        flush(self.path)  # a name is on the disk when its folder is
        self.drop_checkpoints(keep=(path, beside))
        return path

    def checkpoints(self) -> Iterator[Path]:
        """Yield the checkpoints that are whole, the newest first; one that is not is removed."""
        for path in self._checkpoints():
            found = CHECKPOINT.fullmatch(path.name)
            if found is not None and known_digest(path)[:32] == found[3]:
                yield path
            else:
                path.unlink()

    def damaged_checkpoints(self) -> list[str]:
        """Return the names of checkpoints that are not as they were written."""
        return [path.name for path in self._checkpoints() if known_digest(path)[:32] != path.stem.rpartition("-")[2]]

    @property
    def iterations(self) -> int:
        """Iterations that are behind in the newest checkpoint; 0 where there is none, or where it does not tell."""
        return next((_behind(path)[1] for path in self._checkpoints()), 0)

    def _checkpoints(self) -> Iterator[Path]:
        yield from sorted(self.path.glob("checkpoint-*"), key=_behind, reverse=True)

    def drop_checkpoints(self, keep: tuple[Path | None, ...] = ()) -> None:
        """Remove checkpoints but these."""
        for path in self._checkpoints():
            if path not in keep:
                path.unlink(missing_ok=True)


def _behind(path: Path) -> tuple[int, int]:
    """Return the epochs and iterations that a checkpoint's name tells."""
    found = CHECKPOINT.fullmatch(path.name)
    return (int(found[1]), int(found[2] or 0)) if found else (-1, 0)
