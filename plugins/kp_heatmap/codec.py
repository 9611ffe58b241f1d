"""The codec: Gaussian targets, two losses, three ways to read a peak."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from kp_heatmap.drawing import Brush, inside, nearest_pixel
from kp_heatmap.mapping import to_heatmap, to_input
from kp_heatmap.peaks import Peaks, dark_offsets, quarter_offsets
from kpcore.interfaces import Codec, ComponentConfig, Targets
from kpcore.tensors import UNLABELLED

Loss = Literal["mse", "cross_entropy"]
Unlabelled = Literal["zero", "ignore"]
Decode = Literal["quarter", "dark", "argmax"]


class GaussianHeatmap(Codec):
    """One map a keypoint, with a Gaussian at the keypoint.

    Loss ``mse`` (the paper's) is the mean squared error to Gaussians of height 1; every labelled keypoint counts, even
    where only its Gaussian's flank, or nothing, reaches into the crop. Loss ``cross_entropy`` reads a map as logits
    over its pixels and compares with a Gaussian of sum 1; only labelled keypoints inside the map count.

    A flip test averages maps: for ``cross_entropy`` logits, so the geometric mean of the two distributions, normalised.

    Args:
        sigma: the Gaussian's standard deviation, heatmap pixels. Newell's text says 1, his code draws 1.75.
        loss: as above.
        unlabelled: with ``mse``, an unlabelled keypoint is an all-zero target that counts (Newell), or is ignored.
        decode: ``quarter`` moves the argmax a quarter pixel towards the larger neighbour, ``dark`` to the maximum of a
            quadratic through the log of the blurred map, ``argmax`` not at all.
        subpixel: False moves a centre to the middle of its heatmap pixel, as Newell's encoder does.
        patch: side of the square that is drawn, odd, heatmap pixels (Newell: 7); None for the whole map.
    """

    class Config(ComponentConfig):
        """Options of ``[codec] name = "heatmap"``."""

        sigma: float = Field(default=1.75, gt=0, description="standard deviation of the Gaussian, heatmap pixels")
        loss: Loss = Field(default="mse", description="mse is the paper's; cross_entropy learns far faster")
        unlabelled: Unlabelled = Field(
            default="ignore", description="mse: unlabelled keypoints are ignored, or an all-zero target that counts"
        )
        decode: Decode = Field(default="quarter", description="how a peak is refined to a fraction of a pixel")
        subpixel: bool = Field(default=True, description="false moves a centre to the middle of its heatmap pixel")
        patch: int | None = Field(
            default=None,
            ge=1,
            description="side of the square that is drawn, odd (Newell: 7); the whole map where absent",
        )

        @field_validator("patch")
        @classmethod
        def _odd(cls, patch: int | None) -> int | None:
            if patch is not None and patch % 2 == 0:
                raise ValueError(f"needs an odd number, so that the patch has a middle pixel; take {patch + 1}")
            return patch

        @model_validator(mode="after")
        def _has_target(self) -> GaussianHeatmap.Config:
            if self.loss == "cross_entropy" and self.unlabelled == "zero":
                raise ValueError(
                    "unlabelled = 'zero' cannot go with loss = 'cross_entropy': a softmax over the map's pixels sums"
                    " to 1 and has no all-zero target; write unlabelled = 'ignore', or loss = 'mse'"
                )
            return self

    def __init__(
        self, *, sigma: float, loss: Loss, unlabelled: Unlabelled, decode: Decode, subpixel: bool, patch: int | None
    ) -> None:
        self._brush = Brush(sigma, patch)
        self._loss = loss
        self._unlabelled = unlabelled
        self._decode = decode
        self._subpixel = subpixel

    @property
    def dims(self) -> int:
        """2."""
        return 2

    @property
    def width(self) -> int:
        """1: one map a keypoint."""
        return 1

    def encode(self, points: Tensor, state: Tensor, size: tuple[int, int], stride: int) -> Targets:
        """Draw (B, K, h, w) float32 maps and (B, K) float32 weights of 0 or 1; see :meth:`Codec.encode`.

        A keypoint of weight 0 has an all-zero map.
        """
        labelled = state != UNLABELLED
        centres = to_heatmap(points.float(), stride)
        if not self._subpixel:
            centres = nearest_pixel(centres)
        if self._loss == "cross_entropy":
            labelled = labelled & inside(centres, size)
        centres = torch.where(labelled.unsqueeze(-1), centres, 0.0)  # whatever was there, NaN too
        draw = self._brush.peaked if self._loss == "mse" else self._brush.normalised
        maps = draw(centres, size) * labelled[..., None, None]
        counted = torch.ones_like(labelled) if self._unlabelled == "zero" else labelled
        return Targets(maps, counted.float())

    def loss(self, prediction: Tensor, targets: Targets) -> Tensor:
        """Return the weighted mean of the keypoints' losses, a float32 scalar; 0 with a graph where none counts.

        Args:
            prediction: (B, K, h, w), of any float type; the loss is computed in float32.
            targets: as returned by :meth:`encode`.
        """
        each = _squared_error if self._loss == "mse" else _cross_entropy
        weights = targets.weights
        losses = each(prediction.float(), targets.maps) * weights  # (B, K)
        return losses.sum() / weights.sum().clamp(min=1e-6)

    def decode(self, prediction: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        """Return (B, K, 2) input pixels and (B, K) the peak's value (``mse``) or probability (``cross_entropy``).

        Args:
            prediction: (B, K, h, w), of any float type.
            stride: input pixels a heatmap pixel.
        """
        maps = prediction.float()
        if self._loss == "cross_entropy":
            maps = maps.flatten(2).softmax(-1).view_as(maps)
        peaks = Peaks.of(maps)
        return to_input(peaks.places + self._offsets(peaks), stride), peaks.heights

    def _offsets(self, peaks: Peaks) -> Tensor:
        if self._decode == "quarter":
            return quarter_offsets(peaks)
        if self._decode == "dark":
            return dark_offsets(peaks, self._brush.sigma)
        return torch.zeros_like(peaks.places, dtype=torch.float32)


def _squared_error(prediction: Tensor, maps: Tensor) -> Tensor:
    """Return (B, K): the mean over each map."""
    return (prediction - maps).square().mean((2, 3))


def _cross_entropy(prediction: Tensor, maps: Tensor) -> Tensor:
    """Return (B, K): of the softmax over each map's pixels against the target, in nats."""
    return -(maps * prediction.flatten(2).log_softmax(-1).view_as(maps)).sum((2, 3))
