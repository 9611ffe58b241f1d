"""What metrics have to say of the keypoints that they are to score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kpcore.errors import KpError
from kpcore.interfaces import Finding, Metric
from kpcore.keypoints import KeypointSet
from kpcore.registry import Registry
from kpcore.study.contracts import all_of, require
from kpcore.study.source import Opened
from kpcore.study.study import Study


def metric_remarks(study: Study) -> list[str]:
    """Return each remark once: the final metric's of the last steps, the validation metric's of every step."""
    return list(dict.fromkeys(line for metric, keypoints in _scored(study) for line in _remarks(metric, keypoints)))


def _scored(study: Study) -> Iterator[tuple[Metric, KeypointSet]]:
    for split in study.splits:
        yield study.metric, split.steps[-1].keypoints
        for step in split.steps:
            yield study.validation, step.keypoints


def _remarks(metric: Metric, keypoints: KeypointSet) -> Sequence[str]:
    found = metric.remarks(keypoints)
    require(all_of(found, str), metric, "remarks()", found, "a list of lines")
    return found


def remark_findings(opened: Opened, known: Registry) -> list[Finding]:
    """Return what the metric has to say of the keypoints of data that is only looked at.

    The metric and the keypoints are the study's; without a study file the data set's usual metric and all keypoints,
    and nothing where that metric cannot be built without options.
    """
    table, usual = opened.metric, opened.dataset.facts.default_metric
    try:
        metric: Metric = known.build("metric", table.name or usual, table.options, where="evaluation.metric")
    except KpError:
        if opened.splits:  # those of a study file
            raise
        return []
    scored = [split.steps[-1].keypoints for split in opened.splits] or [opened.data.skeleton.all()]
    lines = dict.fromkeys(line for keypoints in scored for line in _remarks(metric, keypoints))
    return [Finding("warning", line) for line in lines]
