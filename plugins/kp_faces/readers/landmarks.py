"""Folders of faces with a landmark CSV a part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from kp_faces.readers import landmark_csv
from kp_faces.readers.faces import Faces
from kp_faces.readers.table import Table
from kp_faces.skeletons import CORNERS
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.held_out import held_out, undivided
from kpcore.reading.paths import Images
from kpcore.reading.roots import existing_root
from kpcore.reading.spelling import pairs_told, respelled
from kpcore.samples import Sample

WORDS = {"train": ("training", "train"), "valid": ("validation", "valid", "val"), "test": ("test", "testing")}
"""Part -> what its folder is called, and its CSV's name begins with."""
HOLDS = "a CSV and a folder of images a part, as in training_keypoints.csv and training/"


@dataclass(frozen=True)
class Source:
    """One CSV file and the folder of its images."""

    file: Path
    images: Path
    header: landmark_csv.Header


class Landmarks(Dataset):
    """Faces whose landmarks lie in a CSV file a part.

    A folder is of this layout where it holds, for the training part and any other, a CSV file whose name is the part's
    word or begins with it (``training_frames_keypoints.csv``, ``train.csv``, ``test-points.csv``) and a folder of
    images named by a word of the same part (``training/``, ``train/``). The words are those of ``WORDS``. The first
    column of a CSV names the image; the others are coordinates, named ``NAME_x`` and ``NAME_y``, or ``x0`` and ``y0``,
    or numbered 0, 1, ... in turn. 68 unnamed landmarks are iBUG's. An empty cell is not labelled. No header says what
    the first pixel's centre is called: it is 0 unless ``origin`` says 1.

    Part "valid" is the validation CSV; where there is none, the test CSV; where there is none either, a share of the
    training images. Where there are both, "test" is a part of its own.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root, no such files, or a header that is no landmark CSV's.
    """

    root_variable: ClassVar[str] = "KP_LANDMARKS_ROOT"
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (("train*.csv", "Train*.csv"), ("train*/", "Train*/"))
    """What a folder of this layout holds and others do not."""

    class Config(ComponentConfig):
        """``[dataset] name = "landmarks"``."""

        root: str | None = Field(
            default=None, description="folder with a CSV and a folder of images a part; KP_LANDMARKS_ROOT where absent"
        )
        skeleton: Literal["faces68", "wflw98", "cofw29", "aflw19"] | None = Field(
            default=None,
            description="whose order the columns are in; where absent the header's names; 68 unnamed ones are iBUG's",
        )
        crop: float = Field(
            default=1.3, ge=1, le=10, description="side of the crop over the longer side of the landmarks' box"
        )
        held_out: float = Field(
            default=0.1,
            gt=0,
            lt=1,
            description="without validation or test CSV: share of images held out, by name hash",
        )
        origin: Literal[0, 1] = Field(
            default=0, description="coordinate of the first pixel's centre in the files: 1 for MATLAB's and 300-W's"
        )

    def __init__(self, *, root: str | None, skeleton: str | None, crop: float, held_out: float, origin: int) -> None:
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._sources = find(self._root)
        self._held_out = held_out
        self._origin = origin
        first = self._sources["train"]
        chosen, _ = landmark_csv.skeleton_of(first.header, skeleton, first.file)
        self._headers = {
            part: _same(source, skeleton, chosen, first) for part, source in self._sources.items()
        }  # fmt: skip
        parts = ("train", "valid", *(("test",) if "test" in self._sources else ()))
        self._faces = Faces(self._root, chosen, parts, self._read, crop, "inter_ocular")

    @property
    def facts(self) -> Facts:
        """As the header or the option names the landmarks; the normaliser depends on whether eye corners are there."""
        skeleton = self._faces.skeleton
        has = set(CORNERS) <= set(skeleton.names)
        return Facts(
            label=f"landmarks ({skeleton.name})",
            skeleton=skeleton,
            parts=self._faces.parts,
            normaliser="distance of the outer eye corners" if has else "root of the area of the landmarks' box",
            default_metric="nme",
            origin=self._origin,
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's faces, in the file's order."""
        return self._faces.samples(part)

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader left out or derived."""
        return self._faces.findings(part)

    def _read(self, part: str) -> Table:
        name = part if part in self._sources else "train"
        source = self._sources[name]
        table = landmark_csv.read(
            source.file, Images(source.images, self._root), source.images.name, self._headers[name]
        ).from_origin(self._origin)
        if "valid" in self._sources:
            return table
        held = held_out(table.image_ids, self._held_out)
        note = Finding("note", f"no validation or test CSV: {self._held_out:g} of the images held out by name hash")
        lone = [Finding("warning", why) for why in [undivided(table.image_ids)] if why]
        return table.where(held if part == "valid" else ~held, note, *lone)


def find(root: Path) -> dict[str, Source]:
    """Return part -> its files; a test CSV stands for a validation CSV that is not there.

    Raises:
        KpError: the training part is not there, a CSV has no folder, two CSVs fit one part, or a header is damaged.
    """
    files = sorted(path for path in root.iterdir() if path.suffix.lower() == ".csv" and path.is_file())
    found = {part: source for part, words in WORDS.items() if (source := _source(root, files, words))}
    if "train" not in found:
        raise KpError(f"{root}: no training CSV with a folder of images beside it; expected {HOLDS}")
    if "valid" not in found and "test" in found:
        found["valid"] = found.pop("test")
    return found


def _source(root: Path, files: Sequence[Path], words: Sequence[str]) -> Source | None:
    begins = re.compile(rf"(?:{'|'.join(words)})(?:[ _.-].*)?", re.IGNORECASE)
    mine = [path for path in files if begins.fullmatch(path.stem)]
    folders = [root / word for word in words if (root / word).is_dir()]
    if not mine or not folders:
        return None
    if len(mine) > 1:
        names = ", ".join(path.name for path in mine)
        raise KpError(f"{root}: {names} are all landmark CSVs of {folders[0].name}/; leave one of them")
    return Source(mine[0], folders[0], landmark_csv.read_header(mine[0]))


def _same(source: Source, named: str | None, skeleton: Skeleton, first: Source) -> landmark_csv.Header:
    """Return a part's header in the order of the skeleton; raises KpError where its landmarks are others."""
    own, header = landmark_csv.skeleton_of(source.header, named, source.file)
    if set(own.names) != set(skeleton.names):
        pairs = respelled(own.names, skeleton.names)
        spelled = f": one name in two spellings, {pairs_told(pairs)}" if pairs else ""
        raise KpError(
            f"{source.file}: its landmarks are not those of {first.file.name} ({len(own.names)} and"
            f" {len(skeleton.names)}){spelled}; give both the same columns"
        )
    places = dict(zip(own.names, header.columns, strict=True))
    return landmark_csv.Header(header.cells, skeleton.names, tuple(places[name] for name in skeleton.names))
