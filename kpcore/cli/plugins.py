"""``kp plugins``: what is installed, what it supplies, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.group import Group
from kpcore.cli.output import print_json, print_lines, print_table

if TYPE_CHECKING:
    from kpcore.catalogue import Entry

app = typer.Typer(
    cls=Group, add_completion=False, rich_markup_mode=None, help="List plugins and the options of what they supply."
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_plugins(as_json: AsJson = False) -> None:
    """List every plugin: where it comes from, what it supplies, and what is wrong with it."""
    from kpcore.catalogue import plugin_record
    from kpcore.registry import registry

    known = registry()
    records = [plugin_record(known, plugin) for plugin in known.plugins]
    if as_json:
        print_json({"plugins": records, "conflicts": known.conflicts()})
        return
    rows = [
        [record["name"], f"{record['distribution']} {record['version']}", supplied(record), state(record)]
        for record in records
    ]
    print_table(["plugin", "distribution", "supplies", "state"], rows)
    print_lines([*troubles(records), *(f"conflict: {line}" for line in known.conflicts())])


@app.command("info")
def info(
    name: Annotated[str, typer.Argument(help="A plugin's or a component's name.")], as_json: AsJson = False
) -> None:
    """Show a plugin with all that it supplies, or a component; each with its options."""
    from kpcore.catalogue import find, plugin_record
    from kpcore.registry import registry

    known = registry()
    found = find(known, name)
    records = [plugin_record(known, plugin) for plugin in found.plugins]
    if as_json:
        print_json({"plugins": records, "components": [asdict(entry) for entry in found.components]})
        return
    for r in records:
        print_lines([f"plugin {r['name']}: {r['distribution']} {r['version']}, module {r['module']}", *beside(r)])
    print_lines(troubles(records))
    for entry in found.components:
        print_component(entry)


def supplied(record: dict[str, Any]) -> str:
    """Return what a plugin supplies, a line a kind, and which hooks tell it what happens."""
    told = {"hooks": record["told"]} if record["told"] else {}
    return "\n".join(f"{kind}: {', '.join(names)}" for kind, names in {**record["supplies"], **told}.items())


def beside(record: dict[str, Any]) -> list[str]:
    """Return what a plugin supplies that is no component: sub-commands, and the hooks that tell it what happens."""
    commands = record["supplies"].get("command", [])
    lines = [f"  kp {name}: a command; 'kp {name} --help' says more" for name in commands]
    return lines + ([f"  is told what happens in every study: {', '.join(record['told'])}"] if record["told"] else [])


def state(record: dict[str, Any]) -> str:
    """Return a plugin's state in a word or two."""
    return "not loaded" if record["error"] else "ok" if record["ok"] else "problems"


def troubles(records: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line for everything that is wrong."""
    return [
        f"{record['name']} ({record['distribution']} {record['version']}): {reason}"
        for record in records
        for reason in [record["error"], *record["problems"]]
        if reason
    ]


def print_component(entry: Entry) -> None:
    """Print a component and its options."""
    print_lines(["", f"{entry.kind} '{entry.name}': {entry.summary}"])
    if entry.options:
        rows = [[option.name, option.type, option.default, option.description] for option in entry.options]
        print_table(["option", "type", "default", "meaning"], rows)
    else:
        print_lines(["  no options"])
