"""Training curves: every epoch of every job as CSV, and validation of the scored jobs as a figure (paper, Fig. 3)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from kpcore.records.results import HistoryRecord, Results, Row
from kpcore.report.embedding import with_fonts
from kpcore.report.files import csv_text, save
from kpcore.report.layout import AXIS, EDGE, ENTRY, HANDLE, Entry, Layout, layout
from kpcore.report.lettering import INK, width, write
from kpcore.report.notes import Histories
from kpcore.tensors import Float64Array

CSV_HEADER = (
    "split",
    "mode",
    "labels",
    "seed",
    "step",
    "epoch",
    "iterations",
    "loss",
    "validation",
    "convention",
    "data",
)

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, told apart with every common colour blindness; a mode's place decides, so figures agree."""
STYLES: tuple[tuple[float, Sequence[float]], ...] = (
    (0, ()),
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (5, 1.5, 1.5, 1.5)),
)
"""Dash patterns, so that lines differ in print without colour too."""

SHAPE_COLOUR, SHAPE_STYLE = "#777777", (0, (6, 2, 1, 2, 1, 2))
"""Of the mean shape's line: no mode has either."""
DPI = 160
FORMATS: dict[str, dict[str, object]] = {
    # Without the library's version and the time in them, equal curves give equal files.
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Format -> what its metadata must not say."""


def write_curves(results: Results, histories: Histories, folder: Path) -> list[Path]:
    """Write ``curves.csv``, and the figure as ``curves.png``, ``curves.svg`` and ``curves.pdf``; return their paths.

    Raises:
        KpError: the folder cannot be written.
    """
    drawn = curves_figure(results, histories)
    return [
        save(folder / "curves.csv", curves_csv(results, histories).encode()),
        *(save(folder / f"curves.{form}", rendered(drawn, form)) for form in FORMATS),
    ]


def curves_csv(results: Results, histories: Histories) -> str:
    """Return one line a job and epoch, the source trainings' too (step 0)."""
    convention, data = _convention(results), results.data.name
    return csv_text(
        CSV_HEADER,
        (
            (
                job.split, job.mode, job.labels, job.seed, job.step, record.epoch, record.iterations, record.loss,
                record.validation, convention, data,
            )
            for job in results.canonical().jobs
            for record in histories.get(job.key, ())
        ),
    )  # fmt: skip


def curves_png(results: Results, histories: Histories) -> bytes:
    """Return the figure as PNG."""
    return rendered(curves_figure(results, histories), "png")


def rendered(figure: Figure, form: str) -> bytes:
    """Return a figure as a file of one of :data:`FORMATS`."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "kptransfer", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, dpi=DPI, metadata=FORMATS[form])
    return with_fonts(buffer.getvalue().decode()).encode() if form == "svg" else buffer.getvalue()


def curves_figure(results: Results, histories: Histories) -> Figure:
    """Draw a panel a split: a line a mode (mean over seeds, in their range), the mean shape, and the scored epochs."""
    results = results.at(results.shares[0])  # shares of the labels are not seeds; tables have them all
    plan = layout(results, histories)
    figure = Figure(figsize=plan.size, facecolor="white")
    FigureCanvasAgg(figure)
    for axes, split in zip(_panels(figure, plan), results.splits, strict=True):
        drawn = [
            _draw_mode(axes, results.rows_of(split.name, mode.name), histories, place)
            for place, mode in enumerate(results.modes)
        ]
        if not any(drawn):
            axes.text(0.5, 0.5, "no epoch yet", transform=axes.transAxes, ha="center", va="center", color=INK)
        elif split.validation_mean_shape is not None:
            axes.axhline(
                split.validation_mean_shape, color=SHAPE_COLOUR, linestyle=SHAPE_STYLE, linewidth=1.3, zorder=1
            )
    _furnish(figure, plan, len(results.modes))
    return figure


def _panels(figure: Figure, plan: Layout) -> list[Axes]:
    """The panels at their places, on common axes."""
    across, down = plan.size
    panels: list[Axes] = []
    for frame in plan.frames:
        left, top, width, height = frame.box
        first = panels[0] if panels else None
        axes = figure.add_axes(
            (left / across, 1 - (top + height) / down, width / across, height / down), sharex=first, sharey=first
        )
        _dress(axes)
        axes.tick_params(labelleft=left == plan.left)
        panels.append(axes)
    return panels


def _dress(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(labelsize=8, color="#999999", labelcolor=INK, labelbottom=True)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.margins(x=0.03, y=0.06)


def _draw_mode(axes: Axes, rows: Sequence[Row], histories: Histories, place: int) -> bool:
    """Draw one mode's seeds; return whether there was anything to draw."""
    runs = [(row, curve(histories[row.job])) for row in rows if histories.get(row.job)]
    if not runs:
        return False
    colour, style = look(place)
    # Seeds stop at different epochs; a mean over fewer and fewer of them would jump.
    shared = min(len(values) for _, values in runs)
    stack = np.stack([values[:shared] for _, values in runs])  # (seeds, epochs)
    epochs = np.arange(1, shared + 1)
    axes.plot(epochs, stack.mean(axis=0), color=colour, linestyle=style, linewidth=1.7, zorder=3)
    if len(runs) > 1:
        axes.fill_between(epochs, stack.min(axis=0), stack.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    for row, values in runs:
        _draw_seed(axes, row, values, shared, colour)
    return True


def _draw_seed(axes: Axes, row: Row, values: Float64Array, shared: int, colour: str) -> None:
    """One seed's own course after the shortest seed's end, and the epoch that was scored."""
    tail = np.arange(shared, len(values) + 1)
    axes.plot(tail, values[tail - 1], color=colour, linewidth=0.8, alpha=0.7, zorder=2)
    if row.scored_epoch and row.scored_epoch <= len(values):
        axes.plot(
            row.scored_epoch, values[row.scored_epoch - 1], marker="o", markersize=6.5, color=colour,
            markeredgecolor=INK, markeredgewidth=0.9, zorder=4, clip_on=False,
        )  # fmt: skip


def curve(records: Sequence[HistoryRecord]) -> Float64Array:
    """Validation values (E,) of epochs 1 to E, NaN where an epoch was not scored."""
    values = np.full(max(record.epoch for record in records), np.nan)
    for record in records:
        if record.validation is not None:
            values[record.epoch - 1] = record.validation
    return values


def _furnish(figure: Figure, plan: Layout, modes: int) -> None:
    """Titles, axis names, legend and footnotes."""
    left, (across, down) = plan.left, plan.size
    for block in (*plan.head, *plan.notes):
        write(figure, (left, down - block.top), block.lines, block.font)
    for frame in plan.frames:
        write(figure, (frame.box[0], down - frame.title.top), frame.title.lines, frame.title.font)
    middle = (left + across - EDGE) / 2 - width("epoch", AXIS) / 2
    write(figure, (middle, down - plan.epoch.top), plan.epoch.lines, AXIS)
    (_, top, _, _), (_, last, _, height) = plan.frames[0].box, plan.frames[-1].box
    write(figure, (EDGE, down - (top + last + height) / 2), plan.axis, AXIS, turned=True)
    for place, entry in enumerate(plan.entries):
        colour, style = look(place) if place < modes else (SHAPE_COLOUR, SHAPE_STYLE)
        _draw_entry(figure, entry, colour, style)


def look(place: int) -> tuple[str, tuple[float, Sequence[float]]]:
    """Return colour and dash pattern of the mode at that place of the table."""
    return COLOURS[place % len(COLOURS)], STYLES[place % len(STYLES)]


def _draw_entry(figure: Figure, entry: Entry, colour: str, style: tuple[float, Sequence[float]]) -> None:
    across, down = figure.get_size_inches()
    y = 1 - (entry.label.top + ENTRY.line / 2) / down
    ends = [entry.left / across, (entry.left + HANDLE - 0.1) / across]
    figure.add_artist(Line2D(ends, [y, y], color=colour, linestyle=style, linewidth=1.7, transform=figure.transFigure))
    write(figure, (entry.left + HANDLE, down - entry.label.top), entry.label.lines, ENTRY)


def _convention(results: Results) -> str:
    return results.validation_convention or " and ".join(results.conventions)
