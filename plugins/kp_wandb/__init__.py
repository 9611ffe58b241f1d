"""Weights & Biases as a tracker: ``kp run STUDY --track wandb``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Tracker


@hookimpl
def kp_trackers() -> Mapping[str, type[Tracker]]:
    """Return the tracker."""
    from kp_wandb.tracker import WeightsAndBiases

    return {"wandb": WeightsAndBiases}
