"""The prepared store: each person's crop, decoded once, with the margin that augmentation can reach.

One HDF5 file per (fingerprint, part, resolution, reach), found by its content key and shared by every job and study.
Crops lie in one contiguous block that is memory-mapped for reading, so memory does not grow with the data set.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from filelock import FileLock

from kpcore.cache import cache_dir, content_key
from kpcore.data.geometry import apply
from kpcore.data.images import decode_image
from kpcore.errors import KpError
from kpcore.interfaces import Dataset
from kpcore.keypoints import Skeleton
from kpcore.samples import People, Sample
from kpcore.tensors import Float64Array, ImageArray

FORMAT = 2
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
        crops: (N, S, S, 3) uint8 RGB, memory-mapped.
        affines: (N, 2, 3) source pixels to stored crop pixels.
        people: truth in source pixels, in the annotation file's order.
    """

    key: str
    label: str
    part: str
    skeleton: Skeleton
    resolution: int
    crops: ImageArray
    affines: Float64Array
    centres: Float64Array  # (N, 2) source pixels
    people: People

    def __len__(self) -> int:
        return len(self.people)


def store_key(dataset: Dataset, part: str, resolution: int, reach: float) -> str:
    """Return the content key of a store."""
    return content_key(
        {
            "format": FORMAT,
            "data": dataset.fingerprint(part),
            "part": part,
            "resolution": resolution,
            "reach": round(reach, 6),
        }
    )


def store_bytes(people: int, resolution: int, reach: float) -> int:
    """Return the size of a store's crops."""
    return people * stored_side(resolution, reach) ** 2 * 3


def stored_side(resolution: int, reach: float) -> int:
    """Return the stored crop's side: the reach, plus a pixel on each side for interpolation, even."""
    side = math.ceil(resolution * reach) + 2
    return side + side % 2


def prepare(dataset: Dataset, part: str, *, resolution: int, reach: float, progress: Progress | None = None) -> Store:
    """Return the store of a part, making it first where it is not in the cache.

    Raises:
        KpError: an image is missing or damaged (with its path), the disk is full, or the store in the cache is damaged.
    """
    key = store_key(dataset, part, resolution, reach)
    path = cache_dir() / "stores" / f"{key}.h5"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _make(path, dataset, part, resolution, reach, progress)
    except OSError as error:
        raise KpError(f"{path}: cannot write the prepared crops: {error}; free the disk or set KP_CACHE_DIR") from error
    try:
        return _open(path, key, dataset, part, resolution)
    except (OSError, KeyError, ValueError) as error:
        raise KpError(f"{path}: prepared crops are damaged: {error}; delete it, and it is made anew") from error


def _make(
    path: Path, dataset: Dataset, part: str, resolution: int, reach: float, progress: Progress | None
) -> None:  # fmt: skip
    samples = dataset.samples(part)
    if not samples:
        raise KpError(f"{dataset.label}, part '{part}': no people; check the annotation with 'kp data check'")
    partial = path.with_suffix(".partial")
    try:
        _write(partial, samples, resolution, reach, progress)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    about = {"title": f"{dataset.label}, {part}, {len(samples)} people at {resolution} px"}
    path.with_suffix(".json").write_text(json.dumps(about))


def _write(path: Path, samples: Sequence[Sample], resolution: int, reach: float, progress: Progress | None) -> None:
    side = stored_side(resolution, reach)
    people = People.of(samples)
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        crops = file.create_dataset("crops", (len(samples), side, side, 3), np.uint8)
        affines = np.empty((len(samples), 2, 3))
        for done, (index, crop, affine) in enumerate(_crops(samples, side, resolution), 1):
            crops[index] = crop
            affines[index] = affine
            if progress is not None:
                progress(done, len(samples))
        file["affines"] = affines
        file["centres"] = np.stack([sample.centre for sample in samples]).astype(np.float64)
        for name in ("points", "state", "normaliser", "side", "rows", "mm_per_px"):
            file[name] = getattr(people, name)
        file.create_dataset("image_ids", data=list(people.image_ids), dtype=text)
        file.create_dataset("person_ids", data=list(people.person_ids), dtype=text)


def _crops(samples: Sequence[Sample], side: int, resolution: int) -> Any:
    """Yield (index, crop, affine) with each image decoded once, by a few threads."""
    by_image: dict[Any, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        by_image[sample.image if isinstance(sample.image, Path) else index].append(index)

    def work(indices: list[int]) -> list[tuple[int, ImageArray, Float64Array]]:
        image = samples[indices[0]].image
        pixels = decode_image(image) if isinstance(image, Path) else image
        return [(index, *cut(pixels, samples[index], side, resolution)) for index in indices]

    groups = list(by_image.values())
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(groups), 64):  # bounded, so that memory does not grow with the data set
            for crops in pool.map(work, groups[start : start + 64]):
                yield from crops


def cut(image: ImageArray, sample: Sample, side: int, resolution: int) -> tuple[ImageArray, Float64Array]:
    """Cut a crop with its margin; return it and the exact (2, 3) map from source pixels to its pixels.

    Shrinking averages areas, so that the stored crop is free of aliasing; outside the image it is zero.

    Raises:
        KpError: the crop is too large to be cut.
    """
    span = _span(sample, side, resolution)
    left, top = (int(np.floor(value - (span - 1) / 2 + 0.5)) for value in sample.centre)
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + span, width), min(top + span, height)
    window = np.zeros((span, span, 3), np.uint8)
    if x1 > x0 and y1 > y0:
        window[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    how = cv2.INTER_AREA if span > side else cv2.INTER_LINEAR
    factor = side / span
    offset = (0.5 - np.array([left, top])) * factor - 0.5
    affine = np.array([[factor, 0.0, offset[0]], [0.0, factor, offset[1]]])
    return np.asarray(cv2.resize(window, (side, side), interpolation=how), np.uint8), affine


def _span(sample: Sample, side: int, resolution: int) -> int:
    """Return the side of the cut window, whole source pixels."""
    exact = sample.side * side / resolution
    if exact > LARGEST_WINDOW:
        raise KpError(
            f"{sample.image_id}, row {sample.row}: its crop is {exact:.0f} px wide with the margin, at most"
            f" {LARGEST_WINDOW} can be cut; check the person's scale, or lower training.augmentation"
        )
    # Where a crop is enlarged, a source pixel is more than the stored margin: the rounding of place and size needs one.
    return max(2, round(exact) if exact >= side else math.ceil(exact) + 1)


def _open(path: Path, key: str, dataset: Dataset, part: str, resolution: int) -> Store:
    with h5py.File(path, "r") as file:
        crops = file["crops"]
        mapped = np.memmap(path, np.uint8, "r", offset=crops.id.get_offset(), shape=crops.shape)
        people = People(
            points=file["points"][()], state=file["state"][()],
            normaliser=file["normaliser"][()], side=file["side"][()],
            image_ids=tuple(file["image_ids"].asstr()[()]), person_ids=tuple(file["person_ids"].asstr()[()]),
            rows=file["rows"][()], mm_per_px=file["mm_per_px"][()],
        )  # fmt: skip
        return Store(
            key,
            dataset.label,
            part,
            dataset.skeleton,
            resolution,
            mapped,
            file["affines"][()],
            file["centres"][()],
            people,
        )


def stored_points(store: Store, row: int) -> Float64Array:
    """Return the points of a person in stored crop pixels, (K, D)."""
    return apply(store.affines[row], store.people.points[row])
