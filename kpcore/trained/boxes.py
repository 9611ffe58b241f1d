"""Where instances are in pictures: boxes or crops, from COCO's JSON or a CSV file."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from kpcore.errors import KpError, listed, nearest
from kpcore.interfaces import Category, Identity
from kpcore.reading.cells import NUMBER, is_missing
from kpcore.reading.csv_rows import csv_table
from kpcore.reading.opening import read_json
from kpcore.trained.framing import Crop, Framing
from kpcore.trained.pictures import Picture

KIND = "boxes: COCO's JSON with 'images' and 'annotations', or a CSV with image, x, y, width, height"
LARGEST = 1e6
"""Pixels of a box's number: as far as any picture could reach."""
LARGEST_FRAME = 2**53
BOX = ("x", "y", "width", "height")
CROP = ("centre_x", "centre_y", "side")
ALSO = {
    "file_name": "image", "filename": "image", "name": "image", "path": "image",
    "left": "x", "top": "y", "w": "width", "h": "height", "center_x": "centre_x", "center_y": "centre_y",
    "track": "id", "track_id": "id", "person": "id", "instance": "id",
}  # fmt: skip
"""Other spellings of columns."""


@dataclass(frozen=True)
class Box:
    """One instance of a picture.

    Args:
        box: (left, top, width, height), pixels; None where the crop itself is given.
        crop: None where the box is given.
        id: what the file calls the instance; "" where it does not.
        category: id of its category in a COCO file; None where it has none.
        row: its place among a COCO file's annotations, from 0; None where it is of another file.
    """

    box: tuple[float, float, float, float] | None
    crop: Crop | None
    id: str = ""
    category: Identity | None = None
    row: int | None = None

    def framed(self, framing: Framing, margin: float | None) -> Crop:
        """Return the crop."""
        if self.crop is not None:
            return self.crop
        assert self.box is not None  # one of both is there
        return framing.of_box(self.box, margin)


@dataclass(frozen=True, eq=False)
class Boxes:
    """A file of boxes.

    Args:
        path: of the file.
        by_image: image's name -> its boxes, those of every frame.
        by_frame: (video's name, frame) -> its boxes.
        sizes: image's name -> (width, height) that the file states.
        image_ids: image's name -> its id in a COCO file.
        categories: of a COCO file.
        taken: picture's name -> the file's name for it, once :meth:`matched` has seen all pictures; None before.
    """

    path: Path
    by_image: Mapping[str, tuple[Box, ...]]
    by_frame: Mapping[tuple[str, int], tuple[Box, ...]] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    image_ids: Mapping[str, Identity] = field(default_factory=dict)
    categories: tuple[Category, ...] = ()
    taken: Mapping[str, str] | None = None

    def of(self, picture: Picture) -> tuple[Box, ...]:
        """Return a picture's boxes, of which there may be none: by its name, its path, or its file's name if clear."""
        if picture.frame is not None and (found := self.by_frame.get((picture.name, picture.frame))):
            return found
        name = self._name(picture)
        return self.by_image.get(name, ()) if name is not None else ()

    def size(self, picture: Picture) -> tuple[int, int] | None:
        """Return the size that the file states for a picture."""
        name = self._name(picture)
        return self.sizes.get(name) if name is not None else None

    def image_id(self, picture: Picture) -> Identity | None:
        """Return the id that a COCO file gives a picture."""
        name = self._name(picture)
        return self.image_ids.get(name) if name is not None else None

    @property
    def free_image_id(self) -> int:
        """Number from which on no image has its id."""
        return 1 + max((number for number in self.image_ids.values() if isinstance(number, int)), default=0)

    def _name(self, picture: Picture) -> str | None:
        if self.taken is not None:
            return self.taken.get(picture.name)
        if (name := self._exact(picture)) is not None:
            return name
        same = self._by_file.get(PurePosixPath(picture.name).name, ())
        return same[0] if len(same) == 1 else None

    def _exact(self, picture: Picture) -> str | None:
        names = (picture.name, picture.path.as_posix())
        return next((name for name in names if name in self.by_image or name in self.image_ids), None)

    def matched(self, pictures: Sequence[Picture]) -> Boxes:
        """Return them with each image of the file given to one picture: of its name or path, else of its file's name.

        Args:
            pictures: all of them.

        Raises:
            KpError: no picture has a box, or two pictures could be one image of the file.
        """
        self.require_some(pictures)
        taken = {one.name: name for one in pictures if (name := self._exact(one)) is not None}
        exact, first = set(taken.values()), dict[str, str]()
        for one in pictures:
            meant = self._name(one)
            if one.name in taken or meant is None or meant in exact:
                continue
            if meant in first:
                raise KpError(
                    f"{self.path}: image '{meant}' could be {first[meant]} and {one.name}; write its folder in the file"
                    " as the pictures have it, or predict on one folder at a time"
                )
            first[meant] = one.name
        return replace(self, taken={**taken, **{name: meant for meant, name in first.items()}})

    def unused(self, seen: Collection[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return what has boxes and was not among the pictures, with their number: "x.png", "v.mp4, frame 99".

        Args:
            seen: frames of videos that have boxes and were there.
        """
        used = set((self.taken or {}).values())
        images = [(name, len(boxes)) for name, boxes in self.by_image.items() if name not in used]
        rest = [(key, len(boxes)) for key, boxes in self.by_frame.items() if key not in seen]
        return [*images, *((f"{name}, frame {frame}", count) for (name, frame), count in rest)]

    @cached_property
    def _by_file(self) -> dict[str, list[str]]:
        """File's name -> names of images that end in it."""
        found: dict[str, list[str]] = defaultdict(list)
        for name in dict.fromkeys([*self.by_image, *self.image_ids]):
            found[PurePosixPath(name).name].append(name)
        return found

    def require_some(self, pictures: Sequence[Picture]) -> None:
        """Refuse a file that is of other pictures altogether.

        Raises:
            KpError: no picture has a box.
        """
        known = [*self.by_image, *(name for name, _ in self.by_frame)]
        if not any(self._name(picture) or picture.name in known for picture in pictures):
            first = listed(dict.fromkeys(known), 3)
            close = nearest(pictures[0].name, known) if pictures else None
            meant = f"; is '{pictures[0].name}' its '{close}'?" if close else ""
            raise KpError(f"{self.path}: none of the {len(pictures)} pictures has a box; it names {first}{meant}")


def read_boxes(path: Path) -> Boxes:
    """Read a file of boxes.

    Raises:
        KpError: it cannot be read, or something in it is no box; with row and key.
    """
    return _coco(path) if path.suffix.lower() == ".json" else _csv(path)


# ------------------------------------------------------------------------------------------------------ CSV


def _csv(path: Path) -> Boxes:
    rows = csv_table(path, KIND)
    if not rows:
        raise KpError(f"{path}: is empty; expected {KIND}")
    names = [ALSO.get(cell.lower(), cell.lower()) for cell in rows[0][1]]
    wanted = CROP if set(CROP) <= set(names) else BOX
    missing = [name for name in ("image", *wanted) if name not in names]
    if missing:
        raise KpError(f"{path}, line 1: no column '{missing[0]}'; it has {listed(rows[0][1], 12)}; expected {KIND}")
    images: dict[str, list[Box]] = defaultdict(list)
    framed: dict[tuple[str, int], list[Box]] = defaultdict(list)
    for line, cells in rows[1:]:
        if len(cells) != len(names):
            raise KpError(f"{path}, line {line}: has {len(cells)} cells, the header {len(names)}; mend this line")
        row = dict(zip(names, cells, strict=True))
        values = [_number(row[name], f"{path}, line {line}, column {name}") for name in wanted]
        box = _box(values, row.get("id", ""), f"{path}, line {line}")
        if row.get("frame", "") == "":
            images[row["image"]].append(box)
        else:
            framed[row["image"], _frame(row["frame"], f"{path}, line {line}, column frame")].append(box)
    return Boxes(path, _frozen(images), _frozen(framed))


def _number(cell: str, where: str) -> float:
    """Return a cell's number; raises KpError where it has none, for every box has all of them."""
    if is_missing(cell):
        raise KpError(f"{where}: holds no number; write one, or remove the line")
    if not NUMBER.fullmatch(cell.strip()):
        raise KpError(f"{where}: {cell.strip()[:40]!a} is not a number; write one, or remove the line")
    return float(cell)


def _frame(cell: str, where: str) -> int:
    """Return a frame's number; raises KpError where it is none."""
    value = _number(cell, where)
    if not 0 <= value <= LARGEST_FRAME or value != int(value):
        raise KpError(f"{where}: {cell.strip()[:40]} is no frame; a video's are 0, 1, 2, ...")
    return int(value)


def _box(values: Sequence[float], name: str, where: str) -> Box:
    if not all(map(math.isfinite, values)) or max(map(abs, values)) > LARGEST or min(values[2:]) <= 0:
        told = ", ".join(f"{value:.12g}" for value in values)
        raise KpError(f"{where}: {told} is no box; sizes are pixels above 0, and no number is beyond {LARGEST:,.0f}")
    if len(values) == len(CROP):
        return Box(None, Crop(*values), name)
    left, top, width, height = values
    return Box((left, top, width, height), None, name)


def _frozen(found: Mapping[Any, list[Box]]) -> dict[Any, tuple[Box, ...]]:
    return {key: tuple(boxes) for key, boxes in found.items()}


# ----------------------------------------------------------------------------------------------------- COCO


def _coco(path: Path) -> Boxes:
    found = read_json(path, KIND)
    names = _file_names(found, path)
    categories = tuple(_categories(found))
    boxes: dict[str, list[Box]] = defaultdict(list)
    for row, one in enumerate(_records(found, "annotations", path)):
        where = f"{path}, annotations[{row}]"
        if (image_id := json.dumps(one.get("image_id"))) not in names:
            raise KpError(f"{where}: image_id {image_id[:40]} is no image of the file")
        if one.get("iscrowd") in (1, True):  # many in one box, and no crop of one
            continue
        category = next((other.id for other in categories if other.id == one.get("category_id")), None)
        boxes[names[image_id]].append(replace(_coco_box(one, where), category=category, row=row))
    images = [image for image in found["images"] if isinstance(image.get("id"), int | str)]
    return Boxes(
        path,
        _frozen(boxes),
        sizes={image["file_name"]: size for image in found["images"] if (size := _size(image))},
        image_ids={image["file_name"]: image["id"] for image in images},
        categories=categories,
    )


def _file_names(found: object, path: Path) -> dict[str, str]:
    """Return image's id, as JSON has it -> its name."""
    names: dict[str, str] = {}
    first: dict[str, int] = {}
    for place, image in enumerate(_records(found, "images", path)):
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            raise KpError(f"{path}, images[{place}]: no 'file_name'; expected {KIND}")
        key = json.dumps(image.get("id"))
        if key in names:
            raise KpError(f"{path}, images[{place}]: id {key[:40]} is that of '{names[key]}' too; give each its own")
        if name in first:
            raise KpError(
                f"{path}, images[{place}]: file_name '{name}' is that of images[{first[name]}] too; give each once"
            )
        names[key], first[name] = name, place
    return names


def _categories(found: Mapping[str, Any]) -> Iterator[Category]:
    """Yield what a file says of its categories, as far as it is of use; boxes need none."""
    stated = found.get("categories")
    for one in stated if isinstance(stated, list) else []:
        if isinstance(one, dict) and isinstance(one.get("id"), int | str):
            names = one.get("keypoints")
            good = isinstance(names, list) and all(isinstance(name, str) for name in names)
            yield Category(one["id"], str(one.get("name", "")), tuple(names) if good and names else ())


def _coco_box(one: Mapping[str, Any], where: str) -> Box:
    box = one.get("bbox")
    if not isinstance(box, list) or len(box) != len(BOX) or not all(_is_number(value) for value in box):
        raise KpError(f"{where}: 'bbox' is no list of 4 numbers: left, top, width, height")
    return _box([_float(value) for value in box], str(one.get("id", "")), where)


def _float(value: float) -> float:
    """Return a number of a JSON file, whose integers may be longer than any float."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    size = image.get("width"), image.get("height")
    whole = [side for side in size if isinstance(side, int) and 0 < side <= LARGEST]
    return (whole[0], whole[1]) if len(whole) == 2 else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _records(found: object, key: str, path: Path) -> list[dict[str, Any]]:
    records = found.get(key) if isinstance(found, dict) else None
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise KpError(f"{path}: no list '{key}' of objects; expected {KIND}")
    return records
