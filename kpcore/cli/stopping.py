"""What a command that writes files says where a signal stops it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from kpcore.errors import InterruptError
from kpcore.interrupts import asked, stoppable


@contextmanager
def stopping(stays: str) -> Iterator[None]:
    """Have SIGINT, SIGTERM and SIGHUP end the block in order, and say what stays.

    Args:
        stays: what of the work there is afterwards, and how to go on.

    Raises:
        InterruptError: a signal has stopped it.
    """
    with stoppable():
        try:
            yield
        except KeyboardInterrupt:
            raise InterruptError(stays, asked() or signal.SIGINT) from None
