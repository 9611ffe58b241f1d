"""Human3.6M (Ionescu et al., PAMI 2014) as a data set: 17 joints in pixels and depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from kp_h36m.archive import Archive
from kp_h36m.layouts import choose, names
from kp_h36m.names import frontal, part_of, subject
from kp_h36m.skeleton import H36M
from kp_h36m.table import Table, read
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.paths import Images
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, VISIBLE, AnyArray

HOLDS = "images/ and Human3.6M's annotation"
NORMALISER_MM = 150.0
"""The normaliser in millimetres: 3D-PCK's usual threshold (Mehta et al., 3DV 2017)."""


class H36m(Dataset):
    """Frames of Human3.6M, cut from its videos to ``root/images``, with annotations in layouts c2f or spin.

    Subjects 1, 5, 6, 7 and 8 are trained on, 9 and 11 scored, by the image's name, whichever file holds them; the
    arrays are those of :mod:`kp_h36m.layouts`. Pixels are taken as they are, from 0. x and y are pixels; z is depth
    from the pelvis over ``mm_per_px``, millimetres a pixel at the pelvis' distance (weak perspective, see
    :mod:`kp_h36m.projection`): perspective is not undone, so that figures differ a little from papers that undo it.

    The recordings may not be passed on, so this was tested on files built to the published structure, not on them.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, or holds no annotation of either layout.
    """

    root_variable: ClassVar[str] = "KP_H36M_ROOT"
    """Environment variable that names the root where the configuration does not."""
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (("h36m_*", "annot/h36m_*"),)
    """What a folder of this layout holds and others do not."""
    default_skeleton: ClassVar[Skeleton | None] = H36M
    """The 17 joints, known without files."""

    class Config(ComponentConfig):
        """``[dataset] name = "h36m"``."""

        root: str | None = Field(
            default=None, description="folder with images/ and the annotation; KP_H36M_ROOT where absent"
        )
        annotations: Literal["c2f", "spin"] | None = Field(
            default=None, description="layout: c2f (HDF5) or spin (.npz); found by its files where absent, c2f first"
        )
        protocol: Literal[1, 2] = Field(
            default=1,
            description="who is scored: 1 all four cameras, 2 the frontal one (HMR's and SPIN's protocols 1 and 2; the"
            " alignment is the metric's)",
        )
        stride: int = Field(default=1, ge=1, le=100_000, description="every nth frame of a part, in the file's order")

    def __init__(self, *, root: str | None, annotations: str | None, protocol: int, stride: int) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._layout, self._files = choose(self._root, annotations, protocol)
        self._protocol, self._stride = protocol, stride
        self._tables: dict[Path, Table] = {}
        self._samples: dict[str, tuple[Sample, ...]] = {}
        self._images = {file.path: Images(self._root / "images", self._root) for file in self._files.values()}
        self._parts = _parts(self._files, self._images)

    @property
    def facts(self) -> Facts:
        """17 of Human3.6M's 32 joints; the list is which cameras are scored, and whether frames are skipped."""
        skipped = f", every {self._stride}. frame" if self._stride > 1 else ""
        return Facts(
            label="Human3.6M",
            skeleton=H36M,
            parts=self._parts,
            normaliser=f"{NORMALISER_MM:g} mm at the pelvis' distance",
            default_metric="mpjpe",
            list_name=f"protocol {self._protocol}{skipped}",
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's people, read once and kept."""
        if part not in self._samples:
            table, images = self._table(part), self._images[self._file(part).path]
            self._samples[part] = tuple(self._sample(table, images, int(row)) for row in self._used(part))
        return self._samples[part]

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader did and left out."""
        table, rows = self._table(part), self._rows(part)
        found = [
            Finding("note", "pixels are taken as they are: counted from 0", len(rows)),
            Finding("note", f"'S' is in {table.unit}", len(rows)),
            *self._images[self._file(part).path].findings(),
            *table.findings(rows),
        ]
        how = "by the camera's focal length" if table.cameras else "fitted to the joints, person by person"
        found.append(Finding("note", f"millimetres a pixel {how}", table.cameras or len(rows)))
        strangers = [row for row, name in enumerate(table.images) if part_of(name) is None]
        if other := self._elsewhere(part):
            found.append(Finding("warning", f"rows in the {part} file of the other part's subjects, left out", other))
        if strangers:
            name = table.images[strangers[0]]
            what = f"subjects neither of train nor of valid, left out (first: S{subject(name)}, row {strangers[0]})"
            found.append(Finding("warning", what, len(strangers)))
        return found

    def _file(self, part: str) -> Archive:
        if part not in self.parts:
            raise unknown("part", part, self.parts, where=f"{self._root} ({self._layout} annotation)")
        return self._files.get(part) or next(iter(self._files.values()))

    def _table(self, part: str) -> Table:
        file = self._file(part)
        if file.path not in self._tables:
            self._tables[file.path] = read(file, self._layout, self._images[file.path])
        return self._tables[file.path]

    def _rows(self, part: str) -> AnyArray:
        """Rows of the part's subjects, and for protocol 2 of its camera; every nth.

        Raises:
            KpError: protocol 2 leaves nobody.
        """
        images = self._table(part).images
        rows = [row for row, name in enumerate(images) if part_of(name) == part]
        if part == "valid" and self._protocol == 2:
            rows = [row for row in rows if frontal(images[row])]
            if not rows:
                raise KpError(f"{self._file(part).path}: no image of camera 60457274 for protocol 2; set protocol = 1")
        return np.array(rows[:: self._stride], np.int64)

    def _elsewhere(self, part: str) -> int:
        """Rows of a part's own file that are of the other part's subjects."""
        others = (part_of(name) not in (part, None) for name in self._table(part).images)
        return sum(others) if len(self._files) == 2 else 0

    def _used(self, part: str) -> AnyArray:
        rows = self._rows(part)
        return np.asarray(rows[self._table(part).usable[rows]])

    def _sample(self, table: Table, images: Images, row: int) -> Sample:
        name, scale = table.images[row], float(table.mm_per_px[row])
        return Sample(
            image=images.path(name),
            points=table.points[row].astype(np.float32),
            state=np.where(table.labelled[row], VISIBLE, UNLABELLED).astype(np.uint8),
            centre=table.centres[row].astype(np.float32),
            side=float(table.sides[row]),
            normaliser=NORMALISER_MM / scale,
            image_id=name,
            person_id=f"S{subject(name)}",
            row=row,
            mm_per_px=scale,
        )


def _parts(files: dict[str, Archive], images: dict[Path, Images]) -> tuple[str, ...]:
    """Return the parts whose subjects are in the files; a name without a subject is refused here.

    Raises:
        KpError: names are missing, or one has no subject, or no subject is of either part.
    """
    held = {part: {part_of(name) for name in _named(file, images[file.path])} for part, file in files.items()}
    if len(held) == 1:
        only = next(iter(held.values()))
        held = {"train": only, "valid": only}
    found = tuple(part for part in ("train", "valid") if part in held[part])
    if not found:
        path = next(iter(files.values())).path
        raise KpError(f"{path}: nobody is of subjects 1, 5, 6, 7, 8 (train) or 9, 11 (valid)")
    return found


def _named(file: Archive, images: Images) -> tuple[str, ...]:
    listed = names(file, images)
    for row, name in enumerate(listed):
        if subject(name) is None:
            raise KpError(
                f"{file.path}: image name '{name[:80]}' of row {row} says no subject; expected S1_... to S11_..."
            )
    return listed
