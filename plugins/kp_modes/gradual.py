"""Gradual unfreezing: what is new trains first; what was loaded joins in, stage after stage, from the last to the stem.

Source: Howard, Ruder, "Universal Language Model Fine-tuning for Text Classification" (ACL 2018), section 3.3: "We first
unfreeze the last layer [...]. We then unfreeze the next lower frozen layer and repeat"; theirs takes an epoch a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from pydantic import Field

from kp_modes.growth import grow_reset
from kpcore.interfaces import ComponentConfig, TransferStrategy
from kpcore.keypoints import KeypointSplit
from kpcore.plans import NetworkSpec, Thaw, TransferPlan


class Gradual(TransferStrategy):
    """Carry the source's stages over as ``transfer`` does (heads reset), frozen at first.

    A unit with anything new in it trains from the start; in a frozen one BatchNorm keeps its statistics. Early stopping
    does not wait for the last stage to thaw: give it patience.

    Args:
        until: share of ``training.epochs`` after which everything trains; thaws are evenly spread over it.
        every: epochs from one thaw to the next, in place of ``until``; the authors take 1.
    """

    class Config(ComponentConfig):
        """Options."""

        until: float = Field(default=0.5, gt=0, le=1, description="share of training.epochs after which all trains")
        every: int | None = Field(default=None, ge=1, description="epochs between thaws, in place of until")

    def __init__(self, *, until: float, every: int | None) -> None:
        self.until = until
        self.every = every

    @property
    def summary(self) -> str:
        """What tables call it."""
        return "Gradual unfreezing"

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """All of the source is loaded but its heads, and frozen until its turn comes; S2 is supervised everywhere."""
        origins, dropped = grow_reset(target, sources[0])
        moving = {spec.unit for name, spec in target.tensors.items() if origins[name].kind == "new"}
        frozen = [unit for unit in target.units if unit not in moving]
        places = sorted({place_of(unit) for unit in frozen}, reverse=True)
        thaws = tuple(
            self._thaw(turn, len(places), tuple(unit for unit in frozen if place_of(unit) == place))
            for turn, place in enumerate(places, 1)
        )
        return TransferPlan(
            origins, supervision=target.layout.heads, frozen=frozenset(frozen), dropped=dropped, thaws=thaws
        )  # fmt: skip

    def _thaw(self, turn: int, turns: int, units: tuple[str, ...]) -> Thaw:
        return Thaw(self.every * turn, units) if self.every else Thaw.after(self.until * turn / turns, units)


def place_of(unit: str) -> int:
    """Return the stage that a unit belongs to; -1 for the stem, before all stages."""
    return -1 if unit == "stem" else int(unit.lstrip(ascii_lowercase))
