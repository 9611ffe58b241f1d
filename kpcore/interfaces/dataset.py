"""Dataset: lists samples. It never crops, augments or draws targets; the core does."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from kpcore.interfaces.component import Component
from kpcore.keypoints import Skeleton
from kpcore.samples import Sample


@dataclass(frozen=True)
class Finding:
    """Something that a user should know of the data, for ``kp data check``.

    Args:
        level: ``note`` informs, ``warning`` deserves a look, ``error`` makes the part unusable.
        what: one line; names file and row where it can.
        count: how many people or files it concerns.
    """

    level: Literal["note", "warning", "error"]
    what: str
    count: int = 1


class Dataset(Component):
    """Annotated instances in named parts.

    A folder of files is the option ``root``, by convention: ``kp data info FOLDER`` and ``dataset.generate`` set it. A
    constructor raises KpError where its root or annotation file is missing or damaged: one line with the path.

    Attributes:
        root_variable: environment variable that the constructor takes the root from where the study file names none; ""
            where there is none.
        default_skeleton: the skeleton, where it is known without looking at data; lets splits be listed without any.
    """

    root_variable: ClassVar[str] = ""
    default_skeleton: ClassVar[Skeleton | None] = None

    @property
    @abstractmethod
    def skeleton(self) -> Skeleton:
        """The keypoints, in the order of ``Sample.points``."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What results call this data, with the name of the list ("MPII"); the core marks sample data itself."""

    @property
    def list_name(self) -> str:
        """Name of the published list of people that is read ("newell"); "" where there is only one."""
        return ""

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Names of the parts; "train" is trained on and "valid" is scored."""

    @property
    @abstractmethod
    def normaliser(self) -> str:
        """What ``Sample.normaliser`` means ("0.6 x head-box diagonal")."""

    @property
    @abstractmethod
    def default_metric(self) -> str:
        """Name of the metric that this data is usually scored with."""

    @property
    def origin(self) -> int:
        """Coordinate of the first pixel's centre in the annotation file (0 or 1); default of ``kp eval --origin``."""
        return 0

    @abstractmethod
    def samples(self, part: str) -> Sequence[Sample]:
        """All usable instances of a part, in the annotation file's order: the same at every call.

        The core takes them down by their arrays and their images' bytes, so a change of either is seen, and no reader
        has to tell it.

        Raises:
            KpError: the part does not exist, or the annotation is damaged; with file, row and remedy.
        """

    def findings(self, part: str) -> Sequence[Finding]:
        """What is odd in this part beyond the core's own checks: rows left out and why, derived values, shifts made."""
        del part
        return ()
