"""Predictions as our own HDF5, as a tidy CSV, and drawn on pictures and videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Writer


@hookimpl
def kp_writers() -> Mapping[str, type[Writer]]:
    """Return the writers."""
    from kp_outputs.hdf5 import Hdf5
    from kp_outputs.pictures import Pictures
    from kp_outputs.table import Table

    return {"h5": Hdf5, "csv": Table, "pictures": Pictures}
