"""Named keypoints in CSV or JSON: most labs' own data, without a plugin of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``named``."""
    from kp_named.dataset import Named

    return {"named": Named}
