"""A study's settings with every default spelt out, the components' own too."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from kpcore.config import ModeTable, StudyConfig
from kpcore.registry import Registry

Table = TypeVar("Table", bound=BaseModel)


def in_full(config: StudyConfig, known: Registry, where: str) -> StudyConfig:
    """Return the settings with all options of all components; a metric that is not named stays the data set's own.

    Raises:
        KpError: no such component, or it has no such option; with the key in the study file.
    """
    speller = _Speller(known, where)
    evaluation = config.evaluation
    scored = evaluation.model_copy(
        update={
            "metric": speller.full("metric", evaluation.metric, "evaluation.metric"),
            "validation": evaluation.validation
            and speller.full("metric", evaluation.validation, "evaluation.validation"),
        }
    )
    return config.model_copy(
        update={
            "dataset": speller.dataset(config.dataset, "dataset"),
            "datasets": {name: speller.dataset(one, f"datasets.{name}") for name, one in config.datasets.items()},
            **{kind: speller.full(kind, getattr(config, kind), kind) for kind in ("split", "backbone", "codec")},
            "modes": {name: speller.mode(name, config.modes.get(name)) for name in config.study.modes},
            "evaluation": scored,
        }
    )


class _Speller:
    def __init__(self, known: Registry, where: str) -> None:
        self.known = known
        self.where = where

    def options(self, kind: str, name: str, given: dict[str, Any], key: str) -> dict[str, Any]:
        """Return a component's options, the defaults too."""
        return dict(self.known.recipe(kind, name, given, where=f"{self.where}: {key}").options)

    def full(self, kind: str, table: Any, key: str) -> Any:
        """Return a table that names a component, with all its options; as it is where it names none."""
        if not table.name:
            return table
        return with_options(table, self.options(kind, table.name, table.options, key))

    def dataset(self, table: Any, key: str) -> Any:
        """Return a data set's table with all options, and those of what generates it."""
        full = with_options(table, self._of_dataset(table, key))
        if full.generate is None:
            return full
        made = self.full("generator", full.generate, f"{key}.generate")
        return full.model_copy(update={"generate": made})

    def _of_dataset(self, table: Any, key: str) -> dict[str, Any]:
        """Return a data set's options; a root that it wants and that is not said yet stays unsaid."""
        root = self.known.component("dataset", table.name, where=f"{self.where}: {key}.name").Config.model_fields.get(
            "root"
        )
        unsaid = root is not None and root.is_required() and "root" not in table.options
        options = self.options("dataset", table.name, {**table.options, **({"root": "."} if unsaid else {})}, key)
        return {name: value for name, value in options.items() if not (unsaid and name == "root")}

    def mode(self, name: str, table: ModeTable | None) -> ModeTable:
        """Return a mode's table with all options of its strategy."""
        given, key = table or ModeTable(), f"modes.{name}" if table else "study.modes"
        return with_options(given, self.options("strategy", given.strategy or name, given.options, key))


def with_options(table: Table, options: dict[str, Any]) -> Table:
    """Return a table with these options of its component, what is None left out: TOML has no word for it."""
    core = {key: getattr(table, key) for key in type(table).model_fields if key in table.model_fields_set}
    spelt = {key: value for key, value in options.items() if value is not None and key not in core}
    return type(table).model_validate({**core, **spelt})
