"""MPII Human Pose in the four layouts that its users have on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``mpii``."""
    from kp_mpii.dataset import Mpii

    return {"mpii": Mpii}
