"""Networks, losses and decoders tried on a batch of noise before anything is trained: what types only promise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kpcore.errors import ContractError, shown
from kpcore.interfaces import Backbone, Codec
from kpcore.interfaces.codec import Targets
from kpcore.registry import one_line
from kpcore.study.contracts import require
from kpcore.study.mirror_probe import probe_mirroring
from kpcore.study.study import Study, mirroring
from kpcore.tensors import UNLABELLED, VISIBLE

BATCH = 2
"""People in the batch; one would be too few for BatchNorm on a map of one pixel."""
OURS = (MemoryError, OSError, torch.OutOfMemoryError)
"""Failures of the machine, not of a component."""


def probe(study: Study) -> None:
    """Run the backbone's parts and the codec once, on noise, at the study's resolution.

    Raises:
        ContractError: the first shape, type or number that is not what the interface promises.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        size = _probe_backbone(study.backbone, study.config.training.resolution, max(study.config.backbone.stages))
        keypoints = max((step.keypoints for split in study.splits for step in split.steps), key=len)
        _probe_codec(study.codec, size, study.backbone.stride, len(keypoints), keypoints.skeleton.dims)
        if mirroring(study.config):
            probe_mirroring(study.codec, keypoints, size, study.backbone.stride)


def _probe_backbone(backbone: Backbone, resolution: int, stages: int) -> tuple[int, int]:
    """Run stem and stages, once as they are evaluated and once as they are trained; return (h, w) of their output."""
    side = resolution // backbone.stride
    shape = (BATCH, backbone.channels, side, side)
    units = [("stem()", backbone.stem()), *((f"stage({i})", backbone.stage(i)) for i in range(stages))]
    for method, unit in units:
        require(isinstance(unit, nn.Module), backbone, method, unit, "a torch.nn.Module")
    images = torch.rand(BATCH, 3, resolution, resolution)
    for training in (False, True):
        x = images
        for method, unit in units:
            # each stage is given the stem's output, so that one that is wrong is not taken for the next one's fault
            called = f"{method}, {'training' if training else 'evaluation'}"
            out = _finite(backbone, called, _forward(backbone, unit.train(training), x, called), shape)
            x = out if method == "stem()" else x
    _check_apart(backbone, units)
    return side, side


def _check_apart(backbone: Backbone, units: Sequence[tuple[str, nn.Module]]) -> None:
    """Refuse parts that share weights: what trains one of them would change the other, frozen or not."""
    owner: dict[int, str] = {}
    for method, unit in units:
        for name, parameter in unit.named_parameters():
            first = owner.setdefault(id(parameter), method)
            if first != method:
                raise ContractError(backbone, method, f"parameter '{name}' is also of {first}, expected one of its own")


def _forward(backbone: Backbone, unit: nn.Module, x: Tensor, method: str) -> object:
    try:
        with torch.no_grad():
            return unit(x)
    except OURS:
        raise
    except Exception as error:  # modules of torch's own fail outside of the plugin's code
        raise ContractError(backbone, method, f"given {tuple(x.shape)}: {one_line(error)}") from error


def _finite(component: object, method: str, value: object, shape: Sequence[int]) -> Tensor:
    """Return a value; raises ContractError where it is no finite float32 tensor of this shape."""
    if not isinstance(value, Tensor) or tuple(value.shape) != tuple(shape) or value.dtype != torch.float32:
        raise ContractError(component, method, f"{shown(value)}, expected {tuple(shape)} float32")
    if not bool(torch.isfinite(value).all()):
        raise ContractError(component, method, f"{tuple(shape)} with NaN or infinity, expected finite numbers")
    return value


def _probe_codec(codec: Codec, size: tuple[int, int], stride: int, keypoints: int, dims: int) -> None:
    """Encode points, take the loss and its gradient, decode, and merge with a mirrored prediction."""
    channels = codec.channels(keypoints)
    require(isinstance(channels, int) and channels > 0, codec, f"channels({keypoints})", channels, "a positive integer")
    for place in range(keypoints):
        _check_slice(codec, place, channels)
    prediction = 0.1 * torch.randn(BATCH, channels, *size)
    targets = _targets(codec, size, stride, keypoints, dims)
    _check_loss(codec, prediction, targets)
    decoded = codec.decode(prediction, stride)
    pair = isinstance(decoded, tuple) and len(decoded) == 2
    require(pair, codec, "decode()", decoded, "points and confidence")
    _finite(codec, "decode(), points", decoded[0], (BATCH, keypoints, codec.dims))
    _finite(codec, "decode(), confidence", decoded[1], (BATCH, keypoints))
    _finite(codec, "merge()", codec.merge(prediction, prediction.clone()), prediction.shape)


def _check_slice(codec: Codec, place: int, channels: int) -> None:
    found = codec.channel_slice(place)
    whole = isinstance(found, slice) and isinstance(found.start, int) and isinstance(found.stop, int)
    fits = whole and 0 <= found.start < found.stop <= channels
    require(fits, codec, f"channel_slice({place})", found, f"a slice within the {channels} channels")


def _targets(codec: Codec, size: tuple[int, int], stride: int, keypoints: int, dims: int) -> Targets:
    """Encode points all over the input, the first person's first one unlabelled."""
    extent = torch.tensor([size[1] * stride, size[0] * stride, *[0] * (dims - 2)], dtype=torch.float32)
    state = torch.full((BATCH, keypoints), VISIBLE, dtype=torch.uint8)
    state[0, 0] = UNLABELLED
    targets = codec.encode(torch.rand(BATCH, keypoints, dims) * (extent - 1).clamp(min=0), state, size, stride)
    require(isinstance(targets, Targets), codec, "encode()", targets, "Targets")
    maps, weights = targets.maps, targets.weights
    drawn = isinstance(maps, Tensor) and maps.shape[:1] == (BATCH,)
    require(drawn, codec, "encode().maps", maps, f"a tensor of {BATCH} people")
    if not bool(torch.isfinite(maps).all()):
        raise ContractError(codec, "encode().maps", f"{shown(maps)} with NaN or infinity, expected finite numbers")
    _finite(codec, "encode().weights", weights, (BATCH, keypoints))
    low, high = float(weights.min()), float(weights.max())
    if low < 0 or high > 1:  # what a codec makes of the unlabelled is its own choice: the paper trains on empty maps
        raise ContractError(codec, "encode().weights", f"{low:g} to {high:g}, expected 0 to 1")
    return targets


def _check_loss(codec: Codec, prediction: Tensor, targets: Targets) -> None:
    wanted = prediction.clone().requires_grad_()
    loss = _finite(codec, "loss()", codec.loss(wanted, targets), ())
    require(loss.requires_grad, codec, "loss()", loss, "a scalar that the prediction's gradient comes from")
    (gradient,) = torch.autograd.grad(loss, wanted, allow_unused=True)
    require(gradient is not None, codec, "loss()", loss, "a scalar that the prediction's gradient comes from")
    _finite(codec, "loss(), gradient", gradient, wanted.shape)
