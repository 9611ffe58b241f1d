"""S1 and S2 from different data sets: names meet, images do not, and every step is scored on its own data."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny
import torch

from kpcore.audit.leaks import leaking
from kpcore.cli.app import outcome
from kpcore.data.fingerprint import fingerprint
from kpcore.errors import KpError
from kpcore.evaluation.mean_shape import mean_shape, score_mean_shape
from kpcore.keypoints import Keypoint, KeypointSplit, Skeleton, Step, default_columns
from kpcore.network import build_network, describe
from kpcore.plans import Layout, TransferPlan, fresh_origins
from kpcore.records.results import Results
from kpcore.registry import registry
from kpcore.samples import Instances, Sample
from kpcore.study.dag import plan_jobs
from kpcore.study.names import rename
from kpcore.study.opening import open_study
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE
from kpcore.training.device import Device
from kpcore.training.step import Learner

CPU = Device(torch.device("cpu"), "fp32", 1)

STUDY = (
    """
[study]
name = "across"
modes = ["transfer", "frozen", "random"]

[dataset]
name = "mpii"

[datasets.sports]
name = "mpii"
aliases = { upper_neck = "neck", thorax = "chest" }

[split]
name = "explicit"

[split.sets.arms_to_head]
datasets = ["sports", ""]
steps = [["elbow", "wrist", "neck"], ["head_top", "upper_neck", "shoulder", "elbow"]]
"""
    + tiny.network([1, 2])
    + tiny.training(epochs=1, iterations=2)
)


@pytest.fixture
def roots(tmp_path, write_mpii):
    return write_mpii(tmp_path / "own", 1, 10, 5), write_mpii(tmp_path / "sports", 2, 10, 5)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def sets(roots, *more):
    return [f"dataset.root={roots[0]}", f"datasets.sports.root={roots[1]}", *more]


def run(study, roots, *more):
    return outcome(["run", str(study), "--jobs", "1", *(part for one in sets(roots, *more) for part in ("--set", one))])


def results():
    return Results.from_json(Path("runs/across/results.json").read_text())


def planned(study, roots, *more):
    opened = open_study(registry(), study, None, sets(roots, *more), notice=lambda _: None)
    return plan_jobs(opened, CPU)


def test_a_study_across_data_sets_runs_and_says_where_each_step_is_from(study, roots, capsys):
    assert run(study, roots) == 0
    found = results()
    assert found.data.people == {"train": 10, "valid": 5}
    assert [(other.step, other.people) for other in found.data.others] == [("sports", {"train": 10, "valid": 5})]
    split = found.splits[0]
    assert (split.datasets, split.extra, split.missing) == (("sports", ""), ("neck",), ("upper_neck",))
    assert {row.status for row in found.rows} == {"done"}
    shown = " ".join(capsys.readouterr().out.split())
    for told in ("sports: MPII", "Unknown to the last data set: neck", "S1 (from sports)"):
        assert told in shown


def test_each_step_is_trained_and_scored_on_its_own_data_set(study, roots):
    source, *targets = planned(study, roots).jobs
    own, sports = (
        open_study(registry(), study, None, sets(roots), notice=lambda _: None).data[name] for name in ("", "sports")
    )
    assert [job.dataset for job in (source, *targets)] == ["sports", "", "", ""]
    for job, data in ((source, sports), *((job, own) for job in targets)):
        for part in ("train", "valid"):
            found = fingerprint(data.dataset.samples(part), data.skeleton)
            assert job.settings["data"][part] == found.of(job.reads)
        assert job.settings["data"]["others"] == []  # no head of these predicts all of S1
    assert source.settings["data"]["train"] != targets[0].settings["data"]["train"]
    assert {"neck", "l_wrist"} <= set(source.reads)
    assert "upper_neck" not in source.reads  # that is its name in the other data set


def test_what_the_study_calls_a_data_set_is_not_in_the_key(study, roots):
    before = [job.key for job in planned(study, roots).jobs]
    study.write_text(STUDY.replace("sports", "other"))
    renamed = [f"dataset.root={roots[0]}", f"datasets.other.root={roots[1]}"]
    opened = open_study(registry(), study, None, renamed, notice=lambda _: None)
    assert [job.key for job in plan_jobs(opened, CPU).jobs] == before


def test_an_image_that_another_data_set_is_scored_on_is_not_trained_on(study, roots):
    own, sports = roots
    before = [job.key for job in planned(study, roots).jobs]
    shutil.copy(own / "images" / "valid3.png", sports / "images" / "train7.png")
    told = []
    opened = open_study(registry(), study, None, sets(roots), notice=told.append)
    assert opened.data["sports"].left_out == (7,)
    assert opened.data["sports"].people("train") == 9
    assert opened.data[""].left_out == ()
    assert told == ["MPII: 1 training sample is left out, because MPII is scored on their images."]
    after = [job.key for job in plan_jobs(opened, CPU).jobs]
    assert [key for key in before if key in after] == [before[-1]]  # random sees no image of sports
    assert run(study, roots) == 0
    assert results().data.others[0].left_out == 1


def test_images_are_compared_by_content(tmp_path):
    def sample(image, row=0):
        return Sample(image, np.zeros((1, 2)), np.zeros(1), np.zeros(2), 1.0, 1.0, str(row), "0", row)

    first, same, other = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    first.write_bytes(b"12345")
    same.write_bytes(b"12345")
    other.write_bytes(b"54321")
    array = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    training = [sample(other), sample(same), sample(array), sample(tmp_path / "missing.png"), sample(same)]
    assert leaking(training, [[sample(first)], [sample(array.copy())]]) == (1, 2, 4)
    assert leaking(training, [[]]) == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("upper_neck =", "uper_neck =", r"datasets\.sports\.aliases: unknown keypoint 'uper_neck'.*'upper_neck'\?"),
        ('"chest"', '"neck"', "aliases: two keypoints would be called 'neck'"),
        ('"chest"', '"pelvis"', "aliases: 'thorax' cannot be called 'pelvis': that is another keypoint"),
        ('["sports", ""]', '["sprots", ""]', r"head\.datasets: unknown data set 'sprots'; did you mean 'sports'"),
        ('["sports", ""]', '["sports"]', r"head\.datasets: names 1 data sets for 2 steps; name one a step"),
        ('"wrist", "neck"', '"wrist", "upper_neck"', r"steps\[0\]: unknown keypoint or group 'upper_neck'.*'neck'\?"),
        ('"wrist", "neck"', '"wrist", "chset"', r"steps\[0\]: unknown keypoint or group 'chset'.*'chest'\?"),
    ],
)
def test_wrong_names_are_told(study, roots, old, new, told):
    assert STUDY.count(old) == 1
    study.write_text(STUDY.replace(old, new))
    with pytest.raises(KpError, match=told):
        open_study(registry(), study, None, sets(roots), notice=lambda _: None)


def test_a_data_set_that_no_step_names_is_told(study, roots):
    study.write_text(STUDY.replace('["sports", ""]', '["", ""]').replace('"wrist", "neck"', '"wrist"'))
    with pytest.raises(KpError, match=r"datasets\.sports: no step of a split names it; drop the table"):
        open_study(registry(), study, None, sets(roots), notice=lambda _: None)


def test_aliases_rename_mirrors_groups_and_edges():
    skeleton = Skeleton(
        "s",
        (Keypoint("lw", "rw", "wrist"), Keypoint("rw", "lw", "wrist"), Keypoint("neck")),
        (("lw", "neck"), ("rw", "neck")),
    )
    renamed = rename(skeleton, {"lw": "l_wrist", "rw": "r_wrist", "neck": "upper_neck"})
    assert renamed.keypoints == (
        Keypoint("l_wrist", "r_wrist", "wrist"), Keypoint("r_wrist", "l_wrist", "wrist"),
        Keypoint("upper_neck", None, "upper_neck"),
    )  # fmt: skip
    assert renamed.edges == (("l_wrist", "upper_neck"), ("r_wrist", "upper_neck"))
    assert rename(skeleton, {"lw": "rw", "rw": "lw"}).names == ("rw", "lw", "neck")


def test_targets_are_drawn_by_name_from_the_batches_skeleton(narrow, make_codec, figure):
    """A set of another skeleton is supervised where the names meet; places in that skeleton mean nothing here."""
    other = Skeleton("other", (Keypoint("tail"), Keypoint("hip"), Keypoint("head")))
    wanted = other.select(["tail", "hip", "head"])
    codec = make_codec()
    layout = Layout((wanted,))
    network = build_network(narrow, codec, layout, seed=0, resolution=32)
    plan = TransferPlan(fresh_origins(describe(narrow, codec, layout)), supervision=layout.heads)

    def learner(skeleton):
        return Learner(network, plan, None, narrow, codec, skeleton, CPU)

    assert learner(figure).supervision[0].names == ("hip", "head")
    assert learner(figure).supervision[0].indices == (3, 1)
    with pytest.raises(KpError, match=r"supervised on tail, hip, head, none of which skeleton .else. has"):
        _ = learner(Skeleton("else", (Keypoint("ear"),))).supervision


def test_extra_and_missing_are_by_name():
    def skeleton(name, *names):
        return Skeleton(name, tuple(map(Keypoint, names)))

    first, last = skeleton("first", "a", "b", "neck"), skeleton("last", "b", "c", "upper_neck")
    split = KeypointSplit("s", (Step(first.all(), "first"), Step(last.all())))
    assert split.crosses
    assert (split.overlap, split.extra, split.missing) == (("b",), ("a", "neck"), ("c", "upper_neck"))


# --- scored on both -----------------------------------------------------------------------------------------------


RETAINING = STUDY.replace('steps = [["elbow", "wrist", "neck"]', 'steps = [["elbow", "wrist"]').replace(
    '"shoulder", "elbow"]]', '"shoulder", "elbow", "wrist"]]'
)  # fmt: skip
"""The last head still predicts all of S1, and so is scored on its data set too."""


def test_a_head_that_still_predicts_s1_is_scored_on_it_too(study, roots):
    study.write_text(RETAINING)
    assert run(study, roots) == 0
    found = results()
    by_mode = {row.mode: row.retained for row in found.rows}
    for mode, kept in by_mode.items():
        assert [(one.step, set(one.columns)) for one in kept] == [(0, {"elbow", "wrist"})], mode
        assert (kept[0].before is None) == (mode == "random")
    assert len({kept[0].before for mode, kept in by_mode.items() if mode != "random"}) == 1
    frozen = next(row for row in found.rows if row.mode == "frozen")
    folder = Path("runs/across/jobs/arms_to_head-frozen-0")
    assert sorted(path.name for path in folder.glob("predictions*")) == ["predictions-1.h5", "predictions.h5"]
    # S1 is scored on the people of sports, not of the study's own data set.
    sports = open_study(registry(), study, None, sets(roots), notice=lambda _: None).data["sports"].dataset
    truth = Instances.of(sports.samples("valid"))
    keypoints = sports.skeleton.select(["elbow", "wrist"])
    with h5py.File(folder / "predictions-1.h5") as file:
        predicted = file["preds"][()]
        places = [list(file.attrs["keypoints"]).index(name) for name in keypoints.names]
    metric = registry().build("metric", "pckh", {}, where="test")

    again = metric.score(predicted[:, places], None, truth, keypoints, default_columns(keypoints))
    assert frozen.retained[0].average == pytest.approx(again.average, abs=1e-4)


def test_of_the_data_that_a_head_is_scored_on_besides_images_are_in_the_key_and_labels_are_not(study, roots):
    """The job predicts those people; against which labels is asked when results are read."""
    study.write_text(RETAINING)
    before = planned(study, roots).jobs
    own, *_ = (job for job in before if job.name.endswith("random-0"))
    assert own.datasets == ("", "sports")

    def after(name, change):
        with h5py.File(roots[1] / "annot" / "valid.h5", "r+") as file:
            kept = file[name][()]
            file[name][0] = change(kept[0])
            jobs = {job.name: job.key for job in planned(study, roots).jobs}
            file[name][()] = kept
        return {job.name for job in before if jobs[job.name] == job.key}

    assert after("part", lambda points: points + 0.5) == {own.name}  # all others start from S1
    assert after("center", lambda centre: centre + 0.5) == set()
    image = roots[1] / "images" / "valid2.png"
    image.write_bytes((roots[1] / "images" / "valid1.png").read_bytes())
    jobs = {job.name: job.key for job in planned(study, roots).jobs}
    assert not [job.name for job in before if jobs[job.name] == job.key]


# --- the mean shape -----------------------------------------------------------------------------------------------


def shaped(points, state, centre, side, row):
    return Sample(
        Path("none.png"), np.array(points, np.float32), np.array(state, np.uint8), np.array(centre, np.float32), side,
        10.0, str(row), "0", row,
    )  # fmt: skip


def test_the_mean_shape_is_in_crop_sides_over_labelled_points():
    nothing = [np.nan, np.nan]
    samples = [
        shaped([[60, 50], [50, 90]], [VISIBLE, HIDDEN], (50, 50), 100.0, 0),
        shaped([[140, 100], nothing], [VISIBLE, UNLABELLED], (100, 100), 200.0, 1),
    ]
    assert mean_shape(samples) == pytest.approx(np.array([[0.15, 0.0], [0.0, 0.4]]))
    unseen = [shaped([[1, 1], nothing], [VISIBLE, UNLABELLED], (0, 0), 10.0, 0)]
    assert mean_shape(unseen)[1].tolist() == [0, 0]


def test_the_mean_shape_of_equal_people_is_right(dots):
    class Same(dots):
        def samples(self, part):
            return [super().samples("train")[0]] * 3

    data = Same()
    split = KeypointSplit("s", (Step(data.skeleton.select(["hip"])), Step(data.skeleton.select(["head", "foot"]))))
    metric = registry().build("metric", "pckh", {}, where="test")
    found = score_mean_shape(data.samples("train"), data.samples("valid"), split, metric)
    assert found.average == 100


def test_the_mean_shape_stands_in_results_and_tables(study, roots):
    assert run(study, roots, "study.modes=['random']") == 0
    found = results()
    assert set(found.splits[0].mean_shape) == {"head", "neck", "shoulder", "elbow", "average"}
    last = Path("runs/across/tables.md").read_text().split("| Mean shape")[1].splitlines()[0]
    assert f"{found.splits[0].mean_shape['average']:.1f}" in last


def test_the_data_set_names_the_metric_where_the_study_does_not(study, roots):
    opened = open_study(registry(), study, None, sets(roots), notice=lambda _: None)
    assert opened.config.evaluation.metric.name == "pckh"
    assert opened.metric.convention.startswith("PCKh")


# --- renaming, and images that leak -----------------------------------------------------------------------


def test_renaming_keeps_what_is_not_named():
    points = (Keypoint("a", "b", "side"), Keypoint("b", "a", "side"), Keypoint("tip"), Keypoint("end", group="tip"))
    skeleton = Skeleton("s", points, (("a", "tip"), ("tip", "end")), dims=3)
    renamed = rename(skeleton, {"a": "left", "tip": "nose"})
    assert (renamed.name, renamed.dims) == ("s", 3)
    assert renamed.keypoints == (
        Keypoint("left", "b", "side"), Keypoint("b", "left", "side"), Keypoint("nose"), Keypoint("end", group="tip"),
    )  # fmt: skip
    assert renamed.edges == (("left", "nose"), ("nose", "end"))
    assert rename(skeleton, {}) == skeleton
    assert rename(skeleton, {"a": "b", "b": "a"}).names == ("b", "a", "tip", "end")
    with pytest.raises(KpError, match=r"^aliases: 'a' cannot be called 'end': that is another keypoint of this data"):
        rename(skeleton, {"a": "end"})
    with pytest.raises(KpError, match=r"^aliases: two keypoints would be called 'c'$"):
        rename(skeleton, {"tip": "d", "b": "c", "a": "c", "end": "d"})


def test_images_of_equal_size_are_told_apart_and_every_scored_part_counts(tmp_path):
    def sample(image):
        return Sample(image, np.zeros((1, 2)), np.zeros(1), np.zeros(2), 1.0, 1.0, "i", "0", 0)

    black, grey, white = (np.full((2, 2, 3), value, np.uint8) for value in (0, 100, 255))
    lost = tmp_path / "lost.png"
    training = [sample(black), sample(grey), sample(white), sample(lost)]
    assert leaking(training, [[sample(grey.copy())]]) == (1,)
    assert leaking(training, [[sample(white.copy())], [], [sample(black.copy()), sample(lost)]]) == (0, 2)
    assert leaking(training, [[sample(np.zeros((2, 3, 3), np.uint8))]]) == ()
    (tmp_path / "bytes.raw").write_bytes(grey.tobytes())
    assert leaking(training, [[sample(tmp_path / "bytes.raw")]]) == ()  # a file is not an array, whatever is in it
    assert leaking(training, [[sample(grey.reshape(1, 4, 3))]]) == ()  # the same bytes, another image
