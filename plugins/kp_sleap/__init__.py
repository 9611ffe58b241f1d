"""Predictions as SLEAP's files; needs the extra ``sleap``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Writer


@hookimpl
def kp_writers() -> Mapping[str, type[Writer]]:
    """Supply ``slp``."""
    from kp_sleap.writer import Slp

    return {"slp": Slp}
