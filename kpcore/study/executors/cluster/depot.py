"""This machine's cache on behalf of machines that do not see it: locks held, files given out and taken back."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from kpcore.errors import KpError, system_error
from kpcore.locks import BusyError, locked
from kpcore.records.folder import LOCK, MANIFEST, JobFolder
from kpcore.study.executors.cluster.nodes import Node
from kpcore.study.executors.cluster.parcels import Parcel, newest_checkpoint, pack, pack_checkpoint, unpack
from kpcore.study.executors.interface import State
from kpcore.study.jobs import Job, chain

VISIBLE = 90.0
"""Seconds that a file may take to be seen by another machine of a network file system."""


class Depot:
    """Files of jobs, here and on their way.

    Args:
        notice: is told what cannot be kept.
    """

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._locks: dict[str, ExitStack] = {}

    def hold(self, job: Job, node: Node) -> bool:
        """Hold a job's lock while it is trained in another cache; where it is trained in this, that is done there.

        Returns:
            Whether the job can be started; not where another process has it.
        """
        if node.shared:
            self.let_go(job.key)
        elif job.key not in self._locks:
            folder = JobFolder.of(job.key)
            folder.path.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                try:
                    stack.enter_context(locked(folder.path / LOCK))
                except BusyError:
                    return False
                self._locks[job.key] = stack.pop_all()
        return True

    def let_go(self, key: str) -> None:
        """Hold a job's lock no longer."""
        if lock := self._locks.pop(key, None):
            lock.close()

    def close(self) -> None:
        """Hold no lock any longer."""
        for key in list(self._locks):
            self.let_go(key)

    def give(self, job: Job, node: Node) -> dict[str, Parcel]:
        """Return the files that a machine lacks for a job: those of the jobs before it, and its own checkpoint."""
        if node.shared:
            return {}
        files = {key: pack(JobFolder.of(key)) for key in before(job) - node.has}
        if name := newest_checkpoint(JobFolder.of(job.key)):
            files[job.key] = pack_checkpoint(JobFolder.of(job.key), name)
        return files

    def keep(self, job: Job, parcel: Parcel) -> None:
        """Put files of a job that is not done in its folder; that this cannot be is told, and is no end of it."""
        try:
            unpack(parcel, JobFolder.of(job.key))
        except (KpError, OSError) as error:
            self._notice(f"{job.name}: its checkpoint is not kept here: {line_of(error)}")

    def take(self, job: Job, state: State, parcel: Parcel, node: Node) -> State:
        """Put the files of a job that ended in this cache; return how it stands here."""
        folder = JobFolder.of(job.key)
        if state.status != "done":
            self.keep(job, parcel)
            return state
        if node.shared:
            return state if _seen(folder) else State("failed", f"its files on {node} are not seen here")
        node.has.add(job.key)
        try:
            if folder.done or folder.problem():
                folder.set_aside()
            unpack(parcel, folder)
        except (KpError, OSError) as error:
            return State("failed", f"{line_of(error)}; the training is kept on {node}")
        return state if folder.done else State("failed", f"its files did not arrive whole from {node}")


def before(job: Job) -> set[str]:
    """Return the keys of the jobs whose files a job reads."""
    return {one.key for other in job.waits_for for one in chain(other)}


def line_of(error: KpError | OSError) -> str:
    """Return one line on what went wrong with files."""
    return system_error(error, "the cache") if isinstance(error, OSError) else str(error)


def _seen(folder: JobFolder) -> bool:
    """Wait until the files of a job that another machine has done are seen here."""
    deadline = time.monotonic() + VISIBLE
    while not (folder.path / MANIFEST).exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    return folder.done
