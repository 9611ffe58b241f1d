"""Scores against labelled images, and what a mode saves of them: "with n images as the baseline with m"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kpcore.config import Strict
from kpcore.evidence.curve import Against, Curve, Ends
from kpcore.evidence.intervals import MOST_UNKNOWN, covariance
from kpcore.evidence.model import Figure, Interval, TableEvidence
from kpcore.evidence.resample import RESAMPLES
from kpcore.evidence.tables import drawn
from kpcore.records.results import AVERAGE, Results
from kpcore.records.values import SplitValues
from kpcore.tensors import Float64Array


class LabelPoint(Strict):
    """A mode's average with the labels of so many images; intervals as in a table's cell."""

    labels: float
    images: int
    seeds: tuple[int, ...]
    value: Figure
    given: Interval | None
    across: Interval | None

    @property
    def interval(self) -> Interval | None:
        """The one that says most: across seeds where there is one."""
        return self.across or self.given


class LabelCurve(Strict):
    """A mode's averages, the fewest images first."""

    mode: str
    points: tuple[LabelPoint, ...]


class ImageInterval(Strict):
    """A 95% interval of a number of images; None where it goes on beyond the smallest, or the largest, number tried."""

    low: Figure | None
    high: Figure | None

    @classmethod
    def of(cls, ends: Ends) -> ImageInterval:
        """Take down its ends."""
        return cls(low=ends[0], high=ends[1])

    def __str__(self) -> str:
        if self.low is None and self.high is None:
            return "any number"
        if self.low is None:
            return f"{self.high:,.0f} or fewer"
        return f"{self.low:,.0f} or more" if self.high is None else f"{self.low:,.0f} to {self.high:,.0f}"


class Saved(Strict):
    """With how many images the baseline scores as a mode with ``images``.

    ``equal`` is that number, the smallest where several have the score; None where the mode's score lies ``beyond`` all
    that the baseline reached: it would take "more" images than the ``largest`` number tried, or "fewer" than the
    ``smallest``. Nothing is said of how many more. ``seeds`` are those that the mode and the baseline with all numbers
    of images have; ``fitted`` says that the baseline's scores fell somewhere as images rose, and a curve that does not
    was fitted to them; ``flat`` that it is not told to score better with the largest number than with the smallest, as
    where all trainings are short: then a mode's lead is no saving of labels. Intervals are given these trainings, and
    across seeds.
    """

    mode: str
    labels: float
    images: int
    seeds: tuple[int, ...]
    equal: Figure | None
    beyond: Literal["", "more", "fewer"] = ""
    smallest: int
    largest: int
    fitted: bool
    flat: bool = False
    given: ImageInterval
    across: ImageInterval | None

    @property
    def interval(self) -> ImageInterval:
        """The one that says most: across seeds where there is one."""
        return self.across or self.given

    @property
    def told(self) -> bool:
        """Whether any number of images is excluded, and more images are worth something to the baseline."""
        return not self.flat and (self.interval.low is not None or self.interval.high is not None)

    def sentence(self, mode: str, baseline: str) -> str:
        """Return what it says: "transfer with 80 images scores as random with 190 (95% 140 to 260)".

        Where no number is excluded, or images are worth nothing to the baseline, it says that nothing can be told; of
        one seed, that it is about this training alone.

        Args:
            mode: what the mode is called.
            baseline: what the baseline is called.
        """
        other = f"{self.equal:,.0f}" if self.equal is not None else self._beyond
        noun = f"image{'s' * (self.images != 1)}"
        own = f"{mode} with {self.images:,} {noun}"
        if self.flat:
            gain = f"{baseline} is not told to gain from more images ({self.smallest:,} to {self.largest:,})"
            return f"{own}: {gain}, so nothing can be told of labels saved"
        if not self.told:
            return f"{own}: with how many {baseline} scores as well cannot be told (seen {other}; 95% any number)"
        alone = "" if self.across else ", about this training alone"
        return f"{own} scores as {baseline} with {other} (95% {self.interval}{alone})"

    @property
    def _beyond(self) -> str:
        if self.beyond == "more":
            return f"more than {self.largest:,}, the largest number tried"
        return f"fewer than {self.smallest:,}, the smallest number tried"


class LabelEvidence(Strict):
    """What is said of one split by labelled images; ``notes`` say how, and what is not known."""

    split: str
    baseline: str
    curves: tuple[LabelCurve, ...]
    saved: tuple[Saved, ...]
    notes: tuple[str, ...] = ()


Cell = tuple[str, float]
"""Mode and share of the labels."""


@dataclass(frozen=True, eq=False)
class Averages:
    """Averages of a split's rows of all shares, and the same on every draw.

    Args:
        images: share -> how many images it is.
        clusters: that were drawn from, as many of equal size as they are worth.
        found: mode and share -> seed -> the average and its (B,) replicates.
    """

    images: Mapping[float, int]
    clusters: float
    found: Mapping[Cell, Mapping[int, tuple[float, Float64Array]]]

    def shares(self, mode: str) -> list[float]:
        """Shares that a mode was run with, the fewest images first."""
        return sorted(share for name, share in self.found if name == mode)

    def seeds(self, cells: Sequence[Cell]) -> tuple[int, ...]:
        """Seeds that all of these have."""
        return tuple(sorted(set.intersection(*(set(self.found[cell]) for cell in cells))))

    def of(self, cells: Sequence[Cell], seeds: Sequence[int]) -> tuple[Float64Array, Float64Array]:
        """Return (S, n) averages and (B, S, n) replicates."""
        both = [[self.found[cell][seed] for seed in seeds] for cell in cells]
        fewest = min(len(draws) for row in both for _, draws in row)
        draws = np.array([[draws[:fewest] for _, draws in row] for row in both])
        return np.array([[value for value, _ in row] for row in both]), np.moveaxis(draws, -1, 0)


def by_labels(
    results: Results, splits: Sequence[SplitValues], tables: Sequence[TableEvidence], resamples: int = RESAMPLES
) -> tuple[LabelEvidence, ...]:
    """Return what is said of every split that was run with several numbers of labelled images.

    Args:
        results: of the study.
        splits: its values.
        tables: made of them, one a split and share.
        resamples: draws of the samples.
    """
    found = []
    for split in splits:
        counts = {row.labels: row.images for row in results.rows_of(split.name) if row.status == "done" and row.images}
        here = [table for table in tables if table.split == split.name and table.labels in counts]
        images = {table.labels: counts[table.labels] for table in here}
        if len(set(images.values())) > 1:
            found.append(_split(results, split, here, images, resamples))
    return tuple(found)


def _split(
    results: Results, split: SplitValues, tables: Sequence[TableEvidence], images: Mapping[float, int], resamples: int
) -> LabelEvidence:
    modes = [mode.name for mode in results.modes]
    others = [mode for mode in modes if results.baseline and mode != results.baseline]
    averages = _averages(split, images, resamples)
    shares = sorted(images)
    saved = [one for mode in others for share in shares if (one := _saved(averages, (mode, share), results))]
    return LabelEvidence(
        split=split.name,
        baseline=results.baseline,
        curves=tuple(curve for mode in modes if (curve := _curve(mode, tables, images)).points),
        saved=tuple(saved),
        notes=tuple(_notes(saved, averages, others, results.baseline)),
    )


def _curve(mode: str, tables: Sequence[TableEvidence], images: Mapping[float, int]) -> LabelCurve:
    cells = [(table.labels, cell) for table in tables if (cell := table.cell(mode, AVERAGE))]
    points = [
        LabelPoint(
            labels=share, images=images[share], seeds=one.seeds, value=one.value, given=one.given, across=one.across
        )
        for share, one in sorted(cells, key=lambda both: both[0])
    ]
    return LabelCurve(mode=mode, points=tuple(points))


def _averages(split: SplitValues, images: Mapping[float, int], resamples: int) -> Averages:
    """Score the averages on the draws that the tables saw."""
    alone = replace(split, groups={}, keypoints={})
    found: dict[Cell, dict[int, tuple[float, Float64Array]]] = {}
    clusters = float("inf")
    for share in images:
        columns = drawn(alone, [row for row in split.rows if row.labels == share], resamples)[0]
        clusters = min(clusters, float(columns.effective.numbers[-1]))
        for place, (mode, seed) in enumerate(columns.rows):
            value = float(columns.values[place, -1])
            if not np.isnan(value):
                found.setdefault((mode, share), {})[seed] = value, columns.replicates[:, place, -1].copy()
    return Averages(images, clusters, found)


def _saved(averages: Averages, cell: Cell, results: Results) -> Saved | None:
    """Return what a mode's images are worth in the baseline's; None where nothing is known of it."""
    tried = [(results.baseline, share) for share in averages.shares(results.baseline)]
    images = np.array([averages.images[share] for _, share in tried])
    if cell not in averages.found or len(np.unique(images)) < 2 or averages.clusters < 2:
        return None
    seeds = averages.seeds([cell, *tried])
    if not seeds:
        return None
    sign = 1 if results.higher_is_better else -1
    against = _against(averages, [cell, *tried], seeds, images, sign=sign)
    if against is None:
        return None
    most = _against(averages, [tried[int(images.argmax())], *tried], seeds, images, sign=sign)
    return _record(against, cell, averages.images[cell[1]], seeds, flat=most is not None and _flat(most))


def _flat(most: Against) -> bool:
    """Whether the baseline with the most images is not told to be better than with the fewest."""
    fewest = float(most.curve.images[0])
    outside = most.across(fewest) if most.values.shape[1] > 1 else most.given(fewest)
    gain = float(most.values[0].mean() - most.curve.at(fewest) @ most.values[1:].mean(1))
    return outside <= 0 or gain <= 0


def _against(
    averages: Averages, cells: Sequence[Cell], seeds: Sequence[int], images: Float64Array, *, sign: int
) -> Against | None:
    """Return the comparison, higher being better; None where too many draws have no score."""
    values, draws = averages.of(cells, seeds)
    draws = draws.reshape(len(draws), -1)
    if np.isnan(draws).any(1).mean() > MOST_UNKNOWN:
        return None
    moved = covariance(draws, averages.clusters).reshape(*values.shape, *values.shape)
    return Against(Curve.of(images, sign * values[1:].mean(1)), sign * values, moved, averages.clusters)


def _record(against: Against, cell: Cell, images: int, seeds: tuple[int, ...], *, flat: bool) -> Saved:
    smallest, largest = (int(one) for one in against.curve.images[[0, -1]])
    equal = against.equal
    return Saved(
        mode=cell[0],
        labels=cell[1],
        images=images,
        seeds=seeds,
        equal=equal if smallest <= equal <= largest else None,
        beyond="more" if equal > largest else "fewer" if equal < smallest else "",
        smallest=smallest,
        largest=largest,
        fitted=against.curve.fitted,
        flat=flat,
        given=ImageInterval.of(against.ends(against.given)),
        across=ImageInterval.of(against.ends(against.across)) if len(seeds) > 1 else None,
    )


def _notes(saved: Sequence[Saved], averages: Averages, modes: Sequence[str], baseline: str) -> Iterator[str]:
    if saved:
        several = all(len(one.seeds) > 1 for one in saved)
        yield (
            f"scores as: on {baseline}'s averages, straight in log(images) between the numbers tried; 95% interval over"
            f" other samples{' and other seeds' if several else ' with these trainings'}, paired by sample and seed"
        )
    if any(one.fitted for one in saved):
        yield (
            f"{baseline} does not score better with more images everywhere: the number is read from a curve that never"
            " gets worse, fitted to it (isotonic regression); the interval is of the scores as they are"
        )
    made = {(one.mode, one.labels) for one in saved}
    for mode in modes:
        without = [share for share in averages.shares(mode) if (mode, share) not in made]
        if without:
            counts = ", ".join(f"{averages.images[share]:,}" for share in without)
            yield f"{mode} with {counts} images is not compared by images: {_why(averages, baseline)}"


def _why(averages: Averages, baseline: str) -> str:
    """Return why nothing is known of what a mode's images are worth."""
    if len({averages.images[share] for share in averages.shares(baseline)}) < 2:
        return f"{baseline} has no scores with two numbers of images or more"
    if averages.clusters < 2:
        return "all labels, or nearly all, are of one image"
    return f"no seed has it and all of {baseline}'s numbers of images, with a score on nearly every draw of the samples"
