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


def read_toml(path: Path) -> Toml:
    """Read a study file; raises KpError with file, line and column, or the key."""
    try:
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


def bounded(document: Toml, where: str) -> Toml:
    """Return a document; raises KpError with the key where it is nested too deep, or a text in it is too long."""
    for key, depth, text in _entries(document):
        if depth > DEEPEST:
            raise KpError(f"{where}: {key[:80]}: tables or lists are nested over {DEEPEST} deep; no setting is")
        if len(text) > LONGEST:
            raise KpError(f"{where}: {key[:80]}: a text of {len(text):,} characters; none has over {LONGEST:,}")
    return document


def _parsed(data: bytes, path: Path) -> Toml:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
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


def _entries(document: Toml) -> Iterator[tuple[str, int, str]]:
    """Yield the path of every value, how deep it lies, and its own text or key, without recursion."""
    waiting: list[tuple[str, int, Any]] = [("", 0, document)]
    while waiting:
        key, depth, value = waiting.pop()
        yield key, depth, value if isinstance(value, str) else ""
        if depth > DEEPEST:
            continue
        if isinstance(value, dict):
            for name in value:
                yield f"{key}{name}", depth, name
            waiting += [(f"{key}.{name}".lstrip("."), depth + 1, held) for name, held in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{key}[{place}]", depth + 1, held) for place, held in enumerate(value)]


def _no_such_file(path: Path) -> KpError:
    beside = sorted(item.name for item in path.parent.glob("*.toml")) if path.parent.is_dir() else []
    near = nearest(path.name, beside)
    return KpError(f"{path}: no such study file" + (f"; did you mean '{near}'?" if near else ""))
