"""The files that tasks mean: an export names pictures as its server has them, not as they lie on disk."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote

from kpcore.errors import KpError, nearest

PICTURES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


class Pictures:
    """The pictures below a folder, found by what a task calls them.

    A task names ``/data/upload/3/1a2b3c4d-cat.jpg``, ``/data/local-files/?d=cats/cat.jpg``, ``s3://bucket/cats/cat.jpg``
    or a URL. The picture is the file of that base name, with the upload's prefix or without it; of several the one
    whose folders agree best.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._named: dict[str, list[tuple[str, ...]]] = {}
        self._folded: dict[str, list[tuple[str, ...]]] = {}
        for parts in sorted(_pictures(root)):
            self._named.setdefault(_form(parts[-1]), []).append(parts)
            self._folded.setdefault(_form(parts[-1]).casefold(), []).append(parts)

    def find(self, reference: str) -> str | tuple[str, ...]:
        """Return the picture's path below the folder, with forward slashes; or all that it may be, none or several."""
        parts = tuple(_form(part) for part in parts_of(reference))
        names = (parts[-1], UPLOADED.sub("", parts[-1]))
        exact = (self._named.get(name) for name in names)
        found = next(filter(None, (*exact, *(self._folded.get(name.casefold()) for name in names))), None)
        if not found:
            return ()
        agreed = [_agreed(parts[:-1], one[:-1]) for one in found]
        best = [one for one, many in zip(found, agreed, strict=True) if many == max(agreed)]
        paths = tuple("/".join(one) for one in best)
        return paths[0] if len(paths) == 1 else paths

    def near(self, reference: str) -> str:
        """Return a hint at the most similar name; "" where nothing is similar."""
        found = nearest(_form(parts_of(reference)[-1]), self._named)
        return f" (similar: {found})" if found else ""


def respelled(reference: str, found: str) -> bool:
    """Whether a picture was found by a name that differs in upper and lower case."""
    name, there = _form(parts_of(reference)[-1]), _form(found.rpartition("/")[2])
    return there not in (name, UPLOADED.sub("", name))


def parts_of(reference: str) -> tuple[str, ...]:
    """Return the folders and the name that a task's text ends in; a name of "" where it has none."""
    plain = reference.strip().replace("\\", "/")
    path = unquote(plain.partition("?")[0].partition("://")[2] or plain.partition("?")[0])
    if "://" in plain:  # the host, or the bucket, is no folder
        path = path.partition("/")[2]
    if "local-files" in plain and (given := parse_qs(plain.partition("?")[2]).get("d")):
        path = given[0]
    return tuple(part for part in path.split("/") if part not in ("", ".", "..")) or ("",)


def reference_of(data: Mapping[str, str], field: str | None, where: str) -> str:
    """Return the text of a task that names its picture: that of the field, else of ``image``, else the only picture.

    Raises:
        KpError: there is none, or nothing tells which of several.
    """
    if field is not None:
        if field not in data:
            raise KpError(f"{where}, data: no text '{field}' ({', '.join(data) or 'none'} exist); mend dataset.field")
        return data[field]
    if "image" in data:
        return data["image"]
    found = [key for key, text in data.items() if Path(parts_of(text)[-1]).suffix.lower() in PICTURES]
    if len(found) != 1:
        what = f"several texts name pictures ({', '.join(found)})" if found else "no text names a picture"
        raise KpError(f"{where}, data: {what}; dataset.field says which ({', '.join(data) or 'none'} exist)")
    return data[found[0]]


def _agreed(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many folders agree, counted from the file upwards."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != _form(b):
            break
        count += 1
    return count


def _form(name: str) -> str:
    """Return a name in Unicode's composed form: macOS decomposes letters with accents."""
    return unicodedata.normalize("NFC", name)


def _pictures(root: Path) -> Iterator[tuple[str, ...]]:
    for parent, _, names in os.walk(root):
        folders = Path(parent).relative_to(root).parts
        yield from ((*folders, name) for name in names if Path(name).suffix.lower() in PICTURES)
