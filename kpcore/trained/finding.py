"""Trained networks found: by path, by the key of their job, or by study and name; and what the cache and a run hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpcore.cache import cache_dir
from kpcore.errors import KpError, listed, nearest, unknown
from kpcore.placing import home
from kpcore.records.folder import JobFolder, JobResult
from kpcore.trained.card import is_model_folder

KEY = re.compile(r"[0-9a-f]{6,64}")
"""A job's key, or enough of its beginning."""


@dataclass(frozen=True)
class Listed:
    """A finished training.

    Args:
        folder: of its files.
        key: of its job.
        name: as in "d-transfer-0".
        study: that trained it first; others may share it.
        seed: of the training.
        keypoints: that it predicts, those that it learned before and kept among them.
        validation: the value that its epoch was chosen by; None where there is none.
        convention: of that value.
    """

    folder: Path
    key: str
    name: str
    study: str
    seed: int | None
    keypoints: tuple[str, ...]
    validation: float | None
    convention: str

    @property
    def title(self) -> str:
        """As it can be asked for."""
        return f"{self.study}/{self.name}" if self.study else self.name


@dataclass(frozen=True)
class Wanted:
    """Which trainings are asked for; what is None is any."""

    study: str | None = None
    split: str | None = None
    mode: str | None = None
    seed: int | None = None

    def takes(self, one: Listed) -> bool:
        """Whether a training is asked for: its name is split, mode and seed, with dashes between."""
        return (
            self.study in (None, one.study)
            and (self.split is None or one.name.startswith(f"{self.split}-"))
            and (self.mode is None or f"-{self.mode}-" in one.name)
            and self.seed in (None, one.seed)
        )

    def among(self, known: Sequence[Listed]) -> list[Listed]:
        """Return those of the trainings that are asked for.

        Raises:
            KpError: none is.
        """
        studies = dict.fromkeys(one.study for one in known)
        if self.study is not None and self.study not in studies:
            raise unknown("study", self.study, studies, where="--study")
        found = [one for one in known if self.takes(one)]
        if not found and self != Wanted():
            asked = [f"--{name} {value}" for name, value in vars(self).items() if value is not None]
            names = list(dict.fromkeys(one.name for one in known if self.study in (None, one.study)))
            wanted = "-".join(str(part) for part in (self.split, self.mode, self.seed) if part is not None)
            close = nearest(wanted, names)
            meant = f"; nearest is '{close}'" if close else ""
            raise KpError(f"{' '.join(asked)}: no training is of these{meant} ({listed(names, 8)} exist)")
        return found


def trainings(run: Path | None = None) -> list[Listed]:
    """Return the finished trainings of a run's folder, or of the cache, by study and name.

    Raises:
        KpError: the run's folder is none.
    """
    if run is not None and not (run / "jobs").is_dir():
        raise KpError(f"{run}: no folder of a run (it has no 'jobs'); give the folder that 'kp run' wrote, or none")
    folder = (cache_dir() if run is None else run) / "jobs"
    found = (one for path in _folders(folder) if (one := _listed(path)) is not None)
    return sorted(found, key=lambda one: (one.study, one.name, one.key))


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if is_model_folder(path))


def _listed(path: Path) -> Listed | None:
    """Return what a job's folder says of itself; None where it is not finished, or says nothing that can be read."""
    job = JobFolder(path)
    about = job.about()
    settings: dict[str, Any] = about.get("settings", {})
    try:
        result = job.result()
        return Listed(
            folder=path,
            key=str(about["key"]),
            name=str(about["title"]),
            study=str(about["study"]),
            seed=settings.get("seed"),
            keypoints=tuple(settings.get("heads", settings["keypoints"])[-1]),
            validation=_kept(job, result, settings),
            convention=result.validation_convention,
        )
    except (KpError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _kept(job: JobFolder, result: JobResult, settings: Mapping[str, Any]) -> float | None:
    """Return the validation value of the weights that were kept, which need not be the best epoch's."""
    if settings.get("training", {}).get("keep") != "last":
        return result.best_validation
    return job.history()[-1].validation


def locate(text: str) -> Path:
    """Return the folder or file that a user means by a path, a key, or ``STUDY/NAME``.

    Raises:
        KpError: nothing is called so, or more than one training is.
    """
    path = home(text)
    if path.exists():
        return path
    known = trainings()
    found = [one for one in known if one.title == text or (KEY.fullmatch(text) and one.key.startswith(text))]
    if len(found) == 1:
        return found[0].folder
    if found:
        keys = listed([one.key[:12] for one in found])
        raise KpError(f"model '{text}': {len(found)} trainings are called so; give one of their keys: {keys}")
    raise _none(text, known)


def _none(text: str, known: list[Listed]) -> KpError:
    """Build the error for what nothing is called."""
    titles = [one.title for one in known]
    close = nearest(text, titles) or nearest(text.rpartition("/")[2], [one.name for one in known])
    meant = f"; did you mean '{close}'?" if close else ""
    have = f"; 'kp models ls' lists the {len(known)} trainings in the cache" if known else "; the cache has no training"
    return KpError(f"model '{text}': no such file, folder or training{meant}{have}")
