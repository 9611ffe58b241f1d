"""The data set ``people``: what the generator wrote, in 2D or with the 3D ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from pydantic import Field

from kp_people.skeleton import skeleton
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts
from kpcore.reading.paths import image_path
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
    def facts(self) -> Facts:
        """MPII's 16 joints; PCKh in 2D, the mean per-joint position error in 3D."""
        return Facts(
            label="synthetic people",
            skeleton=skeleton(self._dims),
            parts=PARTS,
            normaliser="0.6 x head-box diagonal",
            default_metric="pckh" if self._dims == 2 else "mpjpe",
        )

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
        name = image_path(fields["imgname"][row].decode(), f"{self._root}, row {row}")
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

    @property
    def _truth(self) -> Path:
        return self._root / "annot" / "people3d.h5"

    def _annotation(self, part: str) -> Path:
        return self._root / "annot" / f"{part}.h5"
