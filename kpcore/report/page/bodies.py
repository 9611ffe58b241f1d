"""Splits drawn on the body, face or animal at hand (paper, Fig. 2): shapes tell the sets apart, colours too."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes

from kpcore.records.results import SplitInfo
from kpcore.records.shown import Body, Place
from kpcore.report.page.folder import Run
from kpcore.report.page.look import WIDTH
from kpcore.report.page.svg import INK, MUTED, PAPER, Panel, blank

SETS: dict[str, tuple[str, str, float]] = {
    "S1": ("o", "#0072B2", 8.0),
    "S2": ("s", "#D55E00", 7.5),
    "S1 and S2": ("D", "#009E73", 7.5),
    "other": ("^", MUTED, 6.0),
}
"""Set -> marker, colour and size in points; "other" is drawn hollow."""
SIDE = 300.0
CROWDED = 30
"""Keypoints from which on marks are smaller."""
MARGIN = 0.08
"""Of the drawing's extent, around it."""


def set_of(name: str, split: SplitInfo) -> str:
    """Return which of :data:`SETS` a keypoint is in: of the first and the last step."""
    first, last = name in split.steps[0], name in split.steps[-1]
    if len(split.steps) == 1:
        return "S1" if first else "other"
    return {(True, True): "S1 and S2", (True, False): "S1", (False, True): "S2"}.get((first, last), "other")


def bodies(run: Run) -> Iterator[tuple[SplitInfo, Panel]]:
    """Yield a panel a split of which the body is known."""
    for place, split in enumerate(run.splits):
        body = run.body(split.name)
        if body is not None and any(body.shape):
            yield split, _panel(split, body, f"split-{place}")


def _panel(split: SplitInfo, body: Body, name: str) -> Panel:
    figure = blank(WIDTH, SIDE)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_aspect("equal")
    places = {name: place for name, place in zip(body.keypoints, body.shape, strict=True) if place}
    for start, end in body.edges:
        if start in places and end in places:
            axes.plot(*zip(places[start], places[end], strict=True), color=INK, linewidth=1.1, alpha=0.45, zorder=1)
    for key in ("other", "S1", "S2", "S1 and S2"):
        _draw(axes, key, [place for name, place in places.items() if set_of(name, split) == key], len(places))
    _frame(axes, list(places.values()))
    counts = {key: sum(set_of(name, split) == key for name in places) for key in SETS}
    told = ", ".join(f"{count} points in {key}" for key, count in counts.items() if count)
    text = f"The mean shape of the training part with its keypoints: {told}."
    return Panel(name, figure, f"Split {split.name} on the mean shape", text)


def _draw(axes: Axes, key: str, places: list[Place], every: int) -> None:
    marker, colour, size = SETS[key]
    factor = 0.7 if every > CROWDED else 1.15
    filled = key != "other"
    axes.plot(
        [x for x, _ in places], [y for _, y in places], marker=marker, linestyle="none", markersize=size * factor,
        color=colour, markerfacecolor=colour if filled else PAPER, markeredgecolor=PAPER if filled else colour,
        markeredgewidth=0.8, zorder=3,
    )  # fmt: skip


def _frame(axes: Axes, places: list[Place]) -> None:
    across, down = ([place[axis] for place in places] for axis in (0, 1))
    room = MARGIN * max(max(across) - min(across), max(down) - min(down), 0.01)
    axes.set_xlim(min(across) - room, max(across) + room)
    axes.set_ylim(max(down) + room, min(down) - room)  # y points down, as in pictures
