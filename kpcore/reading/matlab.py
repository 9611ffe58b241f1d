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
from kpcore.reading.budget import Limit, fair, fair_bytes, seconds
from kpcore.reading.opening import guarded, regular

HEADER = 128
"""Bytes before the first variable of a file of version 5 to 7.2; the last two tell the order of bytes."""
COMPRESSED = 15
"""Type of a compressed variable."""
PEEK = 256
"""Compressed bytes that hold a variable's tag."""
PIECE = 2**20
"""Bytes that are unpacked at once."""
A_BYTE = 500
"""Bytes of memory that a large file may take for each of its own; any file may take half of the budget's ``BYTES``."""
SPENT = 3
"""Exit code of a trial that ran out of memory or of time."""
PROBE = f"""
import sys
from scipy.io import loadmat
path, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
try:
    import resource, signal
    with open("/proc/self/statm") as file:
        memory += int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    signal.signal(signal.SIGXCPU, lambda *_: sys.exit({SPENT}))
except (ImportError, OSError, ValueError):
    pass  # a system without such limits
try:
    loadmat(path, appendmat=False)
except MemoryError:
    sys.exit({SPENT})
except Exception:
    sys.exit(1)
"""


def load(path: Path, kind: str) -> dict[str, Any]:
    """Read a .mat file's variables.

    Args:
        path: the file.
        kind: what it should be, for errors.

    Raises:
        KpError: the file is missing or damaged.
    """
    with guarded(path, kind):
        regular(path, kind)
        check_sizes(path)
        try_out(path)
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
                fair(_declared(file.read(min(stored, PEEK)), order), stored, "a variable", path)
                file.seek(here)
                fair(_unpacked(file, stored), stored, "a variable", path)
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
    unpacker, unpacked, most = zlib.decompressobj(), 0, fair_bytes(stored)
    with suppress(zlib.error):  # damage, which scipy tells
        while stored > 0 and unpacked <= most and (packed := file.read(min(stored, PIECE))):
            stored -= len(packed)
            while packed and unpacked <= most:
                unpacked += len(unpacker.decompress(packed, PIECE))
                packed = unpacker.unconsumed_tail
    return unpacked


def try_out(path: Path) -> None:
    """Read a file in a process of its own, within bounds, before it is read here.

    A damaged type code in an uncompressed file makes ``loadmat`` crash the interpreter (scipy 1.17: 3 % of single
    damaged bytes), which no ``except`` catches; a file of a few kilobytes can hold millions of empty cells, each an
    object. An exception is left for the caller, who meets it again.

    Raises:
        KpError: scipy does not come back from it, or takes more memory or time than such a file should.
    """
    size = path.stat().st_size
    allowed = seconds(size)
    words = [str(path), str(max(Limit.BYTES.most // 2, A_BYTE * size)), str(allowed)]
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", PROBE, *words], capture_output=True, check=False, timeout=60 + 10 * allowed
        )
        code = tried.returncode
    except subprocess.TimeoutExpired:  # the machine is busy, or knows no limit of processor time
        code = SPENT
    if code == SPENT:
        raise KpError(
            f"{path}: a file of {size:,} bytes should be read in {allowed} s and {words[1]} bytes of memory, and is"
            f" not; download or write it again, or set {Limit.SECONDS.variable} (now {Limit.SECONDS.most}) or"
            f" {Limit.BYTES.variable} (now {Limit.BYTES.most})"
        )
    if code not in (0, 1):
        raise KpError(f"{path}: is damaged so badly that reading it crashes; download or write it again")
