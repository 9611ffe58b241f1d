"""Download: a file of a data set that its publisher serves, so that ``kp data fetch`` can get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """Terms under which data is given away; shown, and asked for, before anything is downloaded.

    Args:
        name: of the licence or the terms.
        summary: what they allow and ask for, in a sentence or two.
        page: address of the full text.
    """

    name: str
    summary: str
    page: str


@dataclass(frozen=True)
class Download:
    """One file, and where what it holds lies below the data set's root, as the constructor looks for it.

    Args:
        name: what the user calls it: letters, digits, ``-``, ``_`` and ``.``.
        address: where its publisher serves it; ``http://`` or ``https://``.
        licence: its terms.
        places: file or folder in the archive -> path below the root; ``""`` stands for all that the archive holds, or
            for the file itself where it is no archive. What is not named is left out.
        size: bytes, about; more than twice as many are refused. 0 where it is not known.
        unpacked: bytes of all that the archive holds, at most.
        entries: files and folders in the archive, at most.
        sha256: 64 hex digits; "" where none is known. It is then recorded at the first download, and checked after.
        archive: whether it is unpacked: zip, tar, tar.gz or tar.bz2, told apart by their first bytes.
    """

    name: str
    address: str
    licence: Licence
    places: Mapping[str, str]
    size: int = 0
    unpacked: int = 2**33
    entries: int = 20_000
    sha256: str = ""
    archive: bool = True
