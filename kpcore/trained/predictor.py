"""Evaluation: predict every person, average with the mirrored image, map back to source pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kpcore.data.batches import evaluation_batches, input_affine
from kpcore.data.geometry import apply, invert
from kpcore.data.sampling import Sampler
from kpcore.data.sending import send
from kpcore.interfaces import Backbone, Codec
from kpcore.keypoints import KeypointSet
from kpcore.network import Network
from kpcore.tensors import Float64Array
from kpcore.training.compiling import uncompiled
from kpcore.training.device import Device


@dataclass(frozen=True, eq=False)
class Evaluator:
    """What predicting needs besides network and people."""

    backbone: Backbone
    codec: Codec
    device: Device
    batch_size: int

    def predict(
        self,
        network: Network,
        sampler: Sampler,
        people: Sequence[int],
        *,
        flip_test: bool,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[Float64Array, Float64Array]:
        """Predict with the last stage's head.

        Returns:
            Points (N, K, D) in source pixels and confidences (N, K), in the order of ``people``; K and its order are
            the last head's set.
        """
        network.eval()
        keypoints = network.layout.heads[-1]
        points, confidences = [], []
        for batch in evaluation_batches(sampler, people, self.batch_size):
            images = batch.input(self.device.torch, self.backbone.mean, self.backbone.std)
            prediction = self._forward(network, images, keypoints, flip_test)
            decoded, confidence = self.codec.decode(prediction, self.backbone.stride)
            there = decoded.cpu().double().numpy()
            points.append(apply(invert(input_affine(sampler.store, batch.rows)), there))
            confidences.append(confidence.cpu().double().numpy())
            if progress is not None:
                progress(sum(len(chunk) for chunk in points), len(people))
        return np.concatenate(points), np.concatenate(confidences)

    def _forward(self, network: Network, images: Tensor, keypoints: KeypointSet, flip_test: bool) -> Tensor:
        """Return the last prediction in float32; with the flip test, image and mirror go through as one batch."""
        doubled = torch.cat([images, images.flip(3)]) if flip_test else images
        with uncompiled(), torch.no_grad(), self.device.autocast():
            prediction: Tensor = network(doubled.contiguous(memory_format=torch.channels_last))[-1].float()
        if not flip_test:
            return prediction
        plain, mirrored = prediction.chunk(2)
        return self.codec.merge(plain, self.unmirror(mirrored, keypoints))

    def unmirror(self, prediction: Tensor, keypoints: KeypointSet) -> Tensor:
        """Mirror a prediction (B, C, h, w) along w and swap the channels of mirror partners."""
        order = [
            channel
            for place in keypoints.flip_permutation
            for channel in range(self.codec.channel_slice(place).start, self.codec.channel_slice(place).stop)
        ]
        return prediction.flip(3).index_select(1, send(torch.tensor(order), prediction.device))
