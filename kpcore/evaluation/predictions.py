"""Predicted points in an HDF5 file: our own, with names, origin and row ids; or anybody's, with ``preds`` alone.

A file may come from anywhere, so nothing in it is trusted: only plain numbers and text that lie in the file itself are
read, and never more of them than the budget has (:mod:`kpcore.reading.budget`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kpcore.errors import KpError
from kpcore.placing import placed_hdf5
from kpcore.reading import hdf5
from kpcore.reading.budget import Limit, remedy
from kpcore.samples import Instances
from kpcore.tensors import AnyArray, Float64Array

FORMAT = "kptransfer predictions 1"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted points as a file gives them.

    Args:
        path: for messages.
        points: (N, K, D), pixels; NaN = missing (whatever is not finite).
        keypoints: K names; None where the file does not name them.
        origin: coordinate of the first pixel's centre, 0 or 1; None where the file does not say.
        rows: (N,) rows in the annotation file; None where the file does not say.
        image_ids: N names of images, to be compared with the data set's; None where the file does not say.
        part: the part that was predicted; "" where the file does not say.
        confidence: (N, K), larger is surer; None where the file has none.
    """

    path: Path
    points: Float64Array
    keypoints: tuple[str, ...] | None = None
    origin: int | None = None
    rows: AnyArray | None = None
    image_ids: tuple[str, ...] | None = None
    part: str = ""
    confidence: Float64Array | None = None

    def only(self, names: Sequence[str]) -> Predictions:
        """Return the same of these keypoints alone, where the file names its own."""
        if self.keypoints is None:
            return self
        places = [self.keypoints.index(name) for name in names]
        surer = None if self.confidence is None else self.confidence[:, places]
        return replace(self, points=self.points[:, places], keypoints=tuple(names), confidence=surer)

    def with_origin(self, origin: int | None) -> Predictions:
        """Return the same with this origin, where one is given."""
        return self if origin is None else replace(self, origin=origin)


def write_predictions(
    path: Path,
    *,
    points: Float64Array,
    confidence: Float64Array,
    keypoints: tuple[str, ...],
    people: Instances,
    part: str,
    label: str,
    origin: int = 0,
) -> None:
    """Write predictions, replacing the file in one step.

    Args:
        path: the file.
        points: (N, K, D) source pixels.
        confidence: (N, K), as the codec decodes it.
        keypoints: K names.
        people: the N people, for their row and image ids.
        part: the part that they are.
        label: what results call the data.
        origin: coordinate of the first pixel's centre in ``points``, 0 or 1.
    """
    about = {"format": FORMAT, "origin": origin, "part": part, "data": label}
    named = {"image_ids": people.image_ids, "person_ids": people.person_ids}
    write_points(path, points, confidence, keypoints, about, {"rows": np.asarray(people.rows, np.int64)}, named)


def write_points(
    path: Path,
    points: Float64Array,
    confidence: Float64Array,
    keypoints: Sequence[str],
    about: Mapping[str, object],
    arrays: Mapping[str, AnyArray],
    texts: Mapping[str, Sequence[str]],
) -> None:
    """Write points with whatever is known of their N instances, replacing the file in one step.

    Args:
        path: the file.
        points: (N, K, D) source pixels.
        confidence: (N, K).
        keypoints: K names.
        about: attributes of the file.
        arrays: name -> (N, ...).
        texts: name -> N texts.
    """
    text = h5py.string_dtype()
    with placed_hdf5(path) as file:
        file.attrs.update(about)
        file.attrs.create("keypoints", list(keypoints), dtype=text)
        file["preds"] = points
        file["confidence"] = confidence.astype(np.float32)
        for name, array in arrays.items():
            file[name] = array
        for name, words in texts.items():
            file.create_dataset(name, data=list(words), dtype=text)


def read_predictions(path: Path) -> Predictions:
    """Read predictions from anywhere.

    Raises:
        KpError: the file or something in it cannot be read, or has the wrong type or shape; names what and where.
    """
    if not path.is_file():
        raise KpError(f"{path}: no such predictions file; give an HDF5 file with a data set 'preds' (N, K, D)")
    with hdf5.opened(path, "an HDF5 file") as file:
        return _read(path, file)


def _read(path: Path, file: h5py.File) -> Predictions:
    points = _array(path, file, "preds")
    if points.ndim != 3 or points.shape[2] not in (2, 3) or 0 in points.shape:
        raise KpError(f"{path}: 'preds' is {points.shape}; it must be (N, K, D): people, keypoints, and x y or x y z")
    points = points.astype(np.float64)
    return Predictions(
        path=path,
        points=np.where(np.isfinite(points), points, np.nan),
        keypoints=_keypoints(path, file, points.shape[1]),
        origin=_origin(path, file),
        rows=_rows(path, file, len(points)),
        image_ids=_image_ids(path, file, len(points)),
        part=_part(path, file),
        confidence=_confidence(path, file, points.shape[:2]),
    )


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """Return a data set that lies in the file itself: a link or external storage could read any file of the machine."""
    if name not in set(file):
        exist = ", ".join(sorted(str(key)[:40] for key in list(file)[:20])) or "nothing"
        raise KpError(f"{path}: no data set '{name}'; the file holds {exist}; store the points (N, K, D) as '{name}'")
    outside = not isinstance(file.get(name, getlink=True), h5py.HardLink)
    found = None if outside else file[name]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise KpError(f"{path}: '{name}' must be a plain data set that is stored in the file itself")
    if found.size is None:
        raise KpError(f"{path}: '{name}' holds nothing; store the points (N, K, D) as 'preds'")
    if found.size * 8 > Limit.BYTES.most:
        raise KpError(
            f"{path}: '{name}' claims to be {found.shape}; that is more than {Limit.BYTES.most // 8:,} numbers;"
            f" {remedy(Limit.BYTES)}"
        )
    return hdf5.plain(found, name, path)


def _array(path: Path, file: h5py.File, name: str) -> AnyArray:
    found = _dataset(path, file, name)
    if found.dtype.kind not in "fiu":
        raise KpError(f"{path}: '{name}' must hold numbers, not {found.dtype}")
    return np.asarray(found[()])


def _texts(path: Path, what: str, value: Any) -> tuple[str, ...]:
    items = np.asarray(value).ravel().tolist()
    if not all(isinstance(item, str | bytes) for item in items):
        raise KpError(f"{path}: {what} must be a list of texts")
    try:
        return tuple(item.decode() if isinstance(item, bytes) else item for item in items)
    except UnicodeDecodeError:
        raise KpError(f"{path}: {what} holds text that is not UTF-8") from None


def _keypoints(path: Path, file: h5py.File, expected: int) -> tuple[str, ...] | None:
    found = hdf5.attribute(file, "keypoints", path)
    if found is None:
        return None
    names = _texts(path, "attribute 'keypoints'", found)
    if len(names) != expected:
        raise KpError(
            f"{path}: attribute 'keypoints' names {len(names)}, but 'preds' holds {expected} keypoints a person"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise KpError(f"{path}: attribute 'keypoints' names '{twice[0]}' twice; name each once")
    return names


def _origin(path: Path, file: h5py.File) -> int | None:
    stated = hdf5.attribute(file, "origin", path)
    if stated is None:
        return None
    value = np.asarray(stated)
    if value.size != 1 or value.dtype.kind not in "fiu" or value.item() not in (0, 1):
        shown = " ".join(str(stated).split())[:40]
        raise KpError(f"{path}: attribute 'origin' is {shown}; it must be 0 or 1, the coordinate of the first pixel")
    return int(value.item())


def _part(path: Path, file: h5py.File) -> str:
    found = hdf5.attribute(file, "part", path)
    return "" if found is None else "".join(_texts(path, "attribute 'part'", found))


def _confidence(path: Path, file: h5py.File, expected: tuple[int, ...]) -> Float64Array | None:
    if "confidence" not in set(file):
        return None
    values = _array(path, file, "confidence").astype(np.float64)
    if values.shape != expected:
        raise KpError(
            f"{path}: 'confidence' is {values.shape}; it must be {expected}, one number a keypoint of 'preds'"
        )
    return np.where(np.isfinite(values), values, 0.0)


def _rows(path: Path, file: h5py.File, expected: int) -> AnyArray | None:
    if "rows" not in set(file):
        return None
    rows = _array(path, file, "rows")
    if rows.shape != (expected,) or rows.dtype.kind == "f":
        raise KpError(f"{path}: 'rows' is {rows.dtype} {rows.shape}; it must be {expected} whole numbers, one a person")
    values, counts = np.unique(rows, return_counts=True)
    if counts.max() > 1:
        raise KpError(f"{path}: 'rows' names row {values[counts.argmax()]} twice")
    return rows


def _strings(path: Path, found: h5py.Dataset) -> Any:
    return (
        hdf5.strings(found, "image_ids", path)
        if h5py.check_string_dtype(found.dtype) and found.ndim == 1
        else found[()]
    )


def _image_ids(path: Path, file: h5py.File, expected: int) -> tuple[str, ...] | None:
    """Return the image ids; None where the file is not ours, since nobody else owes us what they mean."""
    if "image_ids" not in set(file) or "format" not in file.attrs:
        return None
    found = _dataset(path, file, "image_ids")
    names = _texts(path, "'image_ids'", _strings(path, found))
    if len(names) != expected:
        raise KpError(f"{path}: 'image_ids' names {len(names)} images, but 'preds' holds {expected} people")
    return names
