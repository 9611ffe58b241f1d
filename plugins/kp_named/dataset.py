"""Named keypoints: a folder of images and one CSV or JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from kp_named.csv_file import read_csv
from kp_named.json_file import edges_of, keypoints_of, load, read_json
from kp_named.table import Row, Table, arrays, check_rows
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding, Near
from kpcore.keypoints import Skeleton
from kpcore.reading.boxes import holds_none
from kpcore.reading.csv_rows import csv_rows
from kpcore.reading.held_out import held_names, undivided
from kpcore.reading.paths import Images
from kpcore.reading.roots import existing_root, inside
from kpcore.reading.skeletons import sided_keypoints, told_groups, told_partners
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED, Float64Array, FloatArray

FILES = ("keypoints.csv", "keypoints.json")
SKELETON = "skeleton.json"
HOLDS = f"{' or '.join(FILES)}, and the images"
SMALLEST = 16.0
"""The crop's side at least, px."""
PARTS = ("train", "valid")


class Named(Dataset):
    """Your own keypoints, in one file that you write.

    ``keypoints.csv``: a line a person; commas, semicolons or tabs between cells, UTF-8. A cell that is
    empty (or ``NaN``, ``NA``, ``-``) is not labelled; ``NAME_v`` (0 not labelled, 1 hidden, 2 visible), ``NAME_z``,
    ``part``, ``person`` and the box may be left out::

        image,part,person,box_x,box_y,box_w,box_h,nose_x,nose_y,left_ear_x,left_ear_y,left_ear_v
        cats/1.png,train,0,10,10,80,60,24,30.5,10,8,1
        cats/2.png,valid,0,,,,,31,33,,,

    ``skeleton.json`` beside it may say what names cannot: ``{"keypoints": [{"name": "nose"}, {"name": "left_ear",
    "mirror": "right_ear", "group": "ear"}], "edges": [["nose", "left_ear"]]}``.

    ``keypoints.json``: the same in one file; ``dims`` is 2 where it is not said, a point may end with its visibility::

        {"keypoints": ["nose", {"name": "left_ear", "mirror": "right_ear", "group": "ear"}, "right_ear"],
         "edges": [["nose", "left_ear"]], "dims": 2,
         "samples": [{"image": "cats/1.png", "part": "train", "person": "0", "box": [10, 10, 80, 60],
                      "points": {"nose": [24, 30.5], "left_ear": [10, 8, 1], "right_ear": null}}]}

    Where no mirror is said, names that differ in left and right (l and r) alone mirror each other, and share a group
    (:mod:`kpcore.reading.sides`).
    Images lie below ``images``. The crop is the box, else that of the labelled points, times ``margin``. A third
    coordinate is depth from the root, in pixels at its distance.

    Args: as the fields of ``Config``.

    Raises:
        KpError: no root or file, or a line of it is not as above.
    """

    root_variable: ClassVar[str] = "KP_NAMED_ROOT"
    """Environment variable that names the root where the configuration does not."""

    class Config(ComponentConfig):
        """``[dataset] name = "named"``."""

        root: str | None = Field(default=None, description="folder with the annotation; KP_NAMED_ROOT where absent")
        annotation: str | None = Field(
            default=None, description="file in the root; keypoints.csv or keypoints.json where absent"
        )
        images: str = Field(default=".", description="folder of the images, in the root; elsewhere by its whole path")
        origin: Literal[0, 1] = Field(default=0, description="coordinate of the first pixel's centre in the file")
        margin: float = Field(default=1.25, ge=1, le=4, description="crop side over the longer side of the box")
        normaliser: tuple[str, str] | None = Field(
            default=None, description="errors are divided by the distance of these two keypoints; the box where absent"
        )
        mirrors: dict[str, str] | None = Field(
            default=None, description="keypoint = its mirror partner, in place of what file and names say; {}: none"
        )
        groups: dict[str, list[str]] = Field(default={}, description="group = its keypoints, before the file's")
        held_out: float = Field(
            default=0.1, gt=0, lt=1, description="share of images that is scored, where the file names no parts"
        )

    def __init__(
        self, *, root: str | None, annotation: str | None, images: str, origin: int, margin: float,
        normaliser: tuple[str, str] | None, mirrors: dict[str, str] | None, groups: dict[str, list[str]],
        held_out: float,
    ) -> None:  # fmt: skip
        self._root = existing_root(root, self.root_variable, HOLDS)
        self._file = _annotation(self._root, annotation)
        self._images = inside(self._root, images, "dataset.images")
        self._origin = origin
        self._margin = margin
        self._held_out = held_out
        self._names = Images(self._images, self._root)
        self._table = check_rows(_read(self._file, self._names), self._file)
        chosen = self._table.mirrors if mirrors is None else mirrors
        self._guessed = chosen is None
        self._skeleton = _skeleton(self._table, chosen, groups, str(self._file))
        where = f"{self._file}, normaliser"
        self._pair = None if normaliser is None else self._skeleton.pair(normaliser, where=where)

    @property
    def facts(self) -> Facts:
        """The file's keypoints and parts, under the folder's name; where it has none, "valid" is held out."""
        named = tuple(dict.fromkeys(row.part for row in self._table.rows if row.part))
        return Facts(
            label=f"{self._root.resolve().name} (named keypoints)",
            skeleton=self._skeleton,
            parts=named or PARTS,
            normaliser=f"distance of {' and '.join(self._pair)}" if self._pair else "longer side of the box",
            default_metric="pck",
            origin=self._origin,
        )

    def samples(self, part: str) -> Sequence[Sample]:
        """Return the part's people, in the file's order."""
        return [self._sample(place) for place in self._rows(part) if self._labelled(place)]

    @classmethod
    def near(cls, root: Path) -> Near | None:
        """Return that all is there where a file has one of the names, and is refused; else the option for another name.

        A CSV with an image column is taken for one under another name.
        """
        if any((root / file).is_file() for file in FILES):
            return Near(1.0)
        for path in sorted(root.glob("*.csv")):
            with suppress(KpError):
                header = next(csv_rows(path, "a CSV file of named keypoints"), (0, []))[1]
                if "image" in header and any(cell.endswith("_x") for cell in header):
                    return Near(0.9, f"{FILES[0]}, its own name; {path.name} is there", {"annotation": path.name})
        return None

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader took for granted and left out."""
        rows = self._rows(part)
        found = list(self._names.findings())
        if self._origin:
            found.append(Finding("note", "coordinates count pixels from 1: shifted to 0", len(rows)))
        if not any(row.part for row in self._table.rows):
            found.append(Finding("note", f"no parts in the file: {self._held_out:g} of the images are 'valid'"))
            found += [Finding("warning", why) for why in [undivided(self._divided)] if why]
        pairs = [(point.name, point.mirror) for point in self._skeleton.keypoints if point.mirror]
        if self._guessed and pairs:
            told = ", ".join(f"{name} - {other}" for name, other in pairs if other and name < other)
            found.append(Finding("note", f"mirror partners by name: {told}", len(pairs) // 2))
        if empty := [place for place in rows if not self._labelled(place)]:
            first = self._table.rows[empty[0]]
            found.append(Finding("warning", f"{first.where}: no keypoint is labelled, left out", len(empty)))
        if away := [place for place in rows if self._away(place)]:
            what = (
                f"{self._table.rows[away[0]].where}: a box (left, top, width, height) that holds none of its keypoints"
            )
            found.append(Finding("warning", what, len(away)))
        short = [place for place in rows if self._labelled(place) and self._length(place) is None]
        if self._pair and short:
            what = f"{self._table.rows[short[0]].where}: {' or '.join(self._pair)} not labelled, divided by the box"
            found.append(Finding("warning", what, len(short)))
        return found

    def _rows(self, part: str) -> list[int]:
        if part not in self.parts:
            raise unknown("part", part, self.parts, where=str(self._file))
        return [place for place, row in enumerate(self._table.rows) if self._part(row) == part]

    def _part(self, row: Row) -> str:
        if row.part:
            return row.part
        return PARTS[row.image in self._held]

    @cached_property
    def _held(self) -> frozenset[str]:
        """Images that are scored, where the file names no parts: a share of those on which somebody is labelled."""
        return held_names(self._divided, self._held_out)

    @property
    def _divided(self) -> set[str]:
        return {row.image for row in self._table.rows if row.points and not row.part}

    def _labelled(self, place: int) -> bool:
        return bool(self._table.rows[place].points)

    def _points(self, place: int) -> FloatArray:
        return arrays(self._table.rows[place], self._table.names, self._table.dims, self._origin)[0]

    def _length(self, place: int) -> float | None:
        """Return the distance of the pair, px; None where it cannot be measured."""
        if self._pair is None:
            return None
        points = self._points(place)
        one, other = (points[self._skeleton.index(name), :2].astype(np.float64) for name in self._pair)
        length = float(np.linalg.norm(one - other))
        return length if length >= 1 else None

    def _sample(self, place: int) -> Sample:
        row = self._table.rows[place]
        points, states = arrays(row, self._table.names, self._table.dims, self._origin)
        centre, longer = self._box(row, points, states != UNLABELLED)
        return Sample(
            image=self._names.path(row.image),
            points=points,
            state=states,
            centre=centre.astype(np.float32),
            side=max(SMALLEST, self._margin * longer),
            normaliser=self._length(place) or max(1.0, longer),
            image_id=row.image,
            person_id=row.person,
            row=place,
        )

    def _away(self, place: int) -> bool:
        """Whether a row's box is not that of its keypoints."""
        row = self._table.rows[place]
        if row.box is None:
            return False
        corner, extent = np.array(row.box[:2]) - self._origin, np.array(row.box[2:])
        points, states = arrays(row, self._table.names, self._table.dims, self._origin)
        return holds_none(np.concatenate([corner, corner + extent]), points, states)

    def _box(self, row: Row, points: FloatArray, labelled: np.ndarray) -> tuple[Float64Array, float]:
        """Return the box's middle, and its longer side: the row's, widened to its labelled points; else theirs."""
        flat = points[labelled, :2].astype(np.float64)
        low, high = flat.min(0), flat.max(0)
        if row.box is not None:
            left, top, width, height = row.box
            corner = np.array([left, top]) - self._origin
            low, high = np.minimum(low, corner), np.maximum(high, corner + np.array([width - 1, height - 1]))
        return (low + high) / 2, float((high - low).max())


def _read(path: Path, images: Images) -> Table:
    if path.suffix == ".json":
        return read_json(path, images)
    table = read_csv(path, images)
    extra = path.with_name(SKELETON)
    if not extra.is_file():
        return table
    held = load(extra)
    for key in held:
        if key not in ("keypoints", "edges"):
            raise unknown("key", key[:60], ("keypoints", "edges"), where=str(extra))
    names, mirrors, groups = keypoints_of(held.get("keypoints", list(table.names)), str(extra))
    for name in names:
        if name not in table.names:
            raise unknown("keypoint", name, table.names, where=f"{extra}, of {path.name}")
    edges = edges_of(held.get("edges", []), table.names, str(extra))
    return Table(table.names, table.rows, table.dims, mirrors, groups, edges)


def _skeleton(
    table: Table, mirrors: Mapping[str, str] | None, groups: Mapping[str, Sequence[str]], where: str
) -> Skeleton:
    """Return the skeleton; mirrors are by name where they are None, and groups come before the file's."""
    partners = None if mirrors is None else told_partners(table.names, mirrors, f"{where}, mirrors")
    grouped = table.groups | told_groups(table.names, groups, f"{where}, groups")
    return Skeleton("named", sided_keypoints(table.names, grouped, partners), table.edges, table.dims)


def _annotation(root: Path, name: str | None) -> Path:
    if name is not None:
        path = inside(root, name, "dataset.annotation")
        if not path.is_file() or path.suffix not in (".csv", ".json"):
            raise KpError(f"{path}: no such CSV or JSON file; 'annotation' names one in the root")
        return path
    there = [root / file for file in FILES if (root / file).is_file()]
    if len(there) != 1:
        what = "both are there; say which by 'annotation'" if there else "neither is there"
        raise KpError(f"{root}: named keypoints lie in {' or '.join(FILES)}; {what}")
    return there[0]
