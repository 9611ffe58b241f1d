"""Training steps of a study, timed in fresh processes: ours, and the same network's as published code takes them.

A request is timed in rounds that pass over everything that is compared, so that a noisy machine is noisy to all alike.
Every figure is the median of its rounds.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from kpcore.data.batches import Batch, TrainingStream
from kpcore.interfaces.codec import Targets
from kpcore.keypoints import KeypointSet
from kpcore.measure.estimate import new_stepper, random_batch
from kpcore.registry import Registry
from kpcore.study.dag import plan_jobs
from kpcore.study.executors import Order
from kpcore.study.jobs import Job
from kpcore.study.planning import job_plan
from kpcore.study.study import Study
from kpcore.study.workshop import Workshop, open_workshop
from kpcore.training.compiling import uncompiled
from kpcore.training.device import Device
from kpcore.training.process import set_up_process

NAIVE = "naive"
"""The same network's step as published code takes it: fp32, NCHW, eager, a plain optimiser, no settings of ours."""

SOURCE = "source"
"""What training on S1 is called among the kinds of jobs; the others have their modes' names."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Args:
        rounds: passes over everything that is compared.
        steps: in a row, in each of them.
        warmup: steps before the first.
    """

    rounds: int = 3
    steps: int = 4
    warmup: int = 3


@dataclass(frozen=True)
class StepTime:
    """The training step of one kind of job.

    Args:
        job: its name.
        precision: of its arithmetic, or "naive".
        batch: people.
        in_memory: median seconds of a step on one batch that is held in memory.
        streamed: the same on the real data; None where only memory was asked for.
        waiting: share of the streamed time that was spent waiting for data.
        flop: floating-point operations of a step, forward and backward.
        peak: bytes of memory at most, of the process (CPU) or on the GPU; of all jobs that shared the process.
    """

    job: str
    precision: str
    batch: int
    in_memory: float
    streamed: float | None
    waiting: float | None
    flop: int
    peak: int

    def record(self) -> dict[str, Any]:
        """Return it as JSON, with what follows from it."""
        return {
            **vars(self),
            "images_per_second": self.batch / (self.streamed or self.in_memory),
            "data_ratio": self.in_memory / self.streamed if self.streamed else None,
            "tflops": self.flop / self.in_memory / 1e12,
        }


@dataclass(frozen=True)
class Request:
    """What one process times.

    Args:
        order: the study, and the device with its precision.
        jobs: names of kinds of jobs, in order.
        effort: how long.
        streamed: time the steps on real data too.
        naive: take the step as published code does.
    """

    order: Order
    jobs: tuple[str, ...]
    effort: Effort
    streamed: bool = True
    naive: bool = False


def kinds(study: Study, device: Device) -> dict[str, Job]:
    """Return one job of every kind: training on S1, and each mode of the first split."""
    found: dict[str, Job] = {}
    for job in plan_jobs(study, device).jobs:
        found.setdefault(job.mode.name if job.mode else SOURCE, job)
    return found


def time_steps(requests: Sequence[Request]) -> list[list[StepTime]]:
    """Time all requests at once, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(requests), mp_context=context) as pool:
        return list(pool.map(measure, requests))


def measure(request: Request) -> list[StepTime]:
    """Time a request's kinds of jobs in this process, in rounds over all of them."""
    order = request.order
    set_up_process(order.device, order.config.training.compile)
    study = order.build(Registry())
    known = kinds(study, order.device)
    jobs = [known[name] for name in request.jobs]
    timers = _naive_timers(study, jobs, order.device) if request.naive else _our_timers(study, jobs, order.device)
    effort = request.effort
    for timer in timers:
        timer.warm(effort.warmup)
    for number in range(effort.rounds):
        for timer in timers:
            timer.memory(effort.steps)
            if request.streamed:
                timer.stream(number * effort.steps, effort.steps)
    precision = NAIVE if request.naive else order.device.precision
    about = (precision, study.config.training.batch_size, peak_memory(order.device))
    return [timer.result(name, *about) for name, timer in zip(request.jobs, timers, strict=True)]


def _our_timers(study: Study, jobs: Sequence[Job], device: Device) -> list[_Timer]:
    """Return timers of the steps that a training takes, on the data of each job."""
    shop = open_workshop(study, device, (job.dataset for job in jobs))
    streams = {name: new_stream(shop, name) for name in shop.groups}
    batches = {name: stream.batch(0) for name, stream in streams.items()}
    return [_Timer(_ours(study, job, device), batches[job.dataset], streams[job.dataset]) for job in jobs]


def _naive_timers(study: Study, jobs: Sequence[Job], device: Device) -> list[_Timer]:
    """Return timers of naive steps, on noise: what is in the images does not change the time.

    They are spared what opening the workshop does to the allocator.
    """
    settings = study.config.training
    timers = []
    for job in jobs:
        batch = random_batch(settings.batch_size, settings.resolution, job.keypoints.skeleton)
        timers.append(_Timer(_naive(batch, study, job, device), batch))
    return timers


def peak_memory(device: Device) -> int:
    """Return the most bytes that were in use: on the GPU, or resident of this process."""
    if device.torch.type == "cuda":
        return torch.cuda.max_memory_allocated(device.torch)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(eq=False)
class _Timer:
    """One job's steps."""

    step: Callable[[Batch], Tensor]
    batch: Batch
    streaming: TrainingStream | None = None
    in_memory: list[float] = field(default_factory=list)
    streamed: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    flop: int = 0

    def warm(self, steps: int) -> None:
        for _ in range(steps):
            self.step(self.batch)
        with uncompiled(), FlopCounterMode(display=False) as counter:
            self.step(self.batch)
        self.flop = int(counter.get_total_flops())

    def memory(self, steps: int) -> None:
        self.in_memory.append(self._time(repeat(self.batch, steps), steps)[0])

    def stream(self, first: int, steps: int) -> None:
        if self.streaming is None:
            return
        batches = self.streaming.iterate(first, steps + 1)
        next(batches)  # the others are made meanwhile, as in a training that runs
        seconds, waited = self._time(batches, steps)
        self.streamed.append(seconds)
        self.waited.append(waited)

    def _time(self, batches: Iterator[Batch], steps: int) -> tuple[float, float]:
        """Return the seconds of a step and the share of them spent waiting for batches."""
        waited = 0.0
        started = asked = time.perf_counter()
        for batch in batches:
            waited += time.perf_counter() - asked
            loss = self.step(batch)
            asked = time.perf_counter()
        float(loss)  # waits for the device
        seconds = time.perf_counter() - started
        return seconds / steps, waited / seconds

    def result(self, job: str, precision: str, batch: int, peak: int) -> StepTime:
        return StepTime(
            job,
            precision,
            batch,
            median(self.in_memory),
            median(self.streamed) if self.streamed else None,
            median(self.waited) if self.waited else None,
            self.flop,
            peak,
        )


def _ours(study: Study, job: Job, device: Device) -> Callable[[Batch], Tensor]:
    """Return the step that a training takes."""
    _, plan = job_plan(study, job)
    return new_stepper(study, job, plan, device).step


def _naive(batch: Batch, study: Study, job: Job, device: Device) -> Callable[[Batch], Tensor]:
    """Return the step of published code: fp32, NCHW, eager, plain optimiser; its images and targets are at hand."""
    settings = study.config.training
    network = study.network(job.layout, seed=0).to(device.torch).train()
    images = batch.input(device.torch, study.backbone.mean, study.backbone.std).contiguous()
    drawn = [_moved(targets(study, head, batch, images.shape), device.torch) for head in job.layout.heads]
    optimizer = torch.optim.RMSprop(network.parameters(), lr=settings.optimizer.learning_rate, foreach=False)

    def step(_: Batch) -> Tensor:
        outputs = network(images)
        losses = [study.codec.loss(output, wanted) for output, wanted in zip(outputs, drawn, strict=True)]
        loss = torch.stack(losses).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    return step


def _moved(wanted: Targets, device: torch.device) -> Targets:
    return Targets(wanted.maps.to(device), wanted.weights.to(device))


def new_stream(shop: Workshop, dataset: str) -> TrainingStream:
    """Return the stream of a job with seed 0."""
    settings = shop.study.config.training
    training = shop.groups[dataset].training
    return TrainingStream(
        training.sampler,
        training.people,
        settings.augmentation,
        seed=0,
        batch_size=settings.batch_size,
    )


def targets(study: Study, heads: KeypointSet, batch: Batch, size: Sequence[int]) -> Targets:
    """Draw a batch's targets."""
    stride = study.backbone.stride
    columns = list(heads.indices)
    shape = (size[-2] // stride, size[-1] // stride)
    return study.codec.encode(batch.points[:, columns], batch.state[:, columns], shape, stride)
