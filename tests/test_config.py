"""Study files: what is wrong is told with file, key, nearest name and what exists; never pydantic's own words."""

import math
import re
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kpcore.config import (
    Average,
    Optimizer,
    Schedule,
    StudyConfig,
    TrainingTable,
    assemble,
    dropped,
    merge,
    models_in,
    overlay,
    parse_options,
    parse_set,
    read_toml,
    to_toml,
    validate,
)
from kpcore.errors import KpError

PLAIN = {
    "dataset": {"name": "mpii"},
    "split": {"name": "kptransfer"},
    "backbone": {"name": "hourglass"},
    "codec": {"name": "heatmap"},
}
EXAMPLES = Path(__file__).parents[1] / "examples"


def study(**tables):
    return validate(StudyConfig, overlay(PLAIN, tables), where="s.toml")


def error_of(**tables):
    with pytest.raises(KpError) as caught:
        study(**tables)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_are_the_paper_s():
    """Of the protocol: what the paper says, and what is taken where it says nothing."""
    found = study()
    training = found.training
    assert (training.resolution, training.batch_size, training.epochs, training.early_stopping) == (256, 6, 200, 10)
    assert (training.min_improvement, training.select_on, training.keep) == (0.0, "valid", "best")
    assert (training.precision, training.compile, training.iterations_per_epoch) == ("fp32", "off", None)
    optimizer = training.optimizer
    assert (optimizer.name, optimizer.learning_rate) == ("rmsprop", 2.5e-4)
    assert (optimizer.alpha, optimizer.eps, optimizer.weight_decay) == (0.99, 1e-8, 0.0)
    assert (training.schedule.name, training.schedule.factor, training.schedule.patience) == ("plateau", 0.2, 5)
    assert training.average.name == "off"
    augmentation = training.augmentation
    assert (augmentation.scale, augmentation.rotation, augmentation.flip) == ((0.75, 1.25), 30, 0.5)
    assert (augmentation.colour, augmentation.translation) == (0.0, 0.0)
    assert found.backbone.stages == [2, 4]
    assert (found.study.modes, found.study.seeds) == (["transfer", "frozen", "random"], [0])
    assert found.evaluation.flip_test
    assert found.evaluation.validation is None
    assert study(evaluation={"validation": {"name": "pck"}}).evaluation.validation.flip_test is False
    assert (found.evaluation.metric.name, found.dataset.when_missing) == ("", "error")


DEFAULTS = {
    "optimizer": {
        "rmsprop": {"learning_rate": 2.5e-4, "eps": 1e-8, "weight_decay": 0.0, "alpha": 0.99},
        "adamw": {"learning_rate": 2.5e-4, "eps": 1e-8, "weight_decay": 0.0},
        "muon": {
            "learning_rate": 2.5e-4,
            "eps": 1e-8,
            "weight_decay": 0.0,
            "other_learning_rate": 4e-3,
            "momentum": 0.95,
        },
    },
    "schedule": {
        "plateau": {"factor": 0.2, "patience": 5},
        "onecycle": {"fall": "cosine", "warmup": 0.1},
        "constant": {},
    },
    "average": {"off": {}, "ema": {"decay": 0.9}},
}
UNIONS = {"optimizer": Optimizer, "schedule": Schedule, "average": Average}
STRANGERS = [
    (table, name, owner, option)
    for table, members in DEFAULTS.items()
    for name in members
    for owner in members
    for option in members[owner]
    if option not in members[name]
]


@pytest.mark.parametrize(("table", "name"), [(table, name) for table, members in DEFAULTS.items() for name in members])
def test_optimisers_schedules_and_averages_have_their_own_options_alone(table, name):
    found = study(training={table: {"name": name}}).training
    assert getattr(found, table).model_dump() == {"name": name, **DEFAULTS[table][name]}
    assert len(models_in(UNIONS[table])) == len(DEFAULTS[table])


@pytest.mark.parametrize(("table", "name", "owner", "option"), STRANGERS)
def test_an_option_of_another_is_refused_with_its_owner(table, name, owner, option):
    given = {"name": name, option: DEFAULTS[table][owner][option]}
    message = f"s.toml: training.{table}.{option}: '{option}' is an option of {owner}, not of {name}; "
    own = ["name", *DEFAULTS[table][name]]
    exist = f"({', '.join(own)} exist{'s' * (len(own) == 1)} here)"
    assert error_of(training={table: given}) == message + f'set name = "{owner}" or leave it out {exist}'


def test_strangers_are_many():
    assert len(STRANGERS) == 2 + 3 + 1 + 4 + 4 + 1  # of muon and alpha; of the schedules; of the averages


def test_a_table_without_a_name_is_the_papers():
    found = study(training={"optimizer": {"learning_rate": 0.1, "alpha": 0.9}, "schedule": {"patience": 2}}).training
    assert (found.optimizer.name, found.optimizer.learning_rate, found.optimizer.alpha) == ("rmsprop", 0.1, 0.9)
    assert (found.schedule.name, found.schedule.patience) == ("plateau", 2)
    assert found.average.name == "off"
    assert "'decay' is an option of ema, not of off" in error_of(training={"average": {"decay": 0.5}})
    assert "'momentum' is an option of muon, not of rmsprop" in error_of(training={"optimizer": {"momentum": 0.5}})
    assert "'warmup' is an option of onecycle, not of plateau" in error_of(training={"schedule": {"warmup": 0.5}})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"name": "adam"},
            "training.optimizer: unknown name 'adam'; did you mean 'adamw'? (rmsprop, adamw, muon exist)",
        ),
        ({"name": 3}, "training.optimizer: unknown name '3' (rmsprop, adamw, muon exist)"),
        (
            {"name": "muon", "momentun": 1},
            "training.optimizer.momentun: unknown key 'momentun'; did you mean 'momentum'?"
            " (name, learning_rate, eps, weight_decay, other_learning_rate, momentum exist here)",
        ),
        ({"name": "muon", "momentum": 1}, "training.optimizer.momentum: Input should be less than 1 (got 1)"),
    ],
)
def test_a_wrong_optimiser_is_told_by_its_key(given, message):
    assert error_of(training={"optimizer": given}) == f"s.toml: {message}"


def test_the_schema_lets_the_paper_s_alone_be_unnamed():
    """Of the alternatives exactly one must hold, also for a table that names nothing."""
    schema = TrainingTable.model_json_schema()
    required = {
        name: schema["$defs"][name].get("required") for name in ("RMSprop", "AdamW", "Muon", "Plateau", "OneCycle")
    }
    assert required == {"RMSprop": None, "AdamW": ["name"], "Muon": ["name"], "Plateau": None, "OneCycle": ["name"]}
    assert len(schema["properties"]["optimizer"]["oneOf"]) == 3
    assert not any(schema["$defs"][name]["additionalProperties"] for name in required)


REFUSED = {
    "study.name": ["", "-a", "a/b", "../a", "a b"],
    "study.seeds": [[], [1, 1]],
    "study.modes": [[], ["transfer", "transfer"]],
    "backbone.stages": [[], [0], [0, 1], [4, 2]],
    "training.resolution": [31, 1025],
    "training.batch_size": [0],
    "training.epochs": [0],
    "training.iterations_per_epoch": [0],
    "training.early_stopping": [0, True, "many", 1.5],
    "training.min_improvement": [-0.1],
    "training.held_out": [0.0, 0.5],
    "training.threads": [0],
    "training.augmentation.scale": [[0.1, 1.0], [1.0, 10.0], [1.2, 1.1], [1.0]],
    "training.augmentation.rotation": [-1.0, 180.5],
    "training.augmentation.flip": [-0.1, 1.1],
    "training.augmentation.colour": [-0.1, 1.0],
    "training.augmentation.translation": [-0.1, 0.6],
    "training.optimizer.learning_rate": [0.0, math.inf, math.nan],
    "training.optimizer.name=muon.learning_rate": [0.0],
    "training.optimizer.name=muon.other_learning_rate": [0.0],
    "training.optimizer.name=muon.momentum": [-0.1, 1.0],
    "training.optimizer.name=muon.eps": [0.0],
    "training.optimizer.alpha": [-0.1, 1.0],
    "training.optimizer.eps": [0.0],
    "training.optimizer.weight_decay": [-0.1],
    "training.optimizer.name=adamw.weight_decay": [-0.1],
    "training.schedule.factor": [0.0, 1.0],
    "training.schedule.patience": [-1],
    "training.schedule.name=onecycle.warmup": [0.0, 1.0],
    "training.average.name=ema.decay": [0.0, 1.0],
    "evaluation.batch_size": [0],
    "evaluation.validation.people": [0],
}
TAKEN = {
    "study.name": ["a", "0.b-c_D"],
    "backbone.stages": [[2], [1, 1], [2, 4, 4]],
    "training.resolution": [32, 1024],
    "training.batch_size": [1],
    "training.epochs": [1],
    "training.iterations_per_epoch": [1],
    "training.early_stopping": [1, False],
    "training.min_improvement": [0.0],
    "training.held_out": [0.01, 0.49],
    "training.threads": [1],
    "training.augmentation.scale": [[0.2, 0.2], [0.11, 9.9]],
    "training.augmentation.rotation": [0.0, 180.0],
    "training.augmentation.flip": [0.0, 1.0],
    "training.augmentation.colour": [0.0, 0.99],
    "training.augmentation.translation": [0.0, 0.5],
    "training.optimizer.name=muon.momentum": [0.0, 0.99],
    "training.optimizer.alpha": [0.0],
    "training.optimizer.weight_decay": [0.0],
    "training.schedule.patience": [0],
    "evaluation.batch_size": [1],
    "evaluation.validation.people": [1],
}


def with_value(path, value):
    """Tables with this value; a part of the path ``name=adamw`` names what stands there."""
    base = {"evaluation": {"validation": {"name": "pck"}}} if "validation" in path else {}
    for part in reversed(path.split(".")):
        key, named, name = part.partition("=")
        value = {key: name, **value} if named else {part: value}
    return overlay(base, value)


def keys_of(path):
    return [part for part in path.split(".") if "=" not in part]


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in REFUSED.items() for value in values])
def test_a_value_out_of_bounds_is_refused_with_its_key(path, value):
    *tables, key = keys_of(path)
    assert re.match(rf"s\.toml: {re.escape('.'.join(tables))}(\.|: ){key}\b", error_of(**with_value(path, value)))


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in TAKEN.items() for value in values])
def test_a_value_at_the_bound_is_taken(path, value):
    found = study(**with_value(path, value))
    for part in keys_of(path):
        found = getattr(found, part)
    assert (list(found) if isinstance(found, tuple) else found) == value


def test_settings_that_were_read_cannot_be_changed():
    found = study(evaluation={"validation": {"name": "pck"}}, modes={"frozen": {"norm": "train"}})
    tables = [(found, "training"), (found.training, "epochs"), (found.training.optimizer, "eps"), (found.codec, "name")]
    for table, name in [*tables, (found.modes["frozen"], "strategy"), (found.study, "seeds")]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(table, name, 1)


def test_a_component_s_own_keys_are_kept_for_it():
    found = study(codec={"sigma": 2.0}, backbone={"stages": [1, 2], "channels": 32})
    assert found.codec.options == {"sigma": 2.0}
    assert found.backbone.options == {"channels": 32}


UNKNOWN = {
    "table": ({"trainig": {}}, "s.toml: trainig: unknown key 'trainig'; did you mean 'training'?"),
    "key": ({"training": {"epoch": 3}}, "s.toml: training.epoch: unknown key 'epoch'; did you mean 'epochs'?"),
    "deep": (
        {"training": {"optimizer": {"learning_rat": 1}}},
        "s.toml: training.optimizer.learning_rat: unknown key 'learning_rat'; did you mean 'learning_rate'?",
    ),
    "study": ({"study": {"seed": [1]}}, "s.toml: study.seed: unknown key 'seed'; did you mean 'seeds'?"),
}


@pytest.mark.parametrize(("tables", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_key_is_told_with_the_nearest_and_what_exists(tables, message):
    text = error_of(**tables)
    assert text.startswith(message)
    assert "exist here)" in text


WRONG = {
    "type": ({"training": {"epochs": "many"}}, "s.toml: training.epochs: ", "'many'"),
    "bool": ({"evaluation": {"flip_test": "maybe"}}, "s.toml: evaluation.flip_test: ", "'maybe'"),
    "range": ({"training": {"batch_size": 0}}, "s.toml: training.batch_size: ", "(got 0)"),
    "list": ({"study": {"seeds": [1, "x"]}}, "s.toml: study.seeds.1: ", "'x'"),
    "choice": ({"training": {"precision": "fp8"}}, "s.toml: training.precision: ", "'bf16'"),
    "name": ({"study": {"name": "../up"}}, "s.toml: study.name: ", "'../up'"),
    "twice": ({"study": {"modes": ["frozen", "frozen"]}}, "s.toml: study.modes: ", "names one entry twice"),
    "not a table": ({"training": 3}, "s.toml: training: ", "(got 3)"),
    "infinite": ({"training": {"optimizer": {"eps": float("inf")}}}, "s.toml: training.optimizer.eps: ", "finite"),
    "source too large": ({"backbone": {"stages": [4, 2]}}, "s.toml: backbone", "let the numbers grow, as in [2, 4]"),
    "no stages": ({"backbone": {"stages": []}}, "s.toml: backbone.stages: ", "at least 1"),
    "scales": ({"training": {"augmentation": {"scale": [2, 1]}}}, "s.toml: training.augmentation", "low <= high"),
    "baseline": ({"study": {"baseline": "randm"}}, "s.toml: study.baseline: ", "did you mean 'random'?"),
    "baseline of bad modes": ({"study": {"modes": [], "baseline": "randm"}}, "s.toml: study.modes: ", "at least 1"),
    "unused mode": ({"modes": {"frozn": {}}}, "s.toml: [modes.frozn] is not in", "did you mean 'frozen'?"),
}


@pytest.mark.parametrize(("tables", "start", "part"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_told_with_its_key(tables, start, part):
    text = error_of(**tables)
    assert text.startswith(start)
    assert part in text


@pytest.mark.parametrize("table", PLAIN)
def test_a_missing_table_is_told(table):
    with pytest.raises(KpError, match=rf"s\.toml: {table}: missing; add the (key|table) '?\[?{table}"):
        validate(StudyConfig, {key: value for key, value in PLAIN.items() if key != table}, where="s.toml")


def test_a_table_without_a_name_is_told():
    with pytest.raises(KpError, match=r"s\.toml: codec\.name: missing"):
        validate(StudyConfig, {**PLAIN, "codec": {}}, where="s.toml")


def test_toml_that_is_none_is_told_with_line_and_column(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("[study]\nname = 'x'\nseeds = [1,,2]\n")
    with pytest.raises(KpError, match=r"s\.toml:3:\d+: not valid TOML: .*; mend this line"):
        read_toml(path)


def test_a_file_that_is_not_there_is_told_with_the_nearest(tmp_path):
    (tmp_path / "study.toml").write_text("")
    with pytest.raises(KpError, match=r"stduy\.toml: no such study file; did you mean 'study\.toml'"):
        read_toml(tmp_path / "stduy.toml")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x89PNG"])
def test_a_file_that_is_no_text_is_told(tmp_path, content):
    path = tmp_path / "s.toml"
    path.write_bytes(content)
    with pytest.raises(KpError, match=r"s\.toml: cannot be read as a study file"):
        read_toml(path)
    with pytest.raises(KpError, match="cannot be read as a study file"):
        read_toml(tmp_path)


DOCUMENT = tomllib.loads(
    dedent("""
    [training]
    epochs = 100
    [training.schedule]
    name = "plateau"
    patience = 3
    [codec]
    name = "heatmap"
    sigma = 2.0
    [profiles.quick]
    training.epochs = 2
    codec = { name = "other" }
    """)
)


def test_a_profile_lies_over_the_plain_file_and_set_over_both():
    plain = assemble(DOCUMENT, profile=None, sets=[], where="s")
    assert plain == {key: value for key, value in DOCUMENT.items() if key != "profiles"}
    quick = assemble(DOCUMENT, profile="quick", sets=["training.epochs=5"], where="s")
    assert quick["training"]["epochs"] == 5
    assert quick["training"]["schedule"]["patience"] == 3


def test_a_table_whose_name_changes_forgets_the_other_s_options():
    assert assemble(DOCUMENT, profile="quick", sets=[], where="s")["codec"] == {"name": "other"}
    same = assemble(DOCUMENT, profile=None, sets=["codec.name=heatmap"], where="s")
    assert same["codec"] == {"name": "heatmap", "sigma": 2.0}


OPTIMISERS = {
    "another": ({"name": "adamw", "eps": 1e-5}, {"name": "muon", "momentum": 0.9}, {"name": "muon", "momentum": 0.9}),
    "the same": (
        {"name": "muon", "eps": 1e-5},
        {"name": "muon", "momentum": 0.9},
        {"name": "muon", "eps": 1e-5, "momentum": 0.9},
    ),
    "no name above": ({"name": "muon", "eps": 1e-5}, {"momentum": 0.9}, {"name": "muon", "eps": 1e-5, "momentum": 0.9}),
    "no name below": (
        {"alpha": 0.9, "eps": 1e-5},
        {"name": "muon", "momentum": 0.9},
        {"name": "muon", "momentum": 0.9},
    ),
    "the default named": (
        {"alpha": 0.9},
        {"name": "rmsprop", "eps": 1e-5},
        {"name": "rmsprop", "alpha": 0.9, "eps": 1e-5},
    ),
    "no names": ({"alpha": 0.9}, {"eps": 1e-5}, {"alpha": 0.9, "eps": 1e-5}),
}


@pytest.mark.parametrize(("base", "top", "expected"), OPTIMISERS.values(), ids=OPTIMISERS)
def test_an_optimiser_over_another_starts_anew(base, top, expected):
    document = {"training": {"optimizer": base}, "profiles": {"p": {"training": {"optimizer": top}}}}
    assert assemble(document, profile="p", sets=[], where="s") == {"training": {"optimizer": expected}}
    sets = [f"training.optimizer.{key}={value}" for key, value in top.items()]
    for order in (sets, sets[::-1]):  # an option that is set before the name must not be lost
        assert assemble(document, profile=None, sets=order, where="s") == {"training": {"optimizer": expected}}


def test_a_schedule_over_an_unnamed_one_starts_anew():
    base = {"training": {"schedule": {"patience": 3}}}
    assert assemble(base, profile=None, sets=["training.schedule.name=constant"], where="s") == {
        "training": {"schedule": {"name": "constant"}}
    }
    elsewhere = {"codec": {"schedule": {"patience": 3}}}  # a component's own table of that name is none of these
    assert overlay(elsewhere, {"codec": {"schedule": {"name": "x"}}}) == {
        "codec": {"schedule": {"patience": 3, "name": "x"}}
    }


def test_merged_tables_keep_the_keys_of_both():
    assert merge({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "d": {"e": 5}}) == {
        "a": {"b": 1, "c": 4},
        "d": {"e": 5},
    }


def test_a_profile_of_a_file_without_profiles_is_told():
    with pytest.raises(KpError, match=r"s\.toml: unknown profile 'small'"):
        assemble({"study": {}}, profile="small", sets=(), where="s.toml")
    assert assemble({"study": {"name": "x"}}, profile=None, sets=(), where="s.toml") == {"study": {"name": "x"}}


def test_an_unknown_profile_is_told():
    with pytest.raises(KpError, match=r"s: unknown profile 'quik'; did you mean 'quick'\? \(quick exists\)"):
        assemble(DOCUMENT, profile="quik", sets=[], where="s")


SETS = {
    "a.b=3": {"a": {"b": 3}},
    "a=1.5": {"a": 1.5},
    "a=true": {"a": True},
    "a=[1, 2]": {"a": [1, 2]},
    "a='3'": {"a": "3"},
    "a=plain words": {"a": "plain words"},
    "a=/data/mpii": {"a": "/data/mpii"},
    "a=x=y": {"a": "x=y"},
    "a=": {"a": ""},
    " a . b = 3": {"a": {"b": 3}},
    "a=1\nb=2": {"a": "1\nb=2"},
}


@pytest.mark.parametrize(("text", "value"), SETS.items(), ids=[repr(text) for text in SETS])
def test_set_reads_toml_or_plain_text(text, value):
    assert parse_set(text) == value


@pytest.mark.parametrize("text", ["epochs", "=3", "a..b=1", "", ".a=1"])
def test_a_wrong_set_is_told(text):
    with pytest.raises(KpError, match=r"--set .*: write it as key\.key=value"):
        parse_set(text)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(texts, values, max_size=5))
def test_what_is_written_as_toml_reads_back(table):
    assert tomllib.loads(to_toml(table)) == table


def test_toml_looks_like_a_study_file():
    table = {"study": {"name": "x", "seeds": [0, 1]}, "absent": None, "a": {"b": {"c": 1e-8, "none": None}}}
    assert to_toml(table) == '[study]\nname = "x"\nseeds = [\n    0,\n    1,\n]\n\n[a.b]\nc = 1e-08\n'
    assert to_toml({"a": [{"b": None, "c": 1}]}) == "a = [\n    { c = 1 },\n]\n"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_read_back_as_they_are_printed(path):
    config = validate(StudyConfig, assemble(read_toml(path), profile=None, sets=[], where=path.name), where=path.name)
    again = tomllib.loads(to_toml(config.model_dump(mode="json")))
    assert validate(StudyConfig, again, where="printed") == config


def test_a_profile_that_renames_the_study_keeps_its_other_keys():
    base = {"study": {"name": "one", "modes": ["random"]}, "codec": {"name": "a", "sigma": 2}}
    top = {"study": {"name": "two"}, "codec": {"name": "b"}}
    assert overlay(base, top) == {"study": {"name": "two", "modes": ["random"]}, "codec": {"name": "b"}}


RENAMED = {
    "backbone": {"name": "other"},
    "dataset": {"name": "other"},
    "datasets": {"x": {"name": "other"}},
    "evaluation": {"validation": {"name": "other"}},
    "codec": {"name": "other"},
    "modes": {"fast": {"strategy": "other"}},
}
FULL = {
    "backbone": {"name": "a", "stages": [1, 2], "depth": 4},
    "dataset": {"name": "a", "when_missing": "sample", "aliases": {"p": "q"}, "generate": {"name": "g"}, "root": "/r"},
    "datasets": {"x": {"name": "a", "aliases": {"p": "q"}, "root": "/r"}},
    "evaluation": {"validation": {"name": "a", "people": 5, "flip_test": True, "threshold": 0.5}, "batch_size": 3},
    "codec": {"name": "a", "sigma": 2.0},
    "modes": {"fast": {"strategy": "a", "alpha": 0.1}},
}


@pytest.mark.parametrize("table", RENAMED)
def test_another_component_keeps_the_core_s_keys_and_says_what_it_drops(table):
    lost = {
        "backbone": ["backbone.depth"],
        "dataset": ["dataset.root"],
        "datasets": ["datasets.x.root"],
        "evaluation": ["evaluation.validation.threshold"],
        "codec": ["codec.sigma"],
        "modes": ["modes.fast.alpha"],
    }[table]
    top = {table: RENAMED[table]}
    assert dropped(FULL, top) == lost
    found = overlay(FULL, top)
    for path in lost:
        *tables, key = path.split(".")
        here, before = found, FULL
        for one in tables:
            here, before = here[one], before[one]
        name = "strategy" if table == "modes" else "name"
        assert here == {**{other: value for other, value in before.items() if other != key}, name: "other"}
    assert {other: value for other, value in found.items() if other != table} == {
        other: value for other, value in FULL.items() if other != table
    }


def test_what_keeps_its_name_drops_nothing():
    assert dropped(FULL, {"backbone": {"name": "a", "depth": 2}, "codec": {"sigma": 1}, "split": {"name": "x"}}) == []
    assert dropped({"modes": {"fast": {"alpha": 1}}}, {"modes": {"fast": {"strategy": "fast"}}}) == []
    assert dropped({"modes": {"fast": {"alpha": 1}}}, {"modes": {"fast": {"strategy": "slow"}}}) == ["modes.fast.alpha"]


def test_set_says_what_it_drops_whatever_the_order_of_its_assignments():
    sets = ["backbone.width=3", "backbone.name=other", "codec.name=a"]
    for order in (sets, sets[::-1]):
        said = []
        found = assemble(FULL, profile=None, sets=order, where="s", notice=said.append)
        assert found["backbone"] == {"name": "other", "stages": [1, 2], "width": 3}
        assert said == ["--set names another component; options of the one before are dropped: backbone.depth"]


def test_options_without_a_study_file_may_name_their_table():
    assert parse_options(["root=/a", "dataset.list=x", "dataset.root=/b"], "dataset") == {"root": "/b", "list": "x"}
    assert parse_options([], "metric") == {}
    with pytest.raises(KpError, match=r"--set dataset=3: write it as dataset\.key=value"):
        parse_options(["dataset=3"], "dataset")


@pytest.mark.parametrize(
    ("labels", "wrong"),
    [
        ([0.0], "0.0"),
        ([0.5, 1.5], "1.5"),
        ([float("nan")], "nan"),
        (["a"], "'a'"),
        ([True], "True"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_a_share_of_the_labels_says_what_it_may_be(labels, wrong):
    with pytest.raises(KpError) as error:
        validate(StudyConfig, {"study": {"labels": labels}}, where="study.toml")
    assert str(error.value).startswith(
        f"study.toml: study.labels: {wrong} is no share of the labels: give a list of numbers above 0 and up to 1,"
        " as [0.1, 0.25, 1.0]"
    )
