"""Tracker: shows a study in another tool, while it runs and afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kpcore.interfaces.component import Component
from kpcore.tensors import ImageArray


@dataclass(frozen=True, eq=False)
class Ending:
    """What a study left that a tracker was not given before.

    Args:
        scores: run of a job -> {"average": value, column: value}, in the metric's unit; each at the epoch of ``kept``.
        kept: run of a job -> the epoch whose weights were scored.
        pictures: name -> (H, W, 3) uint8 RGB, predictions drawn on crops; a few a split.
        files: the resolved study, results and tables.
    """

    scores: Mapping[str, Mapping[str, float]]
    kept: Mapping[str, int]
    pictures: Mapping[str, ImageArray]
    files: Sequence[Path]


class Track(ABC):
    """A study in the tool. A *run* is what the tool calls one curve that goes on: the study has one, and every job.

    Runs are named by the tool, and remembered by the core in the study's folder, so that a study that goes on is given
    the same ones. No epoch of a run is told twice.
    """

    @property
    @abstractmethod
    def run(self) -> str:
        """The study's own run."""

    @abstractmethod
    def begin(self, job: Mapping[str, Any], run: str) -> str:
        """A job's curve begins, or goes on.

        Args:
            job: as for the hook ``kp_epoch_ended``.
            run: what this method returned before, where the curve goes on; "" for a new one.

        Returns:
            The run; another than was given where that one is gone, and the curve is then told from its beginning.
        """

    @abstractmethod
    def epoch(self, run: str, epoch: int, values: Mapping[str, float]) -> None:
        """Take an epoch's values, such as ``loss`` and ``validation``; ``epoch`` counts from 1 and only grows."""

    @abstractmethod
    def end(self, run: str, status: str) -> None:
        """A job ended: "done" or "failed"; a run that failed may go on another day."""

    @abstractmethod
    def finish(self, ending: Ending) -> None:
        """Take what the study left, where there is something new, and let go of everything.

        Scores may be of a run that did not begin in this process.
        """


class Tracker(Component):
    """A tool that ``kp run --track NAME`` shows a study in.

    Attributes:
        library: the import that it needs; looked for before anything is trained.
        install: what pip installs it by.
    """

    library: ClassVar[str]
    install: ClassVar[str]

    @abstractmethod
    def place(self, folder: Path) -> str:
        """Return where the tool keeps what it is told: what was told to one place is not known in another.

        Args:
            folder: the tool's own below the study's, where it is not set up to write elsewhere.
        """

    @abstractmethod
    def open(self, study: Mapping[str, Any], folder: Path, run: str) -> Track:
        """Begin with a study, or go on.

        Args:
            study: as for the hook ``kp_study_started``.
            folder: as for :meth:`place`; it is there.
            run: the study's run, where it goes on; "" for a new one.
        """
