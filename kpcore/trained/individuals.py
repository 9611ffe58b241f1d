"""Who is who in predictions, for formats that give every individual a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence


def individuals(ids: Iterable[Sequence[str]]) -> tuple[str, ...] | None:
    """Return the names of individuals that pictures share, in order of first appearance; None where ids name nobody.

    Ids name individuals where none is empty, none occurs twice in a picture, and where several pictures have instances
    some occur in more than one: as following gives them, and as a column ``track`` of boxes does. The ids of a COCO
    file's annotations do not: each is of one picture.

    Args:
        ids: of every picture's instances; gone through once.
    """
    counts: Counter[str] = Counter()
    for one in ids:
        if "" in one or len(set(one)) < len(one):
            return None
        counts.update(one)
    return tuple(counts) if max(counts.values(), default=0) > 1 else None
