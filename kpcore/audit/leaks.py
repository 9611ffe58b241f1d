"""Images that are trained on in one data set and scored in another.

Within a data set its plugin keeps the parts apart; between data sets nobody else looks. Files are compared byte by
byte (by size, then SHA-256): an image that was encoded anew is not recognised.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from kpcore.data.fingerprint import image_digests
from kpcore.samples import Sample
from kpcore.tensors import ImageArray

Image = Path | ImageArray


def leaking(training: Sequence[Sample], scored: Iterable[Sequence[Sample]]) -> tuple[int, ...]:
    """Return the places of training samples whose image is one of the scored samples' images."""
    ours = _by_size(training)
    theirs = _by_size(sample for samples in scored for sample in samples)
    bad: set[str | int] = set()
    for size in ours.keys() & theirs.keys():
        held = set(image_digests(list(theirs[size].values())))
        digests = image_digests(list(ours[size].values()))
        bad |= {name for name, digest in zip(ours[size], digests, strict=True) if digest in held}
    return tuple(place for place, sample in enumerate(training) if _identity(sample.image) in bad)


def _by_size(samples: Iterable[Sample]) -> dict[int, dict[str | int, Image]]:
    """Return bytes -> image's identity -> image; one that is missing is left to whoever reads it."""
    images = {_identity(sample.image): sample.image for sample in samples}
    sizes: dict[int, dict[str | int, Image]] = defaultdict(dict)
    for name, image in images.items():
        if not isinstance(image, Path) or image.is_file():
            sizes[_size(image)][name] = image
    return sizes


def _identity(image: Image) -> str | int:
    return str(image) if isinstance(image, Path) else id(image)


def _size(image: Image) -> int:
    return image.stat().st_size if isinstance(image, Path) else image.nbytes
