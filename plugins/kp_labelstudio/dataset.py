"""The data set ``labelstudio``: keypoints labelled in Label Studio, and the pictures beside the export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from kp_labelstudio.export import is_list, read_export
from kp_labelstudio.grouping import corners, in_pixels
from kp_labelstudio.instances import Found, Several, Wanted, instances_of, only
from kp_labelstudio.matching import Pictures
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.boxes import crop_side, widened
from kpcore.reading.held_out import held_out as drawn
from kpcore.reading.roots import existing_root, inside
from kpcore.reading.shown import shown_size
from kpcore.reading.skeletons import sided_keypoints, told_groups, told_partners
from kpcore.reading.tally import Tally
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, VISIBLE

HOLDS = "one JSON export of Label Studio, and the pictures"
PARTS = ("train", "valid")
RESIZED = 0.02
"""Difference in shape up to which a picture was only resized, whole: rounding to pixels."""


class LabelStudio(Dataset):
    """A JSON (or JSON-MIN) export of Label Studio, and its pictures anywhere below the same folder.

    Keypoints are regions of ``KeyPointLabels`` (or ``KeyPoint`` with ``Labels``). Those of several instances of one
    picture are told apart by the rectangle that they were put under, are joined to by a relation, or lie in. Percent
    become pixels of the picture as it is, though it may have been resized since; where the task tells a size of another
    shape, of that, which the check of images then refuses. A task's picture is found by its base name, with the prefix
    that an upload gets or without it. Where a task has several annotations, the one marked as ground truth is read,
    else the ``last`` by its last change. A labelled keypoint counts as visible: Label Studio does not tell.

    Mirror partners and groups are read off names (:mod:`kpcore.reading.sides`), unless ``mirrors`` and ``groups`` say
    otherwise. The crop is the rectangle, widened to its keypoints, times ``margin``; the normaliser is that box's
    longer side.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, holds no such export or several, or one that is damaged.
    """

    root_variable: ClassVar[str] = "KP_LABELSTUDIO_ROOT"
    """Environment variable that names the root where the configuration does not."""
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (("project-*.json", "label_studio*.json", "label-studio*.json"),)
    """What a folder of this layout holds and others do not."""

    class Config(ComponentConfig):
        """``[dataset] name = "labelstudio"``."""

        root: str | None = Field(
            default=None, description="folder with the export and the pictures; KP_LABELSTUDIO_ROOT where absent"
        )
        annotation: str | None = Field(
            default=None, description="the export, in the root; where absent, the only JSON list there"
        )
        images: str = Field(default=".", description="folder in the root, below which pictures are looked for")
        field: str | None = Field(
            default=None, description="the task's text that names its picture; 'image', or the only one, where absent"
        )
        category: str | None = Field(
            default=None, description="label of the rectangles whose keypoints are read; all where absent"
        )
        keypoints: list[str] | None = Field(
            default=None, description="names that are read, in this order; all, as the file has them, where absent"
        )
        several: Several = Field(
            default="last", description="which annotation of a task is read, by its last change: 'last' or 'first'"
        )
        mirrors: dict[str, str] | None = Field(
            default=None, description="keypoint = its mirror partner, in place of what names say; {}: none"
        )
        groups: dict[str, list[str]] = Field(default={}, description="group = its keypoints, for columns and splits")
        margin: float = Field(default=1.25, ge=1, le=4, description="crop side over the longer side of the box")
        held_out: float = Field(
            default=0.2, gt=0, lt=1, description="share of the labelled images that is scored, by a hash of their names"
        )

    def __init__(
        self, *, root: str | None, annotation: str | None, images: str, field: str | None, category: str | None,
        keypoints: list[str] | None, several: Several, mirrors: dict[str, str] | None, groups: dict[str, list[str]],
        margin: float, held_out: float,
    ) -> None:  # fmt: skip
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._file = _annotation(self._root, annotation)
        self._images = inside(self._root, images, "dataset.images")
        self._margin = margin
        self._share = held_out
        self._tally = Tally()
        tasks = read_export(self._file)
        found = instances_of(tasks, Pictures(self._images), Wanted(field, category, several), self._tally)
        self._names = _names(found, keypoints, self._file, self._tally)
        self._found = only(found, self._names, self._tally)
        self._category = category
        self._guessed = mirrors is None
        self._skeleton = _skeleton(self._names, mirrors, groups)
        names = [one.image for one in self._found]
        self._held = dict(zip(names, drawn(names, held_out).tolist(), strict=True))
        self._samples: dict[str, tuple[Sample, ...]] = {}

    @property
    def facts(self) -> Facts:
        """The file's keypoints, under the folder's name; "valid" is held out."""
        return Facts(
            label=f"{self._root.resolve().name} (Label Studio)",
            skeleton=self._skeleton,
            parts=PARTS,
            normaliser="longer side of the box",
            default_metric="pck",
            list_name=f"{self._share:g} of the images held out by name hash",
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's instances, in the file's order, read once and kept."""
        if part not in self._samples:
            self._samples[part] = tuple(self._sample(one) for one in self._of(part))
        return self._samples[part]

    def findings(self, part: str) -> Sequence[Finding]:
        """Return how the part was made; with "train", also what of the file was left out and why."""
        found = [Finding("note", f"'valid' is {self._share:g} of the labelled images, drawn by their names")]
        found += self._of_sizes(part)
        if part == "train":
            found += [Finding(*line) for line in self._tally.lines()]
            found += [*self._of_pairs(), *self._of_boxes()]
        return found

    def _of_sizes(self, part: str) -> list[Finding]:
        bare = [one for one in self._of(part) if one.size is None]
        what = "no original_width and original_height: the picture's own size is taken"
        return [Finding("note", f"{what} (first: {bare[0].where})", len(bare))] if bare else []

    def _of_pairs(self) -> list[Finding]:
        points = self._skeleton.keypoints
        pairs = [(point.name, point.mirror) for point in points if point.mirror and point.name < point.mirror]
        told = ", ".join(f"{one} - {other}" for one, other in pairs)
        return [Finding("note", f"mirror partners by name: {told}", len(pairs))] if pairs and self._guessed else []

    def _of_boxes(self) -> list[Finding]:
        kinds = Counter(", ".join(one.box.labels) or "no label" for one in self._found if one.box)
        if self._category is not None or len(kinds) < 2:
            return []
        told = ", ".join(f"{name} {count}" for name, count in kinds.items())
        return [Finding("warning", f"rectangles of several labels are read as one kind ({told}); set dataset.category")]

    def _of(self, part: str) -> list[Found]:
        if part not in PARTS:
            raise unknown("part", part, PARTS, where=str(self._file))
        return [one for one in self._found if self._held[one.image] == (part == "valid")]

    def _sample(self, one: Found) -> Sample:
        size = _size(self._images / one.image, one.size)
        points = np.full((len(self._names), 2), np.nan, np.float32)
        state = np.full(len(self._names), UNLABELLED, np.uint8)
        for name, region in one.points.items():
            place = self._names.index(name)
            points[place], state[place] = in_pixels(region.place, size), VISIBLE
        box = None if one.box is None else np.array(corners(one.box, size), np.float64)
        centre, longer = widened(box, points, state)
        return Sample(
            image=self._images / one.image,
            points=points,
            state=state,
            centre=centre,
            side=crop_side(longer, self._margin),
            normaliser=max(1.0, longer),
            image_id=one.image,
            person_id=str(one.person),
            row=one.row,
            stated_size=size,
        )


def _size(picture: Path, stated: tuple[int, int] | None) -> tuple[int, int]:
    """Return the (width, height) that percent are of: the picture's, unless the task tells one of another shape.

    A picture that was resized whole keeps its percent.
    """
    try:
        width, height = shown_size(picture).size
    except KpError:  # which the check of images tells
        if stated is None:
            raise
        return stated
    if stated is not None and abs(stated[0] * height - stated[1] * width) > RESIZED * stated[0] * height:
        return stated
    return width, height


def _annotation(root: Path, name: str | None) -> Path:
    """Return the export: the named one, else the only JSON list in the root."""
    if name is not None:
        return inside(root, name, "dataset.annotation")
    found = sorted(path for path in root.glob("*.json") if path.is_file() and is_list(path))
    if len(found) != 1:
        what = f"several JSON lists ({', '.join(path.name for path in found[:5])})" if found else "no JSON list"
        raise KpError(f"{root}: {what}; an export of Label Studio is one; dataset.annotation names it")
    return found[0]


def _names(found: Sequence[Found], given: Sequence[str] | None, file: Path, tally: Tally) -> tuple[str, ...]:
    """Return the keypoints' names: the user's, else in the order in which the file first has them."""
    there = tuple(dict.fromkeys(name for one in found for name in one.points))
    for name in given or ():
        if name not in there:
            raise unknown("keypoint", name, there, where=f"{file}, dataset.keypoints")
    if not there:
        first = next((text for level, text, _ in tally.lines() if level == "error"), "no annotation has a keypoint")
        raise KpError(f"{file}: no instance with keypoints can be read; {first}")
    return tuple(given) if given is not None else there


def _skeleton(
    names: tuple[str, ...], mirrors: Mapping[str, str] | None, groups: Mapping[str, Sequence[str]]
) -> Skeleton:
    partners = None if mirrors is None else told_partners(names, mirrors, "dataset.mirrors")
    return Skeleton("labelstudio", sided_keypoints(names, told_groups(names, groups, "dataset.groups"), partners))
