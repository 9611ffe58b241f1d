"""Checks of the annotation alone: impossible numbers, repeated rows, and how much is labelled. No image is opened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpcore.audit.found import Mask, anywhere, found_in, labelled
from kpcore.audit.framing import framing_findings
from kpcore.audit.placeholders import placeholder_findings
from kpcore.audit.spellings import spelling_findings
from kpcore.data.adjusted import Adjusted
from kpcore.interfaces import Dataset, Finding
from kpcore.samples import Instances, Sample
from kpcore.tensors import Float64Array

FAR = 3.0
"""Crop sides from the crop's centre beyond which a labelled keypoint deserves a look."""
ABSURD = 20.0
"""Crop sides beyond which a coordinate can be no pixel of the same picture."""
LARGEST_SIDE = 50_000.0
"""Pixels: a crop side beyond this would fill the memory, and no photograph is as large."""


def annotation_findings(dataset: Dataset, part: str) -> list[Finding]:
    """Findings that need no image: impossible numbers, repeated rows, and how much is labelled."""
    samples = dataset.samples(part)
    if not samples:
        return [Finding("error", _empty(dataset, part), 0)]
    wrong = shape_findings(dataset, samples)
    if wrong:
        return wrong
    people = Instances.of(samples)
    return [
        *number_findings(people),
        *distance_findings(people),
        *framing_findings(people, trusted=isinstance(dataset, Adjusted) and dataset.how.trust_coordinates),
        *label_findings(people),
        *spelling_findings(people, dataset.skeleton.names),
        *placeholder_findings(people, dataset.skeleton.names),
    ]


def _empty(dataset: Dataset, part: str) -> str:
    """Return that a part has no samples, and all that its reader has to say of that."""
    told = "; ".join(f"{found.what} ({found.count:,})" for found in dataset.findings(part) if found.level != "error")
    why = f"; its reader says: {told}" if told else "; look at the annotation and at the data set's options"
    return f"no samples in this part{why}"


def shape_findings(dataset: Dataset, samples: Sequence[Sample]) -> list[Finding]:
    """Samples whose arrays do not fit the skeleton."""
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
            people,
            "error",
            "labelled keypoint with a coordinate that is no number: mend it, or mark it not labelled",
            anywhere(labelled(people) & ~finite),
        ),
        *found_in(people, "error", "crop centre is no number", anywhere(~np.isfinite(people.centre))),
        *found_in(people, "error", "crop side is not a positive number", ~_positive(people.side)),
        *found_in(
            people,
            "error",
            f"crop side over {LARGEST_SIDE:g} px: is the scale in another unit?",
            people.side > LARGEST_SIDE,
        ),
        *found_in(
            people,
            "error",
            "normaliser (what errors are divided by) is not a positive number",
            ~_positive(people.normaliser),
        ),
    ]


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
    """Repeated rows, samples without any label, and how many keypoints are missing."""
    known = labelled(people)
    missing = int((~known).sum())
    found = found_in(
        people, "error", "duplicated row: equal image, crop centre and points; delete the repetition", _repeated(people)
    )
    found += found_in(people, "warning", "sample without a labelled keypoint", ~anywhere(known))
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
