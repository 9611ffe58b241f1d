"""Scores of files that predict different keypoints, taken anew on those that all of them predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import nan

from kpcore.errors import KpError, listed
from kpcore.evaluation.score import Aligned, Result, no_average, scored, without_value
from kpcore.keypoints import KeypointSet, default_columns


def on_common_keypoints(results: Mapping[str, Result]) -> dict[str, Result]:
    """Return the scores on the keypoints that all predict, by name; as they are where all predict the same.

    What is left out is in each result's ``not_scored``.

    Args:
        results: name -> score, by one metric on one part.

    Raises:
        KpError: there is no keypoint that all predict.
    """
    first = next(iter(results.values())).found.keypoints
    if all(one.found.keypoints.names == first.names for one in results.values()):
        return dict(results)
    names = [name for name in first.names if all(name in one.found.keypoints for one in results.values())]
    if not names:
        has = "; ".join(f"{name} has {listed(one.found.keypoints.names)}" for name, one in results.items())
        raise KpError(
            f"no keypoint is in all files: {has}; compare predictions of the same keypoints, or score each alone"
        )
    common = first.skeleton.select(names)
    return {name: _on(one, common, name) for name, one in results.items()}


def _on(result: Result, keypoints: KeypointSet, where: str) -> Result:
    """Return a score without a split on these of its keypoints."""
    before = result.found
    aligned = Aligned(before.predicted, before.keypoints, before.samples, before.confidence)
    found = scored(aligned, before.metric, keypoints, default_columns(keypoints), where)
    note = no_average(found)
    return replace(
        result,
        convention=before.metric.convention_of(keypoints),
        columns=found.scores.columns,
        average=nan if note else found.scores.average,
        found=found,
        note=note,
        keypoints=keypoints.names,
        not_scored=tuple(name for name in before.keypoints.names if name not in keypoints),
        without_value=without_value(found),
    )
