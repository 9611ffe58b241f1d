"""The prepared store: each person's crop, decoded once, with the margin that augmentation can reach.

One HDF5 file per (fingerprint, part, resolution, reach, kind of crops), found by its content key and shared by every
job, process and study. Crops lie in one contiguous block that is memory-mapped for reading, so memory does not grow
with the data set.
"""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from filelock import FileLock

from kpcore.cache import cache_dir, content_key
from kpcore.cores import cores
from kpcore.data.crops import JPEG_SHARE, Crops, Kind, Writer, read_crops, writer
from kpcore.errors import KpError
from kpcore.interfaces import Dataset
from kpcore.keypoints import Skeleton
from kpcore.reading.images import decode_image
from kpcore.samples import People, Sample
from kpcore.tensors import AnyArray, Float64Array, ImageArray

FORMAT = 3
"""Raised whenever the same samples would give another store."""

LARGEST_WINDOW = 20_000
"""Source pixels along a crop's side, margin included, beyond which cutting it would fill the memory."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Store:
    """A prepared part, open for reading.

    Args:
        key: content key.
        label: what results call the data.
        part: name of the part.
        skeleton: of the points.
        resolution: crop pixels along the nominal crop's side; the stored crop is ``crops.shape[1]``, margin included.
        crops: (N, S, S, 3) uint8 RGB, memory-mapped; decoded when read where they are kept as JPEG.
        affines: (N, 2, 3) source pixels to stored crop pixels.
        people: truth in source pixels, in the annotation file's order.
    """

    key: str
    label: str
    part: str
    skeleton: Skeleton
    resolution: int
    crops: Crops
    affines: Float64Array
    centres: Float64Array  # (N, 2) source pixels
    people: People

    def __len__(self) -> int:
        return len(self.people)


@dataclass(frozen=True)
class Cut:
    """How a part is cut into crops.

    Args:
        resolution: crop pixels along the nominal crop's side.
        reach: how far the stored crop goes beyond it, as a factor.
        kind: how crops are kept.
    """

    resolution: int
    reach: float
    kind: Kind = "raw"

    @property
    def side(self) -> int:
        """The stored crop's side: the reach, plus a pixel on each side for interpolation, even."""
        side = math.ceil(self.resolution * self.reach) + 2
        return side + side % 2

    def size(self, people: int) -> int:
        """Return the bytes of that many crops; for JPEG about."""
        raw = people * self.side**2 * 3
        return raw if self.kind == "raw" else int(raw * JPEG_SHARE)


def store_key(dataset: Dataset, part: str, how: Cut) -> str:
    """Return the content key of a store."""
    return content_key(
        {
            "format": FORMAT,
            "data": dataset.fingerprint(part),
            "part": part,
            "resolution": how.resolution,
            "reach": round(how.reach, 6),
            "crops": how.kind,
        }
    )


def store_path(dataset: Dataset, part: str, how: Cut) -> Path:
    """Return where a store lies, or will."""
    return cache_dir() / "stores" / f"{store_key(dataset, part, how)}.h5"


def prepare(dataset: Dataset, part: str, how: Cut, progress: Progress | None = None) -> Store:
    """Return the store of a part, making it first where it is not in the cache; a killed preparation is gone on with.

    Raises:
        KpError: an image is missing or damaged (with its path), the disk is or would be full, or the store in the cache
            is damaged.
    """
    path = store_path(dataset, part, how)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _make(path, dataset, part, how, progress)
    except OSError as error:
        raise KpError(f"{path}: cannot write the prepared crops: {error}; free the disk or set KP_CACHE_DIR") from error
    try:
        return _open(path, dataset, part, how.resolution)
    except (OSError, KeyError, ValueError) as error:
        raise KpError(f"{path}: prepared crops are damaged: {error}; delete it, and it is made anew") from error


def _make(path: Path, dataset: Dataset, part: str, how: Cut, progress: Progress | None) -> None:
    samples = dataset.samples(part)
    if not samples:
        raise KpError(f"{dataset.label}, part '{part}': no people; check the annotation with 'kp data check'")
    _require_space(path, how.size(len(samples)))
    about = {"title": f"{dataset.label}, {part}, {len(samples)} people at {how.resolution} px, {how.kind}"}
    path.with_suffix(".json").write_text(json.dumps(about))
    try:
        write_store(path, samples, how, progress)
    except (KpError, OSError):
        path.with_suffix(".json").unlink(missing_ok=True)
        raise


def write_store(path: Path, samples: Sequence[Sample], how: Cut, progress: Progress | None = None) -> None:
    """Write the store of these samples, or go on with writing it.

    Raises:
        KpError: an image cannot be read; then nothing is left behind.
    """
    affines = np.stack([window(sample, how).affine for sample in samples])
    target = writer(how.kind, path, len(samples), how.side, lambda file: _fill(file, samples, affines))
    try:
        _write(target, samples, how, progress)
        target.finish()
    except (KpError, OSError):  # what a kill leaves is gone on with; what an error leaves is not worth keeping
        target.discard()
        raise
    finally:
        target.close()


def _require_space(path: Path, needed: int) -> None:
    partial = path.with_suffix(".partial")
    have = shutil.disk_usage(path.parent).free + (partial.stat().st_blocks * 512 if partial.exists() else 0)
    if needed > have:
        raise KpError(
            f"{path.parent}: the prepared crops take {needed / 1e9:.1f} GB, {have / 1e9:.1f} GB are free; free disk,"
            " set KP_CACHE_DIR, or keep them as JPEG (training.crops = 'jpeg')"
        )


def _fill(file: h5py.File, samples: Sequence[Sample], affines: Float64Array) -> None:
    """Write everything but the crops."""
    people = People.of(samples)
    text = h5py.string_dtype()
    file["affines"] = affines
    file["centres"] = np.stack([sample.centre for sample in samples]).astype(np.float64)
    for name in ("points", "state", "normaliser", "side", "rows", "mm_per_px"):
        file[name] = getattr(people, name)
    file.create_dataset("image_ids", data=list(people.image_ids), dtype=text)
    file.create_dataset("person_ids", data=list(people.person_ids), dtype=text)


def _write(target: Writer, samples: Sequence[Sample], how: Cut, progress: Progress | None) -> None:
    missing = target.missing()
    done = len(samples) - len(missing)
    for row, encoded in _crops(target, samples, missing, how):
        target.put(row, encoded)
        done += 1
        if progress is not None:
            progress(done, len(samples))


def _crops(target: Writer, samples: Sequence[Sample], rows: Sequence[int], how: Cut) -> Iterator[tuple[int, AnyArray]]:
    """Yield (row, encoded crop) with each image decoded once, by a thread a core."""
    by_image: dict[Any, list[int]] = defaultdict(list)
    for row in rows:
        image = samples[row].image
        by_image[image if isinstance(image, Path) else row].append(row)

    def work(same: list[int]) -> list[tuple[int, AnyArray]]:
        image = samples[same[0]].image
        pixels = decode_image(image) if isinstance(image, Path) else image
        return [(row, target.encode(cut(pixels, samples[row], how))) for row in same]

    cv2.setNumThreads(1)  # the threads here share the cores already
    waiting: deque[Future[list[tuple[int, AnyArray]]]] = deque()
    with ThreadPoolExecutor(cores()) as pool:
        try:
            for same in by_image.values():
                waiting.append(pool.submit(work, same))
                if len(waiting) > 4 * cores():  # bounded, so that memory does not grow with the data set
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Window:
    """What is cut out of an image for one person.

    Args:
        left, top: its first pixel; may lie outside the image.
        span: its side, whole source pixels.
        side: of the stored crop that it becomes.
    """

    left: int
    top: int
    span: int
    side: int

    @property
    def affine(self) -> Float64Array:
        """The exact (2, 3) map from source pixels to the stored crop's."""
        factor = self.side / self.span
        x, y = ((0.5 - first) * factor - 0.5 for first in (self.left, self.top))
        return np.array([[factor, 0.0, x], [0.0, factor, y]])


def window(sample: Sample, how: Cut) -> Window:
    """Return what is cut out for a person.

    Raises:
        KpError: the crop is too large to be cut.
    """
    exact = sample.side * how.side / how.resolution
    if exact > LARGEST_WINDOW:
        raise KpError(
            f"{sample.image_id}, row {sample.row}: its crop is {exact:.0f} px wide with the margin, at most"
            f" {LARGEST_WINDOW} can be cut; check the person's scale, or lower training.augmentation"
        )
    # Where a crop is enlarged, a source pixel is more than the stored margin: the rounding of place and size needs one.
    span = max(2, round(exact) if exact >= how.side else math.ceil(exact) + 1)
    left, top = (int(np.floor(value - (span - 1) / 2 + 0.5)) for value in sample.centre)
    return Window(left, top, span, how.side)


def cut(image: ImageArray, sample: Sample, how: Cut) -> ImageArray:
    """Cut a crop with its margin, (S, S, 3).

    Shrinking averages areas, so that the stored crop is free of aliasing; outside the image it is zero.

    Raises:
        KpError: the crop is too large to be cut.
    """
    what = window(sample, how)
    height, width = image.shape[:2]
    x0, y0 = max(what.left, 0), max(what.top, 0)
    x1, y1 = min(what.left + what.span, width), min(what.top + what.span, height)
    if (x0, y0, x1, y1) == (what.left, what.top, what.left + what.span, what.top + what.span):
        pixels = image[y0:y1, x0:x1]
    else:
        pixels = np.zeros((what.span, what.span, 3), np.uint8)
        if x1 > x0 and y1 > y0:
            pixels[y0 - what.top : y1 - what.top, x0 - what.left : x1 - what.left] = image[y0:y1, x0:x1]
    shrink = cv2.INTER_AREA if what.span > what.side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (what.side, what.side), interpolation=shrink), np.uint8)


def _open(path: Path, dataset: Dataset, part: str, resolution: int) -> Store:
    with h5py.File(path, "r") as file:
        people = People(
            points=file["points"][()], state=file["state"][()],
            normaliser=file["normaliser"][()], side=file["side"][()],
            image_ids=tuple(file["image_ids"].asstr()[()]), person_ids=tuple(file["person_ids"].asstr()[()]),
            rows=file["rows"][()], mm_per_px=file["mm_per_px"][()],
        )  # fmt: skip
        return Store(
            key=path.stem,
            label=dataset.label,
            part=part,
            skeleton=dataset.skeleton,
            resolution=resolution,
            crops=read_crops(path, file),
            affines=file["affines"][()],
            centres=file["centres"][()],
            people=people,
        )
