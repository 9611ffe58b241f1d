"""The data of a first study: opened with as few options as it needs, in a part to train on and one to score."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from kpcore.config import Toml, parse_options
from kpcore.errors import KpError
from kpcore.interfaces import Dataset
from kpcore.registry import Registry
from kpcore.samples import Instances
from kpcore.study import recognise
from kpcore.study.data import Notice
from kpcore.study.source import Opened, open_named

SHARES = (0.2, 0.3, 0.5)
"""Of the images, held out where the data has one part: the first that leaves samples on both sides."""
HELD_OUT = "held_out"
FEW = 50
"""Scored samples below which a warning is due."""

TOLD = 6
"""Findings of the data that are said, at most; 'kp data check' says all."""


@dataclass(frozen=True, eq=False)
class First:
    """The data of a first study.

    Args:
        name: of the data set's plugin.
        options: of its table, without the root.
        root: absolute.
        dataset: open.
        notes: what was found out and assumed, a line each.
    """

    name: str
    options: Toml
    root: Path
    dataset: Dataset
    notes: tuple[str, ...] = ()

    @cached_property
    def train(self) -> Instances:
        """What is trained on."""
        return Instances.of(self.dataset.samples("train"))

    @cached_property
    def everybody(self) -> Instances:
        """What is trained on and what is scored."""
        return Instances.of([*self.dataset.samples("train"), *self.dataset.samples("valid")])

    @property
    def scored(self) -> int:
        """How many samples are scored."""
        return len(self.dataset.samples("valid"))

    @property
    def side(self) -> float:
        """The crop's side, px, at the middle of the samples."""
        return float(np.median(self.train.side))


def open_first(known: Registry, root: Path, name: str | None, sets: Sequence[str], notice: Notice) -> First:
    """Open a folder as the data set of that name, or as the one that reads it.

    Raises:
        KpError: it is no folder, no data set or several read it, or no samples can be had on both sides.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise KpError(f"{root}: {what}; kp init takes the folder of your data, the one that 'kp data check' reads")
    chosen, found = (name, tuple(sets)) if name is not None else _recognised(known, root, sets, notice)
    first = _opened(known, root, chosen, found)
    shares = () if HELD_OUT in parse_options(sets, "dataset") else _with_shares(known, first, found)
    both = next((one for one in chain((first,), shares) if _sides(one) == ["train", "valid"]), None)
    if both is None:
        raise _one_sided(first)
    counts = f"{len(both.train):,} samples to train on, {both.scored:,} to score"
    few = f"{both.scored} scored samples tell only large differences apart; label more of them" * (both.scored < FEW)
    return replace(both, notes=(*both.notes, counts, *([few] if few else []), *_told(both.dataset)))


def _told(dataset: Dataset) -> list[str]:
    """Return what the data set itself has to say of the part that is trained on, an entry a finding."""
    return [f"of the data: {finding.what}" for finding in dict.fromkeys(dataset.findings("train"))][:TOLD]


def _recognised(known: Registry, root: Path, sets: Sequence[str], notice: Notice) -> tuple[str, tuple[str, ...]]:
    """Return the data set that reads a folder, and its options; those that a layout nearby proposes where none does."""

    def open_as(name: str, given: Sequence[str]) -> Opened:
        return open_named(known, name, root, given)

    tried = recognise.try_all(known, root, open_as, sets)
    if len(tried.opened) > 1:
        lines = [f"kp init {shlex.quote(str(root))} --dataset {name}" for name in tried.opened]
        raise KpError(f"{root}: can be read as {', '.join(tried.opened)}; say which with --dataset", lines)
    for name in tried.opened:
        return name, tuple(sets)
    near = recognise.nearest(known, tried, open_as, sets)
    if not near.opens:
        raise recognise.unread(known, tried, near, verbose=False)
    notice(f"Read as '{near.name}' with {', '.join(near.sets)}.")
    return near.name, (*near.sets, *sets)


def _opened(known: Registry, root: Path, name: str, sets: Sequence[str]) -> First:
    options = {key: value for key, value in parse_options(sets, "dataset").items() if key != "root"}
    dataset = open_named(known, name, root, sets).dataset
    notes = [f"read as '{name}': {len(dataset.skeleton.names)} keypoints, {dataset.skeleton.dims}D"]
    return First(name, options, root.expanduser().absolute(), dataset, tuple(notes))


def _with_shares(known: Registry, first: First, sets: Sequence[str]) -> Iterator[First]:
    """Yield the data with shares held out, where the data set knows that option."""
    if HELD_OUT not in known.component("dataset", first.name).Config.model_fields:
        return
    for share in SHARES:
        note = f"{share:g} of the images are held out to be scored, drawn by their names: {HELD_OUT} = {share:g}"
        again = _opened(known, first.root, first.name, [*sets, f"{HELD_OUT}={share}"])
        yield replace(again, notes=(*again.notes, note))


def _sides(first: First) -> list[str]:
    """Return the parts of a study that have samples."""
    return [part for part in ("train", "valid") if part in first.dataset.parts and first.dataset.samples(part)]


def _one_sided(first: First) -> KpError:
    there = _sides(first)
    lost = " and ".join(part for part in ("train", "valid") if part not in there)
    return KpError(
        f"{first.root}: '{first.name}' has no samples in part {lost} (its parts: {', '.join(first.dataset.parts)}); a"
        " study trains on 'train' and scores 'valid': see 'kp data check', or set options with --set"
    )
