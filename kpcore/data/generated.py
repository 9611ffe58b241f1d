"""A generated data set in the cache: a file beside its folder lists every file with its digest."""

from __future__ import annotations

import json
from pathlib import Path

from kpcore.cache import replace_file
from kpcore.data.fingerprint import image_digests


def seal(folder: Path, files: Path, title: str) -> None:
    """Write down what lies in ``files``, which is to become ``folder``."""
    found = _files(files)
    digests = image_digests([files / name for name in found])
    listed = dict(zip(found, digests, strict=True))
    replace_file(_list(folder), json.dumps({"title": title, "files": listed}).encode())


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


def _first_wrong(folder: Path, listed: dict[str, str]) -> str:
    return next(name for name, digest in listed.items() if image_digests([folder / name]) != [digest])


def _list(folder: Path) -> Path:
    return folder.with_suffix(".json")


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
