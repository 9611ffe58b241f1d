"""How soon each mode gets there: the quantities below the curves of convergence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from kpcore.evidence.convergence import Estimate, Reached
from kpcore.records.results import SplitInfo
from kpcore.report.figures import difference
from kpcore.report.page.folder import Run


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
        told(one.saved, 0, least=-math.inf),
    )


def told(found: Estimate | None, digits: int, *, least: float = 0.0) -> tuple[str, str]:
    """Return a mean and its interval, "" where there is none or all seeds agree; no limit is below ``least``."""
    if found is None:
        return "–", ""
    low, high = found.low, found.high
    limits = f"{max(low, least):,.{digits}f} to {high:,.{digits}f}" if _known(found) else ""  # type: ignore[type-var]
    return f"{found.value:,.{digits}f}".replace("-", "−"), limits.replace("-", "−")


def _known(found: Estimate) -> bool:
    """Whether there is an interval, and seeds do not all agree."""
    return found.low is not None and found.high is not None and found.low < found.high


def gaps(run: Run, split: SplitInfo) -> Iterator[str]:
    """Yield a sentence a mode: how far its curve lies from the baseline's on average over iterations, signed."""
    found = run.evidence.convergence if run.evidence else None
    for one in found.gaps if found else ():
        if one.split == split.name:
            base = run.results.labels[run.results.baseline]
            mode, mean = run.results.labels[one.mode], one.mean
            limits = f" (95% {difference(mean.low, 1)} to {difference(mean.high, 1)})" if _known(mean) else ""
            lower = "" if run.results.validation_higher_is_better else "; lower is better"
            if float(f"{mean.value:.1f}") or limits:
                yield f"{mode} minus “{base}” is {difference(mean.value, 1)}{limits} on average over training{lower}."
            else:
                yield f"{mode} lies level with “{base}” on average."
