"""What a first study is scored by: the metric that fits the data, with a stated length to divide errors by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpcore.config import Toml
from kpcore.interfaces import Metric
from kpcore.keypoints import Skeleton
from kpcore.registry import Registry
from kpcore.samples import Instances
from kpcore.study.first.data import First
from kpcore.study.first.lengths import longer_sides, natural_length

EYE_CORNERS = {"r_eye_outer", "l_eye_outer"}
THRESHOLD = 0.1
"""PCK's, of a length that has no usual one."""
CHANGE = (
    "to score in another way, edit [evaluation.metric]{keys}: stored predictions are scored again, and nothing is"
    " trained"
)
KEYS = ' (threshold; normaliser = "crop", "sample", "box" or ["NAME", "OTHER"]; or another name)'


@dataclass(frozen=True)
class Chosen:
    """A metric.

    Args:
        table: its name and options.
        why: a line each.
    """

    table: Toml
    why: Sequence[str]


def choose_metric(known: Registry, first: First) -> Chosen:
    """Return the metric that such data is usually scored by, or PCK where that would take constants for granted."""
    name, skeleton = first.dataset.facts.default_metric, first.dataset.skeleton
    assumed = _assumptions(known, name, skeleton)
    if assumed or (name == "pck" and _own_keypoints(known, first)):
        chosen = _pck(first)
        return Chosen(chosen.table, [*_not_taken(name, assumed), *chosen.why])
    table = _usual(name, skeleton)
    convention = _built(known, table).convention_of(skeleton.all())
    own = "" if "normaliser" in table and table["normaliser"] != "sample" else first.dataset.facts.normaliser
    length = f"; errors are divided by: {own}" if own else ""
    keys = f" ('kp plugins info {name}' lists the options)"
    return Chosen(
        table, [f"scored by '{name}', as this data usually is: {convention}{length}", CHANGE.format(keys=keys)]
    )


def _usual(name: str, skeleton: Skeleton) -> Toml:
    """Return a metric's table; one that is not ours takes its own defaults."""
    corners = set(skeleton.names) >= EYE_CORNERS
    options: dict[str, Toml] = {
        "pck": {"normaliser": "sample", "threshold": THRESHOLD},
        "pckh": {"convention": "kptransfer"},
        "nme": {"normaliser": "inter_ocular" if corners else "sample"},
        "mpjpe": {"align": "procrustes"},
    }
    return {"name": name, **options.get(name, {})}


def _built(known: Registry, table: Toml) -> Metric:
    options = {key: value for key, value in table.items() if key != "name"}
    metric: Metric = known.build("metric", str(table["name"]), options, where="evaluation.metric")
    return metric


def _assumptions(known: Registry, name: str, skeleton: Skeleton) -> Sequence[str]:
    """Return what the metric says it would take for granted of these keypoints."""
    return _built(known, _usual(name, skeleton)).remarks(skeleton.all())


def _not_taken(name: str, assumed: Sequence[str]) -> list[str]:
    """Return why a metric is left aside, in its own words."""
    what = f"'{name}', which such data is often scored by, is left aside; it would warn"
    return [f"{what}: {line.removeprefix(f'{name}: ')}" for line in assumed]


def _own_keypoints(known: Registry, first: First) -> bool:
    """Whether the keypoints are the user's, of whom the data set knows no usual length, and none is given."""
    fields = known.component("dataset", first.name).Config.model_fields
    return "mirrors" in fields and "normaliser" not in first.options


def _pck(first: First) -> Chosen:
    """Return PCK of a natural length of the skeleton, else of the box around the keypoints."""
    people = first.everybody
    found = natural_length(first.dataset.skeleton, people)
    if found is None:
        sides = longer_sides(people)
        what = "the longer side of the box around a sample's labelled keypoints"
        table = {"name": "pck", "normaliser": "box", "threshold": THRESHOLD}
        return Chosen(table, _told(THRESHOLD, what, float(np.median(sides)), int((sides <= 0).sum()), people))
    threshold, (one, other) = found.natural.threshold, found.pair
    table = {"name": "pck", "normaliser": [one, other], "threshold": threshold}
    what = f"the {found.natural.what}, {one} - {other}"
    return Chosen(table, _told(threshold, what, found.median, found.without, people))


def _told(threshold: float, what: str, median: float, without: int, people: Instances) -> list[str]:
    lost = f"; {without:,} of {len(people):,} samples lack it and are not scored" if without else ""
    return [
        f"scored by PCK@{threshold:g}: a keypoint is right within {threshold:g} of {what} (median {median:.0f} px, so"
        f" within {threshold * median:.1f} px){lost}",
        CHANGE.format(keys=KEYS),
    ]
