"""The data set ``people``: what the generator wrote, in 2D or with the 3D ground truth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from pydantic import Field

from kp_people.skeleton import skeleton
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset
from kpcore.keypoints import Skeleton
from kpcore.reading.paths import plain_name
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, AnyArray

PARTS = ("train", "valid")


class PeopleDataset(Dataset):
    """Synthetic people, from the folder that the generator ``people`` wrote; Args: as the fields of ``Config``.

    Raises:
        KpError: the folder or a file of it is missing or damaged.
    """

    class Config(ComponentConfig):
        """``[dataset] name = "people"``."""

        root: str = Field(description="folder that the generator 'people' wrote")
        dims: Literal[2, 3] = Field(default=3, description="2: pixels; 3: also depth relative to the pelvis")

    def __init__(self, *, root: str, dims: int) -> None:
        self._root = Path(root).expanduser()
        self._dims = dims
        for path in (self._truth, *(self._annotation(part) for part in PARTS)):
            if not path.is_file():
                raise KpError(f"{path}: not there; root must be a folder that the generator 'people' wrote")

    @property
    def skeleton(self) -> Skeleton:
        """MPII's 16 joints."""
        return skeleton(self._dims)

    @property
    def label(self) -> str:
        """What results call it; its people are synthetic however they are read."""
        return "synthetic people"

    @property
    def parts(self) -> tuple[str, ...]:
        """The two parts that the generator writes."""
        return PARTS

    @property
    def normaliser(self) -> str:
        """PCKh's head size."""
        return "0.6 x head-box diagonal"

    @property
    def default_metric(self) -> str:
        """PCKh in 2D, the mean per-joint position error in 3D."""
        return "pckh" if self._dims == 2 else "mpjpe"

    def samples(self, part: str) -> Sequence[Sample]:
        """Return all people of a part, in the annotation's order."""
        if part not in PARTS:
            raise unknown("part", part, PARTS, where=str(self._root))
        fields = self._read(part)
        return tuple(self._sample(fields, row) for row in range(len(fields["points"])))

    def _read(self, part: str) -> dict[str, AnyArray]:
        try:
            with h5py.File(self._annotation(part), "r") as file:
                fields = {name: file[name][()] for name in ("imgname", "center", "scale", "normalize", "person")}
            with h5py.File(self._truth, "r") as file:
                fields |= {name: file[part][name][()] for name in ("points", "state", "mm_per_px")}
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise KpError(
                f"{self._annotation(part)} and people3d.h5: damaged ({reason}); generate them again"
            ) from None
        counts = {name: len(values) for name, values in fields.items()}
        if len(set(counts.values())) != 1:
            raise KpError(f"{self._annotation(part)} and people3d.h5: do not hold the same people ({counts})")
        return fields

    def _sample(self, fields: dict[str, Any], row: int) -> Sample:
        name = plain_name(fields["imgname"][row].decode(), f"{self._root}, row {row}")
        state = fields["state"][row].astype(np.uint8)
        points = fields["points"][row, :, : self._dims].astype(np.float32)
        points[state == UNLABELLED] = np.nan
        return Sample(
            image=self._root / "images" / name,
            points=points,
            state=state,
            centre=(fields["center"][row] - 1).astype(np.float32),
            side=float(fields["scale"][row] * 200),
            normaliser=float(fields["normalize"][row]),
            image_id=name,
            person_id=f"{name}/{int(fields['person'][row])}",
            row=row,
            mm_per_px=float(fields["mm_per_px"][row]) if self._dims == 3 else None,
        )

    def fingerprint(self, part: str) -> str:
        """Return a digest of the annotation's bytes and the images' names and sizes."""
        digest = hashlib.sha256(f"people {self._dims} {part}".encode())
        for path in (self._annotation(part), self._truth):
            digest.update(path.read_bytes())
        for name in sorted({sample.image_id for sample in self.samples(part)}):
            digest.update(f"{name} {self._image_size(name)}".encode())
        return digest.hexdigest()

    def _image_size(self, name: str) -> int:
        path = self._root / "images" / name
        try:
            return path.stat().st_size
        except OSError:
            raise KpError(f"{path}: annotated, but not there; generate the people again") from None

    @property
    def _truth(self) -> Path:
        return self._root / "annot" / "people3d.h5"

    def _annotation(self, part: str) -> Path:
        return self._root / "annot" / f"{part}.h5"
