"""What a job sees of its data: shares of the labels, other people's labels, several tasks, matched iterations."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from kp_mpii.skeleton import MPII

from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.keypoints import Step
from kpcore.records.folder import JobFolder
from kpcore.records.results import Results
from kpcore.records.values import read_values
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.study import asked, protocol
from kpcore.study.asked import _refuse_alike, same_answers
from kpcore.study.dag import plan_jobs
from kpcore.study.jobs import PLAIN, View
from kpcore.study.opening import open_study
from kpcore.study.planning import plan_study
from kpcore.study.views import TrainingImages, labelled_images, permuted, seen
from kpcore.study.workshop import open_workshop
from kpcore.tensors import UNLABELLED
from kpcore.training.device import Device

CPU = Device(torch.device("cpu"), "fp32", 1)
IMAGES = [f"image {number}" for number in range(40)]
CONTROLS = """
[modes.long]
strategy = "random"
matches = "transfer"

[modes.self]
strategy = "transfer"
source = "s2"

[modes.permuted]
strategy = "transfer"
source = "permuted"

[modes.together]
strategy = "multi_task"

[modes.all]
strategy = "multi_task"
keypoints = "all"
"""


class Silent:
    def iteration(self, done, total): ...
    def epoch(self, record): ...
    def notice(self, text): ...


@pytest.fixture
def opened(tmp_path, monkeypatch, tiny_study, tiny_mpii):
    """(modes, settings) -> the study of split d."""
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))

    def make(modes, *sets):
        file = tmp_path / "study.toml"
        used = "".join(f"[modes.{part}" for part in CONTROLS.split("[modes.")[1:] if part.split("]")[0] in modes)
        usual = 'modes = ["transfer", "frozen", "random"]'
        assert usual in tiny_study
        file.write_text(tiny_study.replace(usual, f"modes = {json.dumps(modes)}") + used)
        wanted = [f"dataset.root={tiny_mpii}", 'split.splits=["d"]', *sets]
        return open_study(registry(), file, None, wanted, lambda _: None)

    return make


def jobs_of(study):
    return {job.name: job for job in plan_jobs(study, CPU).jobs}


def test_shares_are_nested_by_image_and_drawn_anew_for_every_seed():
    def chosen(share, seed=0, labels_seed=0):
        return labelled_images(IMAGES * 2, View(share, labels_seed), seed)

    sizes = [len(chosen(share)) for share in (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)]
    assert sizes == [1, 2, 4, 10, 20, 40]
    assert chosen(0.05) < chosen(0.1) < chosen(0.5) < chosen(1.0) == frozenset(IMAGES)
    assert chosen(0.25) == chosen(0.25)
    assert chosen(0.25) != chosen(0.25, seed=1)
    assert chosen(0.25) != chosen(0.25, labels_seed=1)


def people(count=5, keypoints=3, dims=2):
    random = np.random.default_rng(0)
    return Instances(
        points=random.uniform(0, 100, (count, keypoints, dims)),
        state=random.integers(0, 3, (count, keypoints)).astype(np.uint8),
        normaliser=np.ones(count),
        side=random.uniform(20, 60, count),
        centre=random.uniform(40, 60, (count, 2)),
        image_ids=tuple(f"image {number}" for number in range(count)),
        person_ids=("",) * count,
        rows=np.arange(count),
        mm_per_px=np.ones(count),
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_permuted_labels_are_another_persons_at_the_same_place_of_the_crop(dims):
    truth = people(7, dims=dims)
    found = permuted(truth, [0, 2, 3, 5, 6], seed=3)
    for kept in (1, 4):
        np.testing.assert_array_equal(found.points[kept], truth.points[kept])

    def in_crop(one, place):
        centre = np.append(one.centre[place], [0] * (dims - 2))
        return (one.points[place] - centre) / one.side[place]

    owners = {}
    for place in (0, 2, 3, 5, 6):
        (owners[place],) = [
            other for other in (0, 2, 3, 5, 6) if np.allclose(in_crop(found, place), in_crop(truth, other))
        ]
        np.testing.assert_array_equal(found.state[place], truth.state[owners[place]])
    assert sorted(owners.values()) == [0, 2, 3, 5, 6]
    assert all(place != owner for place, owner in owners.items())
    assert not np.array_equal(permuted(truth, [0, 2, 3, 5, 6], seed=4).points, found.points)
    np.testing.assert_array_equal(found.centre, truth.centre)


def test_a_share_changes_the_last_step_alone_and_s1_is_trained_once(opened):
    plan = plan_jobs(opened(["transfer", "random"], "study.labels=[0.5, 1.0]"), CPU)
    assert sorted(job.name for job in plan.jobs) == [
        "d-random-0", "d-random-labels0.5-0", "d-source-0", "d-transfer-0", "d-transfer-labels0.5-0",
    ]  # fmt: skip
    assert [(row.mode.name, row.labels, row.job.view.labels) for row in plan.rows] == [
        ("transfer", 0.5, 0.5), ("transfer", 1.0, 1.0), ("random", 0.5, 0.5), ("random", 1.0, 1.0),
    ]  # fmt: skip
    assert all(row.job.sources[0].view == PLAIN for row in plan.rows if row.mode.name == "transfer")


def test_all_labels_are_the_plain_study_and_every_setting_of_a_share_is_in_its_keys(opened):
    def keys(*sets):
        return {name: job.key for name, job in jobs_of(opened(["transfer", "random"], *sets)).items()}

    plain, half = keys(), keys("study.labels=[0.5]")
    assert keys("study.labels=[1.0]", "study.labels_seed=3", 'study.labels_of="all"') == plain
    assert half["d-source-0"] == plain["d-source-0"]
    assert not {half["d-transfer-labels0.5-0"], half["d-random-labels0.5-0"]} & set(plain.values())
    other = keys("study.labels=[0.5]", "study.labels_seed=1")
    assert {name for name in half if half[name] == other[name]} == {"d-source-0"}
    everywhere = keys("study.labels=[0.5]", 'study.labels_of="all"')
    assert set(everywhere) == {"d-source-labels0.5-0", "d-transfer-labels0.5-0", "d-random-labels0.5-0"}
    assert not set(everywhere.values()) & {*half.values(), *plain.values()}


def test_a_job_of_a_share_is_trained_on_its_images_alone_for_as_many_iterations(opened, monkeypatch):
    study = opened(["random"], "study.labels=[0.5, 1.0]")
    shop, tasks = open_workshop(study, CPU, [""]), {}
    monkeypatch.setattr(
        protocol, "Training", lambda task, _: tasks.setdefault(len(tasks), task) and SimpleNamespace(run=lambda _: None)
    )
    for job in jobs_of(study).values():
        protocol.train(job, shop, protocol.grow(job, shop), None, Silent())
    half, whole = tasks[0], tasks[1]
    training = shop.groups[""].training
    images = training.store.people.image_ids
    wanted = labelled_images((images[place] for place in training.people), View(0.5), 0)
    assert {images[place] for place in half.stream.people} == wanted
    assert list(whole.stream.people) == list(training.people)
    assert half.epoch_iterations == whole.epoch_iterations == 3
    assert half.people == whole.people == len(training.people)


def test_several_tasks_keep_the_labels_of_s1_and_lose_the_new_ones_outside_the_share(opened):
    study = opened(["together"], "study.labels=[0.5]")
    (job,) = jobs_of(study).values()
    training = open_workshop(study, CPU, [""]).groups[""].training
    plan = protocol.make_plan(job, study.spec(job.layout), [], 2)
    found = seen(job, training, plan)
    truth, images = training.truth(job.reads), training.store.people.image_ids
    wanted = labelled_images((images[place] for place in training.people), job.view, 0)
    assert list(found.people) == list(training.people)
    old, new = ("r_wrist", "l_elbow"), ("head_top", "thorax")
    for place in training.people:
        for name in old:
            column = MPII.index(name)
            assert found.truth.state[place, column] == truth.state[place, column]
        for name in new:
            column = MPII.index(name)
            expected = truth.state[place, column] if images[place] in wanted else UNLABELLED
            assert found.truth.state[place, column] == expected
            assert np.isnan(found.truth.points[place, column]).all() == (expected == UNLABELLED)


def test_controls_are_laid_out_as_they_say(opened):
    jobs = jobs_of(opened(["transfer", "long", "self", "permuted", "together", "all"]))
    assert sorted(jobs) == [
        "d-all-0", "d-long-0", "d-permuted-0", "d-self-0", "d-source-0", "d-source-other-0", "d-source-permuted-0",
        "d-together-0", "d-transfer-0",
    ]  # fmt: skip
    target = jobs["d-transfer-0"].keypoints
    assert jobs["d-source-other-0"].keypoints == target and not jobs["d-source-other-0"].view.permuted
    assert jobs["d-source-permuted-0"].keypoints == jobs["d-source-0"].keypoints
    assert jobs["d-source-permuted-0"].view.permuted
    assert jobs["d-self-0"].sources == (jobs["d-source-other-0"],)
    assert jobs["d-permuted-0"].sources == (jobs["d-source-permuted-0"],)
    assert set(jobs["d-together-0"].layout.heads[-1].names) == {*target.names, *jobs["d-source-0"].keypoints.names}
    assert jobs["d-all-0"].layout.heads[-1].names == MPII.names
    assert jobs["d-long-0"].matches == (jobs["d-transfer-0"], jobs["d-source-0"])
    assert jobs["d-long-0"].sources == ()


def test_a_source_of_the_targets_keypoints_sees_no_more_of_their_labels_than_the_target(opened):
    jobs = jobs_of(opened(["self", "permuted"], "study.labels=[0.5]"))
    assert jobs["d-source-other-labels0.5-0"].view.labels == 0.5
    assert jobs["d-source-permuted-0"].view == View(permuted=True)


def test_a_matched_mode_trains_for_all_iterations_of_the_other_and_its_rate_runs_over_them(opened):
    study = opened(["transfer", "long"], "training.early_stopping=1", "training.epochs=2")
    jobs, shop = jobs_of(study), open_workshop(study, CPU, [""])
    for name in ("d-source-0", "d-transfer-0", "d-long-0"):
        protocol.run_job(jobs[name], shop, Silent())
    taken = {name: JobFolder.of(job.key).result().iterations for name, job in jobs.items()}
    assert taken["d-long-0"] == taken["d-source-0"] + taken["d-transfer-0"]


@pytest.mark.parametrize(
    ("matches", "said"),
    [
        ("transfr", "modes.long.matches: unknown mode of study.modes 'transfr'; did you mean 'transfer'?"),
        ("long", "unknown mode"),
    ],
)
def test_a_mode_matches_another_one_of_the_study(opened, matches, said):
    with pytest.raises(KpError, match=said.replace("?", r"\?")):
        opened(["transfer", "long"], f'modes.long.matches="{matches}"')


def test_a_share_that_is_none_is_refused(opened):
    for value in ("[0]", "[1.5]", "[0.5, 0.5]", "[]"):
        with pytest.raises(KpError, match="labels"):
            opened(["transfer"], f"study.labels={value}")


def test_it_all_runs_and_results_say_which_share_of_how_many_images(opened, tmp_path, tiny_mpii, monkeypatch, capfd):
    study = opened(["transfer", "long", "permuted", "together"], "study.labels=[0.5, 1.0]")
    monkeypatch.chdir(tmp_path)
    sets = [f"dataset.root={tiny_mpii}", 'split.splits=["d"]', "study.labels=[0.5, 1.0]", "training.epochs=1"]
    command = ["run", study.file, "--jobs", "1", *(word for one in sets for word in ("--set", one))]
    assert outcome(command) == 0, capfd.readouterr().err
    found = Results.from_json(Path("runs/tiny/results.json").read_text())
    assert found.shares == (1.0, 0.5)
    images = {row.labels: row.images for row in found.rows}
    assert images[0.5] == max(1, int(images[1.0] / 2 + 0.5))
    assert len(found.rows) == 8 and all(row.status == "done" for row in found.rows)
    assert [row.labels for row in found.at(0.5).rows] == [0.5] * 4


def test_rows_of_every_share_are_refused_and_kept_apart(opened, monkeypatch, tmp_path, tiny_mpii, capfd):
    monkeypatch.chdir(tmp_path)
    study = opened(["transfer", "random"], "study.labels=[0.5, 1.0]")
    monkeypatch.setattr("kp_modes.transfer.Transfer.plan", lambda *_: None)
    refused = plan_study(study, CPU).refused
    assert [(row.mode.name, row.labels) for row in refused] == [("transfer", 0.5), ("transfer", 1.0)]
    sets = [f"dataset.root={tiny_mpii}", 'split.splits=["d"]', "study.labels=[0.5, 1.0]", "training.epochs=1"]
    assert outcome(["run", study.file, "--jobs", "1", *(word for one in sets for word in ("--set", one))]) == 1
    found = Results.from_json(Path("runs/tiny/results.json").read_text())
    assert {(row.mode, row.labels, row.status) for row in found.rows} == {
        ("transfer", 0.5, "failed"), ("transfer", 1.0, "failed"), ("random", 0.5, "done"), ("random", 1.0, "done"),
    }  # fmt: skip
    assert {(row.mode, row.labels) for row in read_values(Path("runs/tiny/values.h5")).splits[0].rows} == {
        ("random", 0.5), ("random", 1.0),
    }  # fmt: skip


@pytest.mark.parametrize("labels", [[1e-9, 1e-10], [0.1234567, 0.1234568]])
def test_shares_that_are_the_same_images_are_refused_before_training(opened, labels):
    study = opened(["random"], f"study.labels={labels}")
    with pytest.raises(KpError, match=rf"study.labels: {labels[0]!r} and {labels[1]!r} are both 1 of 12 training im"):
        plan_jobs(study, CPU)


def test_shares_that_are_written_alike_are_refused_however_many_images_there_are():
    with pytest.raises(KpError, match=r"0\.1234567 and 0\.1234568 are both labels0\.123457 in the names of trainings"):
        _refuse_alike([0.1234567, 0.1234568], ["0.123457", "0.123457"], "labels{} in the names of trainings")


def test_one_training_sample_has_nobody_to_swap_labels_with(opened, monkeypatch):
    study = opened(["permuted"])
    plan_jobs(study, CPU)
    monkeypatch.setattr(TrainingImages, "people", lambda *_: 1)
    with pytest.raises(KpError, match=r"job d-source-permuted-0: 'permuted' gives .* and there is only one"):
        plan_jobs(study, CPU)


def test_modes_that_are_one_and_lengths_that_are_rounded_are_said_before_training(opened, monkeypatch):
    study = opened(["transfer", "self", "long"])
    plan = plan_jobs(study, CPU)
    assert same_answers(study, plan) == []
    lengths = iter([3, 5, 5])
    monkeypatch.setattr(asked, "epoch_iterations", lambda *_: next(lengths))
    (job,) = (one for one in plan.jobs if one.matches)
    _, other, *_ = [*job.matches, *job.matches]
    first, *rest = other.split.steps
    there = replace(other, split=replace(other.split, steps=(Step(first.keypoints, "sports"), *rest)))
    monkeypatch.setattr(TrainingImages, "people", lambda *_: 12)
    elsewhere = replace(plan, jobs=(replace(job, matches=(there,)),))
    (line,) = same_answers(study, elsewhere)
    assert "mode 'long' trains for whole epochs of 3 iterations" in line and "rounded up" in line
    again = [replace(row, mode=replace(row.mode, name="again")) for row in plan.rows if row.mode.name == "transfer"]
    (line,) = same_answers(study, replace(plan, jobs=(), rows=(*plan.rows, *again)))
    assert line == "split 'd': modes 'transfer' and 'again' are the same trainings, with the same figures"
    (split,) = study.splits
    same = SimpleNamespace(name="d", steps=(split.steps[-1], split.steps[-1]))
    (line,) = asked._same_sets(SimpleNamespace(splits=(same,)))
    assert line.startswith("split 'd': its first and its last set are the same keypoints")


def test_modes_that_match_each_other_are_told_that_they_go_in_a_circle(opened):
    with pytest.raises(KpError, match="and so on in a circle; one mode of it needs a length of its own"):
        opened(["transfer", "long"], 'modes.transfer={strategy="transfer", matches="long"}')
