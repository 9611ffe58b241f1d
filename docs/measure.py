"""Measure and draw what docs/benchmarks.md shows beyond ``kp bench``: how costs grow, memory, accuracy against seconds.

    python docs/measure.py growth STUDY_ROOT         epoch against people, step against stacks -> docs/images/growth.png
    python docs/measure.py memory STUDY_ROOT         anonymous memory of training on a large store
    python docs/measure.py curve RUN [RUN ...]       accuracy against seconds of finished runs -> docs/images/curve.png

STUDY_ROOT is a folder in MPII's layout. Each person is repeated to make a large data set.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import torch
from matplotlib import pyplot as plt

from kpcore.data.batches import TrainingStream
from kpcore.data.sampling import CpuSampler
from kpcore.data.store import prepare
from kpcore.interfaces import Dataset
from kpcore.measure.estimate import job_plan, new_stepper, random_batch
from kpcore.measure.timing import kinds
from kpcore.registry import registry
from kpcore.samples import Sample
from kpcore.study.opening import open_study
from kpcore.study.study import Study
from kpcore.study.workshop import cuts
from kpcore.training.device import Device, choose_device
from kpcore.training.process import keep_freed_memory

FILE = Path(__file__).parents[1] / "examples" / "all_keypoints.toml"
IMAGES = Path(__file__).parent / "images"
TIMES = (1, 4, 16)
STACKS = (2, 4, 8)


class Repeated:
    """A data set whose training part is repeated; enough of a Dataset to be prepared."""

    def __init__(self, dataset: Dataset, times: int) -> None:
        self.dataset = dataset
        self.times = times
        self.label, self.skeleton = dataset.label, dataset.skeleton

    def samples(self, part: str) -> Sequence[Sample]:
        """All people, and all of them again."""
        return list(self.dataset.samples(part)) * self.times

    def fingerprint(self, part: str) -> str:
        """Of the people and how often they are there."""
        return f"{self.dataset.fingerprint(part)} x {self.times}"


def study(root: str, *sets: str) -> Study:
    """Open the study with one seed."""
    return open_study(registry(), FILE, None, [f"dataset.root={root}", "study.seeds=[0]", *sets], print)


def repeated_stream(opened: Study, times: int) -> TrainingStream:
    """Return the training batches of that many times the people."""
    settings = opened.config.training
    store = prepare(Repeated(opened.dataset, times), "train", cuts(settings)["train"])  # type: ignore[arg-type]
    people = range(len(store))
    return TrainingStream(CpuSampler(store), people, settings.augmentation, seed=0, batch_size=settings.batch_size)


def growth(root: str) -> None:
    """Time an epoch against people, on a small network, and a step against stacks; draw both."""
    keep_freed_memory()
    tiny = study(root, "training.resolution=64", "backbone.channels=16", "backbone.depth=2")
    device = choose_device("cpu", "fp32", None)
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
    stepper = stepper_of(opened, choose_device("cpu", settings.precision, None))
    batch = random_batch(settings.batch_size, settings.resolution, opened)
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
    keep_freed_memory()
    opened = study(root)
    settings = opened.config.training
    stepper = stepper_of(opened, choose_device("cpu", settings.precision, None))
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


if __name__ == "__main__":
    torch.set_num_threads(choose_device("cpu", "fp32", None).threads)
    {"growth": growth, "memory": memory, "curve": curve}[sys.argv[1]](*sys.argv[2:])
