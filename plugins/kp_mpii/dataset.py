"""MPII Human Pose (Andriluka et al., CVPR 2014) as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from kp_mpii.downloads import DOWNLOADS
from kp_mpii.layouts import choose, open_source
from kp_mpii.readers import Table
from kp_mpii.skeleton import MPII
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Download, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.paths import Images
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample

TERMS = "free for research, no commercial use: its authors do not hold the images' copyright (the data set's page)"
HOLDS = "images/ and MPII's annotation"


class Mpii(Dataset):
    """People of MPII, from any of its four layouts; images lie in ``root/images``.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, holds no annotation, or the settings do not go together.
    """

    root_variable: ClassVar[str] = "KP_MPII_ROOT"
    """Environment variable that names the root where the configuration does not."""
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("annot", "mpii_human_pose*", "mpii_annotations.json"),
        (
            "annot/train.h5",
            "annot/train.json",
            "mpii_annotations.json",
            "mpii_human_pose_v1_u12_1.mat",
            "mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat",
        ),
    )
    """What a folder of this layout holds and others do not."""
    default_skeleton: ClassVar[Skeleton | None] = MPII
    """MPII's 16 joints, known without its files."""
    downloads: ClassVar[tuple[Download, ...]] = DOWNLOADS
    """Images and the official ``.mat``."""

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
        self._images = Images(self._root / "images", self._root)
        listed = Path(valid_list).expanduser() if valid_list else None
        self._source = open_source(self._layout, self._root, files, listed, held_out)
        self._list = list
        self._tables: dict[str, Table] = {}
        self._samples: dict[str, tuple[Sample, ...]] = {}

    @property
    def facts(self) -> Facts:
        """MPII's 16 joints; train lists of MPII differ by 3,679 people; all four layouts carry Matlab's pixels."""
        return Facts(
            label="MPII",
            skeleton=MPII,
            parts=self._source.parts,
            normaliser="0.6 x head-box diagonal",
            default_metric="pckh",
            list_name=self._list or self._source.list_name,
            origin=1,
            terms=TERMS,
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's people, read once and kept."""
        if part not in self._samples:
            table = self._table(part)
            with np.errstate(invalid="ignore", over="ignore"):
                self._samples[part] = _samples(table, self._images)
        return self._samples[part]

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader did and left out."""
        return self._table(part).findings

    def _table(self, part: str) -> Table:
        if part not in self.parts:
            raise unknown("part", part, self.parts, where=f"{self._root} ({self._layout} annotation)")
        if part not in self._tables:
            with np.errstate(invalid="ignore", over="ignore"):  # the data check reports impossible numbers
                table = self._source.table(part)
            self._tables[part] = self._without_leak(table) if part == "train" and self._leaves_out else table
        return self._tables[part]

    @property
    def _leaves_out(self) -> bool:
        """Whether the files have people of validation images in train, and list hrnet does not."""
        return self._list == "hrnet" and self._layout in ("newell", "mat")

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


def _samples(table: Table, images: Images) -> tuple[Sample, ...]:
    points = np.where(table.state[..., None] > 0, table.points, np.nan).astype(np.float32)
    centres, paths = table.centres.astype(np.float32), {name: images.path(name) for name in set(table.images)}
    return tuple(
        Sample(
            image=paths[table.images[i]], points=points[i], state=table.state[i], centre=centres[i], side=side,
            normaliser=head, image_id=table.images[i], person_id=table.person_ids[i], row=row,
        )
        for i, (side, head, row) in enumerate(
            zip(table.sides.tolist(), table.head_sizes.tolist(), table.rows.tolist(), strict=True)
        )
    )  # fmt: skip
