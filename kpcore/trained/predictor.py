"""From crops to points: a trained network, its codec and the flip test. It knows no store and no data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kpcore.data.batches import normalised
from kpcore.data.sending import send
from kpcore.interfaces import Backbone, Codec
from kpcore.keypoints import KeypointSet
from kpcore.network import Network
from kpcore.training.compiling import uncompiled
from kpcore.training.device import Device

CPU_PIXELS = 8 * 256**2
"""Input pixels that go through a network at once on a CPU. With more, what a layer returns outgrows what the C library
keeps for the next (32 MB), and the system clears every page of it anew: an hourglass takes 1.7 times as long for a crop
in 32 of 256 px as in 8, and 2.5 times in 64 (docs/benchmarks.md)."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """What predicting needs besides crops.

    Args:
        network: trained, on the device.
        backbone: that it was built from: mean, std and stride.
        codec: that it was trained with.
        device: where it runs, in which precision.
        flip_test: average with the prediction on the mirrored crop.
    """

    network: Network
    backbone: Backbone
    codec: Codec
    device: Device
    flip_test: bool

    @property
    def keypoints(self) -> KeypointSet:
        """What is predicted: the last head's set, in its order."""
        return self.network.layout.heads[-1]

    def crops(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Predict crops (B, H, W, 3) uint8 RGB of a size that the backbone takes; returns as :meth:`inputs`.

        Where the network's output for a keypoint is no number, point and confidence are NaN: a codec still decodes it
        to some place.
        """
        self._evaluating()
        maps = self._in_parts(send(pixels, self.device.torch), lambda some: self._maps(self._normalised(some)))
        points, confidence = self.codec.decode(maps, self.backbone.stride)
        good = self.whole_numbers(maps)
        return (
            points.cpu().double().masked_fill(~good[..., None], torch.nan),
            confidence.cpu().double().masked_fill(~good, torch.nan),
        )

    def inputs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predict network inputs (B, 3, H, W) float32, on the device.

        Returns:
            Points (B, K, D) in input pixels and confidences (B, K), float64 on the CPU; K is :attr:`keypoints`'.
        """
        self._evaluating()
        points, confidence = self.codec.decode(self.maps(images), self.backbone.stride)
        return points.cpu().double(), confidence.cpu().double()

    def whole_numbers(self, maps: Tensor) -> Tensor:
        """Return for which keypoints all of a prediction (B, C, h, w) are numbers, (B, K) bool, on the CPU."""
        none = maps.sub(maps).sum((2, 3))  # 0, or NaN where one is no number or without end: 20 times as fast as to ask
        return (none == 0).view(len(maps), len(self.keypoints), self.codec.width).all(2).cpu()

    def maps(self, images: Tensor) -> Tensor:
        """Return what the codec decodes of network inputs (B, 3, H, W): the last prediction, float32, on the device.

        With the flip test, image and mirror go through as one batch, and their predictions are merged.
        """
        return self._in_parts(images, self._maps)

    def _in_parts(self, crops: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what work makes of crops (B, ...) of three channels, of no more at once than a CPU is fastest with."""
        at_once = max(1, len(crops))
        if crops.device.type == "cpu":
            pixels = crops[0].numel() // 3 * (2 if self.flip_test else 1) if len(crops) else 1
            at_once = max(1, CPU_PIXELS // pixels)
        return torch.cat([work(some) for some in torch.split(crops, at_once)])

    def _evaluating(self) -> None:
        if self.network.training:  # to walk all layers takes a millisecond, for every batch
            self.network.eval()

    def _normalised(self, pixels: Tensor) -> Tensor:
        return normalised(pixels.float().div_(255), self.backbone.mean, self.backbone.std)

    def _maps(self, images: Tensor) -> Tensor:
        doubled = torch.cat([images, images.flip(3)]) if self.flip_test else images
        with uncompiled(), torch.no_grad(), self.device.autocast():
            prediction: Tensor = self.network(doubled.contiguous(memory_format=torch.channels_last))[-1].float()
        if not self.flip_test:
            return prediction
        plain, mirrored = prediction.chunk(2)
        return self.codec.merge(plain, unmirror(mirrored, self.keypoints, self.codec))


def unmirror(prediction: Tensor, keypoints: KeypointSet, codec: Codec) -> Tensor:
    """Mirror a prediction (B, C, h, w) of these keypoints along w, and swap the channels of mirror partners."""
    slices = [codec.channel_slice(place) for place in keypoints.flip_permutation]
    order = [channel for one in slices for channel in range(one.start, one.stop)]
    return prediction.flip(3).index_select(1, send(torch.tensor(order), prediction.device))
