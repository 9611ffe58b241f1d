"""What a data set's folder keeps of its downloads: parts, archives, checksums, and how far each file is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from kpcore.errors import KpError, system_error
from kpcore.fetching.told import Step
from kpcore.fetching.wanted import OWN
from kpcore.locks import BusyError, LocklessError, locked
from kpcore.placing import put

CHUNK = 2**20
"""Bytes that are read or written at once."""
LARGEST = 2**16
"""Bytes of a file's state, at most."""


@dataclass(frozen=True)
class State:
    """How far a file is.

    Args:
        address: SHA-256 of the address that the part or the archive is from.
        etag: as the server named that version of it.
        modified: as the server dated it.
        size: bytes of the whole file, as the server stated; 0 where it did not.
        found: SHA-256 of the archive that lies here.
        sha256: that of the file that was checked and placed first; what is downloaded later must have it.
        unpacked: whether all that the data set takes of the archive is unpacked.
        placed: whether it lies in its place.
    """

    address: str = ""
    etag: str = ""
    modified: str = ""
    size: int = 0
    found: str = ""
    sha256: str = ""
    unpacked: bool = False
    placed: bool = False


class Kept:
    """The folder ``.kp-fetch`` below a data set's root.

    Args:
        root: of the data set; it is made where it is not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / OWN

    def part(self, name: str) -> Path:
        """Return where a file is downloaded to."""
        return self.folder / f"{name}.part"

    def whole(self, name: str) -> Path:
        """Return where a file lies when it is all there."""
        return self.folder / f"{name}.whole"

    def unpacked(self, name: str) -> Path:
        """Return the folder that an archive is unpacked in; its n-th place is what is called n there."""
        return self.folder / f"{name}.unpacked"

    def state(self, name: str) -> State:
        """Return how far a file is.

        Raises:
            KpError: what is written about it cannot be read.
        """
        path = self._state(name)
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError("too large")
            given = json.loads(path.read_bytes())
            state = State(**given)
            if any(type(getattr(state, one.name)) is not type(one.default) for one in fields(State)):
                raise ValueError("a value of another type")
        except FileNotFoundError:
            return State()
        except (ValueError, TypeError, RecursionError) as error:
            raise KpError(f"{path}: is damaged ({' '.join(str(error).split())[:100]}); delete it") from error
        return state

    def write(self, name: str, state: State) -> None:
        """Write down how far a file is; raises OSError where that fails."""
        put(self._state(name), json.dumps(asdict(state), indent=1).encode())

    def forget(self, name: str) -> None:
        """Delete what was downloaded and unpacked of a file."""
        for path in (self.part(name), self.whole(name)):
            path.unlink(missing_ok=True)
        clear(self.unpacked(name))

    def _state(self, name: str) -> Path:
        return self.folder / f"{name}.state"

    @contextmanager
    def locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """Make the folder, and keep other downloads out of it; ``say`` is told where the file system cannot do that.

        Raises:
            KpError: another one is at work; the folder cannot be made, or is a link.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KpError(system_error(error, self.folder)) from error
        if self.folder.is_symlink():
            raise KpError(f"{self.folder}: is a link; delete it")
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.folder / "lock"))
            except BusyError as busy:
                other = f"another 'kp data fetch' ({busy}) is at work there"
                raise KpError(f"{self.root}: {other}; wait until it has ended") from None
            except LocklessError:
                say(f"{self.root}: its file system has no locks; let no other 'kp data fetch' work there")
            except OSError as error:
                raise KpError(system_error(error, self.folder)) from error
            yield


def clear(folder: Path) -> None:
    """Delete a folder and all in it, if it is there."""
    if os.path.lexists(folder):
        shutil.rmtree(folder)


def digest(path: Path, step: Step) -> str:
    """Return a file's SHA-256 as 64 hex digits; ``step`` is told how far it is."""
    found, total, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            found.update(data)
            done += len(data)
            step(done, total)
    return found.hexdigest()


def key(address: str) -> str:
    """Return what stands for an address where a part is kept; the address itself may hold a secret."""
    return hashlib.sha256(address.encode()).hexdigest()
