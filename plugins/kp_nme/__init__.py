"""Normalised mean error of landmarks, its area under the curve, its failure rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Metric


@hookimpl
def kp_metrics() -> Mapping[str, type[Metric]]:
    """Supply ``nme``."""
    from kp_nme.nme import Nme

    return {"nme": Nme}
