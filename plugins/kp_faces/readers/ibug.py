"""300-W (Sagonas et al., ICCV Workshops 2013) in its original folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from kp_faces.readers.faces import Faces
from kp_faces.readers.pts import read_pts
from kp_faces.readers.table import SHIFTED, Table, check_numbers, from_rows
from kp_faces.skeletons import FACES68
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.paths import Images
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample
from kpcore.tensors import VISIBLE

TRAIN = {"afw": 337, "helen/trainset": 2000, "lfpw/trainset": 811}
"""Folder -> pictures in the published set (Ren et al., CVPR 2014): 3,148."""
COMMON = {"helen/testset": 330, "lfpw/testset": 224}
CHALLENGING = {"ibug": 135}
SUBSETS: Mapping[str, Mapping[str, int]] = {
    "full": COMMON | CHALLENGING, "common": COMMON, "challenging": CHALLENGING,
}  # fmt: skip
IMAGES = (".jpg", ".png", ".jpeg", ".bmp", ".JPG", ".PNG")
"""Endings of pictures, in order of preference."""
HOLDS = "the folders afw, helen/trainset, helen/testset, lfpw/trainset, lfpw/testset and ibug"


class ThreeHundredW(Dataset):
    """Faces of 300-W with 68 landmarks: a ``.pts`` file beside each picture.

    The standard protocol (Ren et al., CVPR 2014): train on afw, helen/trainset and lfpw/trainset, 3,148 faces; score on
    helen/testset and lfpw/testset ("common", 554), on ibug ("challenging", 135), or on both ("full", 689). Mirrored
    copies (``*_mirror``) that some archives hold are left out. Args: as the fields of ``Config``.

    Raises:
        KpError: no root, or none of a part's folders holds a ``.pts`` file.
    """

    root_variable: ClassVar[str] = "KP_300W_ROOT"
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (("afw", "helen", "lfpw", "ibug"), ("*/*.pts", "*/*/*.pts"))
    """What a folder of this layout holds and others do not."""
    default_skeleton: ClassVar[Skeleton | None] = FACES68

    class Config(ComponentConfig):
        """``[dataset] name = "300w"``."""

        root: str | None = Field(
            default=None, description="folder with afw, helen, lfpw and ibug; KP_300W_ROOT where absent"
        )
        subset: Literal["full", "common", "challenging"] = Field(
            default="full", description="what is scored: helen and lfpw test sets (common), ibug (challenging), or all"
        )
        crop: float = Field(
            default=1.3, ge=1, le=10, description="side of the crop over the longer side of the landmarks' box"
        )

    def __init__(self, *, root: str | None, subset: str, crop: float) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._subset = subset
        self._folders: Mapping[str, Mapping[str, int]] = {"train": TRAIN, "valid": SUBSETS[subset]}
        self._found = {part: self._list(part) for part in self._folders}
        self._faces = Faces(self._root, FACES68, ("train", "valid"), self._read, crop, "inter_ocular")

    @property
    def facts(self) -> Facts:
        """Inter-ocular, as 300-W has it; Matlab's pixels."""
        return Facts(
            label=f"300-W ({self._subset})",
            skeleton=FACES68,
            parts=("train", "valid"),
            normaliser="distance of the outer eye corners",
            default_metric="nme",
            origin=1,
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's faces, folder by folder, by name."""
        return self._faces.samples(part)

    def findings(self, part: str) -> Sequence[Finding]:
        """Return the shift, and what is missing from the published set."""
        return self._faces.findings(part)

    def _list(self, part: str) -> dict[str, list[Path]]:
        """Return folder -> its .pts files, by name; those of mirrored copies are left out."""
        folders = self._folders[part]
        found = {name: sorted((self._root / name).glob("*.pts")) for name in folders}
        kept = {name: [file for file in files if not _mirrored(file)] for name, files in found.items()}
        if not any(kept.values()):
            raise KpError(f"{self._root}: no .pts file in {' or '.join(folders)}; expected {HOLDS}")
        return kept

    def _files(self, part: str) -> list[Path]:
        return [file for files in self._found[part].values() for file in files]

    def _read(self, part: str) -> Table:
        files = self._files(part)
        points = np.empty((len(files), len(FACES68.names), 2))
        state = np.full(points.shape[:2], VISIBLE, np.uint8)
        for row, file in enumerate(files):
            points[row] = read_pts(file, len(FACES68.names)) - 1
            check_numbers(points[row], state[row], str(file))
        finder = Images(self._root)
        images = [_picture(file, self._root, finder) for file in files]
        names = [image.relative_to(self._root).as_posix() for image in images]
        table = from_rows(images, names, points, state=state, rows=range(len(files)))
        return table.noting(Finding("note", SHIFTED, len(table)), *finder.findings(), *self._incomplete(part))

    def _incomplete(self, part: str) -> list[Finding]:
        return [
            Finding("warning", f"{name}: {len(self._found[part][name])} pictures; the published set has {count}")
            for name, count in self._folders[part].items()
            if len(self._found[part][name]) != count
        ]


def _mirrored(file: Path) -> bool:
    return file.stem.endswith("_mirror")


def _picture(file: Path, root: Path, images: Images) -> Path:
    """Return the picture beside a .pts file; where none is there, what it should be, which the data check reports.

    A picture whose name differs in case or Unicode form alone is taken with a warning.
    """
    exact = next((file.with_suffix(end) for end in IMAGES if file.with_suffix(end).is_file()), None)
    if exact is not None:
        return exact
    stem = file.with_suffix("").relative_to(root).as_posix()
    others = (images.path(images.name(f"{stem}{end}", str(file))) for end in IMAGES)
    return next((path for path in others if path.is_file()), file.with_suffix(".jpg"))
