"""How soon each mode gets there: the quantities below the curves of convergence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kpcore.evidence.convergence import Estimate, Reached
from kpcore.records.results import SplitInfo
from kpcore.report.page.folder import Run


@dataclass(frozen=True)
class Pace:
    """One line: a mode, a share of the baseline's final score, and what it took to reach it."""

    mode: str
    share: str
    reached: str
    epochs: str
    iterations: str
    with_sources: str
    saved: str


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
        told(one.saved, 0),
    )


def told(found: Estimate | None, digits: int) -> str:
    """Return a mean with its interval, where there is one."""
    if found is None:
        return "–"
    limits = (
        "" if found.low is None or found.high is None else f" ({found.low:,.{digits}f} to {found.high:,.{digits}f})"
    )
    return f"{found.value:,.{digits}f}{limits}".replace("-", "−")


def gaps(run: Run, split: SplitInfo) -> Iterator[str]:
    """Yield a sentence a mode: how far its curve lies from the baseline's, on average."""
    found = run.evidence.convergence if run.evidence else None
    for one in found.gaps if found else ():
        if one.split == split.name:
            mean = told(one.mean, 1)
            base = run.results.labels[run.results.baseline]
            yield f"Over the iterations that both have, the curve of “{run.results.labels[one.mode]}” lies {mean} from that of “{base}”."
