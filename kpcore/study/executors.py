"""Where jobs run: in this process one after another, or several at once in processes of their own.

Small networks gain little from a second thread, so on a CPU several jobs of one thread each finish a study sooner.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

import torch

from kpcore.config import StudyConfig
from kpcore.errors import KpError
from kpcore.records.results import Status
from kpcore.study.jobs import Job, JobPlan, plan_jobs
from kpcore.study.protocol import run_job
from kpcore.study.setup import Study, build_study
from kpcore.study.workshop import Workshop, open_workshop
from kpcore.training.device import Device
from kpcore.training.loop import JobError


@dataclass(frozen=True)
class State:
    """How a job stands; ``cached`` says that it was done before."""

    status: Status
    reason: str = ""
    cached: bool = False


class Events(Protocol):
    """What is told of running jobs."""

    def iteration(self, job: Job, done: int, total: int) -> None:
        """``done`` of at most ``total`` iterations of the job are behind."""

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        """An epoch of the job ended; ``record`` is its line of history.jsonl."""


class Executor(Protocol):
    """Takes up to ``slots`` jobs at once; use as a context manager."""

    slots: int

    def __enter__(self) -> Executor:
        """Get ready."""

    def __exit__(self, *_: object) -> None:
        """Stop whatever still runs."""

    def start(self, job: Job) -> None:
        """Start a job whose sources are done."""

    def wait(self) -> tuple[Job, State]:
        """Wait until a job that was started has ended."""


@dataclass(frozen=True)
class Order:
    """All that a process of its own needs to build the same study again."""

    config: StudyConfig
    file: str
    preset: str
    device: Device


def attempt(job: Job, shop: Workshop, events: Events) -> State:
    """Run a job; what goes wrong with it becomes its state."""
    try:
        run_job(job, shop, _Listener(job, events))
    except (JobError, KpError) as error:
        return State("failed", str(error))
    except torch.OutOfMemoryError:
        return State("failed", f"out of memory on {shop.device.torch}; lower training.batch_size")
    except OSError as error:
        return State("failed", f"{error.filename or 'the cache'}: {error.strerror or error}; is the disk full?")
    return State("done")


@dataclass(frozen=True)
class _Listener:
    job: Job
    events: Events

    def iteration(self, done: int, total: int) -> None:
        self.events.iteration(self.job, done, total)

    def epoch(self, record: dict[str, Any]) -> None:
        self.events.epoch(self.job, record)


class InProcess:
    """One job after another, here."""

    slots = 1

    def __init__(self, shop: Workshop, events: Events) -> None:
        self.shop = shop
        self.events = events
        self.ended: list[tuple[Job, State]] = []

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, job: Job) -> None:
        """Run the job to its end."""
        self.ended.append((job, attempt(job, self.shop, self.events)))

    def wait(self) -> tuple[Job, State]:
        """Return the job that was run."""
        return self.ended.pop()


@dataclass(frozen=True, eq=False)
class _Worker:
    process: SpawnProcess
    inbox: Any


class Processes:
    """Several jobs at once, each in a process that lives as long as the study."""

    def __init__(self, study: Study, device: Device, plan: JobPlan, slots: int, events: Events) -> None:
        self.order = Order(study.config, study.file, study.preset, device)
        self.jobs = {job.key: job for job in plan.jobs}
        self.slots = slots
        self.events = events
        self.context = multiprocessing.get_context("spawn")
        self.outbox: Any = self.context.Queue()
        self.idle: list[_Worker] = []
        self.busy: dict[str, _Worker] = {}

    def __enter__(self) -> Processes:
        self.idle = [self._worker() for _ in range(self.slots)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in (*self.idle, *self.busy.values()):
            worker.process.terminate()
            worker.process.join()

    def _worker(self) -> _Worker:
        inbox: Any = self.context.Queue()
        process = self.context.Process(target=_serve, args=(self.order, inbox, self.outbox), daemon=True)
        process.start()
        return _Worker(process, inbox)

    def start(self, job: Job) -> None:
        """Hand the job to an idle process."""
        worker = self.idle.pop()
        self.busy[job.key] = worker
        worker.inbox.put(job.key)

    def wait(self) -> tuple[Job, State]:
        """Pass on events until a job has ended, or its process has died."""
        while True:
            try:
                kind, key, *rest = self.outbox.get(timeout=1.0)
            except queue.Empty:
                dead = next((key for key, worker in self.busy.items() if not worker.process.is_alive()), None)
                if dead is None:
                    continue
                code = self.busy.pop(dead).process.exitcode
                self.idle.append(self._worker())
                return self.jobs[dead], State("failed", f"its process died (exit code {code}); try --jobs 1")
            if kind == "ended":
                self.idle.append(self.busy.pop(key))
                return self.jobs[key], rest[0]
            tell: Callable[..., None] = getattr(self.events, kind)
            tell(self.jobs[key], *rest)


class _Sender:
    """Events of a job, sent to the process that shows them."""

    def __init__(self, outbox: Any) -> None:
        self.outbox = outbox

    def iteration(self, job: Job, done: int, total: int) -> None:
        self.outbox.put(("iteration", job.key, done, total))

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        self.outbox.put(("epoch", job.key, record))


def _serve(order: Order, inbox: Any, outbox: Any) -> None:
    """Run jobs as they come. An interrupt is for the process that shows the study; it ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(order.device.threads)
    study = build_study(order.config, order.file, order.preset, notice=lambda _: None)
    jobs = {job.key: job for job in plan_jobs(study, order.device).jobs}
    shop = open_workshop(study, order.device, (name for job in jobs.values() for name in job.datasets))
    sender = _Sender(outbox)
    while True:
        key = inbox.get()
        outbox.put(("ended", key, attempt(jobs[key], shop, sender)))


def _leave_with_parent() -> None:
    """End this process when the one that shows the study is gone, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def ready(waiting: Sequence[Job], states: dict[str, State]) -> Job | None:
    """Return the first job whose sources are all done."""
    return next((job for job in waiting if all(_done(source, states) for source in job.sources)), None)


def doomed(waiting: Sequence[Job], states: dict[str, State]) -> tuple[Job, Job] | None:
    """Return a job and its source that failed, where there is one."""
    for job in waiting:
        for source in job.sources:
            if source.key in states and states[source.key].status == "failed":
                return job, source
    return None


def _done(job: Job, states: dict[str, State]) -> bool:
    return job.key in states and states[job.key].status == "done"
