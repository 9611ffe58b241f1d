"""What a ``CollectedData`` file says, whichever format it is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kpcore.errors import KpError
from kpcore.reading.paths import Images, stated_name
from kpcore.tensors import Float64Array

LARGEST = 1e5
"""Pixels beyond which a coordinate is no place in an image."""
LEVELS = ("scorer", "individuals", "bodyparts", "coords")
"""Names of the header's rows; only files of several animals have the second."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of F frames.

    Args:
        path: the file.
        images: F image paths as the file writes them, with forward slashes.
        individuals: A names; one empty name where the file is of a single animal.
        bodyparts: K names in the order of first appearance.
        points: (F, A, K, 2) pixels, 0-based, NaN where unlabelled.
    """

    path: Path
    images: tuple[str, ...]
    individuals: tuple[str, ...]
    bodyparts: tuple[str, ...]
    points: Float64Array


def assemble(
    path: Path, images: Sequence[str], columns: Sequence[tuple[str, str, str]], values: Float64Array
) -> Labels:
    """Put (F, C) values under columns of (individual, bodypart, coordinate) into the labels of a file.

    Raises:
        KpError: columns or images occur twice, a coordinate is missing, or a value is no place in an image.
    """
    places = _places(path, columns)
    individuals = tuple(dict.fromkeys(who for who, _, _ in columns))
    bodyparts = tuple(dict.fromkeys(part for _, part, _ in columns))
    _check_images(path, images)
    _check_values(path, images, columns, values)
    points = np.full((len(images), len(individuals), len(bodyparts), 2), np.nan)
    for (who, part), (x, y) in places.items():
        points[:, individuals.index(who), bodyparts.index(part)] = values[:, [x, y]]
    _check_pairs(path, images, bodyparts, points)
    return Labels(path, tuple(images), individuals, bodyparts, points)


def image_name(images: Images, where: str, parts: Sequence[str]) -> str:
    """Return the image's path as the file has it, with forward slashes, from the cells of a row's index.

    Raises:
        KpError: it is no path of a file, or leads out of the project.
    """
    name = stated_name("/".join(parts), where)
    images.name(name, where)
    return name


def _places(path: Path, columns: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (individual, bodypart) -> columns of x and y."""
    found: dict[tuple[str, str, str], int] = {}
    for place, column in enumerate(columns):
        if not column[1]:
            raise KpError(f"{path}: column {place + 1} of the labels has no name in the row 'bodyparts'")
        if not "".join(column).isprintable():
            raise KpError(f"{path}: the header's {column!r:.200} has characters that cannot be shown; rename it")
        if column in found:
            raise KpError(f"{path}: bodypart '{column[1]}' has two columns '{column[2]}'; remove one")
        found[column] = place
    pairs = {}
    for who, part, _ in columns:
        missing = [axis for axis in ("x", "y") if (who, part, axis) not in found]
        if missing:
            raise KpError(f"{path}: bodypart '{part}' has no column '{missing[0]}'; each has x and y")
        pairs[who, part] = (found[who, part, "x"], found[who, part, "y"])
    return pairs


def _check_images(path: Path, images: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for row, name in enumerate(images):
        if name in seen:
            raise KpError(f"{path}: frames {seen[name]} and {row} (from 0) are both of {name}; remove one of the rows")
        seen[name] = row


def _check_values(
    path: Path, images: Sequence[str], columns: Sequence[tuple[str, str, str]], values: Float64Array
) -> None:
    kept = np.array([axis in ("x", "y") for _, _, axis in columns])
    wrong = np.argwhere((np.isinf(values) | (np.abs(np.nan_to_num(values)) > LARGEST)) & kept)
    if len(wrong):
        row, column = (int(place) for place in wrong[0])
        _, part, axis = columns[column]
        raise KpError(
            f"{path}, {images[row]}: {part} {axis} is {values[row, column]:g}, no place in an image; leave the cell"
            " empty where the part is not labelled"
        )


def _check_pairs(path: Path, images: Sequence[str], bodyparts: Sequence[str], points: Float64Array) -> None:
    half = np.argwhere(np.isnan(points[..., 0]) != np.isnan(points[..., 1]))
    if len(half):
        row, _, part = (int(place) for place in half[0])
        raise KpError(f"{path}, {images[row]}: {bodyparts[part]} has only one of x and y; give both or neither")
