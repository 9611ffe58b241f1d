"""Locks on what several processes, perhaps on several machines, might make at once: who holds one is told.

They are the system's own (``flock``): one whose owner was killed is free. Where a file system has none, the library
makes lock files instead, and warns.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kpcore.errors import FaultError

OWNER = ".owner"
"""What is added to a lock's name for the file that says who holds it."""


LOCKLESS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system without locks says."""


ALONE = {
    "nfs": frozenset({"nolock", "local_lock=all", "local_lock=flock"}),
    "nfs4": frozenset({"local_lock=all", "local_lock=flock"}),
    "lustre": frozenset({"localflock"}),
    "cifs": frozenset({"nobrl"}),
}
"""Kind of a shared file system -> options of its mount with which other machines do not see a lock."""


class BusyError(Exception):
    """Somebody else is at it; the message says who."""


class LocklessError(FaultError):
    """The file system has no locks."""


@contextmanager
def locked(path: Path, *, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: of its file.
        waiting: told who is waited for, once; None to wait for nobody.

    Raises:
        BusyError: somebody else holds it, and nobody is to be waited for.
        LocklessError: the file system has none.
        OSError: its file cannot be made.
    """
    lock = FileLock(path)
    try:
        _take(lock, path, waiting)
    except (RuntimeError, OSError) as error:  # what older versions of the library raise has no number
        if isinstance(error, OSError) and error.errno not in LOCKLESS:
            raise
        where = "put the cache on another file system (KP_CACHE_DIR)"
        raise LocklessError(f"{path.parent}: files cannot be locked there ({error}); {where}") from error
    try:
        _sign(path)
        yield
    finally:
        with suppress(OSError):
            _owner_file(path).unlink(missing_ok=True)
        lock.release()


def _take(lock: FileLock, path: Path, waiting: Callable[[str], None] | None) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting is None:
            raise BusyError(owner(path)) from None
        waiting(owner(path))
        lock.acquire()


def owner(path: Path) -> str:
    """Return who holds a lock: "process 123", and where it is another machine's, which."""
    try:
        told = json.loads(_owner_file(path).read_bytes())
        host, process = str(told["host"]), int(told["process"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):  # it has not signed yet
        return "another process"
    return f"process {process}" + (f" on {host}" if host != socket.gethostname() else "")


def local_only(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return why locks in a folder are not seen by other machines that share it; "" where they are, or nobody can tell.

    Args:
        folder: that may not be there yet.
        mounts: what Linux says of its file systems (``man 5 proc``, mountinfo).
    """
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    place, found = folder.absolute().resolve(), ("", "", frozenset[str]())
    for line in lines:
        left, _, right = line.partition(" - ")
        point, kind = left.split()[4].encode().decode("unicode_escape"), right.split()[0]
        options = frozenset(f"{left.split()[5]},{right.split()[-1]}".split(","))
        if place.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind, options)
    point, kind, options = found
    alone = sorted(options & ALONE.get(kind, frozenset()))
    missing = kind == "lustre" and "flock" not in options
    why = f"mounted with {alone[0]}" if alone else "mounted without flock" if missing else ""
    return (
        f"{point}: {kind} {why}: locks there hold on this machine alone; let one machine at a time use it"
        if why
        else ""
    )


def _owner_file(path: Path) -> Path:
    return path.with_name(path.name + OWNER)


def _sign(path: Path) -> None:
    """Say who holds it; whoever cannot write that holds it all the same."""
    text = json.dumps({"host": socket.gethostname(), "process": os.getpid()})
    with suppress(OSError):
        _owner_file(path).write_text(text)
