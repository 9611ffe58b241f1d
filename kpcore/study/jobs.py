"""The DAG of a study: one job a training, found by the content key of everything that can change its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import torch

from kpcore.cache import content_key
from kpcore.keypoints import Column, KeypointSplit, default_columns
from kpcore.plans import Layout
from kpcore.study.setup import Mode, Study
from kpcore.training.device import Device

FORMAT = 2
"""Raised whenever equal settings would give another result or other files."""


@dataclass(frozen=True, eq=False)
class Job:
    """One training.

    Args:
        key: content key, the name of its folder in the cache.
        name: for people: "d-transfer-0"; a training on S1 is "d-source-0", of the first split that needs it.
        split: the split that it belongs to.
        step: which of the split's steps it trains.
        mode: the transfer mode; None for plain training on S1.
        seed: of initial weights, order and augmentation.
        layout: the network's heads.
        sources: jobs whose networks it starts from.
        settings: what the key was made of.
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
    final: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns for its validation metric: the split's own at the last step, one a group elsewhere."""
        if self.step == len(self.split.steps) - 1:
            return self.split.columns
        return default_columns(self.split.steps[self.step].keypoints)


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the results: a split, a mode and a seed, and the job that answers it."""

    split: KeypointSplit
    mode: Mode
    seed: int
    job: Job


@dataclass(frozen=True, eq=False)
class JobPlan:
    """All jobs of a study, each once, sources before those that need them; and the rows that they answer."""

    jobs: tuple[Job, ...]
    rows: tuple[Row, ...]

    @property
    def shared(self) -> int:
        """How many trainings are saved because jobs share their sources."""

        def chain(job: Job) -> int:
            return 1 + sum(chain(source) for source in job.sources)

        return sum(chain(row.job) for row in self.rows) - len(self.jobs)


def plan_jobs(study: Study, device: Device) -> JobPlan:
    """Expand splits x seeds x modes into jobs; equal keys are one job."""
    planner = _Planner(study, device)
    rows = [
        Row(split, mode, seed, planner.job(split, mode, len(split.steps) - 1, seed))
        for split in study.splits
        for mode in study.modes
        for seed in study.config.study.seeds
    ]
    return JobPlan(tuple(planner.jobs.values()), tuple(rows))


class _Planner:
    def __init__(self, study: Study, device: Device) -> None:
        self.study = study
        self.jobs: dict[str, Job] = {}
        self.common = common_settings(study, device)

    def job(self, split: KeypointSplit, mode: Mode | None, step: int, seed: int) -> Job:
        """Return the job of this step, after those that it needs."""
        stages = self.study.config.backbone.stages
        if mode is None:
            sources: tuple[Job, ...] = ()
            layout = Layout((split.steps[step].keypoints,) * stages[step])
        else:
            needs = mode.strategy.needs(split, step)
            sources = tuple(self.job(split, mode if need.step else None, need.step, seed) for need in needs)
            layout = mode.strategy.layout(split, step, stages)
        final = step == len(split.steps) - 1
        label = mode.name if mode else "source"
        name = f"{split.name}-{label}-{seed}" if final or not mode else f"{split.name}-{label}-step{step}-{seed}"
        draft = Job("", name, split, step, mode, seed, layout, sources, {}, final)
        settings = {**self.common, **job_settings(draft, stages)}
        key = content_key(settings)
        return self.jobs.setdefault(key, Job(key, name, split, step, mode, seed, layout, sources, settings, final))


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
    validation = config.evaluation.validation
    return {
        "format": FORMAT,
        "data": {part: study.dataset.fingerprint(part) for part in ("train", "valid")},
        "skeleton": list(study.dataset.skeleton.names),
        "backbone": study.recipes["backbone"].record(),
        "codec": study.recipes["codec"].record(),
        "training": config.training.model_dump(mode="json", exclude={"threads", "precision"}),
        "validation": {
            **study.recipes["validation"].record(),
            "people": validation.people if validation else None,
            "flip_test": validation.flip_test if validation else config.evaluation.flip_test,
        },
        "evaluation": {"flip_test": config.evaluation.flip_test, "batch_size": config.evaluation.batch_size},
        "numerics": {"device": device.torch.type, "precision": device.precision, "threads": device.threads},
        "versions": versions(),
    }


@cache
def versions() -> dict[str, str]:
    """Versions of the libraries whose numerics reach a result."""
    return {"torch": torch.__version__, "opencv": cv2.__version__}
