"""Replay: learn S2 without forgetting S1, whose labels are gone.

Source: Li, Hoiem, "Learning without Forgetting" (ECCV 2016): the source network's answers on the new images stand in
for the old labels, and both losses count alike (their lambda = 1). They compare class probabilities; here an answer is
the decoded point.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from kp_modes.growth import grow, on_skeleton
from kp_modes.pseudo_labels import PseudoLabels
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, TransferStrategy
from kpcore.keypoints import KeypointSet, KeypointSplit
from kpcore.plans import Layout, NetworkSpec, TransferPlan


class Replay(TransferStrategy):
    """Carry the source over by name; every head predicts S1 and S2; labels are read for S2 alone.

    Keypoints of both sets learn from their labels. In a chain all that was learned before is replayed. Keypoints of
    another data set that this step's skeleton does not name have no place in the heads: they are left out.

    Args:
        weight: of the replayed keypoints' loss; S2's has 1.
        confidence: answers that the source is less sure of are not learned.
    """

    class Config(ComponentConfig):
        """Options."""

        weight: float = Field(default=1.0, gt=0, description="of the replayed keypoints' loss; S2's has 1")
        confidence: float = Field(
            default=0.0, ge=0, description="answers of a lower confidence, in the codec's units, are not learned"
        )

    def __init__(self, *, weight: float, confidence: float) -> None:
        self.weight = weight
        self.confidence = confidence

    @property
    def summary(self) -> str:
        """What tables call it."""
        return "Replay"

    def layout(self, split: KeypointSplit, step: int, stages: Sequence[int]) -> Layout:
        """What is known after this step on every stage, in the order of its skeleton.

        Raises:
            KpError: the skeleton names nothing that was learned before.
        """
        return Layout((known_after(split, step),) * stages[step])

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """All that the source has is loaded, or sliced by name; S2 is supervised, the rest replayed."""
        origins, dropped = grow(target, sources[0], renew=lambda _: False)
        wanted = split.steps[step].keypoints
        replayed = tuple(name for name in target.layout.heads[-1].names if name not in wanted)
        return TransferPlan(
            origins,
            supervision=(wanted,) * target.stages,
            dropped=dropped,
            extra_loss=PseudoLabels(replayed, self.weight, self.confidence) if replayed else None,
            teacher=bool(replayed),
        )


def known_after(split: KeypointSplit, step: int) -> KeypointSet:
    """Return what has been learned after a step and has a name in its skeleton; S1 as it is for step 0.

    Raises:
        KpError: nothing of what was learned before has.
    """
    wanted = split.steps[step].keypoints
    if step == 0:
        return wanted
    before = known_after(split, step - 1)
    kept = on_skeleton(before, wanted.skeleton)
    if kept is None:
        raise KpError(
            f"split '{split.name}', S{step + 1}: replay needs a keypoint of S{step} in skeleton"
            f" '{wanted.skeleton.name}', which has none of {', '.join(before.names)}; give them the same names"
        )
    return KeypointSet(wanted.skeleton, tuple(name for name in wanted.skeleton.names if name in wanted or name in kept))
