"""The arithmetic of a report: means over seeds, and differences to a paper and to the baseline."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from kpcore.records.results import AVERAGE, Results, SplitInfo

VAST = 1e150
"""Beyond it sums and squares overflow: a file from anywhere may hold such figures, and they are counted in the largest.
"""


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds and the sample standard deviation; None where there are too few for either."""

    mean: float | None
    spread: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Estimate:
        """Summarise the values that exist."""
        known = [value for value in values if value is not None]
        largest = max(map(abs, known), default=0.0)
        unit = largest if largest > VAST else 1.0
        scaled = [value / unit for value in known]
        return cls(
            mean=unit * statistics.fmean(scaled) if known else None,
            spread=unit * statistics.stdev(scaled) if len(known) > 1 else None,
            n=len(known),
        )


def estimate(results: Results, split: str, mode: str, column: str) -> Estimate:
    """Summarise one column (or ``"average"``) of a split and mode over the seeds that are done."""
    return Estimate.of(row.value(column) for row in results.rows_of(split, mode) if row.status == "done")


def columns_of(results: Results, split: SplitInfo) -> tuple[str, ...]:
    """Columns of a split's table: those that its rows have, the split's first; the split's own before any is done.

    A convention with columns of its own (mpii-weighted) replaces the split's.
    """
    scored = dict.fromkeys(name for row in results.rows_of(split.name) for name in row.columns)
    own = [name for name in split.columns if name in scored]
    return (*own, *(name for name in scored if name not in own)) if scored else split.columns


def obstacle(results: Results, split: SplitInfo) -> str:
    """Why a split's reference cannot be compared with the results ("sample data"); "" where it can."""
    if results.data.sample:
        return "sample data"
    if split.not_compared:
        return split.not_compared
    stated = split.reference_convention
    other = [name for name in results.conventions if name != stated]
    return f"convention {other[0]} is not {stated}" if stated and other else ""


def below_mean_shape(results: Results, split: SplitInfo, mode: str) -> bool:
    """Whether a mode's average is worse than that of the mean shape, which looks at no picture."""
    own, shape = estimate(results, split.name, mode, AVERAGE).mean, split.mean_shape.get(AVERAGE)
    if own is None or shape is None:
        return False
    return own < shape if results.higher_is_better else own > shape


def to_reference(results: Results, split: SplitInfo, mode: str) -> float | None:
    """The average minus the paper's; None where either is absent or they cannot be compared."""
    published = split.reference.get(mode, {}).get(AVERAGE)
    mean = estimate(results, split.name, mode, AVERAGE).mean
    if published is None or mean is None or obstacle(results, split):
        return None
    return mean - published


def to_baseline(results: Results, split: str, mode: str) -> float | None:
    """The average minus that of the study's baseline, as the mean over the seeds that both have; None where none is.

    Pairing by seed keeps a failed seed of one mode from shifting the difference.
    """
    if mode == results.baseline:
        return None
    base, own = (
        {row.seed: row.average for row in results.rows_of(split, name) if row.average is not None}
        for name in (results.baseline, mode)
    )
    return Estimate.of(own[seed] - base[seed] for seed in own if seed in base).mean


def as_sentence(note: str, results: Results) -> str:
    """Return a note with a full stop and a capital; a name that it begins with stays as it is."""
    names = {name for mode in results.modes for name in (mode.name, results.labels[mode.name])}
    named = any(note.startswith(name) for name in names)
    return f"{note}." if named else f"{note[:1].upper()}{note[1:]}."
