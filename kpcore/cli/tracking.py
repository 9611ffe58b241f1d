"""``kp run --track NAME``: the trackers that a study is shown in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpcore.interfaces import Tracker
    from kpcore.registry import Registry

OPTION = "--track"


def track(known: Registry, names: Sequence[str]) -> None:
    """Have these trackers told what happens from now on, and no others.

    Raises:
        KpError: no tracker is called so, or its library is not installed; with what to type.
    """
    from kpcore.tracking import Follower

    found = []
    for name in dict.fromkeys(names):
        plugin, own = known.find("tracker", name, where=OPTION)
        tracker = known.build("tracker", name, {}, where=f"{OPTION} {name}")
        check_library(name, tracker)
        found.append((Follower(own, tracker), replace(plugin, problems=[])))
    known.listen(*found)


def check_library(name: str, tracker: Tracker) -> None:
    """Raise KpError where a tracker's library cannot be imported."""
    from kpcore.errors import KpError
    from kpcore.registry import one_line

    try:
        import_module(tracker.library)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == tracker.library
        wrong = "is not installed" if missing else f"cannot be imported: {one_line(error)}"
        raise KpError(f"{OPTION} {name}: {tracker.library} {wrong}; pip install '{tracker.install}'") from None
