"""Reading JSON objects that others wrote: every error names the file, the place and the key."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kpcore.errors import KpError, unknown
from kpcore.reading.opening import read_json
from kpcore.reading.paths import Images
from kpcore.tensors import Float64Array

KIND = "COCO's JSON annotation"
LARGEST = 1e6
"""No coordinate or length in pixels is larger."""

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
            raise unknown("key", key, self.fields, where=f"{self.where} has no '{key}'")
        return self.fields[key]

    def identity(self, key: str) -> Identity:
        """Return a whole number or a text that names something."""
        value = self.value(key)
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
        """Return whether a field is 1; absent is 0."""
        value = self.fields.get(key, 0)
        if isinstance(value, bool | int | float) and value in (0, 1):
            return bool(value)
        raise self.wrong(key, "0 or 1")

    def numbers(self, key: str, count: int) -> Float64Array:
        """Return (count,) finite numbers that can be pixels."""
        found = self._array(key)
        if found.shape != (count,):
            raise self.wrong(key, f"{count} numbers")
        if not (np.abs(found) <= LARGEST).all():
            raise self.wrong(key, f"finite numbers up to {LARGEST:g}")
        return found

    def area(self, key: str) -> float:
        """Return a number of pixels; NaN where it is absent or null."""
        if self.fields.get(key) is None:
            return float("nan")
        found = self._array(key)
        if found.shape != () or not abs(found) <= LARGEST**2:
            raise self.wrong(key, f"a finite number up to {LARGEST**2:g}")
        return float(found)

    def _array(self, key: str) -> Float64Array:
        try:
            found = np.array(self.value(key))
        except (ValueError, OverflowError, RecursionError):  # numpy's answer to ragged and deep lists
            raise self.wrong(key, "numbers") from None
        return found.astype(np.float64) if found.dtype.kind in "iuf" else np.full(0, np.nan)

    def wrong(self, key: str, expected: str) -> KpError:
        """Return the error for a value of another kind."""
        given = self.value(key)
        long = f" ({len(given)} entries)" if isinstance(given, list) else ""
        return KpError(f"{self.where}, '{key}': expected {expected}, got {reprlib.repr(given)}{long}; mend the file")


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
