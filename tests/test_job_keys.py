"""What a job's key holds: a test walks every settings model, so that a new setting cannot be forgotten.

Each field, given another value, must change the keys of the jobs that it reaches; or it is named in HARMLESS with the
reason why no stored result depends on it.
"""

import json
import os
import shutil
import types
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest
import torch
from kp_mpii.skeleton import MPII
from pydantic import BaseModel, ValidationError

import kpcore.registry
from kpcore.cache import content_key
from kpcore.config import ComponentTable, ModeTable, StudyConfig, models_in
from kpcore.data import fingerprint
from kpcore.errors import ContractError, KpError
from kpcore.keypoints import Column, Keypoint
from kpcore.plans import Layout
from kpcore.registry import registry
from kpcore.study import jobs
from kpcore.study.dag import plan_jobs
from kpcore.study.data import generate
from kpcore.study.opening import open_study, split_by
from kpcore.study.study import Study
from kpcore.tensors import HIDDEN, UNLABELLED
from kpcore.training.device import Device, choose_device

CPU = Device(torch.device("cpu"), "fp32", 1)

HARMLESS = {
    "study.name": "names the folder of the results",
    "study.preset": "what results call the settings",
    "study.modes": "says which jobs there are; the others stay what they are",
    "study.baseline": "what reports compare with",
    "dataset.when_missing": "what is done where there is no data; the data that is then read is in the key",
    "dataset.terms": "words that the networks' cards repeat",
    "dataset.trust_coordinates": "turns errors of the check into warnings",
    "evaluation.metric.name": "final scores are computed from stored predictions, whenever they are asked for",
}
"""Path of a field -> why a job's stored files cannot depend on it."""

ELSEWHERE = {
    "dataset.name": "the samples are in the key: test_the_samples_of_both_parts_are_in_the_key",
    "dataset.aliases": "the names are in the key: test_aliases_reach_the_key_through_the_names",
    "dataset.orientation": "the pixels are in the key: tests/test_pictures.py, keys",
    "dataset.unlabelled_at": "the samples are in the key: tests/test_units.py, test_an_option_is_part_of_a_runs_keys",
    "dataset.bad_image_policy": "the samples are in the key: tests/test_bad_images.py",
    "dataset.generate": "the samples are in the key: test_a_generators_options_and_version_name_its_folder",
    "datasets": "tests/test_across.py",
    "split.name": "the sets are in the key: test_another_split_is_another_job",
    "study.labels": "what a job sees is in the key: tests/test_views.py",
    "study.labels_of": "what a job sees is in the key: tests/test_views.py",
    "study.labels_seed": "what a job sees is in the key: tests/test_views.py",
    "evaluation.leaks": "who is left out is in the key: tests/test_leaks.py",
    "backbone.name": "test_the_component_itself_is_in_the_key",
    "codec.name": "test_the_component_itself_is_in_the_key",
    "evaluation.validation.name": "test_the_component_itself_is_in_the_key",
    "source": "what starts from it has it in its key: tests/test_given.py",
    "modes": "test_the_strategy_of_a_mode_is_in_the_key_and_its_name_is_not",
}
"""Path of a field -> how it reaches the key, and what tests that; its value alone cannot be exchanged here."""

TARGETS_ONLY = {"backbone.stages"}
"""Fields of which the source job reads a part only; changed here where it reads none of it."""

OTHER = {
    "training.resolution": 40,  # the hourglass takes multiples of 8
    "training.compile": "blocks",
    "training.precision": "bf16",  # what "auto" is hangs on the chip
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


@dataclass(frozen=True)
class Place:
    """A field of the settings: its path, its type, and what must be set for it to exist."""

    path: str
    annotation: Any
    given: dict[str, str] = field(default_factory=dict)


def places(model: type[BaseModel], path: str = "", given: dict[str, str] | None = None) -> list[Place]:
    """The fields of a model and of the models in it; of a union each member's, and the name that chooses among them."""
    found = []
    for name, about in model.model_fields.items():
        here = f"{path}{name}"
        inner = models_in(about.annotation) if here not in ELSEWHERE else []
        if len(inner) > 1:
            tags = {get_args(member.model_fields["name"].annotation)[0]: member for member in inner}
            found.append(Place(f"{here}.name", Literal[tuple(tags)]))
            for tag, member in tags.items():
                of_member = places(member, f"{here}.", {f"{here}.name": tag})
                found += [place for place in of_member if place.path != f"{here}.name"]
        else:
            found += places(inner[0], f"{here}.", given) if inner else [Place(here, about.annotation, given or {})]
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
    left_over = {*HARMLESS, *ELSEWHERE}
    known = {}  # what must be set for some settings to exist -> that study, opened once
    for place in places(StudyConfig):
        path = place.path
        if path in HARMLESS or path in ELSEWHERE:
            left_over.discard(path)
            continue
        given = {"study.modes": ["transfer"], **place.given}
        if repr(given) not in known:
            study = opened(**given)
            known[repr(given)] = study, planned(study)
        plain, before = known[repr(given)]
        values = [OTHER[path]] if path in OTHER else candidates(place.annotation, value_at(plain, path))
        after = planned(next(study for value in values if (study := other(opened, plain, **{**given, path: value}))))
        if path == "study.seeds":  # the names of the jobs change too
            assert not set(before.values()) & set(after.values())
            continue
        assert before.keys() == after.keys()
        same = {name for name in before if before[name] == after[name]}
        assert same == ({"d-source-0"} if path in TARGETS_ONLY else set()), path
    assert not left_over, "these are no fields any more"


def value_at(study: Study, path: str) -> Any:
    """What a setting is."""
    found = study.config.model_dump(mode="json")
    for part in path.split("."):
        found = found[part]
    return found


def other(opened, plain: Study, **sets: Any) -> Study | None:
    """The study with these settings; None where they are refused, or are what they were."""
    try:
        study = opened(**sets)
    except KpError:
        return None
    return None if study.config == plain.config else study


def test_the_walk_sees_every_member_of_a_union():
    seen = {
        (place.given.get("training.optimizer.name"), place.path.rpartition(".")[2]) for place in places(StudyConfig)
    }
    assert {("rmsprop", "alpha"), ("adamw", "eps"), ("muon", "momentum"), ("muon", "eps"), (None, "patience")} <= seen
    assert ("adamw", "alpha") not in seen
    assert [place.path for place in places(StudyConfig)].count("training.schedule.name") == 1


def test_harmless_settings_are(opened):
    before = planned(opened())
    for path, value in {
        "study.name": "other",
        "study.preset": "paper",
        "study.baseline": "frozen",
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
@pytest.mark.parametrize("part", ["name", "options", "plugin", "package", "version", "code"])
def test_the_component_itself_is_in_the_key(opened, kind, part):
    study = opened()
    before = planned(study)
    changed = replace(study.recipes[kind], **{part: {"other": 1} if part == "options" else "other"})
    after = planned(replace(study, recipes={**study.recipes, kind: changed}))
    assert not set(before.values()) & set(after.values())


@pytest.mark.parametrize("part", ["name", "options", "plugin", "package", "version", "code"])
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


# What a job reads of its data


NAMED = {
    "split.name": "explicit",
    "split.sets.x.steps": [["r_knee", "l_knee", "r_ankle", "l_ankle"], ["r_hip", "l_hip", "r_wrist", "l_wrist"]],
}
"""A split by keypoints, not groups: S1 reads no wrist, and nobody reads an elbow."""
EVERY_JOB = {"x-source-0", "x-transfer-0", "x-frozen-0", "x-random-0"}


class Other:
    """A data set whose samples, or whose skeleton, are not quite another one's."""

    def __init__(self, dataset, part="", change=None, skeleton=None):
        self._dataset, self._part, self._change = dataset, part, change
        self.skeleton = skeleton or dataset.skeleton

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def samples(self, part):
        samples = self._dataset.samples(part)
        return self._change(samples) if self._part in (part, "both") else samples


def with_data(study, *given, **more):
    """The study with another data set in place of its own, split by its rule anew."""
    other = Other(study.data[""].dataset, *given, **more)
    data = {"": replace(study.data[""], dataset=other, skeleton=other.skeleton)}
    rule = study.known.build("split", study.config.split.name, study.config.split.options, where="test")
    return replace(study, data=data, splits=split_by(rule, data))


def unchanged(study, *given, **more):
    """Names of the jobs whose keys are the same with another data set."""
    before, after = planned(study), planned(with_data(study, *given, **more))
    assert before.keys() == after.keys()
    return {name for name in before if before[name] == after[name]}


def first(**changes):
    """A change of a part: the first person has other fields, functions of those it has."""

    def change(samples):
        one, *others = samples
        return [replace(one, **{name: new(getattr(one, name)) for name, new in changes.items()}), *others]

    return change


def labels(name, *, add=0.0, state=None):
    """A change of a part: one keypoint of the first person is elsewhere, or in another state."""
    column = MPII.index(name)

    def points(old):
        new = old.copy()
        new[column] += np.float32(add)
        return new

    def states(old):
        new = old.copy()
        new[column] = old[column] if state is None else state
        return new

    return first(points=points, state=states)


REACH_ALL = {
    "normaliser": first(normaliser=lambda old: old + 1),
    "centre": first(centre=lambda old: old + np.float32(0.5)),
    "side": first(side=lambda old: old + 1),
    "mm_per_px": first(mm_per_px=lambda old: 2.0),
    "image_id": first(image_id=lambda old: f"{old}x"),
    "person_id": first(person_id=lambda old: f"{old}x"),
    "row": first(row=lambda old: old + 100),
    "image": first(image=lambda old: np.zeros((64, 64, 3), np.uint8)),
    "order": lambda samples: samples[::-1],
    "fewer": lambda samples: samples[:-1],
}
"""What every job reads of every person."""


@pytest.mark.parametrize("part", ["train", "valid"])
@pytest.mark.parametrize("change", REACH_ALL)
def test_the_samples_of_both_parts_are_in_the_key(opened, part, change):
    assert unchanged(opened(**NAMED), part, REACH_ALL[change]) == set()


def test_samples_that_are_made_anew_but_equal_are_the_same(opened):
    def copied(samples):
        return [replace(one, points=one.points.copy(), image_id=str(one.image_id)) for one in samples]

    assert unchanged(opened(**NAMED), "both", copied) == EVERY_JOB


@pytest.mark.parametrize("part", ["train", "valid"])
@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("l_wrist", {"x-source-0"}),  # trained on a split without wrists
        ("r_hip", {"x-source-0"}),
        ("r_knee", {"x-random-0"}),  # predicts S2 alone; the others start from S1
        ("l_elbow", EVERY_JOB),
    ],
)
def test_a_label_is_in_the_keys_of_the_jobs_that_read_it_alone(opened, part, name, same):
    study = opened(**NAMED)
    assert unchanged(study, part, labels(name, add=1.0)) == same
    assert unchanged(study, part, labels(name, state=HIDDEN)) == same
    assert unchanged(study, part, labels(name, state=UNLABELLED)) == same


def test_what_stands_where_nobody_marked_anything_is_not_in_the_key(opened):
    before, after = (
        planned(with_data(opened(**NAMED), "both", labels("l_wrist", add=add, state=UNLABELLED)))
        for add in (7.0, np.nan)
    )
    assert before == after


def test_jobs_say_what_they_read(opened):
    reads = {job.name: set(job.reads) for job in plan_jobs(opened(**NAMED), CPU).jobs}
    source, target = map(set, NAMED["split.sets.x.steps"])
    assert (reads["x-source-0"], reads["x-random-0"]) == (source, target)
    assert reads["x-transfer-0"] >= target
    job = plan_jobs(opened(**NAMED), CPU).jobs[0]
    assert list(job.reads) == [name for name in MPII.names if name in source]  # in the skeleton's order


def test_labels_that_the_validation_metric_measures_by_are_in_the_key(opened):
    class Measuring:
        def __getattr__(self, name):
            return getattr(study.validation, name)

        def reads(self, keypoints):
            return ["l_elbow"] if keypoints.names else []

    study = opened(**NAMED)
    measuring = replace(study, validation=Measuring())
    assert unchanged(study, "valid", labels("l_elbow", add=1.0)) == EVERY_JOB
    assert unchanged(measuring, "valid", labels("l_elbow", add=1.0)) == set()
    assert unchanged(measuring, "valid", labels("r_elbow", add=1.0)) == EVERY_JOB


def columns(places):
    """A change of a part: its keypoint columns are these."""
    return lambda samples: [
        replace(one, points=one.points[list(places)], state=one.state[list(places)]) for one in samples
    ]


def ordered(names):
    """MPII's skeleton with its keypoints in another order, and the change of a part that goes with it."""
    places = [MPII.index(name) for name in names]
    return columns(places), replace(MPII, keypoints=tuple(MPII.keypoints[place] for place in places))


def test_the_order_of_a_skeletons_names_is_not_in_the_key(opened):
    """Everything is found by its name: where a column stands in the annotation is nothing to a job."""
    study = opened(**NAMED)
    source, target = NAMED["split.sets.x.steps"]
    read = [name for name in MPII.names if name in (*source, *target)]
    others = [name for name in MPII.names if name not in read]
    assert len(others) == 8
    mixed = [name for pair in zip(others[::-1], read, strict=True) for name in pair]
    change, skeleton = ordered(mixed)
    assert unchanged(study, "both", change, skeleton) == EVERY_JOB
    assert unchanged(study, skeleton=skeleton) == set()  # names moved, columns not: other labels
    change, skeleton = ordered(MPII.names[::-1])
    assert unchanged(study, "both", change, skeleton) == set()  # heads have their channels in the skeleton's order
    change, skeleton = ordered([name for name in MPII.names if name not in target] + target[::-1])
    assert unchanged(study, "both", change, skeleton) == {"x-source-0"}


def test_a_column_that_nobody_reads_is_not_in_the_key(opened):
    study = opened(**NAMED)
    larger = replace(MPII, keypoints=(Keypoint("nose"), *MPII.keypoints))
    assert unchanged(study, "both", columns([4, *range(len(MPII.names))]), larger) == EVERY_JOB
    assert unchanged(opened(), "both", columns([4, *range(len(MPII.names))]), larger) == set(planned(opened()))


def test_a_mended_mirrored_pair_is_in_the_keys_of_the_jobs_that_read_it(opened):
    """Where images are mirrored, its labels are exchanged."""
    study = opened(**NAMED)
    for pair, same in (("wrist", {"x-source-0"}), ("knee", {"x-random-0"}), ("elbow", EVERY_JOB)):
        points = (replace(one, mirror=None) if one.name.endswith(pair) else one for one in MPII.keypoints)
        assert unchanged(study, skeleton=replace(MPII, keypoints=tuple(points))) == same, pair


def test_a_group_is_in_the_keys_of_the_jobs_that_read_its_keypoints(opened):
    """Modes stand in for what is new, and metrics measure, by group; report columns of one's own do not show it."""
    study = opened(**NAMED, **{"split.sets.x.columns.all": NAMED["split.sets.x.steps"][1]})
    for pair, same in (("wrist", {"x-source-0"}), ("knee", {"x-random-0"}), ("elbow", EVERY_JOB)):
        points = (replace(one, group="other") if one.name.endswith(pair) else one for one in MPII.keypoints)
        assert unchanged(study, skeleton=replace(MPII, keypoints=tuple(points))) == same, pair


def test_how_a_skeleton_is_called_and_drawn_is_not_in_the_key(opened):
    assert unchanged(opened(**NAMED), skeleton=replace(MPII, name="other", edges=())) == EVERY_JOB


@pytest.mark.parametrize("part", ["train", "valid"])
def test_an_images_bytes_are_in_the_key_though_size_and_time_stay(opened, tmp_path, tiny_mpii, monkeypatch, part):
    """Digests of files are remembered; a file that was written to is read again."""
    monkeypatch.setattr(fingerprint, "FRESH", -(10**18))  # remember files however young
    root = tmp_path / "data"
    shutil.copytree(tiny_mpii, root)
    image = root / "images" / f"{part}3.png"
    read = []
    real = fingerprint.file_digest
    monkeypatch.setattr(fingerprint, "file_digest", lambda path: read.append(path.name) or real(path))
    before = planned(opened(**{"dataset.root": str(root)}))
    assert len(read) == 18
    assert planned(opened(**{"dataset.root": str(root)})) == before
    assert len(read) == 18
    time = image.stat().st_mtime_ns
    content = bytearray(image.read_bytes())
    content[-30] ^= 1
    image.write_bytes(content)
    os.utime(image, ns=(time, time))
    after = planned(opened(**{"dataset.root": str(root)}))
    assert read[18:] == [image.name]
    assert not set(before.values()) & set(after.values())


def test_where_the_data_lies_is_not_in_the_key(opened, tmp_path, tiny_mpii):
    shutil.copytree(tiny_mpii, tmp_path / "elsewhere")
    assert planned(opened(**{"dataset.root": str(tmp_path / "elsewhere")})) == planned(opened())


@pytest.mark.parametrize("part", ["train", "valid"])
@pytest.mark.parametrize(
    ("second", "told"),
    [
        (lambda samples: samples[::-1], r"\[0\]\.image: differs when it is asked for again"),
        (labels("l_wrist", add=1.0), r"\[0\]\.points: differs when it is asked for again"),
        (first(row=lambda old: old + 1), r"\[0\]\.row: differs when it is asked for again"),
        (lambda samples: samples[1:], r"samples, then .* must always be the same ones"),
    ],
)
def test_samples_that_are_others_when_asked_for_again_are_an_error(opened, monkeypatch, part, second, told):
    """Otherwise a job would be found by people that it was not trained on."""
    kind = type(opened().data[""].dataset)
    real, calls = kind.samples, []

    def samples(self, asked):
        if asked == part:
            calls.append(asked)
        found = real(self, asked)
        return second(found) if asked == part and len(calls) == 2 else found

    monkeypatch.setattr(kind, "samples", samples)
    with pytest.raises(ContractError, match=rf"samples\('{part}'\).*{told}"):
        opened()


def test_who_is_left_out_of_training_is_in_the_key(opened):
    study = opened()
    data = replace(study.data[""], left_out=(3,))
    assert not set(planned(study).values()) & set(planned(replace(study, data={"": data})).values())


def test_aliases_reach_the_key_through_the_names(opened):
    """Those of the keypoints of its steps."""
    sets = {"split.name": "explicit", "split.sets.x.steps": [["knee", "ankle"], ["hip"]]}
    before = planned(opened(**sets))
    for alias, same in (("r_hip", {"x-source-0"}), ("r_knee", set()), ("pelvis", EVERY_JOB)):
        after = planned(opened(**sets, **{f"dataset.aliases.{alias}": "renamed"}))
        assert before.keys() == after.keys()
        assert {name for name in before if before[name] == after[name]} == same, alias


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


def test_threads_are_in_the_key_of_what_a_cpu_computes_alone(opened):
    """A GPU's results hang on none of them."""
    study = opened()
    gpu = Device(torch.device("cuda"), "fp32", 1)
    keys = [{job.key for job in plan_jobs(study, device).jobs} for device in (gpu, replace(gpu, threads=2), CPU)]
    assert keys[0] == keys[1]
    assert not keys[0] & keys[2]
    assert plan_jobs(study, gpu).jobs[0].settings["numerics"] == {"device": "cuda", "precision": "fp32"}


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
    second = folder(frames=6)
    assert second != first
    monkeypatch.setattr(kpcore.registry, "code_digest", lambda *modules: "edited")
    assert folder(frames=6) not in (first, second)


def test_what_a_key_is_made_of_is_named_and_is_json(opened):
    """job.json shows it to people: names must tell, and what is read back must be what was hashed."""
    settings = plan_jobs(opened(), CPU).jobs[0].settings
    assert set(settings) == {
        "format", "backbone", "pretrained", "codec", "training", "validation", "evaluation", "numerics", "versions",
        "data", "heads", "keypoints", "columns", "stages", "strategy", "seed", "sources",
    }  # fmt: skip
    assert set(settings["data"]) == {"train", "valid", "mirrors", "groups", "left_out", "others"}
    reads = set(plan_jobs(opened(), CPU).jobs[0].reads)
    for part in ("train", "valid"):
        assert set(settings["data"][part]) == {"images", "boxes", "lengths", "ids", "labels"}
        assert set(settings["data"][part]["labels"]) == reads
    assert settings["data"]["mirrors"] == {name: MPII[name].mirror for name in reads}
    assert set(settings["validation"]) == {
        "name",
        "options",
        "plugin",
        "package",
        "version",
        "code",
        "people",
        "flip_test",
    }
    assert set(settings["evaluation"]) == {"flip_test", "batch_size"}
    assert settings["numerics"] == {"device": "cpu", "precision": "fp32", "threads": 1}
    assert json.loads(json.dumps(settings)) == settings
    assert content_key(json.loads(json.dumps(settings))) == content_key(settings)
    assert settings["strategy"] is None
    assert plan_jobs(opened(), CPU).rows[0].job.settings["strategy"]["name"] == "transfer"


def test_averaging_is_in_the_key_only_where_it_is_asked_for(opened):
    """So what was trained before there was any is still found."""
    settings = plan_jobs(opened(), CPU).jobs[0].settings
    assert "average" not in settings["training"]
    assert "schedule" in settings["training"]
    averaged = plan_jobs(opened(**{"training.average.name": "ema"}), CPU).jobs[0].settings
    assert averaged["training"].pop("average") == {"name": "ema", "decay": 0.9}
    assert averaged == settings


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
