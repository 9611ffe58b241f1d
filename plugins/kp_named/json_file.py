"""The JSON form: keypoints with mirrors and groups, edges, and a list of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kp_named.table import Point, Row, Table, box_of, keypoint_of, missing, number, state
from kpcore.errors import KpError, unknown
from kpcore.reading import opening
from kpcore.reading.paths import Images
from kpcore.tensors import VISIBLE

TOP = ("keypoints", "edges", "dims", "samples")
OF_KEYPOINT = ("name", "mirror", "group")
OF_SAMPLE = ("image", "part", "person", "box", "points")


def load(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises KpError."""
    held = opening.read_json(path, "a JSON file of named keypoints")
    if not isinstance(held, dict):
        raise KpError(f"{path}: holds a {type(held).__name__}; it must be an object with 'keypoints' and 'samples'")
    return held


def read_json(path: Path, images: Images) -> Table:
    """Read the file.

    Raises:
        KpError: with the place, for whatever is not as the data set's docstring has it.
    """
    held = load(path)
    _keys(held, TOP, str(path), needed=("keypoints", "samples"))
    names, mirrors, groups = keypoints_of(held["keypoints"], str(path))
    dims = held.get("dims", 2)
    if type(dims) is not int or dims not in (2, 3):
        raise KpError(f"{path}, dims: {repr(dims)[:40]}; points have 2 or 3 coordinates")
    samples = _list(held["samples"], f"{path}, samples")
    rows = [_row(sample, names, dims, f"{path}, samples[{place}]", images) for place, sample in enumerate(samples)]
    return Table(names, tuple(rows), dims, mirrors, groups, edges_of(held.get("edges", []), names, str(path)))


def keypoints_of(given: object, where: str) -> tuple[tuple[str, ...], dict[str, str] | None, dict[str, str]]:
    """Return names, mirrors (None where nothing says one) and groups of a list of names or objects."""
    names: list[str] = []
    mirrors: dict[str, str] = {}
    groups: dict[str, str] = {}
    for place, one in enumerate(_list(given, f"{where}, keypoints")):
        spot = f"{where}, keypoints[{place}]"
        known = {"name": one} if isinstance(one, str) else one
        if not isinstance(known, dict):
            raise KpError(f"{spot}: must be a name, or an object with 'name', 'mirror', 'group'")
        _keys(known, OF_KEYPOINT, spot, needed=("name",))
        name = keypoint_of(_text(known["name"], f"{spot}, name"), f"{spot}, name")
        if name in names:
            raise KpError(f"{spot}: keypoint '{name}' occurs twice; give each its own name")
        names.append(name)
        if known.get("mirror") is not None:
            mirrors[name] = _text(known["mirror"], f"{spot}, mirror")
        if known.get("group") is not None:
            groups[name] = _text(known["group"], f"{spot}, group")
    if not names:
        raise KpError(f"{where}, keypoints: none; name at least one")
    return tuple(names), mirrors or None, groups


def edges_of(given: object, names: Sequence[str], where: str) -> tuple[tuple[str, str], ...]:
    """Return edges; raises KpError where one is no pair of keypoints."""
    edges = []
    for place, pair in enumerate(_list(given, f"{where}, edges")):
        if not isinstance(pair, list) or len(pair) != 2:
            raise KpError(f"{where}, edges[{place}]: must be a pair of keypoints")
        for name in pair:
            if name not in names:
                raise unknown("keypoint", ascii(str(name)[:60])[1:-1], names, where=f"{where}, edges[{place}]")
        edges.append((pair[0], pair[1]))
    return tuple(edges)


def _row(sample: object, names: Sequence[str], dims: int, place: str, images: Images) -> Row:
    if not isinstance(sample, dict):
        raise KpError(f"{place}: must be an object with 'image' and 'points'")
    _keys(sample, OF_SAMPLE, place, needed=("image", "points"))
    points = sample["points"]
    if not isinstance(points, dict):
        raise KpError(f"{place}, points: must be an object, keypoint -> [x, y]")
    for name in points:
        if name not in names:
            raise unknown("keypoint", ascii(name[:60])[1:-1], names, where=f"{place}, points")
    found = {name: _point(value, dims, f"{place}, {name}") for name, value in points.items()}
    return Row(
        where=place.rpartition(", ")[2],
        image=images.name(sample["image"], place),
        part=_text(sample["part"], f"{place}, part") if sample.get("part") is not None else "",
        person=_text(sample["person"], f"{place}, person") if sample.get("person") is not None else "0",
        box=_box(sample["box"], f"{place}, box") if sample.get("box") is not None else None,
        points={name: point for name, point in found.items() if point is not None},
    )


def _point(value: object, dims: int, where: str) -> Point | None:
    if value is None:
        return None
    given = _list(value, where)
    if len(given) not in (dims, dims + 1):
        raise KpError(f"{where}: {len(given)} numbers; a point has {dims}, and perhaps its visibility")
    visibility = state(given[dims], where) if len(given) > dims else VISIBLE
    if len(given) == dims and all(map(missing, given)):
        return None
    return Point(tuple(number(each, where) for each in given[:dims]), visibility) if visibility else None


def _box(value: object, where: str) -> tuple[float, float, float, float]:
    given = _list(value, where)
    if len(given) != 4:
        raise KpError(f"{where}: {len(given)} numbers; a box has left, top, width, height")
    return box_of([number(each, where) for each in given], where)


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise KpError(f"{where}: must be a list, is a {type(value).__name__}")
    return value


def _text(value: object, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:200]
    if not isinstance(value, str) or not value.strip():
        raise KpError(f"{where}: must be a text that is not empty")
    return value.strip()


def _keys(given: Mapping[str, object], known: Sequence[str], where: str, *, needed: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise unknown("key", ascii(key[:60])[1:-1], known, where=where)
    for key in needed:
        if key not in given:
            raise KpError(f"{where}: no '{key}'; it needs {', '.join(needed)}")
