"""COFW (Burgos-Artizzu et al., ICCV 2013) as it is published: a Matlab file a part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from kp_faces.readers.cofw_mat import check, read
from kp_faces.readers.faces import Faces
from kp_faces.readers.table import Table
from kp_faces.skeletons import COFW29
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample

FILES = {"train": "COFW_train_color.mat", "valid": "COFW_test_color.mat"}
ENDINGS = {"train": "Tr", "valid": "T"}
"""What the variables of a part end with: IsTr, phisTr, bboxesTr; IsT, phisT, bboxesT."""
FOLDERS = (".", "COFW_color", "COFW")
HOLDS = " and ".join(FILES.values())


class Cofw(Dataset):
    """Faces of COFW with 29 landmarks, of which each is visible or hidden: 1,345 to train on, 507 to score.

    The pictures are in the files, and are held in memory once they are needed. Args: as the fields of ``Config``.

    Raises:
        KpError: no root, no such file, or one that is damaged.
    """

    root_variable: ClassVar[str] = "KP_COFW_ROOT"
    marks: ClassVar[tuple[tuple[str, ...], ...]] = tuple(
        tuple(f"{folder}/{name}" for folder in FOLDERS) for name in FILES.values()
    )
    """What a folder of this layout holds and others do not."""
    default_skeleton: ClassVar[Skeleton | None] = COFW29

    class Config(ComponentConfig):
        """``[dataset] name = "cofw"``."""

        root: str | None = Field(
            default=None, description="folder with COFW_train_color.mat and COFW_test_color.mat; KP_COFW_ROOT if absent"
        )
        crop: float = Field(
            default=1.25, ge=1, le=10, description="side of the crop over the longer side of the annotated box"
        )

    def __init__(self, *, root: str | None, crop: float) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._found = find(self._root)
        for part, path in self._found.items():
            check(path, ENDINGS[part])
        self._faces = Faces(self._root, COFW29, tuple(self._found), self._read, crop, "inter_ocular")

    @property
    def facts(self) -> Facts:
        """Those parts whose file is there; Matlab's pixels. The pupils are marked too, for NME."""
        return Facts(
            label="COFW",
            skeleton=COFW29,
            parts=tuple(self._found),
            normaliser="distance of the outer eye corners",
            default_metric="nme",
            origin=1,
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's faces with their pixels, in the file's order."""
        return self._faces.samples(part)

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader did or left out."""
        return self._faces.findings(part)

    def _read(self, part: str) -> Table:
        return read(self._found[part], ENDINGS[part])


def find(root: Path) -> dict[str, Path]:
    """Return part -> file; raises KpError where there is none."""
    for folder in FOLDERS:
        found = {part: path for part, name in FILES.items() if (path := root / folder / name).is_file()}
        if found:
            return found
    raise KpError(f"{root}: no {' or '.join(FILES.values())} in {' or '.join(FOLDERS)}")
