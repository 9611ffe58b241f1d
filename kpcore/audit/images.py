"""Checks of the images: missing and unreadable files, and how the points lie on their pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kpcore.audit.annotation import shape_findings
from kpcore.audit.found import Progress, anywhere, found_in
from kpcore.audit.framing import axes_findings
from kpcore.audit.sizes import Headers, kind_findings, mismatched, orientation_findings, size_findings, size_of
from kpcore.audit.units import outside_findings, unit_findings
from kpcore.data.adjusted import Adjusted
from kpcore.errors import KpError
from kpcore.interfaces import Dataset, Finding
from kpcore.reading.headers import Header, read_header
from kpcore.reading.images import decode_image
from kpcore.samples import Instances, Sample
from kpcore.tensors import Float64Array

GONE = (
    "image file does not exist; look at the root and the folder of images, or set dataset.bad_image_policy ="
    " 'leave_out'"
)


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
    return _image_error(GONE, lost)


def _image_error(what: str, images: Sequence[tuple[Path, Sample]]) -> list[Finding]:
    if not images:
        return []
    path, sample = images[0]
    return [Finding("error", f"{what} (first: {path}, row {sample.row})", len(images))]


def picture_findings(dataset: Dataset, part: str, *, decode: bool, progress: Progress | None = None) -> list[Finding]:
    """Return what :func:`image_findings` finds in a part, under the data set's own options."""
    samples = dataset.samples(part)
    if not samples or shape_findings(dataset, samples):
        return missing_findings(samples)
    trusted = isinstance(dataset, Adjusted) and dataset.how.trust_coordinates
    return image_findings(samples, decode=decode, progress=progress, trusted=trusted)


def image_findings(
    samples: Sequence[Sample], *, decode: bool, progress: Progress | None = None, trusted: bool = False
) -> list[Finding]:
    """Missing and unreadable images, their kinds, sizes and orientations, and where keypoints and crops lie on them.

    Args:
        samples: of a part.
        decode: decode every image; else only headers are read.
        progress: called with (images done, images).
        trusted: coordinates that look wrong are warned of, no error.
    """
    missing = missing_findings(samples)
    first = first_of_each_image(samples)
    headers, problems = _measure([path for path in first if path.is_file()], decode, progress)
    bad = [(path, first[path]) for path in problems]
    what = f"image unreadable: {next(iter(problems.values()))}" if problems else ""
    placed = [sample for sample in samples if not mismatched(sample, headers)]
    return [
        *missing,
        *_image_error(what, bad),
        *size_findings(samples, headers),
        *orientation_findings(samples, headers),
        *kind_findings(headers),
        *(place_findings(placed, headers, trusted=trusted) if placed else []),
    ]


def _measure(
    paths: Sequence[Path], decode: bool, progress: Progress | None
) -> tuple[dict[Path, Header], dict[Path, str]]:
    """Return path -> header, and path -> problem, opening images in parallel."""
    headers, problems = {}, {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        opened = pool.map(_decoded_header if decode else _header, paths)
        for done, (path, (header, problem)) in enumerate(zip(paths, opened, strict=True), 1):
            if header:
                headers[path] = header
            else:
                problems[path] = problem
            if progress is not None:
                progress(done, len(paths))
    return headers, problems


def _decoded_header(path: Path) -> tuple[Header | None, str]:
    try:
        decode_image(path)
    except KpError as error:
        return None, str(error)
    return _header(path)


def _header(path: Path) -> tuple[Header | None, str]:
    try:
        return read_header(path), ""
    except KpError as error:
        return None, str(error)


def place_findings(samples: Sequence[Sample], headers: Headers, *, trusted: bool) -> list[Finding]:
    """Coordinates in another unit or outside their picture, and crops that reach beyond it."""
    people = Instances.of(samples)
    sizes = np.array([size_of(sample, headers) or (np.nan, np.nan) for sample in samples], np.float64)
    units = unit_findings(people, sizes, trusted=trusted)
    if any(found.level == "error" for found in units):  # where they lie as pixels says nothing then
        return units
    placed = [*outside_findings(people, sizes, trusted=trusted), *axes_findings(people, sizes, trusted=trusted)]
    return [*units, *placed, *crop_findings(people, sizes)]


def crop_findings(people: Instances, sizes: Float64Array) -> list[Finding]:
    """Crops that reach beyond the picture.

    Args:
        people: N.
        sizes: (N, 2) width and height, NaN where unknown.
    """
    half = people.side[:, None] / 2
    with np.errstate(invalid="ignore"):  # comparisons with what is unknown are false
        crop = anywhere((people.centre - half < -0.5) | (people.centre + half > sizes - 0.5))
    known = ~anywhere(np.isnan(sizes))
    return found_in(people, "note", "crop reaches beyond the picture and is filled with black", crop & known)
