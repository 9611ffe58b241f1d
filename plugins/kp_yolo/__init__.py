"""Keypoints in the layout of ultralytics' YOLO pose models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``yolo``."""
    from kp_yolo.dataset import Yolo

    return {"yolo": Yolo}
