"""Dataset: lists samples. It never crops, augments or draws targets; the core does."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, final

from kpcore.findings import Finding
from kpcore.interfaces.component import Component
from kpcore.interfaces.download import Download
from kpcore.keypoints import Skeleton
from kpcore.samples import Sample


@dataclass(frozen=True)
class Facts:
    """What a data set is.

    Args:
        label: what results call this data ("MPII"); the core marks sample data itself.
        skeleton: the keypoints, in the order of ``Sample.points``.
        parts: names of the parts; "train" is trained on and "valid" is scored.
        normaliser: what ``Sample.normaliser`` means ("0.6 x head-box diagonal").
        default_metric: name of the metric that this data is usually scored with.
        list_name: name of the published list of people that is read ("newell"); "" where there is only one.
        origin: coordinate of the first pixel's centre in the annotation file (0 or 1); default of ``kp eval --origin``.
        terms: of use, as its publisher states them; "" where that is not known. Networks that learned from it say so.
    """

    label: str
    skeleton: Skeleton
    parts: tuple[str, ...]
    normaliser: str
    default_metric: str
    list_name: str = ""
    origin: int = 0
    terms: str = ""


@dataclass(frozen=True)
class Near:
    """How far a folder is of a data set's layout; told to a user whose folder no data set reads.

    Args:
        share: how much of the layout is there, from 0 to 1; the data set with the largest share is named.
        missing: what is not there, in words; "" where all of it is, and something in it is wrong.
        options: options with which the data set may read the folder as it is; they are tried before they are told.
    """

    share: float
    missing: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class Dataset(Component):
    """Annotated instances in named parts.

    A folder of files is the option ``root``, by convention: ``kp data info FOLDER`` and ``dataset.generate`` set it. A
    constructor raises KpError where its root or annotation file is missing or damaged: one line with the path.

    Attributes:
        root_variable: environment variable that the constructor takes the root from where the study file names none; ""
            where there is none.
        default_skeleton: the skeleton, where it is known without looking at data; lets splits be listed without any.
        downloads: the files that ``kp data fetch NAME`` gets into a root, those that make it readable last.
    """

    root_variable: ClassVar[str] = ""
    marks: ClassVar[tuple[tuple[str, ...], ...]] = ()
    default_skeleton: ClassVar[Skeleton | None] = None
    downloads: ClassVar[tuple[Download, ...]] = ()

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What is true of the data set before a sample is read; the same at every call."""

    @final
    @property
    def skeleton(self) -> Skeleton:
        """That of the facts."""
        return self.facts.skeleton

    @final
    @property
    def label(self) -> str:
        """That of the facts."""
        return self.facts.label

    @final
    @property
    def parts(self) -> tuple[str, ...]:
        """Those of the facts."""
        return self.facts.parts

    @classmethod
    def near(cls, root: Path) -> Near | None:
        """Return how far a folder that the constructor refuses is of this layout; None where nothing is like it.

        By default as many of the ``marks`` as are there.
        """
        absent = [either for either in cls.marks if not any(any(root.glob(pattern)) for pattern in either)]
        if len(absent) == len(cls.marks):
            return None
        missing = ", and ".join(" or ".join(one.removeprefix("./") for one in either) for either in absent)
        return Near(1 - len(absent) / len(cls.marks), missing)

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
