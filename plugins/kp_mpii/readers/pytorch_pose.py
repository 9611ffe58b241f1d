"""pytorch-pose's ``mpii_annotations.json``: both parts in one file, told apart by ``isValidation``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from kp_mpii.readers.head import with_head_sizes
from kp_mpii.readers.plausible import unit_findings
from kp_mpii.readers.rows import Rows
from kp_mpii.readers.source import Source
from kp_mpii.readers.table import JOINTS, Table, adjusted, adjusted_note, head_identity, shift_note, states, zero_based
from kpcore.reading.paths import Images

KIND = "pytorch-pose's JSON annotation"


class PytorchPoseSource(Source):
    """One file."""

    list_name = "hrnet"

    def __init__(self, root: Path, path: Path) -> None:
        super().__init__(root)
        self._path = path

    @property
    def parts(self) -> tuple[str, ...]:
        """Both, always."""
        return ("train", "valid")

    @cached_property
    def _rows(self) -> Rows:
        return Rows.load(self._path, KIND)

    def table(self, part: str) -> Table:
        """Return the part's rows; ``row`` counts all rows of the file."""
        validation = self._rows.arrays("isValidation", ()) != 0
        chosen = validation if part == "valid" else ~validation
        return people(self._rows.where(chosen.tolist()), self.images(), official_scale=part == "valid")


def people(rows: Rows, images: Images, *, official_scale: bool) -> Table:
    """Convert rows of img_paths, objpos (2,), scale_provided, joint_self (16, 3: x, y, visible), all 1-based and raw.

    A joint at exactly (0, 0) is unlabelled: the file pads with zeros and has no mask; so is one without numbers that is
    not called visible. There is no head box.

    Raises:
        KpError: a row lacks a field or holds something else; with the row.
    """
    joints = rows.arrays("joint_self", (JOINTS, 3), gaps=True)
    visible = joints[..., 2] > 0
    placed = (joints[..., :2] != 0).any(-1) & (np.isfinite(joints[..., :2]).all(-1) | visible)
    scales, centres = rows.arrays("scale_provided", ()), rows.arrays("objpos", (2,))
    table = Table(
        images=rows.images("img_paths", images),
        points=zero_based(joints[..., :2]),
        state=states(placed, visible),
        centres=zero_based(adjusted(centres, scales)),
        scales=scales,
        head_sizes=np.full(len(rows), np.nan),
        person_ids=_person_ids(rows),
        rows=np.array(rows.numbers, np.int64),
        findings=(shift_note(len(rows)), adjusted_note(len(rows))),
    )
    table = with_head_sizes(table, official_scale=official_scale)
    odd = unit_findings(scales, centres, joints[..., 2], keys=("scale_provided", "objpos", "joint_self"))
    return table.noting(*images.findings(), *odd, *head_identity(table))


def _person_ids(rows: Rows) -> tuple[str, ...]:
    images, persons = rows.optional("annolist_index"), rows.optional("people_index")
    return tuple(
        str(number) if np.isnan(image + person) else f"{image - 1:.0f}/{person - 1:.0f}"  # Matlab counts from 1
        for number, image, person in zip(rows.numbers, images, persons, strict=True)
    )
