"""A study file opened: profile and ``--set`` applied, every component built and checked, before anything is trained."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from kpcore.cache import cache_dir, content_key
from kpcore.config import ComponentTable, StudyConfig, Toml, assemble, overlay, read_toml, validate
from kpcore.data.check import require_usable
from kpcore.errors import KpError
from kpcore.interfaces import Backbone, Codec, Dataset, Generator, Metric, Split, TransferStrategy
from kpcore.keypoints import KeypointSplit, default_columns
from kpcore.registry import Registry, registry
from kpcore.samples import People
from kpcore.tensors import VISIBLE

SAMPLE = "sample"
"""Profile that runs where no data is configured."""
SAME_RECIPE = ("dataset.", "study.", "split.", "training.threads")
"""Keys that ``--set`` may change without making it another preset."""
Notice = Callable[[str], None]
Progress = Callable[[int, int], None]


def unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""


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
        sample: whether the data is synthetic; everything printed and written then says so.
        label: what results call the data; ``list_name`` the published list that is read.
        metric: final score; ``validation`` is read after every epoch.
        recipes: how backbone, codec and validation metric were asked for.
    """

    config: StudyConfig
    file: str
    preset: str
    sample: bool
    label: str
    list_name: str
    dataset: Dataset
    splits: tuple[KeypointSplit, ...]
    backbone: Backbone
    codec: Codec
    metric: Metric
    validation: Metric
    modes: tuple[Mode, ...]
    recipes: Mapping[str, Recipe]


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
    if profile is None and _nothing_configured(config, known) and config.dataset.when_missing == "sample":
        notice(_sample_notice(config, known))
        return resolve(file, SAMPLE, sets), SAMPLE
    return config, profile


def build_study(config: StudyConfig, file: str, preset: str, notice: Notice, progress: Progress = unseen) -> Study:
    """Build a study's components from its resolved settings and check all of it.

    Raises:
        KpError: with file and key, for anything that is wrong.
    """
    known = registry()
    dataset, sample = open_dataset(config, known, file, notice, progress)
    study = _assemble(config, known, file, dataset, preset, sample)
    check_study(study)
    return study


def preset_name(config: StudyConfig, profile: str | None, sets: Sequence[str]) -> str:
    """Return what results call these settings: the profile, or what the file calls itself, and what ``--set`` changed.

    Where the data lies, what is compared and how many threads compute do not count as changes.
    """
    changed = [key for one in sets if not (key := one.partition("=")[0].strip()).startswith(SAME_RECIPE)]
    return (profile or config.study.preset) + (f", changed: {', '.join(changed)}" if changed else "")


def _root_variable(config: StudyConfig, known: Registry, where: str = "dataset.name") -> str:
    found = known.component("dataset", config.dataset.name, where=where)
    return str(getattr(found, "root_variable", ""))


def _nothing_configured(config: StudyConfig, known: Registry) -> bool:
    variable = _root_variable(config, known)
    named = "root" in config.dataset.options or bool(variable and os.environ.get(variable))
    return not named and config.dataset.generate is None


def _sample_notice(config: StudyConfig, known: Registry) -> str:
    variable = _root_variable(config, known)
    ways = "--set dataset.root=PATH" + (f" or {variable}=PATH" if variable else "")
    return (
        f"No {config.dataset.name} root is configured ({ways}): running the profile 'sample' on synthetic sample data."
    )


def open_dataset(
    config: StudyConfig, known: Registry, where: str, notice: Notice, progress: Progress = unseen
) -> tuple[Dataset, bool]:
    """Return the data set, generated first where the study says so, and whether it is sample data."""
    table = config.dataset
    options = table.options
    if table.generate is not None:
        if "root" in options:
            raise KpError(f"{where}: dataset.root and dataset.generate are both set; drop one of them")
        options["root"] = str(generate(table.generate, known, f"{where}: dataset.generate", notice, progress))
    dataset: Dataset = known.build("dataset", table.name, options, where=f"{where}: dataset")
    return dataset, table.generate is not None


def data_label(dataset: Dataset, sample: bool) -> str:
    """Return what results call the data."""
    return f"sample data ({dataset.label} layout)" if sample else dataset.label


def generate(table: ComponentTable, known: Registry, where: str, notice: Notice, progress: Progress = unseen) -> Path:
    """Return the folder of the generated data, written to the cache once."""
    maker: Generator = known.build("generator", table.name, table.options, where=where)
    key = content_key({"generator": table.name, "version": maker.version, "options": table.options})
    folder = cache_dir() / "generated" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            notice(f"Writing sample data ('{table.name}') to the cache ...")
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            maker.write(partial, progress)
            partial.rename(folder)
            folder.with_suffix(".json").write_text(json.dumps({"title": f"generated by '{table.name}'"}))
    return folder


def recipe(known: Registry, kind: str, name: str, options: Mapping[str, Any], where: str) -> Recipe:
    """Return how a component is asked for, with every option spelt out."""
    found = known.component(kind, name, where=f"{where}.name")
    full = validate(found.Config, options, where=where).model_dump(mode="json")
    plugin = known.provider(kind, name)
    return Recipe(name, full, plugin.name, plugin.version)


def _assemble(config: StudyConfig, known: Registry, where: str, dataset: Dataset, preset: str, sample: bool) -> Study:
    def build(kind: str, table: ComponentTable, key: str) -> Any:
        return known.build(kind, table.name, table.options, where=f"{where}: {key}")

    rule: Split = build("split", config.split, "split")
    validation = config.evaluation.validation
    validation_table = validation or config.evaluation.metric
    validation_key = "evaluation.validation" if validation else "evaluation.metric"
    return Study(
        config=config,
        file=where,
        preset=preset,
        sample=sample,
        label=data_label(dataset, sample),
        list_name="" if sample else dataset.list_name,
        dataset=dataset,
        splits=tuple(rule.splits(dataset.skeleton, {})),
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
    config, dataset = study.config, study.dataset
    for problem in (_size_problem(study), _dims_problem(study), _names_problem(study)):
        if problem:
            raise KpError(f"{study.file}: {problem}")
    for split in study.splits:
        _check_split(study, split)
    for part in ("train", "valid"):
        if part not in dataset.parts:
            exist = ", ".join(dataset.parts)
            raise KpError(f"{study.file}: data set '{config.dataset.name}' has no part '{part}' ({exist} exist)")
    require_usable(dataset, ("train", "valid"))
    for split in study.splits:
        _check_metrics(study, split)


def _check_metrics(study: Study, split: KeypointSplit) -> None:
    """Score one made-up person, so that a metric that does not fit the keypoints says so before anything is trained."""
    first = People.of(study.dataset.samples("valid")[:1])
    person = replace(first, points=np.zeros_like(first.points), state=np.full_like(first.state, VISIBLE))
    last = len(split.steps) - 1
    trained = {last} | {need.step for mode in study.modes for need in mode.strategy.needs(split, last)}
    validation = "evaluation.validation" if study.config.evaluation.validation else "evaluation.metric"
    for metric, key, steps in ((study.metric, "evaluation.metric", {last}), (study.validation, validation, trained)):
        for step in sorted(steps):
            keypoints = split.steps[step].keypoints
            columns = split.columns if step == last else default_columns(keypoints)
            predicted = person.points[:, list(keypoints.indices)]
            try:
                metric.reduce(metric.values(predicted, person, keypoints), person, keypoints, columns)
            except KpError as error:
                raise KpError(f"{study.file}: {key}: split '{split.name}', S{step + 1}: {error}") from error


def _size_problem(study: Study) -> str:
    size = study.config.training.resolution
    wanted = study.backbone.check_size(size, size)
    return f"training.resolution = {size}: backbone '{study.config.backbone.name}' takes {wanted}" if wanted else ""


def _dims_problem(study: Study) -> str:
    needed, given = study.codec.dims, study.dataset.skeleton.dims
    name = study.config.codec.name
    return f"codec: '{name}' needs {needed}D points, the data set has {given}D" if needed > given else ""


def _names_problem(study: Study) -> str:
    names = [split.name for split in study.splits]
    if names and len(set(names)) == len(names):
        return ""
    return f"split: needs one or more splits, each named once (got {', '.join(names) or 'none'})"


def _check_split(study: Study, split: KeypointSplit) -> None:
    stages = study.config.backbone.stages
    if len(split.steps) > len(stages):
        raise KpError(
            f"{study.file}: backbone.stages = {stages}: split '{split.name}' has {len(split.steps)} steps;"
            " give one number a step"
        )
    mirroring = _mirroring(study.config)
    for number, step in enumerate(split.steps, 1):
        if mirroring and step.keypoints.halved:
            name = step.keypoints.halved[0]
            raise KpError(
                f"{study.file}: split '{split.name}', S{number}: '{name}' is there without its mirror partner"
                f" '{study.dataset.skeleton[name].mirror}'; add it, or turn mirroring off ({' and '.join(mirroring)})"
            )


def _mirroring(config: StudyConfig) -> list[str]:
    """Return the settings that mirror images, as one would turn them off."""
    validation = config.evaluation.validation
    settings = {
        "training.augmentation.flip = 0": config.training.augmentation.flip > 0,
        "evaluation.flip_test = false": config.evaluation.flip_test,
        "evaluation.validation.flip_test = false": validation is not None and validation.flip_test,
    }
    return [name for name, on in settings.items() if on]
