"""Several jobs at once, each in a process that lives as long as the study.

Each process has pipes of its own: whatever becomes of one, no other waits for it. One that dies or falls silent is
replaced, and its job is taken up once more from its last checkpoint.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from kpcore.records.folder import JobFolder
from kpcore.study.executors.deaths import cause, killed_for_memory
from kpcore.study.executors.here import prepared
from kpcore.study.executors.interface import Order, Pool, Run, State
from kpcore.study.executors.wire import Inlet
from kpcore.study.executors.worker import BEAT, serve
from kpcore.study.jobs import Job
from kpcore.training.process import undisturbed

SILENCE = 600.0
"""Seconds without a sign of life after which a process counts as frozen. It gives one every :data:`BEAT` seconds from
a thread, which C code that holds Python's lock can delay: so this is far more than any such code should take."""
FINISH = 300.0
"""Seconds that a process has for its step and its checkpoint when the study is stopped."""


@dataclass(frozen=True)
class Processes:
    """An executor of up to ``jobs`` at once."""

    jobs: int

    @contextmanager
    def open(self, run: Run) -> Iterator[Pool]:
        """Prepare the data, start the processes, and stop them at the end; at an interrupt when they have saved."""
        prepared(run)  # here, so that processes find it instead of waiting for one another
        pool = _Workers(run, min(self.jobs, len(run.missing)))
        try:
            pool.open()
            yield pool
        except KeyboardInterrupt:
            pool.finish()
            raise
        finally:
            pool.stop()


@dataclass(eq=False)
class _Worker:
    """A process, what it is told and what it tells.

    Args:
        silent: seconds that were waited since it last gave a sign of life.
        frozen: whether it was killed because of them.
    """

    number: int
    process: SpawnProcess
    orders: Connection
    inlet: Inlet
    job: Job | None = None
    silent: float = 0.0
    frozen: bool = False

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.process.pid})"

    def kill(self) -> None:
        """End it, whatever it is at."""
        self.process.kill()
        self.process.join()
        self.orders.close()
        self.inlet.close()


class _Workers:
    def __init__(self, run: Run, slots: int) -> None:
        self.order = Order.of(run.study, run.device)
        self.fresh = run.fresh
        self.jobs = {job.key: job for job in run.plan.jobs}
        self.slots = slots
        self.events = run.events
        self.context = multiprocessing.get_context("spawn")
        self.workers: list[_Worker] = []
        self.count = 0
        self.begun: set[str] = set()
        """Jobs that have told of an iteration."""
        self.again: set[str] = set()
        """Jobs whose process was lost once."""
        self.ended: list[tuple[Job, State]] = []
        self.memory = killed_for_memory()

    def open(self) -> None:
        """Start the processes."""
        for _ in range(self.slots):
            self._add_worker()

    def finish(self) -> None:
        """Have the processes that are at a job save it and end."""
        busy = [worker for worker in self.workers if worker.job is not None]
        for worker in busy:
            worker.process.terminate()
        deadline = time.monotonic() + FINISH
        while any(worker.process.exitcode is None for worker in busy) and time.monotonic() < deadline:
            self._listen()  # so that none waits for room in its pipe

    def stop(self) -> None:
        for worker in self.workers:
            worker.kill()

    def _add_worker(self) -> _Worker:
        """Start a process. It alone has the far ends of its pipes, so that they close when it is gone."""
        orders, read = (end for end in reversed(self.context.Pipe(duplex=False)))
        hear, write = self.context.Pipe(duplex=False)
        process = self.context.Process(target=serve, args=(self.order, read, write), daemon=True)
        self.count += 1
        resource_tracker.ensure_running()  # whose start lets interrupts through
        with undisturbed():
            process.start()
            worker = _Worker(self.count, process, orders, Inlet(hear))
            self.workers.append(worker)
        read.close()
        write.close()
        return worker

    def start(self, job: Job) -> None:
        """Hand the job to an idle process."""
        idle = (worker for worker in self.workers if worker.job is None and worker.process.exitcode is None)
        self._hand(next(idle, None) or self._add_worker(), job, again=False)

    def _hand(self, worker: _Worker, job: Job, *, again: bool) -> None:
        worker.job = job
        fresh = self.fresh and not (again and job.key in self.begun)  # what it has trained since is not thrown away
        with suppress(OSError):  # it has died already, and is found dead
            worker.orders.send((job.key, fresh, again))

    def wait(self) -> tuple[Job, State]:
        """Pass on events until a job has ended, well or not."""
        while not self.ended:
            for worker, messages in self._listen():
                for kind, key, *rest in messages:
                    self._take(worker, kind, key, rest)
            for worker in [one for one in self.workers if one.process.exitcode is not None]:
                self._lost(worker)
        return self.ended.pop(0)

    def _listen(self) -> list[tuple[_Worker, list[Any]]]:
        """Wait for a moment and return what each process tells; one that has been silent too long is killed."""
        ends: list[Any] = [worker.inlet.pipe for worker in self.workers if worker.inlet.open]
        ends += [worker.process.sentinel for worker in self.workers if worker.process.exitcode is None]
        began = time.monotonic()
        connection.wait(ends, timeout=BEAT)
        passed = min(time.monotonic() - began, 2 * BEAT)  # this process may itself have been stopped for hours
        heard = [(worker, worker.inlet.read()) for worker in self.workers]
        for worker, messages in heard:
            worker.silent = 0.0 if messages else worker.silent + passed
            if worker.silent > SILENCE and worker.process.exitcode is None:
                worker.frozen = True
                worker.process.kill()
                worker.process.join()
        return heard

    def _take(self, worker: _Worker, kind: str, key: str, rest: list[Any]) -> None:
        if kind == "ended":
            worker.job = None
            state: State = rest[0]
            self.ended.append((self.jobs[key], self._with_log(key, state) if state.status == "failed" else state))
        elif kind != "alive":
            if key:
                self.begun.add(key)
            tell: Callable[..., None] = getattr(self.events, kind)
            tell(*([self.jobs[key]] if key else []), *rest)

    def _lost(self, worker: _Worker) -> None:
        """Take a dead process away; its job is taken up once more."""
        for kind, key, *rest in worker.inlet.read():  # what it said last
            self._take(worker, kind, key, rest)
        why = self._why(worker)
        self.workers.remove(worker)
        worker.kill()
        job = worker.job
        if job is None:
            return
        if job.key in self.again:
            state = State("failed", f"its process {why}, and one before it had ended early too")
            self.ended.append((job, self._with_log(job.key, state)))
            return
        self.again.add(job.key)
        self.events.notice(f"{job.name}: {worker} {why}; another goes on from the last checkpoint")
        self._hand(self._add_worker(), job, again=True)

    def _why(self, worker: _Worker) -> str:
        if worker.frozen:
            return f"gave no sign of life for {SILENCE / 60:g} minutes and was killed"
        before, self.memory = self.memory, killed_for_memory()
        return cause(worker.process.exitcode, of_memory=self.memory > before)

    def _with_log(self, key: str, state: State) -> State:
        return State(state.status, state.reason, state.cached, state.traceback, JobFolder.of(key).log_tail())
