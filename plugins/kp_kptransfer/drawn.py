"""Random splits: groups of keypoints drawn by a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import count as count_from
from math import comb

import numpy as np
from pydantic import Field

from kp_kptransfer.selection import steps
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Split
from kpcore.keypoints import KeypointSplit, Skeleton

Unit = tuple[str, ...]


class RandomSplits(Split):
    """Random splits "random0", "random1", ...: all different, S1 and S2 without overlap.

    What is drawn are groups, joined where mirror partners belong to different groups, so that no mirror pair is cut.
    A draw depends on seed, number and keypoint names alone: asking for more splits keeps the first ones.

    Args:
        count: number of splits.
        source: number of groups in S1.
        target: number of groups in S2.
        seed: another seed, other splits.
    """

    class Config(ComponentConfig):
        """Options of ``[split] name = "random"``."""

        count: int = Field(default=4, ge=1, le=1000, description="number of splits")
        source: int = Field(default=4, ge=1, description="keypoint groups in S1")
        target: int = Field(default=4, ge=1, description="keypoint groups in S2")
        seed: int = Field(default=0, description="another seed, other splits")

    def __init__(self, *, count: int, source: int, target: int, seed: int) -> None:
        self._count = count
        self._source = source
        self._target = target
        self._seed = seed

    def splits(self, skeleton: Skeleton, others: Mapping[str, Skeleton]) -> Sequence[KeypointSplit]:
        """Return the splits; raises KpError where the skeleton has too few groups for so many different ones."""
        del others  # a rule within one data set
        units = mirror_units(skeleton)
        self._check(units, skeleton)
        found: dict[tuple[frozenset[Unit], frozenset[Unit]], KeypointSplit] = {}
        for order in _orders(units, self._seed):
            source, target = order[: self._source], order[self._source : self._source + self._target]
            name = f"random{len(found)}"
            sets = [[point for unit in chosen for point in unit] for chosen in (source, target)]
            found.setdefault(
                (frozenset(source), frozenset(target)), KeypointSplit(name, steps(skeleton, sets, where=name))
            )
            if len(found) == self._count:
                break
        return list(found.values())

    def _check(self, units: Sequence[Unit], skeleton: Skeleton) -> None:
        possible = comb(len(units), self._source) * comb(max(0, len(units) - self._source), self._target)
        if possible < self._count:
            raise KpError(
                f"split: {self._count} random splits with source = {self._source} and target = {self._target} groups"
                f" were asked for, but the {len(units)} groups of skeleton '{skeleton.name}' (mirror pairs kept"
                f" together) allow {possible}; lower split.count, split.source or split.target"
            )


def mirror_units(skeleton: Skeleton) -> list[Unit]:
    """Return the skeleton's groups, joined where a mirror pair spans two of them; keypoints in skeleton order."""
    from scipy.sparse.csgraph import connected_components  # a moment to import, which other rules need not wait for

    groups = [point.group for point in skeleton.keypoints]
    same = np.array([[group == other for other in groups] for group in groups])
    mirrored = np.array([[point.mirror == other for other in skeleton.names] for point in skeleton.keypoints])
    number, labels = connected_components(same | mirrored, directed=False)
    return [tuple(skeleton.names[place] for place in np.flatnonzero(labels == unit)) for unit in range(number)]


def _orders(units: Sequence[Unit], seed: int) -> Iterator[list[Unit]]:
    """Yield shuffled orders without end. A hash, unlike a generator, is the same in every library version."""
    for number in count_from():
        yield sorted(units, key=lambda unit: hashlib.sha256(f"{seed}/{number}/{'/'.join(unit)}".encode()).digest())
