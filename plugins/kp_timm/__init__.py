"""Any network of timm that gives features, as a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Backbone


@hookimpl
def kp_backbones() -> Mapping[str, type[Backbone]]:
    """Supply ``timm``."""
    from kp_timm.backbone import TimmBackbone

    return {"timm": TimmBackbone}
