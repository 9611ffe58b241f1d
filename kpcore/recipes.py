"""How a component was asked for, and whose code it is: what a content key holds of it."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpcore.cache import known_digest

OTHERS = frozenset({"kpcore", "torch"})
"""Packages whose versions are in a key by themselves."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a component was asked for.

    Args:
        name: as its plugin calls it.
        options: all of them, the defaults spelt out.
        plugin: name of the entry point that supplies it.
        package: import package of that plugin.
        version: of the plugin's distribution.
        code: digest of the plugin's import package, and of the one that the component's class comes from.
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


def code_digest(*modules: str) -> str:
    """Return the SHA-256 over the files of these modules' top import packages, as they are on disk.

    Installed and editable give the same for equal files. What these packages import from others is not in it.
    """
    files = dict(found for package in sorted(set(map(package_of, modules))) for found in _found(package))
    listed = "\n".join(f"{name} {digest}" for name, digest in sorted(files.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def packages_of(component: type) -> set[str]:
    """Return the top import packages that a component's class and the classes it is made from come from.

    They need not be the plugin's own: an entry point may name a module that imports the class from beside it.
    """
    packages = {package_of(one.__module__) for one in component.__mro__}
    return packages - OTHERS - sys.stdlib_module_names


def _is_code(path: Path) -> bool:
    """Whether a file of a package is its own: not compiled from others, not hidden."""
    return path.suffix != ".pyc" and not any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _found(package: str) -> Iterator[tuple[str, str]]:
    """Yield (path, SHA-256) of the package's files on disk; nothing where it has no place there."""
    spec = importlib.util.find_spec(package)
    roots = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for root in roots:
        for path in root.rglob("*"):
            inside = path.relative_to(root)
            if path.is_file() and _is_code(inside):
                yield f"{package}/{inside.as_posix()}", known_digest(path)
    if spec is not None and not roots and spec.origin is not None and Path(spec.origin).is_file():
        yield f"{package}.py", known_digest(Path(spec.origin))
