"""How the page's drawings look: sizes, axes, marks, and names that fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from kpcore.errors import visible
from kpcore.report.curves import look
from kpcore.report.lettering import Font, width, wrapped
from kpcore.report.page.svg import INK, MUTED, PAPER, RULE, blank

WIDTH = 360.0
"""Points of a panel; a phone shows a point as about a pixel."""
SMALL, TINY = 11.0, 10.0
"""Points of axis texts and tick labels, and of notes inside a drawing."""
POINTS = 72
MARKERS = ("o", "s", "D", "^", "v", "P", "<", ">", "d", "*", "h")
"""Told apart without colour, and each can be hollow; a mode's place decides. They are not as many as the colours, so
that modes of one colour differ."""
SHAPE_DASH = (0, (1.5, 2))
"""Of the mean shape's line."""


def framed(height: float, *, left: float = 46, right: float = 10, top: float = 8, bottom: float = 38) -> Axes:
    """Return the one axes of a new panel of that many points' height; margins are in points."""
    figure = blank(WIDTH, height)
    axes = figure.add_axes(
        (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - top - bottom) / height)
    )
    axes.patch.set_alpha(0.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.spines[["left", "bottom"]].set_linewidth(0.7)
    axes.tick_params(labelsize=SMALL, color=MUTED, labelcolor=INK, width=0.7, length=3)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return axes


def name_axes(axes: Axes, across: str, up: str = "") -> None:
    """Write the axes' names: the horizontal one below, the vertical one above the axes, in two lines at most."""
    axes.set_xlabel(printed(across, WIDTH - 50), fontsize=SMALL, color=INK, labelpad=3, parse_math=False)
    if up:
        lines = wrapped(visible(" ".join(up.split())), Font(TINY), (WIDTH - 16) / POINTS)
        told = [*lines[:1], printed(" ".join(lines[1:]), WIDTH - 16, TINY)] if len(lines) > 1 else lines
        figure = figure_of(axes)
        high = figure.get_size_inches()[1] * POINTS
        for place, line in enumerate(told):
            note(figure, (4, high - 13 - 13 * place), line)


def figure_of(axes: Axes) -> Figure:
    """Return the figure that axes are part of."""
    found = axes.figure
    assert isinstance(found, Figure)  # no panel has figures inside
    return found


def printed(text: str, room: float, size: float = SMALL) -> str:
    """Return a text that takes no more than so many points in a line: its middle is left out where it is longer."""
    text = visible(" ".join(text.split()))
    font = Font(size)
    if width(text, font) * POINTS <= room:
        return text
    for keep in range(len(text) - 1, 1, -1):
        head = (keep + 1) // 2
        short = f"{text[:head].rstrip()}…{text[len(text) - keep // 2 :].lstrip()}"
        if width(short, font) * POINTS <= room:
            return short
    return "…"


def style(place: int) -> dict[str, Any]:
    """Return how a mode's line is drawn."""
    colour, dashes = look(place)
    return {"color": colour, "linestyle": dashes, "linewidth": 1.8, "zorder": 3}


def mark(place: int, *, filled: bool = True) -> dict[str, Any]:
    """Return how a mode's mark is drawn: hollow where nothing is decided."""
    colour, _ = look(place)
    return {
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 6.0,
        "markeredgecolor": colour,
        "markerfacecolor": colour if filled else PAPER,
        "markeredgewidth": 1.3,
        "linestyle": "none",
        "color": colour,
        "zorder": 4,
    }


def note(figure: Figure, place: tuple[float, float], text: str, *, right: bool = False, size: float = TINY) -> None:
    """Write a note at a place in points from the panel's lower left."""
    wide, high = figure.get_size_inches() * POINTS
    figure.text(
        place[0] / wide, place[1] / high, text, fontsize=size, color=MUTED, ha="right" if right else "left",
        va="bottom", parse_math=False,
    )  # fmt: skip


def in_words(names: Sequence[str], most: int = 12) -> str:
    """Return names in a row, the rest counted."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
