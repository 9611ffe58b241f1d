"""When published figures stand beside a study's: where its settings and people are theirs, whatever it calls itself."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import tomli_w
from kp_kptransfer.paper import PEOPLE, SETTINGS, PaperSplits
from kp_mpii.skeleton import MPII

from kpcore.config import read_toml
from kpcore.keypoints import KeypointSplit
from kpcore.records.results import SplitInfo
from kpcore.registry import registry
from kpcore.study.comparison import not_compared, resolved
from kpcore.study.opening import preset_name, resolve
from kpcore.study.runner import recorded
from kpcore.study.study import Mode

EXAMPLE = Path(__file__).parent.parent / "examples" / "mpii_hourglass.toml"
(SPLIT,) = PaperSplits(splits=["a"]).splits(MPII, {})
IRRELEVANT = {"training.threads", "training.compile", "training.held_out"}


def opened(*sets, file=EXAMPLE, profile=None, people=None, list_name="newell", sample=False):
    """A study as far as it is compared: settings and recipes are real, its people are only counted."""
    known, config = registry(), resolve(file, profile, sets)
    counts = people or PEOPLE.get(list_name, {})
    watch = config.evaluation.watch
    tables = {"backbone": config.backbone, "codec": config.codec, "validation": watch.metric}
    recipes = {
        kind: known.recipe("metric" if kind == "validation" else kind, table.name, table.options, where=kind)
        for kind, table in tables.items()
    }
    modes = []
    for name in config.study.modes:
        table = config.modes.get(name)
        made = known.make("strategy", (table and table.strategy) or name, table.options if table else {}, where=name)
        modes.append(Mode(name, made.component, made.recipe))
    return SimpleNamespace(
        known=known, file=str(file), config=config, watch=watch, recipes=recipes, modes=modes, sample=sample,
        preset=preset_name(config, profile, sets),
        scored=SimpleNamespace(list_name=list_name, people=counts.__getitem__),
    )  # fmt: skip


def why(*sets, **about):
    return not_compared(opened(*sets, **about), SPLIT)


@pytest.mark.parametrize("list_name", ["newell", "hrnet"])
def test_the_papers_settings_on_a_whole_list_are_compared(list_name):
    assert why(list_name=list_name) == ""
    assert why("study.preset=mine", "study.seeds=[0, 1]", "study.modes=['random']", "dataset.root=x") == ""
    assert why("training.threads=4", "evaluation.batch_size=8", "training.compile=blocks") == ""


def test_the_papers_settings_are_those_of_the_example_and_none_that_matters_is_left_out():
    found = resolved(opened())
    assert {key: found[key] for key in SETTINGS} == SETTINGS
    assert set(found) - set(SETTINGS) == IRRELEVANT


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("training.iterations_per_epoch=20", "training.iterations_per_epoch = 20 (published: 8000)"),
        ("backbone.channels=64", "backbone.channels = 64 (published: 256)"),
        ("codec.subpixel=false", "codec.subpixel = false (published: true)"),
        ('training.optimizer.name="adamw"', "training.optimizer.name = adamw (published: rmsprop)"),
        ("evaluation.validation.people=10", "evaluation.validation.people = 10 (published: 1000)"),
        ('modes.frozen.norm="train"', "modes.frozen.norm = train (published: eval)"),
        ('modes.transfer.strategy="random"', "modes.transfer.strategy = random (published: transfer)"),
        ('dataset.aliases={thorax="chest"}', "dataset.aliases = {'thorax': 'chest'} (published: {})"),
    ],
)
def test_any_setting_that_matters_stops_it_and_is_named(setting, said):
    assert said in why(setting)
    assert said in why(setting, 'study.preset="paper"')


def test_many_settings_are_counted():
    text = why(profile="small")
    assert text.count("(published: ") == 2
    assert text.endswith("more settings")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (
            {"people": {"train": 25924, "valid": 2958}},
            "25,924 train and 2,958 valid of list newell (published: newell's 25,925 and",
        ),
        ({"people": {"train": 25925, "valid": 128}}, "25,925 train and 128 valid of list newell"),
        ({"people": PEOPLE["newell"], "list_name": "hrnet"}, "25,925 train and 2,958 valid of list hrnet"),
        ({"people": PEOPLE["newell"], "list_name": ""}, "25,925 train and 2,958 valid of no list"),
        ({"sample": True}, "sample data"),
    ],
)
def test_other_people_stop_it(about, said):
    assert why(**about).startswith(said)


def test_a_rule_that_states_no_conditions_is_not_compared():
    bare = KeypointSplit("a", SPLIT.steps, reference={"random": {"average": 1.0}})
    assert "does not say" in not_compared(opened(), bare)
    assert not_compared(opened(), KeypointSplit("a", SPLIT.steps)) == ""


def test_results_carry_the_reason_and_old_files_have_one():
    info = SplitInfo.of(SPLIT, not_compared="sample data")
    assert info.not_compared == "sample data"
    old = info.model_dump(mode="json")
    del old["not_compared"]
    assert SplitInfo.model_validate(old).not_compared != ""


@pytest.mark.parametrize(
    ("profile", "sets", "preset"),
    [
        (None, ["training.epochs=1"], "paper, changed: training.epochs"),
        ("small", [], "small"),
        ("small", ["backbone.channels=8"], "small, changed: backbone.channels"),
        (None, ["dataset.root=x"], "paper"),
    ],
)
def test_the_resolved_file_knows_what_was_run_and_claims_nothing_new(tmp_path, profile, sets, preset):
    first = opened(*sets, profile=profile)
    file = tmp_path / "study.toml"
    file.write_text(tomli_w.dumps(recorded(first)))
    again = opened(file=file)
    assert first.preset == again.preset == read_toml(file)["study"]["preset"] == preset
    assert not_compared(again, SPLIT) == not_compared(first, SPLIT)
    assert resolved(again) == resolved(first)


def test_what_is_changed_again_is_added_once(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(tomli_w.dumps(recorded(opened("training.epochs=1", "codec.sigma=2"))))
    more = opened("training.epochs=2", "backbone.channels=8", file=file)
    assert more.preset == "paper, changed: training.epochs, codec.sigma, backbone.channels"
