"""Frozen weights: the network trained on S1 never changes; new stages learn S2 from its features.

Paper, section 3.2 "Frozen weights" and Fig. 1b: "the loss is calculated only for the last two hourglass units."
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from kp_modes.growth import grow, new_stages
from kpcore.interfaces import ComponentConfig, TransferStrategy
from kpcore.keypoints import KeypointSplit
from kpcore.plans import Layout, NetworkSpec, TransferPlan


class Frozen(TransferStrategy):
    """Carry the source over whole, heads included, and freeze it; the junction behind it is new and trains.

    Args:
        norm: BatchNorm of the frozen stages: ``eval`` keeps the source's statistics, ``train`` lets them move.
    """

    class Config(ComponentConfig):
        """Options; the first value of each is the default."""

        norm: Literal["eval", "train"] = Field(
            default="eval", description="BatchNorm of the frozen stages keeps the source's statistics, or moves them"
        )

    def __init__(self, *, norm: Literal["eval", "train"]) -> None:
        self.norm = norm

    @property
    def summary(self) -> str:
        """The paper's name for this row."""
        return "Frozen weights"

    def layout(self, split: KeypointSplit, step: int, stages: Sequence[int]) -> Layout:
        """The source's heads on its own stages, S2 on the new ones.

        Raises:
            KpError: the network does not grow at this step, so that nothing would be left to train.
        """
        wanted = split.steps[step].keypoints
        carried = self.layout(split, step - 1, stages).heads if step else ()
        return Layout(carried + (wanted,) * new_stages(len(carried), stages[step], "frozen mode"))

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """Every source tensor is loaded and frozen; the loss is taken on the new stages only.

        Raises:
            KpError: the network does not grow at this step, so that nothing would be left to train.
        """
        (source,) = sources
        new = new_stages(source.stages, target.stages, "frozen mode")
        origins, dropped = grow(target, source, renew=lambda _: False)
        return TransferPlan(
            origins,
            supervision=(None,) * source.stages + target.layout.heads[-new:],
            frozen=frozenset(source.units),
            dropped=dropped,
            frozen_norm=self.norm,
        )
