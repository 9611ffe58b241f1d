"""Where jobs run: in this process one after another, several at once in processes of their own, or on other machines.

Small networks gain little from a second thread, so on a CPU several jobs of one thread each finish a study sooner.
"""

from __future__ import annotations

from collections.abc import Sequence

from kpcore.study.executors.here import InProcess, attempt
from kpcore.study.executors.interface import Events, Executor, Order, Pool, Run, State
from kpcore.study.executors.processes import Processes
from kpcore.training.device import Device

__all__ = ["Events", "Executor", "InProcess", "Order", "Pool", "Processes", "Run", "State", "attempt", "local"]


def local(jobs: int, devices: Sequence[Device] = ()) -> Executor:
    """Return the executor that runs so many jobs at once on this machine, on the run's own device or on several."""
    return InProcess() if jobs == 1 else Processes(jobs, devices)
