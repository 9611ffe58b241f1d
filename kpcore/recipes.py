"""How a component was asked for, and whose code it is: what a content key holds of it."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a component was asked for.

    Args:
        name: as its plugin calls it.
        options: all of them, the defaults spelt out.
        plugin: name of the entry point that supplies it.
        package: import package of that plugin.
        version: of the plugin's distribution.
        code: digest of the plugin's import package.
    """

    name: str
    options: Mapping[str, Any]
    plugin: str
    package: str
    version: str
    code: str

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**vars(self), "options": dict(self.options)}


def package_of(module: str) -> str:
    """Return the top import package of an entry point's module."""
    return module.partition(":")[0].partition(".")[0]


def code_digest(module: str, distribution: Distribution | None) -> str:
    """Return the SHA-256 over the files of a module's top import package: their paths and the digest of each.

    An installed wheel has listed them in its RECORD; an editable install, or anything else, is read. Both give the same
    for equal files. What a plugin imports from other packages is not in it.
    """
    package = package_of(module)
    files = _recorded(package, distribution) or dict(_found(package))
    listed = "\n".join(f"{name} {digest}" for name, digest in sorted(files.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def _recorded(package: str, distribution: Distribution | None) -> dict[str, str]:
    """Return the package's files in the distribution's RECORD, path -> SHA-256; none where it lists none of them."""
    listed = (distribution and distribution.files) or []
    return {
        file.as_posix(): file.hash.value
        for file in listed
        if file.hash is not None and file.hash.mode == "sha256" and _belongs(Path(file.as_posix()), package)
    }


def _belongs(path: Path, package: str) -> bool:
    return (path.parts[0] == package or path.as_posix() == f"{package}.py") and _is_code(path)


def _is_code(path: Path) -> bool:
    """Whether a file of a package is its own: not compiled from others, not hidden."""
    return path.suffix != ".pyc" and not any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _found(package: str) -> Iterator[tuple[str, str]]:
    """Yield (path, SHA-256 as RECORD spells it) of the package's files on disk; nothing where it has no place there."""
    spec = importlib.util.find_spec(package)
    roots = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for root in roots:
        for path in root.rglob("*"):
            inside = path.relative_to(root)
            if path.is_file() and _is_code(inside):
                yield f"{package}/{inside.as_posix()}", _file_digest(path)
    if spec is not None and not roots and spec.origin is not None and Path(spec.origin).is_file():
        yield f"{package}.py", _file_digest(Path(spec.origin))


@cache
def _read(path: Path, size: int, modified: int) -> str:
    del size, modified  # only there to have a changed file read again
    return base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")


def _file_digest(path: Path) -> str:
    about = path.stat()
    return _read(path, about.st_size, about.st_mtime_ns)
