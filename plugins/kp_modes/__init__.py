"""The paper's three modes: transfer, frozen, random. Each is one file over kpcore.plans.TransferPlan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import TransferStrategy


@hookimpl
def kp_strategies() -> Mapping[str, type[TransferStrategy]]:
    """Supply ``transfer``, ``frozen`` and ``random``."""
    from kp_modes.frozen import Frozen
    from kp_modes.random import Random
    from kp_modes.transfer import Transfer

    return {"transfer": Transfer, "frozen": Frozen, "random": Random}
