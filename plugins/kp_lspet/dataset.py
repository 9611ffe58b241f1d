"""Leeds Sports Poses (Johnson, Everingham, BMVC 2010) and LSP extended (CVPR 2011) as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from kp_lspet.reader import Joints, read_joints
from kp_lspet.skeleton import LSP, TORSO
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.held_out import held_names, undivided
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, Float64Array

HOLDS = "images/ and joints.mat"
CROP = 1.25
"""The crop's side over the longer side of the box of the labelled joints."""
SMALLEST = 32.0
"""The crop's side at least, px."""
TRAINED = 1000
"""LSP's first 1,000 people are for training, the others for testing."""
TORSO_SHARE = 0.2
"""Torso over crop side, where no diagonal of the torso is labelled or all are shorter than a pixel."""


class Lspet(Dataset):
    """People of LSP or LSP extended: ``images/imNNNN.jpg`` and ``joints.mat`` in the root, one person an image.

    The normaliser is the torso's longer diagonal (shoulder to the hip across), as in LSP's PCK.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, or it is not of this layout.
    """

    root_variable: ClassVar[str] = "KP_LSPET_ROOT"
    """Environment variable that names the root where the configuration does not."""
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (("joints.mat",), ("images/im0001.jpg", "images/im00001.jpg"))
    """What a folder of this layout holds and others do not."""
    default_skeleton: ClassVar[Skeleton | None] = LSP
    """The 14 joints, known without files."""

    class Config(ComponentConfig):
        """``[dataset] name = "lspet"``."""

        root: str | None = Field(
            default=None, description="folder with images/ and joints.mat; KP_LSPET_ROOT where absent"
        )
        held_out: float = Field(
            default=0.1,
            gt=0,
            lt=1,
            description="LSP extended has no test set: this share of it is scored, by a hash of the image's name; LSP"
            " has one",
        )

    def __init__(self, *, root: str | None, held_out: float) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._file = self._root / "joints.mat"
        self._joints = read_joints(self._file)
        self._held_out = held_out
        self._images = _images(self._root / "images", len(self._joints.points))
        self._samples: dict[str, tuple[Sample, ...]] = {}

    @property
    def facts(self) -> Facts:
        """LSP or LSP extended, by the array's layout; Matlab's pixels."""
        return Facts(
            label="LSP extended" if self._joints.extended else "LSP",
            skeleton=LSP,
            parts=("train", "valid"),
            normaliser="longer diagonal of the torso, shoulder to hip",
            default_metric="pck",
            origin=1,
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's people, read once and kept."""
        if part not in self._samples:
            rows = self._rows(part)
            self._samples[part] = tuple(self._sample(row) for row in rows if self._labelled(row))
        return self._samples[part]

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader did and left out."""
        rows = self._rows(part)
        found = [Finding("note", "joints.mat counts pixels from 1: shifted to 0", len(rows))]
        if self._joints.extended:
            found.append(Finding("note", f"no test set: {self._held_out:g} of the images are 'valid', by their names"))
            found += [Finding("warning", why) for why in [undivided(self._divided)] if why]
        else:
            found.append(Finding("note", "the third number of a joint is not read: all joints are labelled in LSP"))
        if empty := [row for row in rows if not self._labelled(row)]:
            found.append(Finding("warning", f"row {empty[0]}: no joint is labelled, left out", len(empty)))
        if self._joints.dropped:
            found.append(
                Finding("warning", "joints at no possible place (all parts), taken as unlabelled", self._joints.dropped)
            )
        if guessed := [row for row in rows if self._labelled(row) and _torso(self._joints.points[row]) < 1]:
            what = f"row {guessed[0]}: no torso to measure, taken as {TORSO_SHARE:g} of the crop's side"
            found.append(Finding("warning", what, len(guessed)))
        return found

    def _rows(self, part: str) -> list[int]:
        if part not in self.parts:
            raise unknown("part", part, self.parts, where=f"{self._root} ({self.label})")
        held = [self._held(row) for row in range(len(self._images))]
        return [row for row, out in enumerate(held) if out == (part == "valid")]

    def _held(self, row: int) -> bool:
        if not self._joints.extended:
            return row >= TRAINED
        return self._images[row].name in self._held_names

    @cached_property
    def _held_names(self) -> frozenset[str]:
        return held_names(self._divided, self._held_out)

    @property
    def _divided(self) -> set[str]:
        """Images on which somebody is labelled."""
        return {image.name for row, image in enumerate(self._images) if self._labelled(row)}

    def _labelled(self, row: int) -> bool:
        return bool((self._joints.state[row] != UNLABELLED).any())

    def _sample(self, row: int) -> Sample:
        joints: Joints = self._joints
        points = joints.points[row]
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        side = max(SMALLEST, CROP * float((high - low).max()))
        torso = _torso(points)
        return Sample(
            image=self._images[row],
            points=points.astype(np.float32),
            state=joints.state[row],
            centre=((low + high) / 2).astype(np.float32),
            side=side,
            normaliser=torso if torso >= 1 else TORSO_SHARE * side,
            image_id=self._images[row].name,
            person_id="0",
            row=row,
        )


def _torso(points: Float64Array) -> float:
    """Return the longer labelled diagonal of the torso, px; 0 where none is labelled."""
    lengths = [float(np.linalg.norm(points[LSP.index(shoulder)] - points[LSP.index(hip)])) for shoulder, hip in TORSO]
    return max((length for length in lengths if np.isfinite(length)), default=0.0)


def _images(folder: Path, people: int) -> list[Path]:
    """Return the images in order; the n-th row is of ``imNNNN.jpg`` (LSP) or ``imNNNNN.jpg`` (extended), from 1.

    Raises:
        KpError: the folder is missing, or holds no image of the first row.
    """
    if not folder.is_dir():
        raise KpError(f"{folder}: no such folder; LSP's root holds images/ beside joints.mat")
    digits = next((digits for digits in (5, 4) if (folder / f"im{1:0{digits}}.jpg").is_file()), None)
    if digits is None:
        raise KpError(f"{folder}: neither im00001.jpg nor im0001.jpg is there; row 1 of joints.mat is of that image")
    return [folder / f"im{row:0{digits}}.jpg" for row in range(1, people + 1)]
