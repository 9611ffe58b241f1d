"""Mirror partners: which a skeleton knows, which names lack one, and where two skeletons disagree.

A mirrored image shows every keypoint at its partner's place: where partners are wrong, so are training and flip test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from kpcore.interfaces import Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.sides import contradiction, names_a_side

LISTED = 20
"""Names in one message, at most."""
REMEDY = (
    "say the partners (option 'mirrors' of the data set, where it has one), or set training.augmentation.flip = 0 and"
    " evaluation.flip_test = false"
)


def pairs_of(skeleton: Skeleton) -> list[tuple[str, str]]:
    """Return the mirror pairs, each once, in the skeleton's order."""
    names = skeleton.names
    pairs = [(point.name, point.mirror) for point in skeleton.keypoints if point.mirror is not None]
    return [(one, other) for one, other in pairs if names.index(one) < names.index(other)]


def lonely(skeleton: Skeleton) -> list[str]:
    """Return the keypoints whose name says a side, and that have no mirror partner."""
    return [point.name for point in skeleton.keypoints if point.mirror is None and names_a_side(point.name)]


def side_findings(skeleton: Skeleton) -> list[Finding]:
    """Warnings for whoever mirrors images: pairs that the names contradict, no pair at all, or a side alone."""
    return [*_contradicted(skeleton), *_unpaired(skeleton)]


def _contradicted(skeleton: Skeleton) -> list[Finding]:
    told = [
        f"'{one}' and '{other}' ({why})"
        for one, other in pairs_of(skeleton)
        if (why := contradiction(one, other, skeleton.names))
    ]
    if not told:
        return []
    more = f" and {len(told) - LISTED} more" if len(told) > LISTED else ""
    what = f"mirror partners that contradict the sides in their names: {', '.join(told[:LISTED])}{more}"
    return [Finding("warning", f"{what}; mend 'mirrors' in the data set's table or file", len(told))]


def _unpaired(skeleton: Skeleton) -> list[Finding]:
    alone, names = lonely(skeleton), skeleton.names
    if not pairs_of(skeleton) and len(names) > 1:
        sides = f"; {listed(alone)} name{'s' * (len(alone) == 1)} a side" if alone else ""
        what = f"no mirror pair is known among {listed(names)}{sides}; {REMEDY}"
        return [Finding("warning", what, len(names))]
    if alone:
        what = (
            f"{listed(alone)}: a side in the name, but no mirror partner; a mirrored image shows it on the wrong side"
        )
        return [Finding("warning", f"{what}; {REMEDY}", len(alone))]
    return []


def disagreements(skeletons: Mapping[str, Skeleton]) -> list[str]:
    """Return one line for every two skeletons that know a keypoint of one name with different partners.

    Args:
        skeletons: by what messages call their data sets.
    """
    found = []
    for (one, first), (other, second) in combinations(skeletons.items(), 2):
        if differing := [f"'{name}' ({mine}; {theirs})" for name, mine, theirs in _differing(first, second)]:
            what = f"{one} and {other} disagree on mirror partners: {', '.join(differing[:LISTED])}"
            found.append(f"{what}; {REMEDY}")
    return found


def _differing(first: Skeleton, second: Skeleton) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield name, and its partner in both, where these differ though both skeletons know what is named."""
    shared = set(first.names) & set(second.names)
    for name in first.names:
        mine, theirs = (skeleton[name].mirror if name in shared else None for skeleton in (first, second))
        if mine != theirs and {mine, theirs} <= {*shared, None}:
            yield name, mine, theirs


def listed(names: Sequence[str]) -> str:
    """Return names in quotes, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:LISTED]) + more
