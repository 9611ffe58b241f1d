"""TransferStrategy: what a step of a split needs, how its network is laid out, where each tensor comes from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from kpcore.interfaces.component import Component
from kpcore.keypoints import KeypointSet, KeypointSplit
from kpcore.plans import Layout, NetworkSpec, TransferPlan


@dataclass(frozen=True)
class Need:
    """A job whose trained network must be there before: the one at ``step`` of the same split (and mode, above step 0).

    Steps count from 0; the job at step 0 is always plain training, and all modes that ask for the same one share it.

    Args:
        step: of the split.
        keypoints: what the job at step 0 learns instead of S1: a control (S1 = S2). Its people and stages stay S1's.
        permuted: every person of the job at step 0 gets another one's labels: a control, in which pictures say nothing
            of them, and only what lies in the labels themselves and in the pictures can be learned.
    """

    step: int
    keypoints: KeypointSet | None = None
    permuted: bool = False


class TransferStrategy(Component):
    """One transfer mode: how step ``step`` (1, 2, ...) of a split is trained.

    By default a step starts from the network of the step before, and every stage of its own network predicts the step's
    keypoints: most modes supply ``summary`` and ``plan`` alone.
    """

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line for tables and reports ("Transfer learning")."""

    def needs(self, split: KeypointSplit, step: int) -> Sequence[Need]:
        """Return the source jobs of this step: by default the step before; empty where it starts from nothing.

        Args:
            split: of the study.
            step: the step that is trained, 1 or more; ``split.steps[step].keypoints`` is what it learns.
        """
        del split
        return [Need(step - 1)]

    def layout(self, split: KeypointSplit, step: int, stages: Sequence[int]) -> Layout:
        """Return the heads' keypoint sets of a step's network: by default the step's own set on every stage.

        The last head must predict the step's keypoints, and may predict more (what is kept of earlier steps is then
        scored too). The network of step 0 is the core's: S1 on every stage.

        Args:
            split: of the study.
            step: the step that is trained, 1 or more.
            stages: how many stages the network has at each step, ``backbone.stages`` of the study, never falling;
                ``stages[step]`` heads are returned.

        Raises:
            KpError: the mode cannot be laid out so (a mode that freezes what it carries needs new stages).
        """
        return Layout((split.steps[step].keypoints,) * stages[step])

    @abstractmethod
    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """Return where every tensor of the step's network comes from, what trains, and on what.

        It is asked for before anything is trained, and must depend on its arguments alone. The core verifies it by
        :meth:`kpcore.plans.TransferPlan.verify`.

        Args:
            split: of the study.
            step: the step that is trained, 1 or more.
            target: the network to be trained, assembled by ``layout``.
            sources: the networks of ``needs``, in its order.

        Raises:
            KpError: the mode cannot be carried out on these networks.
        """
