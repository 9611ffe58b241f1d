"""The share of points within every threshold, by mode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kpcore.records.results import SplitInfo
from kpcore.records.shown import Thresholds
from kpcore.report.page.courses import BAND, HEIGHT
from kpcore.report.page.folder import Run
from kpcore.report.page.look import SHAPE_DASH, figure_of, framed, name_axes, style
from kpcore.report.page.svg import MUTED, Panel

THRESHOLD = 0.5
"""Share of points whose threshold the description tells."""


def threshold_curves(run: Run) -> Iterator[tuple[SplitInfo, Panel]]:
    """Yield a panel a split of which thresholds are known."""
    for place, split in enumerate(run.splits):
        shown = run.shown.split(split.name) if run.shown else None
        if shown is not None and shown.thresholds is not None:
            yield split, _panel(run, split, shown.thresholds, f"threshold-{place}")


def _panel(run: Run, split: SplitInfo, shown: Thresholds, name: str) -> Panel:
    axes = framed(HEIGHT, top=22)
    at = np.array(shown.thresholds, np.float64)
    told = []
    for mode in run.results.modes:
        seeds = [100 * np.array(one.shares) for one in shown.modes if one.mode == mode.name]
        if seeds:
            stack = np.stack(seeds)
            axes.plot(at, stack.mean(0), **style(run.place(mode.name)))
            colour = str(style(run.place(mode.name))["color"])
            if len(seeds) > 1:
                axes.fill_between(at, stack.min(0), stack.max(0), color=colour, alpha=BAND, linewidth=0)
            told.append(f"{run.results.labels[mode.name]}: {_half(at, stack.mean(0), rising=shown.rising)}")
    if shown.mean_shape:
        axes.plot(at, 100 * np.array(shown.mean_shape), color=MUTED, linestyle=SHAPE_DASH, linewidth=1.2, zorder=2)
    axes.set_ylim(0, 102)
    axes.set_xlim(float(at[0]), float(at[-1]))
    name_axes(axes, _axis(run, rising=shown.rising), "share of the points, %")
    text = f"Share of the scored points {'above' if shown.rising else 'within'} each threshold. {'; '.join(told)}."
    return Panel(name, figure_of(axes), f"Split {split.name}: points within a threshold", text)


def _axis(run: Run, *, rising: bool) -> str:
    """Return the name of the axis of thresholds: what a point's value is counted in, which scores may not be."""
    unit = run.shown.value_unit if run.shown else ""
    limit = "at least so similar" if rising else "error of at most"
    return f"{limit}, {'in ' * (not rising)}{unit}" if unit else f"{limit}, in the unit of a point's value"


def _half(at: np.typing.NDArray[np.float64], shares: np.typing.NDArray[np.float64], *, rising: bool) -> str:
    """Return in words where half of the points are."""
    there = shares >= 100 * THRESHOLD
    if not there.any():
        return "half of the points are further off than the curve goes"
    place = np.flatnonzero(there)[-1] if rising else np.argmax(there)
    return f"half of the points {'have at least' if rising else 'are within'} {at[place]:.3g}"
