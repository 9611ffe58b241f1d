"""What components give back, checked where types only promise it: facts, samples, splits, layouts, plans, scores."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

import numpy as np
from torch import Tensor

from kpcore.errors import ContractError, shown
from kpcore.interfaces import (
    Backbone,
    Codec,
    Dataset,
    Facts,
    Finding,
    Metric,
    Need,
    Scores,
    Split,
    TransferStrategy,
)
from kpcore.keypoints import Column, KeypointSet, KeypointSplit, Skeleton, Step
from kpcore.plans import Layout, Origin, OriginKind, Thaw, TransferPlan
from kpcore.samples import Sample

Test = Callable[[Any], bool]
PARTS = ("train", "valid")
"""Parts of a data set that a study reads."""


def require(holds: bool, component: object, method: str, came: object, must: str) -> None:
    """Raise ContractError, "came, expected must", where a condition does not hold."""
    if not holds:
        raise ContractError(component, method, f"{shown(came)}, expected {must}")


def is_text(value: Any) -> bool:
    """Whether it is a string."""
    return isinstance(value, str)


def is_count(value: Any) -> bool:
    """Whether it is a positive integer."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_real(value: Any) -> bool:
    """Whether it is a number, which may be NaN."""
    return isinstance(value, int | float | np.floating) and not isinstance(value, bool)


def is_score(value: Any) -> bool:
    """Whether it is a number that a float can hold."""
    return is_real(value) and (not isinstance(value, int) or abs(value) < sys.float_info.max)


def all_of(values: object, kind: type, container: tuple[type[Collection[Any]], ...] = (list, tuple)) -> bool:
    """Whether it is a list or tuple (or another container) of these."""
    return isinstance(values, container) and all(isinstance(value, kind) for value in values)


def _three(value: Any, low: float) -> bool:
    whole = isinstance(value, list | tuple) and len(value) == 3 and all(is_real(one) for one in value)
    return whole and all(math.isfinite(one) and one > low for one in value)


TEXT: tuple[Test, str] = (is_text, "a string")
COUNT: tuple[Test, str] = (is_count, "a positive integer")
FACTS: dict[type, dict[str, tuple[Test, str]]] = {
    Dataset: {
        "facts": (lambda value: isinstance(value, Facts), "Facts"),
        "facts.label": TEXT,
        "facts.skeleton": (lambda value: isinstance(value, Skeleton), "a Skeleton"),
        "facts.parts": (lambda value: all_of(value, str), "a tuple of strings"),
        "facts.normaliser": TEXT,
        "facts.default_metric": TEXT,
        "facts.list_name": TEXT,
        "facts.terms": TEXT,
        "facts.origin": (lambda value: value in (0, 1), "0 or 1"),
    },
    Backbone: {
        "stride": COUNT,
        "channels": COUNT,
        "mean": (lambda value: _three(value, -math.inf), "three numbers"),
        "std": (lambda value: _three(value, 0.0), "three positive numbers"),
        "blocks": (lambda value: all_of(value, type), "a tuple of classes"),
        "terms": TEXT,
    },
    Codec: {"dims": (lambda value: value in (2, 3), "2 or 3"), "width": COUNT},
    Metric: {
        "convention": TEXT,
        "average_name": TEXT,
        "unit": TEXT,
        "value_unit": TEXT,
        "legend": TEXT,
        "higher_is_better": (lambda value: isinstance(value, bool), "a bool"),
    },
    TransferStrategy: {"summary": TEXT},
}
"""Interface -> its properties: what holds of each, and how that is called."""


def check_facts(component: object) -> None:
    """Check the properties of a component.

    Raises:
        ContractError: the first that is not what its interface promises.
    """
    for interface, facts in FACTS.items():
        if isinstance(component, interface):
            for name, (holds, must) in facts.items():
                value = attrgetter(name)(component)
                require(holds(value), component, name, value, must)


def check_dataset(dataset: Dataset) -> None:
    """Check the samples and the findings of the parts that a study reads.

    Raises:
        ContractError: the first that is not what a data set promises, or samples that differ when asked for again.
    """
    for part in PARTS:
        if part in dataset.parts:
            _check_samples(dataset, part)
            findings = dataset.findings(part)
            require(all_of(findings, Finding), dataset, f"findings({part!r})", findings, "a list of Findings")


def _check_samples(dataset: Dataset, part: str) -> None:
    method = f"samples({part!r})"
    first, again = dataset.samples(part), dataset.samples(part)
    for found in (first, again):
        require(isinstance(found, Sequence) and not is_text(found), dataset, method, found, "a sequence of Samples")
    for place, sample in enumerate(first):
        require(isinstance(sample, Sample), dataset, f"{method}[{place}]", sample, "a Sample")
        _check_sample(dataset, f"{method}[{place}]", sample)
    if len(first) != len(again):
        raise ContractError(dataset, method, f"{len(first)} samples, then {len(again)}; must always be the same ones")
    if first is not again:
        _check_equal(dataset, method, first, again)


def _check_sample(dataset: Dataset, where: str, sample: Sample) -> None:
    """Check types and shapes; whether the numbers make sense, ``kp data check`` asks."""
    skeleton = dataset.skeleton
    count, dims = len(skeleton.names), skeleton.dims
    for name, shape, kind in (("points", (count, dims), "f4"), ("state", (count,), "u1"), ("centre", (2,), "f")):
        value = getattr(sample, name)
        fits = (
            isinstance(value, np.ndarray) and value.shape == shape and value.dtype.str.lstrip("<>=|").startswith(kind)
        )
        if not fits:
            require(False, dataset, f"{where}.{name}", value, f"{shape} {np.dtype(kind).name}")
    for name in ("side", "normaliser"):
        require(is_real(getattr(sample, name)), dataset, f"{where}.{name}", getattr(sample, name), "a number")
    for name in ("image_id", "person_id"):
        require(is_text(getattr(sample, name)), dataset, f"{where}.{name}", getattr(sample, name), "a string")
    stated = sample.stated_size
    fits = stated is None or (all_of(stated, int, (tuple,)) and len(stated) == 2)
    require(fits, dataset, f"{where}.stated_size", stated, "None, or (width, height)")
    image = sample.image
    pixels = isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not pixels and not isinstance(image, Path):
        require(False, dataset, f"{where}.image", image, "a Path, or (H, W, 3) uint8")


def _check_equal(dataset: Dataset, method: str, first: Iterable[Sample], again: Iterable[Sample]) -> None:
    for place, (one, other) in enumerate(zip(first, again, strict=True)):
        if one is other:
            continue
        for name, value in vars(one).items():
            if not _same(value, getattr(other, name)):
                raise ContractError(dataset, f"{method}[{place}].{name}", "differs when it is asked for again")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one is other or (one.shape == other.shape and one.tobytes() == other.tobytes())
    return bool(one == other) or (one != one and other != other)  # NaN equals NaN here


def checked_pretrained(backbone: Backbone) -> Mapping[str, Tensor]:
    """Return the weights that a backbone brings; raises ContractError where they are no tensors by name."""
    found = backbone.pretrained()
    fits = isinstance(found, Mapping) and all(is_text(name) and isinstance(one, Tensor) for name, one in found.items())
    require(fits, backbone, "pretrained()", found, "a mapping from name to Tensor")
    return found


def checked_splits(rule: Split, found: object) -> tuple[KeypointSplit, ...]:
    """Return a rule's splits; raises ContractError where it gave something else."""
    require(all_of(found, KeypointSplit), rule, "splits()", found, "a list of KeypointSplits")
    splits: tuple[KeypointSplit, ...] = tuple(found)  # type: ignore[arg-type]  # checked above
    for split in splits:
        require(is_text(split.name), rule, "splits(), name", split.name, "a string")
        fits = all_of(split.steps, Step) and all(isinstance(step.keypoints, KeypointSet) for step in split.steps)
        require(fits, rule, f"splits(), '{split.name}'", split.steps, "Steps with a KeypointSet each")
        require(all_of(split.columns, Column), rule, f"splits(), '{split.name}'", split.columns, "Columns")
    return splits


def check_skeletons(rule: Split, splits: Iterable[KeypointSplit], skeletons: Mapping[str, Skeleton]) -> None:
    """Check that every step's keypoints are of its data set's skeleton.

    Raises:
        ContractError: the first step whose keypoints are not.
    """
    for split in splits:
        for number, step in enumerate(split.steps, 1):
            came, must = step.keypoints.skeleton, skeletons[step.dataset]
            if came.names != must.names:
                text = f"keypoints of skeleton '{came.name}', expected '{must.name}'"
                raise ContractError(rule, f"splits(), '{split.name}', S{number}", text)


def checked_needs(strategy: TransferStrategy, found: object, step: int) -> Sequence[Need]:
    """Return what a step needs; raises ContractError where that is no list of earlier steps."""
    method = f"needs(step {step})"
    require(all_of(found, Need), strategy, method, found, "a list of Needs")
    needs: Sequence[Need] = list(found)  # type: ignore[call-overload]  # checked above
    for need in needs:
        earlier = isinstance(need.step, int) and 0 <= need.step < step
        require(earlier, strategy, method, need, f"an earlier step, 0 to {step - 1}")
        other = need.keypoints is not None or need.permuted
        require(not other or need.step == 0, strategy, method, need, "other labels at step 0 alone")
        of_names = need.keypoints is None or isinstance(need.keypoints, KeypointSet)
        require(of_names, strategy, method, need.keypoints, "a KeypointSet or None")
    return needs


def checked_layout(
    strategy: TransferStrategy, found: object, split: KeypointSplit, step: int, stages: Sequence[int]
) -> Layout:  # fmt: skip
    """Return a step's layout; raises ContractError where it does not have a set of known keypoints for every stage."""
    method = f"layout(step {step})"
    if not isinstance(found, Layout):
        raise ContractError(strategy, method, f"{shown(found)}, expected a Layout")
    heads = found.heads
    require(all_of(heads, KeypointSet, (tuple,)), strategy, method, heads, "a tuple of KeypointSets")
    if len(heads) != stages[step]:
        raise ContractError(strategy, method, f"{len(heads)} heads, expected {stages[step]}, one a stage")
    known = {name for one in split.steps for name in one.keypoints.skeleton.names}
    for head in heads:
        strangers = [name for name in head.names if name not in known]
        if strangers:
            text = f"a head predicts '{strangers[0]}', expected keypoints of the split's data sets"
            raise ContractError(strategy, method, text)
    return found


def checked_plan(strategy: TransferStrategy, found: object, sources: int) -> TransferPlan:
    """Return a strategy's plan; raises ContractError where a field is of another type than it promises."""
    if not isinstance(found, TransferPlan):
        raise ContractError(strategy, "plan()", f"{shown(found)}, expected a TransferPlan")
    rates, loss = found.learning_rates, found.extra_loss
    real = isinstance(rates, Mapping) and all(is_real(rate) and rate >= 0 for rate in rates.values())
    sets = isinstance(found.supervision, tuple) and all(
        wanted is None or isinstance(wanted, KeypointSet) for wanted in found.supervision
    )
    for name, holds, must in (
        ("origins", isinstance(found.origins, Mapping), "a mapping from tensor to Origin"),
        ("supervision", sets, "a tuple of KeypointSets or None, one a stage"),
        ("frozen", all_of(found.frozen, str, (frozenset, set)), "a set of unit names"),
        ("dropped", all_of(found.dropped, tuple) and all(map(_is_dropped, found.dropped)), "(source, tensor) pairs"),
        ("frozen_norm", found.frozen_norm in ("eval", "train"), "'eval' or 'train'"),
        ("learning_rates", real, "numbers of 0 or more by unit"),
        ("thaws", all_of(found.thaws, Thaw) and all(all_of(one.units, str) for one in found.thaws), "Thaws"),
        ("extra_loss", loss is None or callable(loss), "a function or None"),
        ("teacher", not found.teacher or sources > 0, "false, since there is no source"),
    ):
        require(holds, strategy, f"plan().{name}", getattr(found, name), must)
    for tensor, origin in found.origins.items():
        must = f"an Origin of kind {', '.join(get_args(OriginKind))}"
        require(_is_origin(origin), strategy, f"plan().origins[{tensor!r}]", origin, must)
    return found


def _is_origin(origin: object) -> bool:
    return (
        isinstance(origin, Origin)
        and origin.kind in get_args(OriginKind)
        and isinstance(origin.source, int)
        and origin.source >= 0
        and is_text(origin.tensor)
        and all_of(origin.keypoints, str)
        and all(isinstance(pair, tuple) and len(pair) == 2 and all_of(pair[1], str) for pair in origin.stand_ins)
    )


def _is_dropped(pair: object) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], int) and isinstance(pair[1], str)


def checked_scores(metric: Metric, found: object, method: str = "score()") -> Scores:
    """Return scores; raises ContractError where they are not numbers by column and an average."""
    if not isinstance(found, Scores):
        raise ContractError(metric, method, f"{shown(found)}, expected Scores")
    columns = found.columns
    named = isinstance(columns, dict) and bool(columns) and all(is_text(name) for name in columns)
    fits = named and all(is_score(value) for value in columns.values())
    require(fits, metric, f"{method}.columns", columns, "numbers by column")
    require(is_score(found.average), metric, f"{method}.average", found.average, "a number")
    return found
