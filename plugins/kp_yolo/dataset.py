"""The data set ``yolo``: pictures and labels as ultralytics' pose models are trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from kp_yolo import description
from kp_yolo.loading import BOX_TO_AREA, Loaded, load
from kp_yolo.places import Picture, Place, Places
from kp_yolo.skeleton import ALL, build, chosen_classes, contradicted, keypoint_names, title
from kpcore.errors import unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding
from kpcore.reading.held_out import held_out as drawn
from kpcore.reading.roots import existing_root
from kpcore.samples import Sample

HOLDS = "data.yaml, images/ and labels/"
SHARE = 0.2
"""Of the pictures, held out where the file names no pictures to score."""
SAME = "val names the pictures of train"


class Yolo(Dataset):
    """A YOLO pose data set: ``data.yaml``, ``images/``, and a text file of labels for each picture in ``labels/``.

    ``data.yaml`` names pictures (``train``, ``val``, ``test``: a folder, a list of pictures, or several), classes
    (``names``) and keypoints (``kpt_shape``, ``flip_idx``, ``kpt_names``). A line of labels is an instance: class, box
    (centre, width, height) and K keypoints, x y or x y and visibility, as shares of the width and height of the picture
    as it is shown: a JPEG turned by its EXIF orientation. Where kpt_shape has no visibilities, (0, 0) and negative
    numbers are not labelled.

    Names are those of ``kpt_names``; else COCO's where there are 17 and flip_idx is COCO's; else kp0, kp1, ... Mirror
    partners are those of flip_idx; without it, those that the names of kpt_names tell. The crop is the box, widened to
    its labelled keypoints, times ``margin``. The normaliser is the square root of 0.53 times the box's area, which is
    the scale that ultralytics' own keypoint similarity has.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root is given, it does not exist, or its YAML, or a folder that it names, is not as above.
    """

    root_variable: ClassVar[str] = "KP_YOLO_ROOT"
    """Environment variable that names the root where the configuration does not."""
    marks: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml"),
        ("labels", "*/labels"),
    )
    """What a folder of this layout holds and others do not."""

    class Config(ComponentConfig):
        """``[dataset] name = "yolo"``."""

        root: str | None = Field(default=None, description="folder with data.yaml; KP_YOLO_ROOT where absent")
        data: str | None = Field(
            default=None, description="YAML file in the root; data.yaml, or the only one there, where absent"
        )
        category: str | None = Field(
            default=None, description="name or number of the class, or 'all'; where absent, the only one"
        )
        keypoints: list[str] | None = Field(
            default=None, description="names of the keypoints, in the file's order, in place of its own"
        )
        mirrors: dict[str, str] | None = Field(
            default=None, description="keypoint = its mirror partner, in place of flip_idx; {}: none"
        )
        groups: dict[str, list[str]] = Field(default={}, description="group = its keypoints, for columns and splits")
        margin: float = Field(default=1.25, ge=1, le=4, description="crop side over the longer side of the box")
        held_out: float | None = Field(
            default=None,
            gt=0,
            lt=1,
            description="hold out this share of train's pictures, drawn by a hash of their names, as part 'valid', and"
            " read no val; 0.2 where the file has no val, or one that is its train",
        )

    def __init__(
        self, *, root: str | None, data: str | None, category: str | None, keypoints: list[str] | None,
        mirrors: dict[str, str] | None, groups: dict[str, list[str]], margin: float, held_out: float | None,
    ) -> None:  # fmt: skip
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._told = description.read(description.find(self._root, data))
        self._classes = chosen_classes(self._told, category)
        names = keypoint_names(self._told, self._classes, keypoints)
        self._skeleton = build(self._told, names, mirrors, groups)
        self._contradicted = contradicted(self._told, names) if mirrors is None else []
        self._title = title(self._root, self._told, self._classes, category == ALL)
        self._margin = margin
        places = Places(self._root, self._told)
        self._places = {part: places.of(part) for part in self._told.parts if held_out is None or part != "valid"}
        self._same = _same_pictures(self._places)
        self._share = held_out or (SHARE if self._same or "valid" not in self._places else None)
        self._loaded: dict[str, Loaded] = {}

    @property
    def facts(self) -> Facts:
        """The file's keypoints and parts, under the class's name."""
        return Facts(
            label=f"YOLO pose, {self._title}",
            skeleton=self._skeleton,
            parts=("train", "valid", *(["test"] if "test" in self._places else [])),
            normaliser=f"square root of {BOX_TO_AREA} x the box's area",
            default_metric="oks",
            list_name="" if self._share is None else f"{self._share:g} of the images held out by name hash",
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's instances, read once and kept."""
        return self._load(part).samples

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader took for granted and left out."""
        place = self._places[self._source(part)]
        found = [*self._of_names(), *self._of_parts(place), *self._load(part).findings]
        if place.orphans:
            what = f"files of labels without a picture, left out (first: {place.orphans[0]})"
            found.append(Finding("warning", what, len(place.orphans)))
        return found

    def _of_names(self) -> list[Finding]:
        if not self._contradicted:
            return []
        what = f"flip_idx contradicts the sides in names ({', '.join(self._contradicted[:6])}): flip_idx is taken"
        return [Finding("warning", f"{what}; dataset.mirrors says otherwise", len(self._contradicted))]

    def _of_parts(self, place: Place) -> list[Finding]:
        found = []
        if self._share is not None:
            told = f"'valid' is {self._share:g} of the pictures of train, drawn by their names"
            found.append(Finding("warning", f"{SAME}: {told}") if self._same else Finding("note", told))
        if place.respelled:
            what = f"names in another case or Unicode form than the files taken for them (first: {place.respelled[0]})"
            found.append(Finding("warning", what, len(place.respelled)))
        if place.moved:
            what = f"'{place.moved[0][:200]}' is no path from {self._told.path.name}: found below the root"
            found.append(Finding("note", what, len(place.moved)))
        return found

    def _source(self, part: str) -> str:
        if part not in self.parts:
            raise unknown("part", part, self.parts, where=str(self._root))
        return "train" if part == "valid" and self._share is not None else part

    def _load(self, part: str) -> Loaded:
        if part not in self._loaded:
            pictures = self._pictures(part)
            self._loaded[part] = load(pictures, self._told, self._classes, self._margin)
        return self._loaded[part]

    def _pictures(self, part: str) -> Sequence[Picture]:
        pictures = self._places[self._source(part)].pictures
        if self._share is None or part == "test":
            return pictures
        held = drawn([picture.name for picture in pictures], self._share)
        return [picture for picture, out in zip(pictures, held, strict=True) if out == (part == "valid")]


def _same_pictures(places: Mapping[str, Place]) -> bool:
    """Whether train and val are the same pictures, as in small published examples."""
    if "valid" not in places:
        return False
    one, other = ({picture.path for picture in places[part].pictures} for part in ("train", "valid"))
    return one == other
