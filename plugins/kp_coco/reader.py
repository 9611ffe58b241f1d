"""One annotation file in COCO's format, as columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from kp_coco.fields import Document, Entry, Identity, load
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Finding
from kpcore.reading.paths import Images
from kpcore.tensors import UNLABELLED, AnyArray, Float64Array, StateArray

BOX_TO_AREA = 0.53
"""Area of a person over that of the box, where no segment was drawn; as MMPose takes it."""

OTHER_CATEGORY = "annotations of other categories left out"
CROWD = "crowd regions (iscrowd = 1) left out"
NO_KEYPOINTS = "people without a labelled keypoint left out"
NO_BOX = "no box of positive size: the box of the labelled keypoints taken"
NO_AREA = f"no positive area: {BOX_TO_AREA} x the box's area taken"


@dataclass(frozen=True)
class Category:
    """A category that has keypoints.

    Args:
        name: as in the file.
        identity: what annotations call it.
        names: keypoints, in the file's order.
        edges: pairs of names.
    """

    name: str
    identity: Identity
    names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Table:
    """N people.

    Args:
        category: whose keypoints they have.
        images: N file names.
        points: (N, K, 2) pixels, 0-based, anything where unlabelled.
        state: (N, K).
        boxes: (N, 4) left, top, width, height; positive sizes unless all labelled keypoints are in one line.
        areas: (N,) square pixels.
        person_ids: N ids of annotations.
        rows: (N,) places in the file's annotations, 0-based.
        findings: what was left out or derived.
    """

    category: Category
    images: tuple[str, ...]
    points: Float64Array
    state: StateArray
    boxes: Float64Array
    areas: Float64Array
    person_ids: tuple[str, ...]
    rows: AnyArray
    findings: tuple[Finding, ...] = ()


@dataclass
class _Person:
    row: int
    image: str
    identity: Identity
    points: Float64Array  # (K, 2)
    state: StateArray  # (K,)
    box: Float64Array  # (4,)
    area: float


@dataclass
class _Tally:
    """Counts what is odd, with the first place of each kind."""

    kinds: dict[str, tuple[Literal["note", "warning"], str, int]] = field(default_factory=dict)

    def add(self, what: str, image: str, row: int, level: Literal["note", "warning"] = "note") -> None:
        _, first, count = self.kinds.get(what, (level, f"{image}, row {row}", 0))
        self.kinds[what] = (level, first, count + 1)

    def findings(self) -> tuple[Finding, ...]:
        return tuple(Finding(level, f"{what} (first: {first})", n) for what, (level, first, n) in self.kinds.items())


def read(path: Path, category: str | None, wanted: Callable[[str], bool], names: Images) -> Table:
    """Read a file.

    Args:
        path: the file.
        category: name of a category; where None, the only one that has keypoints.
        wanted: whether the people of this image are read.
        names: finds the images.

    Raises:
        KpError: the file is damaged or not of this format, with the place in it.
    """
    document = load(path)
    chosen = choose(document, category)
    images, tally = image_names(document, names), _Tally()
    people, seen = [], set[Identity]()
    for row, entry in enumerate(document.annotations):
        _once(seen, entry.identity("id"), entry, "id")
        image = images.get(entry.identity("image_id"))
        if image is None:
            raise KpError(f"{entry.where}, 'image_id': no image has the id {entry.value('image_id')!r}; mend the file")
        if wanted(image) and (person := _person(entry, row, image, chosen, tally)):
            people.append(person)
    return _table(people, chosen, tally)


def choose(document: Document, name: str | None) -> Category:
    """Return the category of that name, or the only one that has keypoints.

    Raises:
        KpError: there is none, there are several, or it is damaged.
    """
    seen: set[Identity] = set()
    for entry in document.categories:
        _once(seen, entry.identity("id"), entry, "id")
    found = {entry.text("name"): entry for entry in document.categories if entry.fields.get("keypoints")}
    if not found:
        raise KpError(f"{document.path}, 'categories': none has 'keypoints'; is it a file of boxes (instances_*.json)?")
    if name is not None and name not in found:
        raise unknown("category with keypoints", name, found, where=f"{document.path}, dataset.category")
    if name is None and len(found) > 1:
        raise KpError(f"{document.path}: several categories have keypoints ({', '.join(found)}); set dataset.category")
    return _category(found[name] if name is not None else next(iter(found.values())))


def _category(entry: Entry) -> Category:
    names = entry.value("keypoints")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n and n.isprintable() for n in names):
        raise entry.wrong("keypoints", "a list of names")
    pairs = entry.fields.get("skeleton")
    edges = [] if pairs is None else _edges(entry, len(names))
    return Category(
        entry.text("name"),
        entry.identity("id"),
        tuple(names),
        tuple((names[one], names[other]) for one, other in edges),
    )


def _edges(entry: Entry, count: int) -> list[tuple[int, int]]:
    """Return pairs of places; the file counts from 1, or from 0 where a 0 occurs."""
    pairs = entry.value("skeleton")
    if not isinstance(pairs, list) or not all(_is_edge(pair) for pair in pairs):
        raise entry.wrong("skeleton", "a list of pairs of keypoint numbers")
    origin = 0 if any(0 in pair for pair in pairs) else 1
    if not all(origin <= end < count + origin for pair in pairs for end in pair):
        raise entry.wrong("skeleton", f"keypoint numbers from {origin} to {count + origin - 1}")
    return [(one - origin, other - origin) for one, other in pairs]


def _is_edge(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(type(end) is int for end in pair)


def image_names(document: Document, names: Images) -> dict[Identity, str]:
    """Return id -> file name.

    Raises:
        KpError: an id or a file name occurs twice, or a name leaves the folder.
    """
    found: dict[Identity, str] = {}
    files: set[Identity] = set()
    for entry in document.images:
        identity, name = entry.identity("id"), entry.path("file_name", names)
        if identity in found:
            raise KpError(f"{entry.where}, 'id': {identity!r} occurs twice; mend the file")
        _once(files, name, entry, "file_name")
        found[identity] = name
    return found


def _once(seen: set[Identity], value: Identity, entry: Entry, key: str) -> None:
    if value in seen:
        raise KpError(f"{entry.where}, '{key}': {value!r} occurs twice; mend the file")
    seen.add(value)


def _person(entry: Entry, row: int, image: str, category: Category, tally: _Tally) -> _Person | None:
    """Return a person, or None where it is left out, which the tally learns."""
    if reason := _left_out(entry, category):
        tally.add(reason, image, row)
        return None
    points, state = _keypoints(entry, len(category.names))
    if not state.any():
        tally.add(NO_KEYPOINTS, image, row)
        return None
    box = _box(entry, points[state != UNLABELLED], image, row, tally)
    return _Person(row, image, entry.identity("id"), points, state, box, _area(entry, box, image, row, tally))


def _left_out(entry: Entry, category: Category) -> str:
    if entry.identity("category_id") != category.identity:
        return OTHER_CATEGORY
    return CROWD if entry.flag("iscrowd") else ""


def _keypoints(entry: Entry, count: int) -> tuple[Float64Array, StateArray]:
    """Return (K, 2) points and (K,) states; COCO's visibilities 0, 1 and 2 are our states."""
    triplets = entry.numbers("keypoints", 3 * count).reshape(count, 3)
    seen = triplets[:, 2]
    if not ((seen == 0) | (seen == 1) | (seen == 2)).all():
        raise entry.wrong("keypoints", "x, y and a visibility of 0, 1 or 2 each")
    return triplets[:, :2], seen.astype(np.uint8)


def _box(entry: Entry, labelled: Float64Array, image: str, row: int, tally: _Tally) -> Float64Array:
    if entry.fields.get("bbox") is not None:
        box = entry.numbers("bbox", 4)
        if (box[2:] > 0).all():
            return box
    tally.add(NO_BOX, image, row)
    low = labelled.min(0)
    return np.concatenate([low, np.maximum(labelled.max(0) - low, 1.0)])


def _area(entry: Entry, box: Float64Array, image: str, row: int, tally: _Tally) -> float:
    area = entry.area("area")
    if area > 0:
        return area
    tally.add(NO_AREA, image, row)
    return float(BOX_TO_AREA * box[2] * box[3])


def _table(people: Sequence[_Person], category: Category, tally: _Tally) -> Table:
    count, joints = len(people), len(category.names)
    return Table(
        category=category,
        images=tuple(person.image for person in people),
        points=np.array([person.points for person in people], np.float64).reshape(count, joints, 2),
        state=np.array([person.state for person in people], np.uint8).reshape(count, joints),
        boxes=np.array([person.box for person in people], np.float64).reshape(count, 4),
        areas=np.array([person.area for person in people], np.float64),
        person_ids=tuple(str(person.identity) for person in people),
        rows=np.array([person.row for person in people], np.int64),
        findings=tally.findings(),
    )
