"""Where the parts of the figure of curves lie: every text is measured first, and the figure is as high as they need."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kpcore.records.results import Results
from kpcore.report.grid import preset_in_words
from kpcore.report.lettering import Font, width, wrapped
from kpcore.report.notes import Histories, footnotes

TITLE, SUBTITLE, PANEL_TITLE = Font(11, "bold"), Font(7.5), Font(10, "bold")
AXIS, ENTRY, NOTE = Font(9), Font(8.5), Font(7)
MEAN_SHAPE = "Mean shape of the training samples"

PANEL = (3.6, 2.5)
"""Width and height of a panel, inches."""
LONE_PANEL = 5.6
"""Width of a panel that has no neighbour."""
EDGE, TICKS, BELOW, BETWEEN, SPACE = 0.15, 0.55, 0.3, 0.25, 0.1
"""Inches: around all; left of panels and below them for tick labels; between columns; between texts."""
HANDLE = 0.42
"""Inches of a legend entry's line, with the space after it."""


@dataclass(frozen=True)
class Block:
    """A paragraph: its lines, their font, and the inches from the figure's top to its own."""

    lines: list[str]
    font: Font
    top: float

    @property
    def bottom(self) -> float:
        """Inches from the figure's top to its end."""
        return self.top + len(self.lines) * self.font.line


@dataclass(frozen=True)
class Frame:
    """A panel: its title, and left, top, width and height in inches from the figure's upper left."""

    title: Block
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Entry:
    """A legend entry: lines of its label, and the upper left of its line, inches."""

    label: Block
    left: float


@dataclass(frozen=True)
class Layout:
    """The whole figure, inches from its upper left."""

    size: tuple[float, float]
    head: list[Block]
    frames: list[Frame]
    axis: list[str]
    epoch: Block
    entries: list[Entry]
    notes: list[Block]

    @property
    def left(self) -> float:
        """Where panels begin."""
        return self.frames[0].box[0]


def layout(results: Results, histories: Histories) -> Layout:
    """Lay out the figure of a study, from the top down."""
    rows, columns = shape(len(results.splits))
    axis = wrapped(axis_name(results), AXIS, rows * PANEL[1])
    left = EDGE + len(axis) * AXIS.line + TICKS
    across = columns * PANEL[0] + (columns - 1) * BETWEEN if columns > 1 else LONE_PANEL
    head = stacked(_head(results), across, EDGE)
    frames, bottom = _frames(results, (left, head[-1].bottom + SPACE), columns)
    epoch = Block(["epoch"], AXIS, bottom)
    entries = _entries(labels(results), left, across, epoch.bottom + SPACE)
    notes = stacked(
        [(text, NOTE) for text in footnotes(results, histories)], across,
        max(entry.label.bottom for entry in entries) + SPACE,
    )  # fmt: skip
    return Layout((left + across + EDGE, notes[-1].bottom + EDGE), head, frames, axis, epoch, entries, notes)


def shape(panels: int) -> tuple[int, int]:
    """Rows and columns: one row of up to three panels, then as near to a square as they come."""
    columns = panels if panels <= 3 else math.ceil(math.sqrt(panels))
    return math.ceil(panels / columns), columns


def stacked(texts: list[tuple[str, Font]], across: float, top: float) -> list[Block]:
    """Return the texts as paragraphs of that width, one below the other."""
    blocks: list[Block] = []
    for text, font in texts:
        start = blocks[-1].bottom if blocks else top
        blocks.append(Block(wrapped(text, font, across), font, start))
    return blocks


def axis_name(results: Results) -> str:
    """What is on the vertical axis: the metric, its unit, and its direction where lower is better."""
    name = results.validation_convention or " and ".join(results.conventions) or "validation"
    unit = f" ({results.validation_unit})" if results.validation_unit else ""
    return name + unit + ("" if results.validation_higher_is_better else ", lower is better")


def labels(results: Results) -> list[str]:
    """Return the legend's labels in the table's order: the modes, then the mean shape where it is drawn."""
    drawn = any(split.validation_mean_shape is not None for split in results.splits)
    return [*results.labels.values(), *([MEAN_SHAPE] if drawn else [])]


def _head(results: Results) -> list[tuple[str, Font]]:
    return [
        (f"Validation during training: {results.data.name}", TITLE),
        (f"Study {results.study}; {results.data.extent}; {preset_in_words(results)}", SUBTITLE),
    ]


def _frames(results: Results, start: tuple[float, float], columns: int) -> tuple[list[Frame], float]:
    """The panels row by row, and where the last row's tick labels end."""
    left, top = start
    across = PANEL[0] if columns > 1 else LONE_PANEL
    frames: list[Frame] = []
    names = [wrapped(f"Split {split.name}", PANEL_TITLE, across) for split in results.splits]
    for first in range(0, len(names), columns):
        row = names[first : first + columns]
        inside = top + max(map(len, row)) * PANEL_TITLE.line + SPACE / 2
        for place, lines in enumerate(row):
            title = Block(lines, PANEL_TITLE, inside - SPACE / 2 - len(lines) * PANEL_TITLE.line)
            frames.append(Frame(title, (left + place * (across + BETWEEN), inside, across, PANEL[1])))
        top = inside + PANEL[1] + BELOW
    return frames, top


def _entries(texts: list[str], left: float, across: float, top: float) -> list[Entry]:
    """Legend entries in as many columns as the longest label leaves room for, filled row by row."""
    longest = max(width(text, ENTRY) for text in texts) + HANDLE + 2 * SPACE
    columns = max(1, min(len(texts), int(across / longest)))
    lines = [wrapped(text, ENTRY, across / columns - HANDLE) for text in texts]
    entries = []
    for first in range(0, len(texts), columns):
        row = lines[first : first + columns]
        entries += [Entry(Block(label, ENTRY, top), left + place * across / columns) for place, label in enumerate(row)]
        top += max(map(len, row)) * ENTRY.line
    return entries
