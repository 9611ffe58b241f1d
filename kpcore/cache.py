"""The cache folder: stores, jobs and generated data, each found by its content key."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from kpcore.errors import KpError

KINDS = ("jobs", "stores", "generated", "digests")
"""Folders of the cache."""


def cache_dir() -> Path:
    """Return ``KP_CACHE_DIR``, else the platform's user cache folder for kptransfer."""
    configured = os.environ.get("KP_CACHE_DIR")
    return Path(configured).expanduser() if configured else user_cache_path("kptransfer")


def content_key(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form, as 64 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hex digits; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digest(path: Path) -> str:
    """Return a file's digest as :func:`file_digest` does, but have a process read an unchanged file only once."""
    about = path.stat()
    return _known_digest(path, (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns))


@lru_cache(maxsize=16384)
def _known_digest(path: Path, state: tuple[int, ...]) -> str:
    del state  # only there to have a changed file read again
    return file_digest(path)


def set_aside(path: Path) -> Path:
    """Give a damaged file or folder another name, beside it, and return that; an older one of that name goes."""
    aside = path.with_name(f"{path.name}.damaged")
    if path.exists():  # another process may have been quicker
        _delete(aside)
        with suppress(FileNotFoundError):
            path.rename(aside)
    return aside


@dataclass(frozen=True)
class Entry:
    """One thing in the cache.

    Args:
        kind: ``jobs``, ``stores`` or ``generated``.
        key: content key.
        title: what it is, for people.
        paths: its files and folders, all of them directly in the kind's folder.
        size: bytes.
        modified: time of its newest change, seconds since 1970.
    """

    kind: str
    key: str
    title: str
    paths: tuple[Path, ...]
    size: int
    modified: float

    @property
    def damaged(self) -> tuple[Path, ...]:
        """Those of its paths that were set aside, because they were damaged."""
        return tuple(path for path in self.paths if path.name.endswith(".damaged"))

    @property
    def age(self) -> float:
        """Days since its newest change."""
        return max(0.0, time.time() - self.modified) / 86400


def entries(kinds: Sequence[str] = KINDS) -> list[Entry]:
    """Return what the cache holds, by kind, the oldest first. Links are not followed."""
    return [entry for kind in kinds for entry in sorted(_entries(kind), key=lambda entry: entry.modified)]


def _entries(kind: str) -> Iterator[Entry]:
    folder = cache_dir() / kind
    if folder.is_symlink() or not folder.is_dir():
        return
    by_key: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        by_key.setdefault(path.name.partition(".")[0], []).append(path)
    for key, paths in by_key.items():
        about = folder / key / "job.json" if kind == "jobs" else folder / f"{key}.json"
        stats = [item.lstat() for path in paths for item in (path, *_below(path))]
        size, modified = sum(stat.st_size for stat in stats), max(stat.st_mtime for stat in stats)
        yield Entry(kind, key, _title(about), tuple(paths), size, modified)


def _below(path: Path) -> Iterator[Path]:
    if path.is_symlink() or not path.is_dir():
        return
    for folder, folders, files in os.walk(path, followlinks=False):
        yield from (Path(folder) / name for name in (*folders, *files))


def _title(path: Path) -> str:
    """Return the ``title`` of the small JSON file beside an entry; "" where there is none."""
    try:
        about = json.loads(path.read_text())
    except (
        OSError,
        ValueError,
        RecursionError,
    ):  # it only informs: an entry without it can still be listed and removed
        return ""
    return str(about.get("title", "")) if isinstance(about, dict) else ""


def remove(entry: Entry) -> bool:
    """Remove an entry, without following links; False where somebody is using it, which keeps it.

    Raises:
        KpError: an entry that does not lie in the cache, or that cannot be removed.
    """
    folder = cache_dir() / entry.kind
    if entry.kind not in KINDS or any(path.parent != folder for path in entry.paths):
        raise KpError(f"{entry.kind}/{entry.key}: does not lie in the cache {cache_dir()}; it is left alone")
    lock = folder / entry.key / ".lock" if entry.kind == "jobs" else folder / f"{entry.key}.lock"
    try:
        with FileLock(lock, timeout=0) if lock.is_file() and not lock.is_symlink() else nullcontext():
            for path in entry.paths:
                _delete(path)
    except Timeout:
        return False
    except OSError as error:
        raise KpError(f"{error.filename or folder / entry.key}: cannot be removed: {error.strerror}") from None
    return True


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
