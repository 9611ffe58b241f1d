"""Folders with files of COCO's format in other places: the options with which they may be read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kpcore.interfaces import Near

HEAD = 2**20
"""Bytes of a file that are looked at."""
KEYS = (b'"images"', b'"annotations"', b'"categories"', b'"licenses"', b'"info"')
FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
MOST_FOLDERS = 500
SHARE = 0.2
"""Of the images, held out where there is one file."""


def near(root: Path) -> Near | None:
    """Return options for the files of this format that are there; None where there is none."""
    files = [path for path in _json(root) if _is_coco(path)]
    if not files:
        return None
    train = next((path for path in files if "train" in path.name.lower()), files[0])
    valid = next((path for path in files if "val" in path.name.lower() and path != train), None)
    options: dict[str, Any] = {
        "train_annotations": train.relative_to(root).as_posix(),
        "train_images": _images(root, train),
    }
    if valid is None:
        options["held_out"] = SHARE
    else:
        options |= {"valid_annotations": valid.relative_to(root).as_posix(), "valid_images": _images(root, valid)}
    missing = f"annotations/person_keypoints_train2017.json, COCO's own place; {options['train_annotations']} is there"
    return Near(0.9, missing, options)


def _json(root: Path) -> list[Path]:
    found = [path for pattern in ("*.json", "*/*.json") for path in root.glob(pattern)]
    return sorted(path for path in found if path.is_file())


def _is_coco(path: Path) -> bool:
    """Whether a file begins as one of this format does."""
    head = _head(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head[:1] == b"{" and any(key in head for key in KEYS[:3]) and (b'"file_name"' in head or b'"bbox"' in head)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def _images(root: Path, annotations: Path) -> str:
    """Return the folder in which the first image is; that of the file where none has it."""
    found = FILE_NAME.search(_head(annotations))
    name = (
        "" if found is None else found[1].decode(errors="replace").strip('"').replace("\\\\", "/").replace("\\/", "/")
    )
    if name and "\0" not in name and len(name) < 500:
        for folder in _folders(root):
            if (folder / name).is_file():
                return folder.relative_to(root).as_posix()
    return annotations.parent.relative_to(root).as_posix()


def _folders(root: Path) -> Iterator[Path]:
    """Yield the root and folders below it."""
    for count, (parent, folders, _) in enumerate(os.walk(root)):
        if count >= MOST_FOLDERS:
            return
        folders.sort()
        yield Path(parent)
