"""What C libraries print on stderr by themselves (libpng, libjpeg, OpenCV), kept silent while images are decoded.

What is wrong with an image is ours to say, with its path. These libraries print without a path, past every log level.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


class _Hush:
    """Points the process's stderr at nothing while anybody decodes, and back when the last one is done."""

    def __init__(self) -> None:
        self.spared = False
        self._lock = threading.Lock()
        self._users = 0
        self._kept = -1

    def begin(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._kept = os.dup(STDERR)
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, STDERR)
                os.close(nothing)

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                os.dup2(self._kept, STDERR)
                os.close(self._kept)


_HUSH = _Hush()


def spare_stderr() -> None:
    """Give Python's stderr a descriptor of its own, so that nothing of ours is lost while :func:`hushed` silences C.

    For entry points; nothing changes where stderr was replaced already (in tests, in notebooks).
    """
    replaced = sys.stderr is not sys.__stderr__
    kept = sys.stderr
    if _HUSH.spared or replaced or kept is None:
        return
    sys.stderr = os.fdopen(os.dup(STDERR), "w", buffering=1, encoding=kept.encoding, errors=kept.errors)
    _HUSH.spared = True


@contextmanager
def hushed() -> Iterator[None]:
    """Silence what C code prints on stderr; does nothing before :func:`spare_stderr`. Threads may overlap."""
    if not _HUSH.spared:
        yield
        return
    _HUSH.begin()
    try:
        yield
    finally:
        _HUSH.end()
