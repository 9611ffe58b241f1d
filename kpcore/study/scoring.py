"""Scores of finished jobs, from their stored predictions: another metric or threshold needs no training."""

from __future__ import annotations

from collections.abc import Iterator

from kpcore.evaluation.predictions import Predictions, read_predictions
from kpcore.evaluation.score import Scored, align, scored
from kpcore.keypoints import Column, KeypointSet, KeypointSplit, default_columns
from kpcore.records.folder import JobFolder
from kpcore.records.results import Retained
from kpcore.study.contracts import checked_scores
from kpcore.study.jobs import Job
from kpcore.study.study import Study


class Scorer:
    """Scores jobs with a study's final metric; what was scored once is kept."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._scores: dict[tuple[str, int, tuple[Column, ...]], Scored] = {}

    def convention(self, split: KeypointSplit) -> str:
        """Return how scores are made, in words that hold for all that the study scores on the split's keypoints."""
        skeleton = split.target.skeleton
        sets = [other.target for other in self._study.splits if other.target.skeleton == skeleton]
        wanted = {name for keypoints in sets for name in keypoints.names}
        return self._study.metric.convention_of(skeleton.select(name for name in skeleton.names if name in wanted))

    def final(self, job: Job) -> Scored:
        """Score the keypoints of the job's own step."""
        return self._score(job, job.step, job.keypoints, job.columns)

    def retained(self, job: Job) -> Iterator[Retained]:
        """Score the earlier steps whose keypoints the last head still predicts, on those steps' own data."""
        for step, keypoints in job.retained.items():
            columns = default_columns(keypoints)
            scores = self._score(job, step, keypoints, columns).scores
            before = _trained_on(job, step)
            yield Retained(
                step=step,
                normaliser=self._normaliser(job, step),
                keypoints=keypoints.names,
                columns={**scores.columns},
                average=scores.average,
                before=self._score(before, step, keypoints, columns).scores.average if before else None,
            )

    def _score(self, job: Job, step: int, keypoints: KeypointSet, columns: tuple[Column, ...]) -> Scored:
        key = (job.key, step, columns)
        if key not in self._scores:
            dataset = job.split.steps[step].dataset
            predictions = self._read(job, dataset).only(keypoints.names)
            part = self._study.data[dataset].valid
            aligned = align(predictions, part.samples, keypoints.skeleton, part.name, origin=0)
            found = scored(aligned, self._study.metric, keypoints, columns, str(predictions.path))
            checked_scores(self._study.metric, found.scores)
            self._scores[key] = found
        return self._scores[key]

    def _normaliser(self, job: Job, step: int) -> str:
        """What the step's data set measures by, where it is another than the job's."""
        name = job.split.steps[step].dataset
        return "" if name == job.dataset else self._study.data[name].dataset.facts.normaliser

    def _read(self, job: Job, dataset: str) -> Predictions:
        return read_predictions(JobFolder.of(job.key).predictions(job.datasets.index(dataset)))


def _trained_on(job: Job, step: int) -> Job | None:
    """Return the job among its sources, and theirs, that was trained on this step; None for a given network."""
    for source in (one for one in job.sources if not one.given):
        found = source if source.step == step else _trained_on(source, step)
        if found is not None:
            return found
    return None
