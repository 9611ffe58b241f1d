"""What a download says while it is at work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

Step = Callable[[int, int], None]
"""Called with how many bytes are done, of how many; 0 where that is not known."""


@dataclass(frozen=True)
class Told:
    """Where it is said.

    Args:
        say: takes a line.
        bar: takes what is done next, and gives what is called while it is done.
    """

    say: Callable[[str], None]
    bar: Callable[[str], AbstractContextManager[Step]]
