"""``kp config``: a study file as it is understood, and the schema of study files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kpcore.cli.group import Group
from kpcore.cli.output import escaped, print_json, tell

app = typer.Typer(
    cls=Group, add_completion=False, rich_markup_mode=None, help="Print a study file in full, or its schema."
)


@app.command("print")
def print_config(
    config: Annotated[Path, typer.Argument(help="The study file (TOML).", show_default=False)],
    profile: Annotated[str | None, typer.Option(help="Overlay [profiles.NAME] of the file.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Set one key, e.g. training.epochs=10. Repeatable.")
    ] = None,
) -> None:
    """Print a study with every default, profile and --set in place, as TOML."""
    from kpcore.config import to_toml
    from kpcore.registry import registry
    from kpcore.study.opening import resolve
    from kpcore.study.spelling import in_full

    settings = resolve(config, profile, sets or [], tell)
    print(escaped(to_toml(in_full(settings, registry(), str(config)).model_dump(mode="json"))), end="")


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of study files, with the options of installed plugins."""
    from kpcore.registry import registry
    from kpcore.schema import study_schema

    print_json(study_schema(registry()))
