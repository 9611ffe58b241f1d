"""Several jobs at once, each in a process that lives as long as the study."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import SpawnProcess
from typing import Any

from kpcore.registry import Registry
from kpcore.study.dag import plan_jobs
from kpcore.study.executors.here import attempt, kept_traceback, prepared
from kpcore.study.executors.interface import Events, Order, Pool, Run, State
from kpcore.study.guard import told
from kpcore.study.jobs import Job
from kpcore.study.workshop import open_workshop
from kpcore.training.process import set_up_process, undisturbed


@dataclass(frozen=True)
class Processes:
    """An executor of up to ``jobs`` at once."""

    jobs: int

    @contextmanager
    def open(self, run: Run) -> Iterator[Pool]:
        """Prepare the data, start the processes, and stop them at the end, whatever they are at."""
        prepared(run)  # here, so that processes find it instead of waiting for one another
        pool = _Workers(run, min(self.jobs, len(run.missing)))
        try:
            pool.open()
            yield pool
        finally:
            pool.stop()


@dataclass(frozen=True, eq=False)
class _Worker:
    process: SpawnProcess
    inbox: Any


class _Workers:
    def __init__(self, run: Run, slots: int) -> None:
        self.order = Order.of(run.study, run.device)
        self.fresh = run.fresh
        self.jobs = {job.key: job for job in run.plan.jobs}
        self.slots = slots
        self.events = run.events
        self.context = multiprocessing.get_context("spawn")
        self.outbox: Any = self.context.Queue()
        self.idle: list[_Worker] = []
        self.busy: dict[str, _Worker] = {}

    def open(self) -> None:
        """Start the processes."""
        for _ in range(self.slots):
            self._add_worker()

    def stop(self) -> None:
        for worker in (*self.idle, *self.busy.values()):
            worker.process.terminate()
            worker.process.join()

    def _add_worker(self) -> None:
        inbox: Any = self.context.Queue()
        process = self.context.Process(target=_serve, args=(self.order, self.fresh, inbox, self.outbox), daemon=True)
        with undisturbed():
            process.start()
            self.idle.append(_Worker(process, inbox))

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
                self._add_worker()
                return self.jobs[dead], State("failed", f"its process died (exit code {code}); try --jobs 1")
            if kind == "ended":
                self.idle.append(self.busy.pop(key))
                return self.jobs[key], rest[0]
            self._pass_on(kind, key, rest)

    def _pass_on(self, kind: str, key: str, rest: list[Any]) -> None:
        tell: Callable[..., None] = getattr(self.events, kind)
        tell(*([self.jobs[key]] if key else []), *rest)


class _Sender:
    """Events of a job, sent to the process that shows them."""

    def __init__(self, outbox: Any) -> None:
        self.outbox = outbox

    def preparing(self, done: int, total: int) -> None:
        """The process that shows them has prepared everything."""

    def iteration(self, job: Job, done: int, total: int) -> None:
        self.outbox.put(("iteration", job.key, done, total))

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        self.outbox.put(("epoch", job.key, record))

    def notice(self, text: str) -> None:
        self.outbox.put(("notice", "", text))


def _serve(order: Order, fresh: bool, inbox: Any, outbox: Any) -> None:
    """Run jobs as they come. An interrupt is for the process that shows the study; it ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    run = _opened(order, fresh, _Sender(outbox))
    while True:
        key = inbox.get()
        outbox.put(("ended", key, run(key)))


def _opened(order: Order, fresh: bool, sender: Events) -> Callable[[str], State]:
    """Open the study here and return what runs a job of it by key; where it cannot be opened here, every job fails."""
    set_up_process(order.device, order.config.training.compile)
    known = Registry()
    try:
        study = order.build(known)
        jobs = {job.key: job for job in plan_jobs(study, order.device).jobs}
        needed = (name for job in jobs.values() for name in job.datasets)
        shop = open_workshop(study, order.device, needed, notice=sender.notice)
    except (Exception, SystemExit) as error:
        return partial(_not_opened, error, told(error, known))
    return lambda key: attempt(jobs[key], shop, sender, fresh=fresh)


def _not_opened(error: BaseException, line: str, key: str) -> State:
    return State("failed", line, traceback=kept_traceback(key, error))


def _leave_with_parent() -> None:
    """End this process when the one that shows the study is gone, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
