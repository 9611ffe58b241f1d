"""Keypoints labelled in Label Studio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``labelstudio``."""
    from kp_labelstudio.dataset import LabelStudio

    return {"labelstudio": LabelStudio}
