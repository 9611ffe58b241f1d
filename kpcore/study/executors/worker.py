"""What a process of a study's jobs does: it runs one job after another, and tells how they go."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import TextIOWrapper
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from kpcore.interrupts import Stopped, exit_code, stoppable
from kpcore.records.folder import JobFolder
from kpcore.registry import Registry
from kpcore.study.dag import plan_jobs
from kpcore.study.executors.here import attempt, kept_traceback
from kpcore.study.executors.interface import Events, Order, State
from kpcore.study.executors.wire import Outlet
from kpcore.study.guard import told
from kpcore.study.jobs import Job
from kpcore.study.workshop import open_workshop
from kpcore.training.process import set_up_process

BEAT = 5.0
"""Seconds between two signs of life."""
SHOWN = 0.1
"""Seconds between two iterations that are told: more than a display shows."""


class Sender:
    """Events of a job, sent to the process that shows them."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self._told = ("", 0.0)  # whose iteration was told last, and when

    def preparing(self, done: int, total: int) -> None:
        """The process that shows them has prepared everything."""

    def iteration(self, job: Job, done: int, total: int) -> None:
        """Tell of a job's first iteration and of some of the others."""
        key, last = self._told
        now = time.monotonic()
        if key != job.key or now - last >= SHOWN:
            self._told = (job.key, now)
            self.outlet.send(("iteration", job.key, done, total))

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        """Tell of every epoch."""
        self.outlet.send(("epoch", job.key, record))

    def notice(self, text: str) -> None:
        """Tell a line."""
        self.outlet.send(("notice", "", text))


def serve(order: Order, inbox: Connection, outbox: Connection) -> None:
    """Run the jobs that come, each as (key, fresh, again), until there are no more, or a signal asks for the end.

    The process that shows the study is the one that a terminal interrupts; it tells this one by SIGTERM, and as often
    as it likes. A terminal that is closed, or a scheduler, may tell both.
    """
    outlet = Outlet(outbox)
    threading.Thread(target=_beat, args=(outlet,), daemon=True).start()
    code = 0
    with suppress(EOFError, BrokenPipeError), stoppable(insisted=None):
        try:
            _serve(order, inbox, outlet)
        except Stopped as stop:
            code = exit_code(stop.number)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)  # nothing is left to do, and threads may still be at work


def _serve(order: Order, inbox: Connection, outlet: Outlet) -> None:
    run = _opened(order, Sender(outlet))
    while True:
        key, fresh, again = inbox.recv()
        with logged(JobFolder.of(key), again=again):
            state = run(key, fresh)
        outlet.send(("ended", key, state))


def _opened(order: Order, sender: Events) -> Callable[[str, bool], State]:
    """Open the study here and return what runs a job of it by key; where it cannot be opened here, every job fails."""
    set_up_process(order.device, order.config.training.compile)
    faulthandler.enable()  # what a crash in C leaves is in the job's log
    known = Registry()
    try:
        study = order.build(known)
        jobs = {job.key: job for job in plan_jobs(study, order.device).jobs}
        needed = (name for job in jobs.values() for name in job.datasets)
        shop = open_workshop(study, order.device, needed, notice=sender.notice)
    except (Exception, SystemExit) as error:
        return partial(_not_opened, error, told(error, known))
    return lambda key, fresh: attempt(jobs[key], shop, sender, fresh=fresh)


def _not_opened(error: BaseException, line: str, key: str, fresh: bool) -> State:
    del fresh
    return State("failed", line, traceback=kept_traceback(key, error))


@contextmanager
def logged(folder: JobFolder, *, again: bool) -> Iterator[None]:
    """Have all that this process prints go into a job's log; a log of nothing does not stay.

    Args:
        folder: the job's.
        again: whether the log of an earlier try is gone on with.
    """
    try:
        path = folder.open_log(again=again)
    except OSError:  # what it says of it is not what the job is for
        yield
        return
    _print_into(path)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        folder.close_log()


def _print_into(path: Path) -> None:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a process that is killed has printed all the same
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    for number in {1, 2, sys.stdout.fileno(), sys.stderr.fileno()}:
        os.dup2(file, number)
    os.close(file)


def _beat(outlet: Outlet) -> None:
    """Give signs of life, and end this process when the one that shows the study is gone, however it ended."""
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        try:
            outlet.send(("alive", ""))
        except OSError:
            break
        parent.join(BEAT)
    os._exit(1)
