"""The jobs of a run that have not started: which is next, which can never start, and which ones others train."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from kpcore.records.folder import JobFolder
from kpcore.study.executors import Pool, State
from kpcore.study.jobs import Job

LOOK = 2.0
"""Seconds between two looks at a job that another process trains."""


def work_through(queue: Queue, pool: Pool, course: Course, *, fresh: bool) -> None:
    """Have a pool take the jobs of a queue, as many at once as it has room for, until all have ended."""
    running = 0
    while queue or running:
        while (lost := queue.lost()) is not None:
            course.ended(lost[0], State("failed", lost[1]))
        while running < pool.slots and (job := queue.next()) is not None:
            if not fresh and JobFolder.of(job.key).done:  # another process has trained it since
                course.ended(job, State("done", cached=True))
                continue
            running += 1
            course.start(job, pool)
        if running:
            job, state = pool.wait()
            running -= 1
            course.ended(job, state)
        elif queue:
            time.sleep(LOOK)


class Course(Protocol):
    """What starts jobs and is told of their ends."""

    def start(self, job: Job, pool: Pool) -> None:
        """Start a job whose sources are done."""

    def ended(self, job: Job, state: State) -> None:
        """A job has ended, well or not; the queue's states know it from then on."""


class Queue:
    """Jobs that wait, sources first.

    A job that another process trains, of this study or of one that shares it, is left to that process: what else can be
    started is, and the job is looked at again from time to time. Should that process die, its lock is free, and the job
    is gone on with here.

    Args:
        jobs: all that are to be trained.
        states: of the study's jobs by key, as they become known.
        notice: is told once of every job that others train.
    """

    def __init__(self, jobs: Sequence[Job], states: Mapping[str, State], notice: Callable[[str], None]) -> None:
        self._jobs = list(jobs)
        self._states = states
        self._notice = notice
        self._again: dict[str, float] = {}  # when a job that others train is looked at again

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def next(self) -> Job | None:
        """Take out the first job whose sources are done, and which nobody else trains; None where there is none now."""
        ready = [job for job in self._jobs if all(self._done(other) for other in job.waits_for)]
        found = next((job for job in ready if not self._elsewhere(job)), None)
        if found is not None:
            self._jobs.remove(found)
        return found

    def lost(self) -> tuple[Job, str] | None:
        """Take out a job that waits for one that failed; with why it cannot be trained."""
        for job in self._jobs:
            for other in job.waits_for:
                if other.key in self._states and self._states[other.key].status == "failed":
                    self._jobs.remove(job)
                    what = "its source" if other in job.sources else "what it is as long as,"
                    return job, f"{what} {other.name} failed"
        return None

    def _done(self, job: Job) -> bool:
        return job.key in self._states and self._states[job.key].status == "done"

    def _elsewhere(self, job: Job) -> bool:
        now = time.monotonic()
        if now < self._again.get(job.key, 0.0):
            return True
        who = JobFolder.of(job.key).owner()
        if not who:
            return False
        if job.key not in self._again:
            self._notice(f"{job.name}: {who} trains it; its result is waited for")
        self._again[job.key] = now + LOOK
        return True
