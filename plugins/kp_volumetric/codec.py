"""The codec: a volume a keypoint, two losses, two ways to read a place from it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from kp_volumetric.grid import Grid, around, distribution, extent_shares, mean, peak, volumes
from kpcore.interfaces import Codec, ComponentConfig, Targets
from kpcore.tensors import UNLABELLED

Loss = Literal["integral", "cross_entropy"]
Decode = Literal["soft_argmax", "local"]


class Volumetric(Codec):
    """A volume of logits a keypoint: ``depth_bins`` channels, from near to far, at the heatmap's pixels.

    Its softmax over all voxels is read as where the keypoint is.

    ============= ================================================================================================
    loss          what is compared
    ============= ================================================================================================
    integral      the softmax's mean and the keypoint: mean of the three absolute differences, each as a share of the
                  volume's extent (Sun et al., Integral Human Pose Regression, ECCV 2018)
    cross_entropy the softmax and a Gaussian of sum 1 around the keypoint (the target is Pavlakos et al.'s,
                  Coarse-to-Fine Volumetric Prediction, CVPR 2017, who compare squares)
    ============= ================================================================================================

    Labelled keypoints inside the volume count; the mean of a distribution over the volume cannot leave it.

    A flip test averages logits, so the geometric mean of the two distributions, normalised. Mirroring and turning an
    image in its plane leave z alone; scaling it scales z.

    Args:
        depth_bins: voxels along z.
        depth: extent along z, in sides of the crop: 1 reaches half a side before and behind the root.
        loss: as above.
        sigma: of the Gaussian, voxels along every axis; ``cross_entropy`` only, and the reach of ``local``.
        decode: ``soft_argmax`` is the mean over the volume; ``local`` that over the voxels within three sigma of the
            highest, along every axis, so that a second, lower peak elsewhere does not pull.
    """

    class Config(ComponentConfig):
        """Options of ``[codec] name = "volumetric"``."""

        depth_bins: int = Field(default=64, ge=2, le=512, description="voxels along z: channels a keypoint")
        depth: float = Field(
            default=1.0, gt=0, le=100, description="extent along z in crop sides; half before, half behind the root"
        )
        loss: Loss = Field(
            default="integral", description="integral: of the mean (soft-argmax); cross_entropy: against a Gaussian"
        )
        sigma: float = Field(default=1.0, gt=0, le=100, description="standard deviation of the Gaussian, voxels")
        decode: Decode = Field(
            default="soft_argmax", description="mean over the whole volume, or (local) within 3 sigma of its peak"
        )

    def __init__(self, *, depth_bins: int, depth: float, loss: Loss, sigma: float, decode: Decode) -> None:
        self._bins = depth_bins
        self._depth = depth
        self._loss = loss
        self._sigma = sigma
        self._decode = decode

    @property
    def dims(self) -> int:
        """3."""
        return 3

    @property
    def width(self) -> int:
        """Depth bins: those of keypoint k are channels k * width to (k + 1) * width."""
        return self._bins

    def encode(self, points: Tensor, state: Tensor, size: tuple[int, int], stride: int) -> Targets:
        """Return the targets and (B, K) float32 weights of 0 or 1; see :meth:`Codec.encode`.

        ``maps`` are, for ``integral``, (B, K, 3) places as shares of the volume's extent, 0 to 1; for ``cross_entropy``
        (B, K, w + h + Z) the Gaussian's three factors, whose product it is: a whole volume would be thousands of times
        as large. Everything is 0 where the weight is.
        """
        grid = self._grid(size, stride)
        voxels = grid.to_voxels(points.float())
        counted = (state != UNLABELLED) & grid.inside(voxels)
        voxels = torch.where(counted.unsqueeze(-1), voxels, 0.0)  # whatever was there, NaN too
        maps = extent_shares(voxels, grid.shape) if self._loss == "integral" else self._gaussians(voxels, grid)
        return Targets(maps * counted.unsqueeze(-1), counted.float())

    def loss(self, prediction: Tensor, targets: Targets) -> Tensor:
        """Return the weighted mean of the keypoints' losses, a float32 scalar; 0 with a graph where none counts.

        Args:
            prediction: (B, K * Z, h, w), of any float type; the loss is computed in float32.
            targets: as returned by :meth:`encode`.
        """
        volume = volumes(prediction, self._bins)
        each = self._integral if self._loss == "integral" else self._cross_entropy
        losses = each(volume, targets.maps) * targets.weights  # (B, K)
        return losses.sum() / targets.weights.sum().clamp(min=1e-6)

    def decode(self, prediction: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        """Return (B, K, 3) input pixels, z relative to the root, and (B, K) the highest voxel's probability.

        Args:
            prediction: (B, K * Z, h, w), of any float type.
            stride: input pixels a heatmap pixel.
        """
        shares = distribution(volumes(prediction, self._bins))
        places, heights = peak(shares)
        if self._decode == "local":
            shares = around(shares, places, math.ceil(3 * self._sigma))
        grid = self._grid((prediction.shape[-2], prediction.shape[-1]), stride)
        return grid.to_input(mean(shares)), heights

    def _grid(self, size: tuple[int, int], stride: int) -> Grid:
        return Grid(self._bins, self._depth, size, stride)

    def _gaussians(self, voxels: Tensor, grid: Grid) -> Tensor:
        """Return the factors along x, y and z, each of sum 1, one after the other."""
        return torch.cat([self._gaussian(voxels[..., axis], length) for axis, length in enumerate(grid.shape)], -1)

    def _gaussian(self, centres: Tensor, length: int) -> Tensor:
        steps = torch.arange(length, device=centres.device, dtype=centres.dtype)
        # A softmax of the exponent cannot underflow to 0 / 0, however small sigma is.
        return ((steps - centres.unsqueeze(-1)).square() / (-2 * self._sigma**2)).softmax(-1)

    def _integral(self, volume: Tensor, shares: Tensor) -> Tensor:
        """Return (B, K): mean absolute difference of the softmax's mean, in shares of the extent."""
        bins, height, width = volume.shape[2:]
        found = extent_shares(mean(distribution(volume)), (width, height, bins))
        return (found - shares).abs().mean(-1)

    def _cross_entropy(self, volume: Tensor, factors: Tensor) -> Tensor:
        """Return (B, K): of the softmax against the Gaussian, in nats.

        The Gaussian has sum 1, so that the softmax's normalisation is taken once instead of at every voxel; its factors
        are summed away one axis after the other.
        """
        bins, height, width = volume.shape[2:]
        x, y, z = torch.split(factors, [width, height, bins], -1)
        rows = (volume * x[..., None, None, :]).sum(-1)  # (B, K, Z, h)
        expected = ((rows * y[..., None, :]).sum(-1) * z).sum(-1)
        return volume.flatten(2).logsumexp(-1) - expected
