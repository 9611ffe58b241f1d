"""Transfer learning: the network trained on S1 is the first half of a bigger one, and everything learns S2.

Paper, section 3.2 "Transfer learning" and Fig. 1a: "The joint training is done such that supervision is performed for
all the four hourglass units." The paper does not say what the first half is supervised on, nor what becomes of its
heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from kp_modes.growth import grow, grow_reset, new_stages, on_skeleton
from kpcore.interfaces import ComponentConfig, TransferStrategy
from kpcore.keypoints import KeypointSplit
from kpcore.plans import Layout, NetworkSpec, TransferPlan


class Transfer(TransferStrategy):
    """Carry the source's stages over, add stages, train all of them.

    Args:
        supervision: ``s2``: every stage learns S2; ``s1``: the carried stages keep their heads and learn S1 on, as far
            as this step's skeleton names it where S1 is of another data set.
        heads: with ``s2``, the carried stages' heads: ``reset`` renews them and the prediction branch of the junctions
            between carried stages; ``by_name`` keeps what belongs to keypoints of both sets.
    """

    class Config(ComponentConfig):
        """Options; the first value of each is the default."""

        supervision: Literal["s2", "s1"] = Field(
            default="s2", description="every stage learns S2, or the carried stages keep their heads and learn S1 on"
        )
        heads: Literal["reset", "by_name"] = Field(
            default="reset", description="with s2, the carried stages' heads are renewed, or keep what S1 and S2 share"
        )

    def __init__(self, *, supervision: Literal["s2", "s1"], heads: Literal["reset", "by_name"]) -> None:
        self.supervision = supervision
        self.heads = heads

    @property
    def summary(self) -> str:
        """The paper's name for this row."""
        return "Transfer learning"

    def layout(self, split: KeypointSplit, step: int, stages: Sequence[int]) -> Layout:
        """S2 on every stage, or the carried heads first where ``supervision = "s1"``.

        Raises:
            KpError: with ``s1`` the network does not grow at this step, so that no stage would learn S2.
        """
        if self.supervision == "s2" or step == 0:
            return super().layout(split, step, stages)
        carried = self.layout(split, step - 1, stages).heads
        wanted = split.steps[step].keypoints
        return Layout(carried + (wanted,) * new_stages(len(carried), stages[step], "supervision = 's1'"))

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """All of the source is loaded but its heads (where reset); nothing is frozen; every stage is supervised."""
        if self.supervision == "s2" and self.heads == "reset":
            origins, dropped = grow_reset(target, sources[0])
        else:
            origins, dropped = grow(target, sources[0], renew=lambda _: False)
        skeleton = split.steps[step].keypoints.skeleton
        supervision = tuple(on_skeleton(head, skeleton) for head in target.layout.heads)
        return TransferPlan(origins, supervision=supervision, dropped=dropped)
