"""A study file opened: profile and ``--set`` applied, every component built and checked, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kpcore.audit.check import require_usable
from kpcore.config import ComponentTable, StudyConfig, Toml, assemble, overlay, read_toml, validate
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Backbone, Codec, Dataset, Metric, Split, TransferStrategy
from kpcore.keypoints import KeypointSplit, default_columns
from kpcore.registry import Registry, registry
from kpcore.samples import People
from kpcore.study.data import (
    OWN,
    Notice,
    Progress,
    StudyData,
    keep_apart,
    nothing_configured,
    open_all,
    sample_notice,
    tables,
    unseen,
)
from kpcore.tensors import VISIBLE

SAMPLE = "sample"
"""Profile that runs where no data is configured."""
SAME_RECIPE = ("dataset.", "datasets.", "study.", "split.", "training.threads")
"""Keys that ``--set`` may change without making it another preset."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a component was asked for: what goes into a content key."""

    name: str
    options: Mapping[str, Any]
    plugin: str
    version: str

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"name": self.name, "options": dict(self.options), "plugin": self.plugin, "version": self.version}


@dataclass(frozen=True, eq=False)
class Mode:
    """One transfer mode of a study."""

    name: str
    strategy: TransferStrategy
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class Study:
    """A study, ready to be planned.

    Args:
        config: the resolved settings.
        file: the study file's path, for messages.
        preset: what results call the settings: the profile's name, or what the file calls itself.
        data: the data sets that the splits' steps use, by the steps' names for them.
        metric: final score; ``validation`` is read after every epoch.
        recipes: how backbone, codec and validation metric were asked for.
    """

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

    @property
    def scored(self) -> StudyData:
        """The data set that results are scored on: that of the last steps."""
        return self.data[self.splits[0].steps[-1].dataset]

    @property
    def baseline(self) -> str:
        """Name of the mode that reports compare the others with; "" where no mode starts from nothing."""
        named = self.config.study.baseline
        return named or next((mode.name for mode in self.modes if self._starts_from_nothing(mode)), "")

    def _starts_from_nothing(self, mode: Mode) -> bool:
        return not any(mode.strategy.needs(split, len(split.steps) - 1) for split in self.splits)

    @property
    def label(self) -> str:
        """What results call the data, all of it."""
        return " + ".join(data.label for data in self.data.values())

    @property
    def sample(self) -> bool:
        """Whether any of the data is synthetic; everything printed and written then says so."""
        return any(data.sample for data in self.data.values())


def resolve(file: Path, profile: str | None, sets: Sequence[str]) -> StudyConfig:
    """Read a study file and return its settings, without looking at data.

    Raises:
        KpError: with file and key, for anything that is wrong.
    """
    document = read_toml(file)
    _check_profiles(document, str(file))
    return validate(StudyConfig, assemble(document, profile=profile, sets=sets, where=str(file)), where=str(file))


def _check_profiles(document: Toml, where: str) -> None:
    """Validate every profile over the plain file, so that an error in one shows before it is asked for."""
    plain = assemble(document, profile=None, sets=(), where=where)
    for name, profile in document.get("profiles", {}).items():
        if not isinstance(profile, dict):
            raise KpError(f"{where}: profiles.{name}: must be a table, [profiles.{name}]")
        validate(StudyConfig, overlay(plain, profile), where=f"{where}: profiles.{name}")


def open_study(
    file: Path,
    profile: str | None = None,
    sets: Sequence[str] = (),
    notice: Notice = print,
    progress: Progress = unseen,
) -> Study:
    """Open a study: build its components and check all of it against each other and the data.

    Where no data root is configured and the file says ``when_missing = "sample"``, its profile ``sample`` is run.
    ``notice`` gets lines for the user; ``progress`` gets (done, total) people while sample data is written.

    Raises:
        KpError: with file and key, for anything that is wrong.
    """
    config, profile = settle(file, profile, sets, registry(), notice)
    return build_study(config, str(file), preset_name(config, profile, sets), notice, progress)


def settle(
    file: Path, profile: str | None, sets: Sequence[str], known: Registry, notice: Notice
) -> tuple[StudyConfig, str | None]:
    """Resolve a study, with its profile ``sample`` where no data is configured and the file wants it so.

    Returns:
        The settings, and the profile that was taken.
    """
    config = resolve(file, profile, sets)
    if profile is None and config.dataset.when_missing == "sample" and nothing_configured(config, known):
        notice(sample_notice(config, known))
        return resolve(file, SAMPLE, sets), SAMPLE
    return config, profile


def build_study(config: StudyConfig, file: str, preset: str, notice: Notice, progress: Progress = unseen) -> Study:
    """Build a study's components from its resolved settings and check all of it.

    Raises:
        KpError: with file and key, for anything that is wrong.
    """
    known = registry()
    data = open_all(config, known, file, notice, progress)
    config = _with_metric(config, data[OWN].dataset)
    rule: Split = known.build("split", config.split.name, config.split.options, where=f"{file}: split")
    splits = split_by(rule, data)
    _check_names(file, splits, data)
    data = keep_apart(data, (step for split in splits for step in split.steps), notice)
    study = _assemble(config, known, file, preset, data, splits)
    check_study(study)
    return study


def split_by(rule: Split, data: Mapping[str, StudyData]) -> tuple[KeypointSplit, ...]:
    """Return what a rule makes of a study's data sets."""
    return tuple(rule.splits(data[OWN].skeleton, {name: one.skeleton for name, one in data.items() if name != OWN}))


def _with_metric(config: StudyConfig, own: Dataset) -> StudyConfig:
    """Return the settings with the final metric's name: the data set's own where the file says none."""
    metric = config.evaluation.metric
    if metric.name:
        return config
    named = metric.model_copy(update={"name": own.default_metric})
    return config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"metric": named})})


def preset_name(config: StudyConfig, profile: str | None, sets: Sequence[str]) -> str:
    """Return what results call these settings: the profile, or what the file calls itself, and what ``--set`` changed.

    Where the data lies, what is compared and how many threads compute do not count as changes.
    """
    changed = [key for one in sets if not (key := one.partition("=")[0].strip()).startswith(SAME_RECIPE)]
    return (profile or config.study.preset) + (f", changed: {', '.join(changed)}" if changed else "")


def recipe(known: Registry, kind: str, name: str, options: Mapping[str, Any], where: str) -> Recipe:
    """Return how a component is asked for, with every option spelt out."""
    found = known.component(kind, name, where=f"{where}.name")
    full = validate(found.Config, options, where=where).model_dump(mode="json")
    plugin = known.provider(kind, name)
    return Recipe(name, full, plugin.name, plugin.version)


def _assemble(
    config: StudyConfig, known: Registry, where: str, preset: str, data: Mapping[str, StudyData],
    splits: tuple[KeypointSplit, ...],
) -> Study:  # fmt: skip
    def build(kind: str, table: ComponentTable, key: str) -> Any:
        return known.build(kind, table.name, table.options, where=f"{where}: {key}")

    validation = config.evaluation.validation
    validation_table = validation or config.evaluation.metric
    validation_key = "evaluation.validation" if validation else "evaluation.metric"
    return Study(
        config=config,
        file=where,
        preset=preset,
        data=data,
        splits=splits,
        backbone=build("backbone", config.backbone, "backbone"),
        codec=build("codec", config.codec, "codec"),
        metric=build("metric", config.evaluation.metric, "evaluation.metric"),
        validation=build("metric", validation_table, validation_key),
        modes=tuple(_mode(config, known, name, where) for name in config.study.modes),
        recipes={
            "backbone": recipe(known, "backbone", config.backbone.name, config.backbone.options, where),
            "codec": recipe(known, "codec", config.codec.name, config.codec.options, where),
            "validation": recipe(known, "metric", validation_table.name, validation_table.options, where),
        },
    )


def _mode(config: StudyConfig, known: Registry, name: str, where: str) -> Mode:
    table = config.modes.get(name)
    strategy = table.strategy if table and table.strategy else name
    options = table.options if table else {}
    place = f"{where}: modes.{name}" if table else f"{where}: study.modes"
    built: TransferStrategy = known.build("strategy", strategy, options, where=place)
    return Mode(name, built, recipe(known, "strategy", strategy, options, place))


def check_study(study: Study) -> None:
    """Check the parts against each other and the data, so that nothing is found out after hours of training.

    Raises:
        KpError: the first thing that does not fit.
    """
    problem = _size_problem(study)
    if problem:
        raise KpError(f"{study.file}: {problem}")
    for data in study.data.values():
        _check_data(study, data)
    for split in study.splits:
        _check_split(study, split)
    for split in study.splits:
        _check_metrics(study, split)


def _check_data(study: Study, data: StudyData) -> None:
    key, table = tables(study.config)[data.name]
    needed, given = study.codec.dims, data.skeleton.dims
    if needed > given:
        name = study.config.codec.name
        raise KpError(f"{study.file}: codec: '{name}' needs {needed}D points, {key} '{table.name}' has {given}D")
    for part in ("train", "valid"):
        if part not in data.dataset.parts:
            exist = ", ".join(data.dataset.parts)
            raise KpError(f"{study.file}: {key} '{table.name}' has no part '{part}' ({exist} exist)")
    require_usable(data.dataset, ("train", "valid"))


def _check_metrics(study: Study, split: KeypointSplit) -> None:
    """Score one made-up person, so that a metric that does not fit the keypoints says so before anything is trained."""
    last = len(split.steps) - 1
    trained = {last} | {need.step for mode in study.modes for need in mode.strategy.needs(split, last)}
    validation = "evaluation.validation" if study.config.evaluation.validation else "evaluation.metric"
    for metric, key, steps in ((study.metric, "evaluation.metric", {last}), (study.validation, validation, trained)):
        for number in sorted(steps):
            step = split.steps[number]
            person = _made_up(study.data[step.dataset].dataset)
            columns = split.columns if number == last else default_columns(step.keypoints)
            predicted = person.points[:, list(step.keypoints.indices)]
            confidence = np.ones(predicted.shape[:2])
            try:
                metric.score(predicted, confidence, person, step.keypoints, columns)
            except KpError as error:
                raise KpError(f"{study.file}: {key}: split '{split.name}', S{number + 1}: {error}") from error


def _made_up(dataset: Dataset) -> People:
    """Return the first person that is scored with every keypoint labelled, each at a place of its own."""
    first = People.of(dataset.samples("valid")[:1])
    places = np.random.default_rng(0).uniform(0, first.side[0], first.points.shape)
    return replace(first, points=places, state=np.full_like(first.state, VISIBLE))


def _check_names(file: str, splits: Sequence[KeypointSplit], data: Mapping[str, StudyData]) -> None:
    """Check that splits have names of their own, and that every data set is used and known.

    Raises:
        KpError: the first name that does not hold.
    """
    names = [split.name for split in splits]
    if not names or len(set(names)) != len(names):
        raise KpError(f"{file}: split: needs one or more splits, each named once (got {', '.join(names) or 'none'})")
    used = {step.dataset for split in splits for step in split.steps}
    for name in sorted(used - set(data)):
        raise unknown("data set", name, [one for one in data if one], where=f"{file}: split")
    for name in data:
        if name and name not in used:
            raise KpError(f"{file}: datasets.{name}: no step of a split names it; drop the table, or name it in a step")
    scored = sorted({split.steps[-1].dataset for split in splits})
    if len(scored) > 1:
        raise KpError(
            f"{file}: split: last steps on several data sets; one study scores one data set, make two studies"
        )


def _size_problem(study: Study) -> str:
    size = study.config.training.resolution
    wanted = study.backbone.check_size(size, size)
    return f"training.resolution = {size}: backbone '{study.config.backbone.name}' takes {wanted}" if wanted else ""


def _check_split(study: Study, split: KeypointSplit) -> None:
    stages = study.config.backbone.stages
    if len(split.steps) > len(stages):
        raise KpError(
            f"{study.file}: backbone.stages = {stages}: split '{split.name}' has {len(split.steps)} steps;"
            " give one number a step"
        )
    mirrored = mirroring(study.config)
    for number, step in enumerate(split.steps, 1):
        if mirrored and step.keypoints.halved:
            name = step.keypoints.halved[0]
            raise KpError(
                f"{study.file}: split '{split.name}', S{number}: '{name}' is there without its mirror partner"
                f" '{step.keypoints.skeleton[name].mirror}'; add it, or turn mirroring off ({' and '.join(mirrored)})"
            )


def mirroring(config: StudyConfig) -> list[str]:
    """Return the settings that mirror images, as one would turn them off."""
    validation = config.evaluation.validation
    settings = {
        "training.augmentation.flip = 0": config.training.augmentation.flip > 0,
        "evaluation.flip_test = false": config.evaluation.flip_test,
        "evaluation.validation.flip_test = false": validation is not None and validation.flip_test,
    }
    return [name for name, on in settings.items() if on]
