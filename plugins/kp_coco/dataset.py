"""Keypoints in COCO's format (Lin et al., ECCV 2014; cocodataset.org, "Data format"), of any category."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from kp_coco.crops import crops, samples_of
from kp_coco.reader import Table, read
from kp_coco.skeleton import COCO, build
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.held_out import held_names, undivided
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample

HOLDS = "annotations/ and folders of images"


class Coco(Dataset):
    """People, animals or things of one category, from annotation files in COCO's format.

    The skeleton is the file's: names are kept, and mirror partners and groups are read off them (``left_wrist``,
    ``L_Eye``, ``front_left_paw``). Coordinates are 0-based in the files already. Crowd regions and people without a
    labelled keypoint are left out. The crop is a square around the box's centre, 1.25 times its larger side, wider only
    where a labelled keypoint would be outside. The normaliser is the square root of the segment's area as the file
    states it; where it states none, 0.53 times the box's area is taken, and a finding says so.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, or holds no such annotation, or one that is damaged.
    """

    root_variable: ClassVar[str] = "KP_COCO_ROOT"
    """Environment variable that names the root where the configuration does not."""
    default_skeleton: ClassVar[Skeleton | None] = COCO
    """COCO's 17 keypoints of a person, known without its files."""

    class Config(ComponentConfig):
        """``[dataset] name = "coco"``."""

        root: str | None = Field(default=None, description="folder that the paths below start from; else KP_COCO_ROOT")
        train_annotations: str = Field(
            default="annotations/person_keypoints_train2017.json", description="annotation file of part 'train'"
        )
        valid_annotations: str = Field(
            default="annotations/person_keypoints_val2017.json", description="annotation file of part 'valid'"
        )
        train_images: str = Field(default="train2017", description="folder of the images of train_annotations")
        valid_images: str = Field(default="val2017", description="folder of the images of valid_annotations")
        category: str | None = Field(
            default=None, description="name of the category; where absent, the only one with keypoints"
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
        train_annotations: str,
        valid_annotations: str,
        train_images: str,
        valid_images: str,
        category: str | None,
        mirrors: dict[str, str],
        held_out: float | None,
    ) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._held_out = held_out
        self._category = category
        self._mirrors = dict(mirrors)
        train = (self._root / train_annotations, self._root / train_images)
        valid = (self._root / valid_annotations, self._root / valid_images) if held_out is None else train
        self._files = {part: paths for part, paths in (("train", train), ("valid", valid)) if paths[0].is_file()}
        if not self._files:
            raise _nothing_there(self._root, train[0], valid[0])
        self._tables: dict[str, Table] = {}
        self._samples: dict[str, tuple[Sample, ...]] = {}
        smallest = min(self._files, key=lambda part: self._files[part][0].stat().st_size)
        self._skeleton = self._skeleton_of(self._table(smallest), self._files[smallest][0])

    @property
    def facts(self) -> Facts:
        """COCO where it is a person's 17 keypoints; else the category's name beside it."""
        share = self._held_out
        return Facts(
            label="COCO" if self._skeleton.names == COCO.names else f"COCO format, {self._skeleton.name}",
            skeleton=self._skeleton,
            parts=tuple(self._files),
            normaliser="square root of the segment's area",
            default_metric="oks",
            list_name="" if share is None else f"{share:g} of the images held out by name hash",
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's people, read once and kept."""
        if part not in self._samples:
            table = self._table(part)
            self._samples[part] = samples_of(table, self._files[part][1])
        return self._samples[part]

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader left out or derived, crops that were widened, and a file that cannot be divided."""
        table = self._table(part)
        _, wide = crops(table)
        first = np.flatnonzero(wide)[:1]
        return (
            *table.findings,
            *(Finding("note", f"crop widened to hold labelled keypoints outside 1.25 x the box (first: "
                      f"{table.images[i]}, row {table.rows[i]})", int(wide.sum())) for i in first),
            *(Finding("warning", why) for why in [self._held_out and undivided(self._divided)] if why),
        )  # fmt: skip

    def _table(self, part: str) -> Table:
        if part not in self._files:
            raise unknown("part", part, self.parts, where=str(self._root))
        if part not in self._tables:
            table = read(self._files[part][0], self._category, self._wanted(part))
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
        return frozenset(read(self._files["train"][0], self._category, lambda name: True).images)

    @cached_property
    def _held(self) -> frozenset[str]:
        return held_names(self._divided, self._held_out or 0)

    def _same_category(self, table: Table, file: Path) -> None:
        for part, other in self._tables.items():
            if other.category.names != table.category.names:
                raise KpError(
                    f"{file}: keypoints {', '.join(table.category.names)} are not those of {self._files[part][0]}"
                    f" ({', '.join(other.category.names)}); both parts need the same, in the same order"
                )

    def _skeleton_of(self, table: Table, file: Path) -> Skeleton:
        names, edges = table.category.names, table.category.edges
        title = COCO.name if names == COCO.names else table.category.name
        return build(title, names, edges, self._mirrors, where=str(file))


def _nothing_there(root: Path, train: Path, valid: Path) -> KpError:
    wanted = dict.fromkeys((str(train), str(valid)))
    there = sorted(str(path.relative_to(root)) for folder in (root, root / "annotations") for path in _json(folder))
    hint = f"; JSON files there: {', '.join(there[:5])} (set train_annotations or valid_annotations)" if there else ""
    return KpError(f"{root}: no annotation of COCO there: neither {' nor '.join(wanted)} exists{hint}")


def _json(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.json") if path.is_file()]
