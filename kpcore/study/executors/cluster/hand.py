"""What stands on another machine for a worker there: it starts its process, and passes on files and what it tells.

The process is the same as on one machine. Ray calls one method at a time, so each returns soon.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kpcore.errors import KpError, system_error
from kpcore.records.folder import JobFolder
from kpcore.study.executors.child import Child, Deaths, finish, listen, with_log
from kpcore.study.executors.cluster.nodes import Setting, settle
from kpcore.study.executors.cluster.parcels import (
    Parcel,
    newest_checkpoint,
    pack,
    pack_checkpoint,
    pack_failure,
    unpack,
)
from kpcore.study.executors.interface import Order, State
from kpcore.training.checkpoint import interval

Message = tuple[Any, ...]
"""Kind, key of a job or "", and what belongs to that kind: as workers tell, and "started", "checkpoint" and "lost"."""
PAUSE = 0.25
"""Seconds for which what a worker tells is collected."""
SPACING = 10.0
"""Seconds between two checkpoints that are sent, at most, however soon one follows the other."""


@dataclass(frozen=True)
class Task:
    """A job for a worker.

    Args:
        key: the job's.
        fresh: train it anew.
        again: whether another has been at it.
        files: key -> files of the jobs that it needs, and of itself.
    """

    key: str
    fresh: bool
    again: bool
    files: Mapping[str, Parcel]


class Hand:
    """A worker's stand-in.

    Args:
        number: of the worker in its study.
        setting: of its process.
        cache: of this machine.
        order: the study, pickled.
        shared: whether the cache is that of the machine that shows the study, so that no files need to be sent.
    """

    def __init__(self, number: int, setting: Setting, cache: str, order: bytes, shared: bool) -> None:
        settle(setting, cache)
        self.order: Order = pickle.loads(order)
        self.shared = shared
        self.number = number
        self.spacing = min(interval(), SPACING)
        self.deaths = Deaths()
        self.key = ""
        self.sent = ("", 0.0)  # the checkpoint that was sent last, and when
        self.child = self._started()

    def _started(self) -> Child:
        with hidden_main():
            return Child.start(self.number, self.order)

    def ready(self) -> list[Message]:
        """Return which process it is."""
        return [("ready", "", self.child.process.pid)]

    def start(self, task: Task) -> list[Message]:
        """Put files where they belong and have the worker run a job."""
        try:
            for key, parcel in task.files.items():
                _take(JobFolder.of(key), parcel)
        except (KpError, OSError) as error:
            line = system_error(error, "the cache") if isinstance(error, OSError) else str(error)
            return [("ended", task.key, State("failed", line), {})]
        if not self.child.alive:
            self.child.kill()
            self.child = self._started()
        self.key, self.sent = task.key, (newest_checkpoint(JobFolder.of(task.key)), time.monotonic())
        self.child.tell(task.key, fresh=task.fresh, again=task.again)
        return [("started", task.key, self.child.process.pid)]

    def poll(self) -> list[Message]:
        """Return what the worker tells, after a moment."""
        until = time.monotonic() + PAUSE
        told: list[Message] = []
        while (left := until - time.monotonic()) > 0 and self.child.alive and not _ended(told):
            told += self._heard(listen([self.child], left))
        if not self.child.alive:
            told += self._heard([(self.child, self.child.inlet.read())])
        if not self.child.alive and not _ended(told):
            told.append(self._lost())
        return [*self._checkpoint(), *map(self._with_files, told)]

    def finish(self) -> list[Message]:
        """Have the worker save its job and end; return what it told, and the checkpoint."""
        told = self._heard(finish([self.child]))
        self.sent = (self.sent[0], 0.0)
        return [*self._checkpoint(), *map(self._with_files, told)]

    def _heard(self, heard: list[tuple[Child, list[Any]]]) -> list[Message]:
        return [message for _, messages in heard for message in messages if message[0] != "alive"]

    def _lost(self) -> Message:
        self.sent = (self.sent[0], 0.0)  # its last checkpoint is sent, however soon it followed
        return ("lost", self.key, self.deaths.why(self.child))

    def _checkpoint(self) -> list[Message]:
        """Return the newest checkpoint where it is not sent yet, and it is time."""
        if self.shared or not self.key:
            return []
        name = newest_checkpoint(JobFolder.of(self.key))
        if not name or name == self.sent[0] or time.monotonic() - self.sent[1] < self.spacing:
            return []
        self.sent = (name, time.monotonic())
        parcel = pack_checkpoint(JobFolder.of(self.key), name)
        return [("checkpoint", self.key, parcel)] if parcel else []

    def _with_files(self, message: Message) -> Message:
        """Return a message, where it is of a job's end with the job's files."""
        kind, key, *rest = message
        if kind == "lost":
            return (*message, {} if self.shared else pack_failure(JobFolder.of(key)))
        if kind != "ended":
            return message
        state: State = with_log(key, rest[0])
        self.key = ""
        if self.shared:
            return (kind, key, state, {})
        return (kind, key, state, (pack if state.status == "done" else pack_failure)(JobFolder.of(key)))


def _ended(told: list[Message]) -> bool:
    return any(message[0] == "ended" for message in told)


def _take(folder: JobFolder, parcel: Parcel) -> None:
    """Put a job's files where they belong, unless the job is done here."""
    with folder.locked(lambda _: None):
        if not folder.done:
            unpack(parcel, folder)


@contextmanager
def hidden_main() -> Iterator[None]:
    """Hide what this process runs, which is Ray's: a process that is started would run it too."""
    main = sys.modules["__main__"]
    before = {name: getattr(main, name, None) for name in ("__file__", "__spec__")}
    main.__file__ = main.__spec__ = None
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(main, name, value)
