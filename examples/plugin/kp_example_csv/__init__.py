"""A plugin's door: hooks only. What they return is imported inside, so that listing plugins stays fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply the data set ``csv``."""
    from kp_example_csv.dataset import CsvPoints

    return {"csv": CsvPoints}
