"""A study file opened: profile and ``--set`` applied, every component built and checked, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kpcore.config import ComponentTable, StudyConfig, Toml, assemble, overlay, read_toml, validate
from kpcore.data.generated import distrusted
from kpcore.errors import KpError
from kpcore.interfaces import Dataset, Split
from kpcore.keypoints import KeypointSplit
from kpcore.records.results import CHANGED
from kpcore.registry import Built, Registry
from kpcore.study.checks import check_names, check_sizes, check_study
from kpcore.study.contracts import check_dataset, check_facts, check_skeletons, checked_splits
from kpcore.study.data import (
    OWN,
    Notice,
    Progress,
    StudyData,
    as_supplied,
    keep_apart,
    nothing_configured,
    open_all,
    sample_notice,
    tables,
    unseen,
)
from kpcore.study.given import given
from kpcore.study.leaks import without_leaks
from kpcore.study.probe import probe
from kpcore.study.single import used_modes
from kpcore.study.study import Mode, Study

SAMPLE = "sample"
"""Profile that runs where no data is configured."""
SAME_RECIPE = ("dataset.", "datasets.", "study.", "split.", "training.threads")
"""Keys that ``--set`` may change without making it another preset."""


def unheard(stage: str) -> None:
    """Stages that nobody follows."""


def resolve(file: Path, profile: str | None, sets: Sequence[str], notice: Notice | None = None) -> StudyConfig:
    """Read a study file and return its settings, without looking at data.

    ``notice`` is told of options that ``--set`` drops, because it names another component.

    Raises:
        KpError: with file and key, for anything that is wrong.
    """
    document = read_toml(file)
    _check_profiles(document, str(file))
    tables = assemble(document, profile=profile, sets=sets, where=str(file), notice=notice)
    return validate(StudyConfig, tables, where=str(file))


def _check_profiles(document: Toml, where: str) -> None:
    """Validate every profile over the plain file, so that an error in one shows before it is asked for."""
    plain = assemble(document, profile=None, sets=(), where=where)
    for name, profile in document.get("profiles", {}).items():
        if not isinstance(profile, dict):
            raise KpError(f"{where}: profiles.{name}: must be a table, [profiles.{name}]")
        validate(StudyConfig, overlay(plain, profile), where=f"{where}: profiles.{name}")


def open_study(
    known: Registry,
    file: Path,
    profile: str | None = None,
    sets: Sequence[str] = (),
    notice: Notice = print,
    progress: Progress = unseen,
    stage: Notice = unheard,
) -> Study:
    """Open a study: build its components, check all of it against each other and the data, and try the network.

    Where no data root is configured and the file says ``when_missing = "sample"``, its profile ``sample`` is run.
    ``notice`` gets lines for the user; ``progress`` gets (done, total) people while sample data is written;
    ``stage`` is told what is being done.

    Raises:
        KpError: with file and key, for anything that is wrong.
        ContractError: a component gives back what its interface does not allow.
    """
    config, profile = settle(known, file, profile, sets, notice)
    stage(f"Reading and checking {', '.join(dict.fromkeys(table.name for _, table in tables(config).values()))} ...")
    with distrusted():
        study = build_study(known, config, str(file), preset_name(config, profile, sets), notice, progress)
    stage(f"Trying {config.backbone.name} and {config.codec.name} on a batch ...")
    probe(study)
    return study


def settle(
    known: Registry, file: Path, profile: str | None, sets: Sequence[str], notice: Notice
) -> tuple[StudyConfig, str | None]:
    """Resolve a study, with its profile ``sample`` where no data is configured and the file wants it so.

    Returns:
        The settings, and the profile that was taken.
    """
    config = resolve(file, profile, sets)
    if profile is None and config.dataset.when_missing == "sample" and nothing_configured(config, known):
        notice(sample_notice(config, known))
        profile = SAMPLE
    return resolve(file, profile, sets, notice), profile


def build_study(
    known: Registry, config: StudyConfig, file: str, preset: str, notice: Notice, progress: Progress = unseen
) -> Study:
    """Build a study's components from its resolved settings and check all of it.

    Raises:
        KpError: with file and key, for anything that is wrong.
        ContractError: a component gives back what its interface does not allow.
    """
    data = open_all(config, known, file, notice, progress)
    for one in data.values():
        check_dataset(as_supplied(one.dataset))
    config = _with_metric(config, data[OWN].dataset)
    rule: Split = known.build("split", config.split.name, config.split.options, where=f"{file}: split")
    splits = split_by(rule, data)
    check_names(file, splits, data)
    check_skeletons(rule, splits, {name: one.skeleton for name, one in data.items()})
    data = keep_apart(data, (step for split in splits for step in split.steps), notice)
    study = _assemble(known, config, file, preset, data, splits)
    check_study(study, notice)
    study = replace(study, data=without_leaks(study.data, config.evaluation.leaks, notice))
    check_sizes(study)
    study = replace(study, source=given(study, config.source))
    return used_modes(study, notice)


def split_by(rule: Split, data: Mapping[str, StudyData]) -> tuple[KeypointSplit, ...]:
    """Return what a rule makes of a study's data sets."""
    others = {name: one.skeleton for name, one in data.items() if name != OWN}
    return checked_splits(rule, rule.splits(data[OWN].skeleton, others))


def _with_metric(config: StudyConfig, own: Dataset) -> StudyConfig:
    """Return the settings with the final metric's name: the data set's own where the file says none."""
    metric = config.evaluation.metric
    if metric.name:
        return config
    named = metric.model_copy(update={"name": own.facts.default_metric})
    return config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"metric": named})})


def preset_name(config: StudyConfig, profile: str | None, sets: Sequence[str]) -> str:
    """Return what results call these settings: the profile, or what the file calls itself, and what ``--set`` changed.

    Where the data lies, what is compared and how many threads compute do not count as changes.
    """
    changed = [key for one in sets if not (key := one.partition("=")[0].strip()).startswith(SAME_RECIPE)]
    name, _, before = (profile or config.study.preset).partition(CHANGED)
    every = dict.fromkeys([*filter(None, before.split(", ")), *changed])
    return name + (CHANGED + ", ".join(every) if every else "")


def _assemble(
    known: Registry, config: StudyConfig, where: str, preset: str, data: Mapping[str, StudyData],
    splits: tuple[KeypointSplit, ...],
) -> Study:  # fmt: skip
    def make(kind: str, table: ComponentTable, key: str) -> Built[Any]:
        return known.make(kind, table.name, table.options, where=f"{where}: {key}")

    watch = config.evaluation.watch
    backbone, codec = make("backbone", config.backbone, "backbone"), make("codec", config.codec, "codec")
    validation = make("metric", watch.metric, watch.key)
    return Study(
        known=known,
        config=config,
        file=where,
        preset=preset,
        data=data,
        splits=splits,
        backbone=backbone.component,
        codec=codec.component,
        metric=make("metric", config.evaluation.metric, "evaluation.metric").component,
        validation=validation.component,
        modes=tuple(_mode(known, config, name, where) for name in config.study.modes),
        recipes={"backbone": backbone.recipe, "codec": codec.recipe, "validation": validation.recipe},
    )


def _mode(known: Registry, config: StudyConfig, name: str, where: str) -> Mode:
    table = config.modes.get(name)
    strategy = table.strategy if table and table.strategy else name
    place = f"{where}: modes.{name}" if table else f"{where}: study.modes"
    made = known.make("strategy", strategy, table.options if table else {}, where=place)
    check_facts(made.component)
    return Mode(name, made.component, made.recipe)
