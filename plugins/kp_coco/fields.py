"""Reading JSON objects that others wrote: every error names the file, the place and the key."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias

import numpy as np

from kpcore.errors import KpError, listed, unknown
from kpcore.reading.opening import read_json
from kpcore.reading.paths import Images
from kpcore.reading.spelling import respelled
from kpcore.tensors import Float64Array

KIND = "COCO's JSON annotation"
LARGEST = 1e6
"""No coordinate or length in pixels is larger."""
NUMBERS = {int, float, NoneType}
"""Types of a number in a list of JSON: null is one that is not known; a bool or a text is none."""

WANTED = {
    "id": "a number of its own into it",
    "image_id": "the 'id' of its picture in 'images'",
    "category_id": "the 'id' of its category in 'categories'",
    "file_name": "the picture's path below the folder of images",
    "name": "the category's name",
}
"""What belongs into a field that is missing."""

Identity: TypeAlias = int | str


@dataclass(frozen=True)
class Entry:
    """One object of a list.

    Args:
        where: file, list and place.
        fields: its keys and values.
    """

    where: str
    fields: dict[str, Any]

    def value(self, key: str) -> Any:
        """Return a field; raises KpError where it is missing."""
        if key not in self.fields:
            raise KpError(
                f"{self.where} has no '{key}' ({listed(map(repr, self.fields))} are there); {self._lack(key)}"
            )
        return self.fields[key]

    def _lack(self, key: str) -> str:
        """Return what to do where a field is missing: rename what is spelled like it, else write it."""
        pairs = respelled([key], [str(name) for name in self.fields])
        if pairs:
            return f"call {pairs[0][1]!r} so"
        return f"write {WANTED.get(key, 'it')}, or remove the entry"

    def identity(self, key: str) -> Identity:
        """Return a whole number or a text that names something; 1.0 is 1."""
        value = self.value(key)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.isprintable():
            return value
        raise self.wrong(key, "a whole number or a text")

    def text(self, key: str) -> str:
        """Return a text of printable characters that is not empty."""
        value = self.value(key)
        if isinstance(value, str) and value and value.isprintable():
            return value
        raise self.wrong(key, "a text")

    def path(self, key: str, images: Images) -> str:
        """Return the path of an image, below the folder of the images."""
        return images.name(self.text(key), f"{self.where}, '{key}'")

    def flag(self, key: str) -> bool:
        """Return whether a field is 1; absent and null are 0."""
        value = self.fields.get(key)
        if value is None:
            return False
        if isinstance(value, bool | int | float) and value in (0, 1):
            return bool(value)
        raise self.wrong(key, "0 or 1")

    def numbers(self, key: str, count: int) -> Float64Array:
        """Return (count,) numbers as they are, NaN where null; the caller says which must be finite."""
        value = self.value(key)
        if not isinstance(value, list) or len(value) != count:
            raise self.wrong(key, f"{count} numbers")
        if not set(map(type, value)) <= NUMBERS:
            place = next(place for place, one in enumerate(value) if type(one) not in NUMBERS)
            raise self.wrong(key, f"{count} numbers", f"{reprlib.repr(value[place])} in place {place + 1}")
        try:
            return np.array([np.nan if one is None else one for one in value], np.float64)
        except OverflowError:
            raise self.wrong(key, f"{count} numbers") from None

    def box(self, key: str) -> Float64Array | None:
        """Return (4,) numbers that can be pixels; None where they are absent, null or NaN."""
        if self.fields.get(key) is None:
            return None
        found = self.numbers(key, 4)
        if np.isnan(found).any():
            return None
        if not (np.abs(found) <= LARGEST).all():
            raise self.wrong(key, f"finite numbers up to {LARGEST:g}")
        return found

    def area(self, key: str) -> float:
        """Return a number of pixels; NaN where it is absent, null or NaN."""
        value = self.fields.get(key)
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return float("nan")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST**2:
            raise self.wrong(key, f"a finite number up to {LARGEST**2:g}")
        return float(value)

    def count(self, key: str) -> int | None:
        """Return a whole number, or None where the field holds none: what it says is only compared."""
        value = self.fields.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            return None
        return int(value)

    def size(self) -> tuple[int, int] | None:
        """Return width and height of a picture as stated; None where one is absent, null, NaN or not positive."""
        width, height = _pixels(self.fields.get("width")), _pixels(self.fields.get("height"))
        return (width, height) if width and height else None

    def wrong(self, key: str, expected: str, got: str = "") -> KpError:
        """Return the error for a value of another kind; ``got`` says which part of it, where it is long."""
        given = self.value(key)
        long = f" ({len(given)} entries)" if isinstance(given, list) else ""
        return KpError(
            f"{self.where}, '{key}': expected {expected}, got {got or reprlib.repr(given) + long}; mend the file"
        )


def _pixels(value: object) -> int:
    """Return a length in whole pixels, also of a text of digits; 0 where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0
    try:
        length = float(value)
    except (ValueError, OverflowError):
        return 0
    return int(length) if 1 <= length <= LARGEST else 0


@dataclass(frozen=True)
class Document:
    """A file's three lists."""

    path: Path
    images: tuple[Entry, ...]
    annotations: tuple[Entry, ...]
    categories: tuple[Entry, ...]


def load(path: Path) -> Document:
    """Read a file. Segmentations, most of its bytes, are dropped while it is parsed.

    Raises:
        KpError: it cannot be read, is not JSON, or lacks one of the lists.
    """
    content = read_json(path, KIND, _light)
    if not isinstance(content, dict):
        raise KpError(
            f"{path}: holds a {type(content).__name__}; expected {KIND}, an object with images, annotations, categories"
            " (a list of results has no truth: give the annotation file)"
        )
    lists = (_entries(content, key, path) for key in ("images", "annotations", "categories"))
    return Document(path, *lists)


def _light(fields: dict[str, Any]) -> dict[str, Any]:
    fields.pop("segmentation", None)
    return fields


def _entries(content: dict[str, Any], key: str, path: Path) -> tuple[Entry, ...]:
    if key not in content:
        raise unknown("key", key, content, where=f"{path}: {KIND} has no '{key}'")
    rows = content[key]
    if not isinstance(rows, list):
        raise KpError(f"{path}, '{key}': holds a {type(rows).__name__}; expected a list of objects")
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise KpError(f"{path}, {key}[{place}]: holds a {type(row).__name__}; expected an object")
    return tuple(Entry(f"{path}, {key}[{place}]", row) for place, row in enumerate(rows))
