"""Where a mode helps: the score over hidden and visible points, and over small, middling and large instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kpcore.draws import Clusters
from kpcore.evaluation.clusters import clusters_of
from kpcore.evaluation.score import Scored
from kpcore.records.values import RowValues, SplitValues
from kpcore.study.shown.chosen import Shots
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE, AnyArray, Float64Array
from kpcore.terms import Composition, Terms

FEWEST = 10
"""Points that a part must have, and images that they lie in: of fewer nothing is said."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the points: their name, what they are, and which (N, K) of all keypoints."""

    name: str
    text: str
    points: AnyArray


def slices(shots: Shots) -> tuple[SplitValues, dict[str, str]] | None:
    """Return what every sample adds to the score over each part of the points, and what the parts are.

    A part's score is the mean over its points that enter the average: the weighted one, so that a keypoint which is
    hidden once does not count as much as one that is hidden a hundred times. None for a metric without terms, or where
    no part has points enough.
    """
    first = shots.first
    clusters = clusters_of(first.samples)
    parts = [part for part in _parts(first) if _enough(part, first, clusters)]
    rows = [_row(shot.mode, shot.seed, shot.scored, parts) for shot in shots.every] if parts else []
    made = [row for row in rows if row is not None]
    if not made or len(made) < len(rows):
        return None
    composition = Composition({part.name: (place,) for place, part in enumerate(parts)}, ())
    values = SplitValues(
        name=shots.split.name,
        data="",
        convention=f"{first.metric.convention}, over points",
        higher_is_better=first.metric.higher_is_better,
        clusters=clusters,
        samples=np.asarray(first.truth.rows, np.int64),
        composition=composition,
        groups={},
        keypoints={},
        rows=tuple(made),
    )
    return values, {part.name: part.text for part in parts}


def _parts(scored: Scored) -> list[Part]:
    state, side = scored.truth.state, scored.truth.side
    low, high = np.quantile(side, [1 / 3, 2 / 3])
    sizes: Mapping[str, tuple[str, AnyArray]] = {
        "small": (f"crop side up to {low:.0f} px", side <= low),
        "middling": (f"crop side {low:.0f} to {high:.0f} px", (side > low) & (side <= high)),
        "large": (f"crop side above {high:.0f} px", side > high),
    }
    labelled = state != UNLABELLED
    return [
        Part("visible", "points labelled as visible", state == VISIBLE),
        Part("hidden", "points labelled though something hides them", state == HIDDEN),
        *(Part(name, text, labelled & rows[:, None]) for name, (text, rows) in sizes.items()),
    ]


def _enough(part: Part, scored: Scored, clusters: Clusters) -> bool:
    """Whether a part has points and images enough among the scored keypoints, and is not all there is."""
    points = part.points[:, list(scored.keypoints.indices)] & ~np.isnan(scored.values)
    all_there_is = points.sum() == (~np.isnan(scored.values)).sum()
    return not all_there_is and points.sum() >= FEWEST and len(np.unique(clusters.of[points.any(1)])) >= FEWEST


def _row(mode: str, seed: int, scored: Scored, parts: list[Part]) -> RowValues | None:
    """Return a row's sums over each part; None for a metric without terms."""
    sums = [_pooled(scored, part) for part in parts]
    if any(one is None for one in sums):
        return None
    above, below = (np.stack([one[side] for one in sums if one is not None], -1) for side in (0, 1))
    terms = Terms(above, below, {part.name: (place,) for place, part in enumerate(parts)}, ())
    return RowValues(mode, seed, terms.scores(), above, below)


def _pooled(scored: Scored, part: Part) -> tuple[Float64Array, Float64Array] | None:
    """Return (N,) sums of numerators and denominators of what the average is made of, the part's points alone."""
    values = np.where(part.points[:, list(scored.keypoints.indices)], scored.values, np.nan)
    terms = scored.metric.terms(values, scored.truth, scored.keypoints, scored.columns)
    if terms is None:
        return None
    of_average = [terms.columns[one] if isinstance(one, str) else (one,) for one in terms.average]
    places = sorted({place for one in of_average for place in one})
    return terms.numerators[:, places].sum(1), terms.denominators[:, places].sum(1)
