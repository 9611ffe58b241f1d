"""TransferStrategy: what a step of a split needs, how its network is laid out, where each tensor comes from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from kpcore.interfaces.component import Component
from kpcore.keypoints import KeypointSplit
from kpcore.plans import Layout, NetworkSpec, TransferPlan


@dataclass(frozen=True)
class Need:
    """A job whose trained network must be there before: the one at ``step`` of the same split (and mode, above step 0).

    Steps count from 0; the job at step 0 is always plain training on S1, and all modes share it.
    """

    step: int


class TransferStrategy(Component):
    """One transfer mode: how step ``step`` (1, 2, ...) of a split is trained.

    ``stages`` holds the number of stages of the network at each step, growing; ``stages[step]`` is the target's.
    """

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line for tables and reports ("Transfer learning")."""

    @abstractmethod
    def needs(self, split: KeypointSplit, step: int) -> Sequence[Need]:
        """Return the source jobs of this step; empty where it starts from nothing."""

    @abstractmethod
    def layout(self, split: KeypointSplit, step: int, stages: Sequence[int]) -> Layout:
        """Return the heads' keypoint sets of the target network, ``stages[step]`` of them."""

    @abstractmethod
    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """Return the plan; ``sources`` are the networks of ``needs``, in its order."""
