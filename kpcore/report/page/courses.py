"""Curves: the score against the number of labelled images, and validation against epochs (paper, Fig. 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from kpcore.evidence.model import Cell
from kpcore.records.results import AVERAGE, SplitInfo
from kpcore.report.curves import curve
from kpcore.report.layout import axis_name
from kpcore.report.page.folder import Run
from kpcore.report.page.look import SHAPE_DASH, TINY, figure_of, framed, mark, name_axes, style
from kpcore.report.page.svg import INK, MUTED, PAPER, Panel
from kpcore.tensors import Float64Array

HEIGHT = 240.0
BAND = 0.16
"""Opacity of a band."""
FAR = 1.0
"""Heights of the curves that the mean shape's line may lie off them."""


def label_curves(run: Run) -> Iterator[tuple[SplitInfo, Panel]]:
    """Yield a panel a split that was trained on several shares of the labels."""
    for place, split in enumerate(run.splits):
        shares = sorted({row.labels for row in run.results.rows_of(split.name) if row.status == "done"})
        if len(shares) > 1:
            yield split, _label_curve(run, split, f"labels-{place}")


def _label_curve(run: Run, split: SplitInfo, name: str) -> Panel:
    axes = framed(HEIGHT, top=34)
    told = []
    every: set[int] = set()
    for mode in run.results.modes:
        points = label_points(run, split.name, mode.name)
        if points:
            _draw_points(axes, run.place(mode.name), points)
            every |= {images for images, _ in points}
            told.append(
                f"{run.results.labels[mode.name]}: "
                + ", ".join(f"{cell.value:.{run.digits}f} with {n}" for n, cell in points)
            )
    _mean_shape(axes, split.mean_shape.get(AVERAGE), run.digits)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted(every)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{images:,}" for images in sorted(every)])
    name_axes(axes, "labelled images of S2", _score_name(run))
    text = f"Score against the number of labelled images. {'; '.join(told)}."
    return Panel(name, figure_of(axes), f"Split {split.name}: score by labelled images", text)


def label_points(run: Run, split: str, mode: str) -> list[tuple[int, Cell]]:
    """Return the average of a mode at each number of labelled images, the fewest first."""
    found = {}
    for row in run.results.rows_of(split, mode):
        table = run.table(split, row.labels)
        cell = table.cell(mode, AVERAGE) if table else None
        if row.status == "done" and row.images and cell is not None:
            found[row.images] = cell
    return sorted(found.items())


def _draw_points(axes: Axes, place: int, points: Sequence[tuple[int, Cell]]) -> None:
    images = [images for images, _ in points]
    axes.plot(images, [cell.value for _, cell in points], **style(place))
    axes.plot(images, [cell.value for _, cell in points], **mark(place))
    banded = [(n, cell.interval) for n, cell in points if cell.interval]
    axes.fill_between(
        [n for n, _ in banded], [one.low for _, one in banded], [one.high for _, one in banded],
        color=str(style(place)["color"]), alpha=BAND, linewidth=0,
    )  # fmt: skip


def _score_name(run: Run) -> str:
    convention = " and ".join(run.results.conventions)
    return convention + ("" if run.results.higher_is_better else ", lower is better")


def _mean_shape(axes: Axes, value: float | None, digits: int) -> None:
    """Draw the mean shape's line; one so far off that it would press the curves flat is written at that edge."""
    if value is None:
        return
    low, high = axes.dataLim.intervaly
    if low - FAR * (high - low) <= value <= high + FAR * (high - low):
        axes.axhline(value, color=MUTED, linestyle=SHAPE_DASH, linewidth=1.2, zorder=1)
        return
    below = value < low
    axes.margins(y=0.15)  # room for the words
    axes.text(
        1, 0.02 if below else 0.98, f"mean shape {value:.{digits}f}, off the scale", transform=axes.transAxes,
        fontsize=TINY, color=MUTED, ha="right", va="bottom" if below else "top", parse_math=False,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def convergence_curves(run: Run) -> Iterator[tuple[SplitInfo, Panel]]:
    """Yield a panel a split of which any training has a history."""
    for place, split in enumerate(run.splits):
        panel = _convergence(run, split, f"convergence-{place}")
        if panel is not None:
            yield split, panel


def _convergence(run: Run, split: SplitInfo, name: str) -> Panel | None:
    axes = framed(HEIGHT, top=34)
    told = []
    for mode in run.results.modes:
        courses = [(row.scored_epoch, curve(run.histories[row.job])) for row in run.finished(split.name, mode.name)
                   if run.histories.get(row.job)]  # fmt: skip
        if courses:
            _draw_course(axes, run.place(mode.name), courses)
            told.append(
                f"{run.results.labels[mode.name]} ends at {np.nanmean([values[-1] for _, values in courses]):.1f}"
            )
    if not told:
        return None
    _mean_shape(axes, split.validation_mean_shape, 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    name_axes(axes, "epoch", axis_name(run.results))
    text = f"Validation after every epoch. {'; '.join(told)}."
    return Panel(name, figure_of(axes), f"Split {split.name}: validation by epoch", text)


def _draw_course(axes: Axes, place: int, courses: Sequence[tuple[int | None, Float64Array]]) -> None:
    """Draw the mean over seeds up to where the shortest ends, their range, and the epochs that were scored."""
    shared = min(len(values) for _, values in courses)
    stack = np.stack([values[:shared] for _, values in courses])
    epochs = np.arange(1, shared + 1)
    axes.plot(epochs, stack.mean(0), **style(place))
    colour = str(style(place)["color"])
    if len(courses) > 1:
        axes.fill_between(epochs, stack.min(0), stack.max(0), color=colour, alpha=BAND, linewidth=0)
    for scored, values in courses:
        if scored and scored <= len(values):
            axes.plot(
                scored, values[scored - 1], marker="o", markersize=4.5, color=colour, markeredgecolor=INK,
                markeredgewidth=0.8, linestyle="none", zorder=4, clip_on=False,
            )  # fmt: skip
