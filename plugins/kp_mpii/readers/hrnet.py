"""HRNet's and MMPose's ``train.json`` and ``valid.json``, with ``gt_valid.mat`` where it lies beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kp_mpii.readers.head import with_head_sizes
from kp_mpii.readers.plausible import unit_findings
from kp_mpii.readers.rows import Rows
from kp_mpii.readers.source import Source
from kp_mpii.readers.table import (
    HEAD_BIAS,
    JOINTS,
    Table,
    adjusted,
    adjusted_note,
    head_identity,
    shift_note,
    states,
    zero_based,
)
from kp_mpii.skeleton import ORDER
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Finding
from kpcore.reading.matlab import load
from kpcore.reading.paths import Images
from kpcore.tensors import AnyArray, Float64Array

KIND = "HRNet's JSON annotation"
NEVER_SCORED = [ORDER.index("pelvis"), ORDER.index("thorax")]
"""Marked missing for every person of gt_valid.mat although MPII labels them."""


@dataclass(frozen=True, eq=False)
class Truth:
    """``gt_valid.mat``: points (N, 16, 2) 1-based, missing (N, 16), head_sizes (N,)."""

    points: Float64Array
    missing: AnyArray
    head_sizes: Float64Array


class HrnetSource(Source):
    """Files by part."""

    list_name = "hrnet"

    def __init__(self, root: Path, files: Mapping[str, Path]) -> None:
        super().__init__(root)
        self._files = files

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts whose file exists."""
        return tuple(self._files)

    def table(self, part: str) -> Table:
        """Read the part's file."""
        return read(self._files[part], self.images(), self._truth(part), official_scale=part == "valid")

    def _truth(self, part: str) -> Path | None:
        beside = self._files[part].with_name("gt_valid.mat")
        return beside if part == "valid" and beside.is_file() else None


def read(path: Path, images: Images, truth: Path | None = None, *, official_scale: bool) -> Table:
    """Read rows of image, center, scale, joints (16, 2), joints_vis (16,), and head_size where a row has it.

    ``joints_vis`` means labelled; hidden joints are not told apart. ``gt_valid.mat`` has the last word on the joints
    that it scores: ``jnt_missing``, position and head box.

    Args:
        path: the JSON file.
        images: finds its images.
        truth: gt_valid.mat, whose people are the rows of ``path``.
        official_scale: see :func:`kp_mpii.readers.head.with_head_sizes`.

    Raises:
        KpError: a file is damaged, or a row lacks a field; with the row.
    """
    rows = Rows.load(path, KIND)
    scales = rows.arrays("scale", ())
    flags, centres = rows.arrays("joints_vis", (JOINTS,)), rows.arrays("center", (2,))
    labelled = flags > 0
    table = Table(
        images=rows.images("image", images),
        points=zero_based(rows.arrays("joints", (JOINTS, 2), gaps=True)),
        state=states(labelled, labelled),
        centres=zero_based(adjusted(centres, scales)),
        scales=scales,
        head_sizes=rows.optional("head_size"),
        person_ids=tuple(str(number) for number in rows.numbers),
        rows=np.array(rows.numbers, np.int64),
        findings=(shift_note(len(rows)), adjusted_note(len(rows))),
    )
    if truth is not None:
        table = corrected(table, read_truth(truth, len(table)))
    table = with_head_sizes(table, official_scale=official_scale)
    odd = unit_findings(scales, centres, flags, keys=("scale", "center", "joints_vis"))
    return table.noting(*images.findings(), *odd, *head_identity(table))


def read_truth(path: Path, people: int) -> Truth:
    """Read headboxes_src (2, 2, N), pos_gt_src (16, 2, N) and jnt_missing (16, N).

    Raises:
        KpError: the file is damaged, or a field is missing or of another shape.
    """
    fields = load(path, "HRNet's gt_valid.mat")
    boxes = _field(fields, path, "headboxes_src", (2, 2, people))
    return Truth(
        points=_field(fields, path, "pos_gt_src", (JOINTS, 2, people)).transpose(2, 0, 1),
        missing=_field(fields, path, "jnt_missing", (JOINTS, people)).T != 0,
        head_sizes=HEAD_BIAS * np.linalg.norm(boxes[1] - boxes[0], axis=0),
    )


def _field(fields: Mapping[str, AnyArray], path: Path, key: str, shape: tuple[int, ...]) -> Float64Array:
    if key not in fields:
        raise unknown("field", key, [name for name in fields if not name.startswith("__")], where=str(path))
    value = np.asarray(fields[key])
    if value.shape != shape or value.dtype.kind not in "biuf":
        raise KpError(f"{path}: field '{key}' has shape {value.shape} of {value.dtype}; expected numbers {shape}")
    return value.astype(np.float64)


def corrected(table: Table, truth: Truth) -> Table:
    """Take gt_valid.mat's word for the joints that it scores, and say where that changed something."""
    scored = ~truth.missing
    labelled = scored.copy()
    labelled[:, NEVER_SCORED] = table.state[:, NEVER_SCORED] > 0
    points = np.where(scored[..., None], zero_based(truth.points), table.points)
    moved = scored & (np.abs(points - table.points) > 0.01).any(-1)
    changed = int((moved | (labelled != (table.state > 0))).sum())
    notes = [Finding("note", "head size and scored joints taken from gt_valid.mat", len(table))]
    if changed:
        notes.append(Finding("note", "joints where gt_valid.mat differs from the JSON file and was believed", changed))
    kept = replace(table, points=points, state=states(labelled, labelled), head_sizes=truth.head_sizes)
    return kept.noting(*notes)
