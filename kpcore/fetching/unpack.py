"""Unpacking into a folder of its own, and placing what was unpacked in one step each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kpcore.errors import KpError, listed
from kpcore.fetching.archives import opened
from kpcore.fetching.entries import Archive, Entry, Limits, damaged
from kpcore.fetching.kept import CHUNK
from kpcore.fetching.names import ArchiveError
from kpcore.fetching.space import require
from kpcore.fetching.told import Step
from kpcore.interfaces import Download

TOP = 10
"""Names of an archive that an error lists."""


def unpack(path: Path, download: Download, folder: Path, step: Step) -> None:
    """Unpack what a data set takes of an archive: its n-th place becomes the file or folder ``n``.

    Args:
        path: of the archive.
        download: what it is.
        folder: empty; nothing is written elsewhere.
        step: told how far it is.

    Raises:
        ArchiveError: the archive is damaged or breaks a rule (:func:`opened`), or lacks one of the places.
        KpError: the disk is too small.
        OSError: nothing can be written.
    """
    insides = {inside: str(number) for number, inside in enumerate(download.places)}
    top: dict[str, None] = {}
    with opened(path, Limits(download.unpacked, download.entries)) as archive:
        require(folder, archive.total, f"what is in {path.name}")
        written = 0
        for entry in archive.entries():
            top[entry.name.partition("/")[0]] = None
            where = _taken(entry.name, insides)
            if where is not None:
                written += _write(folder / where, entry, archive, path)
            step(*archive.done(written))
    for inside, where in insides.items():
        if not os.path.lexists(folder / where):
            raise ArchiveError(f"{path}: holds no {inside!r}; it holds {listed(top, TOP)}; is it another file?")


def _taken(name: str, insides: Mapping[str, str]) -> str | None:
    """Return where an entry is unpacked to; None where it is left out."""
    for inside, where in insides.items():
        if not inside:
            return f"{where}/{name}"
        if name == inside or name.startswith(f"{inside}/"):
            return where + name[len(inside) :]
    return None


def _write(target: Path, entry: Entry, archive: Archive, path: Path) -> int:
    """Write one entry, and no more of it than its header states; return its bytes."""
    if entry.folder:
        target.mkdir(parents=True, exist_ok=True)
        return 0
    if not archive.total:  # of a tar file nothing was known before
        require(target.parent, entry.size, f"what is in {path.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with entry.open() as source, target.open("xb") as file:
        while data := source.read(CHUNK):
            done += len(data)
            if done > entry.size:
                break
            file.write(data)
    if done != entry.size:
        raise damaged(path, f"{entry.name[-120:]!a} is not the {entry.size:,} bytes that its header states")
    return done


def place(root: Path, download: Download, folder: Path, *, again: bool) -> None:
    """Move what was unpacked to its places, which were free; what was moved before a kill is passed over.

    Args:
        root: of the data set.
        download: what was unpacked.
        folder: where to.
        again: whether it had been placed before, and only some of it is missing: what is there stays.

    Raises:
        KpError: a place is taken.
        OSError: it cannot be moved.
    """
    for number, target in enumerate(root / place for place in download.places.values()):
        source = folder / str(number)
        if not os.path.lexists(source) or (again and os.path.lexists(target)):
            continue
        if os.path.lexists(target):
            raise KpError(f"{target}: is there already; move it away and run the command again")
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
