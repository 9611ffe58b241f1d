"""The prepared store: each person's crop, decoded once, with the margin that augmentation can reach.

One HDF5 file per (image bytes, crop boxes, resolution, reach, kind of crops), found by its content key and shared by
every job, process and study. It holds crops alone: labels come from the samples, so a label that is mended costs no
crop. Crops lie in one contiguous block that is memory-mapped for reading, so memory does not grow with the data set.
"""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kpcore.cache import cache_dir, content_key, set_aside
from kpcore.cores import mapped
from kpcore.data.crops import JPEG_SHARE, UNREADABLE, Crops, Encoded, Kind, Writer, encode_jpeg, read_crops, writer
from kpcore.data.fingerprint import Fingerprint, images_digest
from kpcore.data.geometry import ScaleShift
from kpcore.errors import FaultError, KpError, size, system_error
from kpcore.keypoints import Skeleton
from kpcore.locks import locked
from kpcore.placing import put
from kpcore.reading.images import pixels_of
from kpcore.reading.opening import one_line
from kpcore.samples import Instances, Sample
from kpcore.tensors import AnyArray, Float64Array, ImageArray

FORMAT = 4
"""Raised whenever the same samples would give another store."""

LARGEST_WINDOW = 20_000
"""Source pixels along a crop's side, margin included, beyond which cutting it would fill the memory."""

Progress = Callable[[int, int], None]
Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a data set, as it is prepared.

    Args:
        label: what results call the data.
        name: of the part.
        skeleton: of the points.
        samples: in the annotation file's order.
        fingerprint: of them.
    """

    label: str
    name: str
    skeleton: Skeleton
    samples: Sequence[Sample]
    fingerprint: Fingerprint


@dataclass(frozen=True, eq=False)
class Store:
    """A prepared part, open for reading.

    Args:
        key: content key.
        part: whose crops they are.
        resolution: crop pixels along the nominal crop's side; the stored crop is ``crops.shape[1]``, margin included.
        crops: (N, S, S, 3) uint8 RGB, memory-mapped; decoded when read where they are kept as JPEG.
        affines: (N, 2, 3) source pixels to stored crop pixels.
        people: truth in source pixels, in the annotation file's order.
    """

    key: str
    part: Part
    resolution: int
    crops: Crops
    affines: Float64Array
    people: Instances

    def __len__(self) -> int:
        return len(self.people)

    @property
    def skeleton(self) -> Skeleton:
        """Of the points."""
        return self.part.skeleton


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


def store_key(part: Part, how: Cut) -> str:
    """Return the content key of a store."""
    return content_key(
        {
            "format": FORMAT,
            **part.fingerprint.crops,
            "resolution": how.resolution,
            "reach": round(how.reach, 6),
            "crops": how.kind,
        }
    )


def store_path(part: Part, how: Cut) -> Path:
    """Return where a store lies, or will."""
    return cache_dir() / "stores" / f"{store_key(part, how)}.h5"


def prepare(part: Part, how: Cut, progress: Progress | None = None, notice: Notice = print) -> Store:
    """Return the store of a part, making it first where it is not in the cache; a killed preparation is gone on with.

    A store that is damaged is set aside with a notice and made anew.

    Raises:
        KpError: an image is missing or damaged (with its path), or the disk is or would be full.
    """
    path = store_path(part, how)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        title = _title(part, how)
        with locked(path.with_suffix(".lock"), waiting=lambda who: notice(f"{title}: waiting for {who} to prepare it")):
            return _opened(path, part, how, notice) or _made(path, part, how, progress, notice)
    except OSError as error:
        line = system_error(error, path)
        raise FaultError(f"the prepared crops cannot be written: {line}, or set KP_CACHE_DIR") from error


def _opened(path: Path, part: Part, how: Cut, notice: Notice) -> Store | None:
    """Return the store as it lies in the cache; None where it is not there, or not whole."""
    if not path.exists():
        return None
    try:
        return _open(path, part, how, notice)
    except UNREADABLE as error:
        notice(f"{_title(part, how)}: the prepared crops {path.name} are damaged ({one_line(error, 120)}); made again")
        set_aside(path)
        return None


def _made(path: Path, part: Part, how: Cut, progress: Progress | None, notice: Notice) -> Store:
    samples = part.samples
    _require_space(path, how.size(len(samples)))
    put(path.with_suffix(".json"), json.dumps({"title": _title(part, how)}).encode())
    try:
        write_store(path, samples, how, progress, partial(_require_same_images, part))
    except (KpError, OSError):
        path.with_suffix(".json").unlink(missing_ok=True)
        raise
    return _open(path, part, how, notice)


def _title(part: Part, how: Cut) -> str:
    return f"{part.label}, {part.name}, {len(part.samples)} people at {how.resolution} px, {how.kind}"


def write_store(
    path: Path,
    samples: Sequence[Sample],
    how: Cut,
    progress: Progress | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write the store of these samples, or go on with writing it.

    Args:
        path: of the store.
        samples: in its order.
        how: their crops are cut.
        progress: called with (crops done, crops).
        check: called before the store counts as whole; an error it raises discards it.

    Raises:
        KpError: an image cannot be read; then nothing is left behind.
    """
    target = writer(how.kind, path, len(samples), how.side)
    try:
        _write(target, samples, how, progress)
        check()
        target.finish()
    except (KpError, OSError):  # what a kill leaves is gone on with; what an error leaves is not worth keeping
        target.discard()
        raise
    finally:
        target.close()


def _require_same_images(part: Part) -> None:
    """Refuse crops of other images than the ones that keys were made of; raises KpError."""
    if images_digest(part.samples) != part.fingerprint.images:
        raise KpError(
            f"{part.label}, part '{part.name}': images changed while their crops were prepared (a copy that was still"
            " running?); run it again when they stay as they are"
        )


def _require_space(path: Path, needed: int) -> None:
    partial = path.with_suffix(".partial")
    have = shutil.disk_usage(path.parent).free + (partial.stat().st_blocks * 512 if partial.exists() else 0)
    if needed > have:
        raise FaultError(
            f"{path.parent}: the prepared crops take {size(needed)}, {size(have)} are free; free disk space,"
            " set KP_CACHE_DIR, or keep them as JPEG (training.crops = 'jpeg')"
        )


def _write(target: Writer, samples: Sequence[Sample], how: Cut, progress: Progress | None) -> None:
    missing = target.missing()
    done = len(samples) - len(missing)
    for row, encoded in _crops(target, samples, missing, how):
        target.put(row, encoded)
        done += 1
        if progress is not None:
            progress(done, len(samples))


def _crops(target: Writer, samples: Sequence[Sample], rows: Sequence[int], how: Cut) -> Iterator[tuple[int, Encoded]]:
    """Yield (row, encoded crop) with each image decoded once, by a thread a core."""
    by_image: dict[Any, list[int]] = defaultdict(list)
    for row in rows:
        one = samples[row]
        picture = (one.image, one.stated_size, one.orientation) if isinstance(one.image, Path) else row
        by_image[picture].append(row)

    def work(same: list[int]) -> list[tuple[int, Encoded]]:
        pixels = pixels_of(samples[same[0]])
        return [(row, target.encode(cut(pixels, samples[row], how))) for row in same]

    for encoded in mapped(work, by_image.values()):
        yield from encoded


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
    def map(self) -> ScaleShift:
        """The exact map from source pixels to the stored crop's."""
        factor = self.side / self.span
        x, y = ((0.5 - first) * factor - 0.5 for first in (self.left, self.top))
        return ScaleShift(factor, x, y)


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


def _open(path: Path, part: Part, how: Cut, notice: Notice) -> Store:
    samples = part.samples
    told = _Told(path, _title(part, how), notice)
    return Store(
        key=path.stem,
        part=part,
        resolution=how.resolution,
        crops=read_crops(path, len(samples), how.side, partial(recut, samples, how), told),
        affines=np.stack([window(sample, how).map.affine for sample in samples]),
        people=Instances.of(samples),
    )


class _Told:
    """Says once that a store is damaged, and sets it aside so that the next run makes it anew."""

    def __init__(self, path: Path, title: str, notice: Notice) -> None:
        self.path = path
        self.title = title
        self.notice = notice
        self.rows: list[int] = []

    def __call__(self, row: int) -> None:
        self.rows.append(row)
        if len(self.rows) == 1:
            self.notice(
                f"{self.title}: the prepared crop of row {row} is damaged in {self.path.name}; it is cut from its image"
                " again, and the next run makes the whole store again"
            )
            set_aside(self.path)


def recut(samples: Sequence[Sample], how: Cut, row: int) -> AnyArray:
    """Return a row's crop as the store would hold it, made anew from its image.

    Raises:
        KpError: the image cannot be read.
    """
    crop = cut(pixels_of(samples[row]), samples[row], how)
    return encode_jpeg(crop) if how.kind == "jpeg" else crop
