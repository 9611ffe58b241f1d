"""Differences to the baseline with their intervals, a line a name: a forest plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from kpcore.evidence.model import Difference, TableEvidence
from kpcore.records.results import SplitInfo
from kpcore.report.curves import look
from kpcore.report.figures import stated_unit
from kpcore.report.page.folder import Run
from kpcore.report.page.look import SMALL, TINY, WIDTH, figure_of, framed, mark, note, printed
from kpcore.report.page.svg import MUTED, RULE, Panel

LEFT = 100.0
"""Points for the names."""
MOST = 24
"""Keypoints of a plot; where there are more, their groups are drawn."""
LINE, GAP = 12.0, 8.0
"""Points a mode within a line, and between lines."""


@dataclass(frozen=True)
class Plan:
    """What is drawn: name of the panel, its title, the differences, and the direction of the score."""

    name: str
    title: str
    differences: Sequence[Difference]
    higher_is_better: bool
    unit: str


def joints(run: Run) -> Iterator[tuple[SplitInfo, Panel, str]]:
    """Yield a forest plot a split, and what its lines are."""
    for place, split in enumerate(run.splits):
        table = run.table(split.name)
        if table is not None and (found := by_joint(table)):
            kind = "keypoints" if found is table.keypoints else "columns and groups"
            title = f"Split {split.name}: difference to {run.results.labels[table.baseline]} by {kind}"
            plan = Plan(f"joints-{place}", title, found, table.higher_is_better, unit(run))
            yield split, forest(run, plan), kind


def parts(run: Run) -> Iterator[tuple[SplitInfo, Panel]]:
    """Yield a forest plot a split over parts of its points: hidden and visible ones, small and large instances."""
    for place, split in enumerate(run.splits):
        table = run.slices.get(split.name)
        if table is not None and table.differences:
            title = f"Split {split.name}: difference to {run.results.labels[table.baseline]} over parts of the points"
            plan = Plan(f"parts-{place}", title, table.differences, table.higher_is_better, unit(run))
            yield split, forest(run, plan)


def by_joint(table: TableEvidence) -> Sequence[Difference]:
    """Return the differences of keypoints where these are few enough, else of columns and of groups beside them."""
    keypoints = list(dict.fromkeys(one.column for one in table.keypoints))
    if 0 < len(keypoints) <= MOST:
        return table.keypoints
    return (*(one for one in table.differences if one.column in table.columns), *table.groups)


def unit(run: Run) -> str:
    """Return what differences are counted in, with a space before it: " points" of percentages."""
    found = (run.shown.unit if run.shown else "") or stated_unit(run.results)
    if found in ("%", "percent") or (not found and run.results.higher_is_better):
        return " points"
    return f" {found}" if found else ""


def forest(run: Run, plan: Plan) -> Panel:
    """Draw it; better is always to the right."""
    names = list(dict.fromkeys(one.column for one in plan.differences))
    modes = [mode.name for mode in run.results.modes if any(one.mode == mode.name for one in plan.differences)]
    step = LINE * len(modes) + GAP
    axes = framed(step * len(names) + 62, left=LEFT, top=20, bottom=42)
    for place, name in enumerate(names):
        axes.axhspan(place - 0.5, place + 0.5, color=RULE, alpha=0.35 * (place % 2), linewidth=0, zorder=0)
        for number, mode in enumerate(modes):
            found = next((one for one in plan.differences if (one.mode, one.column) == (mode, name)), None)
            if found is not None:
                _draw(axes, run.place(mode), found, place + (number - (len(modes) - 1) / 2) * LINE / step)
    told = _furnish(axes, plan, names)
    return Panel(plan.name, figure_of(axes), plan.title, in_sentences(run, plan), told)


def _draw(axes: Axes, place: int, one: Difference, height: float) -> None:
    colour, _ = look(place)
    if one.interval:
        axes.plot([one.interval.low, one.interval.high], [height, height], color=colour, linewidth=1.5, zorder=3)
    axes.plot([one.value], [height], **mark(place, filled=one.verdict in ("positive", "negative")))


def _furnish(axes: Axes, plan: Plan, names: Sequence[str]) -> dict[str, str]:
    """Write names, the line of no difference and which way is better; return what shortened names stand for."""
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=RULE, linewidth=0.7)
    axes.axvline(0, color=MUTED, linewidth=1.0, zorder=2)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(names)), [""] * len(names))
    axes.tick_params(axis="y", length=0)
    if not plan.higher_is_better:
        axes.invert_xaxis()
    high = figure_of(axes).get_size_inches()[1] * 72
    for words, left in (("worse", True), ("better", False)):
        arrowed = f"← {words}" if left else f"{words} →"
        note(figure_of(axes), (LEFT if left else WIDTH - 10, high - 15), arrowed, right=not left)
    axes.set_xlabel(
        printed(f"difference{',' if plan.unit else ''}{plan.unit}, 95% interval", WIDTH - LEFT),
        fontsize=SMALL,
        labelpad=3,
        parse_math=False,
    )
    told = {}
    for place, name in enumerate(names):
        short = printed(name, LEFT - 10, TINY)
        text = axes.annotate(
            short, (0, place), xycoords=("axes fraction", "data"), xytext=(-5, 0), textcoords="offset points",
            ha="right", va="center", fontsize=TINY, annotation_clip=False, parse_math=False,
        )  # fmt: skip
        if short != name:
            text.set_gid(f"name{place}")
            told[f"name{place}"] = name
    return told


def in_sentences(run: Run, plan: Plan) -> str:
    """Return the plot for those who cannot see it: what is decided, and how much is not."""
    decided = [one for one in plan.differences if one.verdict in ("positive", "negative")]
    said = [f"{run.results.labels[one.mode]} at {one.column}: {one.value:+.2f}, {one.verdict}" for one in decided[:12]]
    undecided = sum(one.verdict == "undecided" for one in plan.differences)
    return "; ".join([*said, f"{undecided} of {len(plan.differences)} differences are undecided"]) + "."
