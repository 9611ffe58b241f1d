"""Runs a study on this machine: every job once, sources first, whatever fails named and left behind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from kpcore import placing
from kpcore.cache import cache_dir
from kpcore.config import to_toml
from kpcore.errors import FaultError, KpError, system_error
from kpcore.evaluation.mean_shape import score_mean_shape
from kpcore.keypoints import KeypointSplit
from kpcore.locks import local_only
from kpcore.records.folder import JobFolder, JobResult
from kpcore.records.results import AVERAGE, DataInfo, JobInfo, ModeInfo, Results, Row, SplitInfo
from kpcore.records.slugs import slug
from kpcore.registry import Registry
from kpcore.study.comparison import not_compared
from kpcore.study.data import StudyData
from kpcore.study.executors import Events, Executor, Pool, Run, State
from kpcore.study.faults import fault, placeless
from kpcore.study.guard import told
from kpcore.study.jobs import Job, JobPlan, Refused
from kpcore.study.jobs import Row as PlannedRow
from kpcore.study.queue import Queue, work_through
from kpcore.study.reasons import damaged
from kpcore.study.sample_values import keep_values
from kpcore.study.scoring import Scorer
from kpcore.study.spelling import in_full
from kpcore.study.study import Study
from kpcore.study.validated import validated
from kpcore.study.views import TrainingImages
from kpcore.training.device import Device

DERIVED = ("tables.*", "curves.*", "values.h5", "evidence.json", "report/*", "report/figures/*")
"""Files of a study's folder that are made of its results."""


class Watcher(Events, Protocol):
    """What watches a study: the terminal's display, or a test."""

    def job_started(self, job: Job) -> None:
        """A job starts."""

    def job_finished(self, job: Job, state: State) -> None:
        """A job ended, well or not."""


def run_study(
    study: Study, plan: JobPlan, device: Device, folder: Path, watcher: Watcher, executor: Executor,
    *, fresh: bool = False,
) -> Results:  # fmt: skip
    """Run what is missing and write the study's folder; a failed job stops only its dependants.

    ``fresh`` trains everything again, whatever the cache has.

    Raises:
        KpError: the data cannot be prepared, or the folder cannot be made.
        FaultError: the results cannot be written.
    """
    make_folder(folder)
    settings = to_toml(recorded(study)).encode()
    clear(folder, settings, {job.key for job in plan.jobs})
    placing.put(folder / "study.toml", settings)
    runner = _Runner(study, plan, device, folder, watcher)
    started = {
        **about_study(study, folder),
        "preset": study.preset,
        "data": study.label,
        "settings": recorded(study),
        "jobs": [about(job, study, folder) for job in plan.jobs],
    }
    tell(watcher, study.known, "kp_study_started", study=started)
    runner.run(executor, fresh=fresh)
    return runner.finish()


def recorded(study: Study) -> dict[str, Any]:
    """Return the settings as ``study.toml`` keeps them: under the preset's name as it was run, not as the file said.

    So what ``--set`` or a profile changed is not forgotten where that file is run again.
    """
    settings = in_full(study.config, study.known, study.file).model_dump(mode="json", exclude_none=True)
    settings["study"]["preset"] = study.preset
    return settings


def clear(folder: Path, settings: bytes, keys: Collection[str]) -> None:
    """Take what other settings left out of a study's folder, so that it never shows two studies as one.

    Those are tables, curves, samples' values and what was said of them, which the cache can make again, and links to
    jobs that are not of this study.
    """
    told = folder / "study.toml"
    if not told.is_file() or told.read_bytes() == settings:
        return
    for path in (path for name in DERIVED for path in folder.glob(name)):
        if path.is_file():
            path.unlink()
    for place in (folder / "jobs").glob("*"):
        if place.is_symlink() and place.readlink().name not in keys:
            place.unlink()


def make_folder(folder: Path) -> None:
    """Make the study's folder.

    Raises:
        KpError: something else has its name, or that of a file of results; or it lies in the cache, where it would
            stand among trainings.
    """
    cache = cache_dir().resolve()
    if cache in (folder.resolve(), *folder.resolve().parents):
        raise KpError(f"{folder}: lies in the cache, {cache}; give another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise KpError(f"{folder}: a file is in the way of the folder of results; give another --out") from None
    for name in ("results.json", "timing.json", "study.toml"):
        if (folder / name).is_dir():
            raise KpError(f"{folder / name}: a folder is in the way of this file; move it, or give another --out")


class _Runner:
    def __init__(self, study: Study, plan: JobPlan, device: Device, folder: Path, watcher: Watcher) -> None:
        self.study = study
        self.plan = plan
        self.device = device
        self.folder = folder
        self.watcher = watcher
        self.states: dict[str, State] = {}
        self.unwritten = False
        self.splits = tuple(validated(study, split, _split_info(study, split)) for split in study.splits)
        self.scorer = Scorer(study)
        self.images = TrainingImages(study)

    def run(self, executor: Executor, *, fresh: bool) -> None:
        """Run every job that is not in the cache, sources first; results.json is up to date after each."""
        for text, rows in Counter(row.reason for row in self.plan.refused).items():
            self.watcher.notice(f"{text}; {rows} rows failed")
        for line in damaged(self.plan):
            self.watcher.notice(line)
        missing = [job for job in self.plan.jobs if fresh or not JobFolder.of(job.key).done]
        for job in self.plan.jobs:
            if job not in missing:
                self.ended(job, State("done", cached=True))
        if missing:
            if problem := local_only(cache_dir()):
                self.watcher.notice(f"Warning: {problem}")
            self.write()
            run = Run(self.study, self.plan, self.device, missing, Hooked(self.watcher, self.study, self.folder), fresh)
            try:
                with executor.open(run) as pool:
                    work_through(Queue(missing, self.states, self.watcher.notice), pool, self, fresh=fresh)
            except KeyboardInterrupt:
                self._interrupted([] if fresh else missing)
                raise
            except (FaultError, OSError, MemoryError) as error:  # what the cache holds must have its table all the same
                line = fault(error, self.device.torch) or str(error)
                for job in [job for job in missing if job.key not in self.states]:
                    self.ended(job, State("failed", line))

    def _interrupted(self, missing: Sequence[Job]) -> None:
        """Write results.json with what has ended since; an interrupt is no place for other errors."""
        with suppress(OSError, KpError):
            self.states |= {job.key: State("done") for job in missing if JobFolder.of(job.key).done}
            self.write()

    def start(self, job: Job, pool: Pool) -> None:
        """Link to the job's folder, tell everybody and start it."""
        self._link(job)
        self.watcher.job_started(job)
        tell(self.watcher, self.study.known, "kp_job_started", job={**self._about(job), "settings": job.settings})
        pool.start(job)

    def ended(self, job: Job, state: State) -> None:
        """Write the results as they stand now, and tell everybody."""
        self.states[job.key] = state
        if state.cached:
            self._link(job)
        else:
            self._write_soon()  # before anybody is told, who may look
        self.watcher.job_finished(job, state)
        tell(self.watcher, self.study.known, "kp_job_finished", job=self._about(job), result=outcome(job, state))

    def _about(self, job: Job) -> dict[str, Any]:
        return about(job, self.study, self.folder)

    def _link(self, job: Job) -> None:
        link(self.folder / "jobs" / slug(job.name), JobFolder.of(job.key).path)

    def _write_soon(self) -> None:
        """Write the results as they stand, or say once that they cannot be: the trainings are kept in the cache."""
        try:
            self.write()
        except OSError as error:
            if not self.unwritten:
                self.watcher.notice(f"{system_error(error, self.folder)}; the trainings go on, their results are kept")
            self.unwritten = True

    def write(self) -> Results:
        """Write results.json and timing.json as they stand."""
        results = Results(
            study=self.study.config.study.name,
            preset=self.study.preset,
            data=self._data(),
            higher_is_better=self.study.metric.higher_is_better,
            average_name=self.study.metric.average_name,
            legend=self.study.metric.legend,
            validation_convention=self.study.validation.convention,
            validation_higher_is_better=self.study.validation.higher_is_better,
            validation_unit=self.study.validation.unit,
            splits=self.splits,
            modes=tuple(ModeInfo(name=mode.name, summary=mode.strategy.summary) for mode in self.study.modes),
            baseline=self.study.config.study.baseline or self.plan.baseline,
            jobs=tuple(self._job(job) for job in self.plan.jobs),
            rows=(*map(self._row, self.plan.rows), *map(refused_row, self.plan.refused)),
        )
        placing.put(self.folder / "results.json", results.to_json().encode())
        times = timing(self.plan.jobs, self.device)
        placing.put(self.folder / "timing.json", json.dumps(times, indent=1).encode() + b"\n")
        return results

    def finish(self) -> Results:
        """Write everything as it stands in the end, with what single samples added to the scores.

        Raises:
            FaultError: it cannot be written.
        """
        try:
            return self._finish()
        except OSError as error:
            again = "the trainings are kept, the same command writes it"
            raise FaultError(f"{system_error(error, self.folder)}; {again}") from error

    def _finish(self) -> Results:
        results = self.write()
        done = {(row.split, row.mode, row.labels, row.seed) for row in results.rows if row.status == "done"}
        rows = [row for row in self.plan.rows if (row.split.name, row.mode.name, row.labels, row.seed) in done]
        keep_values(self.study, rows, self.scorer, self.folder, self.watcher.notice)
        return results

    def _data(self) -> DataInfo:
        scored = self.study.scored
        others = [about_data(one) for one in self.study.data.values() if one is not scored]
        return about_data(scored).model_copy(update={"others": tuple(others)})

    def _job(self, job: Job) -> JobInfo:
        state = self.states.get(job.key, State("pending"))
        scored = {row.mode.name for row in self.plan.rows if row.job is job}  # of a split of one step
        return JobInfo(
            key=job.key,
            name=job.name,
            split=job.split.name,
            mode=job.mode.name if job.mode else scored.pop() if len(scored) == 1 else "",
            seed=job.seed,
            step=job.step,
            labels=job.view.labels,
            sources=tuple(source.key for source in job.sources),
            status=state.status,
            reason=placeless(state.reason),
        )

    def _row(self, row: PlannedRow) -> Row:
        state = self.states.get(row.job.key, State("pending"))
        about: dict[str, Any] = {
            "split": row.split.name, "mode": row.mode.name, "seed": row.seed, "labels": row.labels, "job": row.job.key,
            "images": self.images.seen(row.job), "status": state.status, "reason": placeless(state.reason),
        }  # fmt: skip
        if state.status != "done":
            return Row(**about)
        result = JobFolder.of(row.job.key).result()
        try:
            scores = self.scorer.final(row.job).scores
            retained = tuple(self.scorer.retained(row.job))
        except (Exception, SystemExit) as error:  # a metric may fail on one job's predictions alone
            return Row(**{**about, "status": "failed", "reason": placeless(told(error, self.study.known))})
        return Row(
            **about,
            columns={**scores.columns},
            average=scores.average,
            convention=self.scorer.convention(row.split),
            retained=retained,
            epochs=result.epochs,
            best_epoch=result.best_epoch,
            scored_epoch=self._kept(result),
            iterations=result.iterations,
        )

    def _kept(self, result: JobResult) -> int:
        """The epoch whose weights a finished job kept."""
        best = self.study.config.training.keep == "best" and result.best_epoch
        return best or result.epochs


@dataclass(frozen=True)
class Hooked:
    """A study's events: for the watcher, and for the plugins' hooks."""

    watcher: Watcher
    study: Study
    folder: Path

    def preparing(self, done: int, total: int) -> None:
        """Tell the watcher."""
        self.watcher.preparing(done, total)

    def notice(self, text: str) -> None:
        """Tell the watcher."""
        self.watcher.notice(text)

    def iteration(self, job: Job, done: int, total: int) -> None:
        """Tell the watcher."""
        self.watcher.iteration(job, done, total)

    def epoch(self, job: Job, record: dict[str, Any]) -> None:
        """Tell the watcher and the plugins."""
        self.watcher.epoch(job, record)
        tell(self.watcher, self.study.known, "kp_epoch_ended", job=about(job, self.study, self.folder), record=record)


def tell(watcher: Events, known: Registry, hook: str, **arguments: Any) -> None:
    """Call a hook of every plugin; one that raises is named once, and the study goes on."""
    for line in known.notify(hook, **arguments):
        watcher.notice(line)


def refused_row(row: Refused) -> Row:
    """Return the line of the results for what no job answers."""
    return Row(
        split=row.split.name, mode=row.mode.name, seed=row.seed, labels=row.labels, status="failed", reason=row.reason
    )  # fmt: skip


def _split_info(study: Study, split: KeypointSplit) -> SplitInfo:
    data = study.scored
    left_out = set(data.left_out)
    training = [one for place, one in enumerate(data.train.samples) if place not in left_out]
    found = score_mean_shape(training, data.valid.samples, split, study.metric)
    shape = {**found.columns, AVERAGE: found.average}
    return SplitInfo.of(split, mean_shape=shape, not_compared=not_compared(study, split))


def about_data(data: StudyData) -> DataInfo:
    """Return what results say of one data set."""
    return DataInfo(
        label=data.label,
        list=data.list_name,
        people={part: data.people(part) for part in ("train", "valid")},
        sample=data.sample,
        step=data.name,
        left_out=len(data.left_out),
        leaked=data.leaked,
        undecoded=data.undecoded,
    )


def about(job: Job, study: Study, folder: Path) -> dict[str, Any]:
    """Return what hooks are told of a job of the study whose results lie in this folder."""
    mode = job.mode.name if job.mode else ""
    of = about_study(study, folder)
    return {
        "key": job.key, "name": job.name, "split": job.split.name, "mode": mode, "seed": job.seed,
        "study": of["name"], "study_folder": of["folder"],
    }  # fmt: skip


def outcome(job: Job, state: State) -> dict[str, Any]:
    """Return what hooks are told of a job that has ended."""
    folder = str(JobFolder.of(job.key).path)
    return {"status": state.status, "cached": state.cached, "reason": state.reason, "folder": folder}


def about_study(study: Study, folder: Path) -> dict[str, Any]:
    """Return what hooks are told of a study at its end."""
    return {"name": study.config.study.name, "folder": str(folder.absolute())}


def link(place: Path, target: Path) -> None:
    """Make ``place`` a link to a job's folder, replacing an older link; a file of another kind is left alone.

    Raises:
        KpError: something else is in the way, or the folder of links is a link itself.
    """
    placing.folder(place.parent.parent, place.parent.name)
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        raise KpError(f"{place}: is in the way of a link to a job's folder; move it, or give another --out")
    place.symlink_to(target, target_is_directory=True)


def timing(jobs: Sequence[Job], device: Device) -> Mapping[str, Any]:
    """Return the seconds of every finished job, and what they were measured on."""
    chip = torch.cuda.get_device_name(device.torch) if device.torch.type == "cuda" else device.torch.type
    folders = {job.name: JobFolder.of(job.key) for job in jobs}
    seconds = {name: folder.timing() for name, folder in folders.items() if folder.done}
    return {"device": chip, "threads": device.threads, "precision": device.precision, "seconds": seconds}
