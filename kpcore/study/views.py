"""What a job sees of its data: some of the labels, another person's labels, as many iterations as another mode took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpcore.config import TrainingTable
from kpcore.data.geometry import generator
from kpcore.plans import TransferPlan
from kpcore.reading.held_out import drawn, held_names
from kpcore.records.folder import JobFolder
from kpcore.samples import Instances
from kpcore.study.data import StudyData
from kpcore.study.jobs import Job, View
from kpcore.study.study import Study
from kpcore.study.workshop import Group
from kpcore.tensors import UNLABELLED
from kpcore.training.loop import epoch_iterations

PERMUTED = 3
"""Tells the draws of permuted labels from those of order, augmentation and noise."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a job is trained on.

    Args:
        people: places in the store.
        truth: labels of the whole store's people, as the job sees them.
        everyone: how many people a pass would have if all were labelled: an epoch is as long whatever is labelled.
    """

    people: Sequence[int]
    truth: Instances
    everyone: int


def seen(job: Job, training: Group, plan: TransferPlan) -> Seen:
    """Return what a job sees of its data set's training people.

    Of a share of the labels it sees the people of those images alone; a plan that is supervised on keypoints of earlier
    steps besides (several tasks at once) has these on all images, and the step's own new ones on that share.
    """
    truth = training.truth(job.reads)
    if job.view.permuted:
        truth = permuted(truth, training.people, job.seed)
    images = truth.image_ids
    chosen = labelled_images((images[place] for place in training.people), job.view, job.seed)
    inside = [place for place in training.people if images[place] in chosen]
    everyone = len(training.people)
    if len(inside) == everyone or not job.view.target_alone or not _of_earlier_steps(job, plan):
        return Seen(inside, truth, everyone)
    outside = [place for place in training.people if images[place] not in chosen]
    return Seen(training.people, _without(truth, outside, _new_columns(job)), everyone)


def labelled_images(images: Iterable[str], view: View, seed: int) -> frozenset[str]:
    """Return the images whose labels are seen: of n different ones ``labels * n``, rounded, at least one.

    A larger share holds all that a smaller one does; another seed draws others.
    """
    names = set(images)
    if view.labels == 1:
        return frozenset(names)
    ranked = sorted(names, key=lambda name: (drawn(f"{view.seed}/{seed}/{name}"), name))
    return frozenset(ranked[: share_of(len(ranked), view.labels)])


class TrainingImages:
    """Counts the images of a study that its jobs see labels of."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._counts: dict[str, Mapping[str, int]] = {}

    def seen(self, job: Job) -> int:
        """Return the images of which a job sees its step's labels."""
        return share_of(self.count(job.dataset), job.view.labels)

    def count(self, dataset: str) -> int:
        """Return the images of a data set that are trained on."""
        return len(self._of(dataset))

    def people(self, dataset: str) -> int:
        """Return the samples on these images."""
        return sum(self._of(dataset).values())

    def _of(self, dataset: str) -> Mapping[str, int]:
        if dataset not in self._counts:
            self._counts[dataset] = self._trained_on(self._study.data[dataset])
        return self._counts[dataset]

    def _trained_on(self, data: StudyData) -> Mapping[str, int]:
        """Return image -> how many samples of it are trained on."""
        left_out, settings = set(data.left_out), self._study.config.training
        images = Counter(sample.image_id for place, sample in enumerate(data.train.samples) if place not in left_out)
        held = held_names(set(images), settings.held_out) if settings.select_on == "held_out" else frozenset[str]()
        return {name: count for name, count in images.items() if name not in held}


def share_of(images: int, labels: float) -> int:
    """Return how many of so many images a share is: rounded, at least one."""
    return max(1, int(labels * images + 0.5))


def _of_earlier_steps(job: Job, plan: TransferPlan) -> bool:
    """Whether a plan is supervised on more than the step's own keypoints."""
    return any(name not in job.keypoints for wanted in plan.supervision if wanted for name in wanted.names)


def _new_columns(job: Job) -> list[int]:
    """Return the columns of the step's keypoints that no earlier step of the same data set has labels of."""
    earlier = {
        name for step in job.split.steps[: job.step] if step.dataset == job.dataset for name in step.keypoints.names
    }
    keypoints = job.keypoints
    return [keypoints.skeleton.index(name) for name in keypoints.names if name not in earlier]


def _without(truth: Instances, people: Sequence[int], columns: Sequence[int]) -> Instances:
    """Return the same labels, these columns of these people unlabelled."""
    points, state = truth.points.copy(), truth.state.copy()
    where = np.ix_(people, columns)
    points[where], state[where] = np.nan, UNLABELLED
    return replace(truth, points=points, state=state)


def permuted(truth: Instances, people: Sequence[int], seed: int) -> Instances:
    """Return labels in which every one of these people has another one's, at the same place of the crop.

    Nobody keeps his own where there are two or more: a random cycle through all of them.

    Args:
        truth: N instances.
        people: places among them that are permuted.
        seed: the training's.
    """
    cycle = np.asarray(people)[generator(seed, 0, 0, PERMUTED).permutation(len(people))]
    here, there = cycle, np.roll(cycle, 1)
    scale = (truth.side[here] / truth.side[there])[:, None, None]
    points, state = truth.points.copy(), truth.state.copy()
    centres = np.zeros((2, len(cycle), 1, truth.points.shape[-1]))  # a third axis is relative to the root already
    centres[0, :, 0, :2], centres[1, :, 0, :2] = truth.centre[here], truth.centre[there]
    points[here] = centres[0] + (truth.points[there] - centres[1]) * scale
    state[here] = truth.state[there]
    return replace(truth, points=points, state=state)


def training_settings(job: Job, settings: TrainingTable, people: int) -> TrainingTable:
    """Return a job's training settings: those of the study, or as long as the jobs that it matches took.

    Args:
        job: whose matched jobs are done.
        settings: the study's.
        people: a pass has.
    """
    if not job.matches:
        return settings
    total = sum(JobFolder.of(one.key).result().iterations for one in job.matches)
    epochs = math.ceil(total / epoch_iterations(settings, people))
    return settings.model_copy(update={"epochs": epochs, "early_stopping": False})
