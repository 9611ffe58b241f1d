"""Two people's whole way with real data: a lab that adds bodyparts to a mouse, and an engineer with COCO files."""

import contextlib
import csv
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from kpcore.cli.app import outcome
from kpcore.registry import registry

LAB = """
[study]
name = "mouse"
modes = ["transfer"]
seeds = [0]
[dataset]
name = "deeplabcut"
root = "{root}"
crop = "image"
mirrors = {{}}
normaliser = ["nose_bot", "tailBase_bot"]
[dataset.groups]
paw = ["paw1LH_top", "paw2LF_top", "paw3RF_top", "paw4RH_top", "paw1LH_bot", "paw2LF_bot", "paw3RF_bot", "paw4RH_bot"]
nose = ["nose_top", "nose_bot"]
tail = ["tailBase_top", "tailMid_top", "tailBase_bot", "tailMid_bot"]
[split]
name = "explicit"
[split.sets.more]
steps = [["paw"], ["paw", "nose", "tail"]]
[backbone]
name = "hourglass"
stages = [1, 2]
channels = 8
depth = 2
[codec]
name = "heatmap"
unlabelled = "ignore"
[training]
resolution = 64
batch_size = 8
epochs = 1
iterations_per_epoch = 4
early_stopping = false
keep = "last"
precision = "fp32"
augmentation = {{ flip = 0 }}
[evaluation]
flip_test = false
metric = {{ name = "pck", normaliser = "sample", threshold = 0.1 }}
"""
ENGINEER = """
[study]
name = "people"
modes = ["transfer"]
seeds = [0]
[dataset]
name = "coco"
root = "{root}"
train_annotations = "annotations/person_keypoints_train2017.json"
train_images = "train2017"
valid_annotations = "{valid}"
valid_images = "val2017"
[split]
name = "explicit"
[split.sets.all]
steps = [["wrist", "elbow"], {names}]
[backbone]
name = "timm"
model = "test_resnet"
stages = [1, 2]
channels = 8
[codec]
name = "heatmap"
unlabelled = "ignore"
[training]
resolution = 64
batch_size = 8
epochs = 1
iterations_per_epoch = 3
early_stopping = false
keep = "last"
precision = "fp32"
[evaluation]
flip_test = false
metric = {{ name = "oks", sigmas = {{ {sigmas} }} }}
"""
SIGMA = 0.7
"""Wide enough that a network of three steps has a precision that is neither none nor whole."""


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Runs a study file; returns the folder of the transferred network's job."""

    def run(text, split):
        monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setattr("kpcore.cli.report.page_of", lambda *_: None)
        (tmp_path / "study.toml").write_text(text)
        assert outcome(["run", str(tmp_path / "study.toml"), "--out", str(tmp_path / "run"), "--jobs", "1"]) == 0
        return tmp_path / "run" / "jobs" / f"{split}-transfer-0"

    return run


@pytest.mark.real_data
def test_a_lab_gets_its_new_bodyparts_back_into_deeplabcut(real_data, trained, tmp_path):
    root = real_data / "mirror_mouse"
    model = trained(LAB.format(root=root), "more")
    data = registry().build("dataset", "deeplabcut", {"root": str(root), "mirrors": {}}, where="test")
    held_out = [str(sample.image) for sample in data.samples("valid")]
    (tmp_path / "list.txt").write_text("\n".join(held_out))
    formats = ["--format", "csv", "--format", "deeplabcut", "--set", "deeplabcut.scorer=rick"]
    assert outcome(["predict", str(model), str(tmp_path / "list.txt"), *formats, "--out", str(tmp_path / "out")]) == 0
    images = tmp_path / "out" / "deeplabcut" / "labeled-data"
    images.symlink_to(root / "labeled-data")
    there = registry().build(
        "dataset", "deeplabcut", {"root": str(images.parent), "mirrors": {}, "scorer": "rick"}, where="test"
    )
    people = {person.image.name: person for part in there.parts for person in there.samples(part)}
    assert len(people) == len(held_out) == 18 and len(there.skeleton.names) == 14
    with (tmp_path / "out" / "predictions.csv").open() as file:
        for row in csv.DictReader(file):
            point = people[row["image"].rpartition("/")[2]].points[there.skeleton.index(row["keypoint"])]
            np.testing.assert_allclose(point, [float(row["x"]), float(row["y"])], atol=1e-3)


@pytest.mark.real_data
def test_an_engineers_coco_results_score_the_same_with_pycocotools(real_data, trained, tmp_path, capsys):
    root = real_data / "coco_mini"
    document = json.loads((root / "annotations" / "person_keypoints_val2017.json").read_text())
    document["annotations"] = [
        one for one in document["annotations"] if one["num_keypoints"] and not one["iscrowd"]
    ]  # the people that our reader takes
    valid = tmp_path / "valid.json"
    valid.write_text(json.dumps(document))
    names = document["categories"][0]["keypoints"]
    groups = dict.fromkeys(name.removeprefix("left_").removeprefix("right_") for name in names)
    sigmas = ", ".join(f"{group} = {SIGMA}" for group in groups)
    model = trained(ENGINEER.format(root=root, valid=valid, names=json.dumps(names), sigmas=sigmas), "all")
    words = ["--boxes", str(valid), "--format", "h5", "--format", "coco_results", "--out", str(tmp_path / "out")]
    assert outcome(["predict", str(model), str(root / "val2017"), *words]) == 0
    capsys.readouterr()
    words = ["--study", str(tmp_path / "study.toml"), "--split", "all", "--json"]
    assert outcome(["eval", str(tmp_path / "out" / "predictions.h5"), *words]) == 0
    ours = json.loads(capsys.readouterr().out)
    theirs = scored_by_pycocotools(valid, tmp_path / "out" / "coco_results.json", len(names))
    assert 1 < ours["average"] < 99
    assert ours["people"] == len(document["annotations"])
    assert ours["average"] == pytest.approx(100 * theirs[0], abs=1e-9)
    assert ours["columns"]["AP50"] == pytest.approx(100 * theirs[1], abs=1e-9)


def scored_by_pycocotools(truth, results, count):
    """The ten figures of pycocotools, shares."""
    with contextlib.redirect_stdout(io.StringIO()):
        people = COCO(str(truth))
        evaluation = COCOeval(people, people.loadRes(str(results)), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.full(count, SIGMA)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats
