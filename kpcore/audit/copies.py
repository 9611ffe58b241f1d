"""Which picture a file is an augmented copy of, where its name says so clearly.

Roboflow writes ``IMG_1_jpg.rf.<hash>.jpg`` for every copy of one upload, however it was turned, mirrored or cropped;
the Augmentor library writes the original's name before a hash too. Copies that people call ``IMG_1_flip.jpg`` count
where another image says the same original. A number in brackets is no sign: browsers and Windows give it to different
pictures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from kpcore.reading.videos import undivided

ROBOFLOW = re.compile(r"(?P<original>.+)\.rf\.[0-9A-Za-z]{8,}", re.IGNORECASE)
AUGMENTOR = re.compile(
    r".*_original_(?P<original>.+\.(?:jpe?g|png|bmp|tiff?))_[0-9a-f]{8}-[0-9a-f-]{27}", re.IGNORECASE
)
"""Names that tools write, without their ending; they put all copies into one folder a part."""
FLIPPED = r"(?:augmented[ _.-]?\d*|[hv]?flip(?:ped)?(?:[ _.-]?(?:lr|ud|[hv]))?)"
LOOSE = r"(?:aug[ _.-]?\d*|mirror(?:ed)?|rot(?:ated?)?[ _.-]?\d+)"
"""Also a month, a thing and a view: these count only where the original itself is among the images."""
NAMED = re.compile(rf"(?P<original>.+?)(?:[ _.-](?:{FLIPPED}|{LOOSE}))+", re.IGNORECASE)
CLEARLY = re.compile(rf".+[ _.-]{FLIPPED}", re.IGNORECASE)
"""Names that people give."""


@dataclass(frozen=True)
class Origin:
    """What the name of a picture says.

    Args:
        original: shared by the copies of one picture and by that picture; no two others share it.
        copied: whether the picture is called a copy.
        clear: whether it is, also where its original is not there.
    """

    original: str
    copied: bool = False
    clear: bool = False


def origin_of(path: Path) -> Origin:
    """Return what a picture's name says; its own path, without the folders of a part, where it is no copy."""
    for pattern in (ROBOFLOW, AUGMENTOR):
        if found := pattern.fullmatch(path.stem):
            return Origin(found["original"], copied=True, clear=True)
    named = NAMED.fullmatch(path.stem)
    original = str(undivided(path.parent) / (named["original"] if named else path.stem))
    return Origin(original, copied=named is not None, clear=CLEARLY.fullmatch(path.stem) is not None)


def copies_between(ours: Sequence[Path], theirs: Sequence[Path]) -> dict[Path, Path]:
    """Return our image -> theirs that are copies of one picture, or a picture and its copy."""
    mine, others = ({path: origin_of(path) for path in paths} for paths in (ours, theirs))
    plain = {origin.original for origin in (*mine.values(), *others.values()) if not origin.copied}
    held: dict[str, tuple[Path, Origin]] = {}
    for path, origin in sorted(others.items(), key=lambda one: (one[1].copied, one[1].clear)):
        held[origin.original] = (path, origin)  # of several the clearest, which comes last
    return {
        path: held[origin.original][0]
        for path, origin in mine.items()
        if origin.original in held and _one_picture(origin, held[origin.original][1], plain)
    }


def _one_picture(one: Origin, other: Origin, plain: Set[str]) -> bool:
    """Whether two pictures of one original name are copies; ``plain`` are the originals that are there."""
    return one.clear or other.clear or ((one.copied or other.copied) and one.original in plain)
