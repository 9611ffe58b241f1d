"""A process that runs a study's jobs, as whoever has started it sees it: told by one pipe, heard by another.

It has these pipes alone: whatever becomes of it, no other waits for it.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from kpcore.records.folder import JobFolder
from kpcore.study.executors.deaths import cause, killed_for_memory
from kpcore.study.executors.interface import Order, State
from kpcore.study.executors.wire import Inlet
from kpcore.study.executors.worker import BEAT, serve
from kpcore.study.jobs import Job
from kpcore.training.process import undisturbed

SILENCE = 600.0
"""Seconds without a sign of life after which a process counts as frozen. It gives one every :data:`BEAT` seconds from
a thread, which C code that holds Python's lock can delay: so this is far more than any such code should take."""
FINISH = 300.0
"""Seconds that a process has for its step and its checkpoint when the study is stopped."""


@dataclass(eq=False)
class Child:
    """A process, what it is told and what it tells.

    Args:
        number: among those of the study.
        order: the study that it opens.
        job: that it is at.
        silent: seconds that were waited since it last gave a sign of life.
        frozen: whether it was killed because of them.
    """

    number: int
    order: Order
    process: SpawnProcess
    orders: Connection
    inlet: Inlet
    job: Job | None = None
    silent: float = 0.0
    frozen: bool = False

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.process.pid})"

    @classmethod
    def start(cls, number: int, order: Order) -> Child:
        """Start a process. It alone has the far ends of its pipes, so that they close when it is gone."""
        context = multiprocessing.get_context("spawn")
        orders, read = (end for end in reversed(context.Pipe(duplex=False)))
        hear, write = context.Pipe(duplex=False)
        process = context.Process(target=serve, args=(order, read, write), daemon=True)
        resource_tracker.ensure_running()  # whose start lets interrupts through
        with undisturbed():
            process.start()
            child = cls(number, order, process, orders, Inlet(hear))
        read.close()
        write.close()
        return child

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.exitcode is None

    def tell(self, key: str, *, fresh: bool, again: bool) -> None:
        """Have it run a job."""
        with suppress(OSError):  # it has died already, and is found dead
            self.orders.send((key, fresh, again))

    def kill(self) -> None:
        """End it, whatever it is at."""
        self.process.kill()
        self.process.join()
        self.orders.close()
        self.inlet.close()


def listen(children: Sequence[Child], seconds: float | None = None) -> list[tuple[Child, list[Any]]]:
    """Wait for a moment and return what each process tells; one that has been silent too long is killed."""
    seconds = BEAT if seconds is None else seconds
    ends: list[Any] = [child.inlet.pipe for child in children if child.inlet.open]
    ends += [child.process.sentinel for child in children if child.alive]
    began = time.monotonic()
    connection.wait(ends, timeout=seconds)
    passed = min(time.monotonic() - began, 2 * seconds)  # this process may itself have been stopped for hours
    heard = [(child, child.inlet.read()) for child in children]
    for child, messages in heard:
        child.silent = 0.0 if messages else child.silent + passed
        if child.silent > SILENCE and child.alive:
            child.frozen = True
            child.process.kill()
            child.process.join()
    return heard


def finish(children: Sequence[Child]) -> list[tuple[Child, list[Any]]]:
    """Have processes that are at a job save it and end; return what they told meanwhile."""
    heard = []
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + FINISH
    while any(child.alive for child in children) and time.monotonic() < deadline:
        heard += listen(children)  # so that none waits for room in its pipe
    return heard + [(child, child.inlet.read()) for child in children]


class Deaths:
    """Says how processes ended; it knows how many the system had killed for want of memory before."""

    def __init__(self) -> None:
        self._memory = killed_for_memory()

    def why(self, child: Child) -> str:
        """Return how a process ended: "was killed by SIGKILL"."""
        if child.frozen:
            return f"gave no sign of life for {SILENCE / 60:g} minutes and was killed"
        before, self._memory = self._memory, killed_for_memory()
        return cause(child.process.exitcode, of_memory=self._memory > before)


def with_log(key: str, state: State) -> State:
    """Return how a job ended, where it failed with the last lines that its process printed."""
    if state.status != "failed":
        return state
    return State(state.status, state.reason, state.cached, state.traceback, JobFolder.of(key).log_tail())
