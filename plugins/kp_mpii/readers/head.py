"""Head sizes for layouts that do not carry the head box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kp_mpii.readers.table import HEAD_PER_NECK, HEAD_PER_SCALE, Table, counted, neck_to_head
from kp_mpii.skeleton import HEAD_TOP, UPPER_NECK
from kpcore.interfaces import Finding
from kpcore.tensors import AnyArray


def with_head_sizes(table: Table, *, official_scale: bool) -> Table:
    """Fill head sizes that are NaN, and note how many and by which rule.

    Args:
        table: head sizes known or NaN.
        official_scale: the raw scale is the official one, as in the validation list: 25 x scale is exact then. Else
            0.75 x the distance from upper neck to head top, and 25 x scale where one of the two is unlabelled.
    """
    unknown = np.isnan(table.head_sizes)
    distance = neck_to_head(table.points, table.state, UPPER_NECK, HEAD_TOP)
    by_neck = unknown & np.isfinite(distance) & (not official_scale)
    by_scale = unknown & ~by_neck
    sizes = np.where(by_neck, HEAD_PER_NECK * distance, table.head_sizes)
    sizes = np.where(by_scale, HEAD_PER_SCALE * table.scales, sizes)
    notes = (
        *_note(table, by_neck, "head size unknown: taken as 0.75 x the upper neck to head top distance"),
        *_note(table, by_scale, "head size unknown: taken as 25 x raw scale"),
    )
    return replace(table, head_sizes=sizes).noting(*notes)


def _note(table: Table, derived: AnyArray, what: str) -> tuple[Finding, ...]:
    return counted("note", what, [f"row {table.rows[i]}" for i in np.flatnonzero(derived)])
