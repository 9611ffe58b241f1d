"""The protocol, top to bottom: train on S1, plan, grow, train on S2, score.

A study runs ``run_job`` for every job of its plan. A job at step 0 trains on S1; a job at a later step grows the
network of the step before it as its transfer plan says, and trains that (paper, section 3.2).
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from kpcore.cache import cache_dir
from kpcore.data.batches import TrainingStream
from kpcore.evaluation.predictions import write_predictions
from kpcore.network import Network, parameters_of
from kpcore.plans import NetworkSpec, TransferPlan
from kpcore.study.contracts import checked_scores
from kpcore.study.jobs import Job
from kpcore.study.planning import make_plan
from kpcore.study.workshop import Workshop
from kpcore.training.loop import Listener, Outcome, Task, Training
from kpcore.weights import State, execute, fingerprint, load_weights, plan_record, restore, save_weights

TRACEBACK = "error.txt"
"""The traceback of a job that failed; there is none in the folder of one that did not."""
RESULT = "result.json"
"""Written last: a job folder that has it is finished."""


@dataclass(frozen=True, eq=False)
class Grown:
    """A network as its plan made it, before training."""

    network: Network
    spec: NetworkSpec
    plan: TransferPlan
    teacher: Network | None


def job_folder(key: str) -> Path:
    """Return the folder of a job in the cache."""
    return cache_dir() / "jobs" / key


def is_done(key: str) -> bool:
    """Whether the job has been trained and scored."""
    return (job_folder(key) / RESULT).exists()


def run_job(job: Job, shop: Workshop, listener: Listener) -> dict[str, Any]:
    """Train and score one job, unless the cache has it; its sources must be done. Return its ``result.json``.

    Raises:
        JobError: the training cannot go on.
        KpError: the plan does not fit the networks.
    """
    folder = job_folder(job.key)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not is_done(job.key):
            write_json(folder / "job.json", {"title": job.name, "key": job.key, "settings": job.settings})
            grown = grow(job, shop)
            frozen_before = frozen_hash(grown)
            outcome = train(job, shop, grown, folder, listener)
            frozen = {"units": sorted(grown.plan.always_frozen), "before": frozen_before, "after": frozen_hash(grown)}
            save(job, shop, grown, outcome, frozen, folder)
    result: dict[str, Any] = json.loads((folder / RESULT).read_text())
    return result


def grow(job: Job, shop: Workshop) -> Grown:
    """Build the job's network, ask its strategy for a plan, check the plan and carry it out."""
    study = shop.study
    network, spec = study.network(job.layout, seed=job.seed), study.spec(job.layout)
    sources = [
        (study.spec(source.layout), load_weights(job_folder(source.key) / "weights.safetensors"))
        for source in job.sources
    ]
    plan = make_plan(job, spec, [source for source, _ in sources], study.config.training.epochs)
    execute(plan, network, spec, sources, study.backbone.pretrained())
    device = shop.device.torch
    return Grown(place(network, device), spec, plan, teacher(job, shop, plan, [state for _, state in sources]))


def teacher(job: Job, shop: Workshop, plan: TransferPlan, states: list[State]) -> Network | None:
    """Return the first source network, frozen, where the plan's extra loss asks for it."""
    if not plan.teacher:
        return None
    source = shop.study.network(job.sources[0].layout, seed=0)
    restore(source, states[0], f"source of job {job.name}")
    return place(source, shop.device.torch).requires_grad_(False).eval()


def place(network: Network, device: torch.device) -> Network:
    """Move a network to its device, in channels-last memory."""
    return network.to(device).to(memory_format=torch.channels_last)


def train(job: Job, shop: Workshop, grown: Grown, folder: Path, listener: Listener) -> Outcome:
    """Train the job's network on its step's keypoints."""
    settings = shop.study.config.training
    training = shop.groups[job.dataset].training
    stream = TrainingStream(
        training.sampler,
        training.people,
        settings.augmentation,
        seed=job.seed,
        batch_size=settings.batch_size,
    )
    task = Task(
        learner=shop.study.learner(grown.network, grown.plan, grown.teacher, job.keypoints.skeleton, shop.device),
        stream=stream,
        settings=settings,
        validate=lambda network: validation_value(job, shop, network),
        higher_is_better=shop.study.validation.higher_is_better,
    )
    return Training(task, folder).run(listener)


def validation_value(job: Job, shop: Workshop, network: Network) -> float:
    """Return the average of the validation metric over the validation people."""
    group, flip_test = shop.groups[job.dataset].validation, shop.study.watch.flip_test
    points, confidence = shop.evaluator.predict(network, group.sampler, group.people, flip_test=flip_test)
    places = list(network.layout.heads[-1].places(job.keypoints.names))
    people = group.store.people.take(group.people)
    metric = shop.study.validation
    found = metric.score(points[:, places], confidence[:, places], people, job.keypoints, job.columns)
    return checked_scores(metric, found).average


def frozen_hash(grown: Grown) -> str | None:
    """Return the SHA-256 of the parameters and buffers of units that stay frozen; None where there are none."""
    frozen = grown.plan.always_frozen
    return fingerprint(grown.network.state_dict(), frozen) if frozen else None


def save(
    job: Job, shop: Workshop, grown: Grown, outcome: Outcome, frozen: Mapping[str, Any], folder: Path
) -> None:  # fmt: skip
    """Predict the scored people and write the job's files; ``result.json`` comes last."""
    for name in job.datasets:
        predict(grown.network, shop, name, folder / predictions_file(job, name))
    save_weights(folder / "weights.safetensors", grown.network, {"job": job.key})
    (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in outcome.history))
    write_json(folder / "plan.json", {**plan_record(grown.plan, grown.spec), "frozen_hash": dict(frozen)})
    write_json(folder / "timing.json", {**outcome.seconds, "at_epoch": outcome.at_epoch})
    write_json(
        folder / RESULT,
        {
            "epochs": outcome.epochs,
            "best_epoch": outcome.best_epoch,
            "best_validation": outcome.best,
            "validation_convention": shop.study.validation.convention,
            "iterations": outcome.iterations,
            "parameters": parameters_of(grown.spec),
            "frozen": dict(frozen),
        },
    )
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def predictions_file(job: Job, dataset: str) -> str:
    """Return the name of a job's predictions on a data set: its own's, and those that it is scored on besides."""
    others = job.datasets[1:]
    return f"predictions-{others.index(dataset) + 1}.h5" if dataset in others else "predictions.h5"


def predict(network: Network, shop: Workshop, dataset: str, path: Path) -> None:
    """Predict everyone that a data set is scored on, with all keypoints of the last head, into a file."""
    group = shop.groups[dataset].scored
    points, confidence = shop.evaluator.predict(
        network, group.sampler, group.people, flip_test=shop.study.config.evaluation.flip_test
    )
    write_predictions(
        path,
        points=points,
        confidence=confidence,
        keypoints=network.layout.heads[-1].names,
        people=group.store.people,
        part=group.store.part,
        label=shop.study.data[dataset].label,
    )


def write_json(path: Path, value: Any) -> None:
    """Write JSON, replacing the file in one step."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n")
    partial.replace(path)


def write_traceback(key: str, error: BaseException) -> Path:
    """Write the traceback of a failed job into its folder; return the file."""
    path = job_folder(key) / TRACEBACK
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return path


def clear_traceback(key: str) -> None:
    """Remove what an earlier attempt at the job left."""
    (job_folder(key) / TRACEBACK).unlink(missing_ok=True)
