"""The paper's three modes (transfer, frozen, random), and five more (by_name, gradual, l2sp, multi_task, replay).

Each is one file over kpcore.plans.TransferPlan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import TransferStrategy


@hookimpl
def kp_strategies() -> Mapping[str, type[TransferStrategy]]:
    """Supply all eight, the paper's first."""
    from kp_modes.by_name import ByName
    from kp_modes.frozen import Frozen
    from kp_modes.gradual import Gradual
    from kp_modes.l2sp import L2SP
    from kp_modes.multi_task import MultiTask
    from kp_modes.random import Random
    from kp_modes.replay import Replay
    from kp_modes.transfer import Transfer

    return {
        "transfer": Transfer, "frozen": Frozen, "random": Random,
        "by_name": ByName, "gradual": Gradual, "l2sp": L2SP, "multi_task": MultiTask, "replay": Replay,
    }  # fmt: skip
