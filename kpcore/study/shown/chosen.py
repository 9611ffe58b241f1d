"""The finished trainings of a split that are shown: those on all labels, scored, by mode and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kpcore.evaluation.score import Scored
from kpcore.keypoints import KeypointSplit
from kpcore.study.jobs import Row
from kpcore.study.scoring import Scorer


@dataclass(frozen=True, eq=False)
class Shot:
    """One finished row and its score."""

    row: Row
    scored: Scored

    @property
    def mode(self) -> str:
        """Its mode's name."""
        return self.row.mode.name

    @property
    def seed(self) -> int:
        """Its training's."""
        return self.row.seed


@dataclass(frozen=True, eq=False)
class Shots:
    """All shots of one split, one or more, in the order of modes and seeds.

    Args:
        split: theirs.
        every: scored on the same people.
        baseline: the mode that the others are compared with, "" where none is.
    """

    split: KeypointSplit
    every: Sequence[Shot]
    baseline: str

    @property
    def first(self) -> Scored:
        """A score, for what all share: people, keypoints, metric."""
        return self.every[0].scored

    @property
    def pair(self) -> list[Shot]:
        """The shots to be set side by side: of the first mode beside the baseline and of that, with one seed.

        One shot where there are no two modes with a common seed.
        """
        modes = list(dict.fromkeys(shot.mode for shot in self.every))
        base = self.baseline if self.baseline in modes else modes[-1]
        for other in (mode for mode in modes if mode != base):
            both = {shot.seed: shot for shot in self.every if shot.mode == base}
            for shot in self.every:
                if shot.mode == other and shot.seed in both:
                    return [shot, both[shot.seed]]
        return [self.every[0]]


def shots(split: KeypointSplit, rows: Sequence[Row], scorer: Scorer, baseline: str) -> Shots | None:
    """Return the shots of a split among rows that have scores; None where there are none."""
    own = [row for row in rows if row.split.name == split.name]
    share = max((row.labels for row in own), default=1.0)
    found = [Shot(row, scorer.final(row.job)) for row in own if row.labels == share]
    return Shots(split, found, baseline) if found else None
