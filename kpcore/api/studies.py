"""A study for Python programs: ``kpcore.load_study("study.toml").run()``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kpcore.api.closing import draw_page, tell_ended, write_files
from kpcore.api.results import StudyResults, frame_of
from kpcore.config import StudyConfig, to_toml
from kpcore.errors import KpError, shown, unknown, visible
from kpcore.interrupts import give_up, stoppable
from kpcore.keypoints import KeypointSplit
from kpcore.placing import given
from kpcore.records.folder import JobFolder
from kpcore.registry import registry
from kpcore.samples import Sample
from kpcore.study.executors import State, local
from kpcore.study.jobs import Job, JobPlan
from kpcore.study.opening import open_study
from kpcore.study.planning import plan_study
from kpcore.study.runner import run_study
from kpcore.study.study import Study
from kpcore.training.device import Device, choose_device

Notice = Callable[[str], None]


class OpenStudy:
    """A study that is open and checked; :func:`kpcore.load_study` makes one.

    Args:
        study: open.
        notice: gets lines for the user.
    """

    def __init__(self, study: Study, notice: Notice) -> None:
        self.study = study
        self._notice = notice

    def __repr__(self) -> str:
        splits, modes = ([one.name for one in found] for found in (self.splits, self.study.modes))
        return f"OpenStudy({self.name!r} on {self.study.label}: splits {', '.join(splits)}; modes {', '.join(modes)})"

    @property
    def name(self) -> str:
        """As the study file calls it."""
        return self.config.study.name

    @property
    def config(self) -> StudyConfig:
        """All settings, resolved."""
        return self.study.config

    @property
    def splits(self) -> tuple[KeypointSplit, ...]:
        """Its keypoint splits."""
        return self.study.splits

    def samples(self, part: Literal["train", "valid"] = "valid") -> Sequence[Sample]:
        """Return the people of the data set that is scored: image, points, crop.

        Raises:
            KpError: there is no such part, or it cannot be read.
        """
        if part not in ("train", "valid"):
            raise unknown("part", part, ("train", "valid"))
        data = self.study.scored
        return (data.train if part == "train" else data.valid).samples

    def plan(self, *, device: str | None = None) -> StudyPlan:
        """Return its trainings, and which of them are done already; nothing is trained.

        Args:
            device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; the best there is by default.

        Raises:
            KpError: the device is not there.
        """
        return StudyPlan(plan_study(self.study, self._device(device)))

    def run(
        self, out: str | Path | None = None, *, device: str | None = None, jobs: int = 1, fresh: bool = False
    ) -> StudyResults:
        """Run what is missing, and write all that ``kp run`` writes; a row that fails does not stop the others.

        An interrupt lets the step of a training end, keeps a checkpoint, and is a KeyboardInterrupt; this called again
        goes on from there. A second interrupt does not wait for the step.

        Args:
            out: folder of the results; ``runs/NAME`` by default.
            device: as for :meth:`plan`.
            jobs: trainings at once. More than one are processes of their own, which a script starts only below
                ``if __name__ == "__main__":``.
            fresh: train everything again, whatever the cache has.

        Raises:
            KpError: the data cannot be prepared, the folder cannot be made, or the device is not there.
        """
        if not isinstance(jobs, int) or jobs < 1:
            raise KpError(f"jobs = {shown(jobs)}: at least one training at once; leave it out for one")
        folder = Path("runs") / self.name if out is None else given(out, "out")
        where = self._device(device)
        plan = plan_study(self.study, where)
        watcher = _Told(self._notice)
        with stoppable((signal.SIGINT,), give_up):  # other signals belong to the program
            results = run_study(self.study, plan, where, folder, watcher, local(jobs), fresh=fresh)
        known, _ = write_files(plan, folder, results)
        draw_page(self.study, plan, folder, known, self._notice)
        for line in tell_ended(self.study, folder, results):
            self._notice(line)
        return StudyResults(folder, results)

    def _device(self, name: str | None) -> Device:
        settings = self.config.training
        return choose_device(name, settings.precision, settings.threads)


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """All trainings of a study, each once, sources before those that start from them."""

    plan: JobPlan

    def __len__(self) -> int:
        return len(self.plan.jobs)

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """A record a training: name, split, mode ("" where modes share it), seed, step (0 is S1), keypoints, what it
        starts from, share of the labels, whether it is done already, and its key.
        """
        return [_record(job) for job in self.plan.jobs]

    @property
    def refused(self) -> dict[str, str]:
        """Split, mode and seed of every row that cannot be run -> why."""
        return {f"{row.split.name}-{row.mode.name}-{row.seed}": row.reason for row in self.plan.refused}

    def frame(self) -> Any:
        """Return :attr:`jobs` as a pandas frame; raises KpError where pandas is not installed."""
        return frame_of(self.jobs)


def _record(job: Job) -> dict[str, Any]:
    return {
        "name": job.name,
        "split": job.split.name,
        "mode": job.mode.name if job.mode else "",
        "seed": job.seed,
        "step": job.step,
        "keypoints": job.keypoints.names,
        "sources": tuple(source.name for source in job.sources),
        "labels": job.view.labels,
        "done": JobFolder.of(job.key).done,
        "key": job.key,
    }


@dataclass(frozen=True)
class _Told:
    """A watcher that says in a line how each training ended."""

    say: Notice

    def preparing(self, done: int, total: int) -> None:
        if done == total:
            self.say(f"Prepared the crops of {total:,} samples.")

    def notice(self, text: str) -> None:
        self.say(text)

    def job_started(self, job: Job) -> None:
        del job

    def iteration(self, job: Job, done: int, total: int) -> None:
        del job, done, total

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        del job, record

    def job_finished(self, job: Job, state: State) -> None:
        ended = "in the cache" if state.cached else state.status
        self.say(f"{job.name}: {ended}" + (f": {state.reason}" if state.reason else ""))
        for line in state.printed:
            self.say(f"    {visible(line)}")


def load_study(
    file: str | Path,
    profile: str | None = None,
    sets: Mapping[str, Any] | Sequence[str] = (),
    *,
    notice: Notice = print,
) -> OpenStudy:
    """Open a study file and check it against its data, as ``kp run`` does.

    Args:
        file: the study file (TOML).
        profile: overlay ``[profiles.NAME]`` of the file.
        sets: keys that are set besides: ``{"training.epochs": 10}``, or as the command takes them,
            ``["training.epochs=10"]``.
        notice: gets lines for the user.

    Raises:
        KpError: with file and key, for anything that is wrong.
        ContractError: a component gives back what its interface does not allow.
    """
    return OpenStudy(open_study(registry(), given(file, "study file"), profile, assignments(sets), notice), notice)


def assignments(sets: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Return keys that are set as the command takes them; raises KpError for a text, or a value that TOML has not."""
    if isinstance(sets, str):
        raise KpError(f'sets = "{sets[:60]}": give a list, ["key=value"], or a dict, {{"key": value}}')
    if isinstance(sets, Mapping):
        return [line for key, value in sets.items() for line in _assigned(key, value)]
    lines = list(sets) if isinstance(sets, Iterable) else [sets]
    if wrong := [line for line in lines if not isinstance(line, str)]:
        raise KpError(f'sets: {shown(wrong[0])}: give a list, ["key=value"], or a dict, {{"key": value}}')
    return [str(line) for line in lines]


def _assigned(key: str, value: Any) -> list[str]:
    """Return a key's assignment; of a dict one of each of its keys."""
    if isinstance(value, Mapping):
        return [line for name, inside in value.items() for line in _assigned(f"{key}.{name}", inside)]
    plain = str(value) if isinstance(value, Path) else value
    try:
        text = to_toml({"value": plain}).removeprefix("value = ").strip()
    except TypeError:
        text = ""
    if not text:
        raise KpError(f"sets: {key} = {shown(value)}: TOML has no such value; give a text, a number or a list")
    return [f"{key}={text}"]
