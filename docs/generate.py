"""Writes the reference pages that follow from the code: ``python docs/generate.py``; ``--check`` only compares.

The study file's keys come from the pydantic models and every plugin's Config, the commands from their own help, the
interfaces from their docstrings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from interfaces import html_as_text, interfaces
from pydantic import BaseModel

from kpcore.catalogue import options
from kpcore.cli.app import app
from kpcore.config import (
    Augmentation,
    Average,
    BackboneTable,
    CodecTable,
    DatasetTable,
    EvaluationTable,
    MetricTable,
    ModeTable,
    Optimizer,
    OtherDatasetTable,
    Schedule,
    SourceTable,
    SplitTable,
    StudyTable,
    TrainingTable,
    ValidationTable,
    models_in,
)
from kpcore.registry import KINDS, registry

REFERENCE = Path(__file__).parent / "reference"


def members(table: str, union: Any) -> dict[str, type[BaseModel]]:
    """Return a heading and a model for every member of a union, which the key ``name`` chooses among."""
    return {f'[{table}] name = "{get_args(one.model_fields["name"].annotation)[0]}"': one for one in models_in(union)}


TABLES: dict[str, type[BaseModel]] = {
    "[study]": StudyTable,
    "[dataset]": DatasetTable,
    "[datasets.NAME]": OtherDatasetTable,
    "[split]": SplitTable,
    "[backbone]": BackboneTable,
    "[codec]": CodecTable,
    "[modes.NAME]": ModeTable,
    "[source]": SourceTable,
    "[training]": TrainingTable,
    "[training.augmentation]": Augmentation,
    **members("training.optimizer", Optimizer),
    **members("training.schedule", Schedule),
    **members("training.average", Average),
    "[evaluation]": EvaluationTable,
    "[evaluation.metric]": MetricTable,
    "[evaluation.validation]": ValidationTable,
}
NESTED = {"augmentation", "average", "optimizer", "schedule", "metric", "validation", "generate"}
WIDTH = 90
"""Columns of the commands' help."""


def rows(model: type[BaseModel]) -> Iterator[str]:
    """Yield a table's header and one row a key."""
    yield "| key | value | default | what it does |"
    yield "|---|---|---|---|"
    for option in options(model):
        if option.name not in NESTED:
            default = f"`{option.default}`" if option.default else ""
            cells = (f"`{option.name}`", option.type, default, option.description)
            yield "| " + " | ".join(map(cell, cells)) + " |"


def cell(text: str) -> str:
    """Return a text as a table's cell that shows all of it; what stands in backticks is code."""
    parts = [
        part if place % 2 else html_as_text(part).replace("*", "\\*") for place, part in enumerate(text.split("`"))
    ]
    return "`".join(parts).replace("|", "\\|")


def study_files() -> str:
    """Return the page on study files."""
    lines = [
        "# Study files",
        "",
        "Generated from the code by `python docs/generate.py`. A study file is flat TOML: the tables below, and",
        "`[profiles.NAME]` overlays of the same keys. `--set key.key=value` sets one key; where it names another",
        "component, the options of the one before are dropped, and said, and the table's own keys below are kept. An",
        "unknown key is an error with the nearest name. `plugin:name` names a component that two plugins claim.",
        "The keys of a component's table beside `name` are those of the component, further below. Writers are no",
        "part of a study: `kp predict --format NAME` names them, and `--set NAME.KEY=VALUE` sets their options.",
        "Optimisers, schedules and averages have a table each: an option of another one is an error. Without a `name`",
        "the paper's is meant.",
        "",
    ]
    for name, model in TABLES.items():
        lines += [f"## {name}", "", *rows(model), ""]
    lines += ["# Components", ""]
    known = registry()
    for kind in (kind for kind in KINDS if kind != "tracker"):  # no study file names one
        for name in known.names(kind):
            found = known.component(kind, name)
            table = list(rows(found.Config))
            lines += [f"## {kind} `{name}`", "", *(table if len(table) > 2 else ["No options."]), ""]
    return "\n".join(lines)


def commands() -> str:
    """Return the page on commands: each one's own help."""
    lines = ["# Commands", "", "Generated from `kp COMMAND --help` by `python docs/generate.py`.", ""]
    for name, command in walk(typer.main.get_command(app), "kp"):
        text = command.get_help(context(command, name))
        body = "\n".join(line.rstrip() for line in text.strip().splitlines())
        lines += [f"## {name}", "", "```text", body, "```", ""]
    return "\n".join(lines)


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield (name, command) of every command below this one, ``kp`` itself first."""
    if name == "kp" or not hasattr(command, "list_commands"):
        yield name, command
    if hasattr(command, "list_commands"):
        here = context(command, name)
        for one in command.list_commands(here):
            yield from walk(command.get_command(here, one), f"{name} {one}")


def context(command: Any, name: str) -> Any:
    """Return what a command is told of where it runs: here a terminal of a fixed width."""
    return command.context_class(command, info_name=name, terminal_width=WIDTH)


def main(check: bool) -> int:
    """Write the pages, or tell which are out of date; return the exit code."""
    pages = {"study-files.md": study_files(), "commands.md": commands(), "interfaces.md": interfaces()}
    stale = [name for name, text in pages.items() if not is_current(REFERENCE / name, text)]
    if not check:
        for name in stale:
            (REFERENCE / name).write_text(pages[name], encoding="utf-8")
        return 0
    for name in stale:
        print(f"docs/reference/{name} is out of date: run python docs/generate.py")
    return 1 if stale else 0


def is_current(path: Path, text: str) -> bool:
    """Whether the file holds this text."""
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
