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
        maps: (B, channels(K), h, w), or whatever the codec's own loss reads; axis 1 is laid out by keypoints. On the
            device of the points that it was drawn from.
        weights: (B, K) float32 in [0, 1]: how much each keypoint counts (0 where it is not to be learned).
    """

    maps: Tensor
    weights: Tensor


class Codec(Component):
    """Encodes and decodes in one object; every method is batched and runs on the tensors' device.

    Two grids of pixels: input pixels, those of the network's input (B, 3, H, W), and prediction pixels, those of a
    stage's output (B, channels(K), h, w) with h = H / stride and w = W / stride. Both are 0-based, x first in a point
    and last in a shape, with pixel centres at integers, so that x in input pixels is (x + 0.5) / stride - 0.5 in
    prediction pixels. ``encode`` and ``decode`` take one to the other; the core takes input pixels to the image's.

    K keypoints are those of one stage (``encode``, ``loss``) or of the last head (``decode``, ``merge``), in the order
    of their set: a codec is told no names.
    """

    @property
    @abstractmethod
    def dims(self) -> int:
        """2 or 3: dimensions of the points that it decodes."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Channels a keypoint: keypoint k owns channels k * width to (k + 1) * width. 1 for 2D heatmaps."""

    def channels(self, keypoints: int) -> int:
        """Channels of a prediction of that many keypoints. Heads are sliced by ``width``: do not override."""
        return keypoints * self.width

    def channel_slice(self, keypoint: int) -> slice:
        """Channels of the keypoint at this place of its set. Heads are sliced by ``width``: do not override."""
        return slice(keypoint * self.width, (keypoint + 1) * self.width)

    @abstractmethod
    def encode(self, points: Tensor, state: Tensor, size: tuple[int, int], stride: int) -> Targets:
        """Draw targets, once a step and keypoint set.

        Args:
            points: (B, K, D) float32 input pixels; z in input pixels relative to the root. Augmentation may have moved
                them out of the input; where unlabelled they may be anything, NaN too.
            state: (B, K) integer: ``UNLABELLED``, ``HIDDEN`` or ``VISIBLE`` of :mod:`kpcore.tensors`.
            size: (h, w), height first: of the prediction, in prediction pixels.
            stride: input pixels per prediction pixel.

        Returns:
            Targets on the points' device.
        """

    @abstractmethod
    def loss(self, prediction: Tensor, targets: Targets) -> Tensor:
        """Return the scalar loss of one stage, float32; the core sums it over the supervised stages.

        Args:
            prediction: (B, channels(K), h, w), the channels of the targets' keypoints alone, in their order; bfloat16
                or float16 where the study trains in these, so turn it into float32 first.
            targets: as returned by ``encode`` for the same people and keypoints. Where no weight is above 0 the loss is
                0 with a gradient, not NaN.
        """

    @abstractmethod
    def decode(self, prediction: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        """Read a prediction.

        Args:
            prediction: (B, channels(K), h, w) of the last head, any float type; what ``merge`` returned in a flip test.
            stride: input pixels per prediction pixel.

        Returns:
            Points (B, K, D) in input pixels, finite, and a confidence (B, K) in units of the codec's own, larger is
            surer: average precision ranks people by it.
        """

    def merge(self, prediction: Tensor, flipped: Tensor) -> Tensor:
        """Combine a prediction with that of the mirrored image (flip test): by default their mean.

        The core has turned the map and exchanged partners, no more. That mirrors maps that say what is where, such as
        heatmaps. Where channels hold numbers along x (coordinates, offsets, fields), the codec overrides this method
        and mirrors ``flipped``'s: an offset changes its sign, a coordinate x becomes W - 1 - x. What is merged must
        decode to where ``prediction`` alone does, within a prediction pixel; ``kp run`` tries that where images are
        mirrored, and refuses a codec that does not.

        Args:
            prediction: (B, channels(K), h, w) float32, of the last head.
            flipped: the same of the mirrored images, already mirrored back: turned along w, and with the channels of
                mirror partners exchanged, so that both say the same of a pixel and keypoint.

        Returns:
            (B, channels(K), h, w), which ``decode`` is given.
        """
        return (prediction + flipped) / 2
