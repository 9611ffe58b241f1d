"""Lines that are broken at words, and long names at their separators: ``paw1LH_`` and ``bot``, never ``paw1LH_bo``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

SEAM = re.compile(r"(?<=[_\-./:+,;=|\\])(?=[^_\-./:+,;=|\\])|(?<=[a-z0-9])(?=[A-Z])")
"""Where a name may be broken: after a separator, and before a capital in camel case."""

Fits = Callable[[str], bool]
"""Whether a text fits into a line."""


def pieces(word: str) -> list[str]:
    """Return the parts of a word between which it may be broken."""
    return SEAM.split(word)


def broken(text: str, fits: Fits) -> list[str]:
    """Return a text in lines that fit; only a part of a name that is too long by itself is broken within."""
    lines = [""]
    for word in text.split():
        for part in divided(word, fits):
            longer = f"{lines[-1]} {part}".lstrip()
            if fits(longer):
                lines[-1] = longer
            else:
                lines.append(part)
    return [line for line in lines if line] or [""]


def divided(word: str, fits: Fits) -> list[str]:
    """Return one word in as few parts that fit as its separators allow."""
    lines: list[str] = []
    for piece in pieces(word):
        if lines and fits(lines[-1] + piece):
            lines[-1] += piece
        else:
            lines += [piece] if fits(piece) else _letters(piece, fits)
    return lines


def _letters(piece: str, fits: Fits) -> Iterator[str]:
    """Parts of what has no separator."""
    rest = piece
    while rest:
        count = _fitting(rest, fits)
        yield rest[:count]
        rest = rest[count:]


def _fitting(word: str, fits: Fits) -> int:
    """How many letters fit; one at least, so that it ends."""
    if fits(word):
        return len(word)
    low, high = 1, len(word)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(word[:middle]) else (low, middle)
    return low
