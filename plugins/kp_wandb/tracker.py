"""Runs of Weights & Biases: one a study, and one a training, in a group of the study's name."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpcore.interfaces import Ending, Track, Tracker

if TYPE_CHECKING:
    from wandb import Run

PROJECT = "kptransfer"
EXIT = {"done": 0, "failed": 1}


class WeightsAndBiases(Tracker):
    """Weights & Biases: as its WANDB_... variables say; WANDB_MODE=offline writes below the study's folder alone."""

    library = "wandb"
    install = "kptransfer[wandb]"

    def place(self, folder: Path) -> str:
        """Return server, entity and project."""
        asked = (os.environ.get(f"WANDB_{name}", "") for name in ("BASE_URL", "ENTITY", "PROJECT"))
        return " ".join([*filter(None, asked)]) or PROJECT

    def open(self, study: Mapping[str, Any], folder: Path, run: str) -> Track:
        """Begin or go on with the study's run."""
        return Runs(study, folder, run or uuid.uuid4().hex)


class Runs(Track):
    """A study's runs, open until the study ends: scores are known only then.

    Args:
        study: as for the hook ``kp_study_started``.
        folder: of files, where WANDB_DIR names none.
        run: id of the study's own.
    """

    def __init__(self, study: Mapping[str, Any], folder: Path, run: str) -> None:
        self._study = study
        self._folder = folder
        self._own = run
        self._open: dict[str, Run] = {}
        facts = {name: study[name] for name in ("preset", "data")}
        self._open[run] = self._init(run, study["name"], "study", {**study["settings"], **facts})

    @property
    def run(self) -> str:
        """The study's own run."""
        return self._own

    def begin(self, job: Mapping[str, Any], run: str) -> str:
        """Begin or go on with a job's run."""
        run = run or uuid.uuid4().hex
        told = {name: job[name] for name in ("split", "mode", "seed", "key")}
        self._open[run] = self._init(run, job["name"], "training", told)
        return run

    def epoch(self, run: str, epoch: int, values: Mapping[str, float]) -> None:
        """Log the values of an epoch as one step."""
        self._open[run].log({"epoch": epoch, **values}, step=epoch)

    def end(self, run: str, status: str) -> None:
        """Finish the run of a job that failed; one that is done waits for its score."""
        if status == "failed":
            self._open.pop(run).finish(exit_code=EXIT[status])

    def finish(self, ending: Ending) -> None:
        """Put scores into summaries, and pictures and files into the study's run; finish all runs."""
        for run, scores in ending.scores.items():
            if run not in self._open:
                self._open[run] = self._init(run, None, "training", {})
            self._open[run].summary.update({f"score/{name}": value for name, value in scores.items()})
            self._open[run].summary.update({"scored_epoch": ending.kept[run]})
        if ending.files:
            self._left(self._open[self._own], ending)
        for one in self._open.values():
            one.finish()

    def _init(self, run: str, name: str | None, kind: str, config: dict[str, Any]) -> Run:
        import wandb

        whole = kind == "study"  # packages and the machine's load are the same for all
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            dir=os.environ.get("WANDB_DIR") or str(self._folder),
            id=run, name=name, group=self._study["name"], job_type=kind, config=config, resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True,
                x_save_requirements=whole, x_disable_stats=not whole,
            ),
        )  # fmt: skip

    def _left(self, run: Run, ending: Ending) -> None:
        import wandb

        pictures = {f"pictures/{name}": wandb.Image(picture) for name, picture in ending.pictures.items()}
        if pictures:
            run.log(pictures)
        kept = wandb.Artifact(re.sub(r"[^\w\-.]", "_", f"{self._study['name']}-results", flags=re.ASCII), "results")
        for path in ending.files:
            kept.add_file(str(path))
        run.log_artifact(kept)
