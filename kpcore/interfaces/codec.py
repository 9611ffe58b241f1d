"""Codec: points to targets, targets to loss, predictions to points. It maps between input and heatmap pixels."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from kpcore.interfaces.component import Component


@dataclass(frozen=True)
class Targets:
    """What a loss compares a prediction with.

    Args:
        maps: (B, channels(K), h, w), or whatever the codec's own loss reads; axis 1 is laid out by keypoints.
        weights: (B, K) in [0, 1]: how much each keypoint counts (0 where it is not to be learned).
    """

    maps: Tensor
    weights: Tensor


class Codec(Component):
    """Encodes and decodes in one object; every method is batched and runs on the tensors' device."""

    @property
    @abstractmethod
    def dims(self) -> int:
        """2 or 3: dimensions of the points that it decodes."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Channels a keypoint: keypoint k owns channels k * width to (k + 1) * width. 1 for 2D heatmaps."""

    def channels(self, keypoints: int) -> int:
        """Channels of a prediction of that many keypoints."""
        return keypoints * self.width

    def channel_slice(self, keypoint: int) -> slice:
        """Channels of the keypoint at this place of its set."""
        return slice(keypoint * self.width, (keypoint + 1) * self.width)

    @abstractmethod
    def encode(self, points: Tensor, state: Tensor, size: tuple[int, int], stride: int) -> Targets:
        """Draw targets.

        Args:
            points: (B, K, D) input pixels; z in input pixels relative to the root. Anything where unlabelled.
            state: (B, K) integer, as in :mod:`kpcore.tensors`.
            size: (h, w) of the prediction.
            stride: input pixels per prediction pixel.
        """

    @abstractmethod
    def loss(self, prediction: Tensor, targets: Targets) -> Tensor:
        """Return the scalar loss of one stage, float32. ``prediction``: (B, channels(K), h, w)."""

    @abstractmethod
    def decode(self, prediction: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        """Return points (B, K, D) in input pixels and a confidence (B, K)."""

    def merge(self, prediction: Tensor, flipped: Tensor) -> Tensor:
        """Combine a prediction with that of the mirrored image, already mirrored back (flip test): their mean."""
        return (prediction + flipped) / 2
