"""Why a process has ended, as far as the system tells."""

from __future__ import annotations

import signal
from pathlib import Path

from kpcore.interrupts import SIGNALS, exit_code

COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))
"""Where Linux counts the processes that it killed for want of memory: of the machine, and of a container."""
MEMORY = " for want of memory, it seems: run fewer jobs at once (--jobs), or lower training.batch_size"
TOLD = {exit_code(number): number for number in SIGNALS}


def killed_for_memory() -> int:
    """Return how many processes the system has killed for want of memory; 0 where it does not tell."""
    return sum(_count(path) for path in COUNTERS)


def _count(path: Path) -> int:
    try:
        words = path.read_text().split()
    except OSError:
        return 0
    return sum(int(count) for name, count in zip(words[::2], words[1::2], strict=False) if name == "oom_kill")


def cause(code: int | None, *, of_memory: bool) -> str:
    """Return how a process ended: "was killed by SIGKILL".

    Args:
        code: of its exit; negative: a signal's number.
        of_memory: whether the system has killed processes for want of memory meanwhile.
    """
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"was killed by {name}" + (MEMORY if of_memory and -code == signal.SIGKILL else "")
    if code in TOLD:
        return f"was told to stop by {signal.Signals(TOLD[code]).name}"
    return f"ended by itself with exit code {code}"
