"""AFLW's database ``aflw.sqlite``, opened read-only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from kp_faces.readers.table import Table, check_numbers, from_rows
from kp_faces.readers.values import plain
from kp_faces.skeletons import AFLW19, mirror_of
from kpcore.errors import KpError, unknown
from kpcore.reading.budget import Limit, seconds, within
from kpcore.reading.opening import guarded, regular
from kpcore.reading.paths import Images
from kpcore.tensors import UNLABELLED, VISIBLE, Float64Array

KIND = "AFLW's database aflw.sqlite"
COLUMNS = {
    "Faces": ("face_id", "file_id"),
    "FaceImages": ("file_id", "filepath"),
    "FaceRect": ("face_id", "x", "y", "w", "h"),
    "FeatureCoords": ("face_id", "feature_id", "x", "y"),
    "FeatureCoordTypes": ("feature_id", "descr"),
}
"""What is read of its tables."""
LONGEST = 2**16
"""Bytes of a value, at most: paths are the longest."""
STEPS = 100_000
"""Steps of SQLite's machine between two looks at the clock."""

_VIEWERS_LEFT = {
    "LeftBrowLeftCorner": "r_brow_1", "LeftBrowCenter": "r_brow_3", "LeftBrowRightCorner": "r_brow_5",
    "LeftEyeLeftCorner": "r_eye_outer", "LeftEyeCenter": "r_pupil", "LeftEyeRightCorner": "r_eye_inner",
    "NoseLeft": "r_nose_wing", "MouthLeftCorner": "r_mouth_corner",
}  # fmt: skip
"""AFLW's left is the viewer's."""
_SWAP = {"Left": "Right", "Right": "Left"}


def _mirrored(descr: str) -> str:
    parts = descr.replace("Left", "|Left|").replace("Right", "|Right|").split("|")
    return "".join(_SWAP.get(part, part) for part in parts)


LANDMARKS = {
    **_VIEWERS_LEFT,
    **{_mirrored(descr): mirror_of(name) or name for descr, name in _VIEWERS_LEFT.items()},
    "NoseCenter": "nose_tip", "MouthCenter": "mouth_centre", "ChinCenter": "chin",
}  # fmt: skip
"""FeatureCoordTypes.descr -> our name: 19 of the 21; the ears are left out, as in Zhu et al., CVPR 2016."""


def check(path: Path) -> None:
    """Refuse a database without AFLW's tables; raises KpError."""
    with guarded(path, KIND), closing(_connect(path)) as database:
        _check_tables(database, path)


def read(path: Path, images: Images) -> Table:
    """Read all faces, in the order of their ids.

    Raises:
        KpError: the file is damaged, no such database, or a coordinate is no number.
    """
    with guarded(path, KIND), closing(_connect(path)) as database:
        _check_tables(database, path)
        columns = _columns(database, path)
        files = {key: str(name) for key, name in _rows(database, "FaceImages")}
        faces = sorted(dict(_rows(database, "Faces")).items())
        places = {face: row for row, (face, _) in enumerate(faces)}
        boxes = _boxes(database, places, path)
        points, state = _points(database, places, columns, path)
    names = [images.name(_name(files, file, path, row), f"{path}, FaceImages") for row, (_, file) in enumerate(faces)]
    table = from_rows(
        list(map(images.path, names)), names, points, state=state, rows=range(len(names)), boxes=boxes
    )  # fmt: skip
    without = np.asarray(np.isnan(boxes).any(1))
    notes = table.counted("note", "no face rectangle: the landmarks' box taken", without)
    return table.noting(*notes, *images.findings())


def _connect(path: Path) -> sqlite3.Connection:
    size = regular(path, KIND)
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)  # a computed column could be a gigabyte in every row
    database.execute("PRAGMA trusted_schema = OFF")
    start, allowed = time.process_time(), seconds(size)
    database.set_progress_handler(lambda: time.process_time() - start > allowed, STEPS)  # true: it is interrupted
    return database


def _check_tables(database: sqlite3.Connection, path: Path) -> None:
    """Tables only: a view or a virtual table could compute anything."""
    found = {
        str(name).lower()
        for name, sql in database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        if str(sql).upper().startswith("CREATE TABLE")
    }
    for name in COLUMNS:
        if name.lower() not in found:
            raise unknown("table", name, sorted(found), where=f"{path}, which should be {KIND}")
        _check_columns(database, name, path)


def _check_columns(database: sqlite3.Connection, name: str, path: Path) -> None:
    """Refuse a column that is computed: from nothing it makes as much as it likes."""
    for row in database.execute(f"PRAGMA table_xinfo({name})"):
        if row[-1]:  # hidden, or generated
            raise KpError(f"{path}: column {plain(str(row[1]))} of {name} is computed, not stored; download it again")


def _rows(database: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    found = database.execute(f"SELECT {', '.join(COLUMNS[table])} FROM {table}")
    for number, row in enumerate(found, 1):
        within(Limit.ITEMS, number, f"has {number:,} rows", f"{KIND}, table {table}")
        yield row


def _columns(database: sqlite3.Connection, path: Path) -> dict[Any, int]:
    """Return feature_id -> place in our skeleton."""
    columns = {
        key: AFLW19.index(LANDMARKS[descr]) for key, descr in _rows(database, "FeatureCoordTypes") if descr in LANDMARKS
    }
    if len(set(columns.values())) != len(LANDMARKS):
        missing = sorted(name for name in LANDMARKS.values() if AFLW19.index(name) not in columns.values())
        raise KpError(f"{path}: FeatureCoordTypes does not describe {', '.join(missing)}; download the file again")
    return columns


def _boxes(database: sqlite3.Connection, places: dict[Any, int], path: Path) -> Float64Array:
    boxes = np.full((len(places), 4), np.nan)
    for face, *numbers in _rows(database, "FaceRect"):
        if face in places:
            x, y, width, height = (_number(value, f"{path}, FaceRect of face {face}") for value in numbers)
            boxes[places[face]] = x, y, x + width, y + height
    return boxes


def _points(
    database: sqlite3.Connection, places: dict[Any, int], columns: dict[Any, int], path: Path
) -> tuple[Float64Array, Any]:
    """Return (N, 19, 2) and (N, 19); a landmark without a row, or without coordinates, is not labelled."""
    points = np.full((len(places), len(AFLW19.names), 2), np.nan)
    state = np.full(points.shape[:2], UNLABELLED, np.uint8)
    for face, feature, x, y in _rows(database, "FeatureCoords"):
        if face in places and feature in columns and not (x is None and y is None):
            where = f"{path}, FeatureCoords of face {face}, feature {feature}"
            points[places[face], columns[feature]] = _number(x, where), _number(y, where)
            state[places[face], columns[feature]] = VISIBLE
    check_numbers(points, state, f"{path}, FeatureCoords")
    return points, state


def _number(value: Any, where: str) -> float:
    if isinstance(value, int | float) and abs(value) < 1e12:
        return float(value)
    raise KpError(f"{where}: {plain(str(value))} is not a number; download the file again")


def _name(files: dict[Any, str], file: Any, path: Path, row: int) -> str:
    if file not in files:
        raise KpError(f"{path}, row {row} of Faces: FaceImages has no picture {plain(str(file))}; download it again")
    return files[file]
