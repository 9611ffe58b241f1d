"""Training curves: every epoch of every job as CSV, and validation of the scored jobs as PNG (paper, Fig. 3)."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kpcore.records.results import HistoryRecord, Results, Row
from kpcore.report.files import csv_text, save
from kpcore.report.grid import preset_in_words
from kpcore.tensors import Float64Array

Histories = Mapping[str, Sequence[HistoryRecord]]
"""Job key -> its epochs, in order; a job that has not begun may be absent."""

CSV_HEADER = ("split", "mode", "seed", "step", "epoch", "iterations", "loss", "validation", "convention", "data")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, told apart with every common colour blindness; a mode's place decides, so figures agree."""
STYLES: tuple[tuple[float, Sequence[float]], ...] = (
    (0, ()),
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (5, 1.5, 1.5, 1.5)),
)
"""Dash patterns, so that lines differ in print without colour too."""
INK = "#333333"

PANEL = (3.6, 2.5)
"""Width and height of a panel, inches."""
LONE_PANEL = 5.6
"""Width of a panel that has no neighbour: the title needs it."""
LEFT, RIGHT, TOP, BOTTOM, GAP = 0.72, 0.2, 0.88, 1.05, 0.58
"""Margins around the panels and the height between them, inches."""
LEGEND_COLUMNS, LEGEND_LINE = 3, 0.19
"""Entries a line of the legend, and a line's height, inches."""
DPI = 160


def write_curves(results: Results, histories: Histories, folder: Path) -> list[Path]:
    """Write ``curves.csv`` and ``curves.png``; return their paths.

    Raises:
        KpError: the folder cannot be written.
    """
    return [
        save(folder / "curves.csv", curves_csv(results, histories).encode()),
        save(folder / "curves.png", curves_png(results, histories)),
    ]


def curves_csv(results: Results, histories: Histories) -> str:
    """Return one line a job and epoch, the source trainings' too (step 0)."""
    convention, data = _convention(results), results.data.name
    return csv_text(
        CSV_HEADER,
        (
            (
                job.split, job.mode, job.seed, job.step, record.epoch, record.iterations, record.loss,
                record.validation, convention, data,
            )
            for job in results.canonical().jobs
            for record in histories.get(job.key, ())
        ),
    )  # fmt: skip


def curves_png(results: Results, histories: Histories) -> bytes:
    """Return the figure: a panel a split, a line a mode (mean over seeds, in their range), best epochs marked."""
    figure, panels = _panels(len(results.splits), len(results.modes))
    for axes, split in zip(panels, results.splits, strict=True):
        _title(axes, f"Split {split.name}")
        drawn = [
            _draw_mode(axes, results.rows_of(split.name, mode.name), histories, place)
            for place, mode in enumerate(results.modes)
        ]
        if not any(drawn):
            axes.text(0.5, 0.5, "no epoch yet", transform=axes.transAxes, ha="center", va="center", color=INK)
    _furnish(figure, results)
    buffer = io.BytesIO()
    # Without the library's version in it, equal curves give equal files.
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def figure_size(panels: int, modes: int) -> tuple[float, float]:
    """Width and height in inches of a figure with this many panels and legend entries."""
    rows, columns = _shape(panels)
    return LEFT + (columns * PANEL[0] if columns > 1 else LONE_PANEL) + RIGHT, TOP + rows * PANEL[1] + (
        rows - 1
    ) * GAP + _bottom(modes)


def _bottom(modes: int) -> float:
    """Inches below the panels: the axis name, the legend's lines and the footnotes."""
    return BOTTOM + LEGEND_LINE * (math.ceil(modes / LEGEND_COLUMNS) - 1)


def _shape(panels: int) -> tuple[int, int]:
    """Rows and columns: one row of up to three panels, then as near to a square as they come."""
    columns = panels if panels <= 3 else math.ceil(math.sqrt(panels))
    return math.ceil(panels / columns), columns


def _panels(count: int, modes: int) -> tuple[Figure, list[Axes]]:
    width, height = figure_size(count, modes)
    rows, columns = _shape(count)
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        rows, columns, sharex=True, sharey=True, squeeze=False,
        gridspec_kw={
            "left": LEFT / width, "right": 1 - RIGHT / width,
            "top": 1 - TOP / height, "bottom": _bottom(modes) / height,
            "wspace": 0.08, "hspace": GAP / PANEL[1],
        },
    )  # fmt: skip
    panels = list(grid.flat)
    for axes in panels[count:]:
        axes.remove()
    for axes in panels[:count]:
        _dress(axes)
    return figure, panels[:count]


def _dress(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(labelsize=8, color="#999999", labelcolor=INK, labelbottom=True)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.margins(x=0.03, y=0.06)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10, fontweight="bold", color=INK, parse_math=False)


def _draw_mode(axes: Axes, rows: Sequence[Row], histories: Histories, place: int) -> bool:
    """Draw one mode's seeds; return whether there was anything to draw."""
    runs = [(row, curve(histories[row.job])) for row in rows if histories.get(row.job)]
    if not runs:
        return False
    colour, style = COLOURS[place % len(COLOURS)], STYLES[place % len(STYLES)]
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
    """One seed's own course after the shortest seed's end, and its best epoch."""
    tail = np.arange(shared, len(values) + 1)
    axes.plot(tail, values[tail - 1], color=colour, linewidth=0.8, alpha=0.7, zorder=2)
    if row.best_epoch and row.best_epoch <= len(values):
        axes.plot(
            row.best_epoch, values[row.best_epoch - 1], marker="o", markersize=5, color=colour,
            markeredgecolor="white", markeredgewidth=0.8, zorder=4,
        )  # fmt: skip


def curve(records: Sequence[HistoryRecord]) -> Float64Array:
    """Validation values (E,) of epochs 1 to E, NaN where an epoch was not scored."""
    values = np.full(max(record.epoch for record in records), np.nan)
    for record in records:
        if record.validation is not None:
            values[record.epoch - 1] = record.validation
    return values


def _furnish(figure: Figure, results: Results) -> None:
    """Title, axis names, legend and footnote, once for all panels."""
    width, height = figure.get_size_inches()
    title = f"Validation during training: {results.data.name}"
    subtitle = f"Study {results.study}; {results.data.extent}; {preset_in_words(results)}"
    _write(figure, LEFT / width, 1 - 0.2 / height, title, size=11, weight="bold")
    _write(figure, LEFT / width, 1 - 0.42 / height, subtitle, size=7.5)
    middle = (LEFT + width - RIGHT) / 2 / width
    bottom = _bottom(len(results.modes))
    _write(figure, middle, (bottom - 0.34) / height, "epoch", size=9, align="center")
    name = figure.text(0.16 / width, (bottom + height - TOP) / 2 / height, "validation score", rotation=90)
    name.set(fontsize=9, color=INK, va="center", ha="center")
    _legend(figure, results, middle, 0.4 / height)
    for line, text in enumerate(_footnotes(results)):
        _write(figure, LEFT / width, (0.26 - 0.15 * line) / height, text, size=7)


def _write(
    figure: Figure, x: float, y: float, text: str, *, size: float, weight: str = "normal", align: str = "left"
) -> None:
    # A name with a dollar sign in it is not a formula.
    label = figure.text(x, y, text, parse_math=False)
    label.set(fontsize=size, fontweight=weight, color=INK, ha=align, va="center")


def _legend(figure: Figure, results: Results, x: float, y: float) -> None:
    handles = [
        Line2D([], [], color=COLOURS[place % len(COLOURS)], linestyle=STYLES[place % len(STYLES)], linewidth=1.7)
        for place in range(len(results.modes))
    ]
    legend = figure.legend(
        handles, ["mode"] * len(handles), loc="lower center", bbox_to_anchor=(x, y), ncols=LEGEND_COLUMNS,
        frameon=False, fontsize=8.5, labelcolor=INK, handlelength=2.6, borderaxespad=0, borderpad=0,
    )  # fmt: skip
    # Set afterwards: the legend would leave out a name that begins with an underscore.
    for text, label in zip(legend.get_texts(), results.labels.values(), strict=True):
        text.set_parse_math(False)
        text.set_text(label)


def _footnotes(results: Results) -> list[str]:
    seeds = len({row.seed for row in results.rows})
    band = (
        "line: mean over seeds, band: their range, thin line: a seed that ran longer"
        if seeds > 1
        else "1 seed: no spread"
    )
    unfinished = sum(row.status != "done" for row in results.rows)
    missing = f"; {unfinished} of {len(results.rows)} runs not finished" if unfinished else ""
    return [f"Metric: {_convention(results)}.", f"Dot: best epoch; {band}{missing}."]


def _convention(results: Results) -> str:
    return results.validation_convention or " and ".join(results.conventions)
