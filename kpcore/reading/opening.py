"""Files that others wrote: whatever is wrong with one becomes one line with its path."""

from __future__ import annotations

import codecs
import json
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kpcore.errors import KpError
from kpcore.reading.budget import Limit, within

TEXT = 8
"""A text file has an eighth of the bytes of a JSON file, at most: 4 times the largest list that is published."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def guarded(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a parser raises on a file into one line with the path; its warnings are dropped.

    Args:
        path: the file.
        kind: what it should be, for the error.

    Raises:
        KpError: always instead of any other exception.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except KpError:
        raise
    except FileNotFoundError as error:
        raise KpError(f"{path}: does not exist; expected {kind}") from error
    except IsADirectoryError as error:
        raise KpError(f"{path}: is a folder; expected {kind}") from error
    except PermissionError as error:
        raise KpError(f"{path}: may not be read (permission denied); expected {kind}") from error
    except Exception as error:  # parsers of binary files raise anything on damaged input
        raise unreadable(path, kind, error) from error


def unreadable(path: Path, kind: str, error: Exception) -> KpError:
    """Return the error for a file that a parser refuses."""
    return KpError(
        f"{path}: cannot be read as {kind} ({type(error).__name__}: {one_line(error)});"
        " it may be truncated or of another kind: download or write it again"
    )


def one_line(error: Exception, longest: int = 200) -> str:
    """Return what an exception says, on one line of so many characters."""
    return " ".join(str(error).split())[:longest]


def regular(path: Path, kind: str) -> int:
    """Return a file's size; refuse a pipe, which would never end, and a device.

    Raises:
        KpError: it is one.
        OSError: it is not there.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
        raise KpError(f"{path}: is no regular file; expected {kind}")
    return about.st_size


def read_bytes(path: Path, kind: str, most: int | None = None) -> bytes:
    """Read a file whole.

    Raises:
        KpError: it is not there, no regular file, may not be read, or has more than ``most`` bytes (``BYTES`` of the
            budget).
    """
    with guarded(path, kind):
        size = regular(path, kind)
        if most is None:
            within(Limit.BYTES, size, f"has {size:,} bytes", path)
        elif size > most:
            raise KpError(f"{path}: has {size:,} bytes; {kind} has at most {most:,}")
        return path.read_bytes()


def read_text(path: Path, kind: str, most: int | None = None) -> str:
    """Read a text file: UTF-8 with or without a byte-order mark, or UTF-16 with one.

    Raises:
        KpError: as :func:`read_bytes`, or it is no text.
    """
    with guarded(path, kind):
        if most is None:
            size = regular(path, kind)
            within(Limit.BYTES, size, f"has {size:,} bytes of text", path, parts=TEXT)
        data = read_bytes(path, kind, most)
        try:
            text = data.decode("utf-16" if data.startswith(UTF16) else "utf-8-sig")
        except UnicodeDecodeError as error:
            raise KpError(f"{path}: is not text in UTF-8 (byte {error.start}); expected {kind}; save it so") from error
    if "\0" in text:
        raise KpError(f"{path}: is not text; expected {kind}")
    return text


def read_json(path: Path, kind: str, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Read a JSON file in UTF-8 with or without a byte-order mark, or in UTF-16 or UTF-32.

    Args:
        path: the file.
        kind: what it should be, for errors.
        hook: called with every object as it is parsed; what it returns takes the object's place.

    Raises:
        KpError: as :func:`read_bytes`, or it is no JSON.
    """
    with guarded(path, kind):
        return json.loads(read_bytes(path, kind), object_hook=hook)


def parsed_json(data: bytes | str) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is none (NaN and infinity are not), nests too deep, or holds a number of thousands of digits.
    """
    try:
        return json.loads(data, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("objects or lists are nested too deep") from None


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
