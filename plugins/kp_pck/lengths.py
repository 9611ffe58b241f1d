"""The lengths that PCK's errors are divided by, each in pixels and of all keypoints of the data set."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import BeforeValidator

from kpcore.errors import KpError
from kpcore.keypoints import Skeleton
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, Float64Array

Word = Literal["crop", "sample", "box"]
Pair: TypeAlias = tuple[str, str]
WORDS: dict[Word, str] = {
    "crop": "the crop side",
    "sample": "the data set's normaliser",
    "box": "the longer side of the keypoints' box",
}
PLURAL: dict[Word, str] = {
    "crop": "crop sides",
    "sample": "normalisers of the data set",
    "box": "longer sides of the keypoints' box",
}
WHERE = "metric 'pck', normaliser"


def _word_or_pair(value: object) -> object:
    pair = isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(name, str) for name in value)
    if pair or (isinstance(value, str) and value in WORDS):
        return value
    words = ", ".join(f'"{word}"' for word in WORDS)
    raise ValueError(f'is one of {words}, or two keypoints, ["NAME", "OTHER"]')


Normaliser: TypeAlias = Annotated[Word | Pair, BeforeValidator(_word_or_pair)]


def told(normaliser: Word | Pair) -> str:
    """Return what the length is, in words."""
    if isinstance(normaliser, tuple):
        return f"the distance {normaliser[0]} - {normaliser[1]}, where both are labelled"
    return WORDS[normaliser]


def counted_in(normaliser: Word | Pair) -> str:
    """Return what errors that are divided by the length are counted in, in words."""
    return f"distances {normaliser[0]} - {normaliser[1]}" if isinstance(normaliser, tuple) else PLURAL[normaliser]


def lengths(normaliser: Word | Pair, truth: Instances, skeleton: Skeleton) -> Float64Array:
    """Return (N,) pixels; NaN or 0 where a person's keypoints do not tell it.

    Raises:
        KpError: the skeleton lacks a keypoint of the pair, or the two are one.
    """
    if isinstance(normaliser, tuple):
        one, other = (truth.points[:, skeleton.index(name), :2] for name in skeleton.pair(normaliser, where=WHERE))
        both = (truth.state[:, [skeleton.index(name) for name in normaliser]] != UNLABELLED).all(1)
        return np.where(both, np.hypot(*(one - other).T), np.nan)
    if normaliser == "box":
        return _longer_side(truth)
    return truth.side if normaliser == "crop" else truth.normaliser


def _longer_side(truth: Instances) -> Float64Array:
    known = (truth.state != UNLABELLED)[..., None]
    high = np.where(known, truth.points[..., :2], -np.inf).max(1)
    low = np.where(known, truth.points[..., :2], np.inf).min(1)
    return np.asarray(np.maximum(high - low, 0.0).max(1))  # -inf where nothing is labelled


def without_length(normaliser: Word | Pair, truth: Instances, place: int) -> KpError:
    """Return the error where nobody has a length; ``place`` is somebody with labels."""
    return KpError(
        f"image {truth.image_ids[place]}, row {truth.rows[place]}, and everybody else: {WHERE}: there is no"
        f' {told(normaliser).removeprefix("the ")}; name two keypoints that are labelled, or take "crop"'
    )
