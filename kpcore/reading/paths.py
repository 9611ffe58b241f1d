"""Image names in annotations: relative paths that stay below the folder of the images."""

from __future__ import annotations

from kpcore.errors import KpError

LONGEST, LONGEST_PART = 1024, 255
"""Bytes of a path, and of one folder or file in it."""


def image_path(value: object, where: str) -> str:
    """Return an image's path below its folder, with forward slashes, its letters' case as it is.

    White space around it and one leading ``./`` go; backslashes, which Windows writes, become slashes.

    Args:
        value: what the annotation holds.
        where: file and row, for the error.

    Raises:
        KpError: it is no text, empty, unprintable or too long; it is absolute, has a colon (a drive, a URL), or an
            empty, ``.`` or ``..`` part.
    """
    name = value.strip().replace("\\", "/").removeprefix("./") if isinstance(value, str) else ""
    if not _stays_below(name):
        raise KpError(
            f"{where}: image name {str(value)[:80]!a} is not a path below the folder of images, such as walk/001.jpg;"
            " mend the annotation"
        )
    return name


def plain_name(value: object, where: str) -> str:
    """Return an image's name, for layouts whose images all lie in one folder.

    Raises:
        KpError: as :func:`image_path`, or it names a folder.
    """
    name = value.strip() if isinstance(value, str) else ""
    if set(name) & set("/\\") or not _stays_below(name):
        raise KpError(
            f"{where}: image name {str(value)[:80]!a} is not a plain file name, such as 015601864.jpg; mend the"
            " annotation"
        )
    return name


def _stays_below(name: str) -> bool:
    if not name.isprintable() or ":" in name or len(name.encode()) > LONGEST:
        return False
    parts = name.split("/")
    return not {"", ".", ".."} & set(parts) and all(len(part.encode()) <= LONGEST_PART for part in parts)
