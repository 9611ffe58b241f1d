"""DeepLabCut projects, synthetic mice in their layout, and predictions for such a project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset, Generator, Writer


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``deeplabcut``."""
    from kp_deeplabcut.dataset import DeepLabCut

    return {"deeplabcut": DeepLabCut}


@hookimpl
def kp_generators() -> Mapping[str, type[Generator]]:
    """Supply the generator ``mice``."""
    from kp_deeplabcut.synthetic.generator import MiceGenerator

    return {"mice": MiceGenerator}


@hookimpl
def kp_writers() -> Mapping[str, type[Writer]]:
    """Supply the writer ``deeplabcut``."""
    from kp_deeplabcut.writer import DeepLabCut

    return {"deeplabcut": DeepLabCut}
