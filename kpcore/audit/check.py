"""Checks over any data set: what a user should know before training on it, one finding a kind."""

from __future__ import annotations

from collections.abc import Sequence

from kpcore.audit.annotation import annotation_findings, shape_findings
from kpcore.audit.found import Progress
from kpcore.audit.images import picture_findings
from kpcore.audit.shared import shared_findings
from kpcore.errors import KpError
from kpcore.interfaces import Dataset, Finding


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
        found += picture_findings(dataset, part, decode=decode, progress=progress)
        found += shared_findings(dataset, part)
    return found


def require_usable(dataset: Dataset, parts: Sequence[str]) -> None:
    """Refuse data that cannot be trained on; of images only headers are read.

    Raises:
        KpError: the first error among the parts, and how many more there are.
    """
    for part in parts:
        quick = [*dataset.findings(part), *annotation_findings(dataset, part)]
        quick += picture_findings(dataset, part, decode=False)
        errors = [finding for finding in quick if finding.level == "error"]
        if errors:
            more = sum(finding.count for finding in errors) - 1
            rest = f"; {more} more of this or other kinds" if more else ""
            raise KpError(
                f"{dataset.label}, part '{part}': {errors[0].what}{rest}; run 'kp data check' for all of them"
            )
