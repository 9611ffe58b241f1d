"""Optimisers: what makes the one that a study file asks for, and which parameter learns how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from kpcore import config
from kpcore.config import AdamW, Optimizer, RMSprop
from kpcore.errors import KpError
from kpcore.network import Network
from kpcore.plans import TransferPlan
from kpcore.training.device import Device
from kpcore.training.muon import FUSED, Muon, is_matrix

Groups = list[dict[str, Any]]
"""Parameter groups as torch's optimisers take them; ``rate`` is the learning rate before the schedule's factor."""


@dataclass(frozen=True)
class Treatment:
    """How a parameter learns; those that are treated alike share a group.

    Args:
        rate: learning rate before the schedule's factor.
        weight_decay: 0 for biases and norms.
        matrices: whether Muon takes it.
    """

    rate: float
    weight_decay: float
    matrices: bool = False


@dataclass(frozen=True)
class Maker:
    """What an optimiser is made with.

    Args:
        treat: (unit, parameter, settings) -> treatment, at the unit's own learning rate.
        build: (groups, settings, device) -> optimiser.
    """

    treat: Callable[[str, nn.Parameter, Any], Treatment]
    build: Callable[[Groups, Any, Device], torch.optim.Optimizer]


def make_optimizer(
    network: Network, plan: TransferPlan, settings: Optimizer, device: Device
) -> torch.optim.Optimizer:  # fmt: skip
    """Return the optimiser over what trains at first; frozen units are left out of it altogether.

    Raises:
        KpError: nothing trains.
    """
    groups = parameter_groups(network, plan, settings, [name for name, _ in network.units()])
    if not groups:
        raise KpError("transfer plan: every unit is frozen, nothing would train; leave at least one unit free")
    return MAKERS[type(settings)].build(groups, settings, device)


def parameter_groups(network: Network, plan: TransferPlan, settings: Optimizer, units: Sequence[str]) -> Groups:
    """Return the optimiser's groups of what trains of these units, in their order."""
    return [group for unit in units for group in unit_groups(unit, network, plan, settings)]


def unit_groups(unit: str, network: Network, plan: TransferPlan, settings: Optimizer) -> Iterator[dict[str, Any]]:
    """Yield the groups of what trains of a unit; the plan's factor is on every rate."""
    factor = plan.learning_rates.get(unit, 1.0)
    for treatment, parameters in treatments(unit, network, settings).items():
        rate = treatment.rate * factor
        yield {**asdict(treatment), "rate": rate, "lr": rate, "params": parameters}


def treatments(unit: str, network: Network, settings: Optimizer) -> dict[Treatment, list[nn.Parameter]]:
    """Return what trains of a unit by how it learns."""
    treat = MAKERS[type(settings)].treat
    found: dict[Treatment, list[nn.Parameter]] = {}
    for parameter in network.get_submodule(unit).parameters():
        if parameter.requires_grad:
            found.setdefault(treat(unit, parameter, settings), []).append(parameter)
    return found


def decay(parameter: nn.Parameter, settings: Optimizer) -> float:
    """Return a parameter's weight decay: weights have it, biases and norms do not."""
    return settings.weight_decay if parameter.ndim > 1 else 0.0


def alike(unit: str, parameter: nn.Parameter, settings: RMSprop | AdamW) -> Treatment:
    """Treat weights alike wherever they are."""
    return Treatment(settings.learning_rate, decay(parameter, settings))


def matrices_apart(unit: str, parameter: nn.Parameter, settings: config.Muon) -> Treatment:
    """Treat hidden matrices as Muon does, and all else at the other rate."""
    hidden = is_matrix(unit, parameter)
    rate = settings.learning_rate if hidden else settings.other_learning_rate
    return Treatment(rate, decay(parameter, settings), hidden)


def rmsprop(groups: Groups, settings: RMSprop, device: Device) -> torch.optim.Optimizer:
    """Return torch's RMSprop, all parameters of a group in one call."""
    return torch.optim.RMSprop(groups, alpha=settings.alpha, eps=settings.eps, foreach=True)


def adamw(groups: Groups, settings: AdamW, device: Device) -> torch.optim.Optimizer:
    """Return torch's AdamW, one kernel where there is one."""
    return torch.optim.AdamW(groups, eps=settings.eps, fused=device.torch.type in FUSED)


def muon(groups: Groups, settings: config.Muon, device: Device) -> torch.optim.Optimizer:
    """Return Muon; its products are bf16 where the network's are of half precision."""
    dtype = torch.float32 if device.precision == "fp32" else torch.bfloat16
    return Muon(groups, momentum=settings.momentum, eps=settings.eps, dtype=dtype)


MAKERS: Mapping[type[Any], Maker] = {
    RMSprop: Maker(alike, rmsprop),
    AdamW: Maker(alike, adamw),
    config.Muon: Maker(matrices_apart, muon),
}
"""Settings -> what makes their optimiser."""
