"""What is trained again after a real change, and what is said of it: on files, as a user changes them."""

import os
import re
import shutil
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hand_made import undraw

from kpcore import hooks
from kpcore.cli.app import outcome
from kpcore.registry import Registry
from kpcore.study.reasons import changed
from kpcore.training.loop import Training

NAMES = ("nose", "left", "right", "tail")
STUDY = """
study = { name = "cats", modes = ["transfer", "random"] }
split = { name = "explicit", sets = { ears = { steps = [["left", "right"], ["nose"]] } } }
backbone = { name = "hourglass", stages = [1, 2], channels = 8, depth = 1 }
codec = { name = "heatmap", loss = "cross_entropy", sigma = 1.0 }
evaluation = { metric = { name = "pck", threshold = 0.2 }, flip_test = false }

[dataset]
name = "named"
root = "data"
mirrors = { left = "right" }

[training]
resolution = 32
batch_size = 2
epochs = 2
iterations_per_epoch = 2
"""
SOURCE, TRANSFER, RANDOM = "ears-source-0", "ears-transfer-0", "ears-random-0"


def write_points(names=NAMES, change=None):
    """Write the people's points, the same for every name at every call; ``change`` is a (name, row) that is moved."""
    header = [
        "image",
        "part",
        "box_x",
        "box_y",
        "box_w",
        "box_h",
        *(f"{name}_{axis}" for name in names for axis in "xy"),
    ]
    lines = [",".join(header)]
    for row in range(8):
        points = [10.0 + 3 * row + 2 * NAMES.index(name) + ((name, row) == change) for name in names for _ in "xy"]
        lines.append(",".join(map(str, [f"{row}.bmp", "valid" if row > 4 else "train", 2, 2, 44, 44, *points])))
    Path("data/keypoints.csv").write_text("\n".join(lines))


def write_study():
    """Write the study's file into the working directory, with its data beside it; return its path."""
    Path("data").mkdir()
    random = np.random.default_rng(0)
    for row in range(8):
        cv2.imwrite(f"data/{row}.bmp", random.integers(0, 255, (48, 48, 3), np.uint8))
    write_points()
    path = Path("study.toml")
    path.write_text(STUDY)
    return path


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The study's file, in the working directory, with its data beside it."""
    monkeypatch.chdir(tmp_path)
    return write_study()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder where the study has been run, with its cache in cache/; to be copied only."""
    folder = tmp_path_factory.mktemp("whole")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_CACHE_DIR", str(folder / "cache"))
        patch.chdir(folder)
        undraw(patch)
        assert outcome(["run", str(write_study()), "--jobs", "1"]) == 0
    torch.set_num_threads(threads)  # the job has set its own
    return folder


@pytest.fixture
def done(whole, study, monkeypatch):
    """The study in the working directory, and in the cache what its first run trained."""
    shutil.copytree(whole / "cache", "cache")
    shutil.copytree(whole / "runs", "runs", symlinks=True)
    monkeypatch.setenv("KP_CACHE_DIR", str(Path("cache").resolve()))


@pytest.fixture
def run(study, capsys, monkeypatch):
    """(sets and options) -> names of the jobs that are trained, and all that is said."""
    real = Training.run
    trained = []
    monkeypatch.setattr(Training, "run", lambda self, listener: trained.append(1) or real(self, listener))

    def once(*sets, more=()):
        trained.clear()
        capsys.readouterr()
        options = [part for one in sets for part in ("--set", one)]
        assert outcome(["run", str(study), "--jobs", "1", *options, *more]) == 0
        said = " ".join(capsys.readouterr().out.split())
        names = re.findall(r"(ears-\w+-0): done", said)
        assert len(names) == len(trained)
        return names, said

    return once


ALL = [SOURCE, TRANSFER, RANDOM]


def test_nothing_changed_nothing_trained(run):
    assert run()[0] == ALL
    names, said = run()
    assert names == []
    assert "trained again" not in said


def test_a_setting(done, run):
    names, said = run("training.epochs=3", "codec.sigma=1.5")
    assert names == ALL
    assert "codec.sigma 1.0 -> 1.5, training.epochs 2 -> 3" in said
    assert run()[0] == []  # the earlier ones are there still


def test_the_plan_says_why_too_and_trains_nothing(done, run):
    names, said = run("training.epochs=3", more=["--plan"])
    assert names == []
    assert "To be trained again: ears-source-0, ears-transfer-0, ears-random-0: training.epochs 2 -> 3" in said


@pytest.mark.slow
def test_a_mended_mirror_trains_what_it_mirrors(run, study):
    study.write_text(STUDY.replace('{ left = "right" }', "{}"))
    run()
    study.write_text(STUDY)
    names, said = run()
    assert names == [SOURCE, TRANSFER]  # nose has no partner
    assert f"To be trained again: {SOURCE}: mirror partner of left changed, mirror partner of right changed" in said
    assert f"{TRANSFER}: what it starts from is trained again: {SOURCE}" in said


def test_an_image_that_was_edited_at_equal_size(done, run):
    path = Path("data/1.bmp")
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    times = path.stat()
    path.write_bytes(bytes(data))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a tool may that keeps times
    assert path.stat().st_size == times.st_size
    names, said = run()
    assert names == ALL
    assert f"{SOURCE}, {TRANSFER}, {RANDOM}: images of train changed" in said


def test_a_label_that_was_moved_trains_only_what_reads_it(done, run):
    write_points(change=("nose", 2))
    names, said = run()
    assert names == [TRANSFER, RANDOM]
    assert "ears-transfer-0, ears-random-0: labels of nose changed" in said
    write_points(change=("tail", 2))
    assert run()[0] == []  # as at first, but for what nobody reads


@pytest.mark.slow
def test_a_column_that_was_added_trains_nothing_again(run):
    write_points(NAMES[:3])
    run()
    write_points(NAMES)
    names, said = run()
    assert names == [], said
    write_points(("tail", *NAMES[:3]))  # nor does its place, as long as the order of what is read stays
    assert run()[0] == []


@pytest.mark.slow
def test_who_measures_by_another_keypoint_reads_it(run):
    sets = ("evaluation.metric.name=nme", "evaluation.metric.normaliser=box", "evaluation.metric.threshold=0.2")
    run(*sets)
    write_points(change=("tail", 6))
    names, said = run(*sets)
    assert names == ALL
    assert "labels of tail changed" in said


@pytest.mark.parametrize("cores", [3, pytest.param(64, marks=pytest.mark.slow)])
def test_cores_and_jobs_at_once_train_nothing_again(done, run, monkeypatch, cores):
    monkeypatch.setattr("kpcore.training.device.cores", lambda: cores)
    assert run()[0] == []
    assert run(more=["--jobs", "2"])[0] == []


def test_fresh_trains_all_the_same_and_ends_the_same(done, run):
    before = {path.parent.name: path.read_bytes() for path in Path("runs/cats/jobs").glob("*/weights.safetensors")}
    names, _ = run(more=["--fresh"])
    assert names == ALL
    after = {path.parent.name: path.read_bytes() for path in Path("runs/cats/jobs").glob("*/weights.safetensors")}
    assert before == after
    assert len(before) == 3


def test_fresh_begins_at_the_first_epoch_though_a_killed_run_left_its_checkpoint(study, monkeypatch):
    epoch = Training._epoch
    seen = []

    def stop_in_the_second(self, number, listener):
        seen.append(number)
        if number == 1:
            raise KeyboardInterrupt
        epoch(self, number, listener)

    monkeypatch.setattr(Training, "_epoch", stop_in_the_second)
    command = ["run", str(study), "--jobs", "1", "--set", 'study.modes=["random"]']
    for more, begun in (([], [0, 1]), ([], [1]), (["--fresh"], [0, 1])):
        seen.clear()
        assert outcome([*command, *more]) == 130
        assert seen == begun, more


MODE = """
from kpcore.interfaces import TransferStrategy
from kpcore.plans import NEW, TransferPlan


class Mine(TransferStrategy):
    summary = "Mine"

    def needs(self, split, step):
        return ()

    def plan(self, split, step, target, sources):
        return TransferPlan({name: NEW for name in target.tensors}, supervision=target.layout.heads)
"""


@pytest.mark.slow
def test_a_plugin_whose_code_was_edited_trains_what_it_made(run, tmp_path, monkeypatch):
    """As in an editable install: the version stays, the file changes."""
    package = tmp_path / "lib" / "kp_mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from kpcore import hookimpl\n@hookimpl\ndef kp_strategies():\n    from kp_mine.mode import Mine\n"
        "    return {'mine': Mine}\n"
    )
    (package / "mode.py").write_text(MODE)
    monkeypatch.syspath_prepend(package.parent)
    point = EntryPoint("mine", "kp_mine", hooks.GROUP)

    def use(text):
        (package / "mode.py").write_text(text)
        for name in [name for name in sys.modules if name.startswith("kp_mine")]:
            monkeypatch.delitem(sys.modules, name)
        known = Registry([*entry_points(group=hooks.GROUP), point])
        monkeypatch.setattr("kpcore.registry.registry", lambda: known)
        return run('study.modes=["mine","random"]')

    assert use(MODE)[0] == ["ears-mine-0", RANDOM]
    assert use(MODE)[0] == []
    names, said = use(MODE.replace("fresh", "fresh") + "\n# a loss that was mended\n")
    assert names == ["ears-mine-0"]
    assert "To be trained again: ears-mine-0: plugin kp_mine changed" in said


def settings(**changes):
    part = {"images": "i", "boxes": "b", "lengths": "l", "ids": "n", "labels": {"a": "1", "b": "2"}}
    plain = {
        "format": 4,
        "data": {"train": part, "valid": part, "mirrors": {"a": "b"}, "left_out": [], "others": []},
        "backbone": {"name": "x", "options": {"c": 1}, "package": "kp_x", "version": "1", "code": "1"},
        "codec": {}, "validation": {}, "strategy": None, "training": {"optimizer": {"name": "o"}}, "evaluation": {},
        "numerics": {"precision": "fp32"}, "versions": {"torch": "2"}, "heads": [["a"]], "keypoints": [["a"]],
        "columns": [], "stages": [1], "seed": 0, "pretrained": "p", "sources": [],
    }  # fmt: skip
    return plain | changes


DATA = settings()["data"]
BACKBONE = settings()["backbone"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": 5}, ["made by another version of kptransfer"]),
        ({"seed": 3}, ["seed 0 -> 3"]),
        ({"stages": [1, 2]}, ["stages [1] -> [1, 2]"]),
        ({"sources": ["k"]}, ["what it starts from is trained again"]),
        ({"pretrained": "q"}, ["pretrained weights changed"]),
        ({"versions": {"torch": "3"}}, ["versions.torch 2 -> 3"]),
        ({"numerics": {"precision": "fp32", "threads": 2}}, ["numerics.threads none -> 2"]),
        ({"strategy": {"name": "s"}}, ["mode none -> s"]),
        ({"backbone": {**BACKBONE, "name": "y"}}, ["backbone x -> y"]),
        ({"backbone": {**BACKBONE, "code": "2"}}, ["plugin kp_x changed"]),
        ({"backbone": {**BACKBONE, "code": "2", "version": "2"}}, ["plugin kp_x 1 -> 2"]),
        ({"backbone": {**BACKBONE, "options": {"c": 2, "d": True}}}, ["backbone.c 1 -> 2", "backbone.d none -> True"]),
        ({"data": {**DATA, "left_out": [3]}}, ["who is left out of training changed"]),
        ({"data": {**DATA, "mirrors": {"a": None}}}, ["mirror partner of a changed"]),
        ({"data": {**DATA, "train": {**DATA["train"], "boxes": "c"}}}, ["crop boxes of train changed"]),
        ({"data": {**DATA, "valid": {**DATA["valid"], "ids": "c"}}}, ["image ids or rows of valid changed"]),
        ({"data": {**DATA, "train": {**DATA["train"], "labels": {"a": "9", "c": "3"}}}},
         ["labels of b are no longer read", "labels of c are read now", "labels of a changed"]),
        ({"training": {"optimizer": {"name": "p"}}}, ["training.optimizer.name o -> p"]),
        ({}, []),
    ],
)  # fmt: skip
def test_what_changed_is_told_in_words(changes, told):
    assert list(changed(settings(), settings(**changes))) == told
