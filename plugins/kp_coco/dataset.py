"""Keypoints in COCO's format (Lin et al., ECCV 2014; cocodataset.org, "Data format"), of any category."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from kp_coco.categories import Wanted
from kp_coco.columns import Table
from kp_coco.crops import crops, samples_of
from kp_coco.downloads import DOWNLOADS
from kp_coco.folders import Listed, below, found_lists, image_folder, known, nothing_there
from kp_coco.near import near
from kp_coco.reader import read
from kp_coco.skeleton import COCO, build
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Download, Facts, Finding, Near
from kpcore.keypoints import Skeleton
from kpcore.reading.held_out import held_names, undivided
from kpcore.reading.paths import Images
from kpcore.reading.roots import existing_root, inside
from kpcore.reading.spelling import pairs_told, respelled
from kpcore.samples import Sample

HOLDS = "annotations/ and folders of images"
FORMAT = "COCO format"
"""What results call data that is laid out like COCO's and is not of a published data set."""
USUAL = {
    "train": ("annotations/person_keypoints_train2017.json", "train2017"),
    "valid": ("annotations/person_keypoints_val2017.json", "val2017"),
}
"""COCO's own files and folders of images."""


class Coco(Dataset):
    """People, animals or things of one category or several, from annotation files in COCO's format.

    Files and folders of images are found without options where COCO, AP-10K (split 1), CrowdPose or CVAT's export
    (``annotations/person_keypoints_default.json`` beside ``images/``) puts them; any others are named by options.

    The skeleton is the file's: names are kept, and mirror partners and groups are read off them (``left_wrist``,
    ``L_Eye``, ``front_left_paw``). Several categories are read together where that is asked for and their keypoints are
    the same, in the same order. Coordinates are 0-based in the files already; those of unlabelled keypoints are not
    read. Crowd regions, boxes without keypoints and people without a labelled keypoint are left out. The crop is a
    square around the box's centre, 1.25 times its larger side, wider only where a labelled keypoint would be outside.
    The normaliser is the square root of the segment's area as the file states it; where it states none, 0.53 times the
    box's area is taken, and a finding says so.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, or holds no such annotation, or one that is damaged; an annotation
            names an image or a category that is not there; several categories have keypoints and none is asked for.
    """

    root_variable: ClassVar[str] = "KP_COCO_ROOT"
    """Environment variable that names the root where the configuration does not."""
    default_skeleton: ClassVar[Skeleton | None] = COCO
    """COCO's 17 keypoints of a person, known without its files."""
    downloads: ClassVar[tuple[Download, ...]] = DOWNLOADS
    """COCO's own, of 2017."""

    class Config(ComponentConfig):
        """``[dataset] name = "coco"``."""

        root: str | None = Field(default=None, description="folder that the paths below start from; else KP_COCO_ROOT")
        train_annotations: str | None = Field(
            default=None,
            description="annotation file of part 'train'; where neither part's is named, those of COCO, AP-10K (split"
            " 1), CrowdPose or CVAT in their usual places",
        )
        valid_annotations: str | None = Field(
            default=None,
            description="annotation file of part 'valid'; likewise",
        )
        train_images: str | None = Field(
            default=None, description="folder of the images of train_annotations; the layout's where absent"
        )
        valid_images: str | None = Field(
            default=None, description="folder of the images of valid_annotations; the layout's where absent"
        )
        category: str | int | list[str | int] | None = Field(
            default=None,
            description='name or id of the category, or a list of them with the same keypoints, or "all"; where absent,'
            " the only one with keypoints",
        )
        mirrors: dict[str, str] = Field(
            default_factory=dict, description="mirror partners that the names do not tell, each pair once, one way"
        )
        held_out: float | None = Field(
            default=None,
            gt=0,
            lt=1,
            description="for data with one file: hold out this share of train_annotations' images, drawn by a hash of"
            " their names, as part 'valid', and read no valid_annotations",
        )

    def __init__(
        self,
        *,
        root: str | None,
        train_annotations: str | None,
        valid_annotations: str | None,
        train_images: str | None,
        valid_images: str | None,
        category: Wanted,
        mirrors: dict[str, str],
        held_out: float | None,
    ) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._held_out = held_out
        self._category = category
        self._mirrors = dict(mirrors)
        named = {"train": (train_annotations, train_images), "valid": (valid_annotations, valid_images)}
        self._files = self._found(named if held_out is None else {"train": named["train"]})
        self._names: dict[str, Images] = {}
        self._tables: dict[str, Table] = {}
        self._samples: dict[str, tuple[Sample, ...]] = {}
        smallest = min(self._files, key=lambda part: self._files[part][0].stat().st_size)
        self._skeleton = self._skeleton_of(self._table(smallest), self._files[smallest][0])

    def _found(self, named: dict[str, tuple[str | None, str | None]]) -> dict[str, tuple[Path, str | None]]:
        """Return part -> annotation file and the folder of images that was named, of the files that exist.

        Raises:
            KpError: none does, or several layouts are there.
        """
        layout = {} if any(file for file, _ in named.values()) else found_lists(self._root)
        files = {
            part: (self._named(part, file or (layout[part].path if part in layout else USUAL[part][0])), folder)
            for part, (file, folder) in named.items()
        }
        there = {part: paths for part, paths in files.items() if paths[0].is_file()}
        if not there:
            raise nothing_there(self._root, [path for path, _ in files.values()])
        return there if self._held_out is None else dict.fromkeys(("train", "valid"), there["train"])

    def _named(self, part: str, file: str) -> Path:
        return inside(self._root, file, f"dataset.{part}_annotations")

    @property
    def facts(self) -> Facts:
        """What the layout, the category and the share held out make of it."""
        return Facts(
            label=self._label(),
            skeleton=self._skeleton,
            parts=tuple(self._files),
            normaliser="square root of the segment's area",
            default_metric="oks",
            list_name=self._list_name(),
        )

    def _label(self) -> str:
        """Return the published data set's name where the files are its own, and what is read unless it is people."""
        listed = self._listed()
        title = listed.layout.title if listed else FORMAT
        if title == "COCO" and self._skeleton.names != COCO.names:
            title = FORMAT
        category = next(iter(self._tables.values())).category.title
        return title if title != FORMAT and category == "person" else f"{title}, {category}"

    def _listed(self) -> Listed | None:
        """Return what the place of the first part's file says of it."""
        path, _ = next(iter(self._files.values()))
        return known(below(self._root, path))

    def _list_name(self) -> str:
        listed, share = self._listed(), self._held_out
        name = listed.list_name if listed else ""
        held = "" if share is None else f"{share:g} of the images held out by name hash"
        return ", ".join(filter(None, (name, held)))

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's people, read once and kept."""
        if part not in self._samples:
            table = self._table(part)
            self._samples[part] = samples_of(table, self._images(part))
        return self._samples[part]

    def _images(self, part: str) -> Images:
        if part not in self._names:
            self._names[part] = Images(self._folder(part), self._root)
        return self._names[part]

    def _folder(self, part: str) -> Path:
        """Return the folder of a part's images."""
        file, named = self._files[part]
        if named is not None:
            return inside(self._root, named, f"dataset.{part if self._held_out is None else 'train'}_images")
        own = part if self._held_out is None else "train"
        return image_folder(self._root, below(self._root, file), USUAL[own][1])

    @classmethod
    def near(cls, root: Path) -> Near | None:
        """Return options for files of this format in other places."""
        return near(root)

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader left out or derived, crops that were widened, and a file that cannot be divided."""
        table = self._table(part)
        _, wide = crops(table)
        first = np.flatnonzero(wide)[:1]
        return (
            *self._images(part).findings(),
            *table.findings,
            *(Finding("note", f"crop widened to hold labelled keypoints outside 1.25 x the box (first: "
                      f"{table.images[i]}, row {table.rows[i]})", int(wide.sum())) for i in first),
            *(Finding("warning", why) for why in [self._held_out and undivided(self._divided)] if why),
        )  # fmt: skip

    def _table(self, part: str) -> Table:
        if part not in self._files:
            raise unknown("part", part, self.parts, where=str(self._root))
        if part not in self._tables:
            table = read(self._files[part][0], self._category, self._wanted(part), self._images(part))
            self._same_category(table, self._files[part][0])
            self._tables[part] = table
        return self._tables[part]

    def _wanted(self, part: str) -> Callable[[str], bool]:
        share = self._held_out
        if share is None:
            return lambda name: True
        return lambda name: (name in self._held) == (part == "valid")

    @cached_property
    def _divided(self) -> frozenset[str]:
        """Images of the one file on which somebody is labelled."""
        return frozenset(read(self._files["train"][0], self._category, lambda name: True, self._images("train")).images)

    @cached_property
    def _held(self) -> frozenset[str]:
        return held_names(self._divided, self._held_out or 0)

    def _same_category(self, table: Table, file: Path) -> None:
        by_id = any(
            isinstance(one, int) for one in (self._category if isinstance(self._category, list) else [self._category])
        )
        for part, other in self._tables.items():
            if by_id and other.category.title != table.category.title:
                raise KpError(
                    f"{file}: dataset.category = {self._category} is '{table.category.title}' there and"
                    f" '{other.category.title}' in {self._files[part][0]}; ask by name"
                )
            if other.category.names != table.category.names:
                raise _differing(table.category.names, other.category.names, file, self._files[part][0])

    def _skeleton_of(self, table: Table, file: Path) -> Skeleton:
        names, edges = table.category.names, table.category.edges
        title = COCO.name if names == COCO.names else table.category.title
        return build(title, names, edges, self._mirrors, where=str(file))


def _differing(ours: Sequence[str], theirs: Sequence[str], file: Path, other: Path) -> KpError:
    """Return the error for two files with other keypoints; says so where it is their spelling alone."""
    pairs = respelled(ours, theirs)
    spelled = f"; one name in two spellings: {pairs_told(pairs)}; write one of them in both files" if pairs else ""
    return KpError(
        f"{file}: keypoints {', '.join(ours)} are not those of {other} ({', '.join(theirs)}); both parts need the same,"
        f" in the same order{spelled}"
    )
