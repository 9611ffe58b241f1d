"""COCO keypoints: the data set, OKS average precision, and predictions in COCO's formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset, Metric, Writer


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


@hookimpl
def kp_writers() -> Mapping[str, type[Writer]]:
    """Supply ``coco`` and ``coco_results``."""
    from kp_coco.annotations_writer import CocoAnnotations
    from kp_coco.results_writer import CocoResults

    return {"coco": CocoAnnotations, "coco_results": CocoResults}
