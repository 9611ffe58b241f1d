"""The parts of ``measure_gpu.py``, each run in a process of its own: ``measure_gpu_parts.py PART --record FILE``."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kpcore.cache import cache_dir
from kpcore.config import Augmentation
from kpcore.data import sampling
from kpcore.data.batches import Batch, TrainingStream
from kpcore.data.sampling import CpuSampler, DeviceSampler, Sampler
from kpcore.measure.estimate import job_plan, new_stepper
from kpcore.measure.timing import Effort, Request, StepTime, kinds, measure, new_stream, time_steps
from kpcore.registry import registry
from kpcore.study.executors import Order
from kpcore.study.opening import open_study
from kpcore.study.study import Study
from kpcore.study.workshop import Workshop, open_workshop
from kpcore.trained.evaluator import Evaluator
from kpcore.training.device import Device, Precision, choose_device
from kpcore.training.step import Stepper

FILE = Path(__file__).parents[1] / "examples" / "mpii_hourglass.toml"
OPTIMIZERS = {
    "rmsprop": '{ name = "rmsprop", learning_rate = 2.5e-4 }',
    "adamw": '{ name = "adamw", learning_rate = 1e-3 }',
    "muon": '{ name = "muon", learning_rate = 0.02, other_learning_rate = 1e-3 }',
}


EFFORT = Effort(rounds=3, steps=8, warmup=4)
TOGETHER = Effort(rounds=4, steps=30, warmup=3)


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Args:
        people: drawn to train on; ``valid`` to score.
        batches: sizes of a batch: the paper's, and larger ones.
        small: keys that make the profile ``sample`` smaller; none where it is taken as it is.
        paper: the same of the paper's network.
        effort: of timing steps.
        together: the same where several jobs run at once; longer, so that they meet.
        side: of the matrices whose product tells the chip's peak.
        steps: of a curve of losses.
        epochs: of the whole study.
        precisions: that the device computes in.
    """

    people: int = 320
    valid: int = 64
    batches: tuple[int, ...] = (6, 32, 64)
    small: tuple[str, ...] = ()
    paper: tuple[str, ...] = ()
    effort: Effort = EFFORT
    together: Effort = TOGETHER
    side: int = 8192
    steps: int = 25
    epochs: int = 1
    precisions: tuple[Precision, ...] = ("bf16", "fp32", "fp16")


TOY = Sizes(
    people=40, valid=12, batches=(2, 4), effort=Effort(1, 2, 1), together=Effort(1, 2, 1), side=256, steps=4, epochs=1,
    small=("backbone.channels=8", "backbone.depth=1", "training.batch_size=8"),
    paper=("backbone.stages=[1, 2]", "backbone.channels=8", "backbone.depth=1", "training.resolution=64"),
)  # fmt: skip


@dataclass
class Record:
    """What a part found, written to its file after every figure, so that a part that is cut keeps what it has."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)

    def fact(self, name: str, value: Any) -> None:
        """Keep one thing."""
        self.facts[name] = value
        self.write()

    def row(self, table: str, **cells: Any) -> None:
        """Keep a row of a table."""
        self.tables.setdefault(table, []).append(cells)
        self.write()

    def check(self, what: str, value: float | Tensor, limit: float) -> None:
        """Keep a figure that must not be above its limit."""
        self.checks.append({"what": what, "value": float(value), "limit": limit, "ok": bool(value <= limit)})
        self.write()

    def write(self) -> None:
        """Write the file."""
        kept = {"facts": self.facts, "tables": self.tables, "checks": self.checks}
        self.path.write_text(json.dumps(kept, indent=1) + "\n")


@dataclass(frozen=True)
class Task:
    """What a part is given.

    Args:
        device: by its name.
        sizes: how much is measured.
        record: where to.
        deadline: of ``time.monotonic()``; a part that passes it is killed.
    """

    device: str
    sizes: Sizes
    record: Record
    deadline: float

    def on(self, precision: Precision) -> Device:
        """Return the device that is measured, in this precision."""
        return choose_device(self.device, precision)

    @property
    def gpu(self) -> bool:
        """Whether it is a CUDA device."""
        return self.on("fp32").torch.type == "cuda"

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those of the device."""
        return self.sizes.precisions if self.gpu else ("bf16", "fp32")

    def sample_sets(self) -> list[str]:
        """Return the keys of the profile ``sample``: which people are drawn, and what is smaller."""
        people = [f"dataset.generate.people={self.sizes.people}", f"dataset.generate.valid={self.sizes.valid}"]
        return [*people, *self.sizes.small]

    def small(self, *sets: str) -> Study:
        """Open the study's profile ``sample``."""
        return open_study(registry(), FILE, "sample", [*self.sample_sets(), *sets], print)

    def paper(self, *sets: str) -> Study:
        """Open the study as the paper has it, its first split alone, on the drawn people."""
        root = next((cache_dir() / "generated").glob("*/annot")).parent
        return open_study(
            registry(), FILE, None, [f"dataset.root={root}", 'split.splits=["a"]', *self.sizes.paper, *sets], print
        )


def doctor(task: Task) -> None:
    """Print ``kp doctor`` and what torch says of the device."""
    printed = subprocess.run([sys.executable, "-m", "kpcore", "doctor"], check=True, capture_output=True, text=True)
    task.record.fact("kp doctor", printed.stdout)
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    task.record.fact("torch", f"{torch.__version__}, CUDA {torch.version.cuda}, cuDNN {cudnn}")
    task.record.fact("cores", os.cpu_count())
    task.record.fact("TF32 of convolutions, as torch has it", torch.backends.cudnn.allow_tf32)
    task.record.fact("TF32 of products, as torch has it", torch.backends.cuda.matmul.allow_tf32)
    if task.gpu:
        about = torch.cuda.get_device_properties(task.on("fp32").torch)
        task.record.fact(
            "device", f"{about.name}, {about.multi_processor_count} SMs, {about.total_memory / 1e9:.1f} GB"
        )


def data(task: Task) -> None:
    """Draw the people that all parts use, and prepare them for the paper's resolution."""
    started = time.perf_counter()
    task.small()
    task.record.fact("seconds of drawing", time.perf_counter() - started)
    started = time.perf_counter()
    study = task.paper()
    shop = open_workshop(study, task.on("fp32"), [study.scored.name])
    task.record.fact("seconds of preparing", time.perf_counter() - started)
    task.record.fact("crops (N, S, S, 3)", str(shop.groups[study.scored.name].training.store.crops.shape))


def agree(task: Task) -> None:
    """Check that the device computes what a CPU computes, and that no step waits for it."""
    exact_products()
    study = task.small()
    shop = open_workshop(study, choose_device("cpu", "fp32"), [study.scored.name])
    images(task, shop)
    targets(task, shop)
    for name, text in OPTIMIZERS.items():
        curves(task, name, task.small(f"training.optimizer={text}"), shop)
    predictions(task, shop)
    for precision in task.precisions if task.gpu else ():
        waits(task, shop, precision)


def exact_products() -> None:
    """Turn TF32 off: fp32 is to be fp32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def images(task: Task, shop: Workshop) -> None:
    """Compare the batches of every sampler with OpenCV's, and the device's warp with the same warp on a CPU."""
    store = shop.groups[shop.study.scored.name].training.store
    cpu, device = torch.device("cpu"), task.on("fp32").torch
    opencv = pixels(CpuSampler(store), store, cpu)
    same = pixels(DeviceSampler(store, cpu, resident=False), store, cpu)
    for resident in (True, False):
        there = pixels(DeviceSampler(store, device, resident=resident), store, device)
        kind = "resident" if resident else "streamed"
        task.record.check(f"images, {kind}, against OpenCV: mean difference of 255", (there - opencv).abs().mean(), 0.5)
        task.record.check(f"images, {kind}, against OpenCV: largest difference of 255", (there - opencv).abs().max(), 8)
        task.record.check(
            f"images, {kind}, same warp on a CPU: largest difference of 255", (there - same).abs().max(), 0.1
        )


def pixels(sampler: Sampler, store: Any, device: torch.device) -> Tensor:
    """Return an augmented batch (8, 3, H, W) in 0..255, on the host."""
    stream = TrainingStream(sampler, range(len(store)), Augmentation(colour=0.2), seed=3, batch_size=8)
    return 255 * stream.batch(1).input(device, (0, 0, 0), (1, 1, 1)).cpu()


def targets(task: Task, shop: Workshop) -> None:
    """Compare targets that are drawn on the device with a CPU's."""
    batch = batches(shop, 1)[0]
    device = task.on("fp32").torch
    for codec in ("cross_entropy", "mse"):
        study = task.small(f'codec.loss="{codec}"')
        size, stride = (64, 64), study.backbone.stride
        here = study.codec.encode(batch.points, batch.state, size, stride)
        there = study.codec.encode(batch.points.to(device), batch.state.to(device), size, stride)
        task.record.check(f"targets, {codec}: largest difference", (there.maps.cpu() - here.maps).abs().max(), 1e-5)


def batches(shop: Workshop, count: int) -> list[Batch]:
    """Return the first training batches, made by OpenCV."""
    training = shop.groups[shop.study.scored.name].training
    settings = shop.study.config.training
    stream = TrainingStream(
        training.sampler, training.people, settings.augmentation, seed=0, batch_size=settings.batch_size
    )
    return [stream.batch(iteration) for iteration in range(count)]


def stepper_of(study: Study, device: Device, kind: str = "source") -> Stepper:
    """Return what takes the steps of a kind of job, from initial weights."""
    job = kinds(study, device)[kind]
    return new_stepper(study, job, job_plan(study, job)[1], device)


def curves(task: Task, name: str, study: Study, shop: Workshop) -> None:
    """Compare the losses of the same steps on the CPU and on the device."""
    made = batches(shop, task.sizes.steps)
    here = losses(stepper_of(study, choose_device("cpu", "fp32")), made)
    for precision in task.precisions if name == "adamw" else ("fp32",):
        there = losses(stepper_of(study, task.on(precision)), made)
        worst = np.abs(there / here - 1)
        about = {"optimiser": name, "precision": precision, "first": there[0], "last": there[-1], "CPU last": here[-1]}
        task.record.row("losses", **about, **{"worst ratio - 1": float(worst.max())})
        if precision == "fp32":
            same = f"losses, {name}: relative difference of the first step: same weights, same batch"
            task.record.check(same, worst[0], 1e-4)
            # From then on weights differ: an optimiser's first updates have the size of the learning rate whatever the
            # gradient's, so that where a gradient is nearly 0 its rounding decides the update's sign.
            task.record.check(f"losses, {name}: relative difference of the first 5 steps", worst[:5].max(), 1e-2)
            task.record.check(f"losses, {name}: relative difference of all {len(here)} steps", worst.max(), 3e-2)


def losses(stepper: Stepper, made: Sequence[Batch]) -> Any:
    """Train on these batches; return the loss of each step."""
    return np.asarray([float(stepper.step(batch)) for batch in made])


def predictions(task: Task, shop: Workshop) -> None:
    """Compare the points that one network, trained a little, predicts on the CPU and on the device."""
    study, cpu = shop.study, choose_device("cpu", "fp32")
    trained = stepper_of(study, cpu)
    losses(trained, batches(shop, task.sizes.steps))
    group = shop.groups[study.scored.name].scored
    found = {}
    for name, device in {"cpu": cpu, "device": task.on("fp32")}.items():
        network = stepper_of(study, device).learner.network
        network.load_state_dict(trained.learner.network.state_dict())
        evaluator = Evaluator(study.backbone, study.codec, device, 32)
        found[name] = evaluator.predict(network, group.sampler, group.people, flip_test=True)[0]
    apart = np.linalg.norm(found["device"] - found["cpu"], axis=-1)
    task.record.fact("predictions compared", apart.size)
    task.record.check("predictions: 99 of 100 are within, pixels of the image", np.quantile(apart, 0.99), 0.05)
    task.record.check("predictions: share that is more than half a pixel apart", (apart > 0.5).mean(), 0.01)


def waits(task: Task, shop: Workshop, precision: Precision) -> None:
    """Say whether a training step waits for the device: torch raises where one does."""
    stepper = stepper_of(shop.study, task.on(precision))
    made = batches(shop, 5)
    losses(stepper, made[:2])
    said = ""
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in made[2:]:
            stepper.step(batch)
    except RuntimeError as error:
        said = f": {str(error).splitlines()[0]}, {' '.join(where(error))}"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    task.record.check(f"steps of adamw in {precision} that wait for the device{said}", bool(said), 0)


def where(error: BaseException) -> list[str]:
    """Return file and line of every frame that an error came through."""
    frames, found = error.__traceback__, []
    while frames is not None:
        found.append(f"{Path(frames.tb_frame.f_code.co_filename).name}:{frames.tb_lineno}")
        frames = frames.tb_next
    return found


def speed(task: Task) -> None:
    """Time steps of the paper's networks, by precision and batch, in memory and on data, resident and streamed."""
    peaks(task)
    for batch in task.sizes.batches[:2]:
        for precision in task.precisions:
            for kind in ("source", "transfer"):
                timed(task, kind, batch, precision)
        for kind in ("source", "transfer"):
            with streaming():
                timed(task, kind, batch, "bf16", store="streamed")
        timed(task, "source", batch, "fp32", naive=True)
    for kind in ("source", "transfer"):
        timed(task, kind, task.sizes.batches[-1], "bf16")
    exact_products()
    for batch in task.sizes.batches[:2]:
        timed(task, "source", batch, "fp32", note="TF32 off")


def peaks(task: Task) -> None:
    """Measure the chip's dense products: the best of some rounds."""
    device = task.on("fp32")
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    for name in (*task.precisions, "TF32"):
        torch.backends.cuda.matmul.allow_tf32 = name == "TF32"
        a = torch.randn(task.sizes.side, task.sizes.side, device=device.torch).to(dtypes.get(name, torch.float32))
        task.record.fact(f"peak TFLOP/s, {name}", product_speed(a, device))
    torch.backends.cuda.matmul.allow_tf32 = False


def product_speed(a: Tensor, device: Device, rounds: int = 5, times: int = 10) -> float:
    """Return the TFLOP/s of a matrix times itself."""
    seconds = []
    for _ in range(rounds):
        device.synchronize()
        started = time.perf_counter()
        for _ in range(times):
            torch.mm(a, a)
        device.synchronize()
        seconds.append((time.perf_counter() - started) / times)
    return 2 * len(a) ** 3 / min(seconds[1:]) / 1e12


@contextlib.contextmanager
def streaming() -> Iterator[None]:
    """Keep no store on the device."""
    before = sampling.RESIDENT_SHARE
    sampling.RESIDENT_SHARE = 0.0
    try:
        yield
    finally:
        sampling.RESIDENT_SHARE = before


def timed(
    task: Task, kind: str, batch: int, precision: Precision, *, compile: str = "off", store: str = "resident",
    naive: bool = False, note: str = "",
) -> None:  # fmt: skip
    """Time one kind of step; what goes wrong with it is its row."""
    about = {"network": kind, "batch": batch, "precision": precision, "compile": compile, "store": store}
    about |= {"note": "naive" if naive else note}
    effort = task.sizes.effort if compile == "off" else replace(task.sizes.effort, warmup=task.sizes.effort.warmup + 4)
    started = time.perf_counter()
    try:
        study = task.paper(f"training.batch_size={batch}", f"training.compile={compile}")
        order = Order.of(study, task.on(precision))
        clear(task)
        result = measure(Request(order, (kind,), effort, naive=naive, streamed=not naive))[0]
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:120]
        task.record.row("steps", **about, error=said)
        raise_unless_memory(task, about, error)
        return
    task.record.row("steps", **about, **figures(task, result), **{"s in all": time.perf_counter() - started})


def raise_unless_memory(task: Task, about: dict[str, Any], error: Exception) -> None:
    """Count an error of a row as a failed check, so that the part goes on and fails at its end; print it."""
    traceback.print_exception(error)
    if not isinstance(error, torch.OutOfMemoryError):
        task.record.check(f"error in a step of {' '.join(map(str, about.values()))}", 1, 0)


def clear(task: Task) -> None:
    """Give memory back and forget its peak."""
    gc.collect()
    if task.gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def figures(task: Task, result: StepTime) -> dict[str, Any]:
    """Return the cells of a step's row."""
    peak = task.record.facts.get("peak TFLOP/s, bf16")
    speed = result.flop / result.in_memory / 1e12
    return {
        "ms in memory": 1000 * result.in_memory,
        "ms on data": 1000 * result.streamed if result.streamed else None,
        "images/s": result.batch / (result.streamed or result.in_memory),
        "waiting %": 100 * result.waiting if result.waiting is not None else None,
        "TFLOP": result.flop / 1e12,
        "TFLOP/s": speed,
        "% of bf16 peak": 100 * speed / peak if peak else None,
        "GB at most": result.peak / 1e9,
    }


def compiled(task: Task) -> None:
    """Time compiled steps, the most telling ones first, each in a process of its own: this part may be cut."""
    small, large = task.sizes.batches[:2]
    graphs = "graphs" if task.gpu else "network"
    wanted: list[tuple[str, int, str, int]] = [
        ("source", small, "captured", 40), ("transfer", small, "captured", 40), ("source", small, graphs, 150),
        ("source", large, "captured", 40), ("transfer", small, graphs, 150), ("source", small, "blocks", 60),
        ("source", large, "network", 150),
    ]  # fmt: skip
    for network, batch, how, most in wanted if task.gpu else [one for one in wanted if one[2] != "captured"]:
        seconds = min(most, int(task.deadline - time.monotonic()) - 5)  # a process of its own outlives this one
        if seconds < 15:
            task.record.row("steps", network=network, batch=batch, compile=how, error="no time was left")
            continue
        own = task.record.path.with_name(f"compiled-{network}-{batch}-{how}.json")
        print(f"{network}, batch {batch}, {how} ...")
        options = ["--record", str(own), "--network", network, "--batch", str(batch), "--compile", how]
        status = alone([*options, "--device", task.device, *(["--quick"] if task.sizes is TOY else [])], seconds)
        rows = json.loads(own.read_text())["tables"].get("steps", []) if own.exists() else []
        for row in rows or [{"network": network, "batch": batch, "compile": how, "error": status}]:
            task.record.row("steps", **row)
        task.record.check(f"{network}, batch {batch}, {how}: measured{status}", status.startswith(": exit"), 0)


def alone(options: Sequence[str], seconds: int) -> str:
    """Run the part ``one`` in a process of its own; return "", or what went wrong."""
    environment = {**os.environ, "TORCH_LOGS": "perf_hints"}  # says where CUDA graphs are skipped
    command = [sys.executable, __file__, "one", *options]
    with subprocess.Popen(command, env=environment, process_group=0) as process:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and the compiler's workers
            return f": cut after {seconds} s"
    return f": exit code {code}" if code else ""


def one(task: Task, network: str, batch: int, how: str) -> None:
    """Time one kind of step, compiled, or captured as CUDA graphs without a compiler."""
    if how == "captured":
        captured(task, network, batch)
        return
    timed(task, network, batch, "bf16", compile=how)
    from torch._dynamo.utils import counters  # seconds to import

    row = task.record.tables["steps"][-1]
    row["graphs"] = counters["stats"]["unique_graphs"]
    row["breaks"] = sum(counters["graph_break"].values())
    row["CUDA graphs skipped"] = counters["inductor"]["cudagraph_skips"]
    task.record.write()


def captured(task: Task, kind: str, batch: int) -> None:
    """Time steps whose network, forward and backward, was recorded as CUDA graphs of torch's own kernels."""
    started = time.perf_counter()
    study, device = task.paper(f"training.batch_size={batch}"), task.on("bf16")
    shop = open_workshop(study, device, [study.scored.name])
    stream = new_stream(shop, study.scored.name)
    eager = losses(stepper_of(study, device, kind), [stream.batch(number) for number in range(5)])
    stepper = stepper_of(study, device, kind)
    first = stream.batch(0).input(device.torch, study.backbone.mean, study.backbone.std)
    before = time.perf_counter()
    capture(stepper, first)
    recording = time.perf_counter() - before
    again = losses(stepper, [stream.batch(number) for number in range(5)])
    steps = 30
    in_memory = seconds_of(stepper, [stream.batch(0)] * steps)
    on_data = seconds_of(stepper, stream.iterate(0, steps))
    about = {"network": kind, "batch": batch, "precision": "bf16", "compile": "captured", "store": "resident"}
    cells = {"ms in memory": 1000 * in_memory, "ms on data": 1000 * on_data, "images/s": batch / on_data}
    cells |= {"GB at most": torch.cuda.max_memory_allocated() / 1e9, "s of recording": recording}
    cells |= {"loss against eager": float(np.abs(again / eager - 1).max()), "s in all": time.perf_counter() - started}
    task.record.row("steps", **about, **cells)


def capture(stepper: Stepper, images: Tensor) -> None:
    """Record the network's training as CUDA graphs; what recording does to running statistics is undone."""
    network = stepper.learner.network
    kept = [buffer.clone() for buffer in network.buffers()]
    with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
        torch.cuda.make_graphed_callables(network, (images,), allow_unused_input=True)
    for buffer, value in zip(network.buffers(), kept, strict=True):
        buffer.copy_(value)


def seconds_of(stepper: Stepper, batches: Iterable[Batch]) -> float:
    """Return the seconds of a step on these batches, the first three left out."""
    count = 0
    for number, batch in enumerate(batches):
        if number == 3:
            stepper.learner.device.synchronize()
            started = time.perf_counter()
        stepper.step(batch)
        count += number >= 3
    stepper.learner.device.synchronize()
    return (time.perf_counter() - started) / count


def at_once(task: Task, jobs: int = 4) -> None:
    """Compare one training on the paper's batch with several at once on the same device, a process each."""
    study = task.paper(f"training.batch_size={task.sizes.batches[0]}")
    device = task.on("bf16")
    alone = Request(Order.of(study, device), ("source",), task.sizes.together, False)
    shared = replace(device, threads=max(1, device.threads // jobs))
    together = replace(alone, order=replace(alone.order, device=shared))
    for count, requests in ((1, [alone]), (jobs, [together] * jobs)):
        print(f"{count} at once ...")
        for times in time_steps(requests):
            task.record.row("jobs", **{"jobs at once": count}, **figures(task, times[0]))
    rates = [row["images/s"] for row in task.record.tables["jobs"]]
    task.record.fact("images/s, alone", rates[0])
    task.record.fact(f"images/s, {jobs} at once together", sum(rates[1:]))
    task.record.fact("ratio", sum(rates[1:]) / rates[0])


def study(task: Task) -> None:
    """Run a small study, run it again, and run it from scratch: what is repeated, and are the bytes the same?"""
    out = task.record.path.parent / "study"
    jobs = cache_dir() / "jobs"
    task.record.fact("seconds of the first run", kp_run(task, out))
    first = files(jobs)
    task.record.fact("seconds of the second run", kp_run(task, out))
    task.record.check("files of jobs that the second run touched", len(set(files(jobs)) ^ set(first)), 0)
    results = json.loads((out / "results.json").read_text())
    task.record.check("jobs that are not done", sum(job["status"] != "done" for job in results["jobs"]), 0)
    task.record.fact("jobs", len(results["jobs"]))
    kept = jobs.rename(jobs.with_name("jobs-before"))
    task.record.fact("seconds of a run from scratch", kp_run(task, out.with_name("study-again")))
    for name in ("weights.safetensors", "predictions.h5", "history.jsonl"):
        same = [(jobs / path.parent.name / name).read_bytes() == path.read_bytes() for path in kept.glob(f"*/{name}")]
        task.record.fact(f"same bytes from scratch, {name}", f"{sum(same)} of {len(same)} jobs")


def kp_run(task: Task, out: Path) -> float:
    """Run the study ``sample``, short; return its seconds."""
    sets = [*task.sample_sets(), f"training.epochs={task.sizes.epochs}", "training.iterations_per_epoch=10"]
    options = [part for one in sets for part in ("--set", one)]
    command = ["run", str(FILE), "--profile", "sample", "--device", task.device, "--jobs", "1", "--out", str(out)]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "kpcore", *command, *options], check=True)
    return time.perf_counter() - started


def files(folder: Path) -> list[tuple[str, int]]:
    """Return every file below a folder with the time at which it was written."""
    return [(str(path), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()]


PARTS: dict[str, Callable[[Task], None]] = {
    "doctor": doctor, "data": data, "agree": agree, "speed": speed, "study": study, "at_once": at_once,
    "compiled": compiled,
}  # fmt: skip


def main() -> int:
    """Run one part; return 1 where a check did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=(*PARTS, "one"))
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=3600.0, help="this part is killed after them")
    parser.add_argument("--network", help="of the part 'one': source or transfer")
    parser.add_argument("--batch", type=int, help="of the part 'one'")
    parser.add_argument("--compile", help="of the part 'one': how it is compiled, or 'captured'")
    asked = parser.parse_args()
    sizes = TOY if asked.quick else Sizes()
    task = Task(asked.device, sizes, Record(asked.record), time.monotonic() + asked.seconds)
    if asked.part == "one":
        one(task, asked.network, asked.batch, asked.compile)
    else:
        PARTS[asked.part](task)
    wrong = [check["what"] for check in task.record.checks if not check["ok"]]
    for what in wrong:
        print(f"does not hold: {what}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
