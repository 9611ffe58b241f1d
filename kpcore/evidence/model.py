"""What is said of a study's scores, as typed records: ``evidence.json`` and all that is printed of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from kpcore.config import Strict
from kpcore.draws import ClusterKind
from kpcore.evidence.counted import counted
from kpcore.evidence.intervals import Spread
from kpcore.evidence.verdicts import Verdict, equivalent, no_worse

DECIMALS = 4
DIGITS = 6
"""Of p values: as many as matter."""


def _rounded(value: Any) -> Any:
    return round(float(value), DECIMALS) if isinstance(value, float | np.floating) else value


def _shortened(value: Any) -> Any:
    return float(f"{float(value):.{DIGITS}g}") if isinstance(value, float | np.floating) else value


Figure = Annotated[float, BeforeValidator(_rounded)]
"""In the metric's unit."""
Probability = Annotated[float, BeforeValidator(_shortened), Field(ge=0, le=1)]
Scope = Literal["across seeds", "these trainings"]


class Interval(Strict):
    """A 95% interval."""

    low: Figure
    high: Figure


class Cell(Strict):
    """A score: the mean over its seeds.

    ``given`` is the interval over other samples with these trainings, ``across`` that over other samples and other
    seeds: None with one seed, of which nothing is known of others.
    """

    mode: str
    column: str
    seeds: tuple[int, ...]
    value: Figure
    given: Interval | None
    across: Interval | None

    @property
    def interval(self) -> Interval | None:
        """The one that says most: across seeds where there is one."""
        return self.across or self.given


class Needed(Strict):
    """What would tell an undecided difference of the size seen, four times in five.

    ``seeds`` on these samples, or ``times_samples`` as many samples with as many seeds; None where no number that is
    within reach would, or it is not known. At the level of the hardest test of the table.
    """

    seeds: int | None
    times_samples: Figure | None
    text: str


class Place(Strict):
    """Where a difference stands in its table."""

    mode: str
    column: str


class Difference(Strict):
    """A mode against the baseline, paired by sample and seed.

    ``value`` is mode minus baseline. ``scope`` says what the verdict is about; ``adjusted`` is the p value after Holm's
    correction over the table. Standard errors of ``value``: ``seeds_error`` comes of other seeds, ``shared_error`` of
    other samples as far as they move all seeds alike, ``samples_error`` of other samples with these trainings.
    ``clusters`` is how many of equal size the column's are worth.
    A difference that is zero for every sample and seed is ``identical``; one that is another's for every sample and
    seed is ``same_as`` that one. Neither is counted by Holm's correction.
    """

    mode: str
    column: str
    seeds: tuple[int, ...]
    value: Figure
    given: Interval | None
    across: Interval | None
    seeds_error: Annotated[float, BeforeValidator(_shortened)]
    shared_error: Annotated[float, BeforeValidator(_shortened)]
    samples_error: Annotated[float, BeforeValidator(_shortened)]
    clusters: Figure
    p: Probability
    adjusted: Probability
    verdict: Verdict
    scope: Scope
    needed: Needed | None = None
    same_as: Place | None = None

    @property
    def interval(self) -> Interval | None:
        """The one that the verdict is about."""
        return self.across if self.scope == "across seeds" else self.given

    def no_worse(self, margin: float, *, higher_is_better: bool) -> bool:
        """Whether the mode is worse than the baseline by less than the margin, by the one-sided 95% limit."""
        return no_worse(self._spread, margin, higher_is_better=higher_is_better)

    def equivalent(self, margin: float) -> bool:
        """Whether it differs by less than the margin either way, by two one-sided tests."""
        return equivalent(self._spread, margin)

    @property
    def _spread(self) -> Spread:
        count = len(self.seeds)
        shared, own = self.shared_error**2, count * max(0.0, self.samples_error**2 - self.shared_error**2)
        return Spread(self.value, count, self.clusters, count * self.seeds_error**2, shared, own)


class TableEvidence(Strict):
    """A split's table: cells and differences of its columns and their average; and by joint group and keypoint.

    ``labels`` is the share of labels that was trained on. ``groups`` are those of which no column is made. Corrections
    are made within ``differences``, within ``groups``, and within ``keypoints``. ``notes`` say where there is no
    verdict, and why. ``trainings`` are modes that have the very trainings of another one: mode -> that one.
    """

    split: str
    labels: float = 1.0
    signature: str
    convention: str
    higher_is_better: bool
    samples: int
    clusters: int
    cluster_kind: ClusterKind
    baseline: str
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    groups: tuple[Difference, ...] = ()
    keypoints: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    trainings: dict[str, str] = Field(default_factory=dict)

    @property
    def counted(self) -> int:
        """Over how many differences of columns Holm's correction is."""
        return counted(self.differences)

    def cell(self, mode: str, column: str) -> Cell | None:
        """The score of this column, or of ``"average"``; None where it does not exist."""
        return next((one for one in self.cells if (one.mode, one.column) == (mode, column)), None)

    def difference(self, mode: str, column: str) -> Difference | None:
        """The difference of this column, or of ``"average"``; None where there is none."""
        return next((one for one in self.differences if (one.mode, one.column) == (mode, column)), None)
