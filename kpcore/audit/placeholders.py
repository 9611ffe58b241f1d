"""Labels that look like placeholders: keypoints at a picture's corner, or at one place in many people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpcore.audit.found import Mask, labelled
from kpcore.interfaces import Finding
from kpcore.samples import Instances
from kpcore.tensors import AnyArray

CORNERS = ((0.0, 0.0), (-1.0, -1.0), (-2.0, -2.0))
"""Where exports put what nobody labelled: (0, 0) or (-1, -1), and these in files that count pixels from 1."""
CROWDS = ((5, 0.05), (3, 0.2))
"""People at one place, at least, and their share of a keypoint's labels, at least; either pair is worth a word."""
SCATTERED = ((5, 0.01),)
"""The same of labels of any keypoint, at a place that :data:`DIFFERENT` keypoints share."""
DIFFERENT = 3
"""Keypoints at one place, at least, to be scattered placeholders: parts of a body do not lie at one pixel."""
STANDS_OUT = 3
"""How many times more people are at a placeholder than at the next place that lies apart: a thing stands on many."""
NEAR = (1.5, 3.0)
"""Pixels within which labels lie around an aligned face's eye or a resting animal's nose, at least and at most."""
NEAR_SHARE = 0.02
"""The same as a share of a crop's side; half of all others lie within it where faces are aligned less exactly."""
CLUSTERED = (0.1, 0.5)
"""Labels around a place, as a share of those at it, or of all others, from which they are a cluster: a placeholder lies
apart from the rest."""
NAMED = 4
"""Keypoints that a line names."""

Place = tuple[float, float]


@dataclass(frozen=True)
class Crowd:
    """People whose keypoint ``name`` lies exactly at ``place``; ``rows`` are places among the people."""

    name: str
    place: Place
    rows: tuple[int, ...]
    everybody: bool


def placeholder_findings(people: Instances, names: Sequence[str]) -> list[Finding]:
    """Labelled keypoints at exactly a corner, or at one place in many people.

    A keypoint at one place in everybody is a note where that is no corner: a fixed object, or what crops are centred
    on. People whose keypoints are all the same count once: an animal that sits still.

    Args:
        people: N.
        names: K, of the keypoints.
    """
    once = _first_of_equal(people)
    crowds = [crowd for place, name in enumerate(names) for crowd in _crowds(people, place, name, once)]
    if all(crowd.everybody or crowd.place in CORNERS for crowd in crowds):
        crowds += _scattered(people, names, once)
    found = []
    for place in sorted({crowd.place for crowd in crowds}):
        same = [crowd for crowd in crowds if crowd.place == place]
        fixed = [crowd for crowd in same if crowd.everybody and place not in CORNERS]
        suspect = [crowd for crowd in same if crowd not in fixed]
        found += [_finding(people, place, suspect)] if suspect else []
        found += [_fixed(place, fixed)] if fixed else []
    return found


def _finding(people: Instances, place: Place, crowds: Sequence[Crowd]) -> Finding:
    count, first = sum(len(crowd.rows) for crowd in crowds), crowds[0].rows[0]
    what = f"labelled keypoints at exactly ({place[0]:g}, {place[1]:g}): {_listed(crowds)}"
    remedy = f"where that stands for 'not labelled', set dataset.unlabelled_at = [[{place[0]:g}, {place[1]:g}]]"
    return Finding("warning", f"{what}; {remedy} (first: {people.image_ids[first]}, row {people.rows[first]})", count)


def _fixed(place: Place, crowds: Sequence[Crowd]) -> Finding:
    what = f"keypoints at ({place[0]:g}, {place[1]:g}) in everybody: {_listed(crowds)}; nothing is learned from these"
    return Finding("note", what, len(crowds[0].rows))


def _listed(crowds: Sequence[Crowd]) -> str:
    told = [f"'{crowd.name}' ({len(crowd.rows)})" for crowd in crowds[:NAMED]]
    return ", ".join(told) + (f" and {len(crowds) - NAMED} more" if len(crowds) > NAMED else "")


def _crowds(people: Instances, keypoint: int, name: str, once: Mask) -> list[Crowd]:
    """Return the suspicious places of one keypoint; ``once`` (N,) marks one of people whose points are all equal."""
    rows = np.flatnonzero(labelled(people)[:, keypoint] & np.isfinite(people.points[:, keypoint, :2]).all(-1))
    if not len(rows):
        return []
    points = people.points[rows, keypoint, :2]
    # As one complex number a place: unique() is tens of times faster on these than on rows
    places, which = np.unique(points[:, 0] + 1j * points[:, 1], return_inverse=True)
    told = [(float(place.real) + 0.0, float(place.imag) + 0.0) for place in places]  # no -0
    wanted = {number for number, place in enumerate(told) if place in CORNERS}
    counts = np.bincount(which[once[rows]], minlength=len(places))
    wanted |= _standing_out(places, counts, float(np.median(people.side)), CROWDS)
    return [
        Crowd(name, told[number], tuple(rows[which == number].tolist()), len(places) == 1) for number in sorted(wanted)
    ]


def _scattered(people: Instances, names: Sequence[str], once: Mask) -> list[Crowd]:
    """Return a crowd a keypoint at the place where labels of several keypoints lie, few of each; none at a corner."""
    known = labelled(people) & np.isfinite(people.points[..., :2]).all(-1)
    rows, columns = np.nonzero(known)
    points = people.points[rows, columns]
    places, which = np.unique(points[:, 0] + 1j * points[:, 1], return_inverse=True)
    counts = np.bincount(which[once[rows]], minlength=len(places))
    for number in _standing_out(places, counts, float(np.median(people.side)), SCATTERED):
        place = (float(places[number].real), float(places[number].imag))
        here = columns[which == number]
        if place not in CORNERS and len(set(here.tolist())) >= DIFFERENT:
            at = rows[which == number]
            return [Crowd(names[one], place, tuple(at[here == one].tolist()), False) for one in np.unique(here)]
    return []


def _standing_out(places: AnyArray, counts: AnyArray, side: float, crowds: Sequence[tuple[int, float]]) -> set[int]:
    """Return the place that holds many labels, lies apart from the rest, and has far more than any other that does.

    Args:
        places: (P,) as complex numbers.
        counts: (P,) labels at them.
        side: of a usual crop, px; no number where unknown.
        crowds: how many, and which share of all, are many; one pair is enough.
    """
    least = min(max(least, share * counts.sum()) for least, share in crowds)
    rivals = np.flatnonzero(STANDS_OUT * counts > least).tolist()
    apart = sorted((number for number in rivals if _apart(places, counts, number, side)), key=lambda one: -counts[one])
    if not apart or counts[apart[0]] < least:
        return set()
    next_most = int(counts[apart[1]]) if len(apart) > 1 else 0
    return {apart[0]} if counts[apart[0]] >= STANDS_OUT * next_most else set()


def _apart(places: AnyArray, counts: AnyArray, number: int, side: float) -> bool:
    """Whether few labels lie around a place: else it is where that keypoint usually is."""
    away, others = np.abs(np.delete(places, number) - places[number]), np.delete(counts, number)
    share = NEAR_SHARE * side if np.isfinite(side) else NEAR[1]
    close = int(others[away <= np.clip(share, *NEAR)].sum())
    wide = int(others[away <= max(share, NEAR[1])].sum())
    of_these, of_all = CLUSTERED
    return close < max(1, of_these * int(counts[number])) and (wide == 0 or wide < of_all * int(others.sum()))


def _first_of_equal(people: Instances) -> Mask:
    """(N,) whether nobody before has the same points."""
    known = np.where(labelled(people)[..., None], people.points, np.nan)
    first: dict[bytes, int] = {}
    for row, points in enumerate(known):
        first.setdefault(points.tobytes(), row)
    once = np.zeros(len(people), bool)
    once[list(first.values())] = True
    return once
