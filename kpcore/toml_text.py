"""TOML that a person or a stranger wrote: read within bounds, and every error on one line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kpcore.errors import KpError, nearest

Toml = dict[str, Any]

LARGEST = 2**20
"""Bytes of a study file, at most: a hundred times the longest that we know."""
DEEPEST = 24
"""Tables and lists in each other, at most."""
LONGEST = 4096
"""Characters of one text or key, at most: the longest path that Linux takes."""
WIDEST = 2**63
"""Whole numbers are below this, and not below its opposite: TOML's own range."""
MOST_PARTS = 100
"""Parts of a dotted key that Python is given to read: its time grows with their square."""
_PART = r"""(?:"[^"\n]*"|'[^'\n]*'|[\w-]+)"""
_DOTTED = re.compile(rf"(?<![\w.\"'-])(?>{_PART}[ \t]*\.[ \t]*){{{MOST_PARTS}}}")


def read_toml(path: Path) -> Toml:
    """Read a study file; raises KpError with file, line and column, or the key."""
    try:
        if not path.is_file() and path.exists() and not path.is_dir():  # a pipe would never end
            raise KpError(f"{path}: is no regular file; give the TOML of a study")
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _no_such_file(path) from None
    except OSError as error:
        raise KpError(f"{str(path)[:200]}: cannot be read as a study file: {error.strerror or error}") from None
    if len(text) > LARGEST:
        raise KpError(f"{path}: has over {LARGEST:,} bytes, which no study file has; give the TOML of a study")
    document = _parsed(text, path)
    _check_profiles(document, path)
    return bounded(document, str(path))


def loads(text: str, where: str) -> Toml:
    """Return what a text says; :func:`bounded` checks it.

    Raises:
        KpError: a key of it has far too many parts.
        ValueError: it is no TOML, or holds a whole number of thousands of digits.
        RecursionError: it is nested far too deep.
    """
    if _DOTTED.search(text):
        raise KpError(f"{where}: a key of over {MOST_PARTS} parts; tables are nested over {DEEPEST} deep in no setting")
    return tomllib.loads(text)


def bounded(document: Toml, where: str) -> Toml:
    """Return a document.

    Raises:
        KpError: with the key: it is nested too deep, a text in it is too long, or a whole number needs over 64 bits.
    """
    for key, depth, value in _entries(document):
        if depth > DEEPEST:
            raise KpError(f"{where}: {key[:80]}: tables or lists are nested over {DEEPEST} deep; no setting is")
        if isinstance(value, str) and len(value) > LONGEST:
            raise KpError(f"{where}: {key[:80]}: a text of {len(value):,} characters; none has over {LONGEST:,}")
        if isinstance(value, int) and not -WIDEST <= value < WIDEST:
            raise KpError(f"{where}: {key[:80]}: a whole number of over 64 bits; no setting has")
    return document


def _parsed(data: bytes, path: Path) -> Toml:
    try:
        return loads(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise KpError(f"{path}: cannot be read as a study file: {error}; save it in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        at = f":{place[1]}:{place[2]}" if place else ""
        what = re.sub(r" \(at .*\)$", "", str(error))
        raise KpError(f"{path}{at}: not valid TOML: {what[:200]}; mend this line") from None
    except RecursionError:
        raise KpError(f"{path}: tables or lists are nested over {DEEPEST} deep; no setting is") from None
    except ValueError:  # Python's limit on the digits of a whole number
        raise KpError(f"{path}: holds a whole number of thousands of digits; no setting has") from None


def _check_profiles(document: Toml, path: Path) -> None:
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict):
        raise KpError(f"{path}: profiles: must hold tables, [profiles.NAME]; it is of type {type(profiles).__name__}")
    for name, profile in profiles.items():
        if not isinstance(profile, dict):
            raise KpError(f"{path}: profiles.{name[:80]}: must be a table, [profiles.{name[:80]}]")


def _entries(document: Toml) -> Iterator[tuple[str, int, Any]]:
    """Yield the path of every value and every key, how deep it lies, and itself, without recursion."""
    waiting: list[tuple[str, int, Any]] = [("", 0, document)]
    while waiting:
        key, depth, value = waiting.pop()
        yield key, depth, value
        if depth > DEEPEST:
            continue
        if isinstance(value, dict):
            for name in value:
                yield f"{key}.{_named(name)}".lstrip("."), depth, name
            waiting += [(f"{key}.{_named(name)}".lstrip("."), depth + 1, held) for name, held in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{key}[{place}]", depth + 1, held) for place, held in enumerate(value)]


def _named(key: object) -> str:
    """Return what messages call a key; YAML's may be numbers of any length."""
    return key[:80] if isinstance(key, str) else "a number" if isinstance(key, int) else str(key)[:80]


def _no_such_file(path: Path) -> KpError:
    beside = sorted(item.name for item in path.parent.glob("*.toml")) if path.parent.is_dir() else []
    near = nearest(path.name, beside)
    return KpError(f"{path}: no such study file" + (f"; did you mean '{near}'?" if near else ""))
