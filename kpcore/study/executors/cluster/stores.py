"""Prepared crops on their way to machines that do not see this one's cache: each store once to each, in pieces."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kpcore.cache import cache_dir, file_digest
from kpcore.errors import KpError
from kpcore.locks import locked
from kpcore.placing import beside, flush, put
from kpcore.study.executors.cluster.nodes import CACHE

PIECE = 32 << 20
"""Bytes that are under way at once."""
STORE = re.compile(r"[0-9a-f]{64}\.h5")


class Keeper:
    """Takes stores on the machine that needs them.

    Args:
        cache: of that machine.
    """

    def __init__(self, cache: str) -> None:
        os.environ[CACHE] = cache
        self._partial: Path | None = None

    def lacking(self, names: Sequence[str]) -> list[str]:
        """Return those of these stores that are not here."""
        return [name for name in names if not _place(name).exists()]

    def take(self, name: str, piece: bytes) -> None:
        """Take the next piece of a store; raises OSError where there is no room."""
        if self._partial is None:
            _place(name).parent.mkdir(parents=True, exist_ok=True)
            self._partial = beside(_place(name))
        with self._partial.open("ab") as file:
            file.write(piece)

    def finish(self, name: str, digest: str, title: bytes) -> None:
        """Put a store in its place, unless somebody was quicker.

        Raises:
            KpError: it is not what was sent.
        """
        partial, self._partial = self._partial, None
        if partial is None:
            raise KpError(f"{name}: nothing of it has arrived")
        try:
            if file_digest(partial) != digest:
                raise KpError(f"{name}: the prepared crops did not arrive as they were sent")
            flush(partial)
            with locked(_place(name).with_suffix(".lock"), waiting=lambda _: None):
                if not _place(name).exists():
                    put(_place(name).with_suffix(".json"), title)
                    partial.replace(_place(name))
        finally:
            partial.unlink(missing_ok=True)


def _place(name: str) -> Path:
    """Return where a store lies; raises KpError for a name that none has."""
    if not STORE.fullmatch(name):
        raise KpError(f"{name!r}: no store has such a name; it is not taken")
    return cache_dir() / "stores" / name


def send(ray: Any, path: Path, keeper: Any) -> None:
    """Send a store to a machine.

    Raises:
        RayError: it cannot take it.
        OSError: the store cannot be read.
    """
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
        ray.get(keeper.take.remote(path.name, piece))
    title = path.with_suffix(".json")
    about = title.read_bytes() if title.exists() else b"{}"
    ray.get(keeper.finish.remote(path.name, digest.hexdigest(), about))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
