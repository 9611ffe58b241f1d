"""From maps to peaks, to a fraction of a heatmap pixel. Everything is batched; ties go to the first pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-10
"""Least value whose logarithm is taken (Zhang et al.'s choice): raw maps have negative pixels."""


@dataclass(frozen=True)
class Peaks:
    """Argmax of every map.

    Args:
        maps: (B, K, h, w) float32.
        places: (B, K, 2) int64, x first.
        heights: (B, K) value there.
    """

    maps: Tensor
    places: Tensor
    heights: Tensor

    @classmethod
    def of(cls, maps: Tensor) -> Peaks:
        """Find the highest pixel of each (h, w) map."""
        heights, index = maps.flatten(2).max(-1)
        width = maps.shape[-1]
        places = torch.stack((index % width, index.div(width, rounding_mode="floor")), -1)
        return cls(maps, places, heights)

    def away_from_border(self, margin: int = 1) -> Tensor:
        """Return (B, K, 1), true where at least ``margin`` pixels lie between the peak and every end of the map."""
        height, width = self.maps.shape[-2:]
        x, y = self.places.unbind(-1)
        across = (x >= margin) & (x < width - margin)
        down = (y >= margin) & (y < height - margin)
        return (across & down).unsqueeze(-1)

    def around(self, radius: int) -> Tensor:
        """Return (B, K, n, n) the pixels around each peak, n = 2 * radius + 1; zero where off the map."""
        padded = F.pad(self.maps, [radius] * 4)
        steps = torch.arange(2 * radius + 1, device=padded.device)
        rows = self.places[..., 1, None] + steps  # (B, K, n)
        columns = self.places[..., 0, None] + steps
        index = rows.unsqueeze(-1) * padded.shape[-1] + columns.unsqueeze(-2)
        return padded.flatten(2).gather(2, index.flatten(2)).view_as(index)


def quarter_offsets(peaks: Peaks) -> Tensor:
    """Return (B, K, 2): a quarter pixel towards the larger neighbour on each axis (Newell), 0 on the border."""
    near = peaks.around(1)
    slope = torch.stack((near[..., 1, 2] - near[..., 1, 0], near[..., 2, 1] - near[..., 0, 1]), -1)
    return torch.where(peaks.away_from_border(), slope.sign() / 4, 0.0)


def dark_offsets(peaks: Peaks, sigma: float) -> Tensor:
    """Return (B, K, 2): the maximum of a quadratic through the logarithm of the blurred map, at most 1 pixel away.

    Where the quadratic has no maximum, or the peak is within ``sigma`` of the border (there the blur misses part of a
    Gaussian and would be wrong by up to 0.4 pixels), it is :func:`quarter_offsets`. Blurring with the targets' own
    ``sigma`` smooths noise and leaves a Gaussian's centre where it is.

    Source: Zhang et al., Distribution-Aware Coordinate Representation for Human Pose Estimation (CVPR 2020), eq. 9.
    """
    log = _blurred(peaks, sigma).clamp(min=FLOOR).log()  # (B, K, 3, 3)
    dx, dy = (log[..., 1, 2] - log[..., 1, 0]) / 2, (log[..., 2, 1] - log[..., 0, 1]) / 2
    dxx = log[..., 1, 2] - 2 * log[..., 1, 1] + log[..., 1, 0]
    dyy = log[..., 2, 1] - 2 * log[..., 1, 1] + log[..., 0, 1]
    dxy = (log[..., 2, 2] - log[..., 2, 0] - log[..., 0, 2] + log[..., 0, 0]) / 4
    determinant = dxx * dyy - dxy.square()
    maximum = (determinant > 0) & (dxx < 0)
    step = torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), -1)
    step = step / torch.where(maximum, determinant, 1.0).unsqueeze(-1)
    refined = maximum.unsqueeze(-1) & peaks.away_from_border(math.ceil(sigma))
    return torch.where(refined, step.clamp(-1, 1), quarter_offsets(peaks))


def _blurred(peaks: Peaks, sigma: float) -> Tensor:
    """Return (B, K, 3, 3): the map around each peak, blurred with a Gaussian that is cut off at three sigma."""
    radius = math.ceil(3 * sigma)
    steps = torch.arange(-radius, radius + 1, device=peaks.maps.device)
    weights = (steps.square() / (-2 * sigma**2)).softmax(0)
    # Sums of products, no convolution: that would round to bf16 or TF32 under autocast and on newer GPUs.
    rows = (peaks.around(radius + 1).unfold(2, len(steps), 1) * weights).sum(-1)  # (B, K, 3, n)
    return (rows.unfold(3, len(steps), 1) * weights).sum(-1)
