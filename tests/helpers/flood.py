"""Kills workers that do nothing but tell, in the middle of it, again and again: the pool of processes must go on.

As a script: ``python tests/helpers/flood.py --kills 200``. The pool is that of ``kp run --jobs 2``; its workers are
light ones, which train nothing and send without a pause.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import itertools
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

EVENTS = 3000
"""Messages of a job, of which every tenth is longer than what a pipe takes in one piece."""


@dataclass(frozen=True)
class Nothing:
    """The study that they open."""

    device: object


def serve(order, inbox, outbox):
    """What a light worker does. The wire is loaded without its package, which brings torch."""
    del order
    spec = importlib.util.spec_from_file_location("wire", Path(os.environ["KP_WIRE"]))
    wire = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(wire)
    outlet = wire.Outlet(outbox)
    with suppress(EOFError):
        while True:
            key, _, _ = inbox.recv()
            for number in range(EVENTS):
                outlet.send(("iteration", key, number, EVENTS))
                if number % 10 == 0:
                    outlet.send(("notice", "", "x" * 9000))
            outlet.send(("ended", key, SimpleNamespace(status="done")))


class Told:
    """Looks whether what is told comes whole and in order."""

    def __init__(self):
        self.last = {}
        self.again = 0
        self.wrong = []

    def iteration(self, job, done, total):
        """One more than before, or the first of another try."""
        if done not in (0, self.last.get(job.key, -1) + 1) or total != EVENTS:
            self.wrong.append((job.key, self.last.get(job.key), done))
        self.last[job.key] = done

    def notice(self, text):
        """A long line, or one of the pool's."""
        if "another takes it up" in text:
            self.again += 1
        elif text != "x" * 9000:
            self.wrong.append(text[:80])


def main():
    """Kill so often; return 1 where something came wrong, or a job did not end (a freeze ends in exit code 1 too)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between kills, at most")
    parser.add_argument("--freeze", type=float, default=120.0, help="seconds without an end of a job that are a freeze")
    asked = parser.parse_args()
    from kpcore.study.executors import child, processes, wire

    os.environ["KP_WIRE"] = wire.__file__
    child.serve, processes.Order = serve, SimpleNamespace(of=lambda study, device: Nothing(device))
    jobs = {str(number): SimpleNamespace(key=f"{number:064d}", name=f"job{number}") for number in range(100_000)}
    told = Told()
    plan = SimpleNamespace(jobs=list(jobs.values()))
    device = SimpleNamespace(torch="none")
    run = SimpleNamespace(study=None, device=device, fresh=False, plan=plan, events=told)
    pool = processes.Workers(run, asked.jobs)
    killed, stop = [], threading.Event()

    def killer():
        while len(killed) < asked.kills and not stop.wait(random.uniform(0, asked.pause)):
            busy = [worker for worker in list(pool.workers) if worker.job is not None and worker.job.key in told.last]
            if busy:
                with suppress(ProcessLookupError, TypeError):
                    os.kill(random.choice(busy).process.pid, signal.SIGKILL)
                    killed.append(time.monotonic())

    pool.open()
    thread = threading.Thread(target=killer)
    thread.start()
    following, ended = itertools.cycle(plan.jobs), {"done": 0, "failed": 0}
    for _ in range(asked.jobs):
        pool.start(next(following))
    while len(killed) < asked.kills:
        faulthandler.dump_traceback_later(asked.freeze, exit=True)
        _, state = pool.wait()
        ended[state.status] += 1
        pool.start(next(following))
    stop.set()
    thread.join()
    pool.stop()
    faulthandler.cancel_dump_traceback_later()
    print(f"{len(killed)} kills, {told.again} jobs taken up again, {ended}, wrong: {told.wrong[:3] or 'none'}")
    return int(bool(told.wrong))


if __name__ == "__main__":
    random.seed(0)
    sys.exit(main())
