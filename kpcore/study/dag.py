"""The planner: splits x modes x shares of labels x seeds become jobs, sources before those that start from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from kpcore.cache import content_key
from kpcore.errors import KpError
from kpcore.interfaces import Need
from kpcore.keypoints import KeypointSet, KeypointSplit, Step
from kpcore.plans import Layout
from kpcore.records.folder import JobFolder
from kpcore.study.asked import check_permuted, check_shares
from kpcore.study.contracts import checked_layout, checked_needs
from kpcore.study.guard import reason
from kpcore.study.jobs import (
    PLAIN,
    Job,
    JobPlan,
    Refused,
    Row,
    View,
    chain,
    common_settings,
    data_settings,
    job_settings,
    labels_read,
)
from kpcore.study.single import modes_of
from kpcore.study.study import Mode, Source, Study, mirroring
from kpcore.training.device import Device

SOURCE = "source"
"""Stands for a mode in the name of a training on S1, which all modes share."""
MOST = 20_000
"""Rows of one study's table, at most."""
GIVEN = "given"
"""Name of the job of a network that stands for that training."""


def plan_jobs(study: Study, device: Device) -> JobPlan:
    """Expand splits x modes x shares of labels x seeds into jobs; equal keys are one job.

    A broken strategy's rows are refused.

    Raises:
        KpError: a strategy does not take the study's settings, there are far too many jobs, two shares of the labels
            are the same images, or there is nobody whose labels a permuted sample could get.
    """
    config = study.config.study
    count = len(study.splits) * len(config.modes) * len(config.labels) * len(config.seeds)
    if count > MOST:
        raise KpError(
            f"study: asks for {count:,} trainings (splits x modes x shares of labels x seeds), at most {MOST:,} are"
            " planned; divide it"
        )
    check_shares(study)
    planner = _Planner(study, device)
    rows: list[Row] = []
    refused: list[Refused] = []
    wanted = [(split, mode) for split in study.splits for mode in modes_of(study, split)]
    for (split, mode), labels, seed in product(wanted, study.config.study.labels, study.config.study.seeds):
        try:
            rows.append(Row(split, mode, seed, planner.of(labels, seed).row(split, mode), labels))
        except KpError:
            raise
        except (Exception, SystemExit) as error:
            refused.append(Refused(split, mode, seed, reason(error, study.known), labels))
    jobs = needed(tuple(planner.jobs.values()), rows)
    check_permuted(study, jobs)
    return JobPlan(jobs, tuple(rows), tuple(refused))


def needed(jobs: Sequence[Job], rows: Sequence[Row]) -> tuple[Job, ...]:
    """Return the jobs that these rows need, in their order."""

    def keys(job: Job) -> Iterator[str]:
        yield job.key
        for other in job.waits_for:
            yield from keys(other)

    wanted = {key for row in rows for key in keys(row.job)}
    return tuple(job for job in jobs if job.key in wanted)


class _Planner:
    def __init__(self, study: Study, device: Device) -> None:
        self.study = study
        self.jobs: dict[str, Job] = {}
        self.common = common_settings(study, device)

    def of(self, labels: float, seed: int) -> _Chains:
        """Return what plans the jobs of one seed, of which the last see this share of the labels."""
        return _Chains(self, labels, seed)

    def add(self, draft: Job) -> Job:
        """Give a job its key and a name of its own; return the one that is there where the key is known."""
        stages = self.study.config.backbone.stages
        _check_layout(draft, mirroring(self.study.config))
        draft = replace(draft, reads=labels_read(draft, self.study.validation))
        settings = {**self.common, "data": data_settings(draft, self.study.data), **job_settings(draft, stages)}
        key = content_key(settings)
        if key not in self.jobs:
            taken = [job.name for job in self.jobs.values()]
            self.jobs[key] = replace(draft, key=key, settings=settings, name=_unlike(draft.name, draft.seed, taken))
        return self.jobs[key]

    def given(self, source: Source, split: KeypointSplit) -> Job:
        """Return the job of a network that stands for S1's training, the same for all seeds; it is done."""
        if source.key not in self.jobs:
            layout, settings = source.layout(split), JobFolder.of(source.key).about().get("settings", {})
            self.jobs[source.key] = Job(
                source.key, GIVEN, split, 0, None, 0, layout, (), settings, (), final=False, given=True
            )  # fmt: skip
        return self.jobs[source.key]


@dataclass(frozen=True, eq=False)
class _Chains:
    """Plans the jobs of one seed and share of the labels."""

    planner: _Planner
    labels: float
    seed: int

    def row(self, split: KeypointSplit, mode: Mode) -> Job:
        """Return the job that answers a split and mode, after those that it needs."""
        return self.job(split, mode, len(split.steps) - 1)

    def job(self, split: KeypointSplit, mode: Mode, step: int) -> Job:
        """Return the job of this step, after those that it needs."""
        if step == 0:  # plain training, whatever the mode is called that wants it
            return self._plain(split, Need(0), mode.name if len(split.steps) == 1 else SOURCE)
        stages = self.planner.study.config.backbone.stages
        strategy = mode.strategy
        needs = checked_needs(strategy, strategy.needs(split, step), step)
        sources = tuple(self.job(split, mode, need.step) if need.step else self._plain(split, need) for need in needs)
        layout = checked_layout(strategy, strategy.layout(split, step, stages), split, step, stages)
        final = step == len(split.steps) - 1
        title = f"{split.name}-{mode.name}" if final else f"{split.name}-{mode.name}-step{step}"
        draft = self._draft(title, split, step, layout, final=final, some=final)
        return self.planner.add(replace(draft, mode=mode, sources=sources, matches=self._matched(split, mode, final)))

    def _plain(self, split: KeypointSplit, need: Need, label: str = SOURCE) -> Job:
        """Return the plain training at step 0, of S1 or of what is learned instead; a given network in S1's place."""
        source = self.planner.study.source
        if source is not None and label == SOURCE and need.keypoints in (None, split.source) and not need.permuted:
            return self.planner.given(source, split)
        title = f"{split.name}-{label}" + ("-permuted" if need.permuted else "")
        if need.keypoints is not None and need.keypoints != split.source:
            split, title = _beginning_with(need.keypoints, split), f"{title}-other"
        layout = Layout((split.source,) * self.planner.study.config.backbone.stages[0])
        final = len(split.steps) == 1
        # the labels of what is learned in place of S1 are the target's
        draft = self._draft(title, split, 0, layout, final=final, some=final or need.keypoints is not None)
        return self.planner.add(replace(draft, view=replace(draft.view, permuted=need.permuted)))

    def _draft(
        self, title: str, split: KeypointSplit, step: int, layout: Layout, *, final: bool, some: bool
    ) -> Job:  # fmt: skip
        """Return a job without its key; of a share of the labels it sees ``some``, or all where S1 keeps its own."""
        config = self.planner.study.config.study
        target_alone = config.labels_of == "target"
        limited = self.labels < 1 and (some or not target_alone)
        view = View(self.labels, config.labels_seed, target_alone) if limited else PLAIN
        name = f"{title}-labels{self.labels:g}-{self.seed}" if view.labels < 1 else f"{title}-{self.seed}"
        return Job("", name, split, step, None, self.seed, layout, (), {}, (), final, view)

    def _matched(self, split: KeypointSplit, mode: Mode, final: bool) -> tuple[Job, ...]:
        """Return all jobs of the mode that this one is as long as, each once; none where it is as long as is set."""
        table = self.planner.study.config.modes.get(mode.name)
        if not final or table is None or not table.matches:
            return ()
        (other,) = (one for one in self.planner.study.modes if one.name == table.matches)
        return tuple({job.key: job for job in chain(self.row(split, other))}.values())


def _beginning_with(keypoints: KeypointSet, split: KeypointSplit) -> KeypointSplit:
    """Return a split whose first step learns these keypoints, on a data set that has them: S1's before others."""
    of_skeleton = [step.dataset for step in split.steps if step.keypoints.skeleton == keypoints.skeleton]
    dataset = of_skeleton[0] if of_skeleton else split.steps[0].dataset
    return replace(split, steps=(Step(keypoints, dataset), *split.steps[1:]))


def _unlike(name: str, seed: int, taken: Sequence[str]) -> str:
    """Return a name that no other job has: a number stands before the seed where it is taken."""
    title, number = name.removesuffix(f"-{seed}"), 1
    while name in taken:
        number += 1
        name = f"{title}-{number}-{seed}"
    return name


def _check_layout(job: Job, mirrored: Sequence[str]) -> None:
    """Check that the last head predicts what is scored, and whole mirror pairs where images are mirrored.

    Raises:
        KpError: with the job's name.
    """
    head = job.layout.heads[-1]
    lost = [name for name in job.keypoints.names if name not in head]
    if lost:
        raise KpError(f"job {job.name}: the last head does not predict {', '.join(lost)}, which its step is scored on")
    if mirrored and head.halved:
        raise KpError(
            f"job {job.name}: its last head predicts '{head.halved[0]}' without its mirror partner"
            f" '{head.skeleton[head.halved[0]].mirror}'; turn mirroring off ({' and '.join(mirrored)})"
        )
