"""What must hold before anything is trained: a study's parts against each other and its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from kpcore.audit.check import require_usable
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Dataset
from kpcore.keypoints import KeypointSplit, default_columns
from kpcore.samples import People
from kpcore.study.data import StudyData, tables
from kpcore.study.study import Study, mirroring
from kpcore.tensors import VISIBLE


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
    for metric, key, steps in (
        (study.metric, "evaluation.metric", {last}),
        (study.validation, study.watch.key, trained),
    ):
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
