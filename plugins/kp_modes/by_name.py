"""By name: transfer learning in which every head starts from the source's, keypoint by keypoint.

Paper, section 3.2, does not say what becomes of the source's heads; ``transfer`` renews them. Here an entry of a head
is new only where the source does not know its keypoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from kp_modes.growth import by_keypoint, grow
from kpcore.interfaces import ComponentConfig, Need, TransferStrategy
from kpcore.keypoints import KeypointSplit
from kpcore.plans import Layout, NetworkSpec, TransferPlan

NewHeads = Literal["source", "new"]


class ByName(TransferStrategy):
    """Carry the source's stages over, heads and junctions by keypoint, add stages, train all of them on S2.

    Args:
        new_heads: heads of new stages: ``source`` starts them from the source's last head, ``new`` from nothing.
    """

    class Config(ComponentConfig):
        """Options; the first value of each is the default."""

        new_heads: NewHeads = Field(
            default="source", description="new stages' heads start from the source's last head, or from nothing"
        )

    def __init__(self, *, new_heads: NewHeads) -> None:
        self.new_heads = new_heads

    @property
    def summary(self) -> str:
        """What tables call it."""
        return "Transfer by name"

    def needs(self, split: KeypointSplit, step: int) -> Sequence[Need]:
        """The network of the step before."""
        return [Need(step - 1)]

    def layout(self, split: KeypointSplit, step: int, stages: Sequence[int]) -> Layout:
        """The step's set on every stage."""
        return Layout((split.steps[step].keypoints,) * stages[step])

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """All of the source is loaded, or sliced by name; everything trains."""
        (source,) = sources
        origins, dropped = grow(target, source, renew=lambda _: False)
        if self.new_heads == "source":
            last = f"head{source.stages - 1}"
            for name, spec in target.tensors.items():
                unit, _, rest = name.partition(".")
                if unit.startswith("head") and unit not in source.units:
                    origins[name] = by_keypoint(spec, source, f"{last}.{rest}")
        return TransferPlan(origins, supervision=target.layout.heads, dropped=dropped)
