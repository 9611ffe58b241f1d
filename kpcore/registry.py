"""Discovery: entry points are loaded one by one, what fails is recorded and named, and nothing else suffers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from kpcore import hooks
from kpcore.errors import KpError, nearest, unknown
from kpcore.interrupts import check, held
from kpcore.recipes import Recipe, code_digest, packages_of

if TYPE_CHECKING:
    import typer
    from pydantic import BaseModel

KINDS: dict[str, str] = {
    "dataset": "kp_datasets",
    "generator": "kp_generators",
    "backbone": "kp_backbones",
    "split": "kp_splits",
    "strategy": "kp_strategies",
    "codec": "kp_codecs",
    "metric": "kp_metrics",
    "writer": "kp_writers",
    "tracker": "kp_trackers",
}
"""Kind of component -> the hook that supplies it."""
BUILT_IN = "kptransfer"
"""The distribution whose components keep their plain names, whoever else claims them."""

TOLD = tuple(name for name in vars(hooks) if name.startswith(("kp_study_", "kp_job_", "kp_epoch_")))
"""Hooks that are told what happens, in the order of hooks.py."""

T = TypeVar("T")
Listener = Callable[..., object]
"""Called with a hook's name and, by keyword, its arguments."""


@dataclass
class Plugin:
    """One entry point: where it comes from, what it supplies, and why it is not used where it is not."""

    name: str
    module: str
    distribution: str
    version: str
    error: str = ""
    problems: list[str] = field(default_factory=list)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    """(kind, name) of a class that is not used -> why."""

    @property
    def ok(self) -> bool:
        """Whether it is in use."""
        return not self.error

    @property
    def built_in(self) -> bool:
        """Whether it is of this distribution."""
        return self.distribution == BUILT_IN

    @property
    def package(self) -> str:
        """Its top import package."""
        return self.module.partition(":")[0].partition(".")[0]

    @property
    def called(self) -> str:
        """What error messages call it."""
        return f"plugin {self.name} {self.version}"


@dataclass(frozen=True, eq=False)
class Built(Generic[T]):
    """A component, and how it was asked for."""

    component: T
    recipe: Recipe


class Registry:
    """All plugins of the entry-point group ``kpcore``.

    Args:
        points: entry points; those of this environment by default.
    """

    def __init__(self, points: list[EntryPoint] | None = None) -> None:
        self.manager = pluggy.PluginManager(hooks.GROUP)
        self.manager.add_hookspecs(hooks)
        self.plugins: list[Plugin] = []
        self._listeners: list[tuple[Listener, Plugin]] = []
        found = self._discover() if points is None else points
        for point in sorted(found, key=lambda point: point.name):
            self._load(point)

    def _discover(self) -> list[EntryPoint]:
        try:
            return list(entry_points(group=hooks.GROUP))
        except Exception:  # some distribution's list is damaged, and Python then gives none: ask one by one
            found = {distribution.name: distribution for distribution in reversed(list(distributions()))}
            return [point for distribution in found.values() for point in self._points_of(distribution)]

    def _points_of(self, distribution: Distribution) -> list[EntryPoint]:
        """Return a distribution's plugins; record it where its list is damaged and meant for us."""
        try:
            return list(distribution.entry_points.select(group=hooks.GROUP))
        except Exception as error:
            if f"[{hooks.GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
                name = distribution.name or "?"
                reason = f"its entry_points.txt is damaged: {one_line(error)}"
                self.plugins.append(Plugin(name, "?", name, distribution.version or "?", reason))
            return []

    def _load(self, point: EntryPoint) -> None:
        distribution = point.dist
        plugin = Plugin(
            point.name,
            point.value,
            (distribution and distribution.name) or "?",  # a damaged distribution has neither
            (distribution and distribution.version) or "?",
        )
        self.plugins.append(plugin)
        check()
        with held():  # a signal that breaks an import off comes out of it as any error, which would be the plugin's
            self._import(point, plugin)

    def _import(self, point: EntryPoint, plugin: Plugin) -> None:
        try:
            module = point.load()
            if self.manager.has_plugin(point.name):
                raise KpError(f"another plugin is already called '{point.name}'")
            check_hook_names(module)
            self.manager.register(module, point.name)
        except (Exception, SystemExit) as error:  # a plugin may fail in any way; it must not take others down
            plugin.error = one_line(error)

    @cached_property
    def _claims(self) -> dict[str, dict[str, dict[str, type[Any]]]]:
        return {}

    def claims(self, kind: str) -> dict[str, dict[str, type[Any]]]:
        """Component name -> {plugin that claims it: class}; asks every plugin once and records what fails."""
        if kind not in self._claims:
            claims: dict[str, dict[str, type[Any]]] = {}
            self._claims[kind] = claims
            for plugin in self.plugins:
                if plugin.ok:
                    for name, found in self._ask(plugin, kind).items():
                        claims.setdefault(name, {})[plugin.name] = found
        return self._claims[kind]

    def _ask(self, plugin: Plugin, kind: str) -> dict[str, type[Any]]:
        good = {}
        for name, found in self._call(plugin, KINDS[kind]).items():
            problem = _class_problem(kind, found)
            if problem:
                plugin.problems.append(f"{kind} '{name}': {problem}")
                plugin.refused[kind, name] = problem
            else:
                good[name] = found
        return good

    def _call(self, plugin: Plugin, hook: str) -> dict[str, Any]:
        """Return what a plugin's hook returns; nothing, and a recorded problem, where it fails."""
        with held():  # hooks import, too
            return self._answer(plugin, hook)

    def _answer(self, plugin: Plugin, hook: str) -> dict[str, Any]:
        try:
            answers = self._ask_one(plugin, hook)
            if not answers and hasattr(self.manager.get_plugin(plugin.name), hook):  # pluggy takes None for no answer
                raise KpError("returned None, which is no mapping of names to what it supplies")
            return {str(name): found for given in answers for name, found in dict(given).items()}
        except (Exception, SystemExit) as error:
            plugin.problems.append(f"{hook}(): {one_line(error)}")
            return {}

    def _ask_one(self, plugin: Plugin, hook: str, **arguments: Any) -> list[Any]:
        """Have pluggy call the hook of one plugin alone, so that it takes no other down; return its answer, or none."""
        others = [other for name, other in self.manager.list_name_plugin() if name != plugin.name]
        found: list[Any] = self.manager.subset_hook_caller(hook, others)(**arguments)
        return found

    def commands(self) -> dict[str, typer.Typer]:
        """Return the sub-commands of plugins; one that two plugins claim, or that is no typer.Typer, is a problem."""
        return {name: next(iter(owners.values())) for name, owners in self._commands.items() if len(owners) == 1}

    @cached_property
    def _commands(self) -> dict[str, dict[str, typer.Typer]]:
        import typer

        claims: dict[str, dict[str, typer.Typer]] = {}
        for plugin in filter(lambda plugin: plugin.ok, self.plugins):
            for name, found in self._call(plugin, "kp_commands").items():
                if isinstance(found, typer.Typer):
                    claims.setdefault(name, {})[plugin.name] = found
                else:
                    plugin.problems.append(f"command '{name}': is not a typer.Typer")
        return claims

    def weight_rules(self) -> dict[str, Path]:
        """Return the files of rules that plugins supply, by name; ``plugin:name`` where another one has that name."""
        return dict(self._weight_rules)

    @cached_property
    def _weight_rules(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for plugin in sorted(filter(lambda plugin: plugin.ok, self.plugins), key=lambda plugin: not plugin.built_in):
            for name, path in self._call(plugin, "kp_weight_rules").items():
                if isinstance(path, Path) and path.is_file():
                    found[f"{plugin.name}:{name}" if name in found else name] = path
                else:
                    plugin.problems.append(f"rules '{name}': {path} is no path of a file")
        return found

    def names(self, kind: str) -> list[str]:
        """Names that :meth:`component` takes: each component's own, or ``plugin:name`` where that is another's too."""
        found = []
        for name, owners in self.claims(kind).items():
            keeper = self._keeper(kind, name)
            found += [name if owner == keeper else f"{owner}:{name}" for owner in owners]
        return sorted(found)

    def _keeper(self, kind: str, name: str) -> str | None:
        """Return the plugin that the plain name stands for: its only owner, or the built-in one; None where neither."""
        owners = list(self.claims(kind).get(name, {}))
        mine = [plugin.name for plugin in self.plugins if plugin.ok and plugin.built_in and plugin.name in owners]
        return owners[0] if len(owners) == 1 else mine[0] if len(mine) == 1 else None

    def find(self, kind: str, name: str, *, where: str = "") -> tuple[Plugin, str]:
        """Return the plugin that ``name`` or ``plugin:name`` stands for, and the component's own name.

        Raises:
            KpError: no plugin supplies it, the one that does is refused, or more than one claims the plain name.
        """
        prefix, colon, own = name.rpartition(":")
        owners = self.claims(kind).get(own, {})
        owner = self._keeper(kind, own) if not colon else prefix if prefix in owners else None
        if owner is not None:
            return next(plugin for plugin in self.plugins if plugin.name == owner and plugin.ok), own
        place = f"{where}: " if where else ""
        if owners and not colon:
            choices = " or ".join(f"'{one}:{own}'" for one in sorted(owners))
            raise KpError(f"{place}{kind} '{own}' is claimed by {_listed(owners)}; write {choices}")
        for plugin in self.plugins:
            if (not colon or prefix == plugin.name) and (problem := plugin.refused.get((kind, own))):
                raise KpError(f"{place}{kind} '{own}' of {plugin.called} is refused: {problem}")
        raise self._unknown(kind, name, where)

    def _unknown(self, kind: str, name: str, where: str) -> KpError:
        """Build the error for a name that nobody supplies, with the plugins that failed and might have."""
        error = unknown(kind, name, self.names(kind), where=where)
        broken = [plugin.name for plugin in self.plugins if plugin.error or plugin.problems]
        note = f"; plugins with problems: {', '.join(broken)} (see 'kp plugins list')" if broken else ""
        return KpError(f"{error}{note}")

    def component(self, kind: str, name: str, *, where: str = "") -> type[Any]:
        """Return the class of that name; raises as :meth:`find`."""
        plugin, own = self.find(kind, name, where=where)
        return self.claims(kind)[own][plugin.name]

    def build(self, kind: str, name: str, options: Mapping[str, Any], *, where: str) -> Any:
        """Return :meth:`make`'s component alone."""
        return self.make(kind, name, options, where=where).component

    def make(self, kind: str, name: str, options: Mapping[str, Any], *, where: str) -> Built[Any]:
        """Validate the options against the component's ``Config`` and build it.

        Returns:
            The component, and its recipe with every option spelt out.

        Raises:
            KpError: unknown component, unknown or bad option; with the key, the nearest name and what exists.
        """
        config = self._options(kind, name, options, where)
        found = self.component(kind, name)
        built = found(**{key: getattr(config, key) for key in type(config).model_fields})
        return Built(built, self._recipe(kind, name, config))

    def recipe(self, kind: str, name: str, options: Mapping[str, Any], *, where: str) -> Recipe:
        """Return how a component is asked for, with every option spelt out; raises as :meth:`make`."""
        return self._recipe(kind, name, self._options(kind, name, options, where))

    def _options(self, kind: str, name: str, options: Mapping[str, Any], where: str) -> BaseModel:
        from kpcore.config import validate

        key = where if where.endswith("study.modes") else f"{where}.name"  # modes are named in a list
        model: type[BaseModel] = self.component(kind, name, where=key).Config
        return validate(model, options, where=where)

    def _recipe(self, kind: str, name: str, config: BaseModel) -> Recipe:
        plugin, own = self.find(kind, name)
        options = config.model_dump(mode="json")
        code = code_digest(plugin.package, *packages_of(self.component(kind, name)))
        return Recipe(own, options, plugin.name, plugin.package, plugin.version, code)

    def provider(self, kind: str, name: str) -> Plugin:
        """Return the plugin that supplies this component; raises as :meth:`find`."""
        return self.find(kind, name)[0]

    def describe(self, component: object) -> str:
        """Return what error messages call a component: "backbone 'unet' (plugin lab 1.2)"; a function: its plugin."""
        found = type(component)
        for kind, claims in self._claims.items():
            for name, owners in claims.items():
                for owner in (owner for owner, one in owners.items() if one is found):
                    return f"{kind} '{name}' ({self.find(kind, f'{owner}:{name}')[0].called})"
        module = getattr(component, "__module__", "")
        plugin = self.owner(module)
        return plugin.called if plugin else f"{module}.{getattr(component, '__qualname__', found.__name__)}"

    def supplied(self, component: object) -> bool:
        """Whether a plugin supplies the class of this object as a component."""
        return any(type(component) in owners.values() for claims in self._claims.values() for owners in claims.values())

    def owner(self, module: str) -> Plugin | None:
        """Return the plugin that the code of this module belongs to."""
        package = module.partition(".")[0]
        return next((plugin for plugin in self.plugins if plugin.ok and plugin.package == package), None)

    def supplies(self, plugin: Plugin) -> dict[str, list[str]]:
        """Kind -> names of the components that the plugin supplies; nothing where it is not in use."""
        if not plugin.ok:
            return {}
        found = {kind: sorted(n for n, owners in self.claims(kind).items() if plugin.name in owners) for kind in KINDS}
        return {kind: names for kind, names in found.items() if names}

    def told(self, plugin: Plugin) -> list[str]:
        """Names of the hooks by which the plugin is told what happens."""
        module = self.manager.get_plugin(plugin.name) if plugin.ok else None
        return [hook for hook in TOLD if hasattr(module, hook)]

    def commands_of(self, plugin: Plugin) -> list[str]:
        """Names of the sub-commands that the plugin supplies."""
        return sorted(name for name, owners in self._commands.items() if plugin.name in owners)

    def conflicts(self) -> list[str]:
        """One line for every name that two plugins claim."""
        lines = [
            f"{kind} '{name}' is claimed by {_listed(owners)}; {self._told_apart(kind, name)}"
            for kind in KINDS
            for name, owners in self.claims(kind).items()
            if len(owners) > 1
        ]
        return lines + [
            f"command '{name}' is claimed by {_listed(owners)}; neither is used"
            for name, owners in self._commands.items()
            if len(owners) > 1
        ]

    def _told_apart(self, kind: str, name: str) -> str:
        keeper = self._keeper(kind, name)
        ways = ", ".join(f"'{owner}:{name}'" for owner in sorted(self.claims(kind)[name]) if owner != keeper)
        return f"write {ways}" + (f"; '{name}' alone is that of {keeper}" if keeper else "")

    def listen(self, *listeners: tuple[Listener, Plugin]) -> None:
        """Tell these, and no longer those before, all that the hooks of :data:`TOLD` are told; each is a plugin's."""
        self._listeners = list(listeners)

    def notify(self, hook: str, **arguments: Any) -> list[str]:
        """Call a notification hook of every plugin, then listeners; one that raises is recorded, and the job goes on.

        Returns:
            A line for every hook that raised for the first time.
        """
        asked: list[tuple[Listener, Plugin]] = [
            (partial(self._ask_one, plugin), plugin) for plugin in self.plugins if plugin.ok
        ]
        lines = [_tried(call, plugin, hook, arguments) for call, plugin in [*asked, *self._listeners]]
        return [line for line in lines if line]


def _tried(call: Listener, plugin: Plugin, hook: str, arguments: Mapping[str, Any]) -> str:
    """Call a hook; return what to say where it raised for the first time."""
    try:
        call(hook, **arguments)
    except (Exception, SystemExit) as error:
        if not any(problem.startswith(f"{hook}(): ") for problem in plugin.problems):
            plugin.problems.append(f"{hook}(): {one_line(error)}")
            return f"{plugin.called}: {plugin.problems[-1]}; the study goes on without it"
    return ""


def check_hook_names(module: object) -> None:
    """Refuse a plugin with a hook that does not exist, or that is not marked: pluggy would pass it over in silence.

    Raises:
        KpError: with the nearest hook's name, or what is missing.
    """
    known = [name for name in vars(hooks) if name.startswith("kp_")]
    for name, value in vars(module).items():
        marked = hasattr(value, f"{hooks.GROUP}_impl")
        meant = name.startswith("kp_") and inspect.isfunction(value)
        if (marked or meant) and name not in known:
            near = nearest(name, known)
            raise KpError(f"no hook is called '{name}'" + (f"; did you mean '{near}'?" if near else ""))
        if meant and not marked:
            raise KpError(f"{name}() is not marked; put @kpcore.hookimpl above it")


def _class_problem(kind: str, found: object) -> str:
    """Return what :func:`check_class` finds; a class that cannot even be looked at is a problem of its plugin alone."""
    try:
        return check_class(kind, found)
    except Exception as error:
        return f"cannot be looked at: {one_line(error)}"


def check_class(kind: str, found: object) -> str:
    """Return what is wrong with a class that a plugin supplies as this kind; "" where nothing is."""
    from kpcore import interfaces

    base = {
        "dataset": interfaces.Dataset, "generator": interfaces.Generator, "backbone": interfaces.Backbone,
        "split": interfaces.Split, "strategy": interfaces.TransferStrategy, "codec": interfaces.Codec,
        "metric": interfaces.Metric, "writer": interfaces.Writer,
        "tracker": interfaces.Tracker,
    }[kind]  # fmt: skip
    if not (inspect.isclass(found) and issubclass(found, base)):
        return f"is not a subclass of kpcore.interfaces.{base.__name__}"
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        return f"does not supply {', '.join(missing)}"
    config = getattr(found, "Config", None)
    if not (inspect.isclass(config) and issubclass(config, interfaces.ComponentConfig)):
        return "its Config is not a subclass of kpcore.interfaces.ComponentConfig"
    return check_constructor(found, set(config.model_fields))


def check_constructor(found: type[Any], options: set[str]) -> str:
    """Return how a class's constructor differs from its options; "" where it takes exactly them."""
    taken = inspect.signature(found).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values()):
        return ""
    strangers = sorted(options ^ set(taken))
    return f"constructor and Config differ in {', '.join(strangers)}" if strangers else ""


def _listed(owners: Mapping[str, object]) -> str:
    return " and ".join(sorted(owners))


def one_line(error: BaseException) -> str:
    """An exception as one line: its type, unless it is ours, and its message."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # a plugin's own exception may not even be able to say what it is
        text = "its message cannot be read"
    return text if isinstance(error, KpError) else f"{type(error).__name__}: {text}" if text else type(error).__name__


@cache
def registry() -> Registry:
    """Return the registry of this environment, loaded once a process."""
    return Registry()
