"""How a command is stopped by a signal: soon, and not before what must be whole is whole.

SIGINT (Ctrl+C), SIGTERM (a scheduler, ``kill``) and SIGHUP (a terminal that is closed) raise :class:`Stopped` in the
main thread: at once, or where :func:`held` is left. A second signal ends the process where it is.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
SAME = 1.0
"""Seconds within which a second signal is the first one again: schedulers, shells and terminals often send it twice."""
SHOW_CURSOR = b"\x1b[?25h"


class Stopped(KeyboardInterrupt):
    """Somebody asked for the end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class _State(threading.local):
    """What the main thread was asked; other threads never are, and see these first values."""

    asked = 0
    """The first signal's number."""
    since = 0.0
    raised = False
    last = 0
    held = 0
    insisted: Callable[[int], None] | None = None


_STATE = _State()


def leave(number: int) -> None:
    """End this process where it is, with the exit code of a signal; a terminal gets its cursor back."""
    with suppress(OSError):
        if os.isatty(1):
            os.write(1, SHOW_CURSOR)
        os.write(2, b"kp: interrupted twice; stopped at once\n")
    os._exit(exit_code(number))


def give_up(number: int) -> None:
    """Raise KeyboardInterrupt wherever the main thread is, for programs that are not ours to end."""
    raise KeyboardInterrupt(number)


def exit_code(number: int) -> int:
    """Return the exit code of a command that this signal stopped, as shells count it."""
    return 128 + number


@contextmanager
def stoppable(
    numbers: Sequence[int] = SIGNALS, insisted: Callable[[int], None] | None = leave
) -> Iterator[None]:  # fmt: skip
    """Have these signals raise :class:`Stopped` within the block, which only the main thread can ask for.

    A signal that is ignored stays so: ``nohup`` and shells that put a command into the background mean it.

    Args:
        numbers: of the signals.
        insisted: what a further signal does, a second after the first one or later; None: nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    _STATE.asked, _STATE.raised, _STATE.held, _STATE.insisted = 0, False, 0, insisted
    for number in before:
        signal.signal(number, _ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _STATE.last = _STATE.asked if _STATE.raised else 0
        _STATE.asked = 0


def _ask(number: int, frame: FrameType | None) -> None:
    del frame
    if _STATE.asked:
        if _STATE.insisted is not None and time.monotonic() - _STATE.since > SAME:
            _STATE.insisted(number)
        return
    _STATE.asked, _STATE.since = number, time.monotonic()
    if not _STATE.held:
        check()


def ask(number: int) -> None:
    """Take a signal for sent, which another process of the same training was sent; :func:`check` raises it."""
    if not _STATE.asked:
        _STATE.asked, _STATE.since = number, time.monotonic()


def asked() -> int:
    """Return the number of the signal that has asked for the end; 0 where none has."""
    return _STATE.asked


def broke_off() -> int:
    """Return the number of the signal that broke off what the last :func:`stoppable` block did; 0 where none did.

    Code that is broken off (imports above all) makes errors of its own of it, which then are none.
    """
    return _STATE.last


def check() -> None:
    """Raise :class:`Stopped` where a signal has asked for the end."""
    if _STATE.asked:
        _STATE.raised = True
        raise Stopped(_STATE.asked)


@contextmanager
def held() -> Iterator[None]:
    """Hold a signal back until the block is left, or calls :func:`check`."""
    before = _STATE.held
    _STATE.held = before + 1
    try:
        yield
    finally:
        _STATE.held = before
    if not before and not _STATE.raised:  # what cleans up after it is not stopped by it again
        check()


@contextmanager
def released() -> Iterator[None]:
    """Have a signal raise at once within this block of a :func:`held` one."""
    before, _STATE.held = _STATE.held, 0
    try:
        check()
        yield
    finally:
        _STATE.held = before
