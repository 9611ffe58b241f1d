"""A trial: one folder read in a child process with bounds on memory and time, watched for what it opens."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import selectors
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY = 2 * 2**30
"""Bytes of memory that a trial may take beyond what the interpreter has."""
ADDRESSES = 3 * MEMORY
"""Bytes that it may ask for: what is asked for and never touched takes no memory, but more than this is refused."""
SECONDS = 10
"""Of processor time."""
PATIENCE = 900
"""Seconds on the wall: other processes take their share of the machine."""
ALLOWED = ("/dev/null", "/dev/urandom", "/proc/", "/sys/", "/etc/localtime", "/etc/mime.types", "/etc/ld.so",
           "/usr/share/", "/usr/lib", "/lib", "/usr/local/lib", "/tmp/.kp-fuzz-none")  # fmt: skip
"""Where the interpreter and its libraries read."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Args:
        kind: ``read``, ``refused``, or what must not be: ``traceback``, ``lines``, ``signal``, ``time``, ``memory``,
            ``outside``.
        said: the error's line, the traceback, the signal or the path.
        seconds: of processor time.
        peak: bytes of memory at most, the interpreter's included.
    """

    kind: str
    said: str = ""
    seconds: float = 0.0
    peak: int = 0

    @property
    def good(self) -> bool:
        """Whether it may be."""
        return self.kind in ("read", "refused")


def trial(root: Path, read: Callable[[Path], object]) -> Outcome:
    """Read a folder in a child of this process."""
    ours, theirs = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            os.close(ours)
            os.setpgid(0, 0)
            said = _inside(root, read)
            os.write(theirs, json.dumps(said).encode()[:60_000])
        finally:
            os._exit(0)
    os.close(theirs)
    said, late = _answer(ours, child)
    _, status, used = os.wait4(child, 0)
    seconds, peak = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
    if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
        return Outcome("time", f"over {SECONDS} s of processor time, or {PATIENCE} s ({late})", seconds, peak)
    if os.WIFSIGNALED(status):
        return Outcome("signal", signal.Signals(os.WTERMSIG(status)).name, seconds, peak)
    kind, text = json.loads(said) if said else ("signal", f"exit {status}")
    if peak > _own_memory() + MEMORY:
        return Outcome("memory", f"{peak:,} bytes; {text}", seconds, peak)
    return Outcome(kind, text, seconds, peak)


def _own_memory() -> int:
    """Return the bytes of memory that this process has, which a child begins with."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _answer(pipe: int, child: int) -> tuple[bytes, bool]:
    """Return what a child wrote, and whether it was killed for its time."""
    found, end, late = b"", time.monotonic() + PATIENCE, False
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, end - time.monotonic())):
                os.killpg(child, signal.SIGKILL)
                late = True
                break
            piece = os.read(pipe, 65536)
            if not piece:
                break
            found += piece
    os.close(pipe)
    return found, late


def _inside(root: Path, read: Callable[[Path], object]) -> tuple[str, str]:
    """Read, within bounds; called in the child."""
    import cv2
    import torch

    from kpcore.errors import KpError

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    faulthandler.disable()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.chdir(root)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + ADDRESSES, pages + ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    opened = _watch(root)
    try:
        read(root)
        kind, said = "read", ""
    except KpError as error:
        kind, said = "refused", str(error)
        if "\n" in said or len(said) > 3100 or any(ord(one) < 32 for one in said):
            kind = "lines"
    except MemoryError:
        kind, said = "memory", traceback.format_exc(limit=-6)
    except BaseException:
        kind, said = "traceback", traceback.format_exc(limit=-8)
    return ("outside", opened[0]) if opened and kind in ("read", "refused") else (kind, said[-6000:])


def _watch(root: Path) -> list[str]:
    """Note files that are opened outside the folder, the interpreter's own aside; of C code only what Python opens."""
    inside = (str(root), os.environ["KP_CACHE_DIR"], sys.prefix, sys.base_prefix, *map(str, _code()), *ALLOWED)
    found: list[str] = []

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - links stay
            if not path.startswith(inside) and path not in found:
                found.append(path)

    sys.addaudithook(heard)
    return found


def _code() -> list[str]:
    return [path for path in sys.path if path]


class Arena:
    """A folder for trials, with one beside it that nobody may touch.

    Args:
        place: an empty folder.
    """

    def __init__(self, place: Path) -> None:
        self.outside = place / "outside"
        self.outside.mkdir()
        (self.outside / "secret.png").write_bytes(b"nobody reads this")
        self.root = place / "deep" / "root"
        self._before = self._state(place)
        self._place = place

    def fresh(self) -> Path:
        """Return an empty folder."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        return self.root

    def touched(self) -> list[str]:
        """Return what changed beside the folder."""
        now = self._state(self._place)
        return sorted(name for name in self._before | now if self._before.get(name) != now.get(name))

    def _state(self, place: Path) -> dict[str, tuple[int, int]]:
        paths = [path for path in place.rglob("*") if not path.is_relative_to(place / "deep")]
        return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths if path.is_file()}
