"""Synthetic people: a generator that renders them, in MPII's layout or LSP's, and a data set of them in 2D or 3D."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset, Generator


@hookimpl
def kp_generators() -> Mapping[str, type[Generator]]:
    """Supply the generator ``people``."""
    from kp_people.synthetic.generator import PeopleGenerator

    return {"people": PeopleGenerator}


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply the data set ``people``."""
    from kp_people.dataset import PeopleDataset

    return {"people": PeopleDataset}
