"""Lengths that a skeleton has by nature, between two keypoints whose names tell it, for PCK to divide errors by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kpcore.keypoints import Skeleton
from kpcore.reading.sides import shared_name, side_of
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, Float64Array

ENOUGH = 0.9
"""Share of the samples that must have the length; the others would not be scored."""
SHORTEST = 0.2
"""Of the longer side of the box of all labelled keypoints: what is shorter says little of how large somebody is."""
SIDES = {"left", "right"}


@dataclass(frozen=True)
class Natural:
    """A length that people divide by.

    Args:
        what: its name.
        ends: what matches the names of its two ends, in small letters, words joined by underscores, sides left out.
        across: whether the ends are on different sides of the body.
        threshold: the share of it within which a keypoint is usually called right.
    """

    what: str
    ends: tuple[re.Pattern[str], re.Pattern[str]]
    across: bool
    threshold: float


_TAIL = r"tail_?(?:base|root)|(?:base|root)(?:_of)?(?:_the)?_tail"
_CORNER = r"eye_outer(?:_corner)?|outer_eye(?:_corner)?|eye_corner_outer"


def _natural(what: str, one: str, other: str, *, across: bool, threshold: float) -> Natural:
    ends = (re.compile(rf"(?<![a-z])(?:{end})(?![a-z])") for end in (one, other))
    return Natural(what, (next(ends), next(ends)), across, threshold)


NATURAL = (
    _natural("body length", r"(?:snout|nose|muzzle)(?:_?tip)?", _TAIL, across=False, threshold=0.1),
    _natural("torso, shoulder to hip", "shoulder", "hip", across=True, threshold=0.2),
    _natural("distance of the outer eye corners", _CORNER, _CORNER, across=True, threshold=0.1),
)
"""In order of preference. A fifth of the torso is what PCK has been since FLIC (Sapp and Taskar, CVPR 2013)."""


@dataclass(frozen=True)
class Length:
    """A length that the samples have.

    Args:
        natural: what it is.
        pair: its ends.
        share: of the samples, in which it can be measured and is no small part of them.
        without: samples in which it cannot be measured.
        median: px, where it can.
    """

    natural: Natural
    pair: tuple[str, str]
    share: float
    without: int
    median: float


def natural_length(skeleton: Skeleton, people: Instances) -> Length | None:
    """Return the first natural length that enough of the samples have; of several pairs, the most often labelled."""
    for natural in NATURAL:
        found = [_measured(natural, pair, skeleton, people) for pair in _pairs(natural, skeleton)]
        best = max(found, key=lambda length: length.share, default=None)
        if best and best.share >= ENOUGH:
            return best
    return None


def _pairs(natural: Natural, skeleton: Skeleton) -> Iterator[tuple[str, str]]:
    """Yield keypoints whose names are the ends, and alike in all else (nose_top, tail_base_top)."""
    ends = [{name: _rest(end, name, skeleton) for name in skeleton.names} for end in natural.ends]
    for one, rest in ends[0].items():
        for other, same in ends[1].items():
            sides = {_side(one, skeleton), _side(other, skeleton)}
            apart = sides in (SIDES, {""}) if natural.across else sides == {""}
            if one != other and rest is not None and rest == same and apart:
                yield one, other


def _rest(end: re.Pattern[str], name: str, skeleton: Skeleton) -> str | None:
    """Return a name without its side and without what matches the end; None where nothing does."""
    mirror = skeleton[name].mirror
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", (mirror and shared_name(name, mirror)) or name)
    rest, found = end.subn("", re.sub(r"[\W_]+", "_", words).lower())
    return rest.strip("_") if found else None


def _side(name: str, skeleton: Skeleton) -> str:
    mirror = skeleton[name].mirror
    return "" if mirror is None else side_of(name, mirror) or "unknown"


def _measured(natural: Natural, pair: tuple[str, str], skeleton: Skeleton, people: Instances) -> Length:
    places = [skeleton.index(name) for name in pair]
    one, other = (people.points[:, place, :2] for place in places)
    lengths = np.hypot(*(one - other).T)
    known = (people.state[:, places] != UNLABELLED).all(1) & (lengths > 0)
    large = known & (lengths >= SHORTEST * longer_sides(people))
    median = float(np.median(lengths[known])) if known.any() else 0.0
    return Length(natural, pair, float(large.mean()), int((~known).sum()), median)


def longer_sides(people: Instances) -> Float64Array:
    """Return (N,) longer sides of the boxes of the labelled keypoints, px; 0 where nothing or one is labelled."""
    known = (people.state != UNLABELLED)[..., None]
    high = np.where(known, people.points[..., :2], -np.inf).max(1)
    low = np.where(known, people.points[..., :2], np.inf).min(1)
    return np.asarray(np.maximum(high - low, 0.0).max(1))
