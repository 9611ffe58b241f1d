"""The C library's allocator, told that a training asks for the same memory again and again."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGEST = 32 << 20
"""The largest block, in bytes, that glibc lets one keep out of mmap."""


def keep_freed_memory() -> bool:
    """Have glibc keep freed memory instead of giving it back to the system; return whether that could be had.

    By default it returns blocks of tens of megabytes after every operation, and the system clears them page by page
    when they are asked for again: 5 to 25 per cent of a training step on a CPU (docs/benchmarks.md). Arenas that exist
    keep their habits, so this comes before threads are started. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: LARGEST, M_TRIM_THRESHOLD: (1 << 31) - 1}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
