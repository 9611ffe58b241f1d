"""A study, opened: its settings, data, splits, modes and components, ready to be planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from kpcore.config import StudyConfig, Watch
from kpcore.interfaces import Backbone, Codec, Metric, TransferStrategy
from kpcore.keypoints import KeypointSplit, Skeleton
from kpcore.network import Network, build_network, describe
from kpcore.plans import Layout, NetworkSpec, TransferPlan
from kpcore.recipes import Recipe
from kpcore.registry import Registry
from kpcore.study.data import StudyData
from kpcore.training.device import Device
from kpcore.training.step import Learner


@dataclass(frozen=True, eq=False)
class Mode:
    """One transfer mode of a study."""

    name: str
    strategy: TransferStrategy
    recipe: Recipe


class Source(Protocol):
    """A network that stands for the training on S1."""

    @property
    def key(self) -> str:
        """Of its job's folder in the cache."""

    @property
    def terms(self) -> str:
        """Terms of use of what it learned from; "" where none are known."""

    def layout(self, split: KeypointSplit) -> Layout:
        """Return its heads, as sets of the split's own skeleton."""


@dataclass(frozen=True, eq=False)
class Study:
    """A study, ready to be planned.

    Args:
        known: the plugins, which are told of its jobs.
        config: the resolved settings.
        file: the study file's path, for messages.
        preset: what results call the settings: the profile's name, or what the file calls itself.
        data: the data sets that the splits' steps use, by the steps' names for them.
        metric: final score; ``validation`` is read after every epoch.
        recipes: how backbone, codec and validation metric were asked for.
        source: the network that stands for the training on S1; None where that is trained.
    """

    known: Registry
    config: StudyConfig
    file: str
    preset: str
    data: Mapping[str, StudyData]
    splits: tuple[KeypointSplit, ...]
    backbone: Backbone
    codec: Codec
    metric: Metric
    validation: Metric
    modes: tuple[Mode, ...]
    recipes: Mapping[str, Recipe]
    source: Source | None = None

    @property
    def scored(self) -> StudyData:
        """The data set that results are scored on: that of the last steps."""
        return self.data[self.splits[0].steps[-1].dataset]

    @property
    def label(self) -> str:
        """What results call the data, all of it."""
        return " + ".join(data.label for data in self.data.values())

    @property
    def sample(self) -> bool:
        """Whether any of the data is synthetic; everything printed and written then says so."""
        return any(data.sample for data in self.data.values())

    @property
    def watch(self) -> Watch:
        """What is read after every epoch."""
        return self.config.evaluation.watch

    def network(self, layout: Layout, *, seed: int) -> Network:
        """Return a new network of the study's backbone and codec, initialised from the seed, on the CPU."""
        resolution = self.config.training.resolution
        return build_network(self.backbone, self.codec, layout, seed=seed, resolution=resolution)

    def spec(self, layout: Layout) -> NetworkSpec:
        """Return what such a network is made of, without its weights."""
        return describe(self.backbone, self.codec, layout)

    def learner(
        self, network: Network, plan: TransferPlan, teacher: Network | None, skeleton: Skeleton, device: Device
    ) -> Learner:
        """Return what trains a network, on batches of this skeleton's points."""
        compiled = self.config.training.compile
        return Learner(network, plan, teacher, self.backbone, self.codec, skeleton, device, compiled)


def mirroring(config: StudyConfig) -> list[str]:
    """Return the settings that mirror images, as one would turn them off."""
    watch = config.evaluation.watch
    settings = {
        "training.augmentation.flip = 0": config.training.augmentation.flip > 0,
        "evaluation.flip_test = false": config.evaluation.flip_test,
        "evaluation.validation.flip_test = false": watch.key == "evaluation.validation" and watch.flip_test,
    }
    return [name for name, on in settings.items() if on]
