"""The stacked hourglass of Newell et al. (ECCV 2016) as a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Backbone


@hookimpl
def kp_backbones() -> Mapping[str, type[Backbone]]:
    """Supply ``hourglass``."""
    from kp_hourglass.hourglass import StackedHourglass

    return {"hourglass": StackedHourglass}
