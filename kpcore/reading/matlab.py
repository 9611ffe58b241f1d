"""Matlab's .mat files up to version 7.2, read by scipy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from scipy.io import loadmat

from kpcore.errors import KpError
from kpcore.reading.opening import guarded

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
        path.stat()
        if not survivable(path):
            raise KpError(f"{path}: is damaged so badly that reading it crashes; download or write it again")
        return dict(loadmat(path, appendmat=False))


def survivable(path: Path) -> bool:
    """Whether scipy comes back from this file, tried in a process of its own.

    A damaged type code in an uncompressed file makes ``loadmat`` crash the interpreter (scipy 1.17: 3 % of single
    damaged bytes), which no ``except`` catches. An exception is survivable: the caller meets it again.
    """
    tried = subprocess.run([sys.executable, "-P", "-c", PROBE, str(path)], capture_output=True, check=False)
    return tried.returncode in (0, 1)
