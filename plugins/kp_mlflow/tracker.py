"""Runs of MLflow: one a study, and one nested in it a training."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpcore.interfaces import Ending, Track, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATUS = {"done": "FINISHED", "failed": "FAILED"}
ALLOWED = re.compile(r"[^\w\-. /]", re.ASCII)
"""What no name of a metric or parameter may have in every version of MLflow."""
LONG = 6000
"""Characters of a parameter's value."""
PARAMETERS = 100
"""Parameters that a request takes."""


class Mlflow(Tracker):
    """MLflow: the server of MLFLOW_TRACKING_URI, else a database and files below the study's folder."""

    library = "mlflow"
    install = "kptransfer[mlflow]"

    def place(self, folder: Path) -> str:
        """Return the server, or that it is the study's own folder, and the experiment."""
        return (
            f"{os.environ.get('MLFLOW_TRACKING_URI', 'folder')} {os.environ.get('MLFLOW_EXPERIMENT_NAME', '')}".strip()
        )

    def open(self, study: Mapping[str, Any], folder: Path, run: str) -> Track:
        """Find or make the experiment and the study's run."""
        from mlflow import MlflowClient

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # of tables that it makes
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a line a run, through the live table
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        client = MlflowClient(tracking_uri=uri or f"sqlite:///{(folder / 'mlflow.db').as_posix()}")
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or study["name"]
        experiment = _experiment(client, name, None if uri else (folder / "artifacts").as_uri())
        return Runs(client, experiment, _study_run(client, experiment, study, run))


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=artifacts))
    if found.lifecycle_stage != "active":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _study_run(client: MlflowClient, experiment: str, study: Mapping[str, Any], run: str) -> str:
    if run and _exists(client, run):
        client.update_run(run, status="RUNNING")
        return run
    tags = {"kp.study": study["name"], "kp.preset": study["preset"], "kp.data": study["data"]}
    made = client.create_run(experiment, tags=tags, run_name=study["name"]).info.run_id
    _parameters(client, made, dict(_flat(study["settings"])))
    return str(made)


class Runs(Track):
    """A study's runs.

    Args:
        client: of the server or the database.
        experiment: its id.
        run: id of the study's own.
    """

    def __init__(self, client: MlflowClient, experiment: str, run: str) -> None:
        self._client = client
        self._experiment = experiment
        self._run = run

    @property
    def run(self) -> str:
        """The study's own run."""
        return self._run

    def begin(self, job: Mapping[str, Any], run: str) -> str:
        """Go on with the job's run where it is there, else make one."""
        if run and _exists(self._client, run):
            self._client.update_run(run, status="RUNNING")
            return run
        tags = {"mlflow.parentRunId": self._run, "kp.job": job["key"], "kp.study": job["study"]}
        made = self._client.create_run(self._experiment, tags=tags, run_name=job["name"]).info.run_id
        _parameters(self._client, made, {name: job[name] for name in ("split", "mode", "seed")})
        return str(made)

    def epoch(self, run: str, epoch: int, values: Mapping[str, float]) -> None:
        """Log a metric a value."""
        self._metrics(run, epoch, values)

    def end(self, run: str, status: str) -> None:
        """Terminate the run."""
        self._client.set_terminated(run, STATUS[status])

    def finish(self, ending: Ending) -> None:
        """Log scores with the runs that they are of, and files and pictures with the study's."""
        for run, scores in ending.scores.items():
            self._metrics(run, ending.kept[run], {f"score/{name}": value for name, value in scores.items()})
            self._client.set_terminated(run, STATUS["done"])
        for path in ending.files:
            self._client.log_artifact(self._run, str(path))
        for name, picture in ending.pictures.items():
            self._client.log_image(self._run, picture, f"pictures/{_named(name)}.png")
        self._client.set_terminated(self._run, STATUS["done"])

    def _metrics(self, run: str, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(run, metrics=[Metric(_named(name), value, now, step) for name, value in values.items()])


def _exists(client: MlflowClient, run: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def _parameters(client: MlflowClient, run: str, values: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    known = [Param(_named(name), str(value)[:LONG]) for name, value in values.items()]
    for start in range(0, len(known), PARAMETERS):
        client.log_batch(run, params=known[start : start + PARAMETERS])


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield "training.epochs", 30 and so on."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _named(name: str) -> str:
    return ALLOWED.sub("_", name)
