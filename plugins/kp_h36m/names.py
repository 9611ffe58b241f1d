"""Image names: who is in the picture, and which camera took it."""

from __future__ import annotations

import re

from kpcore.reading.paths import Images

TRAIN = (1, 5, 6, 7, 8)
VALID = (9, 11)
FRONTAL = re.compile(r"[._]60457274|[_/]ca_0*4(?!\d)")
"""The frontal camera: by number (``S9_Posing_1.60457274_000001.jpg``), or as the fourth (``s_09_..._ca_04_...``)."""
SUBJECT = re.compile(r"(?:^|/)[sS]_?0*(\d{1,2})(?=[_/.])")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


def image_name(value: str, where: str, images: Images) -> str:
    """Return a path below ``images/``; a leading ``images/`` goes, and a name without an ending is a ``.jpg``.

    Raises:
        KpError: it is empty, not printable, or would leave the folder.
    """
    name = value.strip("\0 \r\n").replace("\\", "/").removeprefix("./").removeprefix("images/")
    bare = name and not name.lower().endswith((*PICTURES, "/"))
    return images.name(f"{name}.jpg" if bare else name, where)


def subject(name: str) -> int | None:
    """Return the subject's number, of the first folder or name that begins with one; None where none does."""
    found = SUBJECT.search(name)
    return int(found[1]) if found else None


def part_of(name: str) -> str | None:
    """Return the part that the subject belongs to; None where it belongs to neither."""
    number = subject(name)
    return "train" if number in TRAIN else "valid" if number in VALID else None


def frontal(name: str) -> bool:
    """Whether the frontal camera took it, which is all that protocol 2 scores."""
    return FRONTAL.search(name) is not None
