"""The folder that ``kp predict`` writes to: nothing of anybody else's is lost in it.

What is in the way is refused before anything is predicted. A run writes into a hidden folder below it, and all takes
its place when all is whole. The folder's own record, ``predicted.json``, has the digest of every file that was written:
only what is still as it says may be replaced.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kpcore.cache import file_digest
from kpcore.errors import KpError
from kpcore.interrupts import held
from kpcore.placing import beside_folder, elsewhere, put, sweep
from kpcore.reading.opening import parsed_json, read_bytes

RECORD = "predicted.json"
FORMAT = "kptransfer predicted 1"
LARGEST = 2**28
"""Bytes of a record, at most."""
ELSEWHERE = "name another folder by --out"
AGAIN = f"{ELSEWHERE}, or say --overwrite to replace what 'kp predict' wrote"


@dataclass(frozen=True)
class Target:
    """Where predictions are written; :func:`target_of` makes one.

    Args:
        folder: of all.
        places: what is written below it: files, and folders, which have no ending.
        overwrite: replace what an earlier run wrote and nobody has changed.
    """

    folder: Path
    places: tuple[str, ...]
    overwrite: bool = False


def target_of(folder: Path, places: Sequence[str], inputs: Iterable[Path], *, overwrite: bool = False) -> Target:
    """Return where predictions are written, once nothing is in the way of them.

    Args:
        folder: that the user names.
        places: what is written below it.
        inputs: files that are read.
        overwrite: replace what an earlier run wrote and nobody has changed.

    Raises:
        KpError: an input lies where something is written, or a file or folder is there that may not be replaced.
    """
    if folder.is_symlink() and not folder.exists():
        raise KpError(f"--out {folder}: is a link that leads nowhere; remove it, or {ELSEWHERE}")
    if folder.exists() and not folder.is_dir():
        raise KpError(f"{folder}: a file is in the way of the folder of what is written; {ELSEWHERE}")
    target = Target(folder, tuple(places), overwrite)
    _refuse_inputs(target, inputs)
    for place in target.places:
        _refuse(target, place, recorded(folder))
    return target


def _refuse_inputs(target: Target, inputs: Iterable[Path]) -> None:
    """Refuse what would lie where an input lies, whoever wrote that."""
    taken = {os.path.realpath(target.folder / place): place for place in target.places if _there(target, place)}
    if not taken:
        return
    for path in inputs:
        real = os.path.realpath(path)
        for place, name in taken.items():
            if real == place or real.startswith(place + os.sep):
                raise KpError(
                    f"--out {target.folder}: would write to {target.folder / name}, where {path} lies, which is read;"
                    f" {ELSEWHERE}"
                )


def _there(target: Target, place: str) -> bool:
    return os.path.lexists(target.folder / place)


def _refuse(target: Target, place: str, known: dict[str, str]) -> None:
    """Refuse to write where something lies that is not ours, or that nobody allowed to be replaced."""
    path = target.folder / place
    if not path.is_symlink() and path.exists() and path.is_dir() == bool(PurePosixPath(place).suffix):
        kinds = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise KpError(f"{path}: a {kinds[0]} is in the way of a {kinds[1]} of that name; remove it, or {ELSEWHERE}")
    found = list(below(target.folder, place))
    others = [name for name in found if not _ours(target.folder / name, known.get(name))]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise KpError(
            f"{target.folder / others[0]}{more}: is in the way and not, or no longer, what 'kp predict' wrote there;"
            f" it is never replaced: move it, or {ELSEWHERE}"
        )
    if found and not target.overwrite:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise KpError(f"{target.folder / found[0]}{more}: is there already; {AGAIN}")


def _ours(path: Path, digest: str | None) -> bool:
    """Whether a file is one that we wrote, unchanged; a link never is."""
    return digest is not None and not path.is_symlink() and path.is_file() and file_digest(path) == digest


def below(folder: Path, place: str) -> Iterator[str]:
    """Yield all that is no folder at a place of a folder or below it, by its path there; links are not followed."""
    path = folder / place
    if path.is_symlink() or not path.is_dir():
        if os.path.lexists(path):
            yield place
        return
    for where, folders, files in os.walk(path):
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield (Path(where) / name).relative_to(folder).as_posix()


# ------------------------------------------------------------------------------------------------- the record


def recorded(folder: Path) -> dict[str, str]:
    """Return what an earlier run says that it wrote to a folder: path in it -> SHA-256; nothing where there was none.

    Raises:
        KpError: the record is none.
    """
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        found: Any = parsed_json(read_bytes(path, "the record of a prediction", LARGEST))
        files = found["files"] if found["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError):
        files = None
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise KpError(f"{path}: is no record of 'kp predict' ('format' is not '{FORMAT}'); move it, or {ELSEWHERE}")
    return files


def drawn_below(folder: Path) -> set[Path]:
    """Return the files below a folder that earlier runs say that they wrote."""
    found: set[Path] = set()
    for record in folder.rglob(RECORD):
        with suppress(KpError):  # somebody else's file of that name
            found.update(record.parent / name for name in recorded(record.parent))
    return found


# ------------------------------------------------------------------------------------------------ being written


@contextmanager
def staging(target: Target) -> Iterator[Path]:
    """Give the hidden folder that a run writes into; what is left in it goes, however the block ends.

    What killed runs left in the folder goes too.

    Raises:
        KpError: as :func:`settle`.
        OSError: a folder cannot be made; a file's path is that of its place.
    """
    new = not target.folder.exists()
    target.folder.mkdir(parents=True, exist_ok=True)
    sweep(target.folder)
    stage = beside_folder(target.folder / "predict")
    try:
        yield stage
    except OSError as error:
        raise elsewhere(error, stage, target.folder) from None
    except KpError as error:  # of a writer that knows no other name of its file
        if str(stage) in str(error):
            raise KpError(str(error).replace(str(stage), str(target.folder)), error.more) from None
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if new:
            with suppress(OSError):  # it holds something
                target.folder.rmdir()


def settle(stage: Path, target: Target) -> None:
    """Put all that a run has written in its place, and write it down; leftovers of what it replaces go.

    Raises:
        KpError: something has come in the way since; what was written lies in a folder that the message names.
        OSError: the disk is full, or the folder cannot be written.
    """
    tops = sorted(path.name for path in stage.iterdir())
    files = {name: file_digest(stage / name) for top in tops for name in below(stage, top)}
    known = recorded(target.folder)
    try:
        for top in tops:
            _refuse(replace(target, places=tuple(tops)), top, known)
    except KpError as error:
        kept = stage.rename(target.folder / stage.name.strip(".").removesuffix(".partial"))
        raise KpError(f"{error}; what this run wrote lies in {kept}") from None
    old = {name for top in tops for name in below(target.folder, top)}
    rest = {name: digest for name, digest in known.items() if name not in old}
    with held():
        for name in old - set(files):
            (target.folder / name).unlink()
        for top in tops:
            _move(stage / top, target.folder / top)
            _prune(target.folder / top)
        text = json.dumps({"format": FORMAT, "files": {**rest, **files}}, indent=1)
        put(target.folder / RECORD, text.encode() + b"\n")


def _move(source: Path, path: Path) -> None:
    """Move a file or folder to its place; of a folder that is there, file by file."""
    if not source.is_dir():
        source.replace(path)
        return
    path.mkdir(exist_ok=True)
    for one in sorted(source.iterdir()):
        _move(one, path / one.name)


def _prune(path: Path) -> None:
    """Remove the empty folders below one."""
    for where, folders, _ in os.walk(path, topdown=False):
        for name in folders:
            with suppress(OSError):  # it holds something
                (Path(where) / name).rmdir()
