"""How many cores and how much memory there are to share."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")
AHEAD = 4
"""Results a core that are made before they are asked for."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Return the bytes of memory of this machine; a large number where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 50


def mapped(work: Callable[[Given], Made], given: Iterable[Given], ahead: int = 0) -> Iterator[Made]:
    """Yield what the work makes of what is given, in order, by a thread a core.

    What is given may be without end, and no more than ``ahead`` of it (4 a core where 0) is taken before its turn; who
    leaves early waits for what is being made alone.
    """
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(cores()) as pool:
        try:
            for one in given:
                waiting.append(pool.submit(work, one))
                if len(waiting) > (ahead or AHEAD * cores()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
