"""Label Studio's JSON and JSON-MIN exports: tasks, their annotations, and the regions of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kpcore.errors import KpError
from kpcore.reading.opening import guarded, read_json

KIND = "a JSON export of Label Studio"
LABELS = ("keypointlabels", "rectanglelabels", "labels")
"""Keys of a region's value that name what it is; the last is that of a tag ``Labels`` beside ``KeyPoint``."""
LARGEST_SIDE = 100_000
"""Pixels of a picture's width or height."""


@dataclass(frozen=True)
class Region:
    """A keypoint or a rectangle; all numbers are percent of the picture's width and height.

    Args:
        where: file, task and region, for messages.
        kind: which of the two.
        identity: what relations and parents call it.
        parent: identity of the region that it was put under; "" where there is none.
        labels: as the annotator chose; usually one.
        place: x and y; of a rectangle its left and top.
        extent: width and height of a rectangle.
        tilt: of a rectangle, degrees clockwise around its left top corner.
        size: (width, height) of the picture, px; None where the file does not say.
        turned: degrees by which the annotator had turned the picture.
    """

    where: str
    kind: Literal["keypoint", "rectangle"]
    identity: str
    parent: str
    labels: tuple[str, ...]
    place: tuple[float, float]
    extent: tuple[float, float]
    tilt: float
    size: tuple[int, int] | None
    turned: float


@dataclass(frozen=True)
class Annotation:
    """What one annotator made of a task.

    Args:
        cancelled: skipped by the annotator.
        rank: sorts annotations of a task: ground truth after others, then by the time of the last change.
        regions: keypoints and rectangles.
        relations: pairs of identities.
        others: kinds of results that are neither.
    """

    cancelled: bool
    rank: tuple[bool, str, int]
    regions: tuple[Region, ...]
    relations: tuple[tuple[str, str], ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One picture to label.

    Args:
        where: file and task, for messages.
        identity: Label Studio's own number of it.
        data: what the task is about; one of its texts names the picture.
        annotations: in the file's order.
    """

    where: str
    identity: str
    data: dict[str, str]
    annotations: tuple[Annotation, ...]


def is_list(path: Path) -> bool:
    """Whether a JSON file holds a list, as exports do: told by its first bytes."""
    with guarded(path, KIND), path.open("rb") as file:
        return file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def read_export(path: Path) -> tuple[Task, ...]:
    """Read a file of either kind.

    Raises:
        KpError: it cannot be read, or is not such an export; with the task.
    """
    held = read_json(path, KIND)
    if not isinstance(held, list) or not held or not all(isinstance(task, dict) for task in held):
        raise KpError(f"{path}: is no list of tasks; expected {KIND} (export as JSON, or JSON-MIN)")
    whole = [task for task in held if isinstance(task.get("data"), dict)]
    if whole and len(whole) == len(held):
        return tuple(_task(task, f"{path}, task {task.get('id', place)}") for place, task in enumerate(held))
    if not whole and any(_is_min(task) for task in held):
        return tuple(_of_min(held, path))
    raise KpError(f"{path}: its tasks have no 'data'; expected {KIND} (export as JSON, or JSON-MIN)")


def _task(given: Mapping[str, Any], where: str) -> Task:
    rows = given.get("annotations", given.get("completions", []))  # as it was called before 2021
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise KpError(f"{where}, annotations: must be a list of objects; export as JSON")
    data = {str(key): value for key, value in given["data"].items() if isinstance(value, str)}
    made = [_annotation(row, place, f"{where}, annotation {row.get('id', place)}") for place, row in enumerate(rows)]
    return Task(where, str(given.get("id", "")), data, tuple(made))


def _is_min(task: Mapping[str, Any]) -> bool:
    return any(_drawn(value) for value in task.values())


def _drawn(value: object) -> bool:
    """Whether a value of a JSON-MIN task is a list of regions."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "x" in one for one in value)


def _of_min(rows: list[dict[str, Any]], path: Path) -> Iterator[Task]:
    """Yield tasks of JSON-MIN, which has a row an annotation, and a region's value and picture in one object."""
    tasks: dict[str, dict[str, Any]] = {}
    for place, row in enumerate(rows):
        key = str(row.get("id", f"row {place}"))
        data = {name: value for name, value in row.items() if isinstance(value, str)}
        task = tasks.setdefault(key, {"id": key, "data": data, "annotations": []})
        found = [one for value in row.values() if _drawn(value) for one in value]
        task["annotations"].append({**row, "id": row.get("annotation_id", place), "result": [_whole(r) for r in found]})
    return (_task(task, f"{path}, task {key}") for key, task in tasks.items())


def _whole(region: dict[str, Any]) -> dict[str, Any]:
    return {**region, "value": region}


def _annotation(given: Mapping[str, Any], place: int, where: str) -> Annotation:
    results = given.get("result", [])
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise KpError(f"{where}, result: must be a list of objects; export again")
    regions = [_region(one, f"{where}, result[{number}]") for number, one in enumerate(results)]
    pairs = [(str(one["from_id"]), str(one["to_id"])) for one in results if "from_id" in one and "to_id" in one]
    others = [str(one.get("type", "?")) for one, region in zip(results, regions, strict=True) if region is None]
    changed = str(given.get("updated_at") or given.get("created_at") or "")
    return Annotation(
        cancelled=bool(given.get("was_cancelled")),
        rank=(bool(given.get("ground_truth")), changed, place),
        regions=tuple(region for region in regions if region is not None),
        relations=tuple(pairs),
        others=tuple(kind for kind in others if kind != "relation"),
    )


def _region(given: Mapping[str, Any], where: str) -> Region | None:
    """Return a keypoint or rectangle; None for any other result, such as a choice or a polygon."""
    value = given.get("value")
    if not isinstance(value, dict) or "x" not in value or "y" not in value:
        return None
    key = next((key for key in LABELS if key in value), None)
    shape = str(given.get("type", key))
    box = "height" in value and shape in ("rectanglelabels", "labels", "rectangle")
    if key is None or not (box or ("height" not in value and shape in ("keypointlabels", "labels", "keypoint"))):
        return None
    return Region(
        where=where,
        kind="rectangle" if box else "keypoint",
        identity=str(given.get("id") or where),
        parent=str(given.get("parentID") or given.get("parent_id") or ""),
        labels=_labels(value[key], f"{where}, {key}"),
        place=(_number(value["x"], f"{where}, x"), _number(value["y"], f"{where}, y")),
        extent=(_number(value.get("width"), f"{where}, width"), _number(value.get("height"), f"{where}, height"))
        if box
        else (0.0, 0.0),
        tilt=_number(value.get("rotation") or 0, f"{where}, rotation"),
        size=_size(given, where),
        turned=_number(given.get("image_rotation") or 0, f"{where}, image_rotation"),
    )


def _labels(given: object, where: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) and one.strip().isprintable() for one in given):
        raise KpError(f"{where}: {ascii(given)[:60]}; must be a list of names")
    return tuple(one.strip() for one in given if one.strip())


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
        raise KpError(f"{where}: {ascii(value)[:40]} is no percentage; export again")
    return float(value)


def _size(given: Mapping[str, Any], where: str) -> tuple[int, int] | None:
    sides = given.get("original_width"), given.get("original_height")
    if sides == (None, None):
        return None
    if not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in sides):
        raise KpError(f"{where}: original_width, original_height: {ascii(sides)[:60]}; must be the picture's size, px")
    return sides  # type: ignore[return-value]
