"""Where jobs run: in this process one after another, or several at once in processes of their own.

Small networks gain little from a second thread, so on a CPU several jobs of one thread each finish a study sooner.
"""

from __future__ import annotations

from kpcore.study.executors.here import InProcess, attempt
from kpcore.study.executors.interface import Events, Executor, Order, Pool, Run, State
from kpcore.study.executors.processes import Processes

__all__ = ["Events", "Executor", "InProcess", "Order", "Pool", "Processes", "Run", "State", "attempt", "local"]


def local(jobs: int) -> Executor:
    """Return the executor that runs so many jobs at once on this machine."""
    return InProcess() if jobs == 1 else Processes(jobs)
