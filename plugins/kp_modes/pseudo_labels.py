"""An extra loss: the source network's answers on the new images, as labels of keypoints that nobody labelled."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kpcore.interfaces import Codec
from kpcore.interfaces.codec import Targets
from kpcore.keypoints import KeypointSet
from kpcore.tensors import UNLABELLED, VISIBLE


@dataclass(frozen=True)
class PseudoLabels:
    """The sum over the stages of the codec's loss on these keypoints, times ``weight``.

    An answer is the point that the source's last head decodes to, drawn again as a target: so any codec will do, and
    the old keypoints are learned as the new ones are.

    Args:
        keypoints: names that every head and the source's last head have.
        weight: of this loss.
        confidence: what the source is less sure of counts as unlabelled.
    """

    keypoints: tuple[str, ...]
    weight: float
    confidence: float

    def __call__(self, outputs: Sequence[Tensor], batch: Any, network: Any, teacher: Any) -> Tensor:
        """Return the scalar; see :class:`kpcore.plans.TransferPlan`, ``extra_loss``."""
        codec: Codec = batch.codec
        targets = self._targets(outputs[-1], batch, teacher)
        heads: Sequence[KeypointSet] = network.layout.heads
        losses = [
            codec.loss(self._channels(output, head, codec), targets)
            for output, head in zip(outputs, heads, strict=True)
        ]
        return self.weight * torch.stack(losses).sum()

    @torch.no_grad()
    def _targets(self, output: Tensor, batch: Any, teacher: Any) -> Targets:
        with _precision_of(output):
            answers = teacher(batch.images)[-1]
        shown = self._channels(answers.float(), teacher.layout.heads[-1], batch.codec)
        points, confidence = batch.codec.decode(shown, batch.stride)
        state = torch.where(confidence < self.confidence, UNLABELLED, VISIBLE)
        targets: Targets = batch.codec.encode(points, state, (output.shape[-2], output.shape[-1]), batch.stride)
        return targets

    def _channels(self, output: Tensor, head: KeypointSet, codec: Codec) -> Tensor:
        return torch.cat([output[:, codec.channel_slice(place)] for place in head.places(self.keypoints)], dim=1)


def _precision_of(output: Tensor) -> torch.autocast | nullcontext[None]:
    """Return the context in which the teacher computes as the network does."""
    if output.dtype == torch.float32:
        return nullcontext()
    return torch.autocast(output.device.type, output.dtype)
