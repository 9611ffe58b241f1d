"""Matlab's .mat files up to version 7.2, read by scipy."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from scipy.io import loadmat

from kpcore.errors import KpError
from kpcore.reading import hdf5
from kpcore.reading.opening import guarded

HEADER = 128
"""Bytes before the first variable of a file of version 5 to 7.2; the last two tell the order of bytes."""
COMPRESSED = 15
"""Type of a compressed variable."""
PEEK = 256
"""Compressed bytes that hold a variable's tag."""
PIECE = 2**20
"""Bytes that are unpacked at once."""
PROBE = "import sys; from scipy.io import loadmat; loadmat(sys.argv[1], appendmat=False)"


def load(path: Path, kind: str) -> dict[str, Any]:
    """Read a .mat file's variables.

    Args:
        path: the file.
        kind: what it should be, for errors.

    Raises:
        KpError: the file is missing or damaged.
    """
    with guarded(path, kind):
        check_sizes(path)
        if not survivable(path):
            raise KpError(f"{path}: is damaged so badly that reading it crashes; download or write it again")
        return dict(loadmat(path, appendmat=False))


def check_sizes(path: Path) -> None:
    """Refuse a file whose variables declare far more bytes than they store, from their headers alone.

    Raises:
        KpError: it does.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEADER)
        order = {b"IM": "<", b"MI": ">"}.get(head[-2:])
        while order and len(tag := file.read(8)) == 8:
            kind, stored = struct.unpack(f"{order}II", tag)
            here = file.tell()
            if kind == COMPRESSED:
                stored = min(stored, size)
                hdf5.fair(_declared(file.read(min(stored, PEEK)), order), stored, "a variable", path)
                file.seek(here)
                hdf5.fair(_unpacked(file, stored), stored, "a variable", path)
            file.seek(here + stored)


def _declared(packed: bytes, order: str) -> int:
    """Return how many bytes a compressed variable declares; 0 where its beginning is damaged, which scipy tells."""
    try:
        tag = zlib.decompressobj().decompress(packed, 8)
    except zlib.error:
        return 0
    return int(struct.unpack(f"{order}I", tag[4:8])[0]) if len(tag) == 8 else 0


def _unpacked(file: IO[bytes], stored: int) -> int:
    """Return how many bytes so many stored ones unpack to, or more than is fair; they are counted, not kept.

    What a variable declares may be less than what it holds.
    """
    unpacker, unpacked, most = zlib.decompressobj(), 0, max(hdf5.SMALL, hdf5.MOST_UNPACKED * stored)
    with suppress(zlib.error):  # damage, which scipy tells
        while stored > 0 and unpacked <= most and (packed := file.read(min(stored, PIECE))):
            stored -= len(packed)
            while packed and unpacked <= most:
                unpacked += len(unpacker.decompress(packed, PIECE))
                packed = unpacker.unconsumed_tail
    return unpacked


def survivable(path: Path) -> bool:
    """Whether scipy comes back from this file, tried in a process of its own.

    A damaged type code in an uncompressed file makes ``loadmat`` crash the interpreter (scipy 1.17: 3 % of single
    damaged bytes), which no ``except`` catches. An exception is survivable: the caller meets it again.
    """
    tried = subprocess.run([sys.executable, "-P", "-c", PROBE, str(path)], capture_output=True, check=False)
    return tried.returncode in (0, 1)
