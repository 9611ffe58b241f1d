"""What a part has in common with the other parts of its data set."""

from __future__ import annotations

from kpcore.audit.leaks import Leak, leaks_between
from kpcore.interfaces import Dataset, Finding

WORDS = {
    "same": "the same images are in part '{other}'",
    "near": "nearly the same images are in part '{other}'",
    "video": "frames of the same videos are in part '{other}'",
}

REMEDY = (
    "scores on what is trained on too are too good: divide the data in another way, or set evaluation.leaks ="
    ' "leave_out"'
)


def shared_findings(dataset: Dataset, part: str, *, near: bool, videos: bool = True) -> list[Finding]:
    """Images of this part that another part has too: what is learned there is not new here.

    Args:
        dataset: any.
        part: name of a part.
        near: also look for images that are nearly the same, which opens them.
        videos: also look for frames of one video.
    """
    found = []
    for other in dataset.parts:
        if other != part:
            leaks = leaks_between(dataset.samples(part), dataset.samples(other), near=near, videos=videos)
            found += [Finding("warning", f"{leak_text(leak, other)}; {REMEDY}", leak.count) for leak in leaks]
    return found


def leak_text(leak: Leak, other: str) -> str:
    """Return what two parts share, in words."""
    return f"{WORDS[leak.kind].format(other=other)} (first: {leak.first})"
