"""Event files of TensorBoard: a folder a training, one a scored row, and one for pictures and tables."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpcore.interfaces import Ending, Track, Tracker
from kpcore.records.slugs import slug

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TEXTS = {"study.toml": "study.toml", "tables.md": "tables", "results.json": "results.json"}
"""File -> tag of its text."""
FOLDER = "folder"
STUDY, SCORES = "study", "scores"


class TensorBoard(Tracker):
    """TensorBoard: event files below the study's folder, shown by ``tensorboard --logdir runs``."""

    library = "tensorboard"
    install = "kptransfer[tensorboard]"

    def place(self, folder: Path) -> str:
        """Return that it is the study's own folder, wherever that is moved to."""
        return FOLDER

    def open(self, study: Mapping[str, Any], folder: Path, run: str) -> Track:
        """Begin to write below ``folder``."""
        return Events(folder)


class Events(Track):
    """Event files below a folder; a run is the name of a folder there.

    A writer says which epoch it begins with, and TensorBoard then drops what was written from there on before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, SummaryWriter] = {}

    @property
    def run(self) -> str:
        """The folder of pictures and texts."""
        return STUDY

    def begin(self, job: Mapping[str, Any], run: str) -> str:
        """Return the folder that the job has, where it is there, or a new one."""
        if run and (self._folder / run).is_dir():
            return run
        name = slug(job["name"])
        numbered = (name if number == 1 else f"{name}-{number}" for number in count(1))
        return next(one for one in numbered if not (self._folder / one).exists() and one not in (STUDY, SCORES, run))

    def epoch(self, run: str, epoch: int, values: Mapping[str, float]) -> None:
        """Write a point a value, and flush."""
        if run not in self._writers:
            self._writers[run] = _writer(self._folder / run, purge_step=epoch)
        for name, value in values.items():
            self._writers[run].add_scalar(name, value, epoch)
        self._writers[run].flush()

    def end(self, run: str, status: str) -> None:
        """Close the job's file."""
        if run in self._writers:
            self._writers.pop(run).close()

    def finish(self, ending: Ending) -> None:
        """Write scores into folders of their own, and pictures and texts, in place of what was there."""
        for run, scores in ending.scores.items():
            self._scores(run, scores, ending.kept[run])
        if ending.files:
            self._left(ending)
        for run in list(self._writers):
            self.end(run, "done")

    def _scores(self, run: str, scores: Mapping[str, float], epoch: int) -> None:
        place = self._folder / SCORES / run
        shutil.rmtree(place, ignore_errors=True)
        with _writer(place) as writer:
            for name, value in scores.items():
                writer.add_scalar(f"score/{name}", value, epoch)

    def _left(self, ending: Ending) -> None:
        shutil.rmtree(self._folder / STUDY, ignore_errors=True)
        with _writer(self._folder / STUDY) as writer:
            for name, picture in ending.pictures.items():
                writer.add_image(name, picture, 0, dataformats="HWC")
            for path in ending.files:
                if path.name in TEXTS:
                    writer.add_text(TEXTS[path.name], _markdown(path), 0)


def _writer(folder: Path, purge_step: int | None = None) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=purge_step)


def _markdown(path: Path) -> str:
    """Return a file's text as TensorBoard shows it: Markdown as it is, all else as it stands."""
    text = path.read_text(encoding="utf-8")
    return text if path.suffix == ".md" else "".join(f"    {line}\n" for line in text.splitlines())
