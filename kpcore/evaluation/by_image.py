"""Predictions that name images and no rows, where every image has one instance: the names tell whose they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from kpcore.errors import KpError
from kpcore.evaluation.predictions import Predictions
from kpcore.samples import Sample


@dataclass(frozen=True)
class ByImage:
    """Who was found by the image's name.

    Args:
        places: in the predictions.
        people: there, in the part's order.
        said: how many images of either side have no counterpart, with the first of each; "" where all have.
    """

    places: list[int]
    people: list[Sample]
    said: str = ""


def by_image(predictions: Predictions, samples: Sequence[Sample]) -> ByImage | None:
    """Return the people of the part whose image is in the file; None where image names cannot tell whose is whose.

    They can where the file has no rows, and each of its images, and each of the part's, one instance. An image of the
    part that the file lacks is not scored, as a person whose row it lacks.

    Raises:
        KpError: no image is in both.
    """
    theirs, ours = predictions.image_ids, [sample.image_id for sample in samples]
    if predictions.rows is not None or not theirs or len(set(theirs)) < len(theirs) or len(set(ours)) < len(ours):
        return None
    found, ambiguous = _paired(theirs, ours)
    if not found:
        raise KpError(
            f"{predictions.path}: has no 'rows', and none of its {len(theirs):,} images is one of this part's"
            f" {len(ours):,}: the first is '{theirs[0]}' there and '{ours[0]}' here; predict on the part's images, or"
            " give a data set 'rows' that names each one's row in the annotation file"
        )
    missing = [name for place, name in enumerate(ours) if place not in found and name not in ambiguous]
    taken = set(found.values())
    others = [name for place, name in enumerate(theirs) if place not in taken]
    kept = sorted(found)
    said = [
        _counted(missing, "not in the file, and not scored"),
        _counted(ambiguous, "not scored, since several images have that file name"),
        _counted(others, "in the file, but not of the part"),
    ]
    return ByImage([found[place] for place in kept], [samples[place] for place in kept], "; ".join(filter(None, said)))


def _paired(theirs: Sequence[str], ours: Sequence[str]) -> tuple[dict[int, int], list[str]]:
    """Return place among ours -> place among theirs, and which of ours a file name cannot tell.

    Equal names are one image; else one name may be the end of the other's path, where its file name is there once on
    either side.
    """
    exact = {name: place for place, name in enumerate(theirs)}
    found = {place: exact[name] for place, name in enumerate(ours) if name in exact}
    taken = set(found.values())
    left = {place: name for place, name in enumerate(theirs) if place not in taken}
    rest = {place: name for place, name in enumerate(ours) if place not in found}
    counts, own = (Counter(PurePosixPath(name).name for name in side.values()) for side in (left, rest))
    by_file = {PurePosixPath(name).name: place for place, name in left.items()}
    ambiguous = []
    for place, name in rest.items():
        file = PurePosixPath(name).name
        if counts[file] == 1 == own[file]:
            if _one_path(name, left[by_file[file]]):
                found[place] = by_file[file]
        elif counts[file]:
            ambiguous.append(name)
    return found, ambiguous


def _one_path(one: str, other: str) -> bool:
    """Whether one is the end of the other."""
    short, long = sorted((PurePosixPath(one).parts, PurePosixPath(other).parts), key=len)
    return long[len(long) - len(short) :] == short


def _counted(names: Sequence[str], what: str) -> str:
    return f"{what}: {len(names):,} (first: {names[0]})" if names else ""
