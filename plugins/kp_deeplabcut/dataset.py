"""The data set ``deeplabcut``: labelled frames of a DeepLabCut project (Mathis et al., Nature Neuroscience 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from kp_deeplabcut.crops import LEAST, image_box, length_of, points_box
from kp_deeplabcut.folder import Row, annotation_files, rows_of
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.held_out import held_names, undivided
from kpcore.reading.roots import existing_root
from kpcore.reading.skeletons import sided_keypoints, told_groups, told_partners
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, VISIBLE

PARTS = ("train", "valid")
HOLDS = "labeled-data/ or CollectedData*.csv"
Crop = Literal["points", "image"]

MANY_GUESSED = 0.2
"""Share of the frames without a length of their own from which that is a warning."""


class DeepLabCut(Dataset):
    """Frames of a project (``labeled-data/VIDEO/CollectedData_SCORER.csv``) or of a folder with one such file.

    One sample per frame and individual that has any label. Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, it is not of this layout, or an option names what is not there.
    """

    root_variable: ClassVar[str] = "KP_DEEPLABCUT_ROOT"
    """Environment variable that names the root where the configuration does not."""
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("labeled-data", "CollectedData*.csv", "CollectedData*.h5"),
        (
            "labeled-data/*/CollectedData*.csv",
            "labeled-data/*/CollectedData*.h5",
            "CollectedData*.csv",
            "CollectedData*.h5",
        ),
    )
    """What a folder of this layout holds and others do not."""

    class Config(ComponentConfig):
        """``[dataset] name = "deeplabcut"``."""

        root: str | None = Field(
            default=None, description="project, or folder with CollectedData*.csv; KP_DEEPLABCUT_ROOT where absent"
        )
        scorer: str | None = Field(
            default=None, description="whose labels, where a folder has CollectedData_SCORER of several"
        )
        held_out: float = Field(
            default=0.2, gt=0, lt=1, description="share of the images that is scored, by a hash of the image's name"
        )
        valid_videos: list[str] | None = Field(
            default=None,
            description="videos that are scored, in place of held_out: frames of one video resemble each other",
        )
        crop: Crop | None = Field(
            default=None,
            description="'image': the whole frame; 'points': the box of the labelled points; where absent the image for"
            " files of one animal, the points for several individuals",
        )
        factor: float = Field(default=1.5, ge=1, le=10, description="crop side over the labelled box's longer side")
        normaliser: tuple[str, str] | None = Field(
            default=None, description="two bodyparts whose distance errors are divided by; the box's diagonal if absent"
        )
        mirrors: dict[str, str] | None = Field(
            default=None, description="left bodypart -> right one; where absent, by names: left/right, l_/r_, earL/earR"
        )
        groups: dict[str, list[str]] = Field(default={}, description="group -> its bodyparts, for columns and splits")
        edges: list[tuple[str, str]] = Field(default=[], description="pairs of bodyparts that drawings join")

    def __init__(
        self, *, root: str | None, scorer: str | None, held_out: float, valid_videos: list[str] | None,
        crop: Crop | None, factor: float, normaliser: tuple[str, str] | None, mirrors: dict[str, str] | None,
        groups: dict[str, list[str]], edges: list[tuple[str, str]],
    ) -> None:  # fmt: skip
        self._root = existing_root(root, self.root_variable, HOLDS)
        bodyparts, self._all, self._named = rows_of(self._root, annotation_files(self._root, scorer))
        self._skeleton = _skeleton(bodyparts, mirrors, groups, edges)
        self._held_out = held_out
        self._videos = self._known_videos(valid_videos)
        self._crop: Crop = crop or ("points" if any(row.individual for row in self._all) else "image")
        self._factor = factor
        where = f"{self._root}, normaliser"
        self._ends = None if normaliser is None else self._skeleton.pair(normaliser, where=where)
        self._lengths = self._measured()
        self._samples: dict[str, tuple[Sample, ...]] = {}

    @property
    def facts(self) -> Facts:
        """The bodyparts in the file's order; DeepLabCut counts pixels from 0."""
        return Facts(
            label="DeepLabCut",
            skeleton=self._skeleton,
            parts=PARTS,
            normaliser=self._length_name,
            default_metric="pck",
        )

    @property
    def _length_name(self) -> str:
        if self._ends is None:
            return "diagonal of the labelled points' box"
        return f"distance from {self._ends[0]} to {self._ends[1]}"

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's animals, read once and kept.

        Raises:
            KpError: the part does not exist, or an image whose size is needed cannot be read.
        """
        if part not in self._samples:
            self._samples[part] = tuple(self._sample(row) for row in self._rows(part) if _labelled(row))
        return self._samples[part]

    def findings(self, part: str) -> Sequence[Finding]:
        """Return how the part was made, and what was left out or guessed."""
        rows = self._rows(part)
        kept = [row for row in rows if _labelled(row)]
        how = "whole videos" if self._videos is not None else f"{self._held_out:g} of the images, drawn by their names"
        found = [*self._named, Finding("note", f"'valid' is {how}; a crop is the box of the {self._crop}")]
        if self._videos is None and kept:
            found.append(Finding("note", self._divided_videos))
        if self._videos is None:
            found += [Finding("warning", why) for why in [undivided(self._divided)] if why]
        if left := [row for row in rows if not _labelled(row)]:
            found.append(Finding("warning", f"{left[0].name}: no bodypart is labelled, left out", len(left)))
        if guessed := [row for row in kept if not self._lengths[row.number] >= LEAST]:
            what = f"{guessed[0].name}: no {self._length_name}; the data's median is taken"
            many = len(guessed) > MANY_GUESSED * len(kept)
            found.append(Finding("warning" if many else "note", what, len(guessed)))
        return found

    @property
    def _divided_videos(self) -> str:
        """What it means that frames are divided, not videos."""
        if len({row.video for row in self._all if _labelled(row)}) > 1:
            return "neighbouring frames of a video may be in both parts; valid_videos holds out whole ones"
        return (
            "all frames are in one folder, as those of one video are: scores are for that video alone; label another"
            " one, and hold it out by valid_videos"
        )

    def _measured(self) -> list[float]:
        """Return everybody's own length, px; NaN where it cannot be measured.

        Raises:
            KpError: the option names no bodypart, or nobody has both.
        """
        places = [self._skeleton.index(name) for name in self._ends] if self._ends else None
        lengths = [length_of(row.points, places) for row in self._all]
        if self._ends and not any(length >= LEAST for length in lengths):
            raise KpError(f"{self._root}: no frame has both {' and '.join(self._ends)} labelled apart; name two others")
        return lengths

    def _known_videos(self, named: list[str] | None) -> set[str] | None:
        if named is None:
            return None
        exist = list(dict.fromkeys(row.video for row in self._all))
        for video in named:
            if video not in exist:
                raise unknown("video", video, exist, where=f"{self._root}, valid_videos")
        return set(named)

    def _rows(self, part: str) -> list[Row]:
        if part not in PARTS:
            raise unknown("part", part, PARTS, where=f"{self._root} ({self.label})")
        return [row for row in self._all if self._held(row) == (part == "valid")]

    def _held(self, row: Row) -> bool:
        if self._videos is not None:
            return row.video in self._videos
        return row.name in self._held_names

    @cached_property
    def _held_names(self) -> frozenset[str]:
        return held_names(self._divided, self._held_out)

    @property
    def _divided(self) -> set[str]:
        """Frames on which somebody is labelled."""
        return {row.name for row in self._all if _labelled(row)}

    def _sample(self, row: Row) -> Sample:
        centre, side = image_box(row.image) if self._crop == "image" else points_box(row.points, self._factor)
        return Sample(
            image=row.image,
            points=row.points.astype(np.float32),
            state=np.where(np.isnan(row.points[:, 0]), UNLABELLED, VISIBLE).astype(np.uint8),
            centre=centre.astype(np.float32),
            side=side,
            normaliser=self._length(row, side),
            image_id=row.name,
            person_id=row.individual or "0",
            row=row.number,
        )

    def _length(self, row: Row, side: float) -> float:
        """Return the row's own length, else the data's median, else the crop's side."""
        own = self._lengths[row.number]
        if own >= LEAST:
            return own
        known = [length for length in self._lengths if length >= LEAST]
        return float(np.median(known)) if known else side


def _skeleton(
    bodyparts: Sequence[str],
    mirrors: Mapping[str, str] | None,
    groups: Mapping[str, Sequence[str]],
    edges: Sequence[tuple[str, str]],
) -> Skeleton:
    """Return the skeleton; mirrors by name where they are None."""
    partners = None if mirrors is None else told_partners(bodyparts, mirrors, "dataset.mirrors")
    points = sided_keypoints(bodyparts, told_groups(bodyparts, groups, "dataset.groups"), partners)
    return Skeleton("deeplabcut", points, tuple(edges))


def _labelled(row: Row) -> bool:
    return bool(np.isfinite(row.points).any())
