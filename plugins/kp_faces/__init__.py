"""Facial landmarks: readers of published layouts, and synthetic faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Dataset, Generator


@hookimpl
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Supply ``landmarks``, ``300w``, ``wflw``, ``cofw`` and ``aflw``."""
    from kp_faces.readers.aflw import Aflw
    from kp_faces.readers.cofw import Cofw
    from kp_faces.readers.ibug import ThreeHundredW
    from kp_faces.readers.landmarks import Landmarks
    from kp_faces.readers.wflw import Wflw

    return {"landmarks": Landmarks, "300w": ThreeHundredW, "wflw": Wflw, "cofw": Cofw, "aflw": Aflw}


@hookimpl
def kp_generators() -> Mapping[str, type[Generator]]:
    """Supply the generator ``faces``."""
    from kp_faces.synthetic.generator import FacesGenerator

    return {"faces": FacesGenerator}
