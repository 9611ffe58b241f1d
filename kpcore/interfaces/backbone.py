"""Backbone: supplies a network's parts. The core assembles them, so every strategy works with every backbone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from kpcore.interfaces.component import Component


class Backbone(Component):
    """A stem and any number of refinement stages.

    With x of (B, 3, H, W) the core computes, for stages i = 0 .. n - 1::

        x = stem(x)                                     # (B, channels, H / stride, W / stride)
        features = stage_i(x)                           # (B, channels, H / stride, W / stride)
        prediction_i = head_i(features)                 # (B, codec channels, ...): a 1x1 convolution
        x = x + junction_i(features, prediction_i)      # two 1x1 convolutions, summed; none after the last stage

    ``stem()`` and ``stage()`` are called under the job's seed and must draw their initial weights from torch's
    generator only.
    """

    @property
    @abstractmethod
    def stride(self) -> int:
        """Input pixels per prediction pixel, the same in x and y."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the stem's and of every stage's output."""

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean of each RGB channel that is subtracted from an input in [0, 1]."""
        return (0.0, 0.0, 0.0)

    @property
    def std(self) -> tuple[float, float, float]:
        """Standard deviation that each RGB channel is then divided by."""
        return (1.0, 1.0, 1.0)

    @abstractmethod
    def check_size(self, height: int, width: int) -> str | None:
        """Return None if inputs of this size are taken, else what sizes are ("multiples of 64")."""

    @abstractmethod
    def stem(self) -> nn.Module:
        """Return a new stem, (B, 3, H, W) -> (B, channels, H / stride, W / stride)."""

    @abstractmethod
    def stage(self, index: int) -> nn.Module:
        """Return a new stage, (B, channels, h, w) -> (B, channels, h, w); the head's and the junction's features."""

    @property
    def blocks(self) -> tuple[type[nn.Module], ...]:
        """Classes of the modules that the network repeats: what ``training.compile = "blocks"`` compiles."""
        return ()

    @property
    def terms(self) -> str:
        """Terms of use of what :meth:`pretrained` brings, as its publisher states them; "" where that is not known."""
        return ""

    def pretrained(self) -> Mapping[str, Tensor]:
        """Weights that this backbone brings from a file, by target name ("stem.conv1.weight"); empty where none."""
        return {}
