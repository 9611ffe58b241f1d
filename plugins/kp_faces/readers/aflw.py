"""AFLW (Koestinger et al., ICCV Workshops 2011) from its database, or from the lists of Zhu et al. (CVPR 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from kp_faces.readers import aflw_info, aflw_sqlite
from kp_faces.readers.faces import Faces
from kp_faces.readers.table import Table
from kp_faces.skeletons import AFLW19
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.held_out import held_out, undivided
from kpcore.reading.paths import Images
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample
from kpcore.tensors import AnyArray

FILES = {"sqlite": "aflw.sqlite", "info": "AFLWinfo_release.mat"}
FOLDERS = (".", "data", "aflw/data")
"""Where the annotation may lie; ``flickr/`` lies in one of them too."""
HOLDS = "data/aflw.sqlite (or AFLWinfo_release.mat) and data/flickr/{0,2,3}"


class Aflw(Dataset):
    """Faces of AFLW with 19 landmarks, of which those that an annotator did not see are not labelled.

    The database has no lists: a share of its pictures is held out. ``AFLWinfo_release.mat`` brings the published ones
    (20,000 and 4,386 faces; those of them on a picture that is scored are left out), and a place for every landmark.
    Profiles have no distance of the eye corners, so errors are divided by the face's rectangle. Coordinates are taken
    as 0-based. Args: as the fields of ``Config``.

    Raises:
        KpError: no root, no annotation there, or one that is damaged.
    """

    root_variable: ClassVar[str] = "KP_AFLW_ROOT"
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (
        tuple(f"{folder}/{name}" for name in FILES.values() for folder in FOLDERS),
        ("flickr", "*/flickr", "*/*/flickr"),
    )
    """What a folder of this layout holds and others do not."""
    default_skeleton: ClassVar[Skeleton | None] = AFLW19

    class Config(ComponentConfig):
        """``[dataset] name = "aflw"``."""

        root: str | None = Field(
            default=None, description="folder with data/aflw.sqlite and data/flickr; KP_AFLW_ROOT where absent"
        )
        annotations: Literal["sqlite", "info"] | None = Field(
            default=None, description="aflw.sqlite or AFLWinfo_release.mat; found in this order where absent"
        )
        held_out: float = Field(
            default=0.18, gt=0, lt=1, description="of the database: share of pictures held out, by name hash"
        )
        crop: float = Field(
            default=1.25, ge=1, le=10, description="side of the crop over the side of the face's rectangle"
        )

    def __init__(self, *, root: str | None, annotations: str | None, held_out: float, crop: float) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._kind, self._file = find(self._root, annotations)
        self._held_out = held_out
        if self._kind == "sqlite":
            aflw_sqlite.check(self._file)
        self._faces = Faces(self._root, AFLW19, ("train", "valid"), self._read, crop, "box")

    @property
    def facts(self) -> Facts:
        """AFLW's 21 landmarks without the ears; errors are divided by the face's size, as others do on AFLW."""
        share = f"{self._held_out:g} of the images held out by name hash"
        return Facts(
            label="AFLW",
            skeleton=AFLW19,
            parts=("train", "valid"),
            normaliser="root of the area of the face's rectangle",
            default_metric="nme",
            list_name="AFLW-full" if self._kind == "info" else share,
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's faces, in the annotation's order."""
        return self._faces.samples(part)

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader left out or derived."""
        return self._faces.findings(part)

    def _read(self, part: str) -> Table:
        everybody, scored = self._everybody
        if part == "valid":
            return everybody.where(scored)
        return everybody.where(~scored).without_images(set(everybody.where(scored).image_ids))

    @cached_property
    def _everybody(self) -> tuple[Table, AnyArray]:
        """All faces, and which are scored."""
        images = Images(pictures(self._root), self._root)
        if self._kind == "info":
            return aflw_info.read(self._file, images)
        table = aflw_sqlite.read(self._file, images)
        lone = [Finding("warning", why) for why in [undivided(table.image_ids)] if why]
        return table.noting(*lone), held_out(table.image_ids, self._held_out)


def find(root: Path, annotations: str | None) -> tuple[str, Path]:
    """Return the kind of annotation and its file: the one asked for, else the first that is there.

    Raises:
        KpError: there is none.
    """
    for kind in [annotations] if annotations else FILES:
        for folder in FOLDERS:
            if (path := root / folder / FILES[kind]).is_file():
                return kind, path
    wanted = FILES[annotations] if annotations else " or ".join(FILES.values())
    raise KpError(f"{root}: no {wanted} in {' or '.join(FOLDERS)}; expected {HOLDS}")


def pictures(root: Path) -> Path:
    """Return the folder of pictures; where none is there, what it should be, which the data check reports."""
    found = [root / folder / "flickr" for folder in FOLDERS]
    return next((path for path in found if path.is_dir()), root / "data" / "flickr")
