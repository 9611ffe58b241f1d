"""Average precision on draws of the images: matched once by pycocotools, then counted as often as an image is drawn.

Detections are matched within their image, so that a draw changes nothing but how often each one counts. Ranking,
precision and recall are pycocotools' own (COCOeval.accumulate), with counts for ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kp_coco.average_precision import FIGURES, image_numbers, matched, people_and_detections
from kpcore.samples import Instances
from kpcore.tensors import AnyArray, Float64Array

SIZES = ("all", "medium", "large")
"""pycocotools' area ranges for keypoints, in its order."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """Detections of one range of areas, the surest first.

    Args:
        image: (M,) their images' numbers.
        right: (T, M) whether each is matched at each of T thresholds.
        wrong: (T, M) whether it is not; one that is ignored is neither.
        people: image's number -> how many people of it count.
    """

    image: AnyArray
    right: AnyArray
    wrong: AnyArray
    people: dict[int, int]


def drawn_precision(
    predicted: Float64Array,
    confidence: Float64Array | None,
    truth: Instances,
    areas: Float64Array,
    sigmas: Float64Array,
    counts: AnyArray,
) -> Float64Array:
    """Return (B, F) of :data:`~kp_coco.average_precision.FIGURES` as shares, NaN where nobody of that size is drawn.

    Args:
        predicted: as for :func:`~kp_coco.average_precision.average_precision`.
        confidence: likewise.
        truth: likewise.
        areas: likewise.
        sigmas: likewise.
        counts: (B, N) how often each of the N people is drawn, those of an image together.
    """
    people, detections = people_and_detections(predicted, confidence, truth, areas)
    if not people:
        return np.full((len(counts), len(FIGURES)), np.nan)
    evaluation = matched(people, detections, sigmas)
    numbers, first = np.unique(image_numbers(truth), return_index=True)
    by_image = np.zeros((len(counts), int(numbers.max()) + 1), np.int64)
    by_image[:, numbers] = counts[:, first]
    recalls, thresholds = evaluation.params.recThrs, evaluation.params.iouThrs
    places = {"AP50": int(np.argmin(abs(thresholds - 0.5))), "AP75": int(np.argmin(abs(thresholds - 0.75)))}
    ranked = [_ranked(evaluation, place) for place in range(len(SIZES))]
    return np.array([_figures(ranked, row, recalls, places) for row in by_image])


def _ranked(evaluation: Any, size: int) -> Ranked:
    """Return the detections of one range of areas, as pycocotools matched them."""
    images = len(evaluation.params.imgIds)
    results = [one for one in evaluation.evalImgs[size * images : (size + 1) * images] if one is not None]
    scores = np.concatenate([one["dtScores"] for one in results])
    order = np.argsort(-scores, kind="mergesort")
    found = np.concatenate([one["dtMatches"] for one in results], axis=1)[:, order] != 0
    counted = ~np.concatenate([one["dtIgnore"] for one in results], axis=1)[:, order].astype(bool)
    image = np.concatenate([np.full(len(one["dtScores"]), one["image_id"], np.int64) for one in results])[order]
    people = {int(one["image_id"]): int((np.asarray(one["gtIgnore"]) == 0).sum()) for one in results}
    return Ranked(image, found & counted, ~found & counted, people)


def _figures(ranked: list[Ranked], counts: AnyArray, recalls: Float64Array, places: dict[str, int]) -> list[float]:
    """Return the figures of one draw."""
    curves = [_curve(one, counts, recalls) for one in ranked]
    every, reached = curves[0]
    found = {
        "AP": every.mean(),
        "AP_M": curves[1][0].mean(),
        "AP_L": curves[2][0].mean(),
        "AR": reached.mean(),
        **{name: every[place].mean() for name, place in places.items()},
    }
    return [float(found[name]) for name in FIGURES]


def _curve(ranked: Ranked, counts: AnyArray, recalls: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return (T, R) precision at each recall and (T,) the greatest recall; NaN where nobody counts."""
    people = sum(int(counts[image]) * count for image, count in ranked.people.items())
    steps = len(ranked.right)
    if not people:
        return np.full((steps, len(recalls)), np.nan), np.full(steps, np.nan)
    weights = counts[ranked.image]
    right, wrong = np.cumsum(ranked.right * weights, 1), np.cumsum(ranked.wrong * weights, 1)
    recall, precision = right / people, right / (right + wrong + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    found = np.zeros((steps, len(recalls)))
    for step in range(steps):
        at = np.searchsorted(recall[step], recalls, side="left")
        inside = at < recall.shape[1]
        found[step, inside] = best[step, at[inside]]
    return found, recall[:, -1] if recall.shape[1] else np.zeros(steps)
