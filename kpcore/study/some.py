"""A few jobs of a study: trained into the cache, and nothing written where the study's results lie.

So many processes, on as many machines, may each train one job of one study; a run of the whole study afterwards finds
them in the cache and makes its results of them.
"""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpcore.cache import cache_dir
from kpcore.errors import FaultError, KpError, unknown
from kpcore.locks import local_only
from kpcore.records.folder import JobFolder
from kpcore.study.executors import Executor, Pool, Run, State
from kpcore.study.faults import fault
from kpcore.study.jobs import Job, JobPlan
from kpcore.study.queue import LOOK, Queue, work_through
from kpcore.study.reasons import damaged
from kpcore.study.runner import Hooked, Watcher, about, outcome, tell
from kpcore.study.study import Study
from kpcore.training.device import Device

OPTION = "--job"
SHORTEST = 6
"""Characters of a key's beginning that name a job, at least."""


def chosen(plan: JobPlan, names: Sequence[str]) -> tuple[Job, ...]:
    """Return the jobs of these names, or whose keys begin so, in the plan's order.

    Raises:
        KpError: there is no such job, or there are several.
    """
    keys = {_find(plan, name).key for name in names}
    return tuple(job for job in plan.jobs if job.key in keys)


def _find(plan: JobPlan, name: str) -> Job:
    found = [job for job in plan.jobs if job.name == name]
    if not found and len(name) >= SHORTEST:
        found = [job for job in plan.jobs if job.key.startswith(name)]
    if not found:
        raise unknown("job", name, [job.name for job in plan.jobs], where=OPTION)
    if len(found) > 1:
        raise KpError(f"{OPTION} {name}: begins the keys of {' and '.join(job.name for job in found)}; give more of it")
    return found[0]


def stages(plan: JobPlan) -> Mapping[str, int]:
    """Return key -> 0 for jobs that start from no other one, 1 for those that wait for such alone, and so on."""
    found: dict[str, int] = {}
    for job in plan.jobs:  # sources come before what starts from them
        found[job.key] = max((found[other.key] + 1 for other in job.waits_for), default=0)
    return found


def await_sources(jobs: Sequence[Job], notice: Callable[[str], None]) -> None:
    """Wait until what these jobs start from, and is none of them, is in the cache.

    Raises:
        KpError: it is not, and nobody trains it.
    """
    keys = {job.key for job in jobs}
    wanted = {other.key: (other, job) for job in jobs for other in job.waits_for if other.key not in keys}
    for other, job in wanted.values():
        _await(other, job, notice)


def _await(other: Job, job: Job, notice: Callable[[str], None]) -> None:
    folder, told = JobFolder.of(other.key), False
    while not folder.done:
        who = folder.owner()
        if not who and not folder.done:  # it may have ended meanwhile
            raise KpError(f"{OPTION} {job.name}: {lacking(other, job)}; run {OPTION} {other.name} first")
        if not told:
            notice(f"{job.name}: waits for {other.name}, which {who} trains")
            told = True
        time.sleep(LOOK)


def lacking(other: Job, job: Job) -> str:
    """Return that a job which another one waits for is not in the cache."""
    what = "its source" if other in job.sources else "what it is as long as,"
    return f"{what} {other.name} is not in the cache {cache_dir()}"


@dataclass(frozen=True, eq=False)
class Wanted:
    """Jobs that are to be in the cache.

    Args:
        study: whose they are.
        plan: all of its jobs.
        jobs: those of them.
        device: of each job.
        folder: of the study's results, which plugins are told; nothing is written there.
        fresh: train them even where they are done.
    """

    study: Study
    plan: JobPlan
    jobs: Sequence[Job]
    device: Device
    folder: Path
    fresh: bool = False

    @property
    def missing(self) -> list[Job]:
        """Those that are to be trained."""
        return [job for job in self.jobs if self.fresh or not JobFolder.of(job.key).done]


def run_jobs(wanted: Wanted, watcher: Watcher, executor: Executor) -> Mapping[str, State]:
    """Train jobs whose sources are done, or are among them, and return how each has ended, by key.

    Raises:
        KpError: the data cannot be prepared.
    """
    some, missing = _Some(wanted.study, wanted.folder, watcher), wanted.missing
    for line in damaged(JobPlan(tuple(missing), ())):
        watcher.notice(line)
    for job in (job for job in wanted.jobs if job not in missing):
        some.ended(job, State("done", cached=True))
    if missing:
        if problem := local_only(cache_dir()):
            watcher.notice(f"Warning: {problem}")
        hooked = Hooked(watcher, wanted.study, wanted.folder)
        some.train(Run(wanted.study, wanted.plan, wanted.device, missing, hooked, wanted.fresh), executor)
    return some.states


@dataclass(frozen=True, eq=False)
class _Some:
    study: Study
    folder: Path
    watcher: Watcher
    states: dict[str, State] = field(default_factory=dict)

    def train(self, run: Run, executor: Executor) -> None:
        waited = {other.key for job in run.missing for other in job.waits_for} - {job.key for job in run.missing}
        before = {key: State("done") for key in waited if JobFolder.of(key).done}
        queue = Queue(run.missing, ChainMap(self.states, before), self.watcher.notice)
        try:
            with executor.open(run) as pool:
                work_through(queue, pool, self, fresh=run.fresh)
        except (FaultError, OSError, MemoryError) as error:
            line = fault(error, run.device.torch) or str(error)
            for job in [job for job in run.missing if job.key not in self.states]:
                self.ended(job, State("failed", line))

    def start(self, job: Job, pool: Pool) -> None:
        self.watcher.job_started(job)
        tell(self.watcher, self.study.known, "kp_job_started", job={**self._about(job), "settings": job.settings})
        pool.start(job)

    def ended(self, job: Job, state: State) -> None:
        self.states[job.key] = state
        self.watcher.job_finished(job, state)
        tell(self.watcher, self.study.known, "kp_job_finished", job=self._about(job), result=outcome(job, state))

    def _about(self, job: Job) -> dict[str, Any]:
        return about(job, self.study, self.folder)
