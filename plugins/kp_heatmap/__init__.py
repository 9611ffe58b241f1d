"""Gaussian heatmaps: one map a keypoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Codec


@hookimpl
def kp_codecs() -> Mapping[str, type[Codec]]:
    """Return the codec."""
    from kp_heatmap.codec import GaussianHeatmap

    return {"heatmap": GaussianHeatmap}
