"""Where a training stands, kept in its job's folder: only tensors and plain values, read back without running code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any, cast

import torch

from kpcore.records.folder import JobFolder

Notice = Callable[[str], None]


class Checkpoints:
    """The checkpoints of one job.

    Args:
        folder: the job's.
        notice: is told of a checkpoint that cannot be used.
    """

    def __init__(self, folder: JobFolder, notice: Notice) -> None:
        self.folder = folder
        self.notice = notice

    def save(self, epochs: int, state: dict[str, Any]) -> None:
        """Keep this state after so many epochs; the last good one stays until it is whole on the disk.

        Its ``history`` is written as the job's own file too, so that a training can be looked at while it runs.
        """
        self.folder.write_history(state["history"])
        self.folder.keep_checkpoint(epochs, lambda path: write_state({**state, "job": self.folder.key}, path))

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the newest state that is whole; None where there is none. What is damaged is said and removed."""
        for name in self.folder.damaged_checkpoints():
            self.notice(f"{name} of job {self.folder.key[:12]} is damaged; it is not used")
        for path in self.folder.checkpoints():
            state = self._read(path, device)
            if state is not None:
                return state
        return None

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
