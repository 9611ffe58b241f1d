"""TensorBoard as a tracker: ``kp run STUDY --track tensorboard``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Tracker


@hookimpl
def kp_trackers() -> Mapping[str, type[Tracker]]:
    """Return the tracker."""
    from kp_tensorboard.tracker import TensorBoard

    return {"tensorboard": TensorBoard}
