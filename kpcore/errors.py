"""Errors for people: one line that says what is wrong, where, what exists, and what to do."""

from __future__ import annotations

import difflib
import errno
import os
import signal
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST = 3000
"""Characters of an error's line; of a longer one, which a file's own words make so, the middle is left out."""
MOST = 20
"""Names that an error lists, at most."""


def visible(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey: what cannot be seen is escaped, as ``\x1b``.

    Line breaks stay, and spaces of all widths.
    """
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character.isprintable() or character == "\n" or unicodedata.category(character) == "Zs":
        return character
    return ascii(character)[1:-1]


class KpError(Exception):
    """Something the user can put right. The command prints its one line and exits with code 2.

    Args:
        message: becomes one line, whatever names a user's file brings into it.
        more: further lines below it, where one cannot say what to do.
    """

    def __init__(self, message: str = "", more: Sequence[str] = ()) -> None:
        self.more = tuple(more)
        lines = message.splitlines()
        line = visible(message if len(lines) < 2 else " ".join(line.strip() for line in lines))
        super().__init__(line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}")


FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the system's errors where a disk has no more room."""


class FaultError(KpError):
    """The machine's doing, not the input's: disk or memory ran out. A study writes it down and can be gone on with."""


class FaultsError(KpError):
    """Several things that the user can put right, found in one pass; the command prints a line for each.

    Args:
        messages: one or more; each becomes one line, and one that is there already is left out.
    """

    def __init__(self, messages: Iterable[str]) -> None:
        self.lines = tuple(dict.fromkeys(str(KpError(message)) for message in messages))
        super().__init__("; ".join(self.lines))


class InterruptError(Exception):
    """A signal stopped a command; its message says how to go on (typer keeps none of the interrupt itself).

    Args:
        message: "" where there is nothing to go on with.
        number: of the signal.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number


class ContractError(Exception):
    """A component gave back what its interface does not allow. Whoever shows the error names plugin and component.

    Args:
        component: the component, or the function of a plugin.
        method: what was called: "stage(0)", "label".
        problem: what came back against what must.
    """

    def __init__(self, component: object, method: str, problem: str) -> None:
        super().__init__(component, method, problem)
        self.component = component
        self.method = method
        self.problem = problem

    def __str__(self) -> str:
        return f"{type(self.component).__name__}, {self.method}: {self.problem}"


def system_error(error: OSError, place: object) -> str:
    """Return one line on an error of the system: its file (``place`` where it has none), what is wrong, what to do.

    The words are the system's own: HDF5 tells a paragraph.
    """
    full = "; free disk space" if error.errno in FULL else ""
    return f"{error.filename or place}: {os.strerror(error.errno) if error.errno else error}{full}"


def shown(value: object) -> str:
    """Return what an error message calls a value: shape and type of an array, else its type and its text in short."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return f"{tuple(shape)} {str(getattr(value, 'dtype', '')).removeprefix('torch.')}".rstrip()
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def told_apart(one: str, other: str) -> tuple[str, str]:
    r"""Return two texts so that a reader sees where they differ.

    Two that differ in their Unicode form alone look the same: what is written in several ways is escaped, as in
    ``caf\xe9`` and ``cafe\u0301``.
    """
    alike = one != other and unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other)
    return (_formed(one), _formed(other)) if alike else (one, other)


def _formed(text: str) -> str:
    """Escape the characters that Unicode can write in another way."""
    several = (
        unicodedata.combining(character) or unicodedata.normalize("NFKD", character) != character for character in text
    )
    return "".join(ascii(character)[1:-1] if ways else character for character, ways in zip(text, several, strict=True))


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option most like ``name``, or None where nothing is near."""
    found = difflib.get_close_matches(str(name), [str(option) for option in options], n=1, cutoff=0.5)
    return found[0] if found else None


def listed(names: Iterable[str], most: int = MOST) -> str:
    """Return names in a row; of more than ``most`` the first, and how many there are besides."""
    every = list(names)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest or "none"


def unknown(kind: str, name: object, options: Iterable[str], *, where: str = "") -> KpError:
    """Build the error for a name that does not exist: the place, the nearest name, and what exists."""
    exist = list(options)
    near = nearest(str(name), exist)
    place = f"{where}: " if where else ""
    asked, meant = told_apart(str(name), near) if near else (name, "")
    hint = f"; did you mean '{meant}'?" if near else ""
    verb = "exists" if len(exist) == 1 else "exist"
    return KpError(f"{place}unknown {kind} '{asked}'{hint} ({listed(exist)} {verb})")


def size(count: int) -> str:
    """Return a number of bytes for people: "3.4 GB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
