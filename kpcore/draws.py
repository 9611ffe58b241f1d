"""Drawing clusters of samples with replacement: how often each is drawn, the same for everybody who asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from kpcore.tensors import AnyArray, Float64Array

SEED = 20190308
"""Of all draws, so that two runs of one study print the same intervals."""
AT_ONCE = 1 << 22
"""Entries of a block of counts: 32 MB of float64."""
KEPT = 1 << 26
"""Entries of draws that are kept, a byte each, for whoever asks next: ten thousand of 6,700 images."""

ClusterKind = Literal["image", "video"]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which samples belong together: those of one image, or of one video.

    Args:
        kind: what a cluster is; "video" where names tell the video of any sample.
        of: (N,) int64, each sample's cluster, counted from 0 in the order of first appearance.
    """

    kind: ClusterKind
    of: AnyArray

    def __len__(self) -> int:
        return int(self.of.max()) + 1 if self.of.size else 0

    def sums(self, values: Float64Array) -> Float64Array:
        """Return (C, ...) sums over each cluster of (N, ...) values."""
        found = np.zeros((len(self), *values.shape[1:]))
        np.add.at(found, self.of, values)
        return found


def draws(clusters: int, resamples: int, seed: int = SEED) -> Iterator[AnyArray]:
    """Yield blocks (b, C) of how often each of C clusters is drawn, C draws with replacement a row, uint8.

    The blocks have ``resamples`` rows together. They depend on nothing but the arguments, so that all rows of a study
    see the same draws, and differences are paired.
    """
    yield from _kept(clusters, resamples, seed) if clusters * resamples <= KEPT else _blocks(clusters, resamples, seed)


@lru_cache(maxsize=1)
def _kept(clusters: int, resamples: int, seed: int) -> tuple[AnyArray, ...]:
    return tuple(_blocks(clusters, resamples, seed))


def _blocks(clusters: int, resamples: int, seed: int) -> Iterator[AnyArray]:
    random = np.random.default_rng(seed)
    rows = max(1, AT_ONCE // clusters)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = random.integers(0, clusters, (count, clusters), np.int64)
        drawn += np.arange(count)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=count * clusters)
        yield counts.astype(np.uint8).reshape(count, clusters)  # one cluster 256 times has no chance among many
