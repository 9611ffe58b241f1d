"""The size that an annotation gives for its picture against the picture's own, and EXIF orientations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kpcore.audit.found import Level
from kpcore.interfaces import Finding
from kpcore.reading.headers import Header, turned_size
from kpcore.reading.turning import turn_of, unclear
from kpcore.samples import Sample
from kpcore.tensors import UNLABELLED

ROUNDED = 2
"""Pixels by which a stated side may differ and be only warned of: rounding, a codec that wants even sides."""
Size = tuple[int, int]
Headers = Mapping[Path, Header]


def size_of(sample: Sample, headers: Headers) -> Size | None:
    """Return (width, height) of a sample's picture as it is turned for it; None where its header could not be read."""
    if not isinstance(sample.image, Path):
        return sample.image.shape[1], sample.image.shape[0]
    header = headers.get(sample.image)
    if header is None:
        return None
    return turned_size(header.size, turn_of(header, sample.stated_size, sample.orientation))


def mismatched(sample: Sample, headers: Headers) -> bool:
    """Whether the annotation gives a size that is neither the picture's nor that of the turned picture."""
    stated = sample.stated_size
    if stated is None or min(stated) <= 0:
        return False
    header = headers.get(sample.image) if isinstance(sample.image, Path) else None
    if header is not None:
        return stated not in (header.size, header.turned_size)
    return not isinstance(sample.image, Path) and stated != size_of(sample, headers)


@dataclass(frozen=True)
class Mismatch:
    """A sample whose annotation gives another (width, height) than its picture has."""

    sample: Sample
    stated: Size
    size: Size

    @property
    def near(self) -> bool:
        """Whether a few pixels are all."""
        return max(abs(one - other) for one, other in zip(self.stated, self.size, strict=True)) <= ROUNDED

    @property
    def swapped(self) -> bool:
        """Whether width and height are exchanged."""
        return self.stated == self.size[::-1]


def size_findings(samples: Sequence[Sample], headers: Headers) -> list[Finding]:
    """Stated sizes that are not the pictures': points that lie on another picture than the one that is there."""
    wrong = [
        Mismatch(sample, sample.stated_size, size)
        for sample in samples
        if sample.stated_size and mismatched(sample, headers) and (size := size_of(sample, headers))
    ]
    near = [one for one in wrong if one.near]
    swapped = [one for one in wrong if one.swapped and not one.near]
    other = [one for one in wrong if not one.near and not one.swapped]
    level: Level = "error" if any(outside(one.sample, one.size) for one in swapped) else "warning"
    resized = "resized or cropped after labelling? take the pictures that were labelled, or scale points and boxes"
    return [
        *_sizes_differ("error", resized, other),
        *_sizes_differ(level, "exchanged: turned after labelling? else mend the file", swapped),
        *_sizes_differ("warning", "a few pixels", near),
    ]


def _sizes_differ(level: Level, why: str, wrong: Sequence[Mismatch]) -> list[Finding]:
    if not wrong:
        return []
    first = wrong[0]
    said, there = (f"{width} x {height}" for width, height in (first.stated, first.size))
    what = f"the file says {said}, the picture is {there} ({why})"
    return [Finding(level, f"{what} (first: {first.sample.image_id}, row {first.sample.row})", len(wrong))]


def orientation_findings(samples: Sequence[Sample], headers: Headers) -> list[Finding]:
    """What is done with pictures that carry an EXIF orientation; a warning where nothing tells what is right."""
    pictures = _oriented(samples, headers)
    turned = [s for s, header in pictures if turn_of(header, s.stated_size, s.orientation) != 1]
    blind = [s for s, header in pictures if s.orientation == "auto" and unclear(header, s.stated_size)]
    told = {id(sample) for sample in (*turned, *blind)}
    left = [s for s, _ in pictures if id(s) not in told]
    fits = (
        "as the format or dataset.orientation says"
        if pictures and pictures[0][0].orientation != "auto"
        else "the file's size fits"
    )
    ask = f"{_hint(blind, headers)}see 'kp data show', and set dataset.orientation = 'turned' or 'stored'"
    return [
        *_about("warning", f"an EXIF orientation is ignored, nothing tells whether the points heed it; {ask}", blind),
        *_about("note", f"turned by their EXIF orientation, {fits}", turned),
        *_about("note", f"not turned by their EXIF orientation, {fits}", left),
    ]


def _hint(blind: Sequence[Sample], headers: Headers) -> str:
    """Say where the points of these samples fit one way of reading their pictures alone."""
    out = {"stored": 0, "turned": 0}
    for sample in blind:
        header = headers[sample.image] if isinstance(sample.image, Path) else None
        if header is not None:
            out["stored"] += outside(sample, header.size)
            out["turned"] += outside(sample, header.turned_size)
    fitting = [name for name, count in out.items() if not count]
    return f"the points fit the {fitting[0]} pictures alone; " if len(fitting) == 1 else ""


def outside(sample: Sample, size: Size) -> int:
    """Count a sample's labelled keypoints outside a picture of this (width, height)."""
    points = sample.points[sample.state != UNLABELLED, :2]
    return int(((points < -0.5) | (points > np.subtract(size, 0.5))).any(-1).sum())


def _oriented(samples: Sequence[Sample], headers: Headers) -> list[tuple[Sample, Header]]:
    """Return a sample of each picture that has an orientation other than 1."""
    first: dict[tuple[Path, Size | None], tuple[Sample, Header]] = {}
    for sample in samples:
        header = headers.get(sample.image) if isinstance(sample.image, Path) else None
        if header is not None and header.orientation != 1 and isinstance(sample.image, Path):
            first.setdefault((sample.image, sample.stated_size), (sample, header))
    return list(first.values())


def _about(level: Level, what: str, samples: Sequence[Sample]) -> list[Finding]:
    if not samples:
        return []
    return [Finding(level, f"pictures: {what} (first: {samples[0].image_id}, row {samples[0].row})", len(samples))]


def kind_findings(headers: Headers) -> list[Finding]:
    """Pictures that are not taken as they are stored: 16 bits, alpha."""
    deep = [path for path, header in headers.items() if header.bits > 8]
    alpha = [path for path, header in headers.items() if header.alpha]
    stretch = "16-bit pictures, each stretched from its 0.1 to its 99.9 percentile to 8 bits"
    dropped = "pictures with an alpha channel, which is dropped: colours under it are taken as they are"
    return [
        Finding("note", f"{what} (first: {paths[0]})", len(paths))
        for what, paths in ((stretch, deep), (dropped, alpha))
        if paths
    ]
