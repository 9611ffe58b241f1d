"""Weights: transfer plans carried out, hashes that prove what did not move, and safetensors files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from kpcore.errors import KpError
from kpcore.network import Network
from kpcore.placing import put
from kpcore.plans import KeypointAxis, NetworkSpec, Origin, TransferPlan
from kpcore.reading.budget import Limit, within
from kpcore.reading.opening import regular

State = Mapping[str, Tensor]


@torch.no_grad()
def execute(
    plan: TransferPlan, network: Network, spec: NetworkSpec, sources: Sequence[tuple[NetworkSpec, State]],
    pretrained: State,
) -> None:  # fmt: skip
    """Verify the plan and carry it out on a freshly initialised network, in place.

    Raises:
        KpError: the plan does not cover the network exactly once or does not fit its sources, or a source's weights
            are not those of its network.
    """
    plan.verify(spec, tuple(source for source, _ in sources))
    for index, (source, state) in enumerate(sources):
        shapes = {name: tensor.shape for name, tensor in source.tensors.items()}
        _check_fit(shapes, state, f"transfer plan, source {index}")
    target = network.state_dict()
    for name, origin in plan.origins.items():
        if origin.kind == "loaded":
            target[name].copy_(sources[origin.source][1][origin.tensor])
        elif origin.kind == "pretrained":
            target[name].copy_(_of_shape(pretrained[name], target[name], name))
        elif origin.kind == "sliced":
            source_spec, state = sources[origin.source]
            _copy_slices(target[name], spec.tensors[name].keypoint_axis, origin, source_spec, state)
    freeze(plan, network)


def _of_shape(value: Tensor, target: Tensor, name: str) -> Tensor:
    if value.shape != target.shape:
        raise KpError(f"pretrained weights: '{name}' is {tuple(value.shape)}, the network has {tuple(target.shape)}")
    return value


def _copy_slices(target: Tensor, axis: KeypointAxis | None, origin: Origin, source: NetworkSpec, state: State) -> None:
    there = source.tensors[origin.tensor].keypoint_axis
    assert axis is not None and there is not None  # plan.verify has seen to it
    for keypoint, others in (*((name, (name,)) for name in origin.keypoints), *origin.stand_ins):
        entries = [_entry(state[origin.tensor], there, other) for other in others]
        _entry(target, axis, keypoint).copy_(torch.stack(entries).mean(0) if len(entries) > 1 else entries[0])


def _entry(tensor: Tensor, axis: KeypointAxis, keypoint: str) -> Tensor:
    return tensor.narrow(axis.axis, axis.keypoints.index(keypoint) * axis.width, axis.width)


def freeze(plan: TransferPlan, network: Network, *, epoch: int = 0) -> frozenset[str]:
    """Set ``requires_grad`` of every unit as the plan has it at the start of this epoch; return the frozen units."""
    thawed = {unit for thaw in plan.thaws if thaw.epoch <= epoch for unit in thaw.units}
    frozen = plan.frozen - thawed
    for name, unit in network.units():
        unit.requires_grad_(name not in frozen)
    return frozen


def set_training(network: Network, frozen: Iterable[str], frozen_norm: str) -> None:
    """Put the network into training mode, except frozen units, whose BatchNorm and dropout stay in evaluation mode.

    ``frozen_norm = "train"`` lets the BatchNorm statistics of frozen units move all the same.
    """
    network.train()
    for name in frozen:
        unit = network.get_submodule(name)
        unit.eval()
        if frozen_norm == "train":
            for module in unit.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.train()


def fingerprint(state: State, units: Iterable[str] | None = None) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of these units' tensors and buffers (all by default)."""
    chosen = None if units is None else set(units)
    digest = hashlib.sha256()
    for name in sorted(state):
        if chosen is not None and name.partition(".")[0] not in chosen:
            continue
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_weights(path: Path, network: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write all tensors and buffers as safetensors, replacing the file in one step."""
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    put(path, save(state, metadata=dict(metadata)))


def load_weights(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Tensor]:
    """Read a safetensors file.

    Args:
        path: the file.
        shapes: of the network's tensors; where given, no tensor is read of a file that has others.

    Raises:
        KpError: it is missing, damaged or too large, or does not fit the network.
    """
    try:
        size = regular(path, "weights")
        within(Limit.BYTES, size, f"has {size:,} bytes", path)
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if shapes is not None:
                _check_shapes(shapes, {name: tuple(file.get_slice(name).get_shape()) for name in names}, str(path))
            return {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise KpError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError) as error:  # odd types of numbers: of torch
        raise KpError(f"{path}: not a readable safetensors file: {' '.join(str(error).split())[:200]}") from None


def restore(network: nn.Module, state: State, where: str) -> None:
    """Load exactly these tensors into the network.

    Raises:
        KpError: a tensor is missing, unexpected or of another shape.
    """
    _check_fit({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}, state, where)
    network.load_state_dict(dict(state))


def _check_fit(shapes: Mapping[str, tuple[int, ...]], state: State, where: str) -> None:
    _check_shapes(shapes, {name: tuple(tensor.shape) for name, tensor in state.items()}, where)


def _check_shapes(shapes: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], where: str) -> None:
    names = sorted(shapes.keys() ^ found.keys())
    odd = names or sorted(name for name, shape in shapes.items() if found[name] != shape)
    if odd:
        what = f"'{odd[0]}' is missing, unexpected or of another shape ({len(odd)} such)"
        raise KpError(f"{where}: does not fit the network: {what}")


def plan_record(plan: TransferPlan, spec: NetworkSpec) -> dict[str, Any]:
    """Return the whole plan as JSON: every tensor of the target once."""
    return {
        "tensors": {
            name: {
                "origin": origin.kind,
                "trains": spec.tensors[name].trainable and spec.tensors[name].unit not in plan.always_frozen,
                **({"source": origin.source, "tensor": origin.tensor} if origin.kind in ("loaded", "sliced") else {}),
                **({"keypoints": list(origin.keypoints)} if origin.kind == "sliced" else {}),
                **(
                    {"stand_ins": {name: list(others) for name, others in origin.stand_ins}} if origin.stand_ins else {}
                ),
            }
            for name, origin in plan.origins.items()
        },
        "heads": [list(head.names) for head in spec.layout.heads],
        "supervision": [None if wanted is None else list(wanted.names) for wanted in plan.supervision],
        "frozen": sorted(plan.frozen),
        "frozen_norm": plan.frozen_norm,
        "dropped": [{"source": source, "tensor": tensor} for source, tensor in plan.dropped],
        "learning_rates": dict(plan.learning_rates),
        "thaws": [{"epoch": thaw.epoch, "units": list(thaw.units)} for thaw in plan.thaws],
        "extra_loss": plan.extra_loss is not None,
    }
