"""The backbone ``timm``: a network of timm as the stem, light refinement stages after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kp_timm.encoder import FINEST, LARGEST, Facts, check_name, facts, make, takes
from kp_timm.necks import Deconvolutions, Pyramid, Stem
from kp_timm.published import downloaded, from_file, licence
from kpcore.errors import KpError
from kpcore.interfaces import Backbone, ComponentConfig


class Refinement(nn.Module):
    """Pre-activation bottleneck (He et al., ECCV 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.norm1 = nn.BatchNorm2d(channels)
        self.reduce = nn.Conv2d(channels, half, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(half)
        self.look = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(half)
        self.expand = nn.Conv2d(half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, h, w) to the same shape."""
        y = self.reduce(F.relu(self.norm1(x)))
        y = self.look(F.relu(self.norm2(y), inplace=True))
        y = self.expand(F.relu(self.norm3(y), inplace=True))
        out: Tensor = x + y
        return out


class TimmBackbone(Backbone):
    """Any ``features_only`` network of timm (ResNet, HRNet, ConvNeXt, EfficientNet, ViT, ...) with a neck to stride 4.

    The paper's transfer grows a network by stages; here a stage is a few residual bottlenecks, and the network of timm
    is the stem, which all strategies carry over, freeze or renew as they do the hourglass's.

    Args:
        model: timm's name, with or without the tag of its weights ("resnet50.a1_in1k").
        neck: ``deconv`` doubles the coarsest map; ``fpn`` adds all maps.
        channels: of the stage's features.
        refinements: bottlenecks of a stage.
        size: the input's side, for networks that are built for one (ViT, Swin).
        pretrained: start from timm's published weights, fetched from the network or timm's cache.
        weights: start from this file instead.

    Raises:
        KpError: timm has no such network, it gives no features, or the weights do not fit.
    """

    class Config(ComponentConfig):
        """Options."""

        model: str = Field(default="resnet50", description="timm's name of the network, perhaps with a weights' tag")
        neck: Literal["deconv", "fpn"] = Field(
            default="deconv", description="to stride 4: transposed convolutions of the last map, or all maps added"
        )
        channels: int = Field(default=256, ge=8, le=4096, multiple_of=2, description="width of the neck and the stages")
        refinements: int = Field(default=2, ge=1, le=16, description="residual bottlenecks of a stage")
        size: int | None = Field(
            default=None,
            ge=32,
            multiple_of=4,
            description="input side of a network that is built for one (ViT, Swin): must be training.resolution",
        )
        pretrained: bool = Field(
            default=False,
            description="start from timm's published weights, downloaded unless they are in the hub's cache",
        )
        weights: str | None = Field(
            default=None, description="start from this .safetensors file in timm's own layout; nothing is downloaded"
        )

    def __init__(
        self, *, model: str, neck: str, channels: int, refinements: int, size: int | None, pretrained: bool,
        weights: str | None,
    ) -> None:  # fmt: skip
        check_name(model)
        if pretrained and weights:
            raise KpError("backbone: pretrained and weights are both set; drop one of them")
        self._model = model
        self._neck = neck
        self._channels = channels
        self._refinements = refinements
        self._size = size
        self._pretrained = pretrained
        self._weights = weights
        self._used = self._maps()

    @cached_property
    def _facts(self) -> Facts:
        return facts(self._model, self._size)

    def _maps(self) -> tuple[int, ...]:
        """Return the places of the feature maps that the neck takes."""
        useful = [place for place, reduction in enumerate(self._facts.reductions) if reduction >= FINEST]
        if not useful:
            raise KpError(f"timm network '{self._model}' gives no map of stride {FINEST} or coarser; take another")
        return tuple(useful) if self._neck == "fpn" else (useful[-1],)

    @property
    def stride(self) -> int:
        """4."""
        return FINEST

    @property
    def channels(self) -> int:
        """Width of the features."""
        return self._channels

    @property
    def mean(self) -> tuple[float, float, float]:
        """What the network's published weights want; the same without them."""
        return self._facts.mean

    @property
    def std(self) -> tuple[float, float, float]:
        """As ``mean``."""
        return self._facts.std

    @property
    def blocks(self) -> tuple[type[nn.Module], ...]:
        """The refinement."""
        return (Refinement,)

    def check_size(self, height: int, width: int) -> str | None:
        """Take multiples of the coarsest stride that the network runs on; one built for one size, that one."""
        size = self._facts.size
        if size and (height, width) != (size, size):
            return f"{size} x {size} pixels; set backbone.size to take others"
        unit = 1 if size else math.lcm(FINEST, *self._facts.reductions)
        if height % unit or width % unit:
            return f"multiples of {unit} pixels"
        if takes(self._model, self._size, height, width):
            return None
        return self._smallest(unit, min(height, width)) if not size else "another backbone.size"

    def _smallest(self, unit: int, above: int) -> str:
        """Say from which size on the network runs."""
        sides = range(above + unit - above % unit, LARGEST + 1, unit)
        found = next((side for side in sides if takes(self._model, self._size, side, side)), None)
        return f"multiples of {unit} pixels, {found} or more" if found else f"no multiple of {unit} pixels; change it"

    def stem(self) -> nn.Module:
        """The network and its neck."""
        known = self._facts
        encoder = make(self._model, self._size)
        neck = (
            Pyramid([known.channels[place] for place in self._used], self._channels)
            if self._neck == "fpn"
            else Deconvolutions(known.channels[self._used[0]], known.reductions[self._used[0]], self._channels)
        )
        return Stem(encoder, self._used, neck)

    def stage(self, index: int) -> nn.Module:
        """Bottlenecks, then BatchNorm and ReLU: the features of the head and the junction."""
        del index
        return nn.Sequential(
            *(Refinement(self._channels) for _ in range(self._refinements)),
            nn.BatchNorm2d(self._channels),
            nn.ReLU(inplace=True),
        )

    @cached_property
    def _state(self) -> Mapping[str, Tensor]:
        if self._weights:
            return from_file(self._model, self._size, Path(self._weights).expanduser())
        return downloaded(self._model, self._size) if self._pretrained else {}

    @property
    def terms(self) -> str:
        """The licence that timm names for its published weights; of a file that the user gives nothing is known."""
        return licence(self._model) if self._pretrained else ""

    def pretrained(self) -> Mapping[str, Tensor]:
        """The network's published weights, where they are asked for."""
        return {f"stem.encoder.{name}": tensor for name, tensor in self._state.items()}
