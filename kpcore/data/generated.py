"""A generated data set in the cache: a file beside its folder lists every file with its digest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2

from kpcore.cache import cache_dir, set_aside
from kpcore.data.fingerprint import image_digests
from kpcore.errors import KpError
from kpcore.placing import put
from kpcore.tensors import ImageArray

KIND = "generated"
"""Its folder of the cache."""


def write_image(path: Path, pixels: ImageArray, settings: Sequence[int] = ()) -> None:
    """Write a picture of a generated data set.

    OpenCV's own writer calls a picture written where a full disk kept a part of it.

    Args:
        path: of the file; its ending says the format.
        pixels: (H, W, 3) uint8 BGR, or (H, W).
        settings: OpenCV's, in pairs.

    Raises:
        OSError: it cannot be written.
    """
    done, data = cv2.imencode(path.suffix, pixels, settings)
    if not done:
        raise OSError(f"{path}: OpenCV cannot write such a picture")
    path.write_bytes(data.tobytes())


def seal(folder: Path, files: Path, title: str) -> None:
    """Write down what lies in ``files``, which is to become ``folder``."""
    found = _files(files)
    digests = image_digests([files / name for name in found])
    listed = dict(zip(found, digests, strict=True))
    put(_list(folder), json.dumps({"title": title, "files": listed}).encode())


def problem(folder: Path) -> str:
    """Return what is wrong with a generated data set; "" where it is whole, or not there."""
    if not folder.is_dir():
        return ""
    try:
        listed = json.loads(_list(folder).read_bytes())["files"]
        missing = next((name for name in listed if not (folder / name).is_file()), None)
        names = list(listed)
        wrong = missing is None and list(listed.values()) != image_digests([folder / name for name in names])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"the list of its files, {_list(folder).name}, is missing or damaged"
    if missing is not None:
        return f"{missing} is missing"
    return f"{_first_wrong(folder, listed)} is not as it was written" if wrong else ""


@contextmanager
def distrusted() -> Iterator[None]:
    """Set generated data aside that an error within names a file of, and say that it can be made again.

    Its files are looked at when it is opened, those whose size and times are as remembered not again: what has changed
    below them shows when they are read.

    Raises:
        KpError: the error, with what to do.
    """
    try:
        yield
    except KpError as error:
        folder = _named(str(error))
        if folder is None:
            raise
        set_aside(folder)
        what = str(error).rpartition("; ")[0] or str(error)
        raise KpError(f"{what}; it is sample data, which is made again when this is run again") from error


def _named(text: str) -> Path | None:
    """Return the folder of generated data of which a text names a file."""
    folder = cache_dir() / KIND
    found = re.search(f"{re.escape(str(folder))}{re.escape(os.sep)}([0-9a-f]{{64}}){re.escape(os.sep)}", text)
    return folder / found[1] if found else None


def _first_wrong(folder: Path, listed: dict[str, str]) -> str:
    return next(name for name, digest in listed.items() if image_digests([folder / name]) != [digest])


def _list(folder: Path) -> Path:
    return folder.with_suffix(".json")


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
