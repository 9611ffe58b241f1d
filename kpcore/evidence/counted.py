"""Which differences of a table are hypotheses of their own: neither zero for every sample, nor one that is there twice.

Holm's correction is over hypotheses. Two rows of one training give the same difference again, and a difference that is
zero for every sample and seed (the same network, or a keypoint at which nothing can be wrong) asks nothing. Counting
either would only hide differences that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kpcore.evidence.verdicts import ERROR, holm
from kpcore.tensors import Float64Array

if TYPE_CHECKING:
    from kpcore.evidence.model import Difference

ZERO = -1
"""Stands for no difference at all."""
ROUNDING = 1e-8
"""By which products of matrices may differ that are of the same samples."""


def standing(drawn: Sequence[Float64Array]) -> list[int]:
    """Return for each difference the first one that is the same for every sample and seed; ``ZERO`` where it is zero.

    What is the same on the samples and on every draw of them is taken to be the same for every sample.

    Args:
        drawn: of each difference (1 + B, n): its values, a seed each, and below them those of B draws.
    """
    firsts: list[int] = []
    for place, one in enumerate(drawn):
        if _same(one, np.zeros_like(one)):
            firsts.append(ZERO)
            continue
        earlier = (first for first in range(place) if firsts[first] == first and _same(one, drawn[first]))
        firsts.append(next(earlier, place))
    return firsts


def _same(one: Float64Array, other: Float64Array) -> bool:
    """Whether two are the same up to rounding; the first rows, which mostly tell, are looked at first."""
    if one.shape != other.shape or not np.allclose(one[:2], other[:2], rtol=0, atol=ROUNDING, equal_nan=True):
        return False
    known = ~(np.isnan(one) | np.isnan(other))
    return bool((np.abs(one - other)[known] <= ROUNDING).all())


def corrected(values: Sequence[float], firsts: Sequence[int]) -> tuple[list[float], float]:
    """Return p values after Holm's correction over those that stand for themselves, and the level of the hardest.

    Args:
        values: p of every difference.
        firsts: that stand for them, as :func:`standing` returns them; what is zero has p 1 and is not counted.
    """
    own = [place for place, first in enumerate(firsts) if first == place]
    adjusted = dict(zip(own, holm([values[place] for place in own]), strict=True))
    return [1.0 if first == ZERO else adjusted[first] for first in firsts], ERROR / max(1, len(own))


def counted(differences: Sequence[Difference]) -> int:
    """Return over how many differences Holm's correction is."""
    return sum(one.verdict != "identical" and one.same_as is None for one in differences)


def counted_once(
    differences: Sequence[Difference], labels: Mapping[str, str], trainings: Mapping[str, str]
) -> list[str]:
    """Return which modes' differences are those of another, a phrase each, and so are counted once.

    Args:
        differences: of a table.
        labels: mode -> what it is called.
        trainings: mode -> the earlier mode whose very trainings it has.
    """
    said = [f"{labels[mode]} is the training of {labels[first]}" for mode, first in trainings.items()]
    for mode in dict.fromkeys(one.mode for one in differences):
        own = [one for one in differences if one.mode == mode and one.verdict != "identical"]
        first = own[0].same_as if own else None
        if mode not in trainings and first and all(one.same_as and one.same_as.mode == first.mode for one in own):
            said.append(f"{labels[mode]} has the values of {labels[first.mode]}")
    return said


def identical(differences: Sequence[Difference]) -> dict[str, list[str]]:
    """Return mode -> its columns in which no sample differs from the baseline; no column where all do not."""
    found: dict[str, list[str]] = {}
    for mode in dict.fromkeys(one.mode for one in differences):
        own = [one for one in differences if one.mode == mode]
        alike = [one.column for one in own if one.verdict == "identical"]
        if alike:
            found[mode] = [] if len(alike) == len(own) else alike
    return found


def same_columns(differences: Sequence[Difference]) -> list[tuple[str, str]]:
    """Return the columns that are another one in every mode, with that one: an average of a single column is it."""
    pairs: dict[str, set[str]] = {}
    for one in differences:
        if one.verdict == "identical":
            continue
        within = one.same_as is not None and one.same_as.mode == one.mode
        pairs.setdefault(one.column, set()).add(one.same_as.column if one.same_as and within else "")
    return [(column, *firsts) for column, firsts in pairs.items() if len(firsts) == 1 and "" not in firsts]  # type: ignore[misc]


def same_trainings(jobs: Mapping[str, Mapping[int, str]]) -> dict[str, str]:
    """Return mode -> the first mode before it that has the same trainings.

    Args:
        jobs: mode -> {seed: key of its training}, "" where that is not known.
    """
    found: dict[str, str] = {}
    for mode, own in jobs.items():
        known = own and all(own.values())
        first = next((other for other, theirs in jobs.items() if theirs == own), mode) if known else mode
        if first != mode:
            found[mode] = first
    return found
