"""Mean per-joint position error in millimetres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Metric


@hookimpl
def kp_metrics() -> Mapping[str, type[Metric]]:
    """Return the metric."""
    from kp_mpjpe.mpjpe import Mpjpe

    return {"mpjpe": Mpjpe}
