"""Multi-task: S1 and S2 learned together from nothing, the control that sees all labels and carries nothing over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from kpcore.interfaces import ComponentConfig, Need, TransferStrategy
from kpcore.keypoints import KeypointSet, KeypointSplit
from kpcore.plans import Layout, NetworkSpec, TransferPlan, fresh_origins


class MultiTask(TransferStrategy):
    """No source; every stage is new and learns the keypoints of all steps, or all that there are, at once.

    Labels are those of the step's own data set: keypoints of earlier steps that it does not name are left out. It is
    scored on the step's keypoints like every other mode, and on what it learned besides.

    Args:
        keypoints: ``steps``: of this step and those before; ``all``: of the whole skeleton.
    """

    class Config(ComponentConfig):
        """Options; the first value is the default."""

        keypoints: Literal["steps", "all"] = Field(
            default="steps", description="learned together: those of this step and the steps before, or all there are"
        )

    def __init__(self, *, keypoints: Literal["steps", "all"]) -> None:
        self.keypoints = keypoints

    @property
    def summary(self) -> str:
        """What tables call it."""
        return "Multi-task (S1 and S2)" if self.keypoints == "steps" else "Multi-task (all keypoints)"

    def needs(self, split: KeypointSplit, step: int) -> Sequence[Need]:
        """Nothing."""
        return []

    def layout(self, split: KeypointSplit, step: int, stages: Sequence[int]) -> Layout:
        """All of them on every stage, in the order of the step's skeleton."""
        skeleton = split.steps[step].keypoints.skeleton
        known = {name for one in split.steps[: step + 1] for name in one.keypoints.names}
        names = tuple(name for name in skeleton.names if name in known or self.keypoints == "all")
        return Layout((KeypointSet(skeleton, names),) * stages[step])

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """Every tensor is new, or from the backbone's pretrained file where it brings one."""
        return TransferPlan(fresh_origins(target), supervision=target.layout.heads)
