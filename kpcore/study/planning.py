"""Transfer plans without weights: every plan of a study is made and verified before the first training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from kpcore.errors import ContractError, KpError
from kpcore.plans import Layout, NetworkSpec, TransferPlan, fresh_origins
from kpcore.records.folder import JobFolder
from kpcore.study.contracts import checked_plan
from kpcore.study.dag import needed, plan_jobs
from kpcore.study.guard import reason
from kpcore.study.jobs import Job, JobPlan, Refused
from kpcore.study.study import Study
from kpcore.training.device import Device

Specs = Callable[[Layout], NetworkSpec]


def plan_study(study: Study, device: Device) -> JobPlan:
    """Return the jobs of a study whose transfer plans hold; the rows of those that do not are refused.

    What is done has had its plan carried out, and is not asked again.

    Raises:
        KpError: a strategy does not take the study's settings.
    """
    plan = plan_jobs(study, device)
    broken = broken_jobs(study, [job for job in plan.jobs if not JobFolder.of(job.key).done])
    rows = [row for row in plan.rows if row.job.key not in broken]
    refused = [
        Refused(row.split, row.mode, row.seed, broken[row.job.key], row.labels) for row in plan.rows if row not in rows
    ]
    return JobPlan(needed(plan.jobs, rows), tuple(rows), (*plan.refused, *refused))


def broken_jobs(study: Study, jobs: Sequence[Job]) -> dict[str, str]:
    """Return key -> why of the jobs whose transfer plan does not hold, and of those that start from them."""
    spec = cache(study.spec)
    broken: dict[str, str] = {}
    done: dict[tuple[object, ...], str] = {}
    for job in jobs:
        lost = [broken[other.key] for other in job.waits_for if other.key in broken]
        same = (job.split.name, job.step, job.mode, job.layout)  # seeds share a plan
        if not lost and same not in done:
            done[same] = _problem(study, job, spec)
        if why := lost[0] if lost else done[same]:
            broken[job.key] = why
    return broken


def _problem(study: Study, job: Job, spec: Specs) -> str:
    try:
        job_plan(study, job, spec)
    except KpError:
        raise
    except (Exception, SystemExit) as error:
        return reason(error, study.known)
    return ""


def job_plan(study: Study, job: Job, spec: Specs | None = None) -> tuple[NetworkSpec, TransferPlan]:
    """Return a job's network spec and its checked transfer plan, without any weights.

    Args:
        study: whose job it is.
        job: any.
        spec: layout -> what such a network is made of; the study's own by default.

    Raises:
        ContractError: the strategy's plan does not hold.
        KpError: the strategy does not take the study's settings.
    """
    spec = spec or study.spec
    target, sources = spec(job.layout), tuple(spec(source.layout) for source in job.sources)
    plan = make_plan(job, target, list(sources), study.config.training.epochs)
    try:
        plan.verify(target, sources)
    except KpError as error:
        if job.mode is None:
            raise
        raise ContractError(job.mode.strategy, "plan()", str(error).removeprefix("transfer plan: ")) from error
    return target, plan


def make_plan(job: Job, spec: NetworkSpec, sources: list[NetworkSpec], epochs: int) -> TransferPlan:
    """Plain training at step 0: everything is new and supervised. Later: what the strategy says, for so many epochs."""
    if job.mode is None:
        return TransferPlan(fresh_origins(spec), supervision=spec.layout.heads)
    strategy = job.mode.strategy
    return checked_plan(strategy, strategy.plan(job.split, job.step, spec, sources), len(sources)).scheduled(epochs)
