"""Random initialisation: the whole network learns S2 from nothing; the baseline.

Paper, section 3.2 "Random Initialization" and Fig. 1c.
"""

from __future__ import annotations

from collections.abc import Sequence

from kpcore.interfaces import Need, TransferStrategy
from kpcore.keypoints import KeypointSplit
from kpcore.plans import NetworkSpec, TransferPlan, fresh_origins


class Random(TransferStrategy):
    """No source; all stages are new and supervised on the step's set."""

    @property
    def summary(self) -> str:
        """The paper's name for this row."""
        return "Random initialization"

    def needs(self, split: KeypointSplit, step: int) -> Sequence[Need]:
        """Nothing."""
        return []

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """Every tensor is new, or from the backbone's pretrained file where it brings one."""
        return TransferPlan(fresh_origins(target), supervision=target.layout.heads)
