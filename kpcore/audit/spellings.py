"""Keypoints that are one in two spellings: of one data set, whose files do not agree, and of two that a study joins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from kpcore.audit.found import Mask, anywhere, found_in, labelled
from kpcore.interfaces import Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.spelling import loosely, pairs_told, respelled
from kpcore.samples import Instances


def spelling_findings(people: Instances, names: Sequence[str]) -> list[Finding]:
    """Warn of keypoints that differ in spelling alone, and that nobody has both of.

    Where somebody has both, they are two keypoints: ``A`` and ``a``.

    Args:
        people: N.
        names: K, of the keypoints.
    """
    known = labelled(people)
    pairs = [pair for pair in _spelled_alike(names) if not known[:, list(pair)].all(1).any()]
    if not pairs:
        return []
    told = pairs_told([(names[one], names[other]) for one, other in pairs])
    what = f"one keypoint in two spellings, taken as two, and nobody has both: {told}; write one of them everywhere"
    return found_in(people, "warning", what, _concerned(known, pairs))


def _concerned(known: Mask, pairs: Sequence[tuple[int, int]]) -> Mask:
    """(N,) who has one of a pair; everybody where nobody has any."""
    hits = anywhere(known[:, sorted({place for pair in pairs for place in pair})])
    return hits if hits.any() else np.ones(len(known), bool)


def _spelled_alike(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of places of names that differ in spelling alone."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        groups[loosely(name)].append(place)
    return [pair for group in groups.values() for pair in combinations(group, 2)]


def spelled_apart(skeletons: Mapping[str, Skeleton]) -> list[str]:
    """Return one line for every two data sets that spell keypoints in two ways, so that they share none of these.

    Args:
        skeletons: by what messages call their data sets.
    """
    return [
        f"{one} and {other} spell keypoints in two ways, so that they are different ones: {pairs_told(pairs)}; give"
        " them one name by aliases in the data set's table"
        for (one, first), (other, second) in combinations(skeletons.items(), 2)
        if (pairs := respelled(first.names, second.names))
    ]
