"""Generator: writes a synthetic data set in a published layout, for users and tests without data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from kpcore.interfaces.component import Component


class Generator(Component):
    """Writes files that a Dataset plugin reads as it would read the real ones.

    The same options must write the same files, byte for byte, on every machine of one library version.
    """

    @property
    @abstractmethod
    def version(self) -> str:
        """Changes whenever the same options would write other files; part of the cache's key."""

    @abstractmethod
    def write(self, folder: Path, progress: Callable[[int, int], None]) -> None:
        """Write the data set into an empty folder, calling ``progress(done, total)`` now and then."""
