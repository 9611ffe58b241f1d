"""Volumetric heatmaps with soft-argmax, for 3D keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Codec


@hookimpl
def kp_codecs() -> Mapping[str, type[Codec]]:
    """Return the codec."""
    from kp_volumetric.codec import Volumetric

    return {"volumetric": Volumetric}
