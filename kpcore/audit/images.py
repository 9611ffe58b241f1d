"""Checks of the images: missing and unreadable files, and what lies beyond a picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kpcore.audit.found import Progress, anywhere, found_in, labelled
from kpcore.errors import KpError
from kpcore.interfaces import Finding
from kpcore.reading.images import decode_image, image_size
from kpcore.samples import Instances, Sample
from kpcore.tensors import Float64Array


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
    return _image_error("image file does not exist; look at the root and the folder of images", lost)


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
        crop = anywhere((people.centre - half < -0.5) | (people.centre + half > sizes - 0.5))
    known = ~anywhere(np.isnan(sizes))
    outside = labelled(people) & (beyond[..., 0] | beyond[..., 1]) & known[:, None]
    found = found_in(
        people, "note", f"truncated: {int(outside.sum())} labelled keypoints lie outside", anywhere(outside)
    )
    return [*found, *found_in(people, "note", "crop reaches beyond the picture and is filled with black", crop & known)]
