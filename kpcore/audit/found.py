"""Findings over people: one a kind, with how many it concerns and the first one's place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from kpcore.interfaces import Finding
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED

Progress = Callable[[int, int], None]
Mask = npt.NDArray[np.bool_]
Level = Literal["note", "warning", "error"]


def found_in(people: Instances, level: Level, what: str, hits: Mask) -> list[Finding]:
    """One finding over the people whose entry of ``hits`` (N,) is true, with the first one's place; or none."""
    rows = np.flatnonzero(hits)
    if not len(rows):
        return []
    return [Finding(level, f"{what} (first: {people.image_ids[rows[0]]}, row {people.rows[rows[0]]})", len(rows))]


def labelled(people: Instances) -> Mask:
    """(N, K) whether a keypoint is labelled."""
    return np.asarray(people.state != UNLABELLED)


def anywhere(hits: Mask) -> Mask:
    """(N, ...) -> (N,): whether anything of a person is hit."""
    return np.asarray(hits.reshape(len(hits), -1).any(axis=1))
