"""What a job's key holds: a test walks every settings model, so that a new setting cannot be forgotten.

Each field, given another value, must change the keys of the jobs that it reaches; or it is named in HARMLESS with the
reason why no stored result depends on it.
"""

import json
import types
from dataclasses import replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import torch
from pydantic import BaseModel, ValidationError

from kpcore.cache import content_key
from kpcore.config import ComponentTable, ModeTable, StudyConfig
from kpcore.errors import KpError
from kpcore.keypoints import Column
from kpcore.plans import Layout
from kpcore.registry import registry
from kpcore.study import jobs
from kpcore.study.data import generate
from kpcore.study.jobs import plan_jobs
from kpcore.study.opening import open_study
from kpcore.study.study import Study
from kpcore.training.device import Device, choose_device

CPU = Device(torch.device("cpu"), "fp32", 1)

HARMLESS = {
    "study.name": "names the folder of the results",
    "study.preset": "what results call the settings",
    "study.modes": "says which jobs there are; the others stay what they are",
    "dataset.when_missing": "what is done where there is no data; the data that is then read is in the key",
    "evaluation.metric.name": "final scores are computed from stored predictions, whenever they are asked for",
}
"""Path of a field -> why a job's stored files cannot depend on it."""

ELSEWHERE = {
    "dataset.name": "the samples are in the key: test_the_samples_of_both_parts_are_in_the_key",
    "dataset.aliases": "the names are in the key: test_aliases_reach_the_key_through_the_names",
    "dataset.generate": "the samples are in the key: test_a_generators_options_and_version_name_its_folder",
    "datasets": "tests/test_across.py",
    "split.name": "the sets are in the key: test_another_split_is_another_job",
    "backbone.name": "test_the_component_itself_is_in_the_key",
    "codec.name": "test_the_component_itself_is_in_the_key",
    "evaluation.validation.name": "test_the_component_itself_is_in_the_key",
    "modes": "test_the_strategy_of_a_mode_is_in_the_key_and_its_name_is_not",
}
"""Path of a field -> how it reaches the key, and what tests that; its value alone cannot be exchanged here."""

TARGETS_ONLY = {"backbone.stages"}
"""Fields of which the source job reads a part only; changed here where it reads none of it."""

OTHER = {
    "training.resolution": 40,  # the hourglass takes multiples of 8
    "training.compile": "blocks",
    "training.augmentation.scale": [0.8, 1.2],
    "backbone.stages": [1, 3],
    "study.seeds": [7],
}
"""Values where the next best one would not do."""


@pytest.fixture
def opened(tmp_path, tiny_study, tiny_mpii):
    """(settings to change) -> the tiny study, opened."""
    file = tmp_path / "study.toml"
    file.write_text(tiny_study)

    def open_with(**sets: Any) -> Study:
        assignments = [f"{path}={json.dumps(value)}" for path, value in sets.items()]
        always = [f"dataset.root={tiny_mpii}", *([] if "split.name" in sets else ['split.splits=["d"]'])]
        return open_study(registry(), file, None, [*always, *assignments], notice=lambda _: None)

    return open_with


def planned(study: Study) -> dict[str, str]:
    """Name of a job -> its key."""
    training = study.config.training
    device = choose_device("cpu", training.precision, training.threads)
    return {job.name: job.key for job in plan_jobs(study, device).jobs}


def fields(model: type[BaseModel], path: str = "") -> dict[str, Any]:
    """Path -> field, of a model and of the models in it."""
    found = {}
    for name, field in model.model_fields.items():
        inner = [one for one in alternatives(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        if inner and f"{path}{name}" not in ELSEWHERE:
            found |= fields(inner[0], f"{path}{name}.")
        else:
            found[f"{path}{name}"] = field
    return found


def alternatives(annotation: Any) -> list[Any]:
    """The members of a union; the annotation itself where it is none."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [one for member in get_args(annotation) for one in alternatives(member)]
    return [annotation]


def candidates(annotation: Any, value: Any) -> list[Any]:
    """Values that might be another valid one, the likeliest first."""
    literals = [one for kind in alternatives(annotation) if get_origin(kind) is Literal for one in get_args(kind)]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value / 2, value * 2, value + 0.01, *literals]
    return [*literals, 3, 64, 0.5, "other", ["other"], {"other": 0.5}, {"other": "one"}]


def another(model: type[BaseModel], name: str, given: dict[str, Any]) -> Any:
    """A valid value of a field that is not the one it has."""
    now = model.model_validate(given).model_dump(mode="json")[name]
    for value in candidates(model.model_fields[name].annotation, now):
        try:
            new = model.model_validate(given | {name: value}).model_dump(mode="json")[name]
        except ValidationError:
            continue
        if new != now:
            return new
    raise AssertionError(f"no other value is known for {model.__qualname__}.{name}; give one in OTHER")


def test_every_setting_changes_the_key_or_is_known_to_be_harmless(opened):
    plain = opened(**{"study.modes": ["transfer"]})
    before = planned(plain)
    resolved = plain.config.model_dump(mode="json")
    left_over = {*HARMLESS, *ELSEWHERE}
    for path, field in fields(StudyConfig).items():
        if path in HARMLESS or path in ELSEWHERE:
            left_over.discard(path)
            continue
        table = resolved
        for part in path.split(".")[:-1]:
            table = table[part]
        value = OTHER.get(path) or next(
            one for one in candidates(field.annotation, table[path.rpartition(".")[2]]) if accepted(opened, path, one)
        )
        after = planned(opened(**{"study.modes": ["transfer"], path: value}))
        if path == "study.seeds":  # the names of the jobs change too
            assert not set(before.values()) & set(after.values())
            continue
        assert before.keys() == after.keys()
        same = {name for name in before if before[name] == after[name]}
        assert same == ({"d-source-0"} if path in TARGETS_ONLY else set()), path
    assert not left_over, "these are no fields any more"


def accepted(opened, path: str, value: Any) -> bool:
    """Whether a study takes this value, and it is another."""
    try:
        study = opened(**{path: value})
    except KpError:
        return False
    return study.config != opened().config


def test_harmless_settings_are(opened):
    before = planned(opened())
    for path, value in {
        "study.name": "other",
        "study.preset": "paper",
        "dataset.when_missing": "sample",
        "evaluation.metric.threshold": 0.1,
        "codec.decode": "quarter",  # the default, spelt out
    }.items():
        assert planned(opened(**{path: value})) == before, path
    fewer = planned(opened(**{"study.modes": ["random"]}))
    assert fewer == {name: before[name] for name in fewer}


GIVEN = {"nme": {"normaliser": "box"}, "explicit": {"sets": {}}}
"""Options that have no default."""


def every_option() -> list[Any]:
    """Each option of each installed component whose options make a recipe."""
    known = registry()
    return [
        pytest.param(kind, name, option, id=f"{kind} {name}.{option}")
        for kind in ("backbone", "codec", "metric", "strategy")
        for name in known.names(kind)
        for option in known.component(kind, name).Config.model_fields
    ]


@pytest.mark.parametrize(("kind", "name", "option"), every_option())
def test_every_option_of_a_component_is_in_its_recipe(kind, name, option):
    given = GIVEN.get(name, {})
    known = registry()
    value = another(known.component(kind, name).Config, option, given)
    asked = ({**given}, {**given, option: value})
    records = [known.recipe(kind, name, options, where="test").record() for options in asked]
    assert content_key(records[0]) != content_key(records[1])


@pytest.mark.parametrize("kind", ["backbone", "codec", "validation"])
@pytest.mark.parametrize("part", ["name", "options", "plugin", "version", "code"])
def test_the_component_itself_is_in_the_key(opened, kind, part):
    study = opened()
    before = planned(study)
    changed = replace(study.recipes[kind], **{part: {"other": 1} if part == "options" else "other"})
    after = planned(replace(study, recipes={**study.recipes, kind: changed}))
    assert not set(before.values()) & set(after.values())


@pytest.mark.parametrize("part", ["name", "options", "plugin", "version", "code"])
def test_the_strategy_of_a_mode_is_in_the_key_and_its_name_is_not(opened, part):
    study = opened()
    before = planned(study)
    mode = study.modes[0]
    changed = replace(mode.recipe, **{part: {"other": 1} if part == "options" else "other"})
    after = planned(replace(study, modes=(replace(mode, recipe=changed), *study.modes[1:])))
    assert {name for name in before if before[name] != after[name]} == {"d-transfer-0"}
    named = planned(replace(study, modes=(replace(mode, name="mine"), *study.modes[1:])))
    assert named["d-mine-0"] == before["d-transfer-0"]


def test_what_a_mode_table_sets_is_an_option_of_its_strategy():
    assert ModeTable(strategy="frozen", norm="train").options == {"norm": "train"}
    assert ComponentTable(name="heatmap", sigma=2.0).options == {"sigma": 2.0}


class Fingerprints:
    """A data set whose parts have these fingerprints."""

    def __init__(self, dataset, **fingerprints):
        self._dataset, self._fingerprints = dataset, fingerprints

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def fingerprint(self, part):
        return self._fingerprints.get(part, self._dataset.fingerprint(part))


@pytest.mark.parametrize("part", ["train", "valid"])
def test_the_samples_of_both_parts_are_in_the_key(opened, part):
    study = opened()
    before = planned(study)
    data = replace(study.data[""], dataset=Fingerprints(study.data[""].dataset, **{part: "other"}))
    assert not set(before.values()) & set(planned(replace(study, data={"": data})).values())


def test_the_order_of_a_skeletons_names_is_in_the_key(opened):
    """A set of keypoints is trained in its own order, but its columns are found by the skeleton's."""
    study = opened()
    dataset = Fingerprints(study.data[""].dataset)
    dataset.skeleton = replace(dataset.skeleton, keypoints=dataset.skeleton.keypoints[::-1])
    after = planned(replace(study, data={"": replace(study.data[""], dataset=dataset)}))
    assert not set(planned(study).values()) & set(after.values())


def test_who_is_left_out_of_training_is_in_the_key(opened):
    study = opened()
    data = replace(study.data[""], left_out=(3,))
    assert not set(planned(study).values()) & set(planned(replace(study, data={"": data})).values())


def test_aliases_reach_the_key_through_the_names(opened):
    sets = {"split.name": "explicit", "split.sets.x.steps": [["knee", "ankle"], ["hip"]]}
    before, after = (planned(opened(**sets, **more)) for more in ({}, {"dataset.aliases.pelvis": "middle"}))
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


def test_another_split_is_another_job(opened):
    keys = [planned(opened(**{"split.splits": [name]})) for name in ("a", "b", "d", "d_fig2")]
    every = [key for one in keys for key in one.values()]
    assert len(set(every)) == len(every)


def test_columns_are_in_the_key_of_what_is_validated_by_them(opened):
    """The epoch that is kept is chosen by the average over the columns."""
    study = opened()
    split = study.splits[0]
    first, *others = split.columns
    for columns in (
        (replace(first, in_average=False), *others),
        (replace(first, name="other"), *others),
        (Column(first.name, others[0].keypoints), *others),
        tuple(others),
    ):
        after = planned(replace(study, splits=(replace(split, columns=columns),)))
        before = planned(study)
        assert {name for name in before if before[name] == after[name]} == {"d-source-0"}


def test_the_heads_and_stages_of_a_layout_are_in_the_key(opened):
    study = opened(**{"study.modes": ["random"]})
    (job,) = plan_jobs(study, CPU).jobs
    heads = job.layout.heads
    plain = jobs.job_settings(job, (1, 2))
    for changed in (
        replace(job, layout=replace(job.layout, heads=heads[:1])),
        replace(job, layout=replace(job.layout, heads=(heads[0], heads[0].skeleton.all()))),
        replace(job, seed=1),
        replace(job, mode=None),
        replace(job, sources=(replace(job, key="other"),)),
    ):
        assert content_key(jobs.job_settings(changed, (1, 2))) != content_key(plain)
    assert content_key(jobs.job_settings(job, (2, 2))) != content_key(plain)
    assert content_key(jobs.job_settings(job, (1, 2, 9))) == content_key(plain)  # a later step's are not its own


def test_a_source_job_is_in_the_key_of_what_starts_from_it(opened):
    """Not by what it was asked for, but by its own key: whatever changes it changes what comes after."""
    before = planned(opened())
    more = planned(opened(**{"backbone.stages": [2, 3]}))
    assert before["d-source-0"] != more["d-source-0"]
    for job in plan_jobs(opened(), CPU).jobs:
        assert job.settings["sources"] == [source.key for source in job.sources]
        assert len(job.sources) == (0 if job.name in ("d-source-0", "d-random-0") else 1)


def test_pretrained_weights_are_in_the_key(opened, monkeypatch):
    study = opened()
    before = planned(study)
    state = {"stem.weight": torch.ones(2)}
    keys = [before["d-random-0"]]
    for tensor in (torch.ones(2), torch.zeros(2)):
        monkeypatch.setattr(type(study.backbone), "pretrained", lambda self, t=tensor: {**state, "stem.weight": t})
        keys.append(planned(study)["d-random-0"])
    assert len(set(keys)) == 3


@pytest.mark.parametrize("library", ["torch", "opencv"])
def test_versions_of_what_computes_are_in_the_key(opened, monkeypatch, library):
    study = opened()
    before = planned(study)
    versions = jobs.versions()
    assert versions[library]
    monkeypatch.setattr(jobs, "versions", lambda: {**versions, library: "other"})
    assert not set(before.values()) & set(planned(study).values())


def test_the_format_is_in_the_key(opened, monkeypatch):
    study = opened()
    before = planned(study)
    monkeypatch.setattr(jobs, "FORMAT", "other")
    assert not set(before.values()) & set(planned(study).values())


@pytest.mark.parametrize("other", [Device(torch.device("meta"), "fp32", 1), replace(CPU, precision="bf16"),
                                   replace(CPU, threads=2)])  # fmt: skip
def test_what_a_network_is_computed_on_is_in_the_key(opened, other):
    study = opened()
    keys = [{job.key for job in plan_jobs(study, device).jobs} for device in (CPU, other)]
    assert not keys[0] & keys[1]


def test_without_a_validation_metric_the_final_one_is_read_after_every_epoch_and_is_in_the_key(opened):
    study = opened()
    evaluation = study.config.evaluation.model_copy(update={"validation": None})
    plain = replace(study, config=study.config.model_copy(update={"evaluation": evaluation}))
    settings = plan_jobs(plain, CPU).jobs[0].settings["validation"]
    assert (settings["people"], settings["flip_test"]) == (None, True)
    settings = plan_jobs(study, CPU).jobs[0].settings["validation"]
    assert (settings["people"], settings["flip_test"]) == (5, False)


def test_a_generators_options_and_version_name_its_folder(tmp_path, monkeypatch):
    known = registry()
    monkeypatch.setattr(known.component("generator", "mice"), "write", lambda self, folder, progress: None)
    quiet = lambda _: None  # noqa: E731

    def folder(**options: Any) -> Any:
        return generate(ComponentTable(name="mice", **options), known, "test", quiet)

    first = folder(frames=6)
    assert folder(frames=6) == first
    assert folder(frames=7) != first
    monkeypatch.setattr(known.component("generator", "mice"), "version", "other")
    assert folder(frames=6) != first


def test_what_a_key_is_made_of_is_named_and_is_json(opened):
    """job.json shows it to people: names must tell, and what is read back must be what was hashed."""
    settings = plan_jobs(opened(), CPU).jobs[0].settings
    assert set(settings) == {
        "format", "backbone", "pretrained", "codec", "training", "validation", "evaluation", "numerics", "versions",
        "data", "heads", "keypoints", "columns", "stages", "strategy", "seed", "sources",
    }  # fmt: skip
    assert set(settings["data"][0]) == {"train", "valid", "skeleton", "left_out"}
    assert set(settings["validation"]) == {"name", "options", "plugin", "version", "code", "people", "flip_test"}
    assert set(settings["evaluation"]) == {"flip_test", "batch_size"}
    assert settings["numerics"] == {"device": "cpu", "precision": "fp32", "threads": 1}
    assert json.loads(json.dumps(settings)) == settings
    assert content_key(json.loads(json.dumps(settings))) == content_key(settings)
    assert settings["strategy"] is None
    assert plan_jobs(opened(), CPU).rows[0].job.settings["strategy"]["name"] == "transfer"


CHAIN = {
    "split.name": "explicit",
    "split.sets.x.steps": [["knee", "ankle"], ["hip"], ["wrist"]],
    "backbone.stages": [1, 2, 3],
    "study.seeds": [4],
}


def test_a_chain_is_one_job_a_step_of_which_only_the_first_has_no_mode(opened):
    plan = plan_jobs(opened(**{**CHAIN, "study.modes": ["transfer", "frozen", "random"]}), CPU)
    found = {job.name: job for job in plan.jobs}
    assert list(found) == [
        "x-source-4", "x-transfer-step1-4", "x-transfer-4", "x-frozen-step1-4", "x-frozen-4", "x-random-4",
    ]  # fmt: skip
    for mode in ("transfer", "frozen"):
        last = found[f"x-{mode}-4"]
        (middle,) = last.sources
        assert (middle.name, middle.step, middle.mode.name) == (f"x-{mode}-step1-4", 1, mode)
        (first,) = middle.sources
        assert (first, first.step, first.mode) == (found["x-source-4"], 0, None)
        assert [len(job.layout.heads) for job in (first, middle, last)] == [1, 2, 3]
        assert [job.final for job in (first, middle, last)] == [False, False, True]
        assert {job.seed for job in (first, middle, last)} == {4}
    assert found["x-random-4"].sources == ()
    assert plan.shared == 1  # one source for two modes
    assert [row.job.name for row in plan.rows] == ["x-transfer-4", "x-frozen-4", "x-random-4"]


def test_a_strategy_is_asked_about_the_split_and_step_at_hand(opened, monkeypatch):
    study = opened(**{"study.modes": ["transfer"]})
    asked = []
    kind = type(study.modes[0].strategy)
    needs, layout = kind.needs, kind.layout
    monkeypatch.setattr(kind, "needs", lambda self, *given: asked.append(given) or needs(self, *given))
    monkeypatch.setattr(kind, "layout", lambda self, *given: asked.append(given) or layout(self, *given))
    plan_jobs(study, CPU)
    assert asked == [(study.splits[0], 1), (study.splits[0], 1, [1, 2])]


def test_a_head_that_loses_what_is_scored_or_half_a_pair_is_told_with_the_jobs_name(opened, monkeypatch):
    study = opened(**{"study.modes": ["random"]})
    kind, target = type(study.modes[0].strategy), study.splits[0].target
    for names, told in [
        (target.names[1:], f"job d-random-0: the last head does not predict {target.names[0]}, which its step is"),
        (
            (*target.names, "r_wrist"),
            "job d-random-0: its last head predicts 'r_wrist' without its mirror partner 'l_w",
        ),
    ]:
        head = target.skeleton.select(names)
        monkeypatch.setattr(kind, "layout", lambda self, *given, head=head: Layout((head, head)))
        with pytest.raises(KpError, match=told):
            plan_jobs(study, CPU)


def test_earlier_steps_are_scored_where_the_last_head_still_predicts_all_of_them(opened):
    study = opened(**CHAIN, **{"study.modes": ["replay", "transfer"]})
    found = {job.name: job.retained for job in plan_jobs(study, CPU).jobs}
    first, middle = (step.keypoints for step in study.splits[0].steps[:2])
    assert found["x-source-4"] == found["x-transfer-4"] == {}
    assert found["x-replay-step1-4"] == {0: first}
    assert found["x-replay-4"] == {0: first, 1: middle}
    (last,) = [job for job in plan_jobs(study, CPU).jobs if job.name == "x-replay-4"]
    hip = first.skeleton.select(["hip", "wrist"])
    shrunk = replace(last, layout=Layout((*last.layout.heads[:-1], hip)))
    assert shrunk.retained == {1: middle}
