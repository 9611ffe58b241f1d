"""Transfer learning: the network trained on S1 is the first half of a bigger one, and everything learns S2.

Paper, section 3.2 "Transfer learning" and Fig. 1a: "The joint training is done such that supervision is performed for
all the four hourglass units." The paper does not say what the first half is supervised on, nor what becomes of its
heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from kp_modes.growth import grow, grow_reset, new_stages, on_skeleton
from kpcore.interfaces import ComponentConfig, Need, TransferStrategy
from kpcore.keypoints import KeypointSplit
from kpcore.plans import Layout, NetworkSpec, TransferPlan

Supervision = Literal["s2", "s1"]
Heads = Literal["reset", "by_name"]
Source = Literal["s1", "s2", "permuted"]
SUMMARIES: dict[Source, str] = {
    "s1": "Transfer learning", "s2": "Self-transfer (S1 = S2)", "permuted": "Transfer, S1 labels permuted",
}  # fmt: skip


class Transfer(TransferStrategy):
    """Carry the source's stages over, add stages, train all of them.

    Args:
        supervision: ``s2``: every stage learns S2; ``s1``: the carried stages keep their heads and learn S1 on, as far
            as this step's skeleton names it where S1 is of another data set.
        source: what the network before learned: ``s1``; or a control, ``s2``: this step's own keypoints (S1 = S2;
            Yosinski et al., NeurIPS 2014, call it BnB), or ``permuted``: S1 with labels that belong to other people.
        heads: with ``s2``, the carried stages' heads: ``reset`` renews them and the prediction branch of the junctions
            between carried stages; ``by_name`` keeps what belongs to keypoints of both sets.
    """

    class Config(ComponentConfig):
        """Options; the first value of each is the default."""

        supervision: Supervision = Field(
            default="s2", description="every stage learns S2, or the carried stages keep their heads and learn S1 on"
        )
        heads: Heads = Field(
            default="reset", description="with s2, the carried stages' heads are renewed, or keep what S1 and S2 share"
        )
        source: Source = Field(
            default="s1", description="what was learned before: S1; as controls S2, or S1 by other people's labels"
        )

        @model_validator(mode="after")
        def _heads_of_the_source(self) -> Self:
            if self.source != "s1" and self.supervision == "s1":
                raise ValueError(f"source = '{self.source}' goes with supervision = 's2'; drop one of them")
            return self

    def __init__(self, *, supervision: Supervision, heads: Heads, source: Source = "s1") -> None:
        self.supervision = supervision
        self.heads = heads
        self.source = source

    @property
    def summary(self) -> str:
        """The paper's name for this row, or what it is a control of."""
        return SUMMARIES[self.source]

    def needs(self, split: KeypointSplit, step: int) -> Sequence[Need]:
        """The step before; of a control, another S1."""
        if step > 1 or self.source == "s1":
            return super().needs(split, step)
        if self.source == "s2":
            return [Need(0, keypoints=split.steps[step].keypoints)]
        return [Need(0, permuted=True)]

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
