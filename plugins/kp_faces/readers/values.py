"""What a cell or a line of an annotation holds."""

from __future__ import annotations


def plain(value: str) -> str:
    """Return what a file holds as one short ASCII line, for an error."""
    return f"{value[:40]!a}"
