"""The training loop: epochs of iterations, validation, schedule, early stopping, checkpoint and exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from kpcore.config import TrainingTable
from kpcore.data.batches import Batch, TrainingStream
from kpcore.data.geometry import generator
from kpcore.interrupts import Stopped, asked, held, released
from kpcore.network import Network
from kpcore.training.averaging import make_average
from kpcore.training.checkpoint import Checkpoints, random_state, restore_random
from kpcore.training.schedules import make_rate
from kpcore.training.step import Learner, Stepper
from kpcore.training.stopping import Progress

LOWERED = 3
"""Times that the learning rate is halved, at most, where the loss is no finite number."""


class JobError(Exception):
    """A training that cannot go on; the study records the reason and goes on with other jobs."""


class Listener(Protocol):
    """What watches a job: the progress display, or nothing."""

    def iteration(self, done: int, total: int) -> None:
        """``done`` of at most ``total`` iterations of the job are behind."""

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch ended; ``record`` is its line of history.jsonl."""

    def notice(self, text: str) -> None:
        """A line for the user."""


@dataclass(frozen=True, eq=False)
class Task:
    """Everything that one training is made of.

    Args:
        learner: network, plan, codec and device.
        stream: training batches.
        settings: the ``[training]`` table.
        validate: network -> validation value.
        higher_is_better: direction of that value.
        people: of a pass, which an epoch is where its length is not set; those of the stream where None.
    """

    learner: Learner
    stream: TrainingStream
    settings: TrainingTable
    validate: Callable[[Network], float]
    higher_is_better: bool
    people: int | None = None

    @property
    def epoch_iterations(self) -> int:
        """Iterations of an epoch."""
        return epoch_iterations(self.settings, len(self.stream.people) if self.people is None else self.people)


def epoch_iterations(settings: TrainingTable, people: int) -> int:
    """Return the iterations of an epoch: as set, else one pass over the people."""
    return settings.iterations_per_epoch or max(1, people // settings.batch_size)


def noise_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Return torch's seed for an epoch, so that noise inside a network (dropout) is the same after a kill.

    Processes that share a batch differ in it, as people of one batch do.
    """
    return int(generator(seed, epoch, rank, 2).integers(2**63))


@dataclass
class Outcome:
    """How a training ended, after one epoch or more.

    ``lowered`` counts how often the learning rate was halved, because the loss was no finite number.
    """

    history: list[dict[str, Any]]
    best_epoch: int
    best: float | None
    seconds: dict[str, float]
    at_epoch: list[float]
    """Seconds of training, validation left out, when each epoch had ended."""
    lowered: int = 0

    def kept(self, keep: str) -> float | None:
        """Return the validation value of the weights that are the result: of the best epoch, or of the last."""
        return self.best if keep == "best" else self.history[-1]["validation"]

    @property
    def epochs(self) -> int:
        """Epochs that were trained."""
        return len(self.history)

    @property
    def iterations(self) -> int:
        """Iterations that were trained."""
        return int(self.history[-1]["iterations"])


class Training:
    """One run of a task; made anew, or gone on with from the last good checkpoint, to the bit.

    Order and augmentation hang on the iteration alone, noise inside the network on torch's generators: so where it
    stands is its epochs, the iterations of the one that is under way, and what these have left behind.

    Several processes that share its batches do all of this alike and at the same iteration; the first of them validates
    and writes.
    """

    def __init__(self, task: Task, checkpoints: Checkpoints) -> None:
        self.task = task
        self.ranks = task.learner.device.ranks
        self.checkpoints = checkpoints
        self.history: list[dict[str, Any]] = []
        self.stepper = Stepper(task.learner, task.settings.optimizer)
        self.average = make_average(task.settings.average, task.learner.network)
        self.rate = make_rate(task.settings.schedule, task.epoch_iterations * task.settings.epochs)
        self.progress = Progress(task.higher_is_better, task.settings.min_improvement)
        self.best_state: dict[str, Tensor] = {}
        self.seconds = {"training": 0.0, "validation": 0.0, "waiting_for_data": 0.0}
        self.at_epoch: list[float] = []
        self.position = 0
        """Iterations of the epoch that are behind."""
        self.loss = torch.zeros((), device=task.learner.device.torch)
        """Their losses' sum; the device is read from when the epoch or a checkpoint asks for it."""
        self.lowered = 0
        """Times that the learning rate was halved."""
        self._start: dict[str, Any] = {}  # where the epoch began, if there may be a way back
        self._began = 0.0  # when the seconds of training were counted last
        self._saved = self._place

    @property
    def _place(self) -> tuple[int, int]:
        return len(self.history), self.position

    def run(self, listener: Listener) -> Outcome:
        """Train to the end; the network is left with the weights that ``training.keep`` asks for.

        A signal lets the step end, or breaks a validation off, and leaves a checkpoint.

        Raises:
            JobError: the loss is not finite.
            PeerError: another process that shares the batches is lost.
            Stopped: a signal asked for it.
        """
        with held():
            self._resume()
            try:
                while not self._finished():
                    self._epoch(len(self.history), listener)
                    self.save()
                    self.ranks.stop(self.ranks.agreed(False, asked())[1])
            except Stopped:
                self.save()
                raise
        self._keep()
        progress = self.progress
        return Outcome(self.history, progress.best_epoch, progress.best, self.seconds, self.at_epoch, self.lowered)

    def _keep(self) -> None:
        """Leave the network with the weights that are the result."""
        if self.task.settings.keep == "best" and self.best_state:
            self.task.learner.network.load_state_dict(self.best_state)
        else:
            self.average.keep()

    def _finished(self) -> bool:
        settings = self.task.settings
        stale = settings.early_stopping is not False and self.progress.stale >= settings.early_stopping
        return stale or len(self.history) >= settings.epochs

    def _epoch(self, epoch: int, listener: Listener) -> None:
        self._began = time.perf_counter()
        loss = self._iterations(epoch, listener)
        while not math.isfinite(loss):
            self._lower(epoch, loss, listener)
            loss = self._iterations(epoch, listener)
        self._count_training()
        with self.average.shown():
            value = self.ranks.of_first(self._validation)
            record = self._record(epoch, loss, value)
        self.at_epoch.append(self.seconds["training"])
        self.seconds["validation"] += time.perf_counter() - self._began
        listener.epoch(record)

    def _validation(self) -> float:
        with released():
            return self.task.validate(self.task.learner.network)

    def _lower(self, epoch: int, loss: float, listener: Listener) -> None:
        """Go back to where the epoch began, with half of the learning rate from there on, if that is wanted.

        Raises:
            JobError: it is not, or was done too often.
        """
        what = f"the loss is {loss} in epoch {epoch + 1}"
        if not self._start or self.lowered == LOWERED:
            again = f", though the learning rate was halved {LOWERED} times" if self.lowered else ""
            policy = "" if self._start else ", or set training.nan_policy = 'lower_rate'"
            raise JobError(f"{what}{again}; lower training.optimizer.learning_rate{policy}")
        self.lowered += 1
        self.task.learner.network.load_state_dict(self._start["network"])
        self.stepper.go_back(self._start["stepper"])
        self.average.restore(self._start["average"])
        self.position, self._saved = 0, (-1, -1)
        listener.notice(f"{what}; the epoch is trained again, with half of the learning rate from here on")

    def _count_training(self) -> None:
        now = time.perf_counter()
        self.seconds["training"] += now - self._began
        self._began = now

    def _record(self, epoch: int, loss: float, value: float) -> dict[str, Any]:
        """Take the epoch into account: best weights, learning rate and history."""
        network, settings = self.task.learner.network, self.task.settings
        iterations = (epoch + 1) * self.task.epoch_iterations
        record = {
            "epoch": epoch + 1,
            "iterations": iterations,
            "loss": loss,
            "learning_rate": settings.optimizer.learning_rate * self._factor(iterations - 1),
            "validation": value if math.isfinite(value) else None,
        }
        improved = self.progress.record(epoch + 1, value)
        if improved and settings.keep == "best":
            self.best_state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        self.rate.epoch_ended(improved)
        self.history.append(record)
        self.position = 0
        return record

    def _iterations(self, epoch: int, listener: Listener) -> float:
        """Train what is left of an epoch and return the mean loss of all of it; the device is read from at the end."""
        count = self.task.epoch_iterations
        first = epoch * count
        if not self.position:
            self._start_epoch(epoch)
        for batch in self._timed(self.task.stream.iterate(first + self.position, count - self.position)):
            self.stepper.set_rate(self._factor(first + self.position))
            self.loss += self.stepper.step(batch)
            self.position += 1
            self.average.update(first + self.position)
            listener.iteration(first + self.position, count * self.task.settings.epochs)
            due, number = self.ranks.agreed(self.checkpoints.due(), asked())
            if due or number:
                self._count_training()
                self.save()
                self._began = time.perf_counter()  # what a checkpoint takes is no training
                self.ranks.stop(number)
        return self.ranks.of_first(lambda: float(self.loss)) / count

    def _factor(self, iteration: int) -> float:
        """Return what the learning rate is multiplied with."""
        return self.rate.factor(iteration) * 0.5**self.lowered

    def _start_epoch(self, epoch: int) -> None:
        torch.manual_seed(noise_seed(self.task.stream.seed, epoch, self.ranks.number))
        self.loss = torch.zeros_like(self.loss)
        self.stepper.start_epoch(epoch)
        self.average.start_epoch(self.stepper.frozen)
        if self.task.settings.nan_policy == "lower_rate":
            self._start = deepcopy(self._trained())

    def _trained(self) -> dict[str, Any]:
        """Return what an iteration changes, but for its loss."""
        network = self.task.learner.network.state_dict()
        return {"network": network, "stepper": self.stepper.state(), "average": self.average.state()}

    def _timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.seconds["waiting_for_data"] += time.perf_counter() - started
            if batch is None:
                return
            yield batch

    def save(self) -> None:
        """Keep where it stands, unless that is kept already.

        With a loss that is not finite there is nothing to go on from: the epoch's end says so, the same in every run.
        """
        if self._place == self._saved or not self.ranks.of_first(self._sound):
            return
        under_way = self._under_way() if self.position else {}
        if self.ranks.first:
            behind = len(self.history), len(self.history) * self.task.epoch_iterations + self.position
            self.checkpoints.save(behind, {**self._state(), **under_way})
        self._saved = self._place

    def _sound(self) -> bool:
        return not self.position or math.isfinite(float(self.loss))

    def _state(self) -> dict[str, Any]:
        """Return what every checkpoint needs."""
        return {
            **self._trained(),
            "best": self.best_state,
            "rate": self.rate.state(),
            "lowered": self.lowered,
            "progress": [self.progress.best, self.progress.best_epoch, self.progress.stale],
            "history": self.history,
            "seconds": self.seconds,
            "at_epoch": self.at_epoch,
        }

    def _under_way(self) -> dict[str, Any]:
        """Return what only a checkpoint inside an epoch needs."""
        random, *others = self.ranks.everyone(random_state(self.task.learner.device.torch))
        of_others = {"random_of_others": others} if others else {}
        return {"position": self.position, "loss": self.loss, "random": random, "start": self._start, **of_others}

    def _load(self) -> dict[str, Any] | None:
        """Return the state that the first process finds."""
        device = self.task.learner.device.torch
        saved = self.checkpoints.load(device) if self.ranks.first else None
        name = self.ranks.of_first(lambda: self.checkpoints.newest.name if self.checkpoints.newest else "")
        return self.checkpoints.take(name, device) if name and not self.ranks.first else saved

    def _resume(self) -> None:
        saved = self._load()
        if saved is None:
            return
        self.history = saved["history"]
        self.position = saved.get("position", 0)  # a job may have begun before there were checkpoints inside an epoch
        self.stepper.restore(saved["stepper"], len(self.history) + bool(self.position))
        self.task.learner.network.load_state_dict(saved["network"])
        self.average.start_epoch(self.stepper.frozen)
        self.average.restore(saved.get("average", {}))  # a job without one may have begun before there were any
        self.best_state = saved["best"]
        self.rate.restore(saved["rate"])
        self.lowered = saved.get("lowered", 0)
        self.progress.best, self.progress.best_epoch, self.progress.stale = saved["progress"]
        self.seconds, self.at_epoch = saved["seconds"], saved["at_epoch"]
        self._saved = self._place
        if self.position:
            self.loss, self._start = saved["loss"], saved.get("start", {})
            self._restore_noise([saved["random"], *saved.get("random_of_others", ())])

    def _restore_noise(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Go on with this process's noise; one that was not there begins with the epoch's."""
        number = self.ranks.number
        if number < len(states):
            restore_random(states[number], self.task.learner.device.torch)
        else:
            torch.manual_seed(noise_seed(self.task.stream.seed, len(self.history), number))
