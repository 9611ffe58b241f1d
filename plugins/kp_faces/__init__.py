"""Facial landmarks: readers of published layouts, and synthetic faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``landmarks``."""
    from kp_faces.landmarks import Landmarks

    return {"landmarks": Landmarks}
