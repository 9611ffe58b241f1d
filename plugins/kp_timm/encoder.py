"""timm's networks as feature pyramids: which there are, how one is made, and what inputs it takes.

timm is imported where it is used: that takes seconds, and listing plugins should not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kpcore.errors import KpError, nearest

FINEST = 4
"""The stride that every neck ends at: that of the finest feature map which is made use of."""

LARGEST = 1024
"""The largest input side (px) that is tried where a smaller one is not taken."""


@dataclass(frozen=True)
class Facts:
    """What timm says of a network.

    Args:
        channels: of every feature map, finest first.
        reductions: input pixels per pixel of these.
        mean, std: that its published weights want.
        size: the input's side that it is built for; 0 where any will do.
    """

    channels: tuple[int, ...]
    reductions: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: int


def check_name(name: str) -> None:
    """Raise KpError, with the nearest names, where timm has no such network."""
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = nearest(architecture, timm.list_models())
        hint = f"; did you mean '{near}'?" if near else ""
        raise KpError(f"unknown timm network '{name}'{hint} (timm.list_models() lists them)")
    if tag and name not in timm.list_models(f"{architecture}.*", pretrained=True):
        tags = [known.partition(".")[2] for known in timm.list_models(f"{architecture}.*", pretrained=True)]
        raise KpError(f"timm network '{architecture}' has no weights '{tag}' ({', '.join(tags) or 'none'} exist)")


def sized(size: int | None) -> dict[str, Any]:
    """Return timm's option for the input's side, where one is wanted."""
    return {} if size is None else {"img_size": size}


def make(name: str, size: int | None, **options: Any) -> nn.Module:
    """Return a new features-only network, whose weights are drawn from torch's generator.

    Args:
        name: timm's.
        size: of the input, where the network is built for one; its own where None.
        options: for ``timm.create_model``.

    Raises:
        KpError: timm cannot make features of it, or not for this size.
    """
    import timm

    try:
        network: nn.Module = timm.create_model(name, features_only=True, **sized(size), **options)
    except Exception as error:  # each family of networks fails in its own way
        where = f"{name}' cannot be built for backbone.size = {size}" if size else f"{name}' cannot give features"
        hint = "take another size, or leave it out" if size else "take another network"
        raise KpError(f"timm network '{where}: {reason(error)}; {hint}") from None
    return network


def reason(error: Exception) -> str:
    """Return what an error of timm or torch says first, in one short line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Error(s) in loading")]
    return (told or [type(error).__name__])[0][:160]


def facts(name: str, size: int | None) -> Facts:
    """Return what timm says of a network, without allocating its weights."""
    with torch.device("meta"):
        network: Any = make(name, size)
    config = network.pretrained_cfg if hasattr(network, "pretrained_cfg") else network.default_cfg
    return Facts(
        channels=tuple(network.feature_info.channels()),
        reductions=tuple(int(reduction) for reduction in network.feature_info.reduction()),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        size=(size or int(config["input_size"][-1])) if config.get("fixed_input_size") else 0,
    )


def takes(name: str, size: int | None, height: int, width: int) -> bool:
    """Return whether the network runs on (1, 3, height, width); without computing anything, where that tells.

    Windows, attention and unpadded convolutions refuse some inputs, and nothing that timm publishes says which.
    """
    return _runs("meta", name, size, height, width) or _runs("cpu", name, size, height, width)


def _runs(device: str, name: str, size: int | None, height: int, width: int) -> bool:
    with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
        network = make(name, size).eval()
        try:
            network(torch.zeros(1, 3, height, width))
        except Exception:  # as in make
            return False
    return True


def channels_first(network: Any, maps: list[Tensor]) -> list[Tensor]:
    """Return the maps as (B, C, h, w); some of timm's networks give (B, h, w, C)."""
    if "NHWC" in str(getattr(network, "output_fmt", "")):
        return [features.permute(0, 3, 1, 2) for features in maps]
    return maps
