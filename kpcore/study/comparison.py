"""Whether a study was made as published figures were: by its settings and its people, whatever it calls itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kpcore.keypoints import Conditions, KeypointSplit
from kpcore.study.data import StudyData
from kpcore.study.study import Mode, Study

NAMED = 2
"""Settings that one line names; of more it says how many."""
ABSENT = "not set"
"""Stands for a setting that the study does not have."""


def not_compared(study: Study, split: KeypointSplit) -> str:
    """Return why a split's published figures do not stand beside this study's, in one line; "" where they may.

    The final metric is not asked here: results carry its convention, which tables compare.
    """
    if not split.reference:
        return ""
    if study.sample:
        return "sample data"
    conditions = split.reference_conditions
    if conditions is None:
        return "the split's rule does not say with which settings they were made"
    return "; ".join(filter(None, (_other_people(conditions, study.scored), _other_settings(conditions, study))))


def _other_people(conditions: Conditions, data: StudyData) -> str:
    if not conditions.people:
        return ""
    counts = {part: data.people(part) for part in ("train", "valid")}
    if conditions.people.get(data.list_name) == counts:
        return ""
    own = " and ".join(f"{count:,} {part}" for part, count in counts.items())
    wanted = " or ".join(_whole(name, parts) for name, parts in conditions.people.items())
    return f"{own} of {f'list {data.list_name}' if data.list_name else 'no list'} (published: {wanted})"


def _whole(name: str, parts: Mapping[str, int]) -> str:
    return f"{name}'s {' and '.join(f'{count:,}' for count in parts.values())}"


def _other_settings(conditions: Conditions, study: Study) -> str:
    found = resolved(study)
    modes = [f"modes.{mode.name}." for mode in study.modes]
    differ = [
        f"{key} = {_said(found.get(key, ABSENT))} (published: {_said(value)})"
        for key, value in conditions.settings.items()
        if found.get(key, ABSENT) != value and (not key.startswith("modes.") or key.startswith(tuple(modes)))
    ]
    more = f" and {len(differ) - NAMED} more settings" if len(differ) > NAMED else ""
    return ", ".join(differ[:NAMED]) + more


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def resolved(study: Study) -> dict[str, Any]:
    """Return every setting of an opened study by its key in the study file, components' defaults spelt out."""
    config, watch = study.config, study.watch
    options = {kind: recipe.options for kind, recipe in study.recipes.items()}
    # Names as the file gives them: a plugin's own prefix says that the component is another's
    validation = {"name": watch.metric.name, "people": watch.people, "flip_test": watch.flip_test}
    tables = {
        "dataset": {"name": config.dataset.name},
        "backbone": {**options["backbone"], "name": config.backbone.name, "stages": config.backbone.stages},
        "codec": {**options["codec"], "name": config.codec.name},
        "modes": {mode.name: {**mode.recipe.options, "strategy": _strategy(study, mode)} for mode in study.modes},
        "training": config.training.model_dump(mode="json"),
        "evaluation": {
            "flip_test": config.evaluation.flip_test,
            "validation": {**options["validation"], **validation},
        },
    }
    return {**dict(_flat(tables)), "dataset.aliases": config.dataset.aliases}


def _strategy(study: Study, mode: Mode) -> str:
    table = study.config.modes.get(mode.name)
    if table is None:
        return mode.name
    return (table.strategy or mode.name) + (f", as long as {table.matches}" if table.matches else "")


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (key path, value)."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
