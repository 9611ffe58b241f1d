"""The DAG of a study: one job a training, found by the content key of everything that can change its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import cv2
import torch

from kpcore.cache import content_key
from kpcore.config import LastStep, TrainingTable
from kpcore.errors import KpError
from kpcore.interfaces import Metric
from kpcore.keypoints import Column, KeypointSet, KeypointSplit, default_columns
from kpcore.plans import Layout
from kpcore.study.contracts import checked_layout, checked_needs, checked_pretrained
from kpcore.study.data import StudyData
from kpcore.study.guard import reason
from kpcore.study.single import modes_of
from kpcore.study.study import Mode, Study, mirroring
from kpcore.training.device import Device
from kpcore.weights import fingerprint

FORMAT = 4
"""Raised whenever equal settings would give another result or other files."""


@dataclass(frozen=True, eq=False)
class Job:
    """One training.

    Args:
        key: content key, the name of its folder in the cache.
        name: for people: "d-transfer-0"; a training on S1 is "d-source-0", of the first split that needs it.
        split: the split that it belongs to.
        step: which of the split's steps it trains.
        mode: the transfer mode; None for plain training on S1, which a split of one step ends with.
        seed: of initial weights, order and augmentation.
        layout: the network's heads.
        sources: jobs whose networks it starts from.
        settings: what the key was made of.
        reads: keypoints of its data set whose labels can reach its result; all others are unlabelled to it.
        final: whether a result row is read from it.
    """

    key: str
    name: str
    split: KeypointSplit
    step: int
    mode: Mode | None
    seed: int
    layout: Layout
    sources: tuple[Job, ...]
    settings: dict[str, Any]
    reads: tuple[str, ...]
    final: bool

    @property
    def dataset(self) -> str:
        """The data set that it is trained and scored on, as the split's step names it."""
        return self.split.steps[self.step].dataset

    @property
    def keypoints(self) -> KeypointSet:
        """What it is trained on and scored by: its step's set. The last head may predict more."""
        return self.split.steps[self.step].keypoints

    @property
    def retained(self) -> dict[int, KeypointSet]:
        """Earlier steps whose keypoints the last head still predicts: step -> those of them that its data set knows.

        What its data set does not know cannot be learned from it, and is not asked for.
        """
        head, known = self.layout.heads[-1], self.keypoints.skeleton
        found = {}
        for step in range(self.step):
            keypoints = self.split.steps[step].keypoints
            names = [name for name in keypoints.names if name in known.names]
            if names and all(name in head for name in names):
                found[step] = keypoints.skeleton.select(names)
        return found

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets that it needs: its own, and those of the steps that it is scored on besides."""
        return tuple(dict.fromkeys([self.dataset, *(self.split.steps[step].dataset for step in self.retained)]))

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns for its validation metric: the split's own at the last step, one a group elsewhere."""
        if self.step == len(self.split.steps) - 1:
            return self.split.columns
        return default_columns(self.keypoints)


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the results: a split, a mode and a seed, and the job that answers it."""

    split: KeypointSplit
    mode: Mode
    seed: int
    job: Job


@dataclass(frozen=True, eq=False)
class Refused:
    """A line of the results that no job will answer, because its strategy is broken: why, in one line."""

    split: KeypointSplit
    mode: Mode
    seed: int
    reason: str


@dataclass(frozen=True, eq=False)
class JobPlan:
    """All jobs of a study, each once, sources before those that need them; and the rows that they answer."""

    jobs: tuple[Job, ...]
    rows: tuple[Row, ...]
    refused: tuple[Refused, ...] = ()

    @property
    def baseline(self) -> str:
        """Name of the first mode whose rows start from no other training; "" where there is none."""
        from_others = {row.mode.name for row in self.rows if row.job.sources}
        return next((row.mode.name for row in self.rows if row.mode.name not in from_others), "")

    @property
    def shared(self) -> int:
        """How many trainings are saved because jobs share their sources."""

        def chain(job: Job) -> int:
            return 1 + sum(chain(source) for source in job.sources)

        return sum(chain(row.job) for row in self.rows) - len(self.jobs)


def plan_jobs(study: Study, device: Device) -> JobPlan:
    """Expand splits x seeds x modes into jobs; equal keys are one job. A broken strategy's rows are refused.

    Raises:
        KpError: a strategy does not take the study's settings.
    """
    planner = _Planner(study, device)
    rows: list[Row] = []
    refused: list[Refused] = []
    wanted = [(split, mode) for split in study.splits for mode in modes_of(study, split)]
    for (split, mode), seed in product(wanted, study.config.study.seeds):
        try:
            rows.append(Row(split, mode, seed, planner.job(split, mode, len(split.steps) - 1, seed)))
        except KpError:
            raise
        except (Exception, SystemExit) as error:
            refused.append(Refused(split, mode, seed, reason(error, study.known)))
    return JobPlan(needed(tuple(planner.jobs.values()), rows), tuple(rows), tuple(refused))


def needed(jobs: Sequence[Job], rows: Sequence[Row]) -> tuple[Job, ...]:
    """Return the jobs that these rows need, in their order."""

    def chain(job: Job) -> Iterator[str]:
        yield job.key
        for source in job.sources:
            yield from chain(source)

    wanted = {key for row in rows for key in chain(row.job)}
    return tuple(job for job in jobs if job.key in wanted)


class _Planner:
    def __init__(self, study: Study, device: Device) -> None:
        self.study = study
        self.jobs: dict[str, Job] = {}
        self.common = common_settings(study, device)

    def job(self, split: KeypointSplit, mode: Mode | None, step: int, seed: int) -> Job:
        """Return the job of this step, after those that it needs."""
        stages = self.study.config.backbone.stages
        label = mode.name if mode else "source"
        if step == 0:  # plain training, whatever the mode is called that wants it
            mode = None
        if mode is None:
            sources: tuple[Job, ...] = ()
            layout = Layout((split.steps[step].keypoints,) * stages[step])
        else:
            strategy = mode.strategy
            needs = checked_needs(strategy, strategy.needs(split, step), step)
            sources = tuple(self.job(split, mode if need.step else None, need.step, seed) for need in needs)
            layout = checked_layout(strategy, strategy.layout(split, step, stages), split, step, stages)
        final = step == len(split.steps) - 1
        name = f"{split.name}-{label}-{seed}" if final or not mode else f"{split.name}-{label}-step{step}-{seed}"
        draft = Job("", name, split, step, mode, seed, layout, sources, {}, (), final)
        _check_layout(draft, mirroring(self.study.config))
        draft = replace(draft, reads=labels_read(draft, self.study.validation))
        settings = {**self.common, "data": data_settings(draft, self.study.data), **job_settings(draft, stages)}
        key = content_key(settings)
        return self.jobs.setdefault(key, replace(draft, key=key, settings=settings))


def _check_layout(job: Job, mirrored: Sequence[str]) -> None:
    """Check that the last head predicts what is scored, and whole mirror pairs where images are mirrored.

    Raises:
        KpError: with the job's name.
    """
    head = job.layout.heads[-1]
    lost = [name for name in job.keypoints.names if name not in head]
    if lost:
        raise KpError(f"job {job.name}: the last head does not predict {', '.join(lost)}, which its step is scored on")
    if mirrored and head.halved:
        raise KpError(
            f"job {job.name}: its last head predicts '{head.halved[0]}' without its mirror partner"
            f" '{head.skeleton[head.halved[0]].mirror}'; turn mirroring off ({' and '.join(mirrored)})"
        )


def labels_read(job: Job, validation: Metric) -> tuple[str, ...]:
    """Return the keypoints of a job's data that it reads: of its heads and its step, and what its metric measures by.

    What a head predicts that the data set does not know is read by nobody.
    """
    skeleton = job.keypoints.skeleton
    heads = [name for head in job.layout.heads for name in head.names]
    wanted = {*heads, *job.keypoints.names, *validation.reads(job.keypoints)}
    return tuple(name for name in skeleton.names if name in wanted)


def data_settings(job: Job, data: Mapping[str, StudyData]) -> dict[str, Any]:
    """Return what a job reads of its data: of its own, and of those that it is scored on besides.

    Of a skeleton that is the names, mirror partners and groups of what is read, not its other keypoints, nor what the
    study calls the data set.
    """
    own = data[job.dataset]
    skeleton = own.skeleton
    return {
        "train": own.train.fingerprint.of(job.reads),
        "valid": own.valid.fingerprint.of(job.reads),
        "mirrors": {name: skeleton[name].mirror for name in job.reads},
        "groups": {name: skeleton[name].group for name in job.reads},  # modes and metrics go by them
        "left_out": list(own.left_out),
        "others": [data[name].valid.fingerprint.of(()) for name in job.datasets[1:]],
    }


def job_settings(job: Job, stages: Sequence[int]) -> dict[str, Any]:
    """Return what is a job's own of its key."""
    return {
        "heads": [list(head.names) for head in job.layout.heads],
        "keypoints": [list(step.keypoints.names) for step in job.split.steps[: job.step + 1]],
        "columns": [[column.name, list(column.keypoints), column.in_average] for column in job.columns],
        "stages": list(stages[: job.step + 1]),
        "strategy": job.mode.recipe.record() if job.mode else None,
        "seed": job.seed,
        "sources": [source.key for source in job.sources],
    }


def common_settings(study: Study, device: Device) -> dict[str, Any]:
    """Return what all jobs of a study share of their keys."""
    config = study.config
    return {
        "format": FORMAT,
        "backbone": study.recipes["backbone"].record(),
        "pretrained": fingerprint(checked_pretrained(study.backbone)),
        "codec": study.recipes["codec"].record(),
        "training": training_settings(config.training),
        "validation": {
            **study.recipes["validation"].record(),
            "people": study.watch.people,
            "flip_test": study.watch.flip_test,
        },
        "evaluation": {"flip_test": config.evaluation.flip_test, "batch_size": config.evaluation.batch_size},
        "numerics": numerics(device),
        "versions": versions(),
        **({"held_out": "ranked"} if config.training.select_on == "held_out" else {}),
    }


def training_settings(training: TrainingTable) -> dict[str, Any]:
    """Return what of ``[training]`` can change a result; averaging only where it is asked for.

    Threads and precision are among the numerics, as they come out on the device.
    """
    unused = {"average"} if isinstance(training.average, LastStep) else set()
    return training.model_dump(mode="json", exclude={"threads", "precision", *unused})


def numerics(device: Device) -> dict[str, Any]:
    """Return what a result's last bits hang on: kind of device, precision, and on a CPU the threads of a job."""
    threads = {"threads": device.threads} if device.torch.type == "cpu" else {}
    return {"device": device.torch.type, "precision": device.precision, **threads}


@cache
def versions() -> dict[str, str]:
    """Versions of the libraries whose numerics reach a result."""
    return {"torch": torch.__version__, "opencv": cv2.__version__}
