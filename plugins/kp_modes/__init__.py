"""The paper's three modes (transfer, frozen, random), and four more (by_name, gradual, l2sp, replay).

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
    """Supply all seven, the paper's first."""
    from kp_modes.by_name import ByName
    from kp_modes.frozen import Frozen
    from kp_modes.gradual import Gradual
    from kp_modes.l2sp import L2SP
    from kp_modes.random import Random
    from kp_modes.replay import Replay
    from kp_modes.transfer import Transfer

    return {
        "transfer": Transfer, "frozen": Frozen, "random": Random,
        "by_name": ByName, "gradual": Gradual, "l2sp": L2SP, "replay": Replay,
    }  # fmt: skip
