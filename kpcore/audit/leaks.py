"""Images that are trained on and scored: in two data sets of a study, or in two parts of one.

Files are the same byte by byte (by size, then SHA-256), under any name; augmented copies of one picture where their
names say so (:mod:`kpcore.audit.copies`); nearly the same by their look (:mod:`kpcore.audit.looks`); and frames of one
video where their names say so (:mod:`kpcore.reading.videos`). Two images of one name are no leak.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kpcore.audit.copies import copies_between
from kpcore.audit.looks import looks_of, near_pairs
from kpcore.data.fingerprint import image_digests
from kpcore.reading.videos import video_of
from kpcore.samples import Sample
from kpcore.tensors import ImageArray

Image = Path | ImageArray
Key = str | int
Kind = Literal["same", "copy", "near", "video"]


@dataclass(frozen=True)
class Leak:
    """What two lists of samples share, of one kind.

    Args:
        kind: the same images, copies of the same pictures, images that are nearly the same, or frames of the same
            videos.
        places: of our samples that are concerned.
        count: how many images of ours, or how many videos.
        first: one of them: our image's name and theirs, or the video's.
    """

    kind: Kind
    places: tuple[int, ...]
    count: int
    first: str


def leaking(training: Sequence[Sample], scored: Iterable[Sequence[Sample]]) -> tuple[int, ...]:
    """Return the places of training samples whose image is one of the scored samples' images."""
    theirs = [sample for samples in scored for sample in samples]
    return _places(training, same_images(training, theirs))


def leaks_between(ours: Sequence[Sample], theirs: Sequence[Sample], *, near: bool, videos: bool) -> list[Leak]:
    """Return what our samples share with theirs, one leak a kind, in the order of :data:`Kind`.

    Args:
        ours: samples of one part.
        theirs: samples of another.
        near: also look for images that are nearly the same, which opens them.
        videos: also look for frames of one video.
    """
    same = same_images(ours, theirs)
    copied = _copies(ours, theirs, same)
    found = [_images("same", ours, theirs, same), _images("copy", ours, theirs, copied)]
    if near:
        found.append(_images("near", ours, theirs, _near_images(ours, theirs, same | copied)))
    if videos:
        found.append(_shared_videos(ours, theirs))
    return [leak for leak in found if leak.count]


def same_images(ours: Sequence[Sample], theirs: Sequence[Sample]) -> dict[Key, Key]:
    """Return our image -> theirs of the same bytes; one that is missing is left to whoever reads it."""
    mine, others = _by_size(ours), _by_size(theirs)
    found: dict[Key, Key] = {}
    for size in mine.keys() & others.keys():
        held = dict(zip(image_digests(list(others[size].values())), others[size], strict=True))
        digests = image_digests(list(mine[size].values()))
        found |= {name: held[digest] for name, digest in zip(mine[size], digests, strict=True) if digest in held}
    return found


def _copies(ours: Sequence[Sample], theirs: Sequence[Sample], same: dict[Key, Key]) -> dict[Key, Key]:
    mine = [path for path in _paths_of(ours) if str(path) not in same]
    return {str(path): str(other) for path, other in copies_between(mine, _paths_of(theirs)).items()}


def _paths_of(samples: Iterable[Sample]) -> list[Path]:
    return [image for image in _images_of(samples).values() if isinstance(image, Path)]


def _near_images(ours: Sequence[Sample], theirs: Sequence[Sample], same: dict[Key, Key]) -> dict[Key, Key]:
    mine = {name: image for name, image in _images_of(ours).items() if name not in same}
    others = _images_of(theirs)
    names, known = list(mine), list(others)
    pairs = near_pairs(looks_of(list(mine.values())), looks_of(list(others.values()))) if mine and others else []
    found: dict[Key, Key] = {}
    for one, other in pairs:
        found.setdefault(names[one], known[other])
    return found


def _images(kind: Kind, ours: Sequence[Sample], theirs: Sequence[Sample], found: dict[Key, Key]) -> Leak:
    places = _places(ours, found)
    if not places:
        return Leak(kind, (), 0, "")
    named = {_identity(sample.image): sample.image_id for sample in theirs}
    first = ours[places[0]]
    return Leak(kind, places, len(found), f"'{first.image_id}' and '{named[found[_identity(first.image)]]}'")


def _shared_videos(ours: Sequence[Sample], theirs: Sequence[Sample]) -> Leak:
    mine = [_video(sample) for sample in ours]
    shared = set(mine) & {_video(sample) for sample in theirs} - {None}
    places = tuple(place for place, video in enumerate(mine) if video in shared)
    return Leak("video", places, len(shared), f"'{mine[places[0]]}'" if places else "")


def _video(sample: Sample) -> str | None:
    return video_of(sample.image) if isinstance(sample.image, Path) else None


def _places(samples: Sequence[Sample], images: dict[Key, Key]) -> tuple[int, ...]:
    return tuple(place for place, sample in enumerate(samples) if _identity(sample.image) in images)


def _images_of(samples: Iterable[Sample]) -> dict[Key, Image]:
    images = {_identity(sample.image): sample.image for sample in samples}
    return {name: image for name, image in images.items() if not isinstance(image, Path) or image.is_file()}


def _by_size(samples: Iterable[Sample]) -> dict[int, dict[Key, Image]]:
    """Return bytes -> image's identity -> image."""
    sizes: dict[int, dict[Key, Image]] = defaultdict(dict)
    for name, image in _images_of(samples).items():
        sizes[_size(image)][name] = image
    return sizes


def _identity(image: Image) -> Key:
    return str(image) if isinstance(image, Path) else id(image)


def _size(image: Image) -> int:
    return image.stat().st_size if isinstance(image, Path) else image.nbytes
