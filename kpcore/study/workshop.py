"""What all jobs of a study share while they run: prepared stores, who is trained on, who is validated on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kpcore.config import TrainingTable
from kpcore.data.geometry import reach
from kpcore.data.sampling import Sampler, make_sampler
from kpcore.data.store import Cut, Progress, Store, prepare, store_path
from kpcore.errors import KpError
from kpcore.study.setup import Study
from kpcore.training.device import Device
from kpcore.training.evaluate import Evaluator
from kpcore.training.memory import keep_freed_memory


@dataclass(frozen=True, eq=False)
class Group:
    """Some people of a store, by their places in it."""

    sampler: Sampler
    people: Sequence[int]

    @property
    def store(self) -> Store:
        """The store."""
        return self.sampler.store


@dataclass(frozen=True, eq=False)
class Workshop:
    """A study with its data prepared.

    Args:
        training: who is trained on.
        validation: who is scored after every epoch.
        scored: who the result is scored on: all of the validation part.
    """

    study: Study
    device: Device
    evaluator: Evaluator
    training: Group
    validation: Group
    scored: Group


def open_workshop(study: Study, device: Device, progress: Progress | None = None) -> Workshop:
    """Prepare the stores and divide the people.

    Raises:
        KpError: an image cannot be read, or a part is too small to be divided or to fill a batch.
    """
    if device.torch.type == "cpu":
        keep_freed_memory()
    config = study.config
    settings = config.training
    train, valid = (
        make_sampler(prepare(study.dataset, part, how, progress), device.torch) for part, how in cuts(settings).items()
    )
    everyone = Group(valid, range(len(valid.store)))
    wanted = config.evaluation.validation.people if config.evaluation.validation else None
    if settings.select_on == "valid":
        training, validation = Group(train, range(len(train.store))), Group(valid, spread(everyone.people, wanted))
    else:
        kept, held = hold_out(train.store, settings.held_out)
        training, validation = Group(train, kept), Group(train, spread(held, wanted))
    if not validation.people or len(training.people) < settings.batch_size:
        raise KpError(
            f"{study.file}: {len(training.people)} people to train on and {len(validation.people)} to validate on are"
            f" too few for training.batch_size = {settings.batch_size}"
        )
    evaluator = Evaluator(study.backbone, study.codec, device, config.evaluation.batch_size)
    return Workshop(study, device, evaluator, training, validation, everyone)


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
        part: of the data set.
        how: it is cut.
        people: in it.
        path: where it lies, or will.
    """

    part: str
    how: Cut
    people: int
    path: Path

    @property
    def size(self) -> int:
        """Bytes of its crops: what there is, or what there will be."""
        return self.path.stat().st_size if self.path.exists() else self.how.size(self.people)


def wanted_stores(study: Study) -> list[Wanted]:
    """Return the stores that a study needs, in the order in which they are prepared."""
    dataset = study.dataset
    return [
        Wanted(part, how, len(dataset.samples(part)), store_path(dataset, part, how))
        for part, how in cuts(study.config.training).items()
    ]


def spread(people: Sequence[int], wanted: int | None) -> list[int]:
    """Return that many of the people, evenly spread over their order; all where there are no more."""
    if wanted is None or wanted >= len(people):
        return list(people)
    return [people[place] for place in np.linspace(0, len(people) - 1, wanted).round().astype(int)]


def hold_out(store: Store, share: float) -> tuple[list[int], list[int]]:
    """Divide by a hash of the image's name, so that people of one image stay together: (kept, held out)."""
    kept: list[int] = []
    held: list[int] = []
    for place, image in enumerate(store.people.image_ids):
        number = int.from_bytes(hashlib.sha256(image.encode()).digest()[:8], "big") / 2**64
        (held if number < share else kept).append(place)
    return kept, held
