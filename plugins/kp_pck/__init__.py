"""Percentages of correct keypoints: PCKh in four conventions, PCK in shares of a length, and Newell's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Metric


@hookimpl
def kp_metrics() -> Mapping[str, type[Metric]]:
    """Return the metrics."""
    from kp_pck.heatmap_pck import HeatmapPck
    from kp_pck.pck import Pck
    from kp_pck.pckh import Pckh

    return {"pckh": Pckh, "pck": Pck, "heatmap_pck": HeatmapPck}
