"""timm's networks as feature pyramids: which there are, how one is made, and its published weights.

timm is imported where it is used: that takes seconds, and listing plugins should not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from kpcore.errors import KpError, nearest

COARSEST, FINEST = 32, 4
"""Strides of feature maps that are made use of."""


@dataclass(frozen=True)
class Facts:
    """What timm says of a network.

    Args:
        channels: of every feature map, finest first.
        reductions: input pixels per pixel of these.
        mean, std: that its published weights want.
        size: the input's side that it is built for; 0 where any will do.
        classifier: names that the keys of its classifier begin with.
    """

    channels: tuple[int, ...]
    reductions: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: int
    classifier: tuple[str, ...]


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

    sized: dict[str, Any] = {} if size is None else {"img_size": size}
    try:
        network: nn.Module = timm.create_model(name, features_only=True, **sized, **options)
    except Exception as error:  # each family of networks fails in its own way
        what = (str(error).splitlines() or [type(error).__name__])[0]
        raise KpError(f"timm network '{name}' cannot be made to give features: {what[:160]}; take another") from None
    return network


def facts(name: str, size: int | None) -> Facts:
    """Return what timm says of a network, without allocating its weights."""
    with torch.device("meta"):
        network: Any = make(name, size)
    config = network.pretrained_cfg if hasattr(network, "pretrained_cfg") else network.default_cfg
    classifier = config.get("classifier") or ()
    return Facts(
        channels=tuple(network.feature_info.channels()),
        reductions=tuple(int(reduction) for reduction in network.feature_info.reduction()),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        size=(size or int(config["input_size"][-1])) if config.get("fixed_input_size") else 0,
        classifier=(classifier,) if isinstance(classifier, str) else tuple(classifier),
    )


def channels_first(network: Any, maps: list[Tensor]) -> list[Tensor]:
    """Return the maps as (B, C, h, w); some of timm's networks give (B, h, w, C)."""
    if "NHWC" in str(getattr(network, "output_fmt", "")):
        return [features.permute(0, 3, 1, 2) for features in maps]
    return maps


def downloaded(name: str, size: int | None) -> Mapping[str, Tensor]:
    """Return the published weights of a features-only network, which timm fetches or has in its cache.

    Raises:
        KpError: there are none, or they cannot be had.
    """
    import timm

    if not timm.list_models(f"{name.partition('.')[0]}*", pretrained=True):
        raise KpError(f"timm network '{name}' has no published weights; set pretrained = false")
    try:
        return dict(make(name, size, pretrained=True).state_dict())
    except KpError as error:
        raise KpError(
            f"weights of timm network '{name}' cannot be had ({str(error)[:120]}); fetch its model.safetensors"
            " elsewhere and give the path as 'weights', or set pretrained = false"
        ) from None


def from_file(name: str, size: int | None, path: Path, known: Facts) -> Mapping[str, Tensor]:
    """Return a features-only network's weights from a file in the layout of timm's own ``model.safetensors``.

    Raises:
        KpError: the file is missing, not safetensors, or not of this network: every tensor but the classifier's must be
            there and fit.
    """
    if path.suffix != ".safetensors":
        raise KpError(
            f"{path}: weights are read from .safetensors alone, since other formats can run code; convert it once with"
            " safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors')"
        )
    _check_keys(name, size, path, known)
    return dict(make(name, size, pretrained=True, pretrained_cfg_overlay={"file": str(path)}).state_dict())


def _check_keys(name: str, size: int | None, path: Path, known: Facts) -> None:
    import timm

    sized: dict[str, Any] = {} if size is None else {"img_size": size}
    with torch.device("meta"):
        whole = timm.create_model(name, **sized).state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            held = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise KpError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError) as error:
        raise KpError(f"{path}: not a readable safetensors file: {error}") from None

    def counts(key: str) -> bool:
        return not key.startswith(known.classifier) if known.classifier else True

    wanted = {key: tuple(tensor.shape) for key, tensor in whole.items() if counts(key)}
    given = {key: shape for key, shape in held.items() if counts(key)}
    odd = sorted(wanted.keys() ^ given.keys())
    if odd:
        what = "is not in the file" if odd[0] in wanted else "is not in the network"
        raise KpError(f"{path}: not the weights of timm network '{name}': '{odd[0]}' {what} ({len(odd)} such)")
    wrong = [key for key, shape in wanted.items() if given[key] != shape and "pos_embed" not in key]
    if wrong:
        shapes = f"{given[wrong[0]]}, the network has {wanted[wrong[0]]}"
        raise KpError(f"{path}: not the weights of timm network '{name}': '{wrong[0]}' is {shapes}")
