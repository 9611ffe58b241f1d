"""What a part has in common with the other parts of its data set."""

from __future__ import annotations

from collections.abc import Sequence

from kpcore.audit.leaks import Leak, leaks_between
from kpcore.interfaces import Dataset, Finding

WORDS = {
    "same": "the same images are in part '{other}'",
    "copy": "augmented copies of the same pictures, by their names, are in part '{other}'",
    "near": "nearly the same images are in part '{other}'",
    "video": "frames of the same videos are in part '{other}'",
}

TOO_GOOD = "scores on what is trained on too are too good"
REMEDY = f'{TOO_GOOD}: divide the data in another way, or set evaluation.leaks = "leave_out"'
DIVIDE = (
    "every training image is concerned, so leaving them out leaves none: divide the data in another way, or keep it and"
    " say so with the scores"
)
FILM = (
    "every training image is of such a video, so leaving them out leaves none: label frames of another video and hold"
    " that out as a whole, or keep it and say that the scores are for this video, not for others"
)
"""What helps where nothing would be left to train on."""
TRAINING = "train"


def shared_findings(dataset: Dataset, part: str, *, near: bool, videos: bool = True) -> list[Finding]:
    """Images of this part that another part has too: what is learned there is not new here.

    Args:
        dataset: any.
        part: name of a part.
        near: also look for images that are nearly the same, which opens them.
        videos: also look for frames of one video.
    """
    found: list[Finding] = []
    for other in dataset.parts:
        if other != part:
            leaks = leaks_between(dataset.samples(part), dataset.samples(other), near=near, videos=videos)
            told = _advice(dataset, part, other, leaks)
            found += [Finding("warning", f"{leak_text(leak, other)}; {told}", leak.count) for leak in leaks]
    return found


def _advice(dataset: Dataset, part: str, other: str, leaks: Sequence[Leak]) -> str:
    if not leaks or TRAINING not in (part, other):
        return REMEDY
    ours, kinds = dataset.samples(TRAINING), {leak.kind for leak in leaks}
    if part != TRAINING:  # what they share, as the training part has it
        leaks = leaks_between(ours, dataset.samples(part), near="near" in kinds, videos="video" in kinds)
    return remedy(leaks, len(ours))


def remedy(leaks: Sequence[Leak], training: int) -> str:
    """Return what to do about leaks; other than to leave them out where nothing would be left.

    Args:
        leaks: as the training part has them.
        training: samples in it.
    """
    if not leaks or len({place for leak in leaks for place in leak.places}) < training:
        return REMEDY
    whole = FILM if any(leak.kind == "video" and len(leak.places) == training for leak in leaks) else DIVIDE
    return f"{TOO_GOOD}; {whole}"


def leak_text(leak: Leak, other: str) -> str:
    """Return what two parts share, in words."""
    return f"{WORDS[leak.kind].format(other=other)} (first: {leak.first})"
