"""What is installed, told to people: plugins, the components they supply, and each component's options."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kpcore.errors import unknown
from kpcore.registry import KINDS, Plugin, Registry

NAMES: dict[type, str] = {str: "text", bool: "true | false", Path: "path"}
"""Types by a name that is not Python's."""


@dataclass(frozen=True)
class Option:
    """One key that a component's table takes."""

    name: str
    type: str
    default: str
    description: str


@dataclass(frozen=True)
class Entry:
    """One component."""

    kind: str
    name: str
    plugin: str
    summary: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Found:
    """What a name stands for: plugins, and components."""

    plugins: tuple[Plugin, ...]
    components: tuple[Entry, ...]


def find(known: Registry, name: str) -> Found:
    """Return the plugins of that name with all they supply, and all components of that name.

    Raises:
        KpError: nothing is called so; with the nearest name.
    """
    entries = [
        entry(kind, component, owner, found)
        for kind in KINDS
        for component, owners in known.claims(kind).items()
        for owner, found in owners.items()
        if name in (component, owner, f"{owner}:{component}")
    ]
    owners = {entry.plugin for entry in entries}
    plugins = [plugin for plugin in known.plugins if plugin.name == name or (plugin.ok and plugin.name in owners)]
    if not plugins:
        components = [component for kind in KINDS for component in known.names(kind)]
        raise unknown("plugin or component", name, dict.fromkeys([p.name for p in known.plugins] + components))
    return Found(tuple(plugins), tuple(entries))


def entry(kind: str, name: str, plugin: str, found: type[Any]) -> Entry:
    """Describe a component's class."""
    summary = (inspect.getdoc(found) or "").partition("\n\n")[0].replace("\n", " ")
    return Entry(kind, name, plugin, summary, tuple(options(found.Config)))


def options(config: type[BaseModel]) -> list[Option]:
    """Describe the options of a component."""
    return [
        Option(name, type_name(field), default_text(field), field.description or "")
        for name, field in config.model_fields.items()
    ]


def type_name(field: FieldInfo) -> str:
    """Return a field's type as a reader of TOML would put it: int, "mse" | "dark", list[int], table."""
    return _name(field.annotation)


def _name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _name(arguments[0])
    if origin is Literal:
        return " | ".join(json.dumps(value) for value in arguments)
    if origin in (Union, UnionType):
        return " | ".join(_name(argument) for argument in arguments if argument is not NoneType)
    if origin in (list, tuple, dict):
        return f"{origin.__name__}[{', '.join(_name(argument) for argument in arguments)}]"
    if inspect.isclass(annotation):
        return "table" if issubclass(annotation, BaseModel) else NAMES.get(annotation, annotation.__name__)
    return "any"


def default_text(field: FieldInfo) -> str:
    """Return a field's default; "required" where there is none, "" where it may be absent."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    return json.dumps(value.model_dump(mode="json") if isinstance(value, BaseModel) else value, default=str)


def plugin_record(known: Registry, plugin: Plugin) -> dict[str, Any]:
    """Return a plugin as JSON; asks it for all that it supplies, so that what is wrong with that shows too."""
    supplies = known.supplies(plugin)
    known.weight_rules()
    if commands := known.commands_of(plugin):
        supplies["command"] = commands
    return {
        "name": plugin.name,
        "module": plugin.module,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "ok": plugin.ok and not plugin.problems,
        "supplies": supplies,
        "told": known.told(plugin),
        "error": plugin.error,
        "problems": list(plugin.problems),
    }
