"""The training loop: epochs of iterations, validation, schedule, early stopping, checkpoint and exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from kpcore.config import Optimizer, TrainingTable
from kpcore.data.batches import Batch, TrainingStream
from kpcore.errors import KpError
from kpcore.interfaces import Backbone, Codec
from kpcore.interfaces.codec import Targets
from kpcore.keypoints import KeypointSet
from kpcore.network import Network
from kpcore.plans import TransferPlan
from kpcore.training.device import Device
from kpcore.training.schedule import LearningRate, Progress
from kpcore.weights import freeze, set_training

CHECKPOINT = "checkpoint.pt"


class JobError(Exception):
    """A training that cannot go on; the study records the reason and goes on with other jobs."""


class Listener(Protocol):
    """What watches a job: the progress display, or nothing."""

    def iteration(self, done: int, total: int) -> None:
        """``done`` of at most ``total`` iterations of the job are behind."""

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch ended; ``record`` is its line of history.jsonl."""


@dataclass(frozen=True)
class StepBatch:
    """What the loss and a plan's extra loss see of a batch, on the device.

    Args:
        images: (B, 3, H, W) network input.
        points: (B, K, D) float32 input pixels, all keypoints of the skeleton.
        state: (B, K) uint8.
    """

    images: Tensor
    points: Tensor
    state: Tensor


@dataclass(frozen=True, eq=False)
class Task:
    """Everything that one training is made of.

    Args:
        network: initialised by the plan, on the device.
        plan: what trains, on what.
        teacher: the source network, where the plan asks for it.
        backbone: for mean, std and stride.
        codec: targets and loss.
        stream: training batches.
        settings: the ``[training]`` table.
        device: where it runs.
        validate: network -> validation value.
        higher_is_better: direction of that value.
    """

    network: Network
    plan: TransferPlan
    teacher: Network | None
    backbone: Backbone
    codec: Codec
    stream: TrainingStream
    settings: TrainingTable
    device: Device
    validate: Callable[[Network], float]
    higher_is_better: bool

    @property
    def epoch_iterations(self) -> int:
        """Iterations of an epoch: as set, else one pass over the people."""
        passed = max(1, len(self.stream.people) // self.stream.batch_size)
        return self.settings.iterations_per_epoch or passed


@dataclass
class Outcome:
    """How a training ended."""

    history: list[dict[str, Any]]
    best_epoch: int
    best: float | None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Epochs that were trained."""
        return len(self.history)

    @property
    def iterations(self) -> int:
        """Iterations that were trained."""
        return int(self.history[-1]["iterations"]) if self.history else 0


class Training:
    """One run of a task; made anew, or gone on with from the checkpoint in its folder."""

    def __init__(self, task: Task, folder: Path) -> None:
        self.task = task
        self.folder = folder
        self.history: list[dict[str, Any]] = []
        self.frozen = freeze(task.plan, task.network)
        self.optimizer = make_optimizer(task.network, task.plan, task.settings.optimizer)
        self.scaler = task.device.scaler()
        self.rate = LearningRate(task.settings.schedule, task.epoch_iterations * task.settings.epochs)
        self.progress = Progress(task.higher_is_better, task.settings.min_improvement)
        self.best_state: dict[str, Tensor] = {}
        self.seconds = {"training": 0.0, "validation": 0.0, "waiting_for_data": 0.0}

    @property
    def checkpoint(self) -> Path:
        """The file that a killed training goes on from; written by this program only."""
        return self.folder / CHECKPOINT

    def run(self, listener: Listener) -> Outcome:
        """Train to the end; the network is left with the weights that ``training.keep`` asks for.

        Raises:
            JobError: the loss is not finite.
        """
        if self.checkpoint.exists():
            self._resume()
        while not self._finished():
            self._epoch(len(self.history), listener)
            self._save()
        if self.task.settings.keep == "best" and self.best_state:
            self.task.network.load_state_dict(self.best_state)
        return Outcome(self.history, self.progress.best_epoch, self.progress.best, self.seconds)

    def _finished(self) -> bool:
        settings = self.task.settings
        patience = settings.early_stopping
        return len(self.history) >= settings.epochs or (patience is not None and self.progress.stale >= patience)

    def _epoch(self, epoch: int, listener: Listener) -> None:
        task = self.task
        started = time.perf_counter()
        self._thaw(epoch)
        set_training(task.network, self.frozen, task.plan.frozen_norm)
        loss = self._iterations(epoch, listener)
        if not math.isfinite(loss):
            raise JobError(f"the loss is {loss} in epoch {epoch + 1}; lower training.optimizer.learning_rate")
        trained = time.perf_counter()
        value = task.validate(task.network)
        self.seconds["training"] += trained - started
        self.seconds["validation"] += time.perf_counter() - trained
        improved = self.progress.record(epoch + 1, value)
        if improved:
            self.best_state = {name: tensor.detach().clone() for name, tensor in task.network.state_dict().items()}
        iterations = (epoch + 1) * task.epoch_iterations
        record = {
            "epoch": epoch + 1,
            "iterations": iterations,
            "loss": loss,
            "learning_rate": task.settings.optimizer.learning_rate * self.rate.factor(iterations - 1),
            "validation": value if math.isfinite(value) else None,
        }
        self.rate.epoch_ended(improved)
        self.history.append(record)
        listener.epoch(record)

    def _thaw(self, epoch: int) -> None:
        before = self.frozen
        self.frozen = freeze(self.task.plan, self.task.network, epoch=epoch)
        for unit in sorted(before - self.frozen):
            for group in parameter_groups(self.task.network, self.task.plan, self.task.settings.optimizer, [unit]):
                self.optimizer.add_param_group(group)

    def _iterations(self, epoch: int, listener: Listener) -> float:
        """Train one epoch and return its mean loss; the device is read from once, at the end."""
        count = self.task.epoch_iterations
        first = epoch * count
        total = torch.zeros((), device=self.task.device.torch)
        for done, batch in enumerate(self._timed(self.task.stream.iterate(first, count)), 1):
            self._set_rate(first + done - 1)
            total += self._step(batch)
            listener.iteration(first + done, count * self.task.settings.epochs)
        return float(total) / count

    def _timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.seconds["waiting_for_data"] += time.perf_counter() - started
            if batch is None:
                return
            yield batch

    def _set_rate(self, iteration: int) -> None:
        rate = self.task.settings.optimizer.learning_rate * self.rate.factor(iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]

    def _step(self, batch: Batch) -> Tensor:
        task = self.task
        step = StepBatch(
            batch.input(task.device.torch, task.backbone.mean, task.backbone.std),
            batch.points.to(task.device.torch, non_blocking=True),
            batch.state.to(task.device.torch, non_blocking=True),
        )
        with task.device.autocast():
            outputs = task.network(step.images)
        loss = supervised_loss(outputs, step, task)
        if task.plan.extra_loss is not None:
            loss = loss + task.plan.extra_loss(outputs, step, task.network, task.teacher)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def _save(self) -> None:
        """Write the checkpoint in one step, so that a kill leaves the last whole one."""
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(
            {
                "network": self.task.network.state_dict(),
                "best": self.best_state,
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "rate": self.rate.state(),
                "progress": [self.progress.best, self.progress.best_epoch, self.progress.stale],
                "history": self.history,
                "seconds": self.seconds,
                "random": torch.get_rng_state(),
            },
            partial,
        )
        partial.replace(self.checkpoint)

    def _resume(self) -> None:
        saved = torch.load(self.checkpoint, map_location=self.task.device.torch, weights_only=True)
        self.history = saved["history"]
        for epoch in range(len(self.history)):  # in order, so that the optimiser's groups come out as they were
            self._thaw(epoch)
        self.task.network.load_state_dict(saved["network"])
        self.best_state = saved["best"]
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.rate.restore(saved["rate"])
        self.progress.best, self.progress.best_epoch, self.progress.stale = saved["progress"]
        self.seconds = saved["seconds"]
        torch.set_rng_state(saved["random"].cpu())


def supervised_loss(outputs: Sequence[Tensor], step: StepBatch, task: Task) -> Tensor:
    """Sum the codec's loss over the supervised stages (FACTS 2); targets are drawn once a keypoint set."""
    drawn: dict[tuple[str, ...], Targets] = {}
    losses = []
    for output, head, wanted in zip(outputs, task.network.layout.heads, task.plan.supervision, strict=True):
        if wanted is None:
            continue
        if wanted.names not in drawn:
            drawn[wanted.names] = draw_targets(wanted, step, task.codec, output, task.backbone.stride)
        losses.append(task.codec.loss(select_channels(output, head, wanted, task.codec), drawn[wanted.names]))
    return torch.stack(losses).sum()


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
        parameters = [p for p in network.get_submodule(unit).parameters() if p.requires_grad]
        factor = plan.learning_rates.get(unit, 1.0)
        for decay, chosen in (
            (settings.weight_decay, [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim <= 1]),
        ):
            if chosen:
                rate = settings.learning_rate * factor
                groups.append({"params": chosen, "weight_decay": decay, "factor": factor, "lr": rate})
    return groups


def make_optimizer(network: Network, plan: TransferPlan, settings: Optimizer) -> torch.optim.Optimizer:
    """Return the optimiser over what trains at first; frozen units are left out of it altogether.

    Raises:
        KpError: nothing trains.
    """
    names = [name for name, unit in network.units() if any(p.requires_grad for p in unit.parameters())]
    groups = parameter_groups(network, plan, settings, names)
    if not groups:
        raise KpError("transfer plan: every unit is frozen, nothing would train; leave at least one unit free")
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, eps=settings.eps, fused=supports_fused(network))
    return torch.optim.RMSprop(groups, alpha=settings.alpha, eps=settings.eps, foreach=True)


def supports_fused(network: nn.Module) -> bool:
    """Whether torch's fused optimisers run where the network is."""
    return next(network.parameters()).device.type in ("cpu", "cuda")
