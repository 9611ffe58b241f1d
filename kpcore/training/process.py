"""What a training wants of its whole process: threads, the C library's allocator, quiet decoders, what torch compiles.

:func:`set_up_process` is the only place that sets any of it, and only entry points call it:
a command, a worker, a bench.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

from kpcore.interrupts import held
from kpcore.reading.quiet import spare_stderr
from kpcore.training.compiling import Compile
from kpcore.training.device import Device

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGEST = 32 << 20
"""The largest block, in bytes, that glibc lets one keep out of mmap."""
SHAPES = 64
"""Shapes of one block that are compiled each for itself; torch's own limit of 8 is less than an hourglass has."""


def set_up_process(device: Device, how: Compile = "off") -> None:
    """Have this process train on the device, with ``training.compile`` as it is."""
    if device.torch.type == "cpu":
        keep_freed_memory()  # before threads are started
    if device.torch.type == "cuda" and device.torch.index:
        torch.cuda.set_device(device.torch)  # whose generator checkpoints keep, and whose memory is taken
    spare_stderr()
    torch.set_num_threads(device.threads)
    cv2.setNumThreads(1)  # warps run in a background thread, crops in a thread a core: no pool below them
    if how != "off":
        import torch._dynamo.config as limits  # seconds to import, so only where it is asked for

        limits.recompile_limit = SHAPES


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


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold an interrupt back until the block is left; a process that is started in it is never sent one by a terminal.

    A process is started in several steps: broken off between them, its child dies with a traceback.
    And a terminal sends its interrupt to children too, while they still import and cannot say that they ignore it.
    """
    with held():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # children inherit it
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
