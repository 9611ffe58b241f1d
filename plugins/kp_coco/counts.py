"""What is odd in a file, counted by kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kpcore.interfaces import Finding

Level = Literal["note", "warning"]


@dataclass
class Tally:
    """Counts what is odd, with the first place of each kind."""

    kinds: dict[str, tuple[Level, str, int]] = field(default_factory=dict)

    def add(self, what: str, place: str, level: Level = "note") -> None:
        """Count one more of a kind; ``place`` says where it is: image and row."""
        _, first, count = self.kinds.get(what, (level, place, 0))
        self.kinds[what] = (level, first, count + 1)

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding a kind, in the order of their first places."""
        return tuple(Finding(level, f"{what} (first: {first})", n) for what, (level, first, n) in self.kinds.items())
