"""Leeds Sports Poses, and its extended training set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``lspet``."""
    from kp_lspet.dataset import Lspet

    return {"lspet": Lspet}
