"""Average precision over OKS, computed by pycocotools on people handed over as annotations and detections."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, Float64Array

BoolArray: TypeAlias = npt.NDArray[np.bool_]

FIGURES = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR")
"""The first six of pycocotools' ten figures for keypoints."""
FAR = 1e9
"""Pixels: where a missing keypoint is put; its similarity is 0 for every person."""
LARGEST_AREA = 1e10
"""pycocotools ignores detections of a larger area; a wild prediction must count as wrong instead."""
CATEGORY = 1


def average_precision(
    predicted: Float64Array,
    confidence: Float64Array | None,
    truth: Instances,
    areas: Float64Array,
    sigmas: Float64Array,
) -> dict[str, float]:
    """Return :data:`FIGURES` as shares, NaN where there is nobody of that size.

    Everyone with a labelled keypoint is one annotation, and one detection whose score is the mean confidence of its
    keypoints (all 1 where there is none). Somebody without any prediction has no detection. Detections are matched
    within an image, in the order of their scores, the 20 surest of an image at most.

    Args:
        predicted: (N, K, 2) source pixels, NaN where missing.
        confidence: (N, K) or None.
        truth: the same N people with the same K keypoints.
        areas: (N,) square pixels.
        sigmas: (K,).
    """
    people, detections = people_and_detections(predicted, confidence, truth, areas)
    if not people:
        return dict.fromkeys(FIGURES, float("nan"))
    evaluation = matched(people, detections, sigmas)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports every step
        evaluation.accumulate()
        evaluation.summarize()
    stats = zip(FIGURES, evaluation.stats, strict=False)
    return {name: float("nan") if value < 0 else float(value) for name, value in stats}


def people_and_detections(
    predicted: Float64Array, confidence: Float64Array | None, truth: Instances, areas: Float64Array
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the people and the detections as pycocotools takes them; see :func:`average_precision`."""
    labelled: list[int] = np.flatnonzero((truth.state != UNLABELLED).any(1)).tolist()
    found = np.asarray(np.isfinite(predicted).all(axis=2))
    images = image_numbers(truth)
    people = [_annotation(i, images[i], truth, areas[i]) for i in labelled]
    detections = [_detection(i, images[i], predicted[i], found[i], confidence) for i in labelled if found[i].any()]
    return people, detections


def image_numbers(truth: Instances) -> list[int]:
    """Return a number an image, in the order of their names: pycocotools ranks equal scores by it."""
    numbers: list[int] = np.unique(np.array(truth.image_ids), return_inverse=True)[1].ravel().tolist()
    return numbers


def _annotation(place: int, image: int, truth: Instances, area: float) -> dict[str, Any]:
    labelled = truth.state[place] != UNLABELLED
    points = np.where(labelled[:, None], truth.points[place, :, :2], 0.0)
    return {
        "id": place + 1, "image_id": image, "category_id": CATEGORY, "iscrowd": 0, "area": float(area),
        "bbox": [0.0, 0.0, 0.0, 0.0],  # read by pycocotools, used only where nothing is labelled
        "keypoints": _flat(points, truth.state[place]), "num_keypoints": int(labelled.sum()),
    }  # fmt: skip


def _detection(
    place: int, image: int, points: Float64Array, found: BoolArray, confidence: Float64Array | None
) -> dict[str, Any]:
    extent = np.clip(points[found], -FAR, FAR)
    width, height = extent.max(0) - extent.min(0)
    placed = np.where(found[:, None], np.clip(points, -FAR, FAR), FAR)
    return {
        "id": place + 1, "image_id": image, "category_id": CATEGORY, "score": _score(place, found, confidence),
        "area": min(float(width * height), LARGEST_AREA), "keypoints": _flat(placed, found),
    }  # fmt: skip


def _score(place: int, found: BoolArray, confidence: Float64Array | None) -> float:
    """Return the mean confidence of the keypoints that are there; one that is no number counts as 0."""
    return 1.0 if confidence is None else float(np.nan_to_num(confidence[place][found], posinf=0, neginf=0).mean())


def _flat(points: Float64Array, third: Any) -> list[float]:
    flat: list[float] = np.concatenate([points, np.asarray(third, np.float64)[:, None]], -1).ravel().tolist()
    return flat


def matched(people: list[dict[str, Any]], found: list[dict[str, Any]], sigmas: Float64Array) -> Any:
    """Return pycocotools' evaluation with every image's detections matched."""
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports every step
        evaluation = COCOeval(_coco(people, people), _coco(people, found), iouType="keypoints")
        evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.evaluate()
    return evaluation


def _coco(people: list[dict[str, Any]], annotations: list[Mapping[str, Any]] | list[dict[str, Any]]) -> Any:
    index = COCO()
    images = sorted({person["image_id"] for person in people})
    index.dataset = {
        "images": [{"id": image} for image in images],
        "categories": [{"id": CATEGORY}],
        "annotations": annotations,
    }
    index.createIndex()
    return index
