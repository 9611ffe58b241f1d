"""Measure and draw what docs/benchmarks.md shows beyond ``kp bench``: how costs grow, memory, accuracy against seconds.

    python docs/measure.py growth STUDY_ROOT         epoch against people, step against stacks -> docs/images/growth.png
    python docs/measure.py memory STUDY_ROOT         anonymous memory of training on a large store
    python docs/measure.py curve RUN [RUN ...]       accuracy against seconds of finished runs -> docs/images/curve.png
    python docs/measure.py muon [DEVICE]             our Muon against timm's: seconds of their steps, and how both learn
    python docs/measure.py export [NAME ...]         exported networks beside PyTorch: differences, ratio of seconds
    python docs/measure.py evidence                  seconds of MPII's intervals: 4 splits, 3 modes, 5 seeds

STUDY_ROOT is a folder in MPII's layout. Each person is repeated to make a large data set.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from statistics import fmean, median
from typing import Any

import matplotlib

matplotlib.use("agg")
import numpy as np
import torch
from matplotlib import pyplot as plt

from kpcore.data.batches import TrainingStream
from kpcore.data.fingerprint import fingerprint
from kpcore.data.sampling import CpuSampler
from kpcore.data.store import Part, prepare
from kpcore.draws import Clusters
from kpcore.evidence.tables import table
from kpcore.measure.estimate import job_plan, new_stepper, random_batch
from kpcore.measure.timing import kinds
from kpcore.records.values import RowValues, SplitValues
from kpcore.registry import registry
from kpcore.study.jobs import Job
from kpcore.study.opening import open_study
from kpcore.study.study import Study
from kpcore.study.workshop import cuts
from kpcore.terms import Composition
from kpcore.training.device import Device, choose_device
from kpcore.training.process import set_up_process
from kpcore.training.schedules import one_cycle
from kpcore.training.step import Stepper

FILE = Path(__file__).parents[1] / "examples" / "all_keypoints.toml"
IMAGES = Path(__file__).parent / "images"
TIMES = (1, 4, 16)
STACKS = (2, 4, 8)


def repeated(part: Part, times: int) -> Part:
    """Return a part with its people there so many times."""
    samples = list(part.samples) * times
    return replace(part, samples=samples, fingerprint=fingerprint(samples, part.skeleton))


def study(root: str, *sets: str) -> Study:
    """Open the study with one seed."""
    return open_study(registry(), FILE, None, [f"dataset.root={root}", "study.seeds=[0]", *sets], print)


def repeated_stream(opened: Study, times: int) -> TrainingStream:
    """Return the training batches of that many times the people."""
    settings = opened.config.training
    store = prepare(repeated(opened.scored.train, times), cuts(settings)["train"])
    people = range(len(store))
    return TrainingStream(CpuSampler(store), people, settings.augmentation, seed=0, batch_size=settings.batch_size)


def growth(root: str) -> None:
    """Time an epoch against people, on a small network, and a step against stacks; draw both."""
    set_up_process(choose_device("cpu", "fp32"))
    tiny = study(root, "training.resolution=64", "backbone.channels=16", "backbone.depth=2")
    device = choose_device("cpu", "fp32")
    stepper = stepper_of(tiny, device)
    epochs = {}
    for times in TIMES:
        stream = repeated_stream(tiny, times)
        count = len(stream.people) // stream.batch_size
        for batch in stream.iterate(0, 5):
            stepper.step(batch)
        started = time.perf_counter()
        for batch in stream.iterate(5, count):
            stepper.step(batch)
        epochs[len(stream.people)] = time.perf_counter() - started
        print(f"{len(stream.people)} people: {epochs[len(stream.people)]:.2f} s an epoch")
    steps = {stacks: step_seconds(root, stacks) for stacks in STACKS}
    print("\n".join(f"{stacks} stacks: {seconds:.3f} s a step" for stacks, seconds in steps.items()))
    draw_growth(epochs, steps)


def stepper_of(opened: Study, device: Device) -> Any:
    """Return what takes the steps of the study's one kind of job."""
    job = next(iter(kinds(opened, device).values()))
    _, plan = job_plan(opened, job)
    return new_stepper(opened, job, plan, device)


def step_seconds(root: str, stacks: int, rounds: int = 9) -> float:
    """Return the median seconds of a step of a network of that many stacks, profile size."""
    opened = study(root, f"backbone.stages=[{stacks},{stacks}]")
    settings = opened.config.training
    stepper = stepper_of(opened, choose_device("cpu", settings.precision))
    batch = random_batch(settings.batch_size, settings.resolution, opened.scored.skeleton)
    seconds = []
    for _ in range(rounds + 2):
        started = time.perf_counter()
        stepper.step(batch)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[2:])[rounds // 2]


def draw_growth(epochs: dict[int, float], steps: dict[int, float]) -> None:
    """Draw two lines from the origin's side."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    left.plot(list(epochs), list(epochs.values()), "o-")
    left.set(xlabel="people", ylabel="seconds an epoch", xlim=(0, None), ylim=(0, None))
    right.plot(list(steps), list(steps.values()), "o-", color="tab:orange")
    right.set(xlabel="stacks", ylabel="seconds a step", xlim=(0, None), ylim=(0, None))
    figure.savefig(IMAGES / "growth.png", dpi=110)


def memory(root: str, steps: int = 80) -> None:
    """Print the anonymous memory of training on a store as it is, and on one of 15 times the people."""
    set_up_process(choose_device("cpu", "fp32"))
    opened = study(root)
    settings = opened.config.training
    stepper = stepper_of(opened, choose_device("cpu", settings.precision))
    for times in (1, 15):
        stream = repeated_stream(opened, times)
        for number in range(steps):
            stepper.step(stream.batch(number * 11))
            if number == steps // 2:
                half = anonymous()
        now = anonymous()
        crops = stream.sampler.store.crops.shape
        size = crops[0] * crops[1] ** 2 * 3 / 1e9
        print(f"{crops[0]} people, {size:.1f} GB of crops: {now / 1e6:.0f} MB anonymous ({half / 1e6:.0f} half-way)")


def anonymous() -> int:
    """Return this process's anonymous resident memory, bytes: mapped files left out."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not tell anonymous memory")


def curve(*runs: str) -> None:
    """Draw validation against seconds of training, a line a job."""
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    colours = iter(plt.rcParams["axes.prop_cycle"].by_key()["color"])
    for run in map(Path, runs):
        colour = next(colours)
        about = json.loads((run / "results.json").read_text())
        for number, job in enumerate(about["jobs"]):
            folder = run / "jobs" / job["name"]
            seconds = json.loads((folder / "timing.json").read_text())["at_epoch"]
            lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
            values = [line["validation"] for line in lines]
            axes.plot(seconds, values, ".-", color=colour, label=None if number else about["study"], alpha=0.8)
            print(about["study"], job["name"], [f"{s:.0f} s: {v:.1f}" for s, v in zip(seconds, values, strict=True)])
    axes.axhline(55, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="seconds of training", ylabel="mean PCKh@0.5", xlim=(0, None), ylim=(0, None))
    axes.legend()
    figure.savefig(IMAGES / "curve.png", dpi=110)


HOURGLASS = Path(__file__).parents[1] / "examples" / "mpii_hourglass.toml"
SIZES: dict[str, tuple[str, ...]] = {
    "sample": (),
    "paper": ("backbone.channels=256", "backbone.depth=4", "training.batch_size=2"),
}
"""What is set over the sample profile; only the weights count, so that a batch of two is enough for the paper's."""
RECIPE = "{ name = 'muon', learning_rate = 0.06, momentum = 0.85, other_learning_rate = 4e-3, weight_decay = 0.01 }"
Steps = dict[str, Callable[[], object]]


def muon(device: str = "cpu") -> None:
    """Time our Muon's step and timm's in turns, by network, threads and precision of the products; train with each.

    The parameters are those of four stacks of the sample profile of examples/mpii_hourglass.toml, and of the paper's.
    """
    for size, sets in SIZES.items():
        for threads in (1, 2) if device == "cpu" else (1,):
            for precision in ("fp32", "bf16"):
                compare_steps(size, sets, Device(torch.device(device), precision, threads))
    for seed in range(2):
        compare_losses(seed, torch.device(device))


def hourglass(*sets: str) -> tuple[Study, Job]:
    """Open the sample profile with Muon; return it and its job that trains all of four stacks."""
    recipe = (f"training.optimizer={RECIPE}", 'study.modes=["random"]', *sets)
    opened = open_study(registry(), HOURGLASS, "sample", recipe, lambda _: None)
    return opened, kinds(opened, choose_device("cpu", "fp32"))["random"]


def compare_steps(size: str, sets: Sequence[str], device: Device) -> None:
    """Print the median seconds of both optimisers' steps, and of a whole training step with ours."""
    torch.set_num_threads(device.threads)
    opened, job = hourglass(*sets)
    stepper = new_stepper(opened, job, job_plan(opened, job)[1], device)
    settings = opened.config.training
    batch = random_batch(settings.batch_size, settings.resolution, job.keypoints.skeleton)
    stepper.step(batch)  # gives every parameter a gradient
    theirs = timm_muon(stepper, device.precision)
    steps: Steps = {"ours": stepper.optimizer.step, "timm": theirs.step}
    if size == "sample":
        steps["training"] = lambda: stepper.step(batch)
    seconds = in_turns(steps, device)
    where = f"{size}, {device.torch.type}, {device.threads} threads, {device.precision}"
    figures = ", ".join(f"{name} {1e3 * value:.1f} ms" for name, value in seconds.items())
    print(f"{where}: {figures}; timm / ours = {seconds['timm'] / seconds['ours']:.2f}", flush=True)


def timm_muon(stepper: Stepper, precision: str) -> torch.optim.Optimizer:
    """Return timm's Muon on a stepper's parameter groups, set to do what ours does as far as it can be.

    It multiplies in bf16; for fp32 the default of its product is replaced. Beside Nesterov momentum it takes NAdamW for
    what is no matrix.
    """
    theirs = importlib.import_module("timm.optim.muon")
    product = inspect.unwrap(theirs.zeropower_via_newtonschulz)
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    theirs.zeropower_via_newtonschulz = wraps(product)(partial(product, dtype=dtype))
    groups = [
        {"params": group["params"], "lr": group["lr"], "rate": group["rate"], "weight_decay": group["weight_decay"],
         "use_muon": group["matrices"]}
        for group in stepper.optimizer.param_groups
    ]  # fmt: skip
    settings = stepper.settings
    made: torch.optim.Optimizer = theirs.Muon(
        groups, momentum=settings.momentum, ns_coefficients="original", adjust_lr_fn="original", betas=(0.9, 0.999)
    )
    return made


def in_turns(steps: Steps, device: Device, rounds: int = 11) -> dict[str, float]:
    """Return the median seconds of each, taken one after the other in every round, the first two left out."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 2):
        for name, step in steps.items():
            device.synchronize()
            started = time.perf_counter()
            step()
            device.synchronize()
            seconds[name].append(time.perf_counter() - started)
    return {name: median(values[2:]) for name, values in seconds.items()}


def compare_losses(seed: int, where: torch.device, steps: int = 120) -> None:
    """Train the sample network with each on the same batches; print the mean loss of every fourth of the steps."""
    torch.set_num_threads(1)
    opened, job = hourglass(f"study.seeds=[{seed}]")
    settings = opened.config.training
    store = prepare(opened.data[""].train, cuts(settings)["train"])
    for whose in ("ours", "timm"):
        stream = TrainingStream(CpuSampler(store), range(len(store)), settings.augmentation, seed=seed, batch_size=16)
        stepper = new_stepper(opened, job, job_plan(opened, job)[1], Device(where, "fp32", 1))
        if whose == "timm":
            stepper.optimizer = timm_muon(stepper, "fp32")
        losses = losses_of(stepper, stream, steps)
        quarters = [f"{fmean(losses[at : at + steps // 4]):.3f}" for at in range(0, steps, steps // 4)]
        print(f"seed {seed}, {whose}: mean loss by quarter of {steps} steps {', '.join(quarters)}", flush=True)


def losses_of(stepper: Stepper, stream: TrainingStream, steps: int) -> list[float]:
    """Train for that many steps, the rate rising and falling once; return every step's loss."""
    losses = []
    for iteration, batch in enumerate(stream.iterate(0, steps)):
        stepper.set_rate(one_cycle((iteration + 1) / steps, 0.1, "linear"))
        losses.append(float(stepper.step(batch)))
    return losses


def evidence(people: str = "2958", images: str = "2729") -> None:
    """Time cells, differences and verdicts of four splits, three modes and five seeds, on as many people as MPII's."""
    random = np.random.default_rng(0)
    count = int(people)
    of = np.concatenate([np.arange(int(images)), random.integers(0, int(images), count - int(images))])
    modes, started = ("transfer", "frozen", "random"), time.perf_counter()
    for split in "abcd":
        values = made_up(split, Clusters("image", of), modes, random)
        table(values, values.rows, modes, "random", versions={})
        print(f"split {split}: {time.perf_counter() - started:.1f} s since the start", flush=True)


def made_up(split: str, clusters: Clusters, modes: Sequence[str], random: np.random.Generator) -> SplitValues:
    """Return values of five seeds a mode and eight keypoints, of which 85% are right and 90% labelled."""
    labelled = (random.random((len(clusters.of), 8)) < 0.9).astype(np.float64)
    pairs = {f"column {place}": (2 * place, 2 * place + 1) for place in range(4)}
    each = {f"keypoint {place}": (place,) for place in range(8)}
    composition, rows = Composition(pairs, tuple(pairs)), []
    for mode in modes:
        for seed in range(5):
            right = 100 * labelled * (random.random(labelled.shape) < 0.85)
            scores = composition.scores(right.sum(0) / labelled.sum(0))
            rows.append(RowValues(mode, seed, scores, right, labelled))
    samples = np.arange(len(clusters.of))
    return SplitValues(split, "made up", "PCKh@0.5", True, clusters, samples, composition, {}, each, rows)


def export(*words: str) -> None:
    """Compare exported networks with PyTorch; it is in a file of its own."""
    importlib.import_module("measure_export").main(*words)


if __name__ == "__main__":
    torch.set_num_threads(choose_device("cpu", "fp32").threads)
    measurements = {
        "growth": growth,
        "memory": memory,
        "curve": curve,
        "muon": muon,
        "evidence": evidence,
        "export": export,
    }
    measurements[sys.argv[1]](*sys.argv[2:])
