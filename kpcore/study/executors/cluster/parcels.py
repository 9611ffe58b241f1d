"""Files of a job's folder on their way to another machine: as their bytes by name, put in their places whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from kpcore.errors import KpError
from kpcore.placing import put
from kpcore.records.folder import ABOUT, CHECKPOINT, ERROR, HISTORY, LOG, MANIFEST, JobFolder, Manifest

Parcel = dict[str, bytes]
"""Name of a file -> its content."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""Of a file in a job's folder: none is in a folder below, none is hidden, none leads elsewhere."""


def pack(folder: JobFolder) -> Parcel:
    """Return all files of a job that is done; raises KpError where it is not."""
    try:
        manifest = Manifest.model_validate_json((folder.path / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        raise KpError(f"{folder.path}: the job is not done there") from None
    return dict(_read(folder.path, [*manifest.files, MANIFEST, LOG]))


def pack_checkpoint(folder: JobFolder, name: str) -> Parcel:
    """Return a checkpoint and what can be looked at while the job runs; empty where a newer one has its place."""
    found = dict(_read(folder.path, [name, ABOUT, HISTORY]))
    return found if name in found else {}


def pack_failure(folder: JobFolder) -> Parcel:
    """Return what a job that failed left to be read."""
    return dict(_read(folder.path, [ABOUT, ERROR, LOG]))


def newest_checkpoint(folder: JobFolder) -> str:
    """Return the name of the newest checkpoint, as the names say; "" where there is none."""
    names = [path.name for path in folder.path.glob("checkpoint-*")]
    return max((name for name in names if CHECKPOINT.fullmatch(name)), default="")  # digits are of one length


def _read(place: Path, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        with suppress(FileNotFoundError):  # the training may go on, and a newer checkpoint take the place of this one
            yield name, (place / name).read_bytes()


def unpack(parcel: Mapping[str, bytes], folder: JobFolder) -> None:
    """Put files in a job's folder, its manifest last; of checkpoints the newest and the one before it stay.

    Raises:
        KpError: a name that no file of a job has, or a checkpoint that is not as it was written; nothing is written.
        OSError: they cannot be written.
    """
    for name, content in parcel.items():
        check(name, content)
    folder.path.mkdir(parents=True, exist_ok=True)
    before = newest_checkpoint(folder)
    for name in sorted(parcel, key=lambda name: name == MANIFEST):
        put(folder.path / name, parcel[name], durable=True)
    if MANIFEST in parcel:
        folder.drop_checkpoints()
    elif any(CHECKPOINT.fullmatch(name) for name in parcel):
        folder.drop_checkpoints(
            keep=(folder.path / before if before else None, folder.path / newest_checkpoint(folder))
        )


def check(name: str, content: bytes) -> None:
    """Refuse a file that has no place in a job's folder; raises KpError."""
    if not NAME.fullmatch(name):
        raise KpError(f"{name!r}: no file of a job has such a name; it is not taken")
    found = CHECKPOINT.fullmatch(name)
    if name.startswith("checkpoint-") and (found is None or hashlib.sha256(content).hexdigest()[:32] != found[3]):
        raise KpError(f"{name}: the checkpoint did not arrive as it was written")
