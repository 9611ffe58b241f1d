"""What a cell or a line of an annotation holds."""

from __future__ import annotations

from kpcore.errors import KpError


def plain(value: str) -> str:
    """Return what a file holds as one short ASCII line, for an error."""
    return f"{value[:40]!a}"


def to_number(text: str, where: str) -> float:
    """Return a number.

    Raises:
        KpError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise KpError(f"{where}: {plain(text)} is not a number; mend the file") from None
