"""Published weights of timm's networks: from a local file, from the hub's cache, or downloaded when asked for.

Only safetensors files are read, since the other formats can run code. timm itself converts a file's layout and
resamples what depends on the input's size.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kp_timm.encoder import make, reason, sized
from kpcore.errors import KpError

FILE = "model.safetensors"
"""The weights' name in each of timm's repositories on the hub."""

PATIENCE = 10.0
"""Seconds that the hub is waited for before it counts as out of reach."""


def from_file(name: str, size: int | None, path: Path) -> Mapping[str, Tensor]:
    """Return a features-only network's weights from a file in the layout of timm's own ``model.safetensors``.

    Raises:
        KpError: the file is missing, not safetensors, or not of this network: every tensor but the classifier's must be
            there, fit and be finite, and there must be no other.
    """
    if path.suffix != ".safetensors":
        raise KpError(
            f"{path}: weights are read from .safetensors alone, since other formats can run code; convert it once with"
            " safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors')"
        )
    state = _read(path)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), _quiet("timm"):
        _check(name, size, path, state)
        return dict(make(name, size, pretrained=True, pretrained_cfg_overlay=_source(state)).state_dict())


def downloaded(name: str, size: int | None) -> Mapping[str, Tensor]:
    """Return the published weights of a features-only network: from the hub's cache, else from the hub.

    Raises:
        KpError: there are none, they cannot be had, or they do not fit.
    """
    return from_file(name, size, _fetched(name))


def licence(name: str) -> str:
    """Return the published weights and their licence as timm names it; "" where it names none."""
    import timm

    known = timm.get_pretrained_cfg(name)
    stated = known.license if known is not None else None
    return f"{stated} ({known.hf_hub_id or name}, as timm states it)" if known is not None and stated else ""


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise KpError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise KpError(f"{path}: not a readable safetensors file: {reason(error)}") from None
    if not state:  # timm would take that for no file at all, and download
        raise KpError(f"{path}: holds no tensor")
    for key, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
            raise KpError(f"{path}: '{key}' holds NaN or infinity; take another file")
    return state


def _source(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return {"state_dict": dict(state), "custom_load": False, "label_offset": 0}


def _check(name: str, size: int | None, path: Path, state: Mapping[str, Tensor]) -> None:
    """Let timm load the whole network strictly; a classifier, which differs from task to task, is the network's own."""
    import timm

    try:
        whole: Any = timm.create_model(name, **sized(size))
        heads = whole.pretrained_cfg.get("classifier") or ()
        prefixes = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
        own = {key: tensor for key, tensor in whole.state_dict().items() if key.startswith(prefixes)}
        rest = {key: tensor for key, tensor in state.items() if not key.startswith(prefixes)}
        timm.create_model(name, pretrained=True, pretrained_cfg_overlay=_source(rest | own), **sized(size))
    except Exception as error:  # each family of networks fails in its own way
        raise KpError(f"{path}: not the weights of timm network '{name}': {reason(error)}") from None


def _fetched(name: str) -> Path:
    """Return where the published file lies on this machine, after a download if need be."""
    import timm

    known = timm.get_pretrained_cfg(name)
    if known is None or not known.hf_hub_id:
        raise KpError(
            f"timm network '{name}' has no published weights as safetensors; give a file as 'weights', or set"
            " pretrained = false"
        )
    repository, _, revision = known.hf_hub_id.partition("@")
    try:
        return _from_hub(repository, revision or None)
    except Exception as error:  # of the network, the hub, the disk: of many libraries
        raise KpError(
            f"weights of timm network '{name}' cannot be had ({reason(error)}); fetch {FILE} of the hub's"
            f" '{repository}' elsewhere and give its path as 'weights', or set pretrained = false"
        ) from None


def _from_hub(repository: str, revision: str | None) -> Path:
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, FILE, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    if not constants.HF_HUB_OFFLINE:
        _reach(constants.ENDPOINT)
    with _quiet("huggingface_hub"):
        return Path(hf_hub_download(repository, FILE, revision=revision))


def _reach(address: str) -> None:
    """Raise OSError where the hub is out of reach, which its own client would try again and again for a minute."""
    try:
        urlopen(Request(address, method="HEAD"), timeout=PATIENCE).close()
    except HTTPError:  # an answer all the same
        return


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """Hold back a library's warnings: what matters of them is raised as an error here."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):  # timm's resampling warns of its own speed
            yield
    finally:
        logger.setLevel(level)
