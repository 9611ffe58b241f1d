"""How soon each mode gets there: the quantities below the curves of convergence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from kpcore.evidence.convergence import Reached
from kpcore.evidence.estimate import Estimate, Gain
from kpcore.records.results import SplitInfo
from kpcore.report.figures import difference
from kpcore.report.page.folder import Run
from kpcore.report.spans import VERDICTS

SOONER = {"positive": "sooner", "negative": "later", "undecided": "undecided"}
"""Verdicts on iterations that are saved."""


@dataclass(frozen=True)
class Pace:
    """One line: a mode, a share of the baseline's final score, and what it took to reach it."""

    mode: str
    share: str
    reached: str
    epochs: tuple[str, str]
    iterations: tuple[str, str]
    with_sources: tuple[str, str]
    saved: tuple[str, str]


def paces(run: Run, split: SplitInfo) -> list[Pace]:
    """Return the lines of a split; none where nothing is known."""
    found = run.evidence.convergence if run.evidence else None
    return [_pace(run, one) for one in found.reached if one.split == split.name] if found else []


def _pace(run: Run, one: Reached) -> Pace:
    cost = one.iterations
    return Pace(
        run.results.labels[one.mode],
        f"{one.share:.0%}",
        f"{one.reached} of {len(one.seeds)}",
        told(one.epochs, 1),
        told(cost.own if cost else None, 0),
        told(cost.with_sources if cost else None, 0),
        _gain(one.saved),
    )


def _gain(found: Gain | None) -> tuple[str, str]:
    """Return what is saved, with its verdict after its interval."""
    value, limits = told(found, 0, least=-math.inf)
    return value, f"{limits}, {SOONER[found.verdict]}" if found and found.verdict else limits


def note(run: Run) -> str:
    """Return what intervals and verdicts are about; "" where none has an interval."""
    found = run.evidence.convergence if run.evidence else None
    if found is None or not any(one.saved and one.saved.verdict for one in found.reached):
        return ""
    return f"Intervals and verdicts here are {found.note}."


def told(found: Estimate | None, digits: int, *, least: float = 0.0) -> tuple[str, str]:
    """Return a mean and its interval, "" with one seed; no limit is below ``least``."""
    if found is None:
        return "–", ""
    low, high = found.low, found.high
    limits = "" if low is None or high is None else f"{max(low, least):,.{digits}f} to {high:,.{digits}f}"
    return f"{found.value:,.{digits}f}".replace("-", "−"), limits.replace("-", "−")


def gaps(run: Run, split: SplitInfo) -> Iterator[str]:
    """Yield a sentence a mode: how far its curve lies from the baseline's on average over iterations, signed."""
    found = run.evidence.convergence if run.evidence else None
    for one in found.gaps if found else ():
        if one.split == split.name:
            base = run.results.labels[run.results.baseline]
            mode, mean = run.results.labels[one.mode], one.mean
            known = mean.low is not None and mean.high is not None
            limits = f" (95% {difference(mean.low, 1)} to {difference(mean.high, 1)})" if known else ""
            said = f", {VERDICTS[mean.verdict]}" if mean.verdict else ""
            lower = "" if run.results.validation_higher_is_better else "; lower is better"
            if float(f"{mean.value:.1f}") or limits:
                value = f"{difference(mean.value, 1)}{limits}"
                yield f"{mode} minus “{base}” is {value} on average over training{said}{lower}."
            else:
                yield f"{mode} lies level with “{base}” on average."
