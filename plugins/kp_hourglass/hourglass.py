"""Newell's stacked hourglass: stem, residuals and hourglasses, exact in every layer (ECCV 2016, section 3).

Every convolution has a bias. Initial weights are torch's defaults: convolutions from U(-b, b), b = 1/sqrt(fan-in), as
in Torch 7. BatchNorm's scales start at 1 here; Torch 7, in which the released code ran, drew them from U(0, 1).
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kpcore.interfaces import Backbone, ComponentConfig


class Residual(nn.Module):
    """Pre-activation bottleneck: BN-ReLU-1x1(c/2), BN-ReLU-3x3(c/2), BN-ReLU-1x1(c), added to the skip."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, half, 1)
        self.norm2 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1)
        self.norm3 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, outputs, 1)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h, w)."""
        y = self.conv1(F.relu(self.norm1(x), inplace=True))
        y = self.conv2(F.relu(self.norm2(y), inplace=True))
        y = self.conv3(F.relu(self.norm3(y), inplace=True))
        out: Tensor = self.skip(x) + y
        return out


def residuals(channels: int, modules: int) -> nn.Sequential:
    """Return that many residuals in a row, at one position of the hourglass."""
    return nn.Sequential(*(Residual(channels, channels) for _ in range(modules)))


class Hourglass(nn.Module):
    """Down ``depth`` times by max-pooling and up again by nearest neighbour, with a residual on every level's skip."""

    def __init__(self, depth: int, channels: int, modules: int) -> None:
        super().__init__()
        self.up = residuals(channels, modules)
        self.before = residuals(channels, modules)
        self.inner: nn.Module = Hourglass(depth - 1, channels, modules) if depth > 1 else residuals(channels, modules)
        self.after = residuals(channels, modules)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, h, w) to the same shape; h and w are multiples of 2**depth."""
        low = self.after(self.inner(self.before(F.max_pool2d(x, 2))))
        out: Tensor = self.up(x) + F.interpolate(low, scale_factor=2, mode="nearest")
        return out


class StackedHourglass(Backbone):
    """Newell's network.

    Args:
        channels: width; 256 is Newell's. The stem goes through channels / 4 and channels / 2.
        depth: how often an hourglass halves; 4 is Newell's (64 x 64 down to 4 x 4).
        modules: residuals at each position; the paper's preset takes 1.
    """

    class Config(ComponentConfig):
        """Options; the defaults are the paper's network."""

        channels: int = Field(default=256, ge=8, le=4096, multiple_of=8, description="width; 256 is Newell's")
        depth: int = Field(default=4, ge=1, le=6, description="how often an hourglass halves")
        modules: int = Field(default=1, ge=1, le=8, description="residual modules at each position")

    def __init__(self, *, channels: int, depth: int, modules: int) -> None:
        self._channels = channels
        self.depth = depth
        self.modules = modules

    @property
    def stride(self) -> int:
        """Input pixels per heatmap pixel: 4."""
        return 4

    @property
    def channels(self) -> int:
        """Width of the features."""
        return self._channels

    @property
    def blocks(self) -> tuple[type[nn.Module], ...]:
        """The residual module."""
        return (Residual,)

    def check_size(self, height: int, width: int) -> str | None:
        """Take multiples of 4 x 2**depth."""
        unit = self.stride * 2**self.depth
        return None if height % unit == 0 and width % unit == 0 else f"multiples of {unit} pixels (depth {self.depth})"

    def stem(self) -> nn.Module:
        """Conv 7x7/2, BN, ReLU, residual, max-pool, two residuals: 256 x 256 x 3 -> 64 x 64 x channels."""
        quarter, half = self._channels // 4, self._channels // 2
        return nn.Sequential(
            nn.Conv2d(3, quarter, 7, stride=2, padding=3),
            nn.BatchNorm2d(quarter),
            nn.ReLU(inplace=True),
            Residual(quarter, half),
            nn.MaxPool2d(2),
            Residual(half, half),
            Residual(half, self._channels),
        )

    def stage(self, index: int) -> nn.Module:
        """Hourglass, residuals, then 1x1 convolution, BN and ReLU: the features of the head and the junction."""
        del index
        return nn.Sequential(
            Hourglass(self.depth, self._channels, self.modules),
            residuals(self._channels, self.modules),
            nn.Conv2d(self._channels, self._channels, 1),
            nn.BatchNorm2d(self._channels),
            nn.ReLU(inplace=True),
        )
