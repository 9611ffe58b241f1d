"""Where a training stands, kept in its job's folder: only tensors and plain values, read back without running code."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any, cast

import torch
from torch import Tensor

from kpcore.environment import minutes
from kpcore.errors import KpError
from kpcore.records.folder import JobFolder

Notice = Callable[[str], None]
EVERY = "KP_CHECKPOINT_MINUTES"
"""Environment variable: how many minutes of training lie between checkpoints inside an epoch; 0 writes none there.

It is no setting of a study: it changes no result, and a machine's owner knows better how soon the machine is taken.
"""
MINUTES = 5.0


def interval() -> float:
    """Return the seconds between checkpoints; raises KpError where :data:`EVERY` is no number of minutes."""
    return 60 * minutes(EVERY, MINUTES, zero="none inside an epoch") or math.inf


class Checkpoints:
    """The checkpoints of one job: at every epoch's end, and inside an epoch after so many seconds.

    The newest one and the one before it are there, so that a file which the disk lost costs no more than what lies
    between two of them.

    Args:
        folder: the job's.
        notice: is told of a checkpoint that cannot be used.
        seconds: between two inside an epoch; as the environment says where None.
    """

    def __init__(self, folder: JobFolder, notice: Notice, seconds: float | None = None) -> None:
        self.folder = folder
        self.notice = notice
        self.seconds = interval() if seconds is None else seconds
        self.newest: Path | None = None
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for one."""
        return time.monotonic() - self._last >= self.seconds

    def save(self, behind: tuple[int, int], state: dict[str, Any]) -> None:
        """Keep this state after so many epochs and iterations; the last good one stays until it is whole on the disk.

        Its ``history`` is written as the job's own file too, so that a training can be looked at while it runs.
        """
        if state["history"]:
            self.folder.write_history(state["history"])
        written = {**state, "job": self.folder.key}
        self.newest = self.folder.keep_checkpoint(behind, lambda path: write_state(written, path), beside=self.newest)
        self._last = time.monotonic()

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the newest state that is whole; None where there is none. What is damaged is said and removed.

        The history is there again from then on.
        """
        for name in self.folder.damaged_checkpoints():
            self.notice(f"{name} of job {self.folder.key[:12]} is damaged; it is not used")
        for path in self.folder.checkpoints():
            state = self._read(path, device)
            if state is not None:
                self.newest = path
                if state["history"]:
                    self.folder.write_history(state["history"])
                return state
        return None

    def take(self, name: str, device: torch.device) -> dict[str, Any]:
        """Return the state of this name, which another process has found; raises KpError where it is not whole here."""
        path = self.folder.path / name
        state = self._read(path, device)
        if state is None:
            raise KpError(f"{path}: another process of this training goes on from it; let all share KP_CACHE_DIR")
        return state

    def _read(self, path: Path, device: torch.device) -> dict[str, Any] | None:
        try:
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
            self.notice(f"{path}: cannot be read ({type(error).__name__}); it is not used")
            return None
        if state.pop("job", None) != self.folder.key:
            self.notice(f"{path}: is another job's; it is not used")
            return None
        return state


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return where torch's generators stand: the CPU's, and that of the device."""
    backend = _generators(device)
    return {"cpu": torch.get_rng_state(), **({device.type: backend.get_rng_state()} if backend else {})}


def restore_random(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Set torch's generators; a state that was read onto a device is brought back, as torch wants it."""
    torch.set_rng_state(state["cpu"].cpu())
    backend = _generators(device)
    if backend:
        backend.set_rng_state(state[device.type].cpu())


def _generators(device: torch.device) -> Any:
    """Return what keeps the device's generator; None on the CPU."""
    return {"cuda": torch.cuda, "mps": torch.mps}.get(device.type)


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a state; raises OSError where the system cannot, which torch's own writer reports as something else."""
    with path.open("wb") as file:
        stream = _Stream(file)
        try:
            torch.save(state, cast(IO[bytes], stream))  # it asks for no more than these two methods
        except RuntimeError:
            if stream.error is None:
                raise
            raise stream.error from None


class _Stream:
    """A file that keeps the error of a write that failed."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        """Write, and keep the error where that fails."""
        try:
            return self.file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self.file.flush()
