"""Messages of one process to another over a pipe of their own: whole or not at all, whatever becomes of the writer."""

from __future__ import annotations

import os
import pickle
import struct
import threading
from multiprocessing.connection import Connection
from typing import Any

from kpcore.interrupts import held

HEAD = struct.Struct("!I")
"""Of a message: how many bytes follow."""
MOST = 1 << 16
"""Bytes that are read at once: what a pipe holds."""


class Outlet:
    """Where a process writes its messages; its threads may all do so.

    Args:
        pipe: end of a pipe to write to.
    """

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self._lock = threading.Lock()

    def send(self, message: Any) -> None:
        """Write a message, as soon as there is room; a signal does not break it off.

        Raises:
            OSError: nobody reads it any more.
        """
        body = pickle.dumps(message)
        left = memoryview(HEAD.pack(len(body)) + body)
        with held(), self._lock:
            while left:
                left = left[os.write(self.pipe.fileno(), left) :]


class Inlet:
    """Where another process's messages are read; this never waits, not for the rest of a message either.

    A writer that is killed or stopped half-way leaves a part of a message, which is nobody's.

    Args:
        pipe: end of a pipe to read from.
    """

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.open = True
        self._rest = b""
        os.set_blocking(pipe.fileno(), False)

    def read(self) -> list[Any]:
        """Return the messages that are there; ``open`` is False when there will be no more."""
        while self.open and (found := self._bytes()):
            self._rest += found
        return list(self._whole())

    def _bytes(self) -> bytes:
        try:
            found = os.read(self.pipe.fileno(), MOST)
        except BlockingIOError:
            return b""
        except OSError:
            found = b""
        self.open = bool(found)
        return found

    def _whole(self) -> list[Any]:
        messages = []
        while len(self._rest) >= HEAD.size:
            (size,) = HEAD.unpack_from(self._rest)
            if len(self._rest) < HEAD.size + size:
                break
            messages.append(pickle.loads(self._rest[HEAD.size : HEAD.size + size]))
            self._rest = self._rest[HEAD.size + size :]
        return messages

    def close(self) -> None:
        """Read no more."""
        self.open = False
        self.pipe.close()
