"""One job after another, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any

from kpcore.errors import KpError
from kpcore.network import Network
from kpcore.study.executors.interface import Events, Pool, Run, State
from kpcore.study.faults import fault
from kpcore.study.guard import told
from kpcore.study.jobs import Job
from kpcore.study.protocol import run_job, write_traceback
from kpcore.study.study import Study
from kpcore.study.workshop import Workshop, open_workshop
from kpcore.training.loop import JobError
from kpcore.training.process import set_up_process
from kpcore.training.step import Stepper


def prepared(run: Run) -> Workshop:
    """Return the study with the data of its missing jobs prepared."""
    needed = [name for job in run.missing for name in job.datasets]
    return open_workshop(run.study, run.device, needed, run.events.preparing, run.events.notice)


class InProcess:
    """An executor of one job at a time."""

    @contextmanager
    def open(self, run: Run) -> Iterator[Pool]:
        """Set this process up, prepare the data, and take jobs."""
        set_up_process(run.device, run.study.config.training.compile)
        yield _Here(prepared(run), run)


class _Here:
    slots = 1

    def __init__(self, shop: Workshop, run: Run) -> None:
        self.shop = shop
        self.run = run
        self.ended: list[tuple[Job, State]] = []

    def start(self, job: Job) -> None:
        """Run the job to its end."""
        self.ended.append((job, attempt(job, self.shop, self.run.events, fresh=self.run.fresh)))

    def wait(self) -> tuple[Job, State]:
        """Return the job that was run."""
        return self.ended.pop()


def attempt(job: Job, shop: Workshop, events: Events, *, fresh: bool = False) -> State:
    """Run a job; what goes wrong with it becomes its state."""
    try:
        run_job(job, shop, _Listener(job, events), fresh=fresh)
    except (JobError, KpError) as error:
        return State("failed", str(error))
    except (Exception, SystemExit) as error:  # a component may fail in any way; it must not take other jobs down
        if (line := fault(error, shop.device.torch)) is not None:
            return State("failed", line)
        return State("failed", _reason(error, job, shop.study), traceback=kept_traceback(job.key, error))
    return State("done")


def kept_traceback(key: str, error: BaseException) -> str:
    """Write a failed job's traceback; return where, "" where it cannot be written (the disk may be full)."""
    try:
        return str(write_traceback(key, error))
    except OSError:
        return ""


def _reason(error: BaseException, job: Job, study: Study) -> str:
    """Return one line on an error inside a job: the component that it came out of, or the core."""
    acting: dict[CodeType, tuple[object, str]] = {Network.forward.__code__: (study.backbone, "forward()")}
    if job.mode is not None:
        acting[Stepper.step.__code__] = (job.mode.strategy, "extra_loss()")
    return told(error, study.known, acting)


@dataclass(frozen=True)
class _Listener:
    job: Job
    events: Events

    def iteration(self, done: int, total: int) -> None:
        self.events.iteration(self.job, done, total)

    def epoch(self, record: dict[str, Any]) -> None:
        self.events.epoch(self.job, record)

    def notice(self, text: str) -> None:
        self.events.notice(f"{self.job.name}: {text}")
