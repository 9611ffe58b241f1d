"""Predictions from anywhere, put in the order of a data set's people and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from kpcore.errors import KpError, unknown
from kpcore.evaluation.by_image import by_image
from kpcore.evaluation.predictions import Predictions
from kpcore.interfaces import Dataset, Metric, Scores
from kpcore.keypoints import Column, KeypointSet, KeypointSplit, Skeleton, default_columns
from kpcore.registry import Built, Registry
from kpcore.samples import Instances, Sample
from kpcore.tensors import UNLABELLED, Float64Array

FAR = 1e6
"""A value that no convention takes for correct."""


@dataclass(frozen=True)
class Result:
    """A score that says what it is."""

    data: str
    part: str
    people: int
    people_of_part: int
    convention: str
    columns: dict[str, float]
    average: float
    found: Scored
    """What it was scored from."""
    listed: str = ""
    """The published list that is read; "" where there is only one."""
    note: str = ""
    """Why the average is NaN though columns have values; "" where it is not."""
    split: str = ""
    """Whose last set was scored; "" where every predicted keypoint was."""
    keypoints: tuple[str, ...] = ()
    """What was scored."""
    not_scored: tuple[str, ...] = ()
    """What was predicted besides."""
    without_value: int = 0
    """Samples with labels to which the metric gives no value: what it divides by is not labelled."""
    unmatched: str = ""
    """Images that are in the file or the part alone, in words, where people were found by image."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """Predictions beside the people that they are of.

    Args:
        points: (N, K, D) source pixels, 0-based, NaN = missing.
        keypoints: the set along K, in the skeleton's order.
        samples: the N people.
        confidence: (N, K); None where the predictions carry none.
        unmatched: images that are on one side alone, in words; "" where none is, or images were not looked at.
    """

    points: Float64Array
    keypoints: KeypointSet
    samples: Sequence[Sample]
    confidence: Float64Array | None
    unmatched: str = ""

    def only(self, keypoints: KeypointSet, where: str) -> Aligned:
        """Return the same of these keypoints; raises KpError where one was not predicted."""
        for name in keypoints.names:
            if name not in self.keypoints:
                raise KpError(
                    f"{where}: holds no keypoint '{name}', which is scored ({', '.join(self.keypoints.names)} exist)"
                )
        places = list(self.keypoints.places(keypoints.names))
        surer = None if self.confidence is None else self.confidence[:, places]
        return Aligned(self.points[:, places], keypoints, self.samples, surer, self.unmatched)


def score(
    dataset: Dataset, part: str, predictions: Predictions, metric: Metric, split: KeypointSplit | None = None,
    *, skeleton: Skeleton | None = None,
) -> Result:  # fmt: skip
    """Score predictions.

    Without a split, a metric that averages a split's columns gets a column a group and no average; ``note`` says why.

    Args:
        dataset: the truth.
        part: the part that was predicted.
        predictions: whose ``origin`` is set, or else is taken to be the annotation's.
        metric: built.
        split: score its last step's keypoints in its columns; every predicted keypoint, a column a group, where None.
        skeleton: the keypoints under a study's names; the data set's where None.

    Raises:
        KpError: the predictions do not fit the part.
    """
    samples = dataset.samples(part)
    rows = annotation_rows(dataset, part) if predictions.rows is None and samples else None
    named = skeleton or dataset.skeleton
    aligned = align(predictions, samples, named, part, origin=dataset.facts.origin, rows=rows)
    keypoints = split.target if split else aligned.keypoints
    columns = split.columns if split else default_columns(keypoints)
    found = scored(aligned, metric, keypoints, columns, str(predictions.path))
    note = "" if split else no_average(found)
    return Result(
        data=dataset.label, part=part, people=len(found.truth), people_of_part=len(samples),
        convention=metric.convention_of(keypoints), columns=found.scores.columns,
        average=nan if note else found.scores.average, found=found, listed=dataset.facts.list_name, note=note,
        split=split.name if split else "", keypoints=keypoints.names,
        not_scored=tuple(name for name in aligned.keypoints.names if name not in keypoints),
        without_value=without_value(found), unmatched=aligned.unmatched,
    )  # fmt: skip


def without_value(found: Scored) -> int:
    """Return how many samples have a label that is scored, and no value at all."""
    labelled = (found.truth.select(found.keypoints.indices).state != UNLABELLED).any(1)
    return int((labelled & np.isnan(found.values).all(1)).sum())


def no_average(found: Scored) -> str:
    """Return why there is no average without a split; "" where there is one."""
    if not averages_columns(found.metric, found.values, found.truth, found.keypoints):
        return ""
    return (
        f"no average: '{found.metric.convention}' averages the columns of a split, and none was given; for one give"
        " --split NAME (see 'kp splits list'), of a study's own splits with --study STUDY.toml"
    )


def annotation_rows(dataset: Dataset, part: str) -> int:
    """Return how many rows the part's annotation file has, as far as the people of its parts tell: the last row + 1.

    A part that was held out of another shares that one's file: then their rows differ. Parts of files of their own both
    begin at row 0, so that equal rows are other people; such a part says nothing of this one's file.
    """
    mine = _who(dataset.samples(part))
    of_parts = (_people_of(dataset, other) for other in dataset.parts if other != part)
    here = [theirs for theirs in of_parts if all(theirs[row] == mine[row] for row in theirs.keys() & mine.keys())]
    return max(row for people in (mine, *here) for row in people) + 1


def _people_of(dataset: Dataset, part: str) -> dict[int, tuple[str, ...]]:
    try:
        return _who(dataset.samples(part))
    except KpError:  # a part that cannot be read, or is not there, says nothing of another part's file
        return {}


def _who(samples: Sequence[Sample]) -> dict[int, tuple[str, ...]]:
    """Return row -> who is there."""
    return {
        sample.row: (sample.image_id, sample.person_id, str(sample.image) if isinstance(sample.image, Path) else "")
        for sample in samples
    }


@dataclass(frozen=True, eq=False)
class Scored:
    """A score, and what it was reduced from.

    Args:
        metric: that scored.
        predicted: (N, K, D) source pixels, in the order of ``truth`` and ``keypoints``.
        truth: the N instances, with all keypoints of the skeleton.
        keypoints: the set along K.
        scores: columns and their average.
        samples: the N people.
        columns: that were asked for.
        confidence: (N, K); None where the predictions carry none.
    """

    metric: Metric
    predicted: Float64Array
    truth: Instances
    keypoints: KeypointSet
    scores: Scores
    samples: Sequence[Sample]
    columns: Sequence[Column]
    confidence: Float64Array | None = None

    @cached_property
    def values(self) -> Float64Array:
        """(N, K) the metric's value of every sample and keypoint, NaN where not counted: what intervals are made of."""
        return self.metric.measured(self.predicted, self.truth, self.keypoints)

    @cached_property
    def aspects(self) -> dict[str, Float64Array]:
        """Column's name -> (N, K) further values of the metric, in the order of the score's last columns."""
        return self.metric.measured_aspects(self.predicted, self.truth, self.keypoints)


def scored(
    aligned: Aligned, metric: Metric, keypoints: KeypointSet, columns: Sequence[Column], where: str
) -> Scored:  # fmt: skip
    """Score these keypoints of aligned predictions: the one way from predictions to scores.

    Raises:
        KpError: a keypoint was not predicted (``where`` says by what), or the metric does not fit.
    """
    chosen = aligned.only(keypoints, where)
    truth = Instances.of(chosen.samples)
    found = metric.score(chosen.points, chosen.confidence, truth, keypoints, columns)
    return Scored(
        metric, chosen.points, truth, keypoints, found, chosen.samples, tuple(columns), chosen.confidence
    )  # fmt: skip


def averages_columns(metric: Metric, values: Float64Array, people: Instances, keypoints: KeypointSet) -> bool:
    """Whether the metric's average depends on the columns it is given: without a split it then has no meaning.

    Asked of the metric itself, with made-up values that are far off at one keypoint and 0 elsewhere.
    """
    made_up = np.where(np.isnan(values), np.nan, 0.0)
    off = int(np.argmax(~np.isnan(values).all(0)))
    made_up[:, off] += FAR
    names = keypoints.names
    odd = Column("odd", names[off : off + 1])
    others = Column("others", names[:off] + names[off + 1 :] or names)
    together = metric.reduce(made_up, people, keypoints, (odd, others)).average
    alone = metric.reduce(made_up, people, keypoints, (others,)).average
    return not np.isclose(together, alone, equal_nan=True)


def align(
    predictions: Predictions, samples: Sequence[Sample], skeleton: Skeleton, part: str, *, origin: int,
    rows: int | None = None,
) -> Aligned:  # fmt: skip
    """Put predictions in the order of the part's people and the skeleton's keypoints, 0-based.

    Args:
        predictions: of the part's people, or of some of them.
        samples: the part's.
        skeleton: theirs.
        part: its name.
        origin: the first pixel's coordinate where the predictions do not say it.
        rows: of the annotation file, for predictions that do not name theirs; up to the last of ``samples`` where None.

    Raises:
        KpError: other keypoints, people, images or dimensions than the part's.
    """
    where = str(predictions.path)
    if not samples:
        raise KpError(f"part '{part}' has no people; check the annotation with 'kp data check'")
    if predictions.part not in ("", part):
        raise KpError(f"{where}: holds predictions of part '{predictions.part}'; give --part {predictions.part}")
    if predictions.points.shape[2] != skeleton.dims:
        raise KpError(f"{where}: 'preds' has {predictions.points.shape[2]}D points, the data set has {skeleton.dims}D")
    matched = by_image(predictions, samples)
    places, people = (matched.places, matched.people) if matched else _people(predictions, samples, rows)
    keypoints = _keypoints(predictions, skeleton)
    names = predictions.keypoints or skeleton.names
    order = [names.index(name) for name in keypoints.names]
    points = predictions.points[places][:, order]
    points[..., :2] -= origin if predictions.origin is None else predictions.origin
    surer = None if predictions.confidence is None else predictions.confidence[places][:, order]
    return Aligned(points, keypoints, people, surer, matched.said if matched else "")


def _keypoints(predictions: Predictions, skeleton: Skeleton) -> KeypointSet:
    where = str(predictions.path)
    if predictions.keypoints is None:
        if predictions.points.shape[1] != len(skeleton.names):
            raise KpError(
                f"{where}: 'preds' holds {predictions.points.shape[1]} keypoints a person and does not name them; give"
                f" all {len(skeleton.names)} of skeleton '{skeleton.name}' in its order, or an attribute 'keypoints'"
            )
        return skeleton.all()
    for name in predictions.keypoints:
        if name not in skeleton.names:
            raise unknown("keypoint", name, skeleton.names, where=f"{where}: attribute 'keypoints'")
    return skeleton.select([name for name in skeleton.names if name in predictions.keypoints])


def _people(predictions: Predictions, samples: Sequence[Sample], rows: int | None) -> tuple[list[int], list[Sample]]:
    """Return places in the predictions and the people there, both in the part's order."""
    if predictions.rows is not None:
        return _people_by_row(predictions, predictions.rows.tolist(), samples)
    given, rows = len(predictions.points), rows or max(sample.row for sample in samples) + 1
    if given == rows:
        _check_images(predictions, samples, [sample.row for sample in samples])
        return [sample.row for sample in samples], list(samples)
    if given == len(samples):
        _check_images(predictions, samples)
        return list(range(given)), list(samples)
    raise KpError(
        f"{predictions.path}: 'preds' holds {given} people, but this part has {len(samples)} usable people, and the"
        f" last usable row of its annotation file is row {rows - 1}, counted from 0; give those {len(samples)} in the"
        f" file's order, or all rows up to that one ({rows}), or a data set 'rows' that names each one's row"
    )


def _check_images(predictions: Predictions, samples: Sequence[Sample], places: Sequence[int] | None = None) -> None:
    """Refuse predictions that name their images and no rows, and have them in another order; raises KpError."""
    for place, sample in zip(places or range(len(samples)), samples, strict=True):
        if predictions.image_ids and predictions.image_ids[place] != sample.image_id:
            raise KpError(
                f"{predictions.path}: has no 'rows', and instance {place} is of image '{predictions.image_ids[place]}'"
                f" where the part has '{sample.image_id}'; predict with --boxes of the part's COCO file, or give 'rows'"
            )


def _people_by_row(
    predictions: Predictions, rows: Sequence[int], samples: Sequence[Sample]
) -> tuple[list[int], list[Sample]]:
    by_row = {sample.row: sample for sample in samples}
    strangers = [row for row in rows if row not in by_row]
    if strangers:
        raise KpError(
            f"{predictions.path}: row {strangers[0]} is no usable person of this part: without labels, a crowd, or"
            " of another list; leave such rows out, in a file of boxes already"
        )
    places = sorted(range(len(rows)), key=rows.__getitem__)
    for place in places if predictions.image_ids else ():
        there, here = predictions.image_ids[place], by_row[rows[place]].image_id  # type: ignore[index]  # checked above
        if there != here:
            raise KpError(
                f"{predictions.path}: row {rows[place]} is image '{there}', but '{here}' here; is it another list?"
            )
    return places, [by_row[rows[place]] for place in places]


def build_metric(known: Registry, name: str, options: Mapping[str, Any]) -> Built[Metric]:
    """Build a metric from command-line options, leaving out those that are None.

    Raises:
        KpError: no such metric, or it has no such option.
    """
    given = {key: value for key, value in options.items() if value is not None}
    config = known.component("metric", name, where="--metric").Config
    for key in given:
        if key not in config.model_fields:
            exist = ", ".join(config.model_fields) or "none"
            flag = f"--{key}" if key in ("convention", "threshold") else f"--set metric.{key}"
            raise KpError(f"{flag}: metric '{name}' has no such option; it has {exist}")
    return known.make("metric", name, given, where=f"metric '{name}'")
