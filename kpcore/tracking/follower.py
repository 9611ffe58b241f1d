"""Listens to the hooks of a study, and tells a tracker each epoch and each score once, whatever was told before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kpcore import placing
from kpcore.errors import KpError
from kpcore.interfaces import Ending, Track, Tracker
from kpcore.records.folder import JobFolder
from kpcore.tracking.ledger import Ledger
from kpcore.tracking.left import Left, left, row_scores

FOLDER = "trackers"
"""Below a study's folder."""
VALUES = ("loss", "validation", "learning_rate")
"""What is told of an epoch."""

Record = Mapping[str, Any]


class Follower:
    """One tracker in one study.

    A tool that does not answer is left alone until the next job ends, so that no epoch waits for it; what it missed is
    told then. A job that the cache had is told from its history, where it was not told before.

    Args:
        name: the tracker's, and its folder's.
        tracker: of the tool.
    """

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name = name
        self._tracker = tracker
        self._track: Track | None = None
        self._ledger: Ledger
        self._jobs: Mapping[str, Mapping[str, Any]]
        self._silent = False
        self._begun: dict[str, str] = {}
        self._waiting: dict[str, dict[int, Record]] = {}

    def __call__(self, hook: str, **arguments: Any) -> None:
        """Take what a hook is told."""
        heard: dict[str, Callable[..., None]] = {
            "kp_study_started": self._study_started,
            "kp_epoch_ended": self._epoch_ended,
            "kp_job_finished": self._job_finished,
            "kp_study_ended": self._study_ended,
        }
        if hook in heard:
            heard[hook](**arguments)

    def _study_started(self, study: Mapping[str, Any]) -> None:
        folder = placing.folder(Path(study["folder"]), FOLDER, self._name)
        self._jobs = {job["key"]: job for job in study["jobs"]}
        self._ledger = Ledger(folder, self._tracker.place(folder))
        track = self._tracker.open(study, folder, self._ledger.run)
        self._ledger.study(track.run)
        self._track = track

    def _epoch_ended(self, job: Mapping[str, Any], record: Record) -> None:
        key = job["key"]
        if self._track is None:
            return
        if record["epoch"] == 1 and self._ledger.job(key).epoch:  # trained again
            self._ledger.forget(key)
            self._begun.pop(key, None)
            self._waiting.pop(key, None)
        self._waiting.setdefault(key, {})[record["epoch"]] = record
        if not self._silent:
            with self._patience():
                self._tell(self._track, job)

    def _job_finished(self, job: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        self._silent = False
        key = job["key"]
        if self._track is None:
            return
        if result["status"] == "done":
            self._waiting[key] = {**_history(key), **self._waiting.get(key, {})}
        with self._patience():
            self._tell(self._track, job)
            if key in self._begun:
                self._track.end(self._begun[key], result["status"])

    def _study_ended(self, study: Mapping[str, Any], results: Mapping[str, Any]) -> None:
        track, self._track = self._track, None
        if track is None:
            return
        scores, epochs = row_scores(results)
        new = {key: values for key, values in scores.items() if values != self._ledger.job(key).scores}
        for key in new:
            self._run(track, self._jobs[key], begin=not self._ledger.job(key).run)
        found = left(Path(study["folder"]))
        track.finish(self._ending(new, epochs, found))
        self._ledger.finish(new, found.digest)

    def _ending(self, scores: Mapping[str, dict[str, float]], epochs: Mapping[str, int], found: Left) -> Ending:
        runs = {key: self._ledger.job(key).run for key in scores}
        known = self._ledger.is_left(found.digest)
        return Ending(
            scores={runs[key]: values for key, values in scores.items()},
            kept={runs[key]: epochs[key] for key in scores},
            pictures={} if known else found.pictures,
            files=() if known else found.files,
        )

    @contextmanager
    def _patience(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._silent = True
            raise

    def _tell(self, track: Track, job: Mapping[str, Any]) -> None:
        """Tell all epochs of a job that wait and were not told, in their order."""
        key = job["key"]
        waiting = self._waiting.pop(key, {})
        if max(waiting, default=0) <= self._ledger.job(key).epoch:
            return
        if key not in self._begun:
            waiting = {**_before(key, min(waiting)), **waiting}
        self._waiting[key] = waiting  # what is told leaves it, what a tool refuses stays
        run = self._run(track, job)
        for epoch in sorted(waiting):
            if epoch > self._ledger.job(key).epoch:
                track.epoch(run, epoch, values(waiting[epoch]))
                self._ledger.epoch(key, epoch)
            del waiting[epoch]

    def _run(self, track: Track, job: Mapping[str, Any], *, begin: bool = True) -> str:
        """Return a job's run, begun in this process where asked for."""
        key = job["key"]
        if begin and key not in self._begun:
            run = track.begin(job, self._ledger.job(key).run)
            self._ledger.begin(key, run)
            self._begun[key] = run
        return self._ledger.job(key).run


def values(record: Record) -> dict[str, float]:
    """Return what is told of an epoch: what is a number."""
    return {name: float(record[name]) for name in VALUES if record.get(name) is not None}


def _history(key: str) -> dict[int, Record]:
    """Return a job's epochs so far as its folder has them."""
    try:
        return {record.epoch: record.model_dump() for record in JobFolder.of(key).history()}
    except KpError:
        return {}


def _before(key: str, epoch: int) -> dict[int, Record]:
    """Return the epochs before this one."""
    return {one: record for one, record in _history(key).items() if one < epoch}
