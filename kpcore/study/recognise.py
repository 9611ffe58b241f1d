"""A folder without a data set's name: opened by the one plugin that reads it, or told what it is nearest to."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from kpcore.config import parse_set
from kpcore.errors import KpError
from kpcore.interfaces import Near
from kpcore.registry import Registry
from kpcore.study.guard import reason

T = TypeVar("T")
COMMAND = "kp data check"
NOTHING = Near(0.0, "an annotation in a known layout; 'named' reads a keypoints.csv that you write")
"""Where a folder is like no layout."""


@dataclass(frozen=True)
class Tried(Generic[T]):
    """A folder, and what every data set plugin made of it.

    Args:
        root: the folder.
        opened: name -> what it gave, of those that read it.
        refused: name -> why not, on one line.
    """

    root: Path
    opened: dict[str, T]
    refused: dict[str, str]


def try_all(known: Registry, root: Path, open_as: Callable[[str, Sequence[str]], T], sets: Sequence[str]) -> Tried[T]:
    """Let every data set plugin try a folder.

    Args:
        known: the plugins.
        root: the folder.
        open_as: opens it as the data set of a name, with ``key=value`` options; raises KpError where it cannot.
        sets: those options.
    """
    tried: Tried[T] = Tried(root, {}, {})
    for name in known.names("dataset"):
        try:
            tried.opened[name] = open_as(name, sets)
        except KpError as error:
            tried.refused[name] = str(error)
        except Exception as error:  # a plugin that fails on a folder of another's must not hide the one that reads it
            tried.refused[name] = reason(error, known)
    return tried


def several(tried: Tried[T]) -> KpError:
    """Return the error for a folder that several plugins read, with the command for each."""
    folder = shlex.quote(str(tried.root))
    lines = [f"{COMMAND} {folder} --dataset {name}" for name in tried.opened]
    return KpError(f"{tried.root}: can be read as {', '.join(tried.opened)}; say which with --dataset", lines)


@dataclass(frozen=True)
class Nearest:
    """The layout that a folder is nearest to.

    Args:
        name: of the data set; "" where the folder is like none.
        near: how near.
        sets: options for the data set, as ``key=value``; none where it knows none.
        refused: why the data set does not open with them; "" where it does, or there are none.
    """

    name: str
    near: Near
    sets: tuple[str, ...] = ()
    refused: str = ""

    @property
    def opens(self) -> bool:
        """Whether there are options with which the data set opens."""
        return bool(self.sets) and not self.refused


def nearest(
    known: Registry, tried: Tried[T], open_as: Callable[[str, Sequence[str]], T], sets: Sequence[str]
) -> Nearest:
    """Return the layout that a folder, which no plugin reads, is nearest to: one that options open comes first."""
    nears = {name: near for name in tried.refused if (near := _near(known, name, tried.root))}
    found = [_tried_again(name, near, open_as, sets, known) for name, near in nears.items()]
    return max(found, key=lambda one: (one.opens, one.near.share), default=Nearest("", NOTHING))


def _tried_again(
    name: str, near: Near, open_as: Callable[[str, Sequence[str]], T], sets: Sequence[str], known: Registry
) -> Nearest:
    """Open a data set with the options that it proposes, where it does."""
    given = assignments(near.options)
    if not given:
        return Nearest(name, near)
    try:
        open_as(name, [*given, *sets])
    except Exception as error:
        return Nearest(name, near, given, str(error) if isinstance(error, KpError) else reason(error, known))
    return Nearest(name, near, given)


def unread(known: Registry, tried: Tried[T], found: Nearest, verbose: bool) -> KpError:
    """Return the error for a folder that no plugin reads: the nearest layout, what is missing, and a command."""
    if not tried.refused:
        return KpError(f"{tried.root}: no data set plugin reads it; no data set plugin is installed")
    what = f"nearest is {found.name}: {_summary(known, found.name)}" if found.name else "it is like no known layout"
    hint = "" if verbose else f" (--verbose: why each of {len(tried.refused)} refuses)"
    reasons = [f"{name}: {why}" for name, why in tried.refused.items()] if verbose else []
    lines = [_missing(tried, found), _command(tried.root, found), *reasons]
    return KpError(f"{tried.root}: no data set plugin reads it; {what}{hint}", lines)


def _missing(tried: Tried[T], found: Nearest) -> str:
    """Say what is not there; where all is there, or named by options, what the data set itself says."""
    if found.refused:
        return f"with the options below it says: {found.refused}"
    if found.near.missing:
        return f"missing: {found.near.missing}"
    return f"it says: {tried.refused[found.name]}"


def _command(root: Path, found: Nearest) -> str:
    words = [COMMAND, shlex.quote(str(root)), "--dataset", found.name or "named"]
    options = [word for one in found.sets for word in ("--set", shlex.quote(one))]
    return f"{'this reads it' if found.opens else 'then try'}: {' '.join([*words, *options])}"


def _summary(known: Registry, name: str) -> str:
    """Return the first sentence of a data set's description."""
    text = " ".join((known.component("dataset", name).__doc__ or "").partition("\n\n")[0].replace("``", "").split())
    return text.partition(". ")[0].rstrip(".")


def _near(known: Registry, name: str, root: Path) -> Near | None:
    """Ask a data set; one that fails says nothing."""
    with suppress(Exception):
        found = known.component("dataset", name).near(root)
        return found if isinstance(found, Near) else None
    return None


def assignments(options: Mapping[str, object]) -> tuple[str, ...]:
    """Return options as ``--set`` takes them; quoted only where TOML would read something else."""
    return tuple(f"{key}={_value(value)}" for key, value in options.items())


def _value(value: object) -> str:
    """Return a value as the right side of an assignment."""
    if isinstance(value, str) and parse_set(f"key={value}") == {"key": value}:
        return value
    return json.dumps(value, ensure_ascii=False)
