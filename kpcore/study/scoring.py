"""Scores of finished jobs, from their stored predictions: another metric or threshold needs no training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kpcore.cache import content_key
from kpcore.evaluation.predictions import read_predictions
from kpcore.evaluation.score import Scored, align, scored
from kpcore.keypoints import Column, KeypointSet, KeypointSplit, default_columns
from kpcore.records.folder import JobFolder
from kpcore.records.results import Retained
from kpcore.study.contracts import checked_scores
from kpcore.study.jobs import Job, given_source
from kpcore.study.study import Study


class Scorer:
    """Scores jobs with a study's final metric; what was scored once is kept."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._scores: dict[tuple[Path, int, tuple[Column, ...]], Scored] = {}

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
            yield Retained(
                step=step,
                normaliser=self._normaliser(job, step),
                keypoints=keypoints.names,
                columns={**scores.columns},
                average=scores.average,
                before=self._before(job, step, keypoints, columns),
            )

    def _before(self, job: Job, step: int, keypoints: KeypointSet, columns: tuple[Column, ...]) -> float | None:
        """Return the average of the network that was trained on a step; None where it is no source of the job."""
        source = _trained_on(job, step)
        if source is not None:
            return self._score(source, step, keypoints, columns).scores.average
        path = self._given(job) if step == 0 else None
        return None if path is None else self._scored(job, step, keypoints, columns, path).scores.average

    def _given(self, job: Job) -> Path | None:
        """Return what a given network predicts of the people of S1; None where nothing is known.

        A job that starts from one keeps that; a job that is as old as the network has it in the network's own folder.
        """
        source, folder = given_source(job), JobFolder.of(job.key)
        if source is None:
            return None
        if folder.given.is_file():
            return folder.given
        return JobFolder.of(source.key).predictions() if self._knows(source, job) else None

    def _knows(self, source: Job, job: Job) -> bool:
        """Whether a network was trained by a study in which the people of S1 are scored as they are here."""
        data = self._study.data[job.split.steps[0].dataset]
        theirs = source.settings.get("data", {})
        read = tuple(theirs.get("mirrors", ()))
        if not theirs or any(name not in data.skeleton.names for name in read):
            return False
        here = {"valid": data.valid.fingerprint.of(read), "evaluation": job.settings["evaluation"]}
        there = {"valid": theirs.get("valid"), "evaluation": source.settings.get("evaluation")}
        return content_key(here) == content_key(there)

    def _score(self, job: Job, step: int, keypoints: KeypointSet, columns: tuple[Column, ...]) -> Scored:
        path = JobFolder.of(job.key).predictions(job.datasets.index(job.split.steps[step].dataset))
        return self._scored(job, step, keypoints, columns, path)

    def _scored(
        self, job: Job, step: int, keypoints: KeypointSet, columns: tuple[Column, ...], path: Path
    ) -> Scored:  # fmt: skip
        key = (path, step, columns)
        if key not in self._scores:
            predictions = read_predictions(path).only(keypoints.names)
            part = self._study.data[job.split.steps[step].dataset].valid
            aligned = align(predictions, part.samples, keypoints.skeleton, part.name, origin=0)
            found = scored(aligned, self._study.metric, keypoints, columns, str(predictions.path))
            checked_scores(self._study.metric, found.scores)
            self._scores[key] = found
        return self._scores[key]

    def _normaliser(self, job: Job, step: int) -> str:
        """What the step's data set measures by, where it is another than the job's."""
        name = job.split.steps[step].dataset
        return "" if name == job.dataset else self._study.data[name].dataset.facts.normaliser


def _trained_on(job: Job, step: int) -> Job | None:
    """Return the job among its sources, and theirs, that was trained on this step; None where none was."""
    for source in (one for one in job.sources if not one.given):
        found = source if source.step == step else _trained_on(source, step)
        if found is not None:
            return found
    return None
