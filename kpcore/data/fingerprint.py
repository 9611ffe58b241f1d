"""What a part's samples are, by digests of arrays and image bytes: the core's work, so that no reader can get it wrong.

A job's key holds the digests of what the job reads, a store's key those of what its crops hang on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kpcore.cache import cache_dir, replace_file
from kpcore.cores import cores
from kpcore.errors import KpError
from kpcore.keypoints import Skeleton
from kpcore.reading.headers import Header, read_header
from kpcore.reading.images import manner
from kpcore.reading.turning import turn_of
from kpcore.samples import Instances, Sample
from kpcore.tensors import UNLABELLED, AnyArray, ImageArray

FRESH = 2_000_000_000
"""Nanoseconds: a file that changed less than this ago could change again under the same time, and is not remembered."""


@dataclass(frozen=True)
class Fingerprint:
    """Digests of a part's N samples, in their order.

    Args:
        images: of every image's bytes, and how its pixels are read where that is not as they are stored.
        boxes: of the crops' centres and sides.
        lengths: of the normalisers, and millimetres a pixel.
        ids: of image ids, person ids and rows.
        keypoints: name -> digest of its points and states.
    """

    images: str
    boxes: str
    lengths: str
    ids: str
    keypoints: Mapping[str, str]

    @property
    def crops(self) -> dict[str, str]:
        """What prepared crops hang on."""
        return {"images": self.images, "boxes": self.boxes}

    def of(self, names: Iterable[str]) -> dict[str, Any]:
        """Return what somebody reads who reads the labels of these keypoints."""
        return {
            **self.crops,
            "lengths": self.lengths,
            "ids": self.ids,
            "labels": {name: self.keypoints[name] for name in names},
        }


def fingerprint(samples: Sequence[Sample], skeleton: Skeleton) -> Fingerprint:
    """Take a part's samples down.

    Raises:
        KpError: an image is missing, or there are no samples.
    """
    people = Instances.of(samples)
    # What stands where nobody marked anything is no label.
    points = np.where((people.state != UNLABELLED)[..., None], people.points, np.nan)
    return Fingerprint(
        images=_digest("\n".join(_pictures(samples)).encode()),
        boxes=_arrays(people.centre, people.side),
        lengths=_arrays(people.normaliser, people.mm_per_px),
        ids=_digest(json.dumps([people.image_ids, people.person_ids, people.rows.tolist()]).encode()),
        keypoints={
            name: _arrays(points[:, place], people.state[:, place]) for place, name in enumerate(skeleton.names)
        },
    )


def _pictures(samples: Sequence[Sample]) -> list[str]:
    """Return what each sample's pixels hang on: its image's digest, and how it is read where that is not as stored."""
    found = image_records([sample.image for sample in samples])
    words = [
        manner(header, turn_of(header, sample.stated_size, sample.orientation)) if header else ""
        for sample, (_, header) in zip(samples, found, strict=True)
    ]
    return [f"{digest} {word}" if word else digest for (digest, _), word in zip(found, words, strict=True)]


def _arrays(*arrays: AnyArray) -> str:
    return _digest(*(part for one in arrays for part in (f"{one.dtype}{one.shape}".encode(), one.tobytes())))


def _digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def image_digests(images: Sequence[Path | ImageArray]) -> list[str]:
    """Return the SHA-256 of each image's bytes; raises as :func:`image_records`."""
    return [digest for digest, _ in image_records(images)]


def image_records(images: Sequence[Path | ImageArray]) -> list[tuple[str, Header | None]]:
    """Return the SHA-256 of each image's bytes, and its header; of files remembered, by path, size and times.

    The header is None for pixels in memory, and where it cannot be read, which whoever decodes the image will say. A
    file that is gone has what was remembered of it: its crops may be there still.

    Raises:
        KpError: a file is gone that was never read.
    """
    folders: dict[Path, set[str]] = defaultdict(set)
    for image in images:
        if isinstance(image, Path):
            folders[image.parent].add(image.name)
    files = {
        folder / name: (record.digest, record.header)
        for folder, names in folders.items()
        for name, record in _of_folder(folder, sorted(names)).items()
    }
    return [files[image] if isinstance(image, Path) else (_arrays(image), None) for image in images]


@dataclass(frozen=True)
class _Record:
    """What is remembered of an image file, under its size and times."""

    times: list[int]
    digest: str
    header: Header | None


def _of_folder(folder: Path, names: Sequence[str]) -> dict[str, _Record]:
    memo = cache_dir() / "digests" / f"{_digest(str(folder.absolute()).encode())[:32]}.json"
    known = _remembered(memo)
    now = {name: _times(folder / name) for name in names}
    missing = [name for name in names if name not in known or (now[name] and known[name].times != now[name])]
    if missing:
        with ThreadPoolExecutor(cores()) as pool:  # hashing leaves Python's lock alone
            found = pool.map(lambda name: _Record(now[name], *_taken_down(folder / name)), missing)
            known |= dict(zip(missing, found, strict=True))
        _remember(memo, folder, known)
    return {name: known[name] for name in names}


def _taken_down(path: Path) -> tuple[str, Header | None]:
    digest = file_digest(path)
    try:
        return digest, read_header(path)
    except KpError:
        return digest, None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        KpError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise KpError(f"{path}: image file does not exist") from None
    except OSError as error:
        raise KpError(f"{path}: image cannot be read: {error.strerror}") from None


def _times(path: Path) -> list[int]:
    """Return size, and times of change of content and of the file; nothing where it is gone."""
    try:
        about = path.stat()
    except OSError:
        return []
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns]


def _remembered(memo: Path) -> dict[str, _Record]:
    """Return name -> record; nothing where the memo is missing or not as it was written."""
    try:
        document = json.loads(memo.read_bytes())
        files = document["files"]
        if document["digest"] != _digest(json.dumps(files).encode()):
            return {}
        return {name: _Record(times, digest, _header(header)) for name, (times, digest, header) in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # it only saves time
        return {}


def _header(values: dict[str, Any] | None) -> Header | None:
    return None if values is None else Header(**{**values, "size": tuple(values["size"])})


def _remember(memo: Path, folder: Path, known: Mapping[str, _Record]) -> None:
    """Write the memo; files that have just changed are left out, and a cache that cannot be written goes without."""
    limit = time.time_ns() - FRESH
    files = {
        name: [one.times, one.digest, asdict(one.header) if one.header else None]
        for name, one in known.items()
        if one.times and max(one.times[1:]) < limit
    }
    if not files:
        return
    title = f"digests of the images in {folder}"
    text = json.dumps({"title": title, "files": files, "digest": _digest(json.dumps(files).encode())})
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
        replace_file(memo, text.encode())
    except OSError:
        return
