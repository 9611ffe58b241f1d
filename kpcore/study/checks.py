"""What must hold before anything is trained: a study's parts against each other and its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from kpcore.audit.check import require_usable
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Dataset, Metric
from kpcore.keypoints import KeypointSplit, default_columns
from kpcore.samples import Instances
from kpcore.study.contracts import all_of, check_facts, checked_scores, is_text, require
from kpcore.study.data import StudyData, tables
from kpcore.study.study import Study, mirroring
from kpcore.tensors import VISIBLE


def check_study(study: Study) -> None:
    """Check the parts against each other and the data, so that nothing is found out after hours of training.

    Raises:
        KpError: the first thing that does not fit.
        ContractError: a component gives back what its interface does not allow.
    """
    for component in (study.backbone, study.codec, study.metric, study.validation):
        check_facts(component)
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
