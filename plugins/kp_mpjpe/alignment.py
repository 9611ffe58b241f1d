"""Fitting N predicted bodies to N true ones before they are compared.

Everything is batched over people: points are (N, K, 3), ``common`` is (N, K) and true where a person's keypoint is both
labelled and predicted. Only those decide a fit; the others are moved along.
"""

from __future__ import annotations

import numpy as np

from kpcore.tensors import AnyArray, Float64Array

FEWEST = 3
"""Common keypoints that a person needs for :func:`procrustes`: two points can always be laid onto two others."""


def relative_to(points: Float64Array, place: int) -> Float64Array:
    """Return the points seen from the keypoint at this place of the set, (N, K, 3)."""
    return np.asarray(points - points[:, place : place + 1])


def scaled(predicted: Float64Array, truth: Float64Array, common: AnyArray) -> Float64Array:
    """Return the prediction times the factor that brings it closest to the truth in squared distance, about the origin.

    Source: Rhodin et al., Unsupervised Geometry-Aware Representation for 3D Human Pose Estimation (ECCV 2018), N-MPJPE.
    A factor below 0 would turn the body inside out; it is 0 then, and where the prediction has no size.

    Args:
        predicted: (N, K, 3), both relative to the root.
        truth: (N, K, 3).
        common: (N, K).
    """
    mine, theirs = _only(unit(predicted, common), common), _only(truth, common)
    size = (mine**2).sum((1, 2))
    factor = _ratio((mine * theirs).sum((1, 2)), size).clip(0)
    return np.asarray(factor[:, None, None] * unit(predicted, common))


def procrustes(predicted: Float64Array, truth: Float64Array, common: AnyArray) -> Float64Array:
    """Return the prediction, rotated, scaled and moved so that it comes closest to the truth in squared distance.

    Source: Gower, Generalized Procrustes Analysis (Psychometrika 1975); the guard against reflections is Umeyama's,
    Least-Squares Estimation of Transformation Parameters Between Two Point Patterns (PAMI 1991), eq. 39-43.

    Args:
        predicted: (N, K, 3).
        truth: (N, K, 3).
        common: (N, K).
    """
    predicted = unit(predicted, common)
    middle, target = centroid(predicted, common), centroid(truth, common)
    mine, theirs = _only(predicted - middle, common), _only(truth - target, common)
    u, singular, vt = np.linalg.svd(np.einsum("nki,nkj->nij", theirs, mine))
    signs = np.ones_like(singular)
    signs[:, 2] = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    rotation = (u * signs[:, None]) @ vt
    factor = _ratio((singular * signs).sum(1), (mine**2).sum((1, 2)))
    turned = np.einsum("nij,nkj->nki", rotation, predicted - middle)
    return np.asarray(factor[:, None, None] * turned + target)


def centroid(points: Float64Array, common: AnyArray) -> Float64Array:
    """Return the mean of each person's common keypoints, (N, 1, 3); 0 where there are none."""
    total = _only(points, common).sum(1, keepdims=True)
    return np.asarray(total / np.maximum(common.sum(1), 1)[:, None, None])


def unit(points: Float64Array, common: AnyArray) -> Float64Array:
    """Return each person's points over their largest coordinate, so that no square of one overflows."""
    largest = np.abs(_only(points, common)).max((1, 2))
    return np.asarray(points / np.where(largest > 0, largest, 1.0)[:, None, None])


def _only(points: Float64Array, common: AnyArray) -> Float64Array:
    return np.where(common[..., None], points, 0.0)


def _ratio(above: Float64Array, below: Float64Array) -> Float64Array:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
