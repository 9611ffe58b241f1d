"""Figures as text: how many decimals, which minus, what stands for none."""

from __future__ import annotations

import re

from kpcore.records.results import Results
from kpcore.report.summary import Estimate

STATED = re.compile(r" \(([^() ]+)\)$")
"""A unit at the end of a convention."""
NOTHING = "–"
"""Stands in a cell that has no figure."""


def decimals(results: Results) -> int:
    """How many decimals tables print: one, as the paper; two of errors, as is usual."""
    return 1 if results.higher_is_better else 2


def stated_unit(results: Results) -> str:
    """The unit that all conventions end in, as in "MPJPE at pelvis (mm)"; "" where they do not."""
    found = {match[1] if (match := STATED.search(name)) else "" for name in results.conventions}
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
