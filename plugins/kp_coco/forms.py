"""How predictions are put into COCO's format: ids of images, keypoints by category, and scores.

COCO states no origin of its own; its files are written and read here with 0-based pixels, pixel centres at integers,
so that :class:`kp_coco.dataset.Coco` reads back what was predicted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from kpcore.errors import KpError, listed
from kpcore.interfaces import About, Category, Identity, Predicted
from kpcore.placing import beside
from kpcore.tensors import Float64Array

DECIMALS = 4
"""Of coordinates; 0.0001 px."""
CATEGORY = 1
"""Id of the category where no file gives one, COCO's "person"."""
SMALLEST = 1.0
"""Pixels: a box's sides at least, for a box of no size is none to who reads it."""
SEEN = 2
"""COCO's visibility of a keypoint that is labelled and visible; a network does not tell hidden ones."""


class Numbers:
    """Ids of images: those of the boxes' COCO file, and numbers that it has free for others, in order."""

    def __init__(self, about: About) -> None:
        self._next = about.free_image_id

    def of(self, found: Predicted) -> Identity:
        """Return a picture's id; to be asked once a picture that could be read."""
        if found.image_id is not None:
            return found.image_id
        self._next += 1
        return self._next - 1


@dataclass(frozen=True, eq=False)
class Form:
    """How an instance of a category is written.

    Args:
        category: with the keypoints that are written, in order.
        places: of each of these among the network's; -1 where the network has none of the name.
    """

    category: Category
    places: tuple[int, ...]

    def triplets(self, points: Float64Array, kept: Any) -> list[float]:
        """Return x, y and visibility of every keypoint, 0 where one is missing.

        Args:
            points: (K, 2) pixels.
            kept: (K,) whether a keypoint is written.
        """
        flat: list[float] = []
        for place in self.places:
            if place < 0 or not kept[place]:
                flat += [0, 0, 0]
            else:
                flat += [*(round(value, DECIMALS) for value in points[place].tolist()), SEEN]
        return flat


class Forms:
    """The forms of all categories.

    A category of the boxes' file that has all keypoints of the network is written with its own list, those that the
    network has not predicted as missing; any other with the network's.

    Args:
        about: what all predictions share.
        name: of the only category, in place of its own.
        strict: refuse a category that has keypoints, and not all of the network's.

    Raises:
        KpError: as ``strict`` says.
    """

    def __init__(self, about: About, name: str = "", *, strict: bool = False) -> None:
        names = about.keypoints.names
        self._where = f"{about.boxes}"
        categories = about.categories or (Category(CATEGORY, about.keypoints.skeleton.name),)
        if len(categories) == 1 and name:
            categories = (replace(categories[0], name=name),)
        if strict:
            _check(categories, names, self._where)
        self._forms = {one.id: _form(one, names) for one in categories}

    @property
    def categories(self) -> list[Category]:
        """All that there are, with the keypoints that are written."""
        return [form.category for form in self._forms.values()]

    def instances(self, found: Predicted) -> Iterator[tuple[int, Form]]:
        """Yield place and form of a picture's instances that were not lost.

        Raises:
            KpError: an annotation has no category of the file, and there are several.
        """
        for place, points in enumerate(found.points):
            if np.isfinite(points).any():
                yield place, self._of(found, place)

    def _of(self, found: Predicted, place: int) -> Form:
        identity = found.categories[place] if found.categories else None
        if identity is not None:
            return self._forms[identity]
        if len(self._forms) > 1:
            raise KpError(
                f"{self._where}: instance {found.ids[place] or place} of {found.name} has no 'category_id' of the"
                f" file's {len(self._forms)} categories; give it one"
            )
        return next(iter(self._forms.values()))


def _check(categories: tuple[Category, ...], names: tuple[str, ...], where: str) -> None:
    for one in categories:
        if one.keypoints and (strangers := [name for name in names if name not in one.keypoints]):
            raise KpError(
                f"--format coco_results: category '{one.name}' of {where} has no keypoint {listed(strangers, 3)}, which"
                " the network predicts; take boxes from a file that has them, or write --format coco"
            )


def _form(category: Category, names: tuple[str, ...]) -> Form:
    own = category.keypoints if set(names) <= set(category.keypoints) else names
    places = tuple(names.index(one) if one in names else -1 for one in own)
    return Form(replace(category, keypoints=own), places)


def score(confidence: Float64Array, kept: Any) -> float:
    """Return an instance's score: the mean confidence (K,) of the keypoints that are there, in the codec's units."""
    return float(np.nan_to_num(confidence[kept], posinf=0, neginf=0).mean())


def box(points: Float64Array) -> list[float]:
    """Return left, top, width and height, pixels, of known points (K, 2)."""
    low = points.min(0)
    size = np.maximum(points.max(0) - low, SMALLEST)
    return [round(value, DECIMALS) for value in [*low.tolist(), *size.tolist()]]


class Records:
    """A JSON list of objects that is written one by one, so that memory does not grow with their number.

    Args:
        path: of the file; until it is taken or finished it has another name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.partial = beside(path)
        self._file: IO[str] = self.partial.open("w", encoding="utf-8")
        self._file.write("[")
        self._any = False

    def add(self, record: Mapping[str, Any]) -> None:
        """Write an object."""
        self._file.write((",\n" if self._any else "\n") + json.dumps(record, allow_nan=False, ensure_ascii=False))
        self._any = True

    def close(self) -> None:
        """End the list."""
        if not self._file.closed:
            self._file.write("\n]")
            self._file.close()

    def remove(self) -> None:
        """Remove the file."""
        self._file.close()
        self.partial.unlink(missing_ok=True)
