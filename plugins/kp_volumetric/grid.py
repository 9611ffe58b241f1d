"""The volume: where its voxels lie in the input, and the means of distributions over it.

x and y are heatmap pixels, as for flat heatmaps: h = (x + 0.5) / stride - 0.5, with pixel centres at integers. z is
depth relative to the root; the bins divide the volume's depth evenly, the root's own depth lies in the middle, between
two bins where their number is even. Along every axis voxel i covers i - 0.5 to i + 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """A volume over a square or oblong input.

    Args:
        bins: voxels along z.
        depth: the volume's extent along z, in sides of the crop; the side is the input's width.
        size: (h, w) of the prediction.
        stride: input pixels a heatmap pixel.
    """

    bins: int
    depth: float
    size: tuple[int, int]
    stride: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        return (self.size[1], self.size[0], self.bins)

    @property
    def bin(self) -> float:
        """Input pixels a depth bin."""
        return self.depth * self.size[1] * self.stride / self.bins

    def to_voxels(self, points: Tensor) -> Tensor:
        """Return voxels (..., 3) of input pixels (..., 3)."""
        flat = (points[..., :2] + 0.5) / self.stride - 0.5
        z = points[..., 2:] / self.bin + (self.bins - 1) / 2
        return torch.cat((flat, z), -1)

    def to_input(self, voxels: Tensor) -> Tensor:
        """Return input pixels (..., 3) of voxels (..., 3)."""
        flat = (voxels[..., :2] + 0.5) * self.stride - 0.5
        z = (voxels[..., 2:] - (self.bins - 1) / 2) * self.bin
        return torch.cat((flat, z), -1)

    def inside(self, voxels: Tensor) -> Tensor:
        """Return (...), true where a voxel holds the point (..., 3)."""
        nearest = (voxels + 0.5).floor()
        x, y, z = nearest.unbind(-1)  # a tensor of the shape would be copied to a GPU while the host waits
        width, height, bins = self.shape
        return (nearest >= 0).all(-1) & (x < width) & (y < height) & (z < bins)


def extent_shares(voxels: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return voxels (..., 3) in shares of the extent, 0 to 1 from edge to edge; shape: of the grid, x first."""
    return torch.stack([(voxels[..., axis] + 0.5) / length for axis, length in enumerate(shape)], -1)


def volumes(prediction: Tensor, bins: int) -> Tensor:
    """Return a prediction (B, K * bins, h, w) as float32 volumes (B, K, bins, h, w)."""
    people, channels, height, width = prediction.shape
    return prediction.float().reshape(people, channels // bins, bins, height, width)


def distribution(volume: Tensor) -> Tensor:
    """Return the softmax over each volume's voxels, (B, K, Z, h, w)."""
    return volume.flatten(2).softmax(-1).view_as(volume)


def marginals(shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sums over the other two axes, along x, y and z: (B, K, w), (B, K, h), (B, K, Z)."""
    flat = shares.sum(2)
    return flat.sum(2), flat.sum(3), shares.sum((3, 4))


def mean(shares: Tensor) -> Tensor:
    """Return the mean voxel (B, K, 3) of distributions (B, K, Z, h, w), x first. No matmul: TF32 would round it."""
    return torch.stack([(along * _steps(along)).sum(-1) for along in marginals(shares)], -1)


def peak(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest voxel (B, K, 3) int64, x first, and its value (B, K); ties go to the first."""
    heights, index = shares.flatten(2).max(-1)
    _, _, _, height, width = shares.shape
    x, rest = index % width, index.div(width, rounding_mode="floor")
    return torch.stack((x, rest % height, rest.div(height, rounding_mode="floor")), -1), heights


def around(shares: Tensor, places: Tensor, radius: int) -> Tensor:
    """Return the distributions within ``radius`` voxels of the places (B, K, 3) along every axis, of sum 1 again."""
    _, _, bins, height, width = shares.shape
    near = [
        (torch.arange(length, device=shares.device) - places[..., axis, None]).abs() <= radius
        for axis, length in enumerate((width, height, bins))
    ]
    kept = shares * outer(*(mask.to(shares.dtype) for mask in near))
    return kept / kept.sum((2, 3, 4), keepdim=True)


def outer(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Return the product (B, K, Z, h, w) of (B, K, w), (B, K, h) and (B, K, Z)."""
    return z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]


def _steps(along: Tensor) -> Tensor:
    return torch.arange(along.shape[-1], device=along.device, dtype=along.dtype)
