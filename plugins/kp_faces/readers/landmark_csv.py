"""A CSV file with a row a face: the image's name, then x and y of every landmark."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from kp_faces.readers.table import Table, check_numbers, from_rows
from kp_faces.readers.values import plain
from kp_faces.skeletons import FACES68, SKELETONS, group_of
from kpcore.errors import KpError
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.reading.cells import number
from kpcore.reading.csv_rows import csv_table
from kpcore.reading.paths import Images
from kpcore.reading.sides import mirror_partners, shared_name
from kpcore.reading.skeletons import sided_keypoints
from kpcore.tensors import UNLABELLED, VISIBLE, Float64Array, StateArray

KIND = "a landmark CSV (image name, then x and y of every landmark)"
_NUMBERED = re.compile(r"([xy])[_ ]?(\d{1,4})", re.IGNORECASE)
_NAMED = re.compile(r"(.*\S)[_ .-]([xy])", re.IGNORECASE)


@dataclass(frozen=True)
class Header:
    """The first row.

    Args:
        cells: as they are.
        names: K names of landmarks; None where they are only numbered.
        columns: K pairs: the columns of x and y.
    """

    cells: tuple[str, ...]
    names: tuple[str, ...] | None
    columns: tuple[tuple[int, int], ...]


def read_header(path: Path) -> Header:
    """Read only the first row.

    Raises:
        KpError: it is not of this format.
    """
    for _, cells in csv_table(path, KIND):
        return parse_header(cells, path)
    raise KpError(f"{path}: is empty; expected {KIND}")


def parse_header(cells: Sequence[str], path: Path) -> Header:
    """Find the landmarks' columns.

    Raises:
        KpError: the columns are none of the three spellings, or do not pair.
    """
    found = [text.strip() for text in cells]
    axes = found[1:]
    if not axes or _is_coordinate(found[0]):
        raise KpError(f"{path}, line 1: expected the image's name in the first column, then coordinates: {KIND}")
    if all(text.isascii() and text.isdecimal() for text in axes):
        return Header(tuple(found), None, _counted(axes, path))
    numbered = [_NUMBERED.fullmatch(text) for text in axes]
    if all(numbered):
        places = _paired([(match[2].lstrip("0") or "0", match[1].lower()) for match in numbered if match], path)
        order = sorted(places, key=int)
        if [int(key) for key in order] not in (list(range(len(order))), list(range(1, len(order) + 1))):
            raise KpError(f"{path}, line 1: numbered columns must count every landmark from 0 or 1: {KIND}")
        return Header(tuple(found), None, tuple(places[key] for key in order))
    places = _paired([_named(text, path) for text in axes], path)
    return Header(tuple(found), tuple(places), tuple(places.values()))


def _is_coordinate(text: str) -> bool:
    return bool(text.isdecimal() or _NUMBERED.fullmatch(text) or _NAMED.fullmatch(text))


def _counted(axes: Sequence[str], path: Path) -> tuple[tuple[int, int], ...]:
    if len(axes) % 2 or axes != [str(number) for number in range(len(axes))]:
        raise KpError(
            f"{path}, line 1: plainly numbered columns must be 0, 1, ... with x and y of each landmark in turn,"
            f" but there are {len(axes)} from {plain(axes[0])} to {plain(axes[-1])}"
        )
    return tuple((2 * place + 1, 2 * place + 2) for place in range(len(axes) // 2))


def _named(text: str, path: Path) -> tuple[str, str]:
    match = _NAMED.fullmatch(text)
    if match is None or not text.isprintable():
        raise KpError(
            f"{path}, line 1: column {plain(text)} is no coordinate; expected NAME_x and NAME_y, x0 and y0, or numbers"
        )
    return match[1], match[2].lower()


def _paired(axes: Sequence[tuple[str, str]], path: Path) -> dict[str, tuple[int, int]]:
    """Return landmark -> columns of x and y, in order of first appearance."""
    found: dict[str, dict[str, int]] = {}
    for column, (name, axis) in enumerate(axes, 1):
        if axis in found.setdefault(name, {}):
            raise KpError(f"{path}, line 1: {axis} of landmark {plain(name)} is there twice; name each column once")
        found[name][axis] = column
    for name, pair in found.items():
        if len(pair) != 2:
            raise KpError(f"{path}, line 1: landmark {plain(name)} has {next(iter(pair))} alone; it needs x and y")
    return {name: (pair["x"], pair["y"]) for name, pair in found.items()}


def skeleton_of(header: Header, named: str | None, path: Path) -> tuple[Skeleton, Header]:
    """Return the skeleton, and the header with its columns in the skeleton's order.

    Args:
        header: the first row.
        named: a published skeleton, whose order the columns are in; None: what the header says, 68 unnamed landmarks
            are iBUG's, and others are called p0, p1, ...
        path: for errors.

    Raises:
        KpError: the named skeleton has another number of landmarks.
    """
    count = len(header.columns)
    if named is not None:
        skeleton = SKELETONS[named]
        if len(skeleton.names) != count:
            raise KpError(
                f"{path}: has {count} landmarks, but dataset.skeleton = '{named}' has {len(skeleton.names)}; drop it"
            )
        return skeleton, header
    if header.names is None:
        plain_names = tuple(f"p{number}" for number in range(count))
        unnamed = Skeleton("landmarks", tuple(Keypoint(name, group=name) for name in plain_names))
        return (FACES68 if count == len(FACES68.names) else unnamed), header
    for skeleton in SKELETONS.values():
        if set(skeleton.names) == set(header.names):
            places: Mapping[str, tuple[int, int]] = dict(zip(header.names, header.columns, strict=True))
            return skeleton, Header(header.cells, skeleton.names, tuple(places[name] for name in skeleton.names))
    return Skeleton("landmarks", sided_keypoints(header.names, _groups(header.names))), header


def _groups(names: Sequence[str]) -> dict[str, str]:
    """Return name -> group: this vocabulary's; else what a pair shares, without the number that ends it."""
    shared = {name: shared_name(name, partner) for name, partner in mirror_partners(names).items() if partner}
    plain_names = {name: re.sub(r"_*\d+$", "", both) for name, both in shared.items()}
    return {name: group for name in names if (group := group_of(name) or plain_names.get(name))}


def read(path: Path, images: Images, folder: str, header: Header) -> Table:
    """Read all faces.

    Args:
        path: the file.
        images: finds its images.
        folder: what image ids begin with, so that no two parts share one.
        header: whose columns are in the skeleton's order.

    Raises:
        KpError: a row is too short or too long, or a cell is no number; with line and column.
    """
    names: list[str] = []
    points: list[list[float]] = []
    for line, cells in islice(csv_table(path, KIND), 1, None):
        if len(cells) != len(header.cells):
            raise KpError(
                f"{path}, line {line}: has {len(cells)} cells; the header has {len(header.cells)}; mend this line (what"
                " is not labelled is an empty cell, and a name with a comma stands in quotes)"
            )
        names.append(images.name(cells[0], f"{path}, line {line}"))
        points.append([_cell(cells, column, header, path, line) for pair in header.columns for column in pair])
    found = np.array(points, np.float64).reshape(len(names), len(header.columns), 2)
    state = _states(found, header, path)
    for row, one in enumerate(found):
        check_numbers(one, state[row], f"{path}, row {row} ({names[row]})")
    ids = [posixpath.normpath(f"{folder}/{name}") for name in names]
    table = from_rows(list(map(images.path, names)), ids, found, state=state, rows=range(len(names)))
    return table.noting(*images.findings())


def _cell(cells: Sequence[str], column: int, header: Header, path: Path, line: int) -> float:
    return number(cells[column], f"{path}, line {line}, column {plain(header.cells[column])}")


def _states(points: Float64Array, header: Header, path: Path) -> StateArray:
    missing = np.isnan(points)
    half = missing[..., 0] != missing[..., 1]
    if half.any():
        row, place = np.argwhere(half)[0]
        column = header.cells[header.columns[place][int(missing[row, place, 1])]]
        raise KpError(f"{path}, row {row}: column {plain(column)} has one coordinate without the other; mend the row")
    return np.where(missing[..., 0], UNLABELLED, VISIBLE).astype(np.uint8)
