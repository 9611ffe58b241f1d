"""What a part's samples are, by digests of arrays and image bytes: the core's work, so that no reader can get it wrong.

A job's key holds the digests of what the job reads, a store's key those of what its crops hang on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kpcore.cache import cache_dir, file_digest
from kpcore.cores import cores
from kpcore.errors import KpError
from kpcore.keypoints import Skeleton
from kpcore.placing import put
from kpcore.reading.budget import stated
from kpcore.reading.headers import Header, read_header
from kpcore.reading.images import manner
from kpcore.reading.turning import turn_of
from kpcore.samples import Instances, Sample
from kpcore.tensors import UNLABELLED, AnyArray, ImageArray

DIGESTS = "digests"
FRESH = 2_000_000_000
"""Nanoseconds: a file that changed less than this ago could change again under the same time, and is not remembered."""
HEADERS = "headers-2"
"""Raise the number whenever another header would be read from the same bytes."""


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
        images=images_digest(samples),
        boxes=_arrays(people.centre, people.side),
        lengths=_arrays(people.normaliser, people.mm_per_px),
        ids=_digest(json.dumps([people.image_ids, people.person_ids, people.rows.tolist()]).encode()),
        keypoints={
            name: _arrays(points[:, place], people.state[:, place]) for place, name in enumerate(skeleton.names)
        },
    )


def images_digest(samples: Sequence[Sample]) -> str:
    """Return the digest of every sample's image, in order; raises KpError where one is missing."""
    return _digest("\n".join(_pictures(samples)).encode())


def _arrays(*arrays: AnyArray) -> str:
    return _digest(*(part for one in arrays for part in (f"{one.dtype}{one.shape}".encode(), one.tobytes())))


def _digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def image_digests(images: Sequence[Path | ImageArray]) -> list[str]:
    """Return the SHA-256 of each image's bytes; of files it is remembered, by path, size and times, in the cache.

    A file that is gone has the digest that was remembered of it: its crops may be there still.

    Raises:
        KpError: a file is gone that was never read, or a limit of the environment is none.
    """
    paths = [image for image in images if isinstance(image, Path)]
    files = dict(zip(paths, remembered(paths, DIGESTS, image_digest), strict=True))
    return [files[image] if isinstance(image, Path) else _arrays(image) for image in images]


def remembered(paths: Sequence[Path], kind: str, compute: Callable[[Path], str]) -> list[str]:
    """Return a text of each file, computed anew only where its size or times differ from those remembered.

    Args:
        paths: of files.
        kind: what the texts are; those of one kind are remembered together.
        compute: path -> text; what it raises is passed on.
    """
    folders: dict[Path, set[str]] = defaultdict(set)
    for path in paths:
        folders[path.parent].add(path.name)
    files = {
        folder / name: text
        for folder, names in folders.items()
        for name, text in _of_folder(folder, sorted(names), kind, compute).items()
    }
    return [files[path] for path in paths]


def _of_folder(folder: Path, names: Sequence[str], kind: str, compute: Callable[[Path], str]) -> dict[str, str]:
    place = f"{'' if kind == DIGESTS else kind}{folder.absolute()}"
    memo = cache_dir() / "digests" / f"{_digest(place.encode())[:32]}.json"
    known = _remembered(memo)
    now = {name: _times(folder / name) for name in names}
    missing = [name for name in names if name not in known or (now[name] and known[name][0] != now[name])]
    if missing:
        with ThreadPoolExecutor(cores()) as pool:  # hashing leaves Python's lock alone
            found = dict(zip(missing, pool.map(lambda name: compute(folder / name), missing), strict=True))
        known |= {name: (now[name], digest) for name, digest in found.items()}
        _remember(memo, f"{kind} of the images in {folder}", known)
    return {name: known[name][1] for name in names}


def image_headers(images: Sequence[Path | ImageArray]) -> list[Header | None]:
    """Return each image's header, remembered as digests are; None for pixels, and where a header cannot be read.

    What cannot be read is reported by whoever checks or decodes the image.

    Raises:
        KpError: a file is gone that was never read, or a limit of the environment is none.
    """
    paths = [image for image in images if isinstance(image, Path)]
    files = dict(zip(paths, remembered(paths, HEADERS + stated(), _header_text), strict=True))
    return [_header(files[image]) if isinstance(image, Path) else None for image in images]


def _header_text(path: Path) -> str:
    if not path.exists():
        raise KpError(f"{path}: image file does not exist")
    try:
        return json.dumps(asdict(read_header(path)))
    except KpError:
        return ""


def _header(text: str) -> Header | None:
    found = json.loads(text) if text else None
    return found and Header(**{**found, "size": tuple(found["size"])})


def _pictures(samples: Sequence[Sample]) -> list[str]:
    """Return what each sample's pixels hang on: its image's digest, and how it is read where that is not as stored."""
    images = [sample.image for sample in samples]
    return [
        f"{digest} {how}" if (how := _how(sample, header)) else digest
        for sample, digest, header in zip(samples, image_digests(images), image_headers(images), strict=True)
    ]


def _how(sample: Sample, header: Header | None) -> str:
    return manner(header, turn_of(header, sample.stated_size, sample.orientation)) if header else ""


def image_digest(path: Path) -> str:
    """Return the SHA-256 of an image file.

    Raises:
        KpError: it cannot be read.
    """
    try:
        return file_digest(path)
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


def _remembered(memo: Path) -> dict[str, tuple[list[int], str]]:
    """Return name -> (times, digest); nothing where the memo is missing or not as it was written."""
    try:
        document = json.loads(memo.read_bytes())
        files = document["files"]
        if document["digest"] != _digest(json.dumps(files).encode()):
            return {}
        return {name: (times, digest) for name, (times, digest) in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # it only saves time
        return {}


def _remember(memo: Path, title: str, known: Mapping[str, tuple[list[int], str]]) -> None:
    """Write the memo; files that have just changed are left out, and a cache that cannot be written goes without."""
    limit = time.time_ns() - FRESH
    files = {name: [times, digest] for name, (times, digest) in known.items() if times and max(times[1:]) < limit}
    if not files:
        return
    text = json.dumps({"title": title, "files": files, "digest": _digest(json.dumps(files).encode())})
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
        put(memo, text.encode())
    except OSError:
        return
