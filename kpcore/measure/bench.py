"""What this machine makes of a study: start-up, preparing, the input pipeline and training steps, on its own data."""

from __future__ import annotations

import math
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import torch

from kpcore.cache import cache_dir
from kpcore.data.store import write_store
from kpcore.measure.estimate import idle_task, random_batch, time_step
from kpcore.measure.predicting import predicting
from kpcore.measure.timing import NAIVE, SOURCE, Effort, Request, StepTime, kinds, new_stream, targets, time_steps
from kpcore.records.folder import JobFolder
from kpcore.study.executors import Order
from kpcore.study.planning import job_plan
from kpcore.study.study import Study
from kpcore.study.workshop import Workshop, cuts, open_workshop
from kpcore.training.checkpoint import Checkpoints
from kpcore.training.device import Device, Precision
from kpcore.training.loop import Training
from kpcore.training.process import set_up_process


@dataclass(frozen=True)
class Bench:
    """What is measured.

    Args:
        parts: of :data:`PARTS`.
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


PARTS = ("start-up", "prepare", "pipeline", "predict", "checkpoint", "steps")


def run_bench(study: Study, device: Device, bench: Bench, notice: Callable[[str], None]) -> dict[str, Any]:
    """Measure; ``notice`` is told what is being measured."""
    order = Order.of(study, device)
    notice = counted(notice, bench)
    set_up_process(device)
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
        shop = open_workshop(study, replace(device, torch=torch.device("cpu")), [study.scored.name])
        result["pipeline"] = pipeline(shop)
    if "checkpoint" in bench.parts:
        notice("checkpoint")
        result["checkpoint"] = keeping(study, device)
    if "predict" in bench.parts:
        notice("kp predict and the network alone")
        result["predict"] = predicting(study, device, bench.effort.rounds)
    if "steps" in bench.parts:
        result["steps"] = [each.record() for each in _steps(study, order, bench, notice)]
        result["ratios"] = ratios(result["steps"])
    if bench.at_once > 1:
        notice(f"{bench.at_once} jobs at once")
        result["at_once"] = at_once(order, bench)
    return result


def counted(notice: Callable[[str], None], bench: Bench) -> Callable[[str], None]:
    """Return a notice that says at each thing measured which of how many it is."""
    steps = len(bench.precisions) + bench.naive if "steps" in bench.parts else 0
    total = len(bench.parts - {"steps"}) + steps + (bench.at_once > 1)
    numbers = count(1)
    return lambda text: notice(f"{text} ({next(numbers)} of {total})")


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
    samples = study.scored.train.samples[:people]
    with tempfile.TemporaryDirectory(prefix="kp-bench-") as folder:
        started = time.perf_counter()
        write_store(Path(folder) / "store.h5", samples, cuts(study.config.training)["train"])
        seconds = time.perf_counter() - started
    return {"people": len(samples), "people_per_second": len(samples) / seconds}


def pipeline(shop: Workshop, seconds: float = 4.0) -> dict[str, float]:
    """Return the samples a second that one core warps, normalises and draws targets for, and its parts' shares."""
    study = shop.study
    stream = new_stream(shop, study.scored.name)
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


def keeping(study: Study, device: Device, tries: int = 3) -> dict[str, Any]:
    """Write the checkpoints of a training of the last mode, in the cache's folder; return what one costs.

    Returns:
        The job's kind, bytes of a checkpoint, median seconds until it is on the disk, seconds of training between two
        (None where there are none inside an epoch), and the share of training that they take.
    """
    name, job = list(kinds(study, device).items())[-1]
    settings = study.config.training
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache_dir()) as folder:
        place = JobFolder(Path(folder))
        training = Training(idle_task(study, job, device), Checkpoints(place, print))
        training.stepper.start_epoch(0)
        training.average.start_epoch(training.stepper.frozen)
        training.stepper.step(random_batch(settings.batch_size, settings.resolution, job.keypoints.skeleton))
        training.best_state = training.task.learner.network.state_dict() if settings.keep == "best" else {}
        seconds = median(_kept(training, device) for _ in range(tries))
        size = next(place.checkpoints()).stat().st_size
    every = training.checkpoints.seconds
    apart = every if math.isfinite(every) else None
    return {"job": name, "bytes": size, "seconds": seconds, "every": apart, "share": seconds / every}


def _kept(training: Training, device: Device) -> float:
    """Keep a checkpoint, as after one more iteration; return the seconds."""
    training.position += 1
    device.synchronize()
    started = time.perf_counter()
    training.save()
    return time.perf_counter() - started


def _timed(spent: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    spent[name] += time.perf_counter() - started
    return result


def _steps(study: Study, order: Order, bench: Bench, notice: Callable[[str], None]) -> list[StepTime]:
    names = tuple(kinds(study, order.device))
    times: list[StepTime] = []
    if bench.naive:
        notice(f"steps, naive{_about(study, (SOURCE,), order.device, bench.effort)}")
        times += time_steps([Request(order, (SOURCE,), bench.effort, naive=True)])[0]
    for precision in bench.precisions:
        at = replace(order, device=replace(order.device, precision=precision))
        notice(f"steps, {precision}{_about(study, names, at.device, bench.effort)}")
        times += time_steps([Request(at, names, bench.effort)])[0]
    return times


def _about(study: Study, names: Sequence[str], device: Device, effort: Effort) -> str:
    """Return how long these kinds of jobs will be measured, from a few steps of each; "" where steps are compiled."""
    if study.config.training.compile != "off":  # compiling takes longer than what is measured
        return ""
    known = kinds(study, device)
    each = effort.warmup + 1 + effort.rounds * (2 * effort.steps + 1)
    seconds = sum(each * time_step(study, known[name], job_plan(study, known[name])[1], device) for name in names)
    return f", about {seconds:.0f} s and what the start of a process takes"


def ratios(steps: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return how the steps compare: at each precision ours of S1 against the naive one, each mode against the first."""
    tables: dict[str, dict[str, float]] = {}
    for step in steps:
        tables.setdefault(step["precision"], {})[step["job"]] = step["in_memory"]
    naive = tables.pop(NAIVE, {})
    found: dict[str, float] = {}
    for precision, seconds in tables.items():
        found |= {f"naive / ours, {precision}": naive[job] / seconds[job] for job in naive if job in seconds}
        modes = [job for job in seconds if job != SOURCE]
        found |= {f"{job} / {modes[0]}, {precision}": seconds[job] / seconds[modes[0]] for job in modes[1:]}
    return found


def at_once(order: Order, bench: Bench) -> dict[str, float]:
    """Return images a second of one job of training on S1 alone, and of several at once, each in its process."""
    alone = Request(order, (SOURCE,), bench.effort, streamed=False)
    one = time_steps([alone])[0][0]
    many = [times[0] for times in time_steps([alone] * bench.at_once)]
    speed = sum(each.batch / each.in_memory for each in many)
    single = one.batch / one.in_memory
    return {"jobs": bench.at_once, "alone": single, "at_once": speed, "ratio": speed / single}
