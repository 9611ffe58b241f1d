"""Getting a data set: what is missing is downloaded and checked, then unpacked and put in its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kpcore.errors import KpError, system_error
from kpcore.fetching.download import Patience, download
from kpcore.fetching.kept import Kept, State, clear, digest, key
from kpcore.fetching.names import ArchiveError
from kpcore.fetching.space import require
from kpcore.fetching.told import Told
from kpcore.fetching.unpack import place, unpack
from kpcore.fetching.wanted import Wanted


@dataclass(frozen=True)
class Fetched:
    """What became of a file.

    Args:
        name: the download's.
        source: where it is from.
        sha256: of it.
        new: whether it was placed just now; else it was there.
        places: where what it holds lies.
    """

    name: str
    source: str
    sha256: str
    new: bool
    places: tuple[str, ...]


def missing(wanted: Sequence[Wanted], root: Path) -> list[Wanted]:
    """Return the files that are not in their places yet.

    Raises:
        KpError: something else lies in one of their places, or they are from a file with another SHA-256.
    """
    kept = Kept(root)
    left = [one for one in wanted if not _placed(one, kept)]
    for one in wanted:
        if one not in left and one.sha256 not in ("", kept.state(one.name).sha256):
            raise KpError(
                f"{root}: {one.name} lies there from a file with SHA-256 {kept.state(one.name).sha256}, not"
                f" {one.sha256}; delete {', '.join(one.download.places.values())} to get the other one"
            )
    return left


def _placed(wanted: Wanted, kept: Kept) -> bool:
    there = [kept.root / place for place in wanted.download.places.values() if os.path.lexists(kept.root / place)]
    state = kept.state(wanted.name)
    if state.placed or state.unpacked:
        return state.placed and not state.unpacked and len(there) == len(wanted.download.places)
    if there:
        raise KpError(
            f"{there[0]}: is there already, and is not from 'kp data fetch'; move it away, name another folder with"
            f" --to, or leave {wanted.name} out by naming the others with --only"
        )
    return False


def fetch(wanted: Sequence[Wanted], root: Path, patience: Patience, told: Told) -> list[Fetched]:
    """Get files into a data set's root; what an earlier, killed one got is used.

    Args:
        wanted: the files; those that make the data readable last.
        root: where to.
        patience: with the servers.
        told: what is done.

    Raises:
        KpError: a server, a checksum, an archive, the disk or another fetch prevents it. What is there is kept.
    """
    kept = Kept(root)
    try:
        with kept.locked(told.say):
            todo = missing(wanted, root)
            names = {one.name for one in todo}
            for one in wanted:
                if one.name not in names:
                    kept.forget(one.name)  # a kill may have left it
            _get(todo, kept, patience, told)
            return [_fetched(one, kept, one.name in names) for one in wanted]
    except OSError as error:
        raise KpError(system_error(error, root)) from error


def _get(todo: Sequence[Wanted], kept: Kept, patience: Patience, told: Told) -> None:
    """Download all, then place all: one that cannot be had is told before the others take room and time."""
    _require(todo, kept)
    for one in todo:
        if not kept.state(one.name).unpacked:
            _obtain(one, kept, patience, told)
    for one in todo:
        _place(one, kept, told)


def _fetched(wanted: Wanted, kept: Kept, new: bool) -> Fetched:
    places = tuple(str(kept.root / place) for place in wanted.download.places.values())
    return Fetched(wanted.name, wanted.source, kept.state(wanted.name).sha256, new, places)


def _require(todo: Sequence[Wanted], kept: Kept) -> None:
    """Check that what is missing fits, downloaded and unpacked, as far as the plugin says how large it is."""
    loads = unpacked = 0
    for one in todo:
        if not kept.state(one.name).unpacked:
            here = [path.stat().st_size for path in (kept.part(one.name), kept.whole(one.name)) if path.exists()]
            declared = one.download.size if one.address == one.download.address else 0
            loads += max(0, declared - sum(here))
            unpacked += one.file.stat().st_size if one.file else declared
    require(kept.root, loads + unpacked, "what is still to be downloaded, and what it unpacks to")


def _obtain(wanted: Wanted, kept: Kept, patience: Patience, told: Told) -> None:
    """Have a file whole, and check it.

    Raises:
        KpError: its SHA-256 is not the one that it must have. It is kept, in case that was mistyped.
    """
    source = wanted.file or kept.whole(wanted.name)
    expected = wanted.sha256 or kept.state(wanted.name).sha256 or wanted.download.sha256
    if wanted.file is None and source.exists() and not _usable(wanted, kept, expected, told):
        source.unlink()
    if not source.exists():
        download(wanted, kept, patience, told)
    with told.bar(f"{wanted.name}: checking") as step:
        found = digest(source, step)
    kept.write(wanted.name, replace(kept.state(wanted.name), found=found))
    if expected and found != expected:
        raise KpError(f"{source}: its SHA-256 is {found}, not {expected}, {_whose(wanted, kept)}")


def _usable(wanted: Wanted, kept: Kept, expected: str, told: Told) -> bool:
    """Whether an archive that an earlier fetch left can be the one that is wanted."""
    state = kept.state(wanted.name)
    if state.found and expected and state.found != expected:
        told.say(f"{wanted.name}: what is here has another SHA-256; downloading it anew")
        return False
    if state.address != key(wanted.address):
        told.say(f"{wanted.name}: what is here is from another address; downloading it anew")
        return False
    return True


def _whose(wanted: Wanted, kept: Kept) -> str:
    """Return who says which SHA-256 a file must have, and what to do."""
    otherwise = f"; if that file is right, say so with --sha256 {wanted.name}=HEX"
    if wanted.sha256:
        return "as --sha256 states it; the same command downloads it anew, one with the right sum goes on"
    if kept.state(wanted.name).sha256:
        return f"as at the first download; it has changed, or is damaged: the same command tries anew{otherwise}"
    return f"as its data set declares it; it is damaged or another: the same command tries anew{otherwise}"


def _place(wanted: Wanted, kept: Kept, told: Told) -> None:
    """Unpack a file and put what it holds in its places; afterwards only its state is left of it."""
    before = kept.state(wanted.name)
    if not before.unpacked:
        _unpack(wanted, kept, told)
        before = replace(before, unpacked=True, sha256=before.found)
        kept.write(wanted.name, before)
    place(kept.root, wanted.download, kept.unpacked(wanted.name), again=before.placed)
    whole = all(os.path.lexists(kept.root / path) for path in wanted.download.places.values())
    kept.write(wanted.name, State(sha256=before.sha256, placed=whole))
    kept.forget(wanted.name)
    if not whole:
        raise KpError(f"{kept.root}: what was unpacked of {wanted.name} is gone; run the command again")


def _unpack(wanted: Wanted, kept: Kept, told: Told) -> None:
    """Unpack a file into a folder of its own.

    Raises:
        KpError: it cannot be unpacked, and is deleted where it was downloaded: another download may be better.
    """
    folder, source = kept.unpacked(wanted.name), wanted.file or kept.whole(wanted.name)
    clear(folder)
    folder.mkdir()
    with told.bar(f"{wanted.name}: unpacking") as step:
        try:
            if wanted.download.archive:
                unpack(source, wanted.download, folder, step)
            else:
                shutil.copyfile(source, folder / "0")
        except ArchiveError as error:
            clear(folder)
            if wanted.file:
                raise
            kept.forget(wanted.name)
            raise KpError(f"{error}; it was deleted, the same command downloads it anew") from error
