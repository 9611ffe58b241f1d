"""Predictions made by hand, and written by a writer as ``kp predict`` does."""

from pathlib import Path

import numpy as np

from kpcore.interfaces import About, Predicted
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.registry import registry

MOUSE = Skeleton(
    "mouse",
    (
        Keypoint("nose", group="nose"),
        Keypoint("ear_l", mirror="ear_r", group="ear"),
        Keypoint("ear_r", mirror="ear_l", group="ear"),
        Keypoint("tail", group="tail"),
    ),
    (("nose", "ear_l"), ("nose", "ear_r"), ("ear_r", "tail")),
)


def about(keypoints=None, **more):
    """What all predictions share; all keypoints of the mouse by default."""
    return About(keypoints or MOUSE.all(), "mice/d-transfer-0", **more)


def found(name, *points, frame=None, ids=None, confidence=None, folder="/data/walk", **more):
    """Predictions on a picture of 200 x 100 px: points (N, K, 2), surety 0.9, 0.8, ... by keypoint where not given."""
    array = np.array(points, np.float64).reshape(len(points), -1 if points else 4, 2)
    usual = np.tile(1 - 0.1 * np.arange(1, array.shape[1] + 1), (len(points), 1))
    sure = usual if confidence is None else np.array(confidence, np.float64)
    sure = np.where(np.isfinite(array).all(2), sure, np.nan)
    return Predicted(
        name=name, path=Path(folder) / name, frame=frame, size=(200, 100), crops=np.tile([50.0, 50.0, 90.0],
        (len(points), 1)), ids=tuple(ids or [""] * len(points)), points=array, confidence=sure, **more,
    )  # fmt: skip


def written(name, out, predictions, shared=None, **options):
    """Write predictions in a format below ``out``; return the paths."""
    writer = registry().build("writer", name, options, where=f"--format {name}")
    sink = writer.open(out / writer.file, shared or about())
    try:
        for one in predictions:
            sink.add(one)
        return list(sink.finish())
    except BaseException:
        sink.abandon()
        raise
