"""One training step: forward, loss over the supervised stages, backward, optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from kpcore.config import Optimizer
from kpcore.data.batches import Batch
from kpcore.errors import ContractError, KpError, shown
from kpcore.interfaces import Backbone, Codec
from kpcore.interfaces.codec import Targets
from kpcore.keypoints import KeypointSet, Skeleton
from kpcore.network import Network
from kpcore.plans import TransferPlan
from kpcore.training.compiling import Compile, compile_network, start_step
from kpcore.training.device import Device
from kpcore.training.muon import Muon, is_matrix
from kpcore.weights import freeze, set_training


@dataclass(frozen=True)
class StepBatch:
    """What the loss and a plan's extra loss see of a batch, on the device.

    Args:
        images: (B, 3, H, W) network input.
        points: (B, K, D) float32 input pixels, all keypoints of the skeleton.
        state: (B, K) uint8.
        codec: of the study: encodes, decodes and compares.
        stride: input pixels per prediction pixel.
    """

    images: Tensor
    points: Tensor
    state: Tensor
    codec: Codec
    stride: int


@dataclass(frozen=True, eq=False)
class Learner:
    """A network and what it takes to train it.

    Args:
        network: initialised by the plan, on the device.
        plan: what trains, on what.
        teacher: the source network, where the plan asks for it.
        backbone: for mean, std and stride.
        codec: targets and loss.
        skeleton: of the batches' points.
        device: where it runs.
        compile: how torch.compile is used.
    """

    network: Network
    plan: TransferPlan
    teacher: Network | None
    backbone: Backbone
    codec: Codec
    skeleton: Skeleton
    device: Device
    compile: Compile = "off"

    @cached_property
    def supervision(self) -> tuple[KeypointSet | None, ...]:
        """For every stage what its loss is taken on: the plan's set, as far as the batches' data set knows the names.

        Raises:
            KpError: no stage is left with a keypoint.
        """
        found = tuple(wanted and self._known(wanted) for wanted in self.plan.supervision)
        if not any(found):
            names = ", ".join(
                dict.fromkeys(name for wanted in self.plan.supervision if wanted for name in wanted.names)
            )
            raise KpError(f"transfer plan: supervised on {names}, none of which skeleton '{self.skeleton.name}' has")
        return found

    def _known(self, wanted: KeypointSet) -> KeypointSet | None:
        """Return the same names as a set of the batches' skeleton, whose columns they are drawn from."""
        names = [name for name in wanted.names if name in self.skeleton.names]
        return self.skeleton.select(names) if names else None


class Stepper:
    """Takes training steps; holds the optimiser, the gradient scaler and what is frozen at the moment."""

    def __init__(self, learner: Learner, settings: Optimizer) -> None:
        self.learner = learner
        self.settings = settings
        self.frozen = freeze(learner.plan, learner.network)
        self.optimizer = make_optimizer(learner.network, learner.plan, settings, learner.device)
        self.scaler = learner.device.scaler()
        compile_network(learner.network, learner.backbone, learner.compile, learner.device.torch)

    def start_epoch(self, epoch: int) -> None:
        """Thaw what the plan thaws at this epoch (counted from 0), and go into training mode."""
        plan, network = self.learner.plan, self.learner.network
        before, self.frozen = self.frozen, freeze(plan, network, epoch=epoch)
        for group in parameter_groups(network, plan, self.settings, sorted(before - self.frozen)):
            self.optimizer.add_param_group(group)
        set_training(network, self.frozen, plan.frozen_norm)

    def set_rate(self, factor: float) -> None:
        """Set every learning rate to this factor of its own."""
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group["rate"]

    def step(self, batch: Batch) -> Tensor:
        """Train on one batch; return its loss, still on the device."""
        learner = self.learner
        device = learner.device.torch
        step = StepBatch(
            batch.input(device, learner.backbone.mean, learner.backbone.std),
            batch.points.to(device, non_blocking=True),
            batch.state.to(device, non_blocking=True),
            learner.codec,
            learner.backbone.stride,
        )
        start_step(learner.compile)
        with learner.device.autocast():
            outputs = learner.network(step.images)
        loss = supervised_loss(outputs, step, learner)
        if learner.plan.extra_loss is not None:
            extra = learner.plan.extra_loss
            loss = loss + scalar(extra(outputs, step, learner.network, learner.teacher), extra, "extra_loss()")
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def restore(self, state: dict[str, Any], epochs: int) -> None:
        """Go on after that many epochs; groups are thawed in order, so that they come out as they were."""
        for epoch in range(epochs):
            self.start_epoch(epoch)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def supervised_loss(outputs: Sequence[Tensor], step: StepBatch, learner: Learner) -> Tensor:
    """Sum the codec's loss over the supervised stages (FACTS 2); targets are drawn once a keypoint set."""
    drawn: dict[tuple[str, ...], Targets] = {}
    losses = []
    for output, head, wanted in zip(outputs, learner.network.layout.heads, learner.supervision, strict=True):
        if wanted is None:
            continue
        if wanted.names not in drawn:
            drawn[wanted.names] = draw_targets(wanted, step, learner.codec, output, learner.backbone.stride)
        loss = learner.codec.loss(select_channels(output, head, wanted, learner.codec), drawn[wanted.names])
        losses.append(scalar(loss, learner.codec, "loss()"))
    return torch.stack(losses).sum()


def scalar(loss: object, component: object, method: str) -> Tensor:
    """Return a loss; raises ContractError where it is no scalar of floating point."""
    if isinstance(loss, Tensor) and loss.ndim == 0 and loss.is_floating_point():
        return loss
    raise ContractError(component, method, f"{shown(loss)}, expected a scalar of floating point")


def draw_targets(keypoints: KeypointSet, step: StepBatch, codec: Codec, output: Tensor, stride: int) -> Targets:
    """Draw the targets of one keypoint set."""
    columns = list(keypoints.indices)
    size = (output.shape[-2], output.shape[-1])
    return codec.encode(step.points[:, columns], step.state[:, columns], size, stride)


def select_channels(output: Tensor, head: KeypointSet, wanted: KeypointSet, codec: Codec) -> Tensor:
    """Return the channels of ``wanted`` from a head's output."""
    if wanted.names == head.names:
        return output
    slices = [codec.channel_slice(place) for place in head.places(wanted.names)]
    return torch.cat([output[:, one] for one in slices], dim=1)


def parameter_groups(
    network: Network, plan: TransferPlan, settings: Optimizer, units: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the optimiser's groups of these units: weights decay, biases and norms do not."""
    groups = []
    for unit in units:
        factor = plan.learning_rates.get(unit, 1.0)
        for kind, chosen in kinds(unit, network, settings).items():
            rate = (
                settings.other_learning_rate if settings.name == "muon" and kind != "matrix" else settings.learning_rate
            )
            groups.append(
                {
                    "params": chosen,
                    "weight_decay": settings.weight_decay if kind != "vector" else 0.0,
                    "matrices": settings.name == "muon" and kind == "matrix",
                    "rate": rate * factor,
                    "lr": rate * factor,
                }
            )
    return groups


def kinds(unit: str, network: Network, settings: Optimizer) -> dict[str, list[nn.Parameter]]:
    """Return what trains of a unit by kind: ``matrix`` (Muon's), ``weight`` and ``vector`` (biases, norms)."""
    found: dict[str, list[nn.Parameter]] = {}
    for parameter in network.get_submodule(unit).parameters():
        if parameter.requires_grad:
            kind = "vector" if parameter.ndim <= 1 else "matrix" if is_matrix(unit, parameter) else "weight"
            if settings.name != "muon" and kind == "matrix":
                kind = "weight"
            found.setdefault(kind, []).append(parameter)
    return found


def make_optimizer(
    network: Network, plan: TransferPlan, settings: Optimizer, device: Device
) -> torch.optim.Optimizer:  # fmt: skip
    """Return the optimiser over what trains at first; frozen units are left out of it altogether.

    Raises:
        KpError: nothing trains.
    """
    names = [name for name, unit in network.units() if any(p.requires_grad for p in unit.parameters())]
    groups = parameter_groups(network, plan, settings, names)
    if not groups:
        raise KpError("transfer plan: every unit is frozen, nothing would train; leave at least one unit free")
    if settings.name == "muon":
        dtype = torch.float32 if device.precision == "fp32" else torch.bfloat16
        return Muon(groups, momentum=settings.momentum, eps=settings.eps, dtype=dtype)
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, eps=settings.eps, fused=device.torch.type in ("cpu", "cuda"))
    return torch.optim.RMSprop(groups, alpha=settings.alpha, eps=settings.eps, foreach=True)
