"""What must hold before anything is trained: a study's parts against each other and its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from kpcore.audit.check import parts_remedy, quick_findings, said
from kpcore.audit.sides import disagreements, listed, lonely, pairs_of, side_findings
from kpcore.audit.spellings import spelled_apart
from kpcore.errors import FaultsError, KpError, unknown
from kpcore.interfaces import Dataset, Metric
from kpcore.keypoints import KeypointSplit, Skeleton, default_columns
from kpcore.samples import Instances
from kpcore.study.contracts import PARTS, all_of, check_facts, checked_scores, is_text, require
from kpcore.study.data import Notice, StudyData, as_supplied, tables
from kpcore.study.study import Study, mirroring
from kpcore.tensors import VISIBLE


def ignored(line: str) -> None:
    """Notices that nobody reads."""


def check_study(study: Study, notice: Notice = ignored) -> None:
    """Check the parts against each other and the data, so that nothing is found out after hours of training.

    Raises:
        FaultsError: all that does not fit, a line each; what a metric does not fit is looked for last, one at a time.
        ContractError: a component gives back what its interface does not allow.
    """
    for component in (study.backbone, study.codec, study.metric, study.validation):
        check_facts(component)
    problems = [f"{study.file}: {problem}" for problem in (_size_problem(study), *_split_problems(study)) if problem]
    warnings = []
    for data in study.data.values():
        wrong, odd = _look_at(study, data)
        problems += wrong
        warnings += odd
    if problems:
        raise FaultsError(problems)
    for split in study.splits:
        _check_metrics(study, split)
    for line in [*warnings, *side_warnings(study), *spelled_apart(_skeletons(study))]:
        notice(f"warning: {line}")


def check_sizes(study: Study) -> None:
    """Check that every data set fills a batch; a share of it that is held out is looked at when it is divided.

    Raises:
        FaultsError: those that do not.
    """
    size = study.config.training.batch_size
    counts = [(data.label, data.people("train")) for data in study.data.values()]
    if few := [(label, count) for label, count in counts if count < size]:
        raise FaultsError(
            f"{study.file}: {label}: training samples are {count}, too few for training.batch_size = {size};"
            f" set it to {count} or less, or label more"
            for label, count in few
        )


def _look_at(study: Study, data: StudyData) -> tuple[list[str], list[str]]:
    """Return the errors and the warnings of one data set."""
    key, table = tables(study.config)[data.name]
    needed, given = study.codec.dims, data.skeleton.dims
    wrong = []
    if needed > given:
        name = study.config.codec.name
        wrong.append(f"{study.file}: codec: '{name}' needs {needed}D points, {key} '{table.name}' has {given}D")
    exist = data.dataset.parts
    lost, remedy = [part for part in PARTS if part not in exist], parts_remedy(as_supplied(data.dataset))
    wrong += [
        f"{study.file}: {key} '{table.name}' has no part '{part}' (parts: {', '.join(exist)}); {remedy}"
        for part in lost
    ]
    wrong += _side_problems(study, data)
    found = quick_findings(data.dataset, [part for part in PARTS if part in exist])
    return [*wrong, *said(data.label, found, "error")], said(data.label, found, "warning")


def _side_problems(study: Study, data: StudyData) -> list[str]:
    """Say that images are mirrored, keypoints name sides, and no mirror pair is known; unless the user says so too."""
    key, table = tables(study.config)[data.name]
    used = {
        name
        for split in study.splits
        for step in split.steps
        if step.dataset == data.name
        for name in step.keypoints.names
    }
    sides = [name for name in lonely(data.skeleton) if name in used]
    mirrored = mirroring(study.config)
    if not mirrored or not sides or pairs_of(data.skeleton) or "mirrors" in table.options:
        return []
    told = f"say {key}.mirrors = {{ NAME = PARTNER }}, or turn" if _takes_mirrors(data.dataset) else "turn"
    return [
        f"{study.file}: {key}: {listed(sides)} name{'s' * (len(sides) == 1)} a side, but no mirror pair is known, and"
        f" images are mirrored; {told} mirroring off ({' and '.join(mirrored)})"
    ]


def _takes_mirrors(dataset: Dataset) -> bool:
    return "mirrors" in type(dataset).Config.model_fields


def side_warnings(study: Study) -> list[str]:
    """Return what may be wrong with mirror partners, where images are mirrored."""
    if not mirroring(study.config):
        return []
    own = [f"{data.label}: {found.what}" for data in study.data.values() for found in side_findings(data.skeleton)]
    return [*own, *disagreements(_skeletons(study))]


def _skeletons(study: Study) -> dict[str, Skeleton]:
    """Return what messages call a data set -> its skeleton, under the study's names."""
    return {f"{data.label} ({data.name or 'dataset'})": data.skeleton for data in study.data.values()}


def _check_metrics(study: Study, split: KeypointSplit) -> None:
    """Score one made-up person, so that a metric that does not fit the keypoints says so before anything is trained."""
    last = len(split.steps) - 1
    for metric, key, steps in (
        (study.metric, "evaluation.metric", [last]),
        (study.validation, study.watch.key, range(last + 1)),
    ):
        for number in steps:
            try:
                _try_metric(metric, study, split, number)
            except KpError as error:
                raise KpError(f"{study.file}: {key}: split '{split.name}', S{number + 1}: {error}") from error


def _try_metric(metric: Metric, study: Study, split: KeypointSplit, number: int) -> None:
    """Score one person who is predicted perfectly at one step of a split."""
    step = split.steps[number]
    person = _made_up(study.data[step.dataset].dataset)
    keypoints = step.keypoints
    columns = split.columns if number == len(split.steps) - 1 else default_columns(keypoints)
    predicted = person.points[:, list(keypoints.indices)]
    reads = metric.reads(keypoints)
    require(all_of(reads, str), metric, "reads()", reads, "a list of names")
    strangers = [name for name in reads if name not in keypoints.skeleton.names]
    require(not strangers, metric, "reads()", strangers, f"keypoints of skeleton '{keypoints.skeleton.name}'")
    remarks = metric.remarks(keypoints)
    require(all_of(remarks, str), metric, "remarks()", remarks, "a list of lines")
    convention = metric.convention_of(keypoints)
    require(is_text(convention), metric, "convention_of()", convention, "a string")
    values = metric.measured(predicted, person, keypoints)
    checked_scores(metric, metric.reduce(values, person, keypoints, columns), "reduce()")
    found = checked_scores(metric, metric.score(predicted, np.ones(predicted.shape[:2]), person, keypoints, columns))
    require(bool(np.isfinite(found.average)), metric, "score().average", found.average, "a finite number")


def _made_up(dataset: Dataset) -> Instances:
    """Return the first person that is scored with every keypoint labelled, each at a place of its own in the crop."""
    first = Instances.of(dataset.samples("valid")[:1])
    places = first.side[0] * np.random.default_rng(0).uniform(-0.4, 0.4, first.points.shape)
    places[..., :2] += first.centre[0]
    return replace(first, points=places, state=np.full_like(first.state, VISIBLE))


def check_names(file: str, splits: Sequence[KeypointSplit], data: Mapping[str, StudyData]) -> None:
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
    require(
        wanted is None or is_text(wanted), study.backbone, f"check_size({size}, {size})", wanted, "None or a string"
    )
    return f"training.resolution = {size}: backbone '{study.config.backbone.name}' takes {wanted}" if wanted else ""


def _split_problems(study: Study) -> Iterator[str]:
    stages, mirrored = study.config.backbone.stages, mirroring(study.config)
    for split in study.splits:
        if len(split.steps) > len(stages):
            yield (
                f"backbone.stages = {stages}: split '{split.name}' has {len(split.steps)} steps; give one number a step"
            )
        for number, step in enumerate(split.steps, 1):
            for name in step.keypoints.halved[:1] if mirrored else ():
                yield (
                    f"split '{split.name}', S{number}: '{name}' is there without its mirror partner"
                    f" '{step.keypoints.skeleton[name].mirror}'; add it, or turn mirroring off"
                    f" ({' and '.join(mirrored)})"
                )
