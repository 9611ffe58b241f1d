"""Several jobs at once, each in a process that lives as long as the study.

One that dies or falls silent is replaced, and its job is taken up once more from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from kpcore.study.executors.child import Child, Deaths, finish, listen, with_log
from kpcore.study.executors.here import prepared
from kpcore.study.executors.interface import Order, Pool, Run, State, lost_twice, staffed
from kpcore.study.jobs import Job
from kpcore.training.device import Device


@dataclass(frozen=True)
class Processes:
    """An executor of up to ``jobs`` at once.

    Args:
        jobs: how many.
        devices: that their processes share; the run's own where there are none.
    """

    jobs: int
    devices: Sequence[Device] = ()

    @contextmanager
    def open(self, run: Run) -> Iterator[Pool]:
        """Prepare the data, start the processes, and stop them at the end; at an interrupt when they have saved."""
        prepared(run)  # here, so that processes find it instead of waiting for one another
        with staffed(Workers(run, min(self.jobs, len(run.missing)), self.devices)) as pool:
            yield pool


def least_used(devices: Sequence[Device], used: Sequence[Device]) -> Device:
    """Return the device that the fewest processes have, the first of several.

    So processes are dealt out in turn, and one that is replaced leaves its device to the one in its place.

    Args:
        devices: one or more.
        used: that of each process.
    """
    return min(devices, key=lambda device: sum(one.torch == device.torch for one in used))


class Workers:
    """Takes jobs, and hands each to a process.

    Args:
        run: what is run.
        slots: how many processes.
        devices: that they share; the run's own where there are none.
    """

    def __init__(self, run: Run, slots: int, devices: Sequence[Device] = ()) -> None:
        self.order = Order.of(run.study, run.device)
        self.devices = tuple(devices) or (run.device,)
        self.fresh = run.fresh
        self.jobs = {job.key: job for job in run.plan.jobs}
        self.slots = slots
        self.events = run.events
        self.workers: list[Child] = []
        self.count = 0
        self.begun: set[str] = set()
        """Jobs that have told of an iteration."""
        self.again: set[str] = set()
        """Jobs whose process was lost once."""
        self.ended: list[tuple[Job, State]] = []
        self.deaths = Deaths()

    def open(self) -> None:
        """Start the processes."""
        for _ in range(self.slots):
            self._add_worker()

    def finish(self) -> None:
        """Have the processes that are at a job save it and end."""
        finish([worker for worker in self.workers if worker.job is not None])

    def stop(self) -> None:
        """End the processes, whatever they are at."""
        for worker in self.workers:
            worker.kill()

    def _add_worker(self) -> Child:
        self.count += 1
        device = least_used(self.devices, [worker.order.device for worker in self.workers])
        worker = Child.start(self.count, replace(self.order, device=device))
        self.workers.append(worker)
        return worker

    def start(self, job: Job) -> None:
        """Hand the job to an idle process."""
        for worker in [one for one in self.workers if one.job is None and not one.alive]:
            self._lost(worker)
        idle = (worker for worker in self.workers if worker.job is None)
        self._hand(next(idle, None) or self._add_worker(), job, again=False)

    def _hand(self, worker: Child, job: Job, *, again: bool) -> None:
        worker.job = job
        fresh = self.fresh and not (again and job.key in self.begun)  # what it has trained since is not thrown away
        worker.tell(job.key, fresh=fresh, again=again)

    def wait(self) -> tuple[Job, State]:
        """Pass on events until a job has ended, well or not."""
        while not self.ended:
            for worker, messages in listen(self.workers):
                for kind, key, *rest in messages:
                    self._take(worker, kind, key, rest)
            for worker in [one for one in self.workers if not one.alive]:
                self._lost(worker)
        return self.ended.pop(0)

    def _take(self, worker: Child, kind: str, key: str, rest: list[Any]) -> None:
        if kind == "ended":
            worker.job = None
            self.ended.append((self.jobs[key], with_log(key, rest[0])))
        elif kind != "alive":
            if key:
                self.begun.add(key)
            tell: Callable[..., None] = getattr(self.events, kind)
            tell(*([self.jobs[key]] if key else []), *rest)

    def _lost(self, worker: Child) -> None:
        """Take a dead process away; its job is taken up once more."""
        for kind, key, *rest in worker.inlet.read():  # what it said last
            self._take(worker, kind, key, rest)
        why = self.deaths.why(worker)
        self.workers.remove(worker)
        worker.kill()
        job = worker.job
        if job is None:
            return
        if job.key in self.again:
            state = lost_twice(why)
            self.ended.append((job, with_log(job.key, state)))
            return
        self.again.add(job.key)
        self.events.notice(f"{job.name}: {worker} {why}; another takes it up from its last checkpoint, if any")
        self._hand(self._add_worker(), job, again=True)
