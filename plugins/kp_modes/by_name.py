"""By name: transfer learning in which every head starts from the source's, keypoint by keypoint.

Paper, section 3.2, does not say what becomes of the source's heads; ``transfer`` renews them. Here an entry of a head
is new only where the source does not know its keypoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from kp_modes.growth import by_keypoint, grow, left_behind
from kpcore.interfaces import ComponentConfig, TransferStrategy
from kpcore.keypoints import KeypointSet, KeypointSplit
from kpcore.plans import NEW, NetworkSpec, Origin, TransferPlan

NewHeads = Literal["source", "new"]
Unshared = Literal["new", "mirror", "group"]


class ByName(TransferStrategy):
    """Carry the source's stages over, heads and junctions by keypoint, add stages, train all of them on S2.

    Args:
        new_heads: heads of new stages: ``source`` starts them from the source's last head, ``new`` from nothing.
        unshared: how a keypoint that the source does not know starts in a head that comes from the source's: as
            ``new``, as its ``mirror`` partner, or as the mean of its ``group``; new where these are not known either.
    """

    class Config(ComponentConfig):
        """Options; the first value of each is the default."""

        new_heads: NewHeads = Field(
            default="source", description="new stages' heads start from the source's last head, or from nothing"
        )
        unshared: Unshared = Field(
            default="new", description="what a keypoint that the source does not know starts from in a head"
        )

    def __init__(self, *, new_heads: NewHeads, unshared: Unshared) -> None:
        self.new_heads = new_heads
        self.unshared = unshared

    @property
    def summary(self) -> str:
        """What tables call it."""
        return "Transfer by name"

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """All of the source is loaded, or sliced by name; everything trains."""
        (source,) = sources
        origins, _ = grow(target, source, renew=lambda _: False)
        heads = [name for name, spec in target.tensors.items() if spec.unit.startswith("head")]
        origins.update({name: self._head(name, target, source) for name in heads})
        return TransferPlan(origins, supervision=target.layout.heads, dropped=left_behind(origins, source))

    def _head(self, name: str, target: NetworkSpec, source: NetworkSpec) -> Origin:
        """Return the origin of a head's tensor; stages that the source has not take its last head."""
        unit, _, rest = name.partition(".")
        stage = int(unit.removeprefix("head"))
        if stage >= source.stages and self.new_heads == "new":
            return NEW
        there = min(stage, source.stages - 1)
        origin = by_keypoint(target.tensors[name], source, f"head{there}.{rest}")
        others = stand_ins(target.layout.heads[stage], source.layout.heads[there], self.unshared)
        return replace(origin, kind="sliced", tensor=f"head{there}.{rest}", stand_ins=others) if others else origin


def stand_ins(here: KeypointSet, there: KeypointSet, how: Unshared) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return (keypoint, keypoints of the source) for what only the target has and the source has a likeness of."""
    found: dict[str, tuple[str, ...]] = {}
    for point in (here.skeleton[name] for name in here.names if name not in there):
        if how == "mirror":
            found[point.name] = tuple(name for name in there.names if name == point.mirror)
        elif how == "group":
            found[point.name] = tuple(name for name in there.names if there.skeleton[name].group == point.group)
    return tuple((name, others) for name, others in found.items() if others)
