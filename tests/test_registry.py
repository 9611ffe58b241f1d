"""Discovery: what works is used, what does not is named with its reason, and nothing else suffers."""

import itertools
from importlib.metadata import EntryPoint, distributions, entry_points
from textwrap import dedent

import pytest

from kpcore.catalogue import find
from kpcore.errors import KpError
from kpcore.interfaces import Backbone, Codec, Dataset, Generator, Metric, Split, Tracker, TransferStrategy, Writer
from kpcore.registry import KINDS, Registry, check_class, check_constructor, one_line, registry

GOOD = """
    from kpcore import hookimpl

    @hookimpl
    def kp_splits():
        from kpcore.interfaces import Split

        class Halves(Split):
            '''Halves of a skeleton.'''

            def splits(self, skeleton, others):
                return []

        return {"halves": Halves}
"""
COUNTER = itertools.count()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that installs distributions, name -> (module source | None), and returns their registry."""

    def install(**sources):
        for name, source in sources.items():
            module = f"plug{next(COUNTER)}_{name}"  # new for every test: a module is imported once a process
            if source is not None:
                (tmp_path / f"{module}.py").write_text(dedent(source))
            info = tmp_path / f"dist_{name}-2.5.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 2.5\n")
            (info / "entry_points.txt").write_text(f"[kpcore]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        found = [point for dist in distributions(path=[str(tmp_path)]) for point in dist.entry_points]
        return Registry(found)

    return install


def by_name(known):
    for kind in KINDS:
        known.claims(kind)
    return {plugin.name: plugin for plugin in known.plugins}


def test_a_good_plugin_is_used_and_told_where_it_comes_from(installed):
    known = installed(good=GOOD)
    plugin = by_name(known)["good"]
    assert plugin.ok and not plugin.problems
    assert (plugin.distribution, plugin.version) == ("dist-good", "2.5")
    assert known.supplies(plugin) == {"split": ["halves"]}
    assert known.component("split", "halves").__name__ == "Halves"
    assert known.provider("split", "halves") is plugin
    assert known.build("split", "halves", {}, where="x").splits(None, {}) == []


BROKEN = {
    "import": ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
    "missing": (None, "No module named"),
    "raises": ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "misspelt": ("def kp_datasetz(): return {}", "no hook is called 'kp_datasetz'; did you mean 'kp_datasets'?"),
    "marked": (
        "from kpcore import hookimpl\n@hookimpl\ndef kp_backbnes(): return {}",
        "no hook is called 'kp_backbnes'; did you mean 'kp_backbones'?",
    ),
    "unmarked": ("def kp_splits(): return {}", "kp_splits() is not marked; put @kpcore.hookimpl above it"),
    "argument": ("from kpcore import hookimpl\n@hookimpl\ndef kp_splits(skeleton): return {}", "PluginValidationError"),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_plugin_that_cannot_be_used_is_named_and_others_work(installed, source, reason):
    known = installed(good=GOOD, bad=source)
    plugins = by_name(known)
    assert reason in plugins["bad"].error
    assert "\n" not in plugins["bad"].error
    assert known.supplies(plugins["bad"]) == {}
    assert known.names("split") == ["halves"]


FAILING = {
    "raises": ("raise RuntimeError('no luck')", "kp_splits(): RuntimeError: no luck"),
    "exits": ("raise SystemExit", "kp_splits(): SystemExit"),
    "none": ("return None", "kp_splits(): returned None"),
    "not a class": ("return {'x': 1}", "split 'x': is not a subclass of kpcore.interfaces.Split"),
    "other kind": (
        "from kpcore.interfaces import Metric\n    return {'x': Metric}",
        "split 'x': is not a subclass of kpcore.interfaces.Split",
    ),
    "abstract": ("from kpcore.interfaces import Split\n    return {'x': Split}", "split 'x': does not supply splits"),
}


@pytest.mark.parametrize(("body", "problem"), FAILING.values(), ids=FAILING)
def test_a_hook_that_fails_is_a_problem_of_its_plugin_alone(installed, body, problem):
    known = installed(good=GOOD, bad=f"from kpcore import hookimpl\n@hookimpl\ndef kp_splits():\n    {body}\n")
    (found,) = by_name(known)["bad"].problems
    assert problem in found
    assert known.names("split") == ["halves"]


CONSTRUCTOR = """
    from kpcore import hookimpl

    @hookimpl
    def kp_splits():
        from kpcore.interfaces import ComponentConfig, Split

        class Odd(Split):
            class Config({base}):
                count: int = 1

            def __init__(self, *, {parameter}):
                pass

            def splits(self, skeleton, others):
                return []

        return {{"odd": Odd}}
"""


def test_a_constructor_that_does_not_take_its_options_is_a_problem(installed):
    known = installed(bad=CONSTRUCTOR.format(base="ComponentConfig", parameter="number"))
    assert by_name(known)["bad"].problems == ["split 'odd': constructor and Config differ in count, number"]


def test_a_config_of_another_kind_is_a_problem(installed):
    known = installed(bad=CONSTRUCTOR.format(base="object", parameter="count"))
    (problem,) = by_name(known)["bad"].problems
    assert problem == "split 'odd': its Config is not a subclass of kpcore.interfaces.ComponentConfig"


def test_two_claims_on_one_name_are_refused_when_it_is_asked_for(installed):
    known = installed(one=GOOD, two=GOOD)
    with pytest.raises(KpError, match=r"claimed by one and two; write 'one:halves' or 'two:halves'$"):
        known.component("split", "halves")
    assert known.conflicts() == ["split 'halves' is claimed by one and two; write 'one:halves', 'two:halves'"]


@pytest.fixture
def rivals(installed):
    """The built-in plugin that supplies the split ``kptransfer``, and another that claims it too."""
    lab = installed(lab=GOOD.replace('"halves"', '"kptransfer"')).plugins[0]
    (point,) = entry_points(group="kpcore", name="kptransfer")
    return Registry([point, EntryPoint("lab", lab.module, "kpcore")])


def test_a_built_in_component_keeps_its_name_whoever_else_claims_it(rivals):
    assert rivals.provider("split", "kptransfer").name == "kptransfer"
    assert rivals.names("split").count("kptransfer") == 1
    assert "lab:kptransfer" in rivals.names("split")
    (line,) = rivals.conflicts()
    assert line == (
        "split 'kptransfer' is claimed by kptransfer and lab; write 'lab:kptransfer'; 'kptransfer' alone is that of"
        " kptransfer"
    )


def test_a_component_has_one_key_whichever_way_it_is_named(rivals):
    plain, full, other = (
        rivals.recipe("split", name, {}, where="x").record()
        for name in ("kptransfer", "kptransfer:kptransfer", "lab:kptransfer")
    )
    assert plain == full
    assert (other["name"], other["plugin"]) == ("kptransfer", "lab")
    assert rivals.component("split", "lab:kptransfer").__name__ == "Halves"
    (entry,) = find(rivals, "lab:kptransfer").components
    assert (entry.plugin, entry.name) == ("lab", "kptransfer")


@pytest.mark.parametrize("name", ["two:halves", "two:quarters", ":halves", "two:"])
def test_a_plugin_s_component_that_is_not_there_is_unknown(installed, name):
    with pytest.raises(KpError, match=f"^x: unknown split '{name}'.*.*halves exist"):
        installed(one=GOOD).component("split", name, where="x")


def test_a_plugin_names_its_component_where_another_claims_it_too(installed):
    known = installed(one=GOOD, two=GOOD)
    assert known.names("split") == ["one:halves", "two:halves"]
    assert [known.provider("split", name).name for name in known.names("split")] == ["one", "two"]


def test_an_unknown_component_names_the_nearest_and_the_plugins_with_problems(installed):
    known = installed(good=GOOD, bad="import no_such_module_anywhere")
    with pytest.raises(KpError) as caught:
        known.component("split", "halvs", where="study.toml: split.name")
    text = str(caught.value)
    assert text.startswith("study.toml: split.name: unknown split 'halvs'; did you mean 'halves'?")
    assert "plugins with problems: bad (see 'kp plugins list')" in text


def test_the_option_of_a_component_is_checked(installed):
    known = installed(good=CONSTRUCTOR.format(base="ComponentConfig", parameter="count"))
    with pytest.raises(KpError, match=r"s\.toml: split\.cuont: unknown key 'cuont'; did you mean 'count'"):
        known.build("split", "odd", {"cuont": 2}, where="s.toml: split")
    with pytest.raises(KpError, match=r"s\.toml: split\.count: .*integer.*'many'"):
        known.build("split", "odd", {"count": "many"}, where="s.toml: split")
    with pytest.raises(KpError, match=r"^s\.toml: split\.name: unknown split 'even'"):
        known.build("split", "even", {}, where="s.toml: split")


NOTIFIED = """
    from kpcore import hookimpl
    seen = []

    @hookimpl
    def kp_epoch_ended(record):
        seen.append(record)
        {then}
"""


def test_notifications_pass_what_a_plugin_asks_for_and_survive_one_that_raises(installed):
    known = installed(bad=NOTIFIED.format(then="raise OSError('tracker is down')"), good=NOTIFIED.format(then="pass"))
    (line,) = known.notify("kp_epoch_ended", job={}, record={"epoch": 1})
    assert line == "plugin bad 2.5: kp_epoch_ended(): OSError: tracker is down; the study goes on without it"
    assert known.notify("kp_epoch_ended", job={}, record={"epoch": 1}) == []  # named once
    plugins = by_name(known)
    assert known.manager.get_plugin("good").seen == [{"epoch": 1}] * 2
    assert plugins["bad"].problems == ["kp_epoch_ended(): OSError: tracker is down"]
    assert not plugins["good"].problems


COMMAND = """
    from kpcore import hookimpl

    @hookimpl
    def kp_commands():
        import typer
        return {commands}
"""


def test_commands_of_plugins(installed):
    known = installed(
        good=COMMAND.format(commands="{'hello': typer.Typer()}"),
        odd=COMMAND.format(commands="{'strange': 5}"),
        bad=COMMAND.format(commands="1 / 0"),
    )
    assert list(known.commands()) == ["hello"]
    problems = {name: plugin.problems for name, plugin in by_name(known).items()}
    assert problems["odd"] == ["command 'strange': is not a typer.Typer"]
    assert problems["bad"] == ["kp_commands(): ZeroDivisionError: division by zero"]


def test_a_command_that_two_plugins_claim_belongs_to_neither(installed):
    source = COMMAND.format(commands="{'hello': typer.Typer()}")
    known = installed(one=source, two=source)
    assert known.commands() == {}
    assert known.conflicts() == ["command 'hello' is claimed by one and two; neither is used"]


RULES = """
    from pathlib import Path
    from kpcore import hookimpl

    @hookimpl
    def kp_weight_rules():
        return {rules}
"""


def test_rules_of_plugins_are_files_and_each_has_a_name_of_its_own(installed, tmp_path):
    file = tmp_path / "rules.toml"
    file.touch()
    one = RULES.format(rules=f"{{'net': Path({str(file)!r})}}")
    known = installed(a=one, b=one, lost=RULES.format(rules="{'gone': Path('/no/where')}"), bad=RULES.format(rules="1"))
    assert known.weight_rules() == known.weight_rules() == {"net": file, "b:net": file}
    problems = {name: plugin.problems for name, plugin in by_name(known).items()}
    assert problems["lost"] == ["rules 'gone': /no/where is no path of a file"]
    assert len(problems["bad"]) == 1 and problems["bad"][0].startswith("kp_weight_rules(): TypeError")


def test_a_damaged_list_of_entry_points_is_named_and_others_are_found(tmp_path, monkeypatch):
    info = tmp_path / "ruined-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ruined\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[kpcore]\nno equals sign\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = {plugin.name: plugin for plugin in Registry().plugins}
    assert "entry_points.txt is damaged" in plugins["ruined"].error
    assert plugins["kptransfer"].ok


def test_the_built_in_plugins_come_through_the_same_door():
    known = registry()
    mine = {plugin.name for plugin in known.plugins if plugin.distribution == "kptransfer"}
    assert {"hourglass", "mpii", "kptransfer", "modes", "heatmap", "pck"} <= mine
    assert registry() is known


# --- kinds, constructors, names ---------------------------------------------------------------------------------------

BASES = {
    "dataset": Dataset, "generator": Generator, "backbone": Backbone, "split": Split, "strategy": TransferStrategy,
    "codec": Codec, "metric": Metric, "writer": Writer, "tracker": Tracker,
}  # fmt: skip


def test_every_kind_has_a_hook_and_a_base_of_its_own():
    assert KINDS == {
        "dataset": "kp_datasets", "generator": "kp_generators", "backbone": "kp_backbones", "split": "kp_splits",
        "strategy": "kp_strategies", "codec": "kp_codecs", "metric": "kp_metrics",
        "writer": "kp_writers", "tracker": "kp_trackers",
    }  # fmt: skip
    for kind, base in BASES.items():
        assert check_class(kind, base).startswith("does not supply ")
        for other in BASES.values():
            if other is not base:
                assert check_class(kind, other) == f"is not a subclass of kpcore.interfaces.{base.__name__}"


class Exact:
    def __init__(self, *, one, two=2):
        pass


class Open:
    def __init__(self, one, **options):
        pass


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (Exact, {"one", "two"}, ""),
        (Exact, {"one"}, "constructor and Config differ in two"),
        (Exact, {"one", "two", "three"}, "constructor and Config differ in three"),
        (Exact, {"three"}, "constructor and Config differ in one, three, two"),
        (Open, {"five"}, ""),
    ],
)
def test_a_constructor_takes_exactly_its_options_unless_it_takes_any(kind, options, said):
    assert check_constructor(kind, options) == said


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KpError("a  b\n c"), "a b c"), (ValueError("a\nb"), "ValueError: a b"), (KeyError(), "KeyError"),
        (KpError(""), ""), (SystemExit(3), "SystemExit: 3"), (MuteError(), "MuteError: its message cannot be read"),
    ],
)  # fmt: skip
def test_an_exception_is_one_line(error, line):
    assert one_line(error) == line


def test_plugins_come_by_name_and_say_their_module(installed):
    known = installed(zebra=GOOD, ant="import no_such_module_anywhere")
    assert [plugin.name for plugin in known.plugins] == ["ant", "zebra"]
    assert known.plugins[1].module.endswith("_zebra")
    assert [plugin.ok for plugin in known.plugins] == [False, True]


def test_a_hook_is_asked_once(installed):
    known = installed(
        counted=CONSTRUCTOR.format(base="ComponentConfig", parameter="count").replace(
            "class Odd", "asked.append(1)\n\n        class Odd"
        ).replace("from kpcore import hookimpl", "from kpcore import hookimpl\n    asked = []", 1)
    )  # fmt: skip
    for _ in range(3):
        assert known.names("split") == ["odd"]
    assert known.manager.get_plugin("counted").asked == [1]


def test_two_plugins_of_one_name_are_not_both_loaded(installed):
    plugin = installed(good=GOOD).plugins[0]
    twice = Registry([EntryPoint("good", plugin.module, "kpcore")] * 2)
    assert [plugin.error for plugin in twice.plugins] == ["", "another plugin is already called 'good'"]
    assert {(plugin.distribution, plugin.version) for plugin in twice.plugins} == {("?", "?")}
    assert twice.names("split") == ["halves"]


def test_what_is_named_like_a_hook_but_is_no_function_is_let_be(installed):
    known = installed(good=GOOD + "\n    kp_version = 3\n")
    assert known.plugins[0].ok


def test_a_plugin_that_is_not_used_is_not_notified(installed):
    known = installed(good=NOTIFIED.format(then="pass"), bad="def kp_datasetz(): return {}", silent=GOOD)
    known.notify("kp_epoch_ended", job={}, record={"epoch": 1})
    assert known.manager.get_plugin("good").seen == [{"epoch": 1}]
    assert [plugin.problems for plugin in known.plugins] == [[], [], []]


def test_supplies_are_the_plugins_own_and_sorted(installed):
    second = GOOD.replace("halves", "quarters").replace('"quarters": Halves', '"quarters": Halves, "eighths": Halves')
    known = installed(good=GOOD, more=second)
    plugins = by_name(known)
    assert known.supplies(plugins["good"]) == {"split": ["halves"]}
    assert known.supplies(plugins["more"]) == {"split": ["eighths", "quarters"]}
    assert known.names("split") == ["eighths", "halves", "quarters"]
    assert known.conflicts() == []


def test_an_unknown_component_says_nothing_of_plugins_where_all_are_well(installed):
    with pytest.raises(KpError) as caught:
        installed(good=GOOD).component("split", "thirds")
    assert str(caught.value) == "unknown split 'thirds' (halves exists)"


def test_a_class_that_is_refused_says_why_when_it_is_asked_for(installed):
    bad = "from kpcore import hookimpl\n@hookimpl\ndef kp_splits():\n    return {'x': 1}\n"
    known = installed(bad=bad, good=GOOD)
    told = "^here: split 'x' of plugin bad 2.5 is refused: is not a subclass of kpcore.interfaces.Split$"
    for name in ("x", "bad:x"):
        with pytest.raises(KpError, match=told):
            known.component("split", name, where="here")
    with pytest.raises(KpError, match=r"unknown split 'good:x' .*plugins with problems: bad"):
        known.component("split", "good:x")


def test_a_refused_class_takes_no_name_from_another(installed):
    bad = "from kpcore import hookimpl\n@hookimpl\ndef kp_splits():\n    return {'halves': 1}\n"
    assert installed(bad=bad, good=GOOD).provider("split", "halves").name == "good"


def test_a_class_that_cannot_be_looked_at_is_a_problem_of_its_plugin_alone(installed):
    bad = GOOD.replace('"halves": Halves', '"odd": type("Odd", (Halves,), {"__signature__": 3})')
    known = installed(bad=bad, good=GOOD)
    assert known.names("split") == ["halves"]
    with pytest.raises(KpError, match=r"split 'odd' of plugin bad 2\.5 is refused: cannot be looked at: TypeError"):
        known.component("split", "odd")


def test_a_component_is_described_by_kind_name_and_plugin(installed):
    known = installed(good=GOOD)
    halves = known.build("split", "halves", {}, where="x")
    assert known.describe(halves) == "split 'halves' (plugin good 2.5)"
    assert known.describe(known.manager.get_plugin("good").kp_splits) == "plugin good 2.5"
    assert known.supplied(halves) and not known.supplied(known)


def test_two_claims_are_told_with_their_place(installed):
    known = installed(one=GOOD, two=GOOD)
    for where, said in (("", ""), ("study", "study: ")):
        with pytest.raises(KpError, match=f"^{said}split 'halves' is claimed by one and two; write 'one:halves' or"):
            known.component("split", "halves", where=where)


def test_an_option_that_nobody_sets_is_the_configs_default(installed):
    known = installed(
        odd=CONSTRUCTOR.format(base="ComponentConfig", parameter="count").replace("pass", "self.count = count")
    )
    assert known.build("split", "odd", {}, where="x").count == 1
    assert known.build("split", "odd", {"count": 4}, where="x").count == 4
