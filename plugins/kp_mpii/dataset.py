"""MPII Human Pose (Andriluka et al., CVPR 2014) as a data set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from kp_mpii.layouts import choose, open_source
from kp_mpii.readers import Table
from kp_mpii.skeleton import MPII
from kpcore.cache import content_key
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample

FORMAT = 1
"""Raised whenever the same files would give other samples."""
HOLDS = "images/ and MPII's annotation"


class Mpii(Dataset):
    """People of MPII, from any of its four layouts; images lie in ``root/images``.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, holds no annotation, or the settings do not go together.
    """

    root_variable: ClassVar[str] = "KP_MPII_ROOT"
    """Environment variable that names the root where the configuration does not."""
    default_skeleton: ClassVar[Skeleton | None] = MPII
    """MPII's 16 joints, known without its files."""

    class Config(ComponentConfig):
        """``[dataset] name = "mpii"``."""

        root: str | None = Field(
            default=None, description="folder with images/ and the annotation; KP_MPII_ROOT where absent"
        )
        annotations: Literal["newell", "hrnet", "pytorch_pose", "mat"] | None = Field(
            default=None, description="layout of the annotation; found by its files where absent, in this order"
        )
        list: Literal["newell", "hrnet"] | None = Field(
            default=None,
            description="train list: 'newell' (25,925 people) keeps other people of validation images in train, 'hrnet'"
            " (22,246) leaves them out; the annotation's own where absent",
        )
        valid_list: str | None = Field(
            default=None, description="for the .mat: Newell's valid.h5 or valid_images.txt, or HRNet's valid.json"
        )
        held_out: float = Field(
            default=0.1, gt=0, lt=1, description="for the .mat without valid_list: share of images held out"
        )

    def __init__(
        self,
        *,
        root: str | None,
        annotations: str | None,
        list: str | None,
        valid_list: str | None,
        held_out: float,
    ) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._layout, files = choose(self._root, annotations)
        _check_settings(self._layout, list, valid_list)
        self._source = open_source(self._layout, files, Path(valid_list).expanduser() if valid_list else None, held_out)
        self._list = list
        self._tables: dict[str, Table] = {}
        self._samples: dict[str, tuple[Sample, ...]] = {}

    @property
    def skeleton(self) -> Skeleton:
        """MPII's 16 joints."""
        return MPII

    @property
    def label(self) -> str:
        """The data set's name."""
        return "MPII"

    @property
    def list_name(self) -> str:
        """Which train list is read; train lists of MPII differ by 3,679 people."""
        return self._list or self._source.list_name

    @property
    def parts(self) -> tuple[str, ...]:
        """Those of "train" and "valid" that the files hold."""
        return self._source.parts

    @property
    def normaliser(self) -> str:
        """PCKh's head size."""
        return "0.6 x head-box diagonal"

    @property
    def default_metric(self) -> str:
        """PCKh."""
        return "pckh"

    @property
    def origin(self) -> int:
        """1: all four layouts carry Matlab's pixels."""
        return 1

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's people, read once and kept."""
        if part not in self._samples:
            table = self._table(part)
            with np.errstate(invalid="ignore", over="ignore"):
                self._samples[part] = _samples(table, self._root / "images")
        return self._samples[part]

    def fingerprint(self, part: str) -> str:
        """Return a digest of annotation bytes, image names and sizes, and the settings that make the part."""
        images = sorted(set(self._table(part).images))
        sizes = _file_sizes(self._root / "images")
        files = [path for each in self._depends(part) for path in self._source.files(each)]
        return content_key(
            {
                "format": FORMAT,
                "part": part,
                "layout": self._layout,
                "list": self.label,
                "annotation": [hashlib.sha256(path.read_bytes()).hexdigest() for path in files],
                "images": [[name, sizes.get(name)] for name in images],
            }
        )

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader did and left out."""
        return self._table(part).findings

    def _table(self, part: str) -> Table:
        if part not in self.parts:
            raise unknown("part", part, self.parts, where=f"{self._root} ({self._layout} annotation)")
        if part not in self._tables:
            with np.errstate(invalid="ignore", over="ignore"):  # the data check reports impossible numbers
                table = self._source.table(part)
            self._tables[part] = self._without_leak(table) if len(self._depends(part)) > 1 else table
        return self._tables[part]

    def _depends(self, part: str) -> tuple[str, ...]:
        """Parts that a part is made from: HRNet's train list leaves out the images of validation."""
        leaves_out = self._list == "hrnet" and self._layout in ("newell", "mat")
        return ("train", "valid") if part == "train" and leaves_out else (part,)

    def _without_leak(self, train: Table) -> Table:
        validation = set(self._table("valid").images)
        keep = np.array([image not in validation for image in train.images], bool)
        what = "other people of validation images left out of train (list hrnet)"
        return train.where(keep, Finding("note", what, int((~keep).sum())))


def _check_settings(layout: str, train_list: str | None, valid_list: str | None) -> None:
    if valid_list and layout != "mat":
        raise KpError(f"dataset.valid_list: the {layout} annotation says itself who is validation; remove valid_list")
    if valid_list and not Path(valid_list).expanduser().is_file():
        raise KpError(f"dataset.valid_list: {valid_list} is not a file; give valid.h5, valid.json or valid_images.txt")
    if train_list == "newell" and layout in ("hrnet", "pytorch_pose"):
        raise KpError(f"dataset.list: the {layout} annotation holds list hrnet, which is shorter; remove list")
    if train_list and layout == "mat" and not valid_list:
        raise KpError(f"dataset.list: list {train_list} needs dataset.valid_list, a file that lists validation people")


def _samples(table: Table, images: Path) -> tuple[Sample, ...]:
    points = np.where(table.state[..., None] > 0, table.points, np.nan).astype(np.float32)
    centres, paths = table.centres.astype(np.float32), {name: images / name for name in set(table.images)}
    return tuple(
        Sample(
            image=paths[table.images[i]], points=points[i], state=table.state[i], centre=centres[i], side=side,
            normaliser=head, image_id=table.images[i], person_id=table.person_ids[i], row=row,
        )
        for i, (side, head, row) in enumerate(
            zip(table.sides.tolist(), table.head_sizes.tolist(), table.rows.tolist(), strict=True)
        )
    )  # fmt: skip


def _file_sizes(folder: Path) -> dict[str, int]:
    """File name -> bytes; empty where the folder is missing, which the data check reports."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
