"""Everything in the cache against its digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kpcore.cache import Entry, cache_dir, entries
from kpcore.data import generated
from kpcore.data.crops import crops_problem
from kpcore.records.folder import JobFolder


@dataclass(frozen=True)
class Verdict:
    """What was found of one entry; ``problem`` is "" where it is whole, or not finished yet."""

    entry: Entry
    problem: str


def verify() -> Iterator[Verdict]:
    """Read every file of every entry, and yield what was found."""
    for entry in entries():
        yield Verdict(entry, CHECKS[entry.kind](cache_dir() / entry.kind / entry.key))


def _job(path: Path) -> str:
    folder = JobFolder(path)
    return folder.problem() or next((f"{name} is damaged" for name in folder.damaged_checkpoints()), "")


def _memo(path: Path) -> str:
    """Nothing is wrong with what is only remembered: where it does not hold it is not used."""
    del path
    return ""


def _store(path: Path) -> str:
    file = path.with_suffix(".h5")
    return crops_problem(file) if file.exists() else ""


CHECKS: dict[str, Callable[[Path], str]] = {
    "jobs": _job,
    "stores": _store,
    "generated": generated.problem,
    "digests": _memo,
}
"""Kind of entry -> what is wrong with the one at this path."""
