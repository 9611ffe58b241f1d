"""Where published data sets and tools put files of this format: lists found without options, and their images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kpcore.errors import KpError

FOLDERS = ("annotations", "json", "")
"""Folders below the root in which lists lie."""
PARTS = {"train": "train", "default": "train", "val": "valid", "valid": "valid", "validation": "valid"}
"""What a list's file name says -> the part it is."""
SHOWN = 5
"""Files that a message names."""


@dataclass(frozen=True)
class Layout:
    """A way to lay out files of this format.

    Args:
        title: what results call the data.
        pattern: of a list's path below the root; group ``part`` says which part, ``which`` tells several lists of one
            part apart (a year, a split).
        images: folders of images below the root, the first that exists is it; with the pattern's groups in braces.
        usual: the ``which`` that is taken where there are several.
        list_name: what results call the list, with the pattern's groups.
    """

    title: str
    pattern: str
    images: tuple[str, ...]
    usual: str = ""
    list_name: str = ""


LAYOUTS = (
    Layout(
        "COCO",
        r"annotations/person_keypoints_(?P<part>train|val)(?P<which>20\d\d)\.json",
        ("{part}{which}", "images/{part}{which}", "images"),
        usual="2017",
    ),
    Layout(
        "AP-10K",
        r"annotations/ap10k-(?P<part>train|val|test)-split(?P<which>\d)\.json",
        ("data", "images"),
        usual="1",
        list_name="split {which}",
    ),
    Layout(
        "CrowdPose", r"(json/|annotations/|)(mmpose_)?crowdpose_(?P<part>train|val|trainval|test)\.json", ("images",)
    ),
    Layout(
        "COCO format",  # CVAT's export: the subset is the file's last word, and a folder of images
        r"annotations/person_keypoints_(?P<part>(?i:default|train|val|valid|validation|test))\.json",
        ("images/{part}", "images", "{part}"),
    ),
)


@dataclass(frozen=True)
class Listed:
    """A list of people in a known place.

    Args:
        path: below the root, with forward slashes.
        layout: the layout that it is of.
        groups: what its pattern found.
    """

    path: str
    layout: Layout
    groups: Mapping[str, str]

    @property
    def part(self) -> str:
        """The part it is, "" where it is neither trained on nor scored by default."""
        return PARTS.get(self.groups["part"].lower(), "")

    @property
    def which(self) -> str:
        """What tells lists of one part apart."""
        return self.groups.get("which", "")

    @property
    def list_name(self) -> str:
        """As results call it."""
        return self.layout.list_name.format(**self.groups)

    @property
    def images(self) -> tuple[str, ...]:
        """Folders in which its images may be."""
        return tuple(folder.format(**self.groups) for folder in self.layout.images)


def known(path: str) -> Listed | None:
    """Return what a list's path below the root says of it, or None where it is of no known layout."""
    for layout in LAYOUTS:
        if found := re.fullmatch(layout.pattern, path):
            return Listed(path, layout, {key: value or "" for key, value in found.groupdict().items()})
    return None


def found_lists(root: Path) -> dict[str, Listed]:
    """Return part -> the list that lies where one of :data:`LAYOUTS` has it.

    COCO's own layout goes before the others.

    Raises:
        KpError: there are lists of several layouts, or several of one part.
    """
    lists = [listed for path in json_files(root) if (listed := known(path)) and listed.part]
    usual = [one for one in lists if one.layout is LAYOUTS[0] and one.which == LAYOUTS[0].usual]
    chosen = usual or [one for one in lists if _is_usual(one, lists)]
    parts: dict[str, Listed] = {}
    for one in chosen:
        other = parts.setdefault(one.part, one)
        if other is not one or one.layout is not chosen[0].layout:
            first = other if other is not one else chosen[0]
            raise KpError(
                f"{root}: several annotation files may be meant, such as {first.path} and {one.path}; set"
                " train_annotations and valid_annotations"
            )
    return parts


def _is_usual(one: Listed, lists: Sequence[Listed]) -> bool:
    """Return whether a list is its layout's usual one, or no list of its layout is."""
    rivals = {other.which for other in lists if other.layout is one.layout}
    return one.layout.usual not in rivals or one.which == one.layout.usual


def json_files(root: Path) -> list[str]:
    """Return JSON files in the folders where lists lie, below the root, sorted."""
    return sorted(path.relative_to(root).as_posix() for name in FOLDERS for path in _json(root / name))


def _json(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.json") if path.is_file())


def image_folder(root: Path, annotations: str, usual: str) -> Path:
    """Return the folder of a list's images where no option names it: the first usual one that exists.

    Args:
        root: of the data set.
        annotations: the list's path below the root.
        usual: COCO's own folder for this part, where the list is of no known layout.
    """
    listed = known(annotations)
    folders = listed.images if listed else (usual, "images", str(Path(annotations).parent))
    paths = [root / folder for folder in folders]
    return next((path for path in paths if path.is_dir()), paths[0])


def below(root: Path, path: Path) -> str:
    """Return a path below the root with forward slashes; as it is where it lies elsewhere."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def nothing_there(root: Path, wanted: Sequence[Path]) -> KpError:
    """Return the error where none of the files exists, with the JSON files that do."""
    there = json_files(root)
    hint = (
        f"; JSON files there: {', '.join(there[:SHOWN])} (set train_annotations or valid_annotations)" if there else ""
    )
    paths = list(dict.fromkeys(map(str, wanted)))
    lacks = f"neither {' nor '.join(paths)} exists" if len(paths) > 1 else f"{paths[0]} does not exist"
    return KpError(f"{root}: no annotation of COCO there: {lacks}{hint}")
