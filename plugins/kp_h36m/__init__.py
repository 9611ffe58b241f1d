"""Human3.6M: frames and annotations in common layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``h36m``."""
    from kp_h36m.dataset import H36m

    return {"h36m": H36m}
