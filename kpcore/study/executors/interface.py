"""What an executor is asked for, and what it tells of its jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from kpcore.config import StudyConfig
from kpcore.records.results import Status
from kpcore.registry import Registry
from kpcore.study.jobs import Job, JobPlan
from kpcore.study.opening import build_study
from kpcore.study.study import Study
from kpcore.training.device import Device


@dataclass(frozen=True)
class State:
    """How a job stands.

    Args:
        status: how it ended, if it did.
        reason: of a failure, in one line.
        cached: whether it was done before.
        traceback: the file of one that failed.
        printed: the last lines that the process of one that failed printed.
    """

    status: Status
    reason: str = ""
    cached: bool = False
    traceback: str = ""
    printed: tuple[str, ...] = ()


def lost_twice(why: str) -> State:
    """Return how a job ended whose process was lost a second time; ``why`` says how: "was killed by SIGKILL"."""
    return State("failed", f"its process {why}, and one before it had ended early too; 'kp run' takes it up again")


class Events(Protocol):
    """What is told of a run."""

    def preparing(self, done: int, total: int) -> None:
        """``done`` of ``total`` people of a part are prepared."""

    def iteration(self, job: Job, done: int, total: int) -> None:
        """``done`` of at most ``total`` iterations of the job are behind."""

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        """An epoch of the job ended; ``record`` is its line of history.jsonl."""

    def notice(self, text: str) -> None:
        """A line for the user."""


@dataclass(frozen=True, eq=False)
class Run:
    """What is run.

    Args:
        study: open.
        plan: all of its jobs.
        device: of each job.
        missing: those of them that are to be trained, sources first.
        events: told of them.
        fresh: train them even where they are done.
    """

    study: Study
    plan: JobPlan
    device: Device
    missing: Sequence[Job]
    events: Events
    fresh: bool = False


class Pool(Protocol):
    """Takes jobs."""

    @property
    def slots(self) -> int:
        """How many at once; it may change."""

    def start(self, job: Job) -> None:
        """Start a job whose sources are done."""

    def wait(self) -> tuple[Job, State]:
        """Wait until a job that was started has ended."""


class Staff(Pool, Protocol):
    """A pool whose workers have to be started and stopped."""

    def open(self) -> None:
        """Start the workers."""

    def finish(self) -> None:
        """Have the workers that are at a job save it and end."""

    def stop(self) -> None:
        """End them all, whatever they are at."""


Pooled = TypeVar("Pooled", bound=Staff)


@contextmanager
def staffed(pool: Pooled) -> Iterator[Pooled]:
    """Have a pool's workers started, and stopped at the end; at an interrupt when they have saved."""
    try:
        pool.open()
        yield pool
    except KeyboardInterrupt:
        pool.finish()
        raise
    finally:
        pool.stop()


class Executor(Protocol):
    """Somewhere to run jobs."""

    def open(self, run: Run) -> AbstractContextManager[Pool]:
        """Prepare the data and return what takes the jobs; leaving the context stops whatever still runs.

        Raises:
            KpError: the data cannot be prepared.
        """


@dataclass(frozen=True)
class Order:
    """All that a process of its own needs to build the same study again."""

    config: StudyConfig
    file: str
    preset: str
    device: Device

    @classmethod
    def of(cls, study: Study, device: Device) -> Order:
        """Take a study down."""
        return cls(study.config, study.file, study.preset, device)

    def build(self, known: Registry) -> Study:
        """Build it again, from these plugins."""
        return build_study(known, self.config, self.file, self.preset, notice=lambda _: None)
