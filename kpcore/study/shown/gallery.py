"""A gallery of predictions: the best, typical and worst people, by the mean of two trainings side by side."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import cv2
import numpy as np

from kpcore.data.geometry import crop_affine, warp
from kpcore.evaluation.predictions import read_predictions
from kpcore.keypoints import KeypointSet
from kpcore.reading.images import pixels_of
from kpcore.records.folder import JobFolder
from kpcore.records.shown import FAR, Kind, Person, Place, Predicted
from kpcore.samples import Sample
from kpcore.study.jobs import Job
from kpcore.study.shown.chosen import Shots
from kpcore.study.shown.spread import more_is_better
from kpcore.tensors import HIDDEN, UNLABELLED, AnyArray, Float64Array

SIZE = 176
"""Pixels of a picture's side."""
QUALITY = 78
MANY = 6
"""Splits beyond which each shows one person a kind instead of two."""
LABELLED = 0.5
"""Of the points of whoever has most, that a person must have: one with a single point is no example."""


def gallery(shots: Shots, splits: int) -> Iterator[Person]:
    """Yield the best, typical and worst people, the best first.

    Args:
        shots: of the split.
        splits: how many of the study are shown.

    Raises:
        KpError: an image cannot be read.
    """
    pair = shots.pair
    means = [person_means(shot.scored.values) for shot in pair]
    chosen = choose(np.mean(means, 0), _eligible(shots), rising=more_is_better(shots.first),
                    each=2 if splits <= MANY else 1, images=shots.first.truth.image_ids)  # fmt: skip
    sources = [_source_points(shot.row.job) for shot in pair]
    for place, kind in chosen:
        sample = shots.first.samples[place]
        yield Person(
            kind=kind,
            image=PurePath(sample.image_id).name,
            row=sample.row,
            jpeg=jpeg(sample),
            truth=_labelled(sample, shots),
            hidden=_hidden(sample, shots),
            predicted=tuple(
                Predicted(
                    mode=shot.mode,
                    seed=shot.seed,
                    value=float(values[place]),
                    target=_places(shot.scored.predicted[place], shot.scored.keypoints.names, sample),
                    source=_source(source, sample),
                )
                for shot, values, source in zip(pair, means, sources, strict=True)
            ),
        )


def person_means(values: Float64Array) -> Float64Array:
    """Return (N,) means of (N, K) values over the points that count; NaN where none does."""
    counted = ~np.isnan(values)
    total, count = np.where(counted, values, 0.0).sum(1), counted.sum(1)
    return np.asarray(np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0))


def _eligible(shots: Shots) -> AnyArray:
    """Return (N,) who has points enough to be an example."""
    counts = (~np.isnan(shots.first.values)).sum(1)
    return np.asarray(counts >= max(1.0, LABELLED * counts.max()))


def choose(
    means: Float64Array, eligible: AnyArray, *, rising: bool, each: int, images: Sequence[str]
) -> list[tuple[int, Kind]]:
    """Return places of people and what they are examples of, every image once; ties go by the row.

    Typical are those nearest to the median.

    Args:
        means: (N,) of the metric's values a person.
        eligible: (N,) who may be chosen.
        rising: whether more is better.
        each: people a kind.
        images: N ids.
    """
    places = np.flatnonzero(eligible & ~np.isnan(means))
    if not places.size:
        return []
    off = -means[places] if rising else means[places]
    ranks = np.argsort(np.argsort(off, kind="stable"), kind="stable")
    distance: dict[Kind, AnyArray] = {"best": ranks, "worst": -ranks, "typical": abs(2 * ranks - len(ranks) + 1)}
    taken: set[str] = set()
    found: dict[Kind, list[int]] = {}
    for kind, far in distance.items():
        found[kind] = []
        for place in places[np.argsort(far, kind="stable")].tolist():
            if len(found[kind]) < each and images[place] not in taken:
                taken.add(images[place])
                found[kind].append(place)
    order: tuple[Kind, ...] = ("best", "typical", "worst")
    return [(place, kind) for kind in order for place in found[kind]]


def jpeg(sample: Sample) -> str:
    """Return a person's crop as a JPEG in base64."""
    centre = (float(sample.centre[0]), float(sample.centre[1]))
    crop = warp(pixels_of(sample), crop_affine(centre, sample.side, SIZE), SIZE)
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(crop[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return base64.b64encode(data.tobytes()).decode()


def _labelled(sample: Sample, shots: Shots) -> dict[str, Place]:
    names = shots.first.keypoints.skeleton.names
    return _places(np.where(sample.state[:, None] != UNLABELLED, sample.points, np.nan), names, sample)


def _hidden(sample: Sample, shots: Shots) -> tuple[str, ...]:
    names = shots.first.keypoints.skeleton.names
    return tuple(name for name, state in zip(names, sample.state.tolist(), strict=True) if state == HIDDEN)


def _places(points: AnyArray, names: Sequence[str], sample: Sample) -> dict[str, Place]:
    """Return the points that are anywhere, (K, D) source pixels, as places in the sample's crop."""
    corner = sample.centre.astype(np.float64) - sample.side / 2
    places = (points[:, :2].astype(np.float64) - corner) / sample.side
    near = np.isfinite(places).all(1) & (abs(np.nan_to_num(places)) < FAR).all(1)
    return {names[place]: (float(places[place, 0]), float(places[place, 1])) for place in np.flatnonzero(near).tolist()}


SourcePoints = tuple[KeypointSet, dict[int, AnyArray]]


def _source_points(job: Job) -> SourcePoints | None:
    """Return what the network before predicts of the same people: its set, and by row (K, D) points; None without."""
    source = next((one for one in job.sources if one.dataset == job.dataset and not one.given), None)
    if source is None or not JobFolder.of(source.key).done:
        return None
    keypoints = source.keypoints
    found = read_predictions(JobFolder.of(source.key).predictions()).only(keypoints.names)
    rows = [] if found.rows is None else found.rows.tolist()
    return keypoints, dict(zip(rows, found.points, strict=True)) if rows else {}


def _source(source: SourcePoints | None, sample: Sample) -> dict[str, Place]:
    if source is None or sample.row not in source[1]:
        return {}
    return _places(source[1][sample.row], source[0].names, sample)
