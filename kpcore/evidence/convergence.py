"""How soon modes get there: cost to reach a share of the baseline's final score, and the area between curves.

Scores here are those of the validation that is read after every epoch, so that when one was reached is known to within
that epoch. Cost counts the last step's training alone, with
all of what it was built on, and with its share of that: a source that several rows start from is divided among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kpcore.config import Strict
from kpcore.evidence.estimate import Estimate, Gain, Grain, judged
from kpcore.evidence.model import Figure
from kpcore.records.results import HistoryRecord, JobInfo, Results, Row
from kpcore.tensors import Float64Array

SHARES = (0.9, 0.95, 1.0)
"""Of the baseline's final score; where lower is better, a score of the final one over this."""

Histories = Mapping[str, Sequence[HistoryRecord]]
"""Job key -> its epochs."""
ACROSS_SEEDS = (
    "across seeds alone, on the validation samples as they are; a time is known to within one epoch; verdicts after"
    " Holm's correction within a split, over all modes and shares (and apart from them, over the curves' distances)"
)
Seconds = Mapping[str, Sequence[float]]
"""Job key -> seconds of training after each epoch."""


class Cost(Strict):
    """What training took until a score was reached: of its own, with all sources, and with its share of them."""

    own: Estimate
    with_sources: Estimate
    amortised: Estimate


class Reached(Strict):
    """When a mode reached a share of the baseline's final validation score.

    ``target`` is that score. ``seeds`` are those that were run, ``reached`` how many of them got there; costs are of
    these alone, and None where none did. ``saved`` is by how many iterations of its own a mode is there before the
    baseline, paired by seed, where both got there; its verdict is corrected over the split's modes and shares.
    """

    split: str
    mode: str
    share: float
    target: Figure
    seeds: tuple[int, ...]
    reached: int
    epochs: Estimate | None
    iterations: Cost | None
    saved: Gain | None = None
    seconds: Cost | None = None


class Gap(Strict):
    """The area between a mode's validation curve and the baseline's, up to where the shorter one ends, by seed.

    ``area`` is in the score's unit times iterations, ``mean`` the same over the iterations: positive where the mode's
    curve lies above.
    """

    split: str
    mode: str
    seeds: tuple[int, ...]
    iterations: Estimate
    area: Estimate
    mean: Gain


class Convergence(Strict):
    """All that is said of a study's curves; ``note`` says what its intervals and verdicts are about."""

    convention: str
    higher_is_better: bool
    note: str = ACROSS_SEEDS
    reached: tuple[Reached, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class Course:
    """One row's training.

    Args:
        seed: of it.
        scores: (E,) validation after every epoch, NaN where there was none.
        iterations: (E,) steps until then.
        final: validation of the weights that were kept.
        sources: iterations of all trainings that it was built on, and its share of them.
        seconds: (E,) until then, and those of the sources as ``sources``; None where they are not known.
    """

    seed: int
    scores: Float64Array
    iterations: Float64Array
    final: float
    sources: tuple[float, float]
    seconds: tuple[Float64Array, float, float] | None


def convergence(results: Results, histories: Histories, seconds: Seconds) -> Convergence | None:
    """Return when modes reached the baseline's final scores, and the gaps; None where no baseline has a history.

    Args:
        results: of the study.
        histories: of its jobs, as far as they are there.
        seconds: of its jobs, as far as they are there.
    """
    reached: list[Reached] = []
    gaps: list[Gap] = []
    higher = results.validation_higher_is_better
    for split in results.splits:
        courses = {mode.name: _courses(results, split.name, mode.name, histories, seconds) for mode in results.modes}
        base = courses.get(results.baseline, [])
        if not base:
            continue
        start = len(reached)
        for share in SHARES:
            final = float(np.mean([course.final for course in base]))
            target = final * share if higher else final / share
            for mode, found in courses.items():
                if found:
                    mine, theirs = ((one, _first(one, target, higher)) for one in (found, base))
                    reached.append(
                        _reached(split.name, mode, share, target, mine, None if mode == results.baseline else theirs)
                    )
        reached[start:] = _with_verdicts(reached[start:])
        gaps += _gaps(split.name, courses, results.baseline, higher=higher)
    if not reached:
        return None
    return Convergence(
        convention=results.validation_convention, higher_is_better=higher, reached=tuple(reached), gaps=tuple(gaps)
    )


def _with_verdicts(reached: Sequence[Reached]) -> list[Reached]:
    """Return those of one split with verdicts on what is saved, of which more is better."""
    saved = judged([one.saved for one in reached], higher_is_better=True)
    return [one.model_copy(update={"saved": gain}) for one, gain in zip(reached, saved, strict=True)]


def _gaps(split: str, courses: Mapping[str, Sequence[Course]], baseline: str, *, higher: bool) -> list[Gap]:
    """Return the areas between the baseline's curve and each other mode's, with verdicts on their means."""
    others = [(mode, found) for mode, found in courses.items() if mode != baseline]
    gaps = [gap for mode, found in others if (gap := _gap(split, mode, found, courses[baseline])) is not None]
    means = judged([gap.mean for gap in gaps], higher_is_better=higher)
    return [gap.model_copy(update={"mean": mean}) for gap, mean in zip(gaps, means, strict=True)]


def _courses(results: Results, split: str, mode: str, histories: Histories, seconds: Seconds) -> list[Course]:
    return [
        course
        for row in results.rows_of(split, mode)
        if row.status == "done" and (course := _course(results, row, histories, seconds)) is not None
    ]


def _course(results: Results, row: Row, histories: Histories, seconds: Seconds) -> Course | None:
    """Return a row's training; None where its history, or a source's, is not there."""
    records = histories.get(row.job, ())
    final = next((one.validation for one in records if one.epoch == row.scored_epoch), None)
    sources = _shares(results, row.job)
    if final is None or not all(histories.get(key) for key in sources):
        return None
    scores = np.array([np.nan if one.validation is None else one.validation for one in records], np.float64)
    iterations = np.array([one.iterations for one in records], np.float64)
    spent = {key: float(histories[key][-1].iterations) for key in sources}
    timed = all(len(seconds.get(key, ())) == len(histories[key]) for key in (row.job, *sources))
    return Course(
        row.seed, scores, iterations, final, _totals(spent, sources),
        (np.asarray(seconds[row.job], np.float64), *_totals({key: seconds[key][-1] for key in sources}, sources))
        if timed
        else None,
    )  # fmt: skip


def _totals(spent: Mapping[str, float], shares: Mapping[str, float]) -> tuple[float, float]:
    """Return all that was spent, and the share of it."""
    return sum(spent.values()), sum(value * shares[key] for key, value in spent.items())


def _shares(results: Results, job: str) -> dict[str, float]:
    """Return the sources of a job, and theirs: key -> the share of each that is this job's."""
    jobs = {one.key: one for one in results.jobs}
    scored = {row.job for row in results.rows if row.job and row.status == "done"}
    users = [set(_ancestors(jobs, key)) for key in scored]
    return {key: 1 / max(1, sum(key in found for found in users)) for key in _ancestors(jobs, job)}


def _ancestors(jobs: Mapping[str, JobInfo], key: str) -> list[str]:
    found: list[str] = []
    for source in jobs[key].sources if key in jobs else ():
        found += [source, *_ancestors(jobs, source)]
    return list(dict.fromkeys(found))


def _first(courses: Sequence[Course], target: float, higher: bool) -> dict[int, int]:
    """Return seed -> place of the first epoch at which the target was reached, of those that reached it."""
    found = {}
    for course in courses:
        with np.errstate(invalid="ignore"):
            there = course.scores >= target if higher else course.scores <= target
        if there.any():
            found[course.seed] = int(np.argmax(there))
    return found


def _reached(
    split: str, mode: str, share: float, target: float, mine: tuple[Sequence[Course], Mapping[int, int]],
    theirs: tuple[Sequence[Course], Mapping[int, int]] | None,
) -> Reached:  # fmt: skip
    courses, places = mine
    there = [(course, places[course.seed]) for course in courses if course.seed in places]
    return Reached(
        split=split,
        mode=mode,
        share=share,
        target=target,
        seeds=tuple(course.seed for course in courses),
        reached=len(there),
        epochs=Estimate.of([place + 1 for _, place in there], 1, Grain(1.0)) if there else None,
        iterations=_cost(there, lambda course: (course.iterations, *course.sources)) if there else None,
        saved=_saved(mine, theirs) if theirs else None,
        seconds=_cost(there, _seconds) if there and all(course.seconds for course, _ in there) else None,
    )


def _seconds(course: Course) -> tuple[Float64Array, float, float]:
    assert course.seconds is not None  # asked for where it is known
    return course.seconds


def _cost(
    there: Sequence[tuple[Course, int]], spent: Callable[[Course], tuple[Float64Array, float, float]]
) -> Cost:  # fmt: skip
    own, all_sources, share = (
        list(one) for one in zip(*(_at(spent(course), place) for course, place in there), strict=True)
    )
    first = min(float(spent(course)[0][0]) for course, _ in there)  # nobody is there before an epoch has ended
    grain = Grain(float(np.mean([_epoch(spent(course)[0], place) for course, place in there])))
    return Cost(
        own=Estimate.of(own, first, grain),
        with_sources=Estimate.of(np.add(own, all_sources).tolist(), first + min(all_sources), grain),
        amortised=Estimate.of(np.add(own, share).tolist(), first + min(share), grain),
    )


def _epoch(spent: Float64Array, place: int) -> float:
    """Return what the epoch took at whose end a score was read: it was reached somewhere within it."""
    return float(spent[place] - (spent[place - 1] if place else 0.0))


def _at(spent: tuple[Float64Array, float, float], place: int) -> tuple[float, float, float]:
    return float(spent[0][place]), spent[1], spent[2]


def _saved(
    mine: tuple[Sequence[Course], Mapping[int, int]], theirs: tuple[Sequence[Course], Mapping[int, int]]
) -> Gain | None:
    """Return by how many iterations the first is there before the second, by seed; None where no seed has both."""
    first, second = (
        {course.seed: (course.iterations, places[course.seed]) for course in courses if course.seed in places}
        for courses, places in (mine, theirs)
    )
    both = [(first[seed], second[seed]) for seed in first if seed in second]
    if not both:
        return None
    saved = [float(base[place] - own[here]) for (own, here), (base, place) in both]
    earlier = [float(np.mean([_epoch(*pair[mode]) for pair in both])) for mode in (0, 1)]
    return Gain.of(saved, grain=Grain(below=earlier[1], above=earlier[0]))


def _gap(split: str, mode: str, mine: Sequence[Course], theirs: Sequence[Course]) -> Gap | None:
    """Return the area between two modes' curves, by seed; None where no seed has both."""
    by_seed = {course.seed: course for course in theirs}
    pairs = [(course, by_seed[course.seed]) for course in mine if course.seed in by_seed]
    areas = {one.seed: found for one, other in pairs if (found := _area(one, other)) is not None}
    if not areas:
        return None
    lengths, sizes = (np.array(values) for values in zip(*areas.values(), strict=True))
    return Gap(
        split=split,
        mode=mode,
        seeds=tuple(areas),
        iterations=Estimate.of(lengths.tolist()),
        area=Estimate.of(sizes.tolist()),
        mean=Gain.of((sizes / lengths).tolist()),
    )


def _area(one: Course, other: Course) -> tuple[float, float] | None:
    """Return over how many iterations both curves run, and the area between them; None where they never do."""
    curves = [(course.iterations[known], course.scores[known]) for course in (one, other)
              if (known := ~np.isnan(course.scores)).any()]  # fmt: skip
    if len(curves) < 2:
        return None
    start, end = max(curve[0][0] for curve in curves), min(curve[0][-1] for curve in curves)
    places = np.unique(np.concatenate([curve[0] for curve in curves]))
    places = places[(places >= start) & (places <= end)]
    if len(places) < 2:
        return None
    heights = np.interp(places, *curves[0]) - np.interp(places, *curves[1])
    return float(end - start), float((np.diff(places) * (heights[1:] + heights[:-1]) / 2).sum())
