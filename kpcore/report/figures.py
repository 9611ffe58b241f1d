"""Figures as text: how many decimals, which minus, what stands for none."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kpcore.records.results import Results
from kpcore.report.summary import Estimate

STATED = re.compile(r" \(([^() ]+)\)$")
"""A unit at the end of a convention."""
LARGE = 10
"""From here on lengths have one decimal."""
NOTHING = "–"
"""Stands in a cell that has no figure."""


def decimals(results: Results) -> int:
    """How many decimals tables print: one, as the paper; two of errors, as is usual, but one of ten millimetres."""
    averages = [row.average for row in results.rows if row.average is not None]
    return decimals_of(averages, results.conventions, higher_is_better=results.higher_is_better)


def decimals_of(averages: Iterable[float], conventions: Iterable[str], *, higher_is_better: bool) -> int:
    """Return the same of these averages: of lengths, whose unit the convention ends in, by how large they are."""
    if higher_is_better:
        return 1
    length = unit_in(conventions) not in ("", "%", "percent")
    return 1 if length and max(map(abs, averages), default=0.0) >= LARGE else 2


def stated_unit(results: Results) -> str:
    """The unit that all conventions end in, as in "MPJPE at pelvis (mm)"; "" where they do not."""
    return unit_in(results.conventions)


def unit_in(conventions: Iterable[str]) -> str:
    """Return the same of these conventions."""
    found = {match[1] if (match := STATED.search(name)) else "" for name in conventions}
    return found.pop() if len(found) == 1 else ""


def figure(value: float | None, digits: int) -> str:
    """A figure as tables print it."""
    return NOTHING if value is None else f"{value:.{digits}f}".replace("-", "−")


def difference(value: float | None, digits: int) -> str:
    """A signed figure; what rounds to nothing has no sign."""
    if value is None:
        return NOTHING
    return figure(0.0, digits) if round(value, digits) == 0 else f"{value:+.{digits}f}".replace("-", "−")


def mean_and_spread(found: Estimate, digits: int) -> str:
    """Mean ± sample standard deviation; the mean alone where there is one seed."""
    spread = "" if found.spread is None else f" ± {found.spread:.{digits}f}"
    return figure(found.mean, digits) + spread
