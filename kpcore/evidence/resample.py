"""The cluster bootstrap: scores of ten thousand draws of the images, by products of matrices.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 6; clusters: Davison and Hinkley, Bootstrap
Methods and their Application (1997), sec. 3.8. Drawing clusters keeps together what is not independent: the people of
one image, the frames of one video.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kpcore.draws import Clusters, draws
from kpcore.tensors import Float64Array
from kpcore.terms import ratios

RESAMPLES = 10_000


def resampled(
    numerators: Float64Array,
    denominators: Float64Array,
    clusters: Clusters,
    scores: Callable[[Float64Array], Float64Array],
    resamples: int = RESAMPLES,
) -> Float64Array:
    """Return (B, R, S) scores of R rows on every draw of the clusters, the same draws for all rows.

    Args:
        numerators: (R, N, T), as in :class:`~kpcore.terms.Terms`.
        denominators: (R, N, T), or (1, N, T) where all rows have the same.
        clusters: of the N samples.
        scores: makes (..., S) scores of (..., T) ratios.
        resamples: B.
    """
    above, below = (_by_cluster(values, clusters) for values in (numerators, denominators))
    blocks = []
    for counts in draws(len(clusters), resamples):
        weights = counts.astype(np.float64)
        tops, bottoms = (_drawn(weights, sums) for sums in (above, below))
        blocks.append(scores(ratios(tops, bottoms)))
    return np.concatenate(blocks)


def _by_cluster(values: Float64Array, clusters: Clusters) -> Float64Array:
    """Return (C, R, T) sums of (R, N, T) values."""
    return clusters.sums(np.ascontiguousarray(values.transpose(1, 0, 2)))


def _drawn(weights: Float64Array, sums: Float64Array) -> Float64Array:
    """Return (b, R, T) sums over each of b draws."""
    flat = weights @ sums.reshape(len(sums), -1)
    return flat.reshape(len(weights), *sums.shape[1:])


def same(arrays: Sequence[Float64Array]) -> bool:
    """Whether all are equal, as the denominators are of rows that are scored on the same labels."""
    return all(np.array_equal(arrays[0], other) for other in arrays[1:])
