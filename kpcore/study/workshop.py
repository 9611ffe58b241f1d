"""What all jobs of a study share while they run: prepared stores, who is trained on, who is validated on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kpcore.config import TrainingTable
from kpcore.data.generated import distrusted
from kpcore.data.geometry import reach
from kpcore.data.sampling import Sampler, make_sampler
from kpcore.data.store import Cut, Notice, Part, Progress, Store, prepare, store_path
from kpcore.errors import KpError
from kpcore.reading.held_out import held_names
from kpcore.samples import Instances
from kpcore.study.data import StudyData
from kpcore.study.study import Study
from kpcore.trained.evaluator import Evaluator
from kpcore.training.device import Device


@dataclass(frozen=True, eq=False)
class Group:
    """Some people of a store, by their places in it."""

    sampler: Sampler
    people: Sequence[int]

    @property
    def store(self) -> Store:
        """The store."""
        return self.sampler.store

    def truth(self, names: Sequence[str]) -> Instances:
        """Return the labels of the whole store's people, all keypoints but these unlabelled."""
        skeleton = self.store.skeleton
        return self.store.people.without([place for place, name in enumerate(skeleton.names) if name not in names])


@dataclass(frozen=True, eq=False)
class Groups:
    """The people of one data set.

    Args:
        training: who is trained on.
        validation: who is scored after every epoch.
        scored: who the result is scored on: all of the validation part.
    """

    training: Group
    validation: Group
    scored: Group


@dataclass(frozen=True, eq=False)
class Workshop:
    """A study with its data prepared.

    Args:
        groups: the people of each data set that was asked for, by the steps' names for it.
    """

    study: Study
    device: Device
    evaluator: Evaluator
    groups: Mapping[str, Groups]


def open_workshop(
    study: Study, device: Device, datasets: Iterable[str], progress: Progress | None = None, notice: Notice = print
) -> Workshop:
    """Prepare the stores of these data sets and divide their people.

    Raises:
        KpError: an image cannot be read, or a part is too small to be divided or to fill a batch.
    """
    with distrusted():
        groups = {name: divide(study, study.data[name], device, progress, notice) for name in dict.fromkeys(datasets)}
    evaluator = Evaluator(study.backbone, study.codec, device, study.config.evaluation.batch_size)
    return Workshop(study, device, evaluator, groups)


def divide(study: Study, data: StudyData, device: Device, progress: Progress | None, notice: Notice = print) -> Groups:
    """Prepare a data set's stores and say who is trained on, validated on and scored."""
    config = study.config
    settings = config.training
    train, valid = (
        make_sampler(prepare(part, how, progress, notice), device.torch)
        for part, how in zip(data.parts, cuts(settings).values(), strict=True)
    )
    everyone = range(len(valid.store))
    left_out = set(data.left_out)
    usable = [place for place in range(len(train.store)) if place not in left_out]
    if settings.select_on == "valid":
        training, validation = Group(train, usable), Group(valid, spread(everyone, study.watch.people))
    else:
        kept, held = hold_out(train.store, usable, settings.held_out)
        training, validation = Group(train, kept), Group(train, spread(held, study.watch.people))
    if not validation.people or len(training.people) < settings.batch_size:
        raise KpError(
            f"{study.file}: {data.label}: {len(training.people)} samples to train on and {len(validation.people)} to"
            f" validate on are too few for training.batch_size = {settings.batch_size}; set it lower, or label more"
        )
    return Groups(training, validation, Group(valid, everyone))


def cuts(settings: TrainingTable) -> dict[str, Cut]:
    """Return how each part is cut: with the margin that augmentation can reach, or none where nothing is augmented."""
    return {
        "train": Cut(settings.resolution, reach(settings.augmentation), settings.crops),
        "valid": Cut(settings.resolution, 1.0, settings.crops),
    }


@dataclass(frozen=True)
class Wanted:
    """A store that a study needs.

    Args:
        part: whose crops.
        how: they are cut.
        path: where it lies, or will.
    """

    part: Part
    how: Cut
    path: Path

    @property
    def people(self) -> int:
        """How many crops."""
        return len(self.part.samples)

    @property
    def size(self) -> int:
        """Bytes of its crops: what there is, or what there will be."""
        return self.path.stat().st_size if self.path.exists() else self.how.size(self.people)


def wanted_stores(study: Study) -> list[Wanted]:
    """Return the stores that a study needs, in the order in which they are prepared."""
    return [
        Wanted(part, how, store_path(part, how))
        for data in study.data.values()
        for part, how in zip(data.parts, cuts(study.config.training).values(), strict=True)
    ]


def spread(people: Sequence[int], wanted: int | None) -> list[int]:
    """Return that many of the people, evenly spread over their order; all where there are no more."""
    if wanted is None or wanted >= len(people):
        return list(people)
    return [people[place] for place in np.linspace(0, len(people) - 1, wanted).round().astype(int)]


def hold_out(store: Store, people: Sequence[int], share: float) -> tuple[list[int], list[int]]:
    """Divide people by a hash of the image's name, so that those of one image stay together: (kept, held out)."""
    images = store.people.image_ids
    out = held_names((images[place] for place in people), share)
    return [place for place in people if images[place] not in out], [place for place in people if images[place] in out]
