"""What a user should know of the data: one line, how grave it is, and how many people or files it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Something that a user should know of the data, for ``kp data check``.

    Args:
        level: ``note`` informs, ``warning`` deserves a look, ``error`` makes the part unusable.
        what: one line; names file and row where it can.
        count: how many people or files it concerns.
    """

    level: Literal["note", "warning", "error"]
    what: str
    count: int = 1
