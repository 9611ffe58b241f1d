"""The people of one part as columns, and the conversions that the layouts share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kpcore.interfaces import Finding
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE, AnyArray, Float64Array, StateArray

JOINTS = 16
HEAD_BIAS = 0.6
"""Head size is this share of the head box's diagonal (PCKh)."""
HEAD_PER_SCALE = 25.0
"""Head size over raw scale, in pixels: exact on all 2,958 validation people of HRNet's ``gt_valid.mat``."""
HEAD_PER_NECK = 0.75
"""Head size over the distance from upper neck to head top."""


@dataclass(frozen=True, eq=False)
class Table:
    """N people; every length and position in pixels, 0-based, crop adjusted.

    Args:
        images: N file names.
        points: (N, 16, 2); anything where unlabelled.
        state: (N, 16) of UNLABELLED, HIDDEN, VISIBLE.
        centres: (N, 2) crop centres.
        scales: (N,) MPII's raw scale: a person is about 200 x scale high, a crop 250 x scale wide.
        head_sizes: (N,) 0.6 x the head box's diagonal.
        person_ids: N ids, "annolist row/person" (0-based) where known, else the row.
        rows: (N,) rows in the annotation file, 0-based.
        findings: what the reader did, and what it left out.
    """

    images: tuple[str, ...]
    points: Float64Array
    state: StateArray
    centres: Float64Array
    scales: Float64Array
    head_sizes: Float64Array
    person_ids: tuple[str, ...]
    rows: AnyArray
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sides(self) -> Float64Array:
        """(N,) crop sides: 200 x the adjusted scale, which is 1.25 x the raw one."""
        return 200 * 1.25 * self.scales

    def where(self, keep: AnyArray, *findings: Finding) -> Table:
        """Return the people whose entry of ``keep`` (N,) bool is true, with further findings."""
        chosen = np.flatnonzero(keep)
        return Table(
            tuple(self.images[i] for i in chosen), self.points[chosen], self.state[chosen], self.centres[chosen],
            self.scales[chosen], self.head_sizes[chosen], tuple(self.person_ids[i] for i in chosen),
            self.rows[chosen], (*self.findings, *findings),
        )  # fmt: skip

    def noting(self, *findings: Finding) -> Table:
        """Return the same people with further findings."""
        return dataclasses.replace(self, findings=(*self.findings, *findings))


def zero_based(positions: Float64Array) -> Float64Array:
    """Shift the .mat's 1-based pixels, which all four layouts carry, to 0-based."""
    return positions - 1.0


def adjusted(objpos: Float64Array, scales: Float64Array) -> Float64Array:
    """Move (N, 2) raw centres down by 15 x raw scale so that crops hold the feet (Newell)."""
    return objpos + np.stack([np.zeros_like(scales), 15 * scales], axis=-1)


def states(labelled: AnyArray, visible: AnyArray) -> StateArray:
    """Combine two (N, 16) bool arrays to states."""
    return np.where(labelled, np.where(visible, VISIBLE, HIDDEN), UNLABELLED).astype(np.uint8)


def neck_to_head(points: Float64Array, state: StateArray, neck: int, head: int) -> Float64Array:
    """Return (N,) distances between two joints, NaN where one of them is unlabelled."""
    known = (state[:, neck] != UNLABELLED) & (state[:, head] != UNLABELLED)
    return np.where(known, np.linalg.norm(points[:, neck] - points[:, head], axis=-1), np.nan)


def shift_note(people: int) -> Finding:
    """The note of every reader: pixels were 1-based."""
    return Finding("note", "coordinates are 1-based in the file and were shifted to 0-based, once", people)


def adjusted_note(people: int) -> Finding:
    """The note of readers of raw centres and scales."""
    return Finding("note", "crop centre moved down by 15 x scale and scale multiplied by 1.25, once", people)


def unadjusted_note(people: int) -> Finding:
    """The note of the reader of files that already are adjusted."""
    return Finding("note", "crop centre and scale taken as they are: the file already carries the adjustment", people)


def counted(level: Literal["note", "warning"], what: str, examples: Sequence[str]) -> tuple[Finding, ...]:
    """One finding with the count and the first example; none where there are no examples."""
    if not examples:
        return ()
    return (Finding(level, f"{what} (first: {examples[0]})", len(examples)),)


def head_identity(table: Table) -> tuple[Finding, ...]:
    """Say where the head size is not 25 x raw scale, within 1 %: true of every official validation person."""
    expected = HEAD_PER_SCALE * table.scales
    odd = np.abs(table.head_sizes - expected) > 0.01 * np.abs(expected)
    examples = [f"{table.images[i]}, row {table.rows[i]}" for i in np.flatnonzero(odd)]
    return counted("note", "head size over 1 % off 25 x raw scale: derived, not measured on a head box", examples)
