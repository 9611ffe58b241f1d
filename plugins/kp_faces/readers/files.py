"""Roots, and reading files that others wrote: whatever is wrong becomes one line with the path."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kpcore.errors import KpError

LARGEST_TEXT = 2**28
"""Bytes: a larger text file is no annotation of ours, and would fill the memory."""


def existing_root(root: str | None, variable: str, holds: str) -> Path:
    """Return the configured folder.

    Args:
        root: from the configuration; None where only the environment may say.
        variable: the environment variable.
        holds: what the folder should hold, for the error.

    Raises:
        KpError: nothing is configured, or it is no folder.
    """
    configured = root or os.environ.get(variable)
    if not configured:
        raise KpError(
            f"dataset.root: no folder is configured; set root in [dataset], or --set dataset.root=PATH, or the"
            f" environment variable {variable}; it should hold {holds}"
        )
    path = Path(configured).expanduser()
    if not path.is_dir():
        source = "dataset.root" if root else variable
        raise KpError(f"{source}: {configured} is not a folder; it should hold {holds}")
    return path


@contextmanager
def guarded(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a parser raises on a damaged file into one line with the path.

    Raises:
        KpError: always instead of any other exception.
    """
    try:
        yield
    except KpError:
        raise
    except FileNotFoundError:
        raise KpError(f"{path}: does not exist; expected {kind}") from None
    except Exception as error:  # parsers of binary files raise anything on damaged input
        text = " ".join(str(error).split())[:200]
        raise KpError(
            f"{path}: cannot be read as {kind} ({type(error).__name__}: {text});"
            " it may be truncated or of another kind: download or write it again"
        ) from None


def read_text(path: Path, kind: str) -> str:
    """Read a UTF-8 text file, with or without a byte-order mark.

    Raises:
        KpError: it is not there, too large, or no text.
    """
    with guarded(path, kind):
        if path.stat().st_size > LARGEST_TEXT:
            raise KpError(f"{path}: has {path.stat().st_size:,} bytes, too many for {kind}")
        text = path.read_bytes().decode("utf-8-sig")
    if "\0" in text:
        raise KpError(f"{path}: is not text; expected {kind}")
    return text


def digest(path: Path, kind: str) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with guarded(path, kind), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def image_name(value: str, where: str) -> str:
    """Return a relative path of an image below its folder, with forward slashes.

    Raises:
        KpError: it is empty, absolute, or leaves the folder.
    """
    name = value.strip().replace("\\", "/")
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or ":" in parts[0] or not name.isprintable():
        raise KpError(f"{where}: {value[:80]!a} is not the name of an image below the data's folder; mend the file")
    return str(PurePosixPath(name))


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
