"""What a study will cost on this device: a few real steps of every kind of job are timed, the rest is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from kpcore.data.batches import Batch, TrainingStream
from kpcore.data.sampling import Warped
from kpcore.keypoints import Skeleton
from kpcore.network import parameters_of
from kpcore.plans import TransferPlan
from kpcore.records.folder import JobFolder
from kpcore.study.jobs import Job, JobPlan
from kpcore.study.planning import job_plan
from kpcore.study.protocol import place
from kpcore.study.study import Study
from kpcore.tensors import VISIBLE
from kpcore.training.device import Device
from kpcore.training.loop import Task, epoch_iterations
from kpcore.training.process import set_up_process
from kpcore.training.step import Learner, Stepper

TIMED_STEPS = 2
"""Steps that are timed after one to warm up."""


@dataclass(frozen=True)
class Cost:
    """One job's cost.

    Args:
        parameters: of its network; ``trained`` of them train.
        iterations: at most; early stopping may end sooner.
        step_seconds: measured on this device, data preparation left out.
        cached: whether the result is in the cache already.
    """

    job: Job
    parameters: int
    trained: int
    iterations: int
    step_seconds: float
    cached: bool

    @property
    def seconds(self) -> float:
        """At most; 0 where the cache has it. Validation and scoring come on top."""
        return 0.0 if self.cached else self.iterations * self.step_seconds


def estimate(
    study: Study, plan: JobPlan, device: Device, progress: Callable[[int, int], None] | None = None
) -> list[Cost]:
    """Return the cost of every job; equal kinds of networks are timed once."""
    timed: dict[tuple[object, ...], float] = {}
    costs = []
    for done, job in enumerate(plan.jobs, 1):
        spec, transfer = job_plan(study, job)
        iterations = most_iterations(study, job)
        trained = sum(
            int(np.prod(tensor.shape))
            for tensor in spec.tensors.values()
            if tensor.trainable and tensor.unit not in transfer.always_frozen
        )
        kind = (
            tuple(len(head) for head in spec.layout.heads),
            transfer.frozen,
            *(bool(s) for s in transfer.supervision),
        )
        cached = JobFolder.of(job.key).done
        if not cached and kind not in timed:
            timed[kind] = time_step(study, job, transfer, device)
        costs.append(Cost(job, parameters_of(spec), trained, iterations, timed.get(kind, 0.0), cached))
        if progress is not None:
            progress(done, len(plan.jobs))
    return costs


def most_iterations(study: Study, job: Job) -> int:
    """Return how many iterations a job takes at most; of one that matches others, what these take at most."""
    if job.matches:
        return sum(most_iterations(study, one) for one in job.matches)
    settings = study.config.training
    return epoch_iterations(settings, study.data[job.dataset].people("train")) * settings.epochs


def time_step(study: Study, job: Job, plan: TransferPlan, device: Device) -> float:
    """Return the seconds of one training step, on random images."""
    settings = study.config.training
    set_up_process(device, settings.compile)
    stepper = new_stepper(study, job, plan, device)
    batch = random_batch(settings.batch_size, settings.resolution, job.keypoints.skeleton)
    stepper.step(batch)
    device.synchronize()
    started = time.perf_counter()
    for _ in range(TIMED_STEPS):
        stepper.step(batch)
    device.synchronize()
    return (time.perf_counter() - started) / TIMED_STEPS


def new_stepper(study: Study, job: Job, plan: TransferPlan, device: Device) -> Stepper:
    """Return what takes a job's training steps, with initial weights: enough to time them."""
    stepper = Stepper(new_learner(study, job, plan, device), study.config.training.optimizer)
    stepper.start_epoch(0)
    return stepper


def new_learner(study: Study, job: Job, plan: TransferPlan, device: Device) -> Learner:
    """Return a job's network with initial weights, and what it takes to train it."""
    network = place(study.network(job.layout, seed=0), device.torch)
    teacher = network if plan.teacher else None
    return study.learner(network, plan, teacher, job.keypoints.skeleton, device)


def idle_task(study: Study, job: Job, device: Device) -> Task:
    """Return what a job's training is made of, but data: enough to keep its checkpoints."""
    settings = study.config.training
    learner = new_learner(study, job, job_plan(study, job)[1], device)
    people = study.data[job.dataset].people("train")
    nothing = cast(TrainingStream, None)  # no iteration is asked for
    return Task(learner, nothing, settings, lambda network: 0.0, higher_is_better=True, people=people)


def random_batch(size: int, resolution: int, skeleton: Skeleton) -> Batch:
    """Return a batch of noise with points all over it."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (size, resolution, resolution, 3), np.uint8)
    points = random.uniform(0, resolution, (size, len(skeleton.names), skeleton.dims)).astype(np.float32)
    state = np.full((size, len(skeleton.names)), VISIBLE, np.uint8)
    return Batch(
        Warped(torch.from_numpy(images)), None, torch.from_numpy(points), torch.from_numpy(state), np.arange(size)
    )
