"""What each mode does, drawn from the plan that its training carried out (paper, Fig. 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from kpcore.records.results import ModeInfo, SplitInfo
from kpcore.report.page.folder import Plan, Run
from kpcore.report.page.look import SMALL, TINY, WIDTH, printed
from kpcore.report.page.sets import known_as
from kpcore.report.page.svg import INK, LOADED, MUTED, NEW, PAPER, Panel, blank

KINDS = {"loaded": "loaded", "sliced": "by name", "new": "new", "pretrained": "from a file"}
"""Origin of tensors -> what a box says."""
ROW, STEP, TOP = 34.0, 50.0, 28.0
"""Points: height of a box, from box to box, and above the first."""
TRUNK, HEAD, LOSS = (4.0, 132.0), (160.0, 116.0), 284.0
STRIP = 10.0
"""Points of the hatched edges of what is frozen."""
"""Points: left and width of the boxes of stem and stages, of those of heads, and left of what is supervised."""


@dataclass(frozen=True)
class Unit:
    """One box: where its tensors come from, and whether they train."""

    origin: str
    frozen: bool
    thaws: int | None = None

    @property
    def text(self) -> str:
        """What the box says."""
        later = "" if self.thaws is None else f", thaws at epoch {self.thaws + 1}"
        return self.origin + (", frozen" if self.frozen else later)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A plan that can be drawn.

    Args:
        units: name of a unit -> its box.
        heads: what every stage's head predicts: "S1", "S2".
        supervision: what its loss is on, "" where it has none.
        remarks: what the drawing cannot show.
    """

    units: Mapping[str, Unit]
    heads: Sequence[str]
    supervision: Sequence[str]
    remarks: Sequence[str]


def plans(run: Run) -> Iterator[tuple[SplitInfo, ModeInfo, Panel, Sequence[str]]]:
    """Yield a panel a mode and its remarks, of each split whose plans are not drawn already."""
    seen: set[str] = set()
    for place, split in enumerate(run.splits):
        for number, mode in enumerate(run.results.modes):
            label = run.results.labels[mode.name]
            rows = [row for row in run.finished(split.name, mode.name) if run.plans.get(row.job)]
            drawn = understood(run.plans[rows[0].job], split) if rows else None
            if (
                drawn is not None
                and (alike := f"{mode.name} {drawn.units} {drawn.heads} {drawn.supervision}") not in seen
            ):
                seen.add(alike)
                yield (
                    split,
                    mode,
                    _panel(drawn, f"{label}, split {split.name}: its plan", f"plan-{place}-{number}"),
                    drawn.remarks,
                )


def understood(plan: Plan, split: SplitInfo) -> Drawn | None:
    """Return a plan as it is drawn; None where the record is none."""
    try:
        tensors: Mapping[str, Mapping[str, Any]] = plan["tensors"]
        thaws = {unit: int(thaw["epoch"]) for thaw in plan["thaws"] for unit in thaw["units"]}
        by_unit: dict[str, list[Mapping[str, Any]]] = {}
        for name, tensor in tensors.items():
            by_unit.setdefault(name.partition(".")[0], []).append(tensor)
        return Drawn(
            units={name: _unit(found, thaws.get(name)) for name, found in by_unit.items()},
            heads=[known_as(names, split) for names in plan["heads"]],
            supervision=["" if names is None else known_as(names, split) for names in plan["supervision"]],
            remarks=_remarks(plan, tensors),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _unit(tensors: Sequence[Mapping[str, Any]], thaws: int | None) -> Unit:
    kinds = list(dict.fromkeys(str(tensor["origin"]) for tensor in tensors))
    one = KINDS.get(kinds[0], kinds[0]) if len(kinds) == 1 else "by name" if "sliced" in kinds else "partly loaded"
    return Unit(one, frozen=not any(tensor["trains"] for tensor in tensors), thaws=thaws)


def _remarks(plan: Plan, tensors: Mapping[str, Mapping[str, Any]]) -> list[str]:
    sources = {tensor["source"] for tensor in tensors.values() if "source" in tensor}
    rates = {f"{unit} × {factor:g}" for unit, factor in plan["learning_rates"].items()}
    proof = plan.get("frozen_hash") or {}
    kept = proof.get("before") and proof.get("before") == proof.get("after")
    lines = {
        f"{len(sources)} networks are loaded from.": len(sources) > 1,
        f"{len(plan['dropped'])} tensors of the S1 network are left behind.": plan["dropped"],
        f"Learning rates: {', '.join(sorted(rates))}.": rates,
        "An extra loss is added.": plan["extra_loss"],
        "BatchNorm statistics of frozen parts move.": plan["frozen"] and plan["frozen_norm"] == "train",
        "The hash of all frozen parts is the same before and after training.": kept,
    }
    return [line for line, holds in lines.items() if holds]


def _panel(drawn: Drawn, title: str, name: str) -> Panel:
    rows = len(drawn.heads) + 1
    high = TOP + rows * STEP + 6
    figure = blank(WIDTH, high)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(high, 0)
    _text(axes, (TRUNK[0] + TRUNK[1] / 2, TOP / 2 - 5), "image", TINY, MUTED)  # above its arrow
    for row in range(rows):
        _row(axes, drawn, row)
    return Panel(name, figure, title, in_sentences(drawn))


def _row(axes: Axes, drawn: Drawn, row: int) -> None:
    """Draw the stem (row 0), or a stage with its head and what that is supervised on."""
    top = TOP + row * STEP
    stage = row - 1
    name = "stem" if row == 0 else f"stage{stage}"
    _arrow(axes, (TRUNK[0] + TRUNK[1] / 2, top - (STEP - ROW) if row else top - 10), (0, STEP - ROW if row else 10))
    _box(axes, (*TRUNK, top), drawn.units.get(name), "stem" if row == 0 else f"stage {row}")
    junction = drawn.units.get(f"junction{stage - 1}") if row > 1 else None
    if junction is not None:
        place = (TRUNK[0] + TRUNK[1] / 2 + 6, top - (STEP - ROW) / 2)
        _text(axes, place, printed(f"junction {junction.text}", 150, TINY - 1), TINY - 1, MUTED, left=True)
    if row == 0:
        return
    _arrow(axes, (TRUNK[0] + TRUNK[1], top + ROW / 2), (HEAD[0] - TRUNK[0] - TRUNK[1], 0))
    _box(axes, (*HEAD, top), drawn.units.get(f"head{stage}"), f"head {drawn.heads[stage]}")
    loss = drawn.supervision[stage]
    told = beside(loss)
    for number, line in enumerate(told):
        height = top + ROW / 2 + (number - (len(told) - 1) / 2) * (SMALL + 2)
        _text(axes, (LOSS, height), line, SMALL, INK if loss else MUTED, left=True)


def beside(loss: str) -> list[str]:
    """Return what stands beside a head: what its loss is on, in two lines where one is too short for it."""
    room = WIDTH - LOSS - 2
    text = f"loss on {loss}" if loss else "no loss"
    return [text] if printed(text, room) == text else ["loss on", printed(loss, room)]


def _box(axes: Axes, place: tuple[float, float, float], unit: Unit | None, name: str) -> None:
    left, wide, top = place
    found = unit or Unit("no weights", frozen=False)
    new = found.origin in ("new", "no weights")
    colour = MUTED if unit is None else NEW if new else LOADED
    shape: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=4", "linewidth": 1.4}
    axes.add_patch(FancyBboxPatch((left, top), wide, ROW, facecolor=PAPER, edgecolor="none", **shape))
    axes.add_patch(
        FancyBboxPatch(
            (left, top), wide, ROW, facecolor=colour, edgecolor="none", alpha=0.12 if new else 0.3,
            **shape,
        )
    )  # fmt: skip
    if found.frozen:
        for at in (left, left + wide - STRIP):
            axes.add_patch(
                Rectangle((at, top), STRIP, ROW, facecolor="none", edgecolor=colour, linewidth=0, hatch="/////")
            )
    edge = {**shape, "linestyle": (0, (3, 2)) if new else "solid"}
    axes.add_patch(FancyBboxPatch((left, top), wide, ROW, facecolor="none", edgecolor=colour, **edge))
    _text(axes, (left + wide / 2, top + ROW * 0.32), printed(name, wide - 8, SMALL), SMALL, INK)
    _text(axes, (left + wide / 2, top + ROW * 0.72), printed(found.text, wide - 2 * STRIP, TINY - 1), TINY - 1, INK)


def _arrow(axes: Axes, start: tuple[float, float], by: tuple[float, float]) -> None:
    (x, y), (right, down) = start, by
    axes.annotate(
        "", (x + right, y + down), (x, y),
        arrowprops={"arrowstyle": "-|>,head_width=0.18,head_length=0.3", "color": MUTED, "shrinkA": 0, "shrinkB": 0,
                    "linewidth": 1.0},
    )  # fmt: skip


def _text(
    axes: Axes, place: tuple[float, float], text: str, size: float, colour: str, *, left: bool = False
) -> None:  # fmt: skip
    axes.text(*place, text, fontsize=size, color=colour, ha="left" if left else "center", va="center", parse_math=False)


def in_sentences(drawn: Drawn) -> str:
    """Return a plan for those who cannot see it."""
    stem = f"stem {drawn.units['stem'].text}; " if "stem" in drawn.units else ""
    stages = [
        f"stage {place + 1} {_said(drawn, f'stage{place}')}, its head on {head} {_said(drawn, f'head{place}')},"
        f" {'loss on ' + loss if loss else 'no loss'}"
        for place, (head, loss) in enumerate(zip(drawn.heads, drawn.supervision, strict=True))
    ]
    return f"{stem}{'; '.join(stages)}."


def _said(drawn: Drawn, unit: str) -> str:
    return drawn.units[unit].text if unit in drawn.units else "without weights"
