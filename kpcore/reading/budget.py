"""One budget for all that others wrote, checked from headers before anything is decoded, unpacked or built.

A small file can claim to be huge. What is over a limit is refused in one line with the number that was found, the
limit, and the environment variable that raises it, for whoever has such data.
"""

from __future__ import annotations

import os
from enum import Enum

from kpcore.errors import KpError

RATIO = 200
"""Bytes unpacked for a stored one, at most, of anything over the limit ``UNPACKED``: coordinates hardly compress."""


class Limit(Enum):
    """A limit: its environment variable, and what holds where that is not set."""

    PIXELS = ("KP_MAX_PIXELS", 178_956_970)
    """Of one picture or frame of 8 bits a channel, half as many of 16: over a gigabyte while it is decoded."""
    SCANS = ("KP_MAX_SCANS", 100)
    """Passes of one progressive JPEG over its pixels; files have about 10, and each costs as much as a picture."""
    BYTES = ("KP_MAX_BYTES", 2**31)
    """Of one array, JSON file or file of weights' header; a text file has an eighth at most."""
    UNPACKED = ("KP_MAX_UNPACKED", 2**26)
    """Bytes that may be unpacked from however few; more than these only up to :data:`RATIO` for a stored one."""
    ITEMS = ("KP_MAX_ITEMS", 10_000_000)
    """Texts, rows, cells or parameters of one file that become objects of their own."""
    SECONDS = ("KP_MAX_SECONDS", 10)
    """Of processor time for a file whose headers do not tell what reading it costs, and as many more a megabyte."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return self.value[0]

    @property
    def most(self) -> int:
        """What is allowed.

        Raises:
            KpError: the variable is set to what is no whole number above 0.
        """
        said = os.environ.get(self.variable, "").strip()
        if not said:
            return self.value[1]
        digits = said.replace("_", "")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 19 and int(digits)):
            raise KpError(f"{self.variable}: {said[:40]!r} is no whole number above 0, such as {self.value[1]}")
        return int(digits)


def stated() -> str:
    """Return what the environment says of the limits, "" where nothing: what is read from a file hangs on it too.

    Raises:
        KpError: a variable is set to what is no whole number above 0.
    """
    return " ".join(f"{limit.variable}={limit.most}" for limit in Limit if limit.most != limit.value[1])


def within(limit: Limit, found: int, what: str, where: object, *, parts: int = 1) -> None:
    """Refuse what is over a limit.

    Args:
        limit: that counts.
        found: the number in the header.
        what: sentence from the verb to before the comma, with the number: "the image has 900 pixels".
        where: file, or file and place in it.
        parts: the limit is divided by this.

    Raises:
        KpError: it is.
    """
    most = limit.most // parts
    if found > most:
        raise KpError(f"{where}: {what}, at most {most:,} are read; {remedy(limit)}")


def remedy(limit: Limit) -> str:
    """Return what to do where a limit is met."""
    return f"take a smaller or another file, or set {limit.variable} (now {limit.most}) if it is meant to be so large"


def fair(unpacked: int, stored: int, name: str, where: object) -> None:
    """Refuse what declares far more bytes than it stores, or more than any one array may have.

    Raises:
        KpError: it does.
    """
    if unpacked > fair_bytes(stored):
        raise KpError(
            f"{where}: '{name}' declares {unpacked:,} bytes in {stored:,} stored ones, which no annotation does;"
            f" download or write it again, or set {Limit.UNPACKED.variable} (now {Limit.UNPACKED.most}) if it is right"
        )
    within(Limit.BYTES, unpacked, f"'{name}' has {unpacked:,} bytes", where)


def fair_bytes(stored: int) -> int:
    """Return how many bytes so many stored ones may unpack to."""
    return max(Limit.UNPACKED.most, RATIO * stored)


def seconds(stored: int) -> int:
    """Return how many seconds of processor time a file of so many bytes may take."""
    return Limit.SECONDS.most * (1 + stored // 2**20)
