"""Checks over any data set: what a user should know before training on it, one finding a kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from kpcore.audit.annotation import annotation_findings, shape_findings
from kpcore.audit.found import Level, Progress
from kpcore.audit.images import picture_findings
from kpcore.audit.shared import shared_findings
from kpcore.errors import FaultsError
from kpcore.interfaces import Dataset, Finding

NEEDED = ("train", "valid")
"""Parts that a study reads."""


def parts_remedy(dataset: Dataset) -> str:
    """Return what to do where a part is missing: a share can be held out where the data set has that option."""
    option = "held_out" in type(dataset).Config.model_fields
    return "call the parts so" + (", or hold out a share: --set dataset.held_out=0.2" if option else "")


def check_part(
    dataset: Dataset, part: str, *, decode: bool, videos: bool = True, progress: Progress | None = None
) -> list[Finding]:
    """Return all findings of a part: the data set's own, then annotation, images, and images shared with other parts.

    Args:
        dataset: any data set.
        part: name of a part.
        decode: decode every image, which finds truncated and damaged ones, and those that are nearly the same in
            another part; else only their headers are read.
        videos: look for frames of one video in two parts; sample data's frames are drawn one by one.
        progress: called with (images done, images).

    Raises:
        KpError: the part does not exist, or its annotation cannot be read at all.
    """
    samples = dataset.samples(part)
    found = [*dataset.findings(part), *annotation_findings(dataset, part)]
    if samples and not shape_findings(dataset, samples):
        found += picture_findings(dataset, part, decode=decode, progress=progress)
        found += shared_findings(dataset, part, near=decode, videos=videos)
    return found


def part_findings(dataset: Dataset) -> list[Finding]:
    """Return a warning where a study would miss the part that it trains on, or the one that it scores."""
    lost = [part for part in NEEDED if part not in dataset.parts]
    if not lost:
        return []
    there = f"parts: {', '.join(repr(part) for part in dataset.parts)}"
    what = f"no part is called '{lost[0]}', and 'kp run' needs it ({there}); {parts_remedy(dataset)}"
    return [Finding("warning", what)]


def quick_findings(dataset: Dataset, parts: Sequence[str]) -> dict[str, list[Finding]]:
    """Return part -> what can be found without decoding an image: of images only headers are read."""
    return {
        part: [
            *dataset.findings(part),
            *annotation_findings(dataset, part),
            *picture_findings(dataset, part, decode=False),
        ]
        for part in parts
    }  # fmt: skip


def said(label: str, findings: Mapping[str, Iterable[Finding]], level: Level) -> list[str]:
    """Return a line for each finding of a level, with its parts and how many it concerns; what parts share comes once.

    Args:
        label: of the data set.
        findings: by part.
        level: which of them.
    """
    parts: dict[Finding, list[str]] = defaultdict(list)
    for part, found in findings.items():
        for finding in dict.fromkeys(found):
            if finding.level == level:
                parts[finding].append(f"'{part}'")
    return [
        f"{label}, part{'s' * (len(where) > 1)} {' and '.join(where)}: {with_count(finding)}"
        for finding, where in parts.items()
    ]


def with_count(finding: Finding) -> str:
    """Return what was found, and how many there are of it where that is more than one."""
    return f"{finding.what} ({finding.count:,} such)" if finding.count > 1 else finding.what


def require_usable(dataset: Dataset, parts: Sequence[str]) -> None:
    """Refuse data that cannot be trained on; of images only headers are read.

    Raises:
        FaultsError: all errors of the parts, a line each.
    """
    if errors := said(dataset.label, quick_findings(dataset, parts), "error"):
        raise FaultsError(errors)
