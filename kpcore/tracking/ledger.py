"""``trackers/NAME/told.json`` of a study's folder: what a tool was told, so that it is told once."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from kpcore.cache import content_key
from kpcore.placing import put

TOLD = "told.json"


class JobTold(BaseModel):
    """What was told of a job: the run it is in the tool, the last epoch, and the scores."""

    run: str
    epoch: int = 0
    scores: dict[str, float] = Field(default_factory=dict)


class _Told(BaseModel):
    place: str
    run: str = ""
    left: str = ""
    jobs: dict[str, JobTold] = Field(default_factory=dict)


class Ledger:
    """The file, written after everything that is told; one that cannot be read, or is of another place, is empty.

    Args:
        folder: the tool's own below the study's.
        place: where the tool keeps what it is told.
    """

    def __init__(self, folder: Path, place: str) -> None:
        self._path = folder / TOLD
        self._told = self._read(content_key(place))  # an address may hold a password

    def _read(self, place: str) -> _Told:
        try:
            found = _Told.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return _Told(place=place)
        return found if found.place == place else _Told(place=place)

    def _write(self) -> None:
        put(self._path, self._told.model_dump_json(indent=1).encode() + b"\n")

    @property
    def run(self) -> str:
        """The study's own run; "" where there is none."""
        return self._told.run

    def study(self, run: str) -> None:
        """Take down the study's run; in another one than before nothing was told, of no job either."""
        if run != self._told.run:
            self._told = _Told(place=self._told.place, run=run)
            self._write()

    def job(self, key: str) -> JobTold:
        """Return what was told of a job."""
        return self._told.jobs.get(key, JobTold(run=""))

    def begin(self, key: str, run: str) -> None:
        """Take down a job's run; in another one than before nothing was told."""
        if run != self.job(key).run:
            self._told.jobs[key] = JobTold(run=run)
            self._write()

    def forget(self, key: str) -> None:
        """A job is trained again from its first epoch."""
        if self._told.jobs.pop(key, None) is not None:
            self._write()

    def epoch(self, key: str, epoch: int) -> None:
        """Take down that a job's epoch was told."""
        self._told.jobs[key].epoch = epoch
        self._write()

    def is_left(self, digest: str) -> bool:
        """Whether files and pictures of this digest were told last."""
        return self._told.left == digest

    def finish(self, scores: dict[str, dict[str, float]], digest: str) -> None:
        """Take down what was told at the end: scores by job, and the digest of files and pictures."""
        for key, values in scores.items():
            self._told.jobs[key].scores = values
        self._told.left = digest
        self._write()
