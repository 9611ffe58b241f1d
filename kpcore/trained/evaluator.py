"""Evaluation: predict every person of a prepared part, and map the points back to source pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kpcore.data.batches import evaluation_batches, input_affine
from kpcore.data.geometry import apply, invert
from kpcore.data.sampling import Sampler
from kpcore.interfaces import Backbone, Codec
from kpcore.network import Network
from kpcore.tensors import Float64Array
from kpcore.trained.predictor import Predictor
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
        predictor = Predictor(network, self.backbone, self.codec, self.device, flip_test)
        points, confidences = [], []
        for batch in evaluation_batches(sampler, people, self.batch_size):
            images = batch.input(self.device.torch, self.backbone.mean, self.backbone.std)
            found, confidence = predictor.inputs(images)
            points.append(apply(invert(input_affine(sampler.store, batch.rows)), found.numpy()))
            confidences.append(confidence.numpy())
            if progress is not None:
                progress(sum(len(chunk) for chunk in points), len(people))
        return np.concatenate(points), np.concatenate(confidences)
