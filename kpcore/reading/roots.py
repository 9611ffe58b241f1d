"""Where a data set lies: the folder of the study file, else that of the environment."""

from __future__ import annotations

import os
from pathlib import Path

from kpcore.errors import KpError
from kpcore.placing import home


def existing_root(root: str | None, variable: str, holds: str) -> Path:
    """Return the configured folder, its ``~`` expanded.

    Args:
        root: as the study file has it; None or "" where only the environment may say.
        variable: the environment variable that is asked then.
        holds: what the folder should hold, for errors.

    Raises:
        KpError: nothing is configured, or it is no folder.
    """
    configured = root or os.environ.get(variable)
    if not configured:
        raise KpError(
            "dataset.root: no folder is configured; set root in [dataset] (or in the [datasets.NAME] it stands in), or"
            f" --set dataset.root=PATH, or the environment variable {variable}; it should hold {holds}"
        )
    path = home(configured)
    if not _is_folder(path):
        source = "dataset.root" if root else variable
        raise KpError(f"{source}: {configured[:300]} is not a folder; it should hold {holds}")
    return path


def inside(root: Path, name: str, key: str) -> Path:
    """Return what an option names below the root of a data set, or where it says so by an absolute path.

    A study may come from anybody: only whoever writes a whole path means a place outside the root.

    Args:
        root: of the data set.
        name: the option's value: a path from the root; ``~`` is expanded.
        key: of the option, for errors.

    Raises:
        KpError: it leads out of the root by ``..``.
    """
    if "\0" in name:
        raise KpError(f"{key}: {name[:300]!a} is no path")
    path = home(name)
    if path.is_absolute():
        return path
    found = Path(os.path.normpath(root.absolute() / path))
    if not found.is_relative_to(os.path.normpath(root.absolute())):
        raise KpError(f"{key}: '{name[:300]}' leads out of the root {root}; write its whole path if it is meant")
    return root / path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False
