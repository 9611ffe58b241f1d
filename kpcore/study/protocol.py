"""The protocol, top to bottom: train on S1, plan, grow, train on S2, score.

A study runs ``run_job`` for every job of its plan. A job at step 0 trains on S1; a job at a later step grows the
network of the step before it as its transfer plan says, and trains that (paper, section 3.2).
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kpcore.cache import file_digest
from kpcore.config import TrainingTable
from kpcore.data.batches import TrainingStream
from kpcore.errors import KpError
from kpcore.evaluation.predictions import write_predictions
from kpcore.network import Network, parameters_of
from kpcore.plans import NetworkSpec, TransferPlan
from kpcore.records.folder import JobFolder, JobResult
from kpcore.study.contracts import checked_scores
from kpcore.study.jobs import Job, chain, given_source
from kpcore.study.planning import make_plan
from kpcore.study.study import Study
from kpcore.study.views import seen, training_settings
from kpcore.study.workshop import Workshop
from kpcore.trained.card import NOT_STATED, Card, write_card
from kpcore.trained.framing import measured
from kpcore.trained.model import Model, Score, component, heads_of, metadata
from kpcore.training.checkpoint import Checkpoints
from kpcore.training.loop import Listener, Outcome, Task, Training
from kpcore.weights import State, execute, fingerprint, load_weights, plan_record, restore, save_weights


@dataclass(frozen=True, eq=False)
class Grown:
    """A network as its plan made it, before training."""

    network: Network
    spec: NetworkSpec
    plan: TransferPlan
    teacher: Network | None


def run_job(job: Job, shop: Workshop, listener: Listener, *, fresh: bool = False) -> None:
    """Train and score one job, unless the cache has it; its sources must be done.

    Where several processes train it, the first of them does so, and the others :func:`follow`.

    Args:
        job: of the study.
        shop: the study, with the job's data prepared.
        listener: is told how far it is.
        fresh: train it from its first epoch, whatever the cache has of it.

    Raises:
        JobError: the training cannot go on.
        KpError: the plan does not fit the networks, or a source is damaged.
    """
    folder = JobFolder.of(job.key)
    with folder.locked(lambda who: listener.notice(f"{who} trains it; its result is waited for")):
        if folder.done and not fresh:
            return
        if folder.done or folder.problem():
            folder.set_aside()
        if fresh:
            folder.drop_checkpoints()
        folder.begin(job.name, shop.study.config.study.name, job.settings)
        grown = grow(job, shop)
        frozen_before = frozen_hash(grown)
        outcome = train(job, shop, grown, Checkpoints(folder, listener.notice), listener)
        frozen = {"units": sorted(grown.plan.always_frozen), "before": frozen_before, "after": frozen_hash(grown)}
        save(job, shop, grown, outcome, frozen, folder)


def follow(job: Job, shop: Workshop, listener: Listener) -> None:
    """Take this process's share in the training of a job, which another one begins, scores and writes.

    Raises:
        JobError: the training cannot go on.
        KpError: as for :func:`run_job`; another process is lost.
    """
    train(job, shop, grow(job, shop), Checkpoints(JobFolder.of(job.key), listener.notice), listener)


def grow(job: Job, shop: Workshop) -> Grown:
    """Build the job's network, ask its strategy for a plan, check the plan and carry it out."""
    study = shop.study
    network, spec = study.network(job.layout, seed=job.seed), study.spec(job.layout)
    sources = [(study.spec(source.layout), load_weights(whole(source).weights)) for source in job.sources]
    plan = make_plan(job, spec, [source for source, _ in sources], settings_of(job, shop).epochs)
    execute(plan, network, spec, sources, study.backbone.pretrained())
    device = shop.device.torch
    return Grown(place(network, device), spec, plan, teacher(job, shop, plan, [state for _, state in sources]))


def whole(source: Job) -> JobFolder:
    """Return a source's folder; raises KpError where it is not done, or no longer as it was written."""
    folder = JobFolder.of(source.key)
    if not folder.done:
        why = folder.problem() or "it is not there"
        raise KpError(f"{folder.path}: the trained source {source.name} cannot be used: {why}; run the study again")
    return folder


def teacher(job: Job, shop: Workshop, plan: TransferPlan, states: list[State]) -> Network | None:
    """Return the first source network, frozen, where the plan's extra loss asks for it."""
    if not plan.teacher:
        return None
    return at_rest(job.sources[0], states[0], shop)


def as_given(source: Job, shop: Workshop) -> Network:
    """Return a network from elsewhere as it was given, to be scored beside what is made of it."""
    return at_rest(source, load_weights(whole(source).weights), shop)


def at_rest(source: Job, state: State, shop: Workshop) -> Network:
    """Return a source's network, which is not trained any more."""
    network = shop.study.network(source.layout, seed=0)
    restore(network, state, f"source {source.name}")
    return place(network, shop.device.torch).requires_grad_(False).eval()


def place(network: Network, device: torch.device) -> Network:
    """Move a network to its device, in channels-last memory."""
    return network.to(device).to(memory_format=torch.channels_last)


def train(job: Job, shop: Workshop, grown: Grown, checkpoints: Checkpoints, listener: Listener) -> Outcome:
    """Train the job's network on its step's keypoints."""
    settings, training = settings_of(job, shop), shop.groups[job.dataset].training
    ranks, sees = shop.device.ranks, seen(job, training, grown.plan)
    ranks.check(grown.network, moving(grown.network, grown.plan), shop.device.torch)
    ranks.fit(grown.network, shop.device.torch)
    stream = TrainingStream(
        training.sampler,
        sees.people,
        settings.augmentation,
        seed=job.seed,
        batch_size=settings.batch_size,
        truth=sees.truth,
        share=ranks.share(settings.batch_size),
    )
    task = Task(
        learner=shop.study.learner(grown.network, grown.plan, grown.teacher, job.keypoints.skeleton, shop.device),
        stream=stream,
        settings=settings,
        validate=lambda network: validation_value(job, shop, network),
        higher_is_better=shop.study.validation.higher_is_better,
        people=sees.everyone,
    )
    return Training(task, checkpoints).run(listener)


def moving(network: Network, plan: TransferPlan) -> list[str]:
    """Return the units in which statistics of batches are taken, at any time of the training."""
    still = plan.always_frozen if plan.frozen_norm == "eval" else frozenset()
    return [name for name, _ in network.units() if name not in still]


def settings_of(job: Job, shop: Workshop) -> TrainingTable:
    """Return how a job is trained, as long as the jobs that it matches where there are any."""
    return training_settings(job, shop.study.config.training, len(shop.groups[job.dataset].training.people))


def validation_value(job: Job, shop: Workshop, network: Network) -> float:
    """Return the average of the validation metric over the validation people."""
    group, flip_test = shop.groups[job.dataset].validation, shop.study.watch.flip_test
    points, confidence = shop.evaluator.predict(network, group.sampler, group.people, flip_test=flip_test)
    places = list(network.layout.heads[-1].places(job.keypoints.names))
    people = group.truth(job.reads).take(group.people)
    metric = shop.study.validation
    found = metric.score(points[:, places], confidence[:, places], people, job.keypoints, job.columns)
    return checked_scores(metric, found).average


def frozen_hash(grown: Grown) -> str | None:
    """Return the SHA-256 of the parameters and buffers of units that stay frozen; None where there are none."""
    frozen = grown.plan.always_frozen
    return fingerprint(grown.network.state_dict(), frozen) if frozen else None


def save(
    job: Job, shop: Workshop, grown: Grown, outcome: Outcome, frozen: Mapping[str, Any], folder: JobFolder
) -> None:  # fmt: skip
    """Predict the scored people and write the job's files; the manifest comes last."""
    for number, name in enumerate(job.datasets):
        predict(grown.network, shop, name, folder.predictions(number))
    if (source := given_source(job)) is not None:
        predict(as_given(source, shop), shop, job.split.steps[0].dataset, folder.given)
    model = described(job, shop, grown, outcome)
    save_weights(folder.weights, grown.network, metadata(model))
    write_card(folder.path, card(job, shop, model, file_digest(folder.weights)))
    folder.write_history(outcome.history)
    folder.write_plan({**plan_record(grown.plan, grown.spec), "frozen_hash": dict(frozen)})
    count = shop.device.ranks.count
    processes = {"processes": count} if count > 1 else {}
    folder.write_timing({**outcome.seconds, "at_epoch": outcome.at_epoch, **processes})
    result = JobResult(
        epochs=outcome.epochs,
        best_epoch=outcome.best_epoch,
        best_validation=outcome.best,
        validation_convention=shop.study.validation.convention,
        iterations=outcome.iterations,
        parameters=parameters_of(grown.spec),
        frozen=dict(frozen),
        lowered=outcome.lowered,
    )
    folder.write_result(result)
    folder.seal()


def described(job: Job, shop: Workshop, grown: Grown, outcome: Outcome) -> Model:
    """Return what the weights say of themselves."""
    study = shop.study
    skeletons, heads = heads_of(grown.network.layout)
    return Model(
        backbone=component(study.recipes["backbone"]),
        codec=component(study.recipes["codec"]),
        skeletons=skeletons,
        heads=heads,
        trained_on=job.keypoints.names,
        resolution=study.config.training.resolution,
        stride=study.backbone.stride,
        mean=study.backbone.mean,
        std=study.backbone.std,
        data=study.data[job.dataset].label,
        score=Score(
            value=outcome.kept(study.config.training.keep),
            convention=study.validation.convention,
            higher_is_better=study.validation.higher_is_better,
            people=len(shop.groups[job.dataset].validation.people),
        ),
        job=job.key,
    )


def card(job: Job, shop: Workshop, model: Model, weights: str) -> Card:
    """Return what the job's folder says of its network to who uses it."""
    study = shop.study
    samples = shop.groups[job.dataset].training.store.part.samples
    return Card(
        name=job.name,
        study=study.config.study.name,
        model=model,
        framing=measured(samples, model.layout.heads[-1]),
        steps=tuple(step.keypoints.names for step in job.split.steps[: job.step + 1]),
        precision=shop.device.precision,
        terms=terms(job, shop.study),
        weights=weights,
    )


def terms(job: Job, study: Study) -> str:
    """Return the terms of use of all that a job's network learned from; "" where none are known."""
    trainings = list(chain(job))[::-1]
    data = [study.data[one.dataset] for one in trainings if not one.given]
    found = {one.label: one.terms for one in data}
    if study.backbone.pretrained():
        found["pretrained weights"] = study.backbone.terms
    if study.source is not None and any(one.given for one in trainings):
        found["the source network"] = study.source.terms
    if not any(found.values()):
        return ""
    return "; ".join(f"{name}: {said or NOT_STATED}" for name, said in found.items())


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
        part=group.store.part.name,
        label=shop.study.data[dataset].label,
    )


def write_traceback(key: str, error: BaseException) -> Path:
    """Write the traceback of a failed job into its folder; return the file."""
    return JobFolder.of(key).write_error("".join(traceback.format_exception(error)))
