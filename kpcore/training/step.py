"""One training step: forward, loss over the supervised stages, backward, optimiser."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from kpcore.config import Optimizer
from kpcore.data.batches import Batch
from kpcore.data.sending import send
from kpcore.errors import ContractError, KpError, shown
from kpcore.interfaces import Backbone, Codec
from kpcore.interfaces.codec import Targets
from kpcore.keypoints import KeypointSet, Skeleton
from kpcore.network import Network
from kpcore.plans import TransferPlan
from kpcore.training.compiling import Compile, compile_network, start_step
from kpcore.training.device import Device
from kpcore.training.optimisers import make_optimizer, parameter_groups
from kpcore.training.ranks import Loss
from kpcore.weights import freeze, set_training


@dataclass(frozen=True)
class StepBatch:
    """What the loss and a plan's extra loss see of a batch; every tensor is on the device that trains.

    Args:
        images: (B, 3, H, W) float32 network input, augmented, RGB with the backbone's mean and std taken out.
        points: (B, K, D) float32 input pixels after the same augmentation; K are all keypoints of the skeleton of the
            step's data set, in its order (``keypoint_set.indices`` are a set's columns); 0 where unlabelled.
        state: (B, K) uint8: ``UNLABELLED``, ``HIDDEN`` or ``VISIBLE`` of :mod:`kpcore.tensors`.
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
        self.loss = self._loss()

    def _loss(self) -> Loss:
        """Return the loss of a batch, which other processes may share."""
        plan, network = self.learner.plan, self.learner.network
        freeze(plan, network, epoch=sys.maxsize)
        loss = self.learner.device.ranks.divided(network, partial(batch_loss, learner=self.learner))
        freeze(plan, network)
        return loss

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
        step = StepBatch(  # images of this process's share alone, where others have theirs
            batch.input(device, learner.backbone.mean, learner.backbone.std),
            send(batch.points, device),
            send(batch.state, device),
            learner.codec,
            learner.backbone.stride,
        )
        start_step(learner.compile)
        with learner.device.ranks.meeting():
            loss = self.loss(step)
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
        self.go_back(state)

    def go_back(self, state: dict[str, Any]) -> None:
        """Take a state of this very epoch."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def batch_loss(step: StepBatch, learner: Learner) -> Tensor:
    """Return the loss of a whole batch: of the supervised stages, and the plan's own where it has one."""
    ranks, extra = learner.device.ranks, learner.plan.extra_loss
    with learner.device.autocast():
        outputs = ranks.joined(learner.network(step.images))
    loss = supervised_loss(outputs, step, learner)
    if extra is None:
        return loss
    whole = replace(step, images=ranks.whole(step.images))
    return loss + scalar(extra(outputs, whole, learner.network, learner.teacher), extra, "extra_loss()")


def supervised_loss(outputs: Sequence[Tensor], step: StepBatch, learner: Learner) -> Tensor:
    """Sum the codec's loss over the supervised stages, as Newell's code does; targets are drawn once a keypoint set."""
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
    columns = send(torch.tensor(keypoints.indices), step.points.device)
    size = (output.shape[-2], output.shape[-1])
    return codec.encode(step.points[:, columns], step.state[:, columns], size, stride)


def select_channels(output: Tensor, head: KeypointSet, wanted: KeypointSet, codec: Codec) -> Tensor:
    """Return the channels of ``wanted`` from a head's output."""
    if wanted.names == head.names:
        return output
    slices = [codec.channel_slice(place) for place in head.places(wanted.names)]
    return torch.cat([output[:, one] for one in slices], dim=1)
