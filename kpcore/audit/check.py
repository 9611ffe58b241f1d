"""Checks over any data set: what a user should know before training on it, one finding a kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from kpcore.errors import KpError
from kpcore.interfaces import Dataset, Finding
from kpcore.reading.images import decode_image, image_size
from kpcore.samples import Instances, Sample
from kpcore.tensors import UNLABELLED, Float64Array

FAR = 3.0
"""Crop sides from the crop's centre beyond which a labelled keypoint deserves a look."""
ABSURD = 20.0
"""Crop sides beyond which a coordinate can be no pixel of the same picture."""
LARGEST_SIDE = 50_000.0
"""Pixels: a crop side beyond this would fill the memory, and no photograph is as large."""

Progress = Callable[[int, int], None]
Mask = npt.NDArray[np.bool_]
Level = Literal["note", "warning", "error"]


def check_part(dataset: Dataset, part: str, *, decode: bool, progress: Progress | None = None) -> list[Finding]:
    """Return all findings of a part: the data set's own, then annotation, images, and images shared with other parts.

    Args:
        dataset: any data set.
        part: name of a part.
        decode: decode every image, which finds truncated and damaged ones; else only their headers are read.
        progress: called with (images done, images).

    Raises:
        KpError: the part does not exist, or its annotation cannot be read at all.
    """
    samples = dataset.samples(part)
    found = [*dataset.findings(part), *annotation_findings(dataset, part)]
    if samples and not shape_findings(dataset, samples):
        found += image_findings(samples, decode=decode, progress=progress)
        found += shared_findings(dataset, part)
    return found


def require_usable(dataset: Dataset, parts: Sequence[str]) -> None:
    """Refuse data that cannot be trained on, without opening an image.

    Raises:
        KpError: the first error among the parts, and how many more there are.
    """
    for part in parts:
        quick = [*dataset.findings(part), *annotation_findings(dataset, part)]
        quick += missing_findings(dataset.samples(part))
        errors = [finding for finding in quick if finding.level == "error"]
        if errors:
            more = sum(finding.count for finding in errors) - 1
            rest = f"; {more} more of this or other kinds" if more else ""
            raise KpError(
                f"{dataset.label}, part '{part}': {errors[0].what}{rest}; run 'kp data check' for all of them"
            )


def found_in(people: Instances, level: Level, what: str, hits: Mask) -> list[Finding]:
    """One finding over the people whose entry of ``hits`` (N,) is true, with the first one's place; or none."""
    rows = np.flatnonzero(hits)
    if not len(rows):
        return []
    return [Finding(level, f"{what} (first: {people.image_ids[rows[0]]}, row {people.rows[rows[0]]})", len(rows))]


def labelled(people: Instances) -> Mask:
    """(N, K) whether a keypoint is labelled."""
    return np.asarray(people.state != UNLABELLED)


def annotation_findings(dataset: Dataset, part: str) -> list[Finding]:
    """Findings that need no image: impossible numbers, repeated rows, and how much is labelled."""
    samples = dataset.samples(part)
    if not samples:
        return [Finding("error", "nobody is in this part", 0)]
    wrong = shape_findings(dataset, samples)
    if wrong:
        return wrong
    people = Instances.of(samples)
    return [*number_findings(people), *distance_findings(people), *label_findings(people)]


def shape_findings(dataset: Dataset, samples: Sequence[Sample]) -> list[Finding]:
    """People whose arrays do not fit the skeleton."""
    keypoints, dims = len(dataset.skeleton.keypoints), dataset.skeleton.dims
    odd = [s for s in samples if s.points.shape != (keypoints, dims) or s.state.shape != (keypoints,)]
    if not odd:
        return []
    what = f"points are {odd[0].points.shape}, but the skeleton has {keypoints} keypoints of {dims} dimensions"
    return [Finding("error", f"{what} (first: {odd[0].image_id}, row {odd[0].row})", len(odd))]


def number_findings(people: Instances) -> list[Finding]:
    """Numbers that break training or scoring: not finite, or lengths that are not positive."""
    finite = np.isfinite(people.points).all(-1)
    return [
        *found_in(
            people, "error", "labelled keypoint with a coordinate that is no number", _any(labelled(people) & ~finite)
        ),
        *found_in(people, "error", "crop centre is no number", _any(~np.isfinite(people.centre))),
        *found_in(people, "error", "crop side is not a positive number", ~_positive(people.side)),
        *found_in(people, "error", f"crop side over {LARGEST_SIDE:g} px", people.side > LARGEST_SIDE),
        *found_in(people, "error", "normaliser (head size) is not a positive number", ~_positive(people.normaliser)),
    ]


def _any(hits: Mask) -> Mask:
    """(N, ...) -> (N,): whether anything of a person is hit."""
    return np.asarray(hits.reshape(len(hits), -1).any(axis=1))


def _positive(lengths: Float64Array) -> Mask:
    return np.asarray(np.isfinite(lengths) & (lengths > 0))


def distance_findings(people: Instances) -> list[Finding]:
    """Labelled keypoints implausibly far from their crop."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # what is not finite is reported elsewhere
        away = np.linalg.norm(people.points[..., :2] - people.centre[:, None], axis=-1) / people.side[:, None]
    away = np.where(labelled(people) & np.isfinite(away), away, 0).max(1)
    return [
        *found_in(people, "error", f"keypoint over {ABSURD:g} crop sides from the crop's centre", away > ABSURD),
        *found_in(
            people, "warning", f"keypoint over {FAR:g} crop sides from the crop's centre", _between(away, FAR, ABSURD)
        ),
    ]


def _between(values: Float64Array, low: float, high: float) -> Mask:
    return np.asarray((values > low) & (values <= high))


def label_findings(people: Instances) -> list[Finding]:
    """Repeated rows, people without any label, and how many keypoints are missing."""
    known = labelled(people)
    missing = int((~known).sum())
    found = found_in(people, "error", "duplicated row: equal image, crop centre and points", _repeated(people))
    found += found_in(people, "warning", "person without a labelled keypoint", ~_any(known))
    if missing:
        found.append(Finding("note", f"keypoints not labelled, {missing / known.size:.1%} of {known.size:,}", missing))
    return found


def _repeated(people: Instances) -> Mask:
    """(N,) whether an earlier row is the same."""
    seen: set[tuple[str, bytes, bytes]] = set()
    repeated = np.zeros(len(people), bool)
    for row, (name, centre, points) in enumerate(zip(people.image_ids, people.centre, people.points, strict=True)):
        key = (name, centre.tobytes(), points.tobytes())
        repeated[row] = key in seen
        seen.add(key)
    return repeated


def first_of_each_image(samples: Sequence[Sample]) -> dict[Path, Sample]:
    """Image path -> its first person; samples that bring pixels have no path."""
    first: dict[Path, Sample] = {}
    for sample in samples:
        if isinstance(sample.image, Path):
            first.setdefault(sample.image, sample)
    return first


def missing_findings(samples: Sequence[Sample]) -> list[Finding]:
    """Image files that do not exist."""
    lost = [(path, sample) for path, sample in first_of_each_image(samples).items() if not path.is_file()]
    return _image_error("image file does not exist", lost)


def _image_error(what: str, images: Sequence[tuple[Path, Sample]]) -> list[Finding]:
    if not images:
        return []
    path, sample = images[0]
    return [Finding("error", f"{what} (first: {path}, row {sample.row})", len(images))]


def image_findings(samples: Sequence[Sample], *, decode: bool, progress: Progress | None = None) -> list[Finding]:
    """Missing and unreadable images, keypoints and crops beyond the picture."""
    missing = missing_findings(samples)
    first = first_of_each_image(samples)
    sizes, problems = _measure([path for path in first if path.is_file()], decode, progress)
    bad = [(path, first[path]) for path in problems]
    what = f"image unreadable: {next(iter(problems.values()))}" if problems else ""
    return [*missing, *_image_error(what, bad), *beyond_findings(Instances.of(samples), _sizes_of(samples, sizes))]


def _measure(
    paths: Sequence[Path], decode: bool, progress: Progress | None
) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """Return path -> (width, height), and path -> problem, opening images in parallel."""
    sizes, problems = {}, {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        opened = pool.map(_decoded_size if decode else _header_size, paths)
        for done, (path, (size, problem)) in enumerate(zip(paths, opened, strict=True), 1):
            if size:
                sizes[path] = size
            else:
                problems[path] = problem
            if progress is not None:
                progress(done, len(paths))
    return sizes, problems


def _decoded_size(path: Path) -> tuple[tuple[int, int] | None, str]:
    try:
        height, width = decode_image(path).shape[:2]
    except KpError as error:
        return None, str(error)
    return (width, height), ""


def _header_size(path: Path) -> tuple[tuple[int, int] | None, str]:
    try:
        return image_size(path), ""
    except KpError as error:
        return None, str(error)


def _sizes_of(samples: Iterable[Sample], sizes: dict[Path, tuple[int, int]]) -> Float64Array:
    """(N, 2) width and height of each person's image, NaN where it could not be read."""
    unread = (np.nan, np.nan)
    return np.array(
        [sizes.get(s.image, unread) if isinstance(s.image, Path) else s.image.shape[1::-1] for s in samples], np.float64
    )


def beyond_findings(people: Instances, sizes: Float64Array) -> list[Finding]:
    """Labelled keypoints outside the picture, which stay labelled, and crops that reach beyond it.

    Args:
        people: N.
        sizes: (N, 2) width and height, NaN where unknown.
    """
    points, half = people.points[..., :2], people.side[:, None] / 2
    with np.errstate(invalid="ignore"):  # comparisons with what is unknown are false
        beyond = (points < -0.5) | (points > sizes[:, None] - 0.5)
        crop = _any((people.centre - half < -0.5) | (people.centre + half > sizes - 0.5))
    known = ~_any(np.isnan(sizes))
    outside = labelled(people) & (beyond[..., 0] | beyond[..., 1]) & known[:, None]
    found = found_in(people, "note", f"truncated: {int(outside.sum())} labelled keypoints lie outside", _any(outside))
    return [*found, *found_in(people, "note", "crop reaches beyond the picture and is filled with black", crop & known)]


def shared_findings(dataset: Dataset, part: str) -> list[Finding]:
    """Images of this part that another part has too: what is learned there is not new here."""
    mine = {sample.image_id for sample in dataset.samples(part)}
    found = []
    for other in dataset.parts:
        shared = mine & {sample.image_id for sample in dataset.samples(other)} if other != part else set()
        if shared:
            found.append(Finding("warning", f"images also in part '{other}' (first: {min(shared)})", len(shared)))
    return found
