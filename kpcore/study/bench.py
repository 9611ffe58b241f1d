"""What this machine makes of a study: preparing, the input pipeline and training steps, timed on its own data.

Steps are timed in fresh processes, in rounds that pass over everything that is compared, so that a noisy machine is
noisy to all alike. Every figure is the median of its rounds.
"""

from __future__ import annotations

import multiprocessing
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from kpcore.data.batches import Batch, TrainingStream
from kpcore.data.store import write_store
from kpcore.interfaces.codec import Targets
from kpcore.keypoints import KeypointSet
from kpcore.network import build_network
from kpcore.study.estimate import job_plan, new_stepper, random_batch
from kpcore.study.executors import Order
from kpcore.study.jobs import Job, plan_jobs
from kpcore.study.setup import Study, build_study
from kpcore.study.workshop import Workshop, cuts, open_workshop
from kpcore.training.compiling import uncompiled
from kpcore.training.device import Device, Precision

NAIVE = "naive"
"""The same network's step as published code takes it: fp32, NCHW, eager, a plain optimiser, no settings of ours."""


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


def start_up(tries: int = 3) -> dict[str, float]:
    """Return the seconds of whole processes: ``kp --help`` and ``kp plugins list``, the best of some tries."""
    commands = {"kp --help": ["--help"], "kp plugins list": ["plugins", "list"]}
    return {name: min(_run(arguments) for _ in range(tries)) for name, arguments in commands.items()}


def _run(arguments: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "kpcore", *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def preparing(study: Study, people: int) -> dict[str, float]:
    """Prepare that many people of the training part in a folder that is thrown away; return people a second."""
    samples = study.dataset.samples("train")[:people]
    with tempfile.TemporaryDirectory(prefix="kp-bench-") as folder:
        started = time.perf_counter()
        write_store(Path(folder) / "store.h5", samples, cuts(study.config.training)["train"])
        seconds = time.perf_counter() - started
    return {"people": len(samples), "people_per_second": len(samples) / seconds}


def pipeline(shop: Workshop, seconds: float = 4.0) -> dict[str, float]:
    """Return the samples a second that one core warps, normalises and draws targets for, and its parts' shares."""
    study = shop.study
    stream = new_stream(shop)
    heads = study.splits[-1].steps[-1].keypoints
    cpu = torch.device("cpu")
    spent = {"batches": 0.0, "input": 0.0, "targets": 0.0}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        count = 0
        while count < 3 or sum(spent.values()) < seconds:
            batch = _timed(spent, "batches", partial(stream.batch, count))
            images = _timed(spent, "input", partial(batch.input, cpu, study.backbone.mean, study.backbone.std))
            _timed(spent, "targets", partial(targets, study, heads, batch, images.shape))
            count += 1
    finally:
        torch.set_num_threads(before)
    total = sum(spent.values())
    made = count * stream.batch_size
    return {"samples_per_second_per_core": made / total, **{name: part / total for name, part in spent.items()}}


def targets(study: Study, heads: KeypointSet, batch: Batch, size: Sequence[int]) -> Targets:
    """Draw a batch's targets."""
    stride = study.backbone.stride
    columns = list(heads.indices)
    shape = (size[-2] // stride, size[-1] // stride)
    return study.codec.encode(batch.points[:, columns], batch.state[:, columns], shape, stride)


def _timed(spent: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    spent[name] += time.perf_counter() - started
    return result


def new_stream(shop: Workshop) -> TrainingStream:
    """Return the stream of a job with seed 0."""
    settings = shop.study.config.training
    return TrainingStream(
        shop.training.sampler,
        shop.training.people,
        settings.augmentation,
        seed=0,
        batch_size=settings.batch_size,
    )


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
        found.setdefault(job.mode.name if job.mode else "source", job)
    return found


def time_steps(requests: Sequence[Request]) -> list[list[StepTime]]:
    """Time all requests at once, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(requests), mp_context=context) as pool:
        return list(pool.map(measure, requests))


def measure(request: Request) -> list[StepTime]:
    """Time a request's kinds of jobs in this process, in rounds over all of them."""
    order = request.order
    study = build_study(order.config, order.file, order.preset, notice=lambda _: None)
    torch.set_num_threads(order.device.threads)
    # The naive step is spared what opening the workshop does to the allocator.
    stream = None if request.naive else new_stream(open_workshop(study, order.device))
    batch = naive_batch(study) if stream is None else stream.batch(0)
    known = kinds(study, order.device)
    jobs = [known[name] for name in request.jobs]
    steps = [_naive(study, job, batch) if request.naive else _ours(study, job, order.device) for job in jobs]
    timers = [_Timer(step) for step in steps]
    effort = request.effort
    for timer in timers:
        timer.warm(batch, effort.warmup)
    for number in range(effort.rounds):
        for timer in timers:
            timer.memory(batch, effort.steps)
            if stream is not None and request.streamed:
                timer.stream(stream, number * effort.steps, effort.steps)
    precision = NAIVE if request.naive else order.device.precision
    about = (precision, len(batch.rows), peak_memory(order.device))
    return [timer.result(name, *about) for name, timer in zip(request.jobs, timers, strict=True)]


def naive_batch(study: Study) -> Batch:
    """Return a batch of noise: what is in the images does not change the time."""
    settings = study.config.training
    return random_batch(settings.batch_size, settings.resolution, study)


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
    in_memory: list[float] = field(default_factory=list)
    streamed: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    flop: int = 0

    def warm(self, batch: Batch, steps: int) -> None:
        for _ in range(steps):
            self.step(batch)
        with uncompiled(), FlopCounterMode(display=False) as counter:
            self.step(batch)
        self.flop = int(counter.get_total_flops())

    def memory(self, batch: Batch, steps: int) -> None:
        self.in_memory.append(self._time(repeat(batch, steps), steps)[0])

    def stream(self, stream: TrainingStream, first: int, steps: int) -> None:
        batches = stream.iterate(first, steps + 1)
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


def _naive(study: Study, job: Job, batch: Batch) -> Callable[[Batch], Tensor]:
    """Return the step of published code: fp32, NCHW, eager, plain optimiser; its targets are at hand."""
    settings = study.config.training
    network = build_network(study.backbone, study.codec, job.layout, seed=0, resolution=settings.resolution).train()
    images = batch.input(torch.device("cpu"), study.backbone.mean, study.backbone.std).contiguous()
    drawn = [targets(study, head, batch, images.shape) for head in job.layout.heads]
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


@dataclass(frozen=True)
class Bench:
    """What is measured.

    Args:
        parts: of ``start-up``, ``prepare``, ``pipeline`` and ``steps``.
        precisions: of the steps.
        naive: add the naive step of training on S1.
        at_once: compare this many jobs at once with one alone; 1: do not.
        people: prepared at most.
    """

    parts: frozenset[str]
    precisions: tuple[Precision, ...]
    naive: bool
    at_once: int
    effort: Effort
    people: int = 300


PARTS = ("start-up", "prepare", "pipeline", "steps")


def run_bench(study: Study, device: Device, bench: Bench, notice: Callable[[str], None]) -> dict[str, Any]:
    """Measure; ``notice`` is told what is being measured."""
    order = Order(study.config, study.file, study.preset, device)
    result: dict[str, Any] = {"study": study.config.study.name, "preset": study.preset, "data": study.label}
    result |= machine(device)
    if "start-up" in bench.parts:
        notice("start-up")
        result["start_up"] = start_up()
    if "prepare" in bench.parts:
        notice("prepare")
        result["prepare"] = preparing(study, bench.people)
    if "pipeline" in bench.parts:
        notice("input pipeline")
        shop = open_workshop(study, replace(device, torch=torch.device("cpu")))
        result["pipeline"] = pipeline(shop)
    if "steps" in bench.parts:
        result["steps"] = [each.record() for each in _steps(study, order, bench, notice)]
        result["ratios"] = ratios(result["steps"])
    if bench.at_once > 1:
        notice(f"{bench.at_once} jobs at once")
        result["at_once"] = at_once(order, bench)
    return result


def machine(device: Device) -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "chip": chip_name(device.torch),
        "device": str(device.torch),
        "threads": device.threads,
        "torch": torch.__version__,
        "platform": platform.platform(terse=True),
    }


def chip_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor where the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _steps(study: Study, order: Order, bench: Bench, notice: Callable[[str], None]) -> list[StepTime]:
    names = tuple(kinds(study, order.device))
    times: list[StepTime] = []
    if bench.naive:
        notice("steps, naive")
        times += time_steps([Request(order, ("source",), bench.effort, naive=True)])[0]
    for precision in bench.precisions:
        notice(f"steps, {precision}")
        at = replace(order, device=replace(order.device, precision=precision))
        times += time_steps([Request(at, names, bench.effort)])[0]
    return times


def ratios(steps: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return how the steps compare: frozen against transfer, and ours against the naive one."""
    by_name = {(step["job"], step["precision"]): step["in_memory"] for step in steps}
    found = {}
    for job, precision in by_name:
        if job == "frozen" and ("transfer", precision) in by_name:
            found[f"frozen / transfer, {precision}"] = by_name[job, precision] / by_name["transfer", precision]
        if job == "source" and precision != NAIVE and ("source", NAIVE) in by_name:
            found[f"naive / ours, {precision}"] = by_name["source", NAIVE] / by_name[job, precision]
    return found


def at_once(order: Order, bench: Bench) -> dict[str, float]:
    """Return images a second of one job of training on S1 alone, and of several at once, each in its process."""
    alone = Request(order, ("source",), bench.effort, streamed=False)
    threads = max(1, order.device.threads // bench.at_once)
    shared = replace(order, device=replace(order.device, threads=threads))
    together = [replace(alone, order=shared)] * bench.at_once
    one = time_steps([alone])[0][0]
    many = [times[0] for times in time_steps(together)]
    speed = sum(each.batch / each.in_memory for each in many)
    single = one.batch / one.in_memory
    return {"jobs": bench.at_once, "alone": single, "at_once": speed, "ratio": speed / single}
