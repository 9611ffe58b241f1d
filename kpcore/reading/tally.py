"""What a reader leaves out or takes for granted, counted by kind while it reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["note", "warning", "error"]


@dataclass
class Tally:
    """Kinds of what was found, each with its level, the first place, and a count."""

    kinds: dict[str, tuple[Level, str, int]] = field(default_factory=dict)

    def add(self, what: str, where: object, level: Level = "note", count: int = 1) -> None:
        """Count something of a kind; a count of 0 is nothing."""
        if count:
            level, first, before = self.kinds.get(what, (level, str(where), 0))
            self.kinds[what] = (level, first, before + count)

    def lines(self) -> Iterator[tuple[Level, str, int]]:
        """Yield level, text and count of every kind: what a ``Finding`` is made of."""
        for what, (level, first, count) in self.kinds.items():
            yield level, f"{what} (first: {first})", count
