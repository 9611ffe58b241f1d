"""The official ``mpii_human_pose_v1_u12_1.mat``: raw centre and scale, head boxes, visibility; no validation list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from kp_mpii.readers import people_list
from kp_mpii.readers.matlab import children, column, first, text
from kp_mpii.readers.plausible import unit_findings
from kp_mpii.readers.source import Source
from kp_mpii.readers.table import (
    HEAD_BIAS,
    JOINTS,
    Table,
    adjusted,
    adjusted_note,
    counted,
    head_identity,
    shift_note,
    states,
    zero_based,
)
from kpcore.errors import KpError
from kpcore.interfaces import Finding
from kpcore.reading.held_out import held_out, undivided
from kpcore.reading.matlab import load
from kpcore.reading.opening import guarded
from kpcore.reading.paths import Images
from kpcore.tensors import AnyArray, Float64Array

KIND = "MPII's RELEASE struct"


@dataclass(frozen=True, eq=False)
class Person:
    """One annorect: its place, and its numbers, 1-based and raw."""

    image: str
    person_id: str
    row: int
    points: Float64Array  # (16, 2)
    labelled: AnyArray  # (16,)
    visible: AnyArray  # (16,)
    objpos: Float64Array  # (2,)
    scale: float
    head_box: Float64Array  # (4,) x1 y1 x2 y2


@dataclass
class Left:
    """Rows left out, and points skipped, by reason."""

    reasons: dict[str, list[str]] = field(default_factory=dict)

    def out(self, reason: str, who: str) -> None:
        """Remember one."""
        self.reasons.setdefault(reason, []).append(who)

    def findings(self) -> tuple[Finding, ...]:
        """One finding a reason."""
        return tuple(note for why, whom in self.reasons.items() for note in counted("note", why, whom))


class MatSource(Source):
    """One file, and what says who is validation.

    Args:
        root: of the data set.
        path: the .mat.
        valid_list: file that lists the validation people; see :mod:`kp_mpii.readers.people_list`.
        held_out: without a list, the share of images held out for validation, by a hash of their names.
    """

    def __init__(self, root: Path, path: Path, valid_list: Path | None, held_out: float) -> None:
        super().__init__(root)
        self._path = path
        self._valid_list = valid_list
        self._held_out = held_out
        self.list_name = "newell" if valid_list else f"{held_out:g} of the images held out by name hash"

    @property
    def parts(self) -> tuple[str, ...]:
        """Both, always."""
        return ("train", "valid")

    def table(self, part: str) -> Table:
        """Return the part's people."""
        validation, notes = self._validation
        return self._everybody.where(validation if part == "valid" else ~validation, *notes)

    @cached_property
    def _everybody(self) -> Table:
        return read(self._path, self.images())

    @cached_property
    def _validation(self) -> tuple[AnyArray, tuple[Finding, ...]]:
        if self._valid_list:
            return people_list.members(self._everybody, self._valid_list, self.images())
        images = self._everybody.images
        why = undivided(images)
        return held_out(images, self._held_out), (Finding("warning", why),) if why else ()


def read(path: Path, images: Images) -> Table:
    """Read everybody in the training images who has joints, a centre, a scale and a head box.

    Raises:
        KpError: the file is damaged, or is not MPII's.
    """
    left = Left()
    with guarded(path, KIND):
        release = load(path, KIND).get("RELEASE")
        if release is None or release.dtype.names is None:
            raise KpError(f"{path}: holds no struct RELEASE; expected mpii_human_pose_v1_u12_1.mat")
        found = list(_people(path, release.ravel()[0], left, images))
    if not found:
        raise KpError(f"{path}: RELEASE holds nobody with joints, centre, scale and head box in a training image")
    table = _table(found)
    odd = unit_findings(
        table.scales, np.stack([person.objpos for person in found]), np.zeros((len(found), JOINTS)),
        keys=("scale", "objpos", "is_visible"),
    )  # fmt: skip
    notes = (shift_note(len(found)), adjusted_note(len(found)), *left.findings(), *images.findings(), *odd)
    return table.noting(*notes, *head_identity(table))


def _table(found: list[Person]) -> Table:
    scales = np.array([person.scale for person in found])
    boxes = np.stack([person.head_box for person in found])
    return Table(
        images=tuple(person.image for person in found),
        points=zero_based(np.stack([person.points for person in found])),
        state=states(np.stack([p.labelled for p in found]), np.stack([p.visible for p in found])),
        centres=zero_based(adjusted(np.stack([person.objpos for person in found]), scales)),
        scales=scales,
        head_sizes=HEAD_BIAS * np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=-1),
        person_ids=tuple(person.person_id for person in found),
        rows=np.array([person.row for person in found], np.int64),
    )


def _people(path: Path, release: np.void, left: Left, names: Images) -> Iterator[Person]:
    """Walk all annorects; ``row`` counts those of every image, so that it does not depend on what is left out."""
    images, train = children(release, "annolist"), release["img_train"].ravel()
    if len(images) != len(train):
        raise KpError(f"{path}: RELEASE has {len(images)} images in annolist and {len(train)} in img_train")
    row = 0
    for index, (image, wanted) in enumerate(zip(images, train, strict=True)):
        rects = children(image, "annorect")
        for who, rect in enumerate(rects if wanted else ()):
            found = _person(_name(path, image, index, names), rect, f"{index}/{who}", row + who, left)
            if found:
                yield found
        row += len(rects)


def _name(path: Path, image: np.void, index: int, images: Images) -> str:
    inner = children(image, "image")
    return images.name(text(inner[0], "name") if len(inner) else "", f"{path}, annolist({index + 1}).image.name")


def _person(image: str, rect: np.void, person_id: str, row: int, left: Left) -> Person | None:
    centre = children(rect, "objpos")
    joints = children(next(iter(children(rect, "annopoints")), rect), "point")
    objpos = first(centre[0], "x", "y") if len(centre) else np.full(2, np.nan)
    scale, head_box = first(rect, "scale"), first(rect, "x1", "y1", "x2", "y2")
    lacks = [
        what
        for what, known in (
            ("joints", len(joints) > 0),
            ("centre", not np.isnan(objpos).any()),
            ("scale", not np.isnan(scale).any()),
            ("head box", not np.isnan(head_box).any()),
        )
        if not known
    ]
    if lacks:
        left.out(f"people without {lacks[0]} left out", f"annorect {person_id} of {image}")
        return None
    points, labelled, visible = _joints(joints, f"annorect {person_id} of {image}", left)
    return Person(image, person_id, row, points, labelled, visible, objpos, float(scale[0]), head_box)


def _joints(records: AnyArray, who: str, left: Left) -> tuple[Float64Array, AnyArray, AnyArray]:
    """Return points (16, 2), labelled (16,), visible (16,); a joint whose is_visible is empty counts as visible."""
    points, labelled, visible = np.zeros((JOINTS, 2)), np.zeros(JOINTS, bool), np.zeros(JOINTS, bool)
    ids, positions = column(records, "id"), np.stack([column(records, "x"), column(records, "y")], axis=-1)
    seen = column(records, "is_visible") != 0  # NaN, where it is empty, is not 0
    known = (ids >= 0) & (ids < JOINTS)
    if not known.all():
        left.out(f"points whose id is none of 0..{JOINTS - 1} skipped", who)
    joints = ids[known].astype(int)
    points[joints], visible[joints], labelled[joints] = positions[known], seen[known], True
    return points, labelled, visible
