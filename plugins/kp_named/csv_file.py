"""The CSV form: a line a person, two to four columns a keypoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kp_named.table import Point, Row, Table, box_of, keypoint_of, number, state
from kpcore.errors import KpError, nearest
from kpcore.reading.cells import is_missing
from kpcore.reading.csv_rows import csv_table
from kpcore.reading.paths import Images
from kpcore.tensors import VISIBLE

PLAIN = ("image", "part", "person")
BOX = ("box_x", "box_y", "box_w", "box_h")
AXES = ("_x", "_y", "_z", "_v")


@dataclass(frozen=True)
class Columns:
    """Where the header has what: keypoint -> {"_x": column, ...}, and the other columns by name."""

    keypoints: dict[str, dict[str, int]]
    plain: dict[str, int]


def read_csv(path: Path, images: Images) -> Table:
    """Read the file.

    Raises:
        KpError: with line and column, for whatever is not as the data set's docstring has it.
    """
    lines = csv_table(path, "a CSV file of named keypoints")
    if not lines:
        raise KpError(f"{path}: is empty; the first line names the columns: image, NAME_x, NAME_y, ...")
    columns = _columns(lines[0][1], path)
    dims = 3 if any("_z" in axes for axes in columns.keypoints.values()) else 2
    width = len(lines[0][1])
    rows = []
    for line, cells in lines[1:]:
        if len(cells) != width:
            raise KpError(f"{path}, line {line}: {len(cells)} cells, the header has {width}; mend this line")
        rows.append(_row(cells, columns, dims, f"{path}, line {line}", images))
    return Table(tuple(columns.keypoints), tuple(rows), dims)


def _columns(header: list[str], path: Path) -> Columns:
    keypoints: dict[str, dict[str, int]] = {}
    plain: dict[str, int] = {}
    for place, cell in enumerate(header):
        name = keypoint_of(cell, f"{path}, line 1, column {place + 1}")
        if header.count(name) > 1:
            raise KpError(f"{path}, line 1: column '{name}' occurs twice; give each its own name")
        if name in PLAIN or name in BOX:
            plain[name] = place
        elif name[-2:] in AXES and name[:-2]:
            keypoints.setdefault(name[:-2], {})[name[-2:]] = place
        else:
            near = nearest(name, [*PLAIN, *BOX])
            hint = f"did you mean '{near}'? " if near else ""
            known = ", ".join((*PLAIN, *BOX))
            raise KpError(f"{path}, line 1: unknown column '{name}'; {hint}({known}, NAME_x, NAME_y, NAME_z, NAME_v)")
    if "image" not in plain:
        raise KpError(f"{path}, line 1: no column 'image'; it names every row's picture")
    if 0 < sum(name in plain for name in BOX) < len(BOX):
        raise KpError(f"{path}, line 1: a box has the columns {', '.join(BOX)}; give all of them, or none")
    _check_axes(keypoints, path)
    return Columns(keypoints, plain)


def _check_axes(keypoints: Mapping[str, Mapping[str, int]], path: Path) -> None:
    if not keypoints:
        raise KpError(f"{path}, line 1: no keypoints; each has the columns NAME_x and NAME_y")
    deep = {"_z" in axes for axes in keypoints.values()}
    for name, axes in keypoints.items():
        if "_x" not in axes or "_y" not in axes:
            lost = "_x" if "_x" not in axes else "_y"
            raise KpError(f"{path}, line 1: no column '{name}{lost}' beside the others of '{name}'")
    if len(deep) > 1:
        flat = next(name for name, axes in keypoints.items() if "_z" not in axes)
        raise KpError(f"{path}, line 1: no column '{flat}_z', where other keypoints have one")


def _row(cells: list[str], columns: Columns, dims: int, where: str, images: Images) -> Row:
    def cell(name: str) -> str:
        return cells[columns.plain[name]] if name in columns.plain else ""

    box = ["" if is_missing(cell(name)) else cell(name) for name in BOX]
    if any(box) and not all(box):
        raise KpError(f"{where}: a box needs {', '.join(BOX)}; fill all of them, or none")
    points = {name: _point(cells, axes, dims, f"{where}, {name}") for name, axes in columns.keypoints.items()}
    return Row(
        where=where.rpartition(", ")[2],
        image=images.name(cell("image"), where),
        part=cell("part"),
        person=cell("person") or "0",
        box=box_of([number(value, f"{where}, box") for value in box], where) if all(box) else None,
        points={name: point for name, point in points.items() if point is not None},
    )


def _point(cells: list[str], axes: Mapping[str, int], dims: int, where: str) -> Point | None:
    """Return the point; None where it is not labelled: its coordinates do not count then."""
    given = [cells[axes[axis]] for axis in AXES[:dims]]
    seen = cells[axes["_v"]] if "_v" in axes else ""
    stated = not is_missing(seen)
    visibility = state(seen, f"{where}_v") if stated else VISIBLE
    missing = [is_missing(value) for value in given]
    if all(missing) or not visibility:
        if stated and visibility:
            raise KpError(f"{where}: visibility {visibility}, but no coordinates; write them, or visibility 0")
        return None
    if any(missing):
        raise KpError(f"{where}: some of its coordinates are empty; fill all of them, or none")
    return Point(tuple(number(value, where) for value in given), visibility)
