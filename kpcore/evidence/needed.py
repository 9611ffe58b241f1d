"""What would tell an undecided difference, in words."""

from __future__ import annotations

import math

from kpcore.evidence.intervals import Spread
from kpcore.evidence.model import Needed
from kpcore.evidence.verdicts import MOST_SAMPLES, MOST_SEEDS, samples_needed, seeds_needed


def needed(spread: Spread, level: float) -> Needed | None:
    """Return how many seeds, or how many samples, would tell a difference of this size at this level; None of 0."""
    if spread.value == 0:
        return None
    seeds, samples = seeds_needed(spread, level), samples_needed(spread, level)
    return Needed(
        seeds=_whole(seeds, MOST_SEEDS),
        times_samples=samples if samples is not None and samples <= MOST_SAMPLES else None,
        text=f"{_seeds(seeds)}; {_samples(samples, spread)}",
    )


def _whole(count: float | None, most: int) -> int | None:
    return int(count) if count is not None and count <= most else None


def _seeds(count: float | None) -> str:
    if count is None:
        return "one seed says nothing of others: run two or more"
    if math.isinf(count):
        return "no number of seeds on these samples would tell it"
    return f"more than {MOST_SEEDS} seeds" if count > MOST_SEEDS else f"about {count:.0f} seeds on these samples"


def _samples(factor: float | None, spread: Spread) -> str:
    if factor is None:
        return ""
    trainings = "with these trainings" if spread.seeds == 1 else f"with {spread.seeds} seeds"
    if math.isinf(factor):
        return f"no number of samples would tell it {trainings}"
    if factor > MOST_SAMPLES:
        return f"more than {MOST_SAMPLES} times the samples {trainings}"
    return f"{times(factor)} the samples {trainings}"


def times(factor: float) -> str:
    """Return a factor in two digits, which is more than is known of it: "about 1.5 times", "about 36 times"."""
    return f"about {factor:.{0 if factor >= 9.95 else 1}f} times"
