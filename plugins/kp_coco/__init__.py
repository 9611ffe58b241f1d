"""COCO keypoints: the data set and OKS average precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset, Metric


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``coco``."""
    from kp_coco.dataset import Coco

    return {"coco": Coco}


@hookimpl
def kp_metrics() -> Mapping[str, type[Metric]]:
    """Supply ``oks``."""
    from kp_coco.oks import Oks

    return {"oks": Oks}
