"""From a network's feature maps to one map at stride 4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from kp_timm.encoder import FINEST, channels_first

DECONVOLUTION_KERNEL = 4


def activated(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU, at the same size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Deconvolutions(nn.Module):
    """Doubles the coarsest map with transposed convolutions until stride 4 (SimpleBaseline, Xiao et al., ECCV 2018)."""

    def __init__(self, inputs: int, reduction: int, channels: int) -> None:
        super().__init__()
        doublings = max(0, math.ceil(math.log2(reduction / FINEST)))
        layers: list[nn.Module] = [] if doublings else [activated(inputs, channels, 1)]
        for index in range(doublings):
            layers += [
                nn.ConvTranspose2d(
                    channels if index else inputs, channels, DECONVOLUTION_KERNEL, stride=2, padding=1, bias=False
                ),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map the coarsest of the maps to (B, channels, h, w)."""
        out: Tensor = self.layers(maps[-1])
        return out


class Pyramid(nn.Module):
    """Adds all maps from stride 4 on, coarse to fine (Lin et al.: Feature Pyramid Networks, CVPR 2017)."""

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in inputs)
        self.smooth = activated(channels, channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map them to (B, channels, h, w) at the finest one's size."""
        merged: Tensor | None = None
        for lateral, features in zip(reversed(self.lateral), reversed(maps), strict=True):
            here: Tensor = lateral(features)
            merged = here if merged is None else here + _resized(merged, here.shape[-2], here.shape[-1])
        out: Tensor = self.smooth(merged)
        return out


class Stem(nn.Module):
    """A network of timm and its neck: (B, 3, H, W) to (B, channels, H / 4, W / 4).

    Args:
        encoder: timm's, features only.
        used: places of the maps that the neck takes.
        neck: of those maps.
    """

    def __init__(self, encoder: Any, used: Sequence[int], neck: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.neck = neck
        self.used = tuple(used)

    def forward(self, images: Tensor) -> Tensor:
        """Return features at stride 4; a neck that ends elsewhere (patches of 14 or 16 pixels) is resized."""
        maps = channels_first(self.encoder, self.encoder(images))
        features: Tensor = self.neck([maps[place] for place in self.used])
        return _resized(features, images.shape[-2] // FINEST, images.shape[-1] // FINEST)


def _resized(features: Tensor, height: int, width: int) -> Tensor:
    if features.shape[-2:] == (height, width):
        return features
    return F.interpolate(features, (height, width), mode="bilinear", align_corners=False)
