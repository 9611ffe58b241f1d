"""Edges of a category: drawn, never learned from, so what is wrong with them stops nobody."""

from __future__ import annotations

from collections.abc import Sequence

from kp_coco.fields import Entry
from kp_coco.skeleton import BONES, ORDER
from kpcore.interfaces import Finding

Edges = list[tuple[str, str]]


def edges_of(entry: Entry, names: Sequence[str]) -> tuple[Edges, list[Finding]]:
    """Return a category's edges by name, and a warning where some or all were left out.

    The file counts keypoints from 1, or from 0 where a 0 occurs; names are taken too.

    Args:
        entry: the category.
        names: its keypoints.
    """
    pairs = entry.fields.get("skeleton")
    if not pairs:
        return [], []
    if not isinstance(pairs, list):
        return [], [_warning(entry, "'skeleton' is no list of pairs of keypoints: left out", 1)]
    ends = [_ends(pair) for pair in pairs]
    if len(names) != len(ORDER) and _cocos(ends, len(names)):
        return [], [_warning(entry, f"edges are those of COCO's 17 keypoints, not of these {len(names)}", len(pairs))]
    origin = 0 if any(0 in pair for pair in ends) else 1
    found = [_named(pair, names, origin) for pair in ends]
    wrong = [place for place, edge in enumerate(found) if edge is None]
    last = f"keypoints are {origin} to {len(names) + origin - 1}"
    what = f"edges between no two keypoints left out, such as {pairs[wrong[0]]!r:.40} ({last})" if wrong else ""
    return [edge for edge in found if edge is not None], [_warning(entry, what, len(wrong))] if wrong else []


def _warning(entry: Entry, what: str, count: int) -> Finding:
    return Finding("warning", f"category '{entry.text('name')}': {what}; edges are only drawn", count)


def _ends(pair: object) -> tuple[int | str, ...]:
    """Return the two ends of an edge, or nothing where it has none."""
    fits = isinstance(pair, list) and len(pair) == 2 and all(type(end) in (int, str) for end in pair)
    return tuple(pair) if fits and isinstance(pair, list) else ()


def _cocos(ends: Sequence[tuple[int | str, ...]], count: int) -> bool:
    """Return whether these are COCO's own edges, some beyond this category's keypoints: CrowdPose's file has them."""
    beyond = any(isinstance(end, int) and end > count for pair in ends for end in pair)
    return beyond and set(ends) <= set(BONES)


def _named(pair: tuple[int | str, ...], names: Sequence[str], origin: int) -> tuple[str, str] | None:
    found = [_name(end, names, origin) for end in pair]
    if len(found) != 2 or found[0] is None or found[1] is None or found[0] == found[1]:
        return None
    return found[0], found[1]


def _name(end: int | str, names: Sequence[str], origin: int) -> str | None:
    if isinstance(end, str):
        return end if end in names else None
    return names[end - origin] if 0 <= end - origin < len(names) else None
