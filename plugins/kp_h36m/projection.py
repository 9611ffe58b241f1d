"""Millimetres to pixels: weak perspective at the root's distance."""

from __future__ import annotations

import numpy as np

from kp_h36m.skeleton import ROOT
from kpcore.tensors import AnyArray, Float64Array

PLAUSIBLE = (1e-3, 1e4)
"""Millimetres a pixel: Human3.6M's are about 3 to 7."""
ODD_FIT = 0.2
"""Share of the body's size in the picture that the fitted joints miss by, beyond which space and picture disagree."""


def fitted(pixels: Float64Array, space: Float64Array, labelled: AnyArray) -> tuple[Float64Array, Float64Array]:
    """Fit millimetres a pixel by least squares, person by person.

    With p the joints in the picture and q their x and y in the camera's space, both seen from the root, s minimises
    the sum of (p - s q)^2 over the labelled joints, and a pixel is 1/s millimetres.

    Args:
        pixels: (N, 17, 2) px.
        space: (N, 17, 3) mm, in the camera's axes: x right, y down, z away.
        labelled: (N, 17) bool.

    Returns:
        (N,) mm a pixel, NaN where nothing fits with s > 0; and (N,) the root of the mean squared miss over that of p.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        here = np.where(labelled[..., None], pixels - pixels[:, [ROOT]], 0)
        there = np.where(labelled[..., None], (space - space[:, [ROOT]])[..., :2], 0)
        factor = (here * there).sum((1, 2)) / np.square(there).sum((1, 2))
        missed = np.square(here - factor[:, None, None] * there).sum((1, 2)) / np.square(here).sum((1, 2))
        scale = np.where(factor > 0, 1 / factor, np.nan)
    return np.where(labelled[:, ROOT] & np.isfinite(scale), scale, np.nan), np.sqrt(missed)


def by_camera(space: Float64Array, intrinsics: Float64Array) -> Float64Array:
    """Return (N,) mm a pixel at the root's distance: its depth over the mean focal length; NaN without a depth.

    Args:
        space: (N, 17, 3) mm from the camera, not from the root.
        intrinsics: (N, 3, 3) px.
    """
    depth, focal = space[:, ROOT, 2], (intrinsics[:, 0, 0] + intrinsics[:, 1, 1]) / 2
    known = np.isfinite(depth) & (depth > 0) & np.isfinite(focal) & (focal > 0)
    scale: Float64Array = np.divide(depth, focal, out=np.full(len(depth), np.nan), where=known)
    return scale


def plausible(mm_per_px: Float64Array) -> Float64Array:
    """Return the same, NaN where no camera could have taken the picture."""
    low, high = PLAUSIBLE
    return np.where((mm_per_px > low) & (mm_per_px < high), mm_per_px, np.nan)


def relative_depth(space: Float64Array, mm_per_px: Float64Array) -> Float64Array:
    """Return (N, 17): depth from the root, px."""
    with np.errstate(invalid="ignore", over="ignore"):
        depth: Float64Array = (space[..., 2] - space[:, [ROOT], 2]) / mm_per_px[:, None]
    return depth


def size_of(space: Float64Array, labelled: AnyArray) -> float:
    """Return the median over people of the farthest labelled joint's distance from the root, in the file's unit."""
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.where(labelled, np.linalg.norm(space - space[:, [ROOT]], axis=-1), 0)
    reach = np.nanmax(away, axis=1, initial=0.0)
    reach = reach[labelled[:, ROOT] & (reach > 0)]
    return float(np.median(reach)) if len(reach) else float("nan")
