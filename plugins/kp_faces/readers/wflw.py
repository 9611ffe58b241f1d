"""WFLW (Wu et al., CVPR 2018) as it is published: list files and a folder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from kp_faces.readers.faces import Faces
from kp_faces.readers.table import Table, check_numbers, from_rows
from kp_faces.skeletons import WFLW98
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.cells import number
from kpcore.reading.opening import read_text
from kpcore.reading.paths import Images
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample
from kpcore.tensors import VISIBLE, Float64Array

LISTS = "list_98pt_rect_attr_train_test"
FOLDERS = (LISTS, f"WFLW_annotations/{LISTS}", ".")
"""Where the list files may lie; the second is what the archives unpack to."""
FILES = {"train": "list_98pt_rect_attr_train.txt", "valid": "list_98pt_rect_attr_test.txt"}
IMAGES = "WFLW_images"
HOLDS = f"{LISTS}/{FILES['train']} and {IMAGES}/"
KIND = "WFLW's list file"
POINTS = 2 * 98
ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")
"""Six flags a line; each is also a subset of the test faces."""
FIELDS = POINTS + 4 + len(ATTRIBUTES) + 1
"""98 landmarks, the face's box, the flags, the picture's name."""
Subset = Literal["all", "pose", "expression", "illumination", "make-up", "occlusion", "blur"]


class Wflw(Dataset):
    """Faces of WFLW with 98 landmarks: 7,500 to train on, 2,500 to score.

    A line holds x and y of 98 landmarks, left, top, right and bottom of the face's box, six flags (pose, expression,
    illumination, make-up, occlusion, blur) and the picture's name below ``WFLW_images``. Coordinates are taken as
    0-based. Args: as the fields of ``Config``.

    Raises:
        KpError: no root, or no list files.
    """

    root_variable: ClassVar[str] = "KP_WFLW_ROOT"
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (
        (IMAGES,),
        tuple(f"{folder}/{FILES['train']}" for folder in FOLDERS),
    )
    """What a folder of this layout holds and others do not."""
    default_skeleton: ClassVar[Skeleton | None] = WFLW98

    class Config(ComponentConfig):
        """``[dataset] name = "wflw"``."""

        root: str | None = Field(
            default=None, description="folder with the lists and WFLW_images; KP_WFLW_ROOT where absent"
        )
        subset: Subset = Field(default="all", description="score all test faces, or those with this flag")
        crop: float = Field(
            default=1.25, ge=1, le=10, description="side of the crop over the longer side of the annotated box"
        )

    def __init__(self, *, root: str | None, subset: str, crop: float) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._subset = subset
        self._lists = find(self._root)
        self._faces = Faces(self._root, WFLW98, tuple(self._lists), self._read, crop, "inter_ocular")

    @property
    def facts(self) -> Facts:
        """Those parts whose list is there; inter-ocular, as WFLW has it."""
        return Facts(
            label="WFLW" if self._subset == "all" else f"WFLW ({self._subset})",
            skeleton=WFLW98,
            parts=tuple(self._lists),
            normaliser="distance of the outer eye corners",
            default_metric="nme",
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's faces, in the list's order."""
        return self._faces.samples(part)

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader left out or derived."""
        return self._faces.findings(part)

    def _read(self, part: str) -> Table:
        table, flags = self._listed(part)
        if part == "train" and "valid" in self._lists:
            return table.without_images(set(self._listed("valid")[0].image_ids))
        if part == "valid" and self._subset != "all":
            return table.where(flags[:, ATTRIBUTES.index(self._subset)] > 0)
        return table

    def _listed(self, part: str) -> tuple[Table, Float64Array]:
        return read(self._lists[part], Images(self._root / IMAGES, self._root))


def find(root: Path) -> dict[str, Path]:
    """Return part -> list file; raises KpError where the training list is not there."""
    for folder in FOLDERS:
        found = {part: path for part, name in FILES.items() if (path := root / folder / name).is_file()}
        if found:
            return found
    raise KpError(f"{root}: no {FILES['train']} in {' or '.join(FOLDERS)}; expected {HOLDS}")


def read(path: Path, images: Images) -> tuple[Table, Float64Array]:
    """Read a list file, whose pictures ``images`` finds.

    Returns:
        the faces, and their flags (N, 6).

    Raises:
        KpError: a line has another number of fields, or one is no number; with the line.
    """
    names, values = [], []
    for count, line in enumerate(read_text(path, KIND).splitlines(), 1):
        if line.strip():
            name, numbers = _line(line, f"{path}, line {count}", images)
            names.append(name)
            values.append(numbers)
    found = np.array(values, np.float64).reshape(len(names), FIELDS - 1)
    points = found[:, :POINTS].reshape(len(names), POINTS // 2, 2)
    state = np.full(points.shape[:2], VISIBLE, np.uint8)
    for row, one in enumerate(points):
        check_numbers(one, state[row], f"{path}, row {row} ({names[row]})")
    paths = [images.path(name) for name in names]
    boxes = found[:, POINTS : POINTS + 4]
    table = from_rows(paths, names, points, state=state, rows=range(len(names)), boxes=boxes)
    return table.noting(*images.findings()), found[:, POINTS + 4 :]


def _line(line: str, where: str, images: Images) -> tuple[str, list[float]]:
    words = line.split(None, FIELDS - 1)
    if len(words) != FIELDS or len(words[-1].split()) != 1:
        raise KpError(f"{where}: has {len(line.split())} fields; expected {FIELDS}: 98 x and y, box, 6 flags, name")
    return images.name(words[-1], where), [number(word, where) for word in words[:-1]]
