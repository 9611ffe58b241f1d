"""The DAG of a study: one job a training, found by the content key of everything that can change its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import torch

from kpcore.config import LastStep, TrainingTable
from kpcore.interfaces import Metric
from kpcore.keypoints import Column, KeypointSet, KeypointSplit, default_columns
from kpcore.plans import Layout
from kpcore.study.contracts import checked_pretrained
from kpcore.study.data import StudyData
from kpcore.study.study import Mode, Study
from kpcore.training.device import Device
from kpcore.weights import fingerprint

FORMAT = 4
"""Raised whenever equal settings would give another result or other files."""


@dataclass(frozen=True)
class View:
    """Which labels a job sees of its data.

    Args:
        labels: share of the training images whose labels it sees.
        seed: with the job's own seed draws these images.
        target_alone: whether the share is of the last step's labels only, so that those of earlier steps are all there.
        permuted: whether every person has another one's labels.
    """

    labels: float = 1.0
    seed: int = 0
    target_alone: bool = True
    permuted: bool = False

    def record(self) -> dict[str, Any]:
        """Return what a job's key says of it: nothing of all labels, as they are."""
        share = {"labels": self.labels, "labels_seed": self.seed, "target_alone": self.target_alone}
        return {**(share if self.labels < 1 else {}), **({"permuted": True} if self.permuted else {})}


PLAIN = View()


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
        view: which labels it sees.
        matches: jobs that it trains as many iterations as, all together; none for the study's own number.
        given: whether it is no training but a network from elsewhere, which has predicted nobody of the study's data.
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
    view: View = PLAIN
    matches: tuple[Job, ...] = ()
    given: bool = False

    @property
    def waits_for(self) -> tuple[Job, ...]:
        """Jobs that must be done before."""
        return (*self.sources, *self.matches)

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
    """One line of the results: a split, a mode, a share of the labels and a seed, and the job that answers it."""

    split: KeypointSplit
    mode: Mode
    seed: int
    job: Job
    labels: float = 1.0


@dataclass(frozen=True, eq=False)
class Refused:
    """A line of the results that no job will answer, because its strategy is broken: why, in one line."""

    split: KeypointSplit
    mode: Mode
    seed: int
    reason: str
    labels: float = 1.0


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
        return sum(len(list(chain(row.job))) for row in self.rows) - len(self.jobs)


def chain(job: Job) -> Iterator[Job]:
    """Yield a job, its sources and theirs."""
    yield job
    for source in job.sources:
        yield from chain(source)


def given_source(job: Job) -> Job | None:
    """Return the given network that the job starts from, where it is still scored on S1; None elsewhere."""
    return next((one for one in chain(job) if one.given), None) if 0 in job.retained else None


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
        **({"view": job.view.record()} if job.view.record() else {}),
        **({"matches": [one.key for one in job.matches]} if job.matches else {}),
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
    """Return what of ``[training]`` can change a result; averaging and lower rates only where they are asked for.

    Threads and precision are among the numerics, as they come out on the device.
    """
    unused = {"average"} if isinstance(training.average, LastStep) else set()
    unused |= {"nan_policy"} if training.nan_policy == "fail" else set()
    return training.model_dump(mode="json", exclude={"threads", "precision", *unused})


def numerics(device: Device) -> dict[str, Any]:
    """Return what a result's last bits hang on: kind of device, precision, and on a CPU the threads of a job."""
    threads = {"threads": device.threads} if device.torch.type == "cpu" else {}
    return {"device": device.torch.type, "precision": device.precision, **threads}


@cache
def versions() -> dict[str, str]:
    """Versions of the libraries whose numerics reach a result."""
    return {"torch": torch.__version__, "opencv": cv2.__version__}
