"""``kp init``: a first study that fits the data, is opened before it is written, and says what it assumed."""

import csv
import json
import tomllib

import cv2
import numpy as np
import pytest

from kpcore.cli.app import outcome
from kpcore.interfaces import Facts
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.reading.skeletons import sided_keypoints
from kpcore.registry import registry
from kpcore.samples import Instances, Sample
from kpcore.study.first import choices, text
from kpcore.study.first.choices import Machine, choose
from kpcore.study.first.data import First
from kpcore.study.first.lengths import natural_length
from kpcore.study.first.metric import choose_metric
from kpcore.study.first.split import halves
from kpcore.study.opening import open_study

NAMES = ("nose", "left_ear", "right_ear", "tail", "chin")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run ``kp init`` in a folder of its own; returns code, out, err."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def init(*arguments):
        code = outcome(["init", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return init


def named(root, names=NAMES, count=12, part=True):
    """Named keypoints in pictures of noise."""
    random = np.random.default_rng(0)
    (root / "pics").mkdir(parents=True)
    with (root / "keypoints.csv").open("w", newline="") as file:
        table = csv.writer(file)
        axes = [f"{name}_{axis}" for name in names for axis in "xy"]
        table.writerow(["image", *(["part"] if part else []), *axes])
        for row in range(count):
            cv2.imwrite(str(root / "pics" / f"{row}.png"), random.integers(0, 255, (48, 48, 3), np.uint8))
            words = [f"pics/{row}.png", *(["valid" if row % 3 == 0 else "train"] if part else [])]
            table.writerow([*words, *random.uniform(5, 43, 2 * len(names)).round(1)])
    return root


def opened(path):
    return open_study(registry(), path, notice=lambda line: None)


def test_a_study_is_written_that_opens_and_says_what_it_assumed(run, tmp_path):
    root = named(tmp_path / "my cats")
    code, out, err = run(root)
    assert (code, err) == (0, "")
    study = opened(tmp_path / "here" / "my_cats.toml")
    (split,) = study.splits
    assert [step.keypoints.names for step in split.steps] == [("nose", "left_ear", "right_ear"), ("tail", "chin")]
    written = (tmp_path / "here" / "my_cats.toml").read_text()
    for line in ("8 samples to train on, 4 to score", "read as 'named': 5 keypoints, 2D", "4 scored samples tell only"):
        assert f"- {line}" in out
        assert line in written
    assert out.splitlines()[-1] == "kp run my_cats.toml"
    assert tomllib.loads(written)["dataset"] == {"name": "named", "root": str(root)}


def test_a_file_is_overwritten_only_when_asked(run, tmp_path):
    root = named(tmp_path / "cats")
    assert run(root)[0] == 0
    path = tmp_path / "here/cats.toml"
    path.write_text("mine")
    code, _, err = run(root)
    assert (code, path.read_text()) == (2, "mine")
    assert "cats.toml: is there already; --force overwrites it" in err
    assert run(root, "--force")[0] == 0
    assert opened(path).config.study.name == "cats"
    assert run(root, "--out", tmp_path / "other.toml")[0] == 0
    assert opened(tmp_path / "other.toml")
    for bad in (tmp_path, tmp_path / "nowhere/a.toml"):
        assert "cannot be written" in run(root, "--out", bad)[2]


def test_too_few_keypoints_to_split_are_said_and_trained_together(run, tmp_path):
    code, out, _ = run(named(tmp_path / "few", ("nose", "left_ear", "right_ear")))
    assert code == 0
    assert "3 keypoints are too few to split in two halves of 2 with mirror pairs whole" in out
    study = opened(tmp_path / "here/few.toml")
    assert [mode.name for mode in study.modes] == ["random"]
    assert [step.keypoints.names for step in study.splits[0].steps] == [("nose", "left_ear", "right_ear")]


def test_flips_are_off_where_no_pair_is_known_or_a_side_is_alone(run, tmp_path):
    for name, names, told in (
        ("none", ("a", "b", "c", "d"), "pictures are not mirrored: no mirror pair is known"),
        ("alone", ("a", "left_ear", "right_ear", "b", "left_paw"), "not mirrored: left_paw name a side"),
        ("pairs", ("a", "left_ear", "right_ear", "b"), "pictures are mirrored; mirror pairs: left_ear - right_ear"),
    ):
        code, out, _ = run(named(tmp_path / name, names))
        assert code == 0
        assert told in out
        config = opened(tmp_path / "here" / f"{name}.toml").config
        on = name == "pairs"
        assert (config.training.augmentation.flip, config.evaluation.flip_test) == (0.5 * on, on)


def test_one_part_is_divided(run, tmp_path):
    """COCO's format with one file elsewhere: the options that read it are found, and a share is held out."""
    root = named(tmp_path / "cvat", count=40)
    (root / "keypoints.csv").unlink()
    held = {
        "images": [{"id": row, "file_name": f"{row}.png"} for row in range(40)],
        "categories": [{"id": 1, "name": "cat", "keypoints": NAMES}],
        "annotations": [
            {"id": row, "image_id": row, "category_id": 1, "iscrowd": 0, "bbox": [5, 5, 40, 40], "area": 800,
             "keypoints": [value for n in range(5) for value in (8 + 7 * n, 10 + (row + n) % 30, 2)]}
            for row in range(40)
        ],
    }  # fmt: skip
    (root / "cats.json").write_text(json.dumps(held))
    code, _, err = run(root)
    assert code == 0
    assert err == "Read as 'coco' with train_annotations=cats.json, train_images=pics, held_out=0.2.\n"
    study = opened(tmp_path / "here/cvat.toml")
    options = study.config.dataset.options
    assert {key: options[key] for key in options if key != "root"} == {
        "train_annotations": "cats.json", "train_images": "pics", "held_out": 0.2,
    }  # fmt: skip
    assert study.config.evaluation.metric.name == "pck"
    assert study.config.evaluation.metric.options == {"normaliser": "box", "threshold": 0.1}


def test_a_share_that_leaves_a_side_empty_is_raised(run, tmp_path, monkeypatch):
    root = named(tmp_path / "cats", part=False)
    small = registry().component("dataset", "named")
    whole = small.samples

    def empty_below(self, part):
        return [] if part == "valid" and self._held_out < 0.25 else whole(self, part)

    monkeypatch.setattr(small, "samples", empty_below)
    code, out, _ = run(root)
    assert code == 0
    assert "0.3 of the images are held out to be scored, drawn by their names: held_out = 0.3" in " ".join(out.split())
    code, _, err = run(root, "--force", "--set", "held_out=0.2")
    assert code == 2
    assert "'named' has no samples in part valid (its parts: train, valid)" in err


def test_what_the_data_set_says_of_itself_is_said(run, tmp_path):
    code, out, _ = run(named(tmp_path / "cats", part=False))
    assert code == 0
    assert "- of the data: no parts in the file: 0.1 of the images are 'valid'" in " ".join(out.split())
    assert "of the data: no parts in the file" in (tmp_path / "here/cats.toml").read_text()


def film(root):
    """Frames of one film in COCO's files, in both parts."""
    box, points = [5, 5, 30, 30], [8, 8, 2, 30, 9, 2, 20, 30, 2, 12, 20, 2]
    category = {"id": 1, "name": "cat", "keypoints": ["nose", "tail", "chin", "paw"], "skeleton": []}
    (root / "annotations").mkdir(parents=True)
    for part, frames in (("train", range(0, 12, 2)), ("val", range(1, 12, 2))):
        (root / part).mkdir()
        images = [{"id": n, "file_name": f"cage_frame_{n:04d}.png", "width": 48, "height": 48} for n in frames]
        for one in images:
            noise = np.random.default_rng(one["id"]).integers(0, 255, (48, 48, 3), np.uint8)
            cv2.imwrite(str(root / part / one["file_name"]), noise)
        labels = [{"id": n, "image_id": n, "category_id": 1, "bbox": box, "area": 900, "iscrowd": 0,
                   "keypoints": points, "num_keypoints": 4} for n in frames]  # fmt: skip
        document = {"images": images, "annotations": labels, "categories": [category]}
        (root / "annotations" / f"{part}.json").write_text(json.dumps(document))
    return root


def test_what_opening_the_study_warns_of_stands_in_the_file(run, tmp_path):
    code, _, err = run(film(tmp_path / "coco"))
    assert code == 0, err
    assert "frames of the same videos are in part 'valid'" in " ".join(err.split())
    written = (tmp_path / "here" / "coco.toml").read_text()
    comments = " ".join(line.strip("# ") for line in written.splitlines() if line.startswith("#"))
    assert "Said of the data:" in comments and "frames of the same videos are in part 'valid'" in comments
    assert "Said of the data" not in named_file(run, tmp_path)


def named_file(run, tmp_path):
    run(named(tmp_path / "cats"))
    return (tmp_path / "here" / "cats.toml").read_text()


def test_options_of_the_data_set_are_written(run, tmp_path):
    root = named(tmp_path / "cats")
    sets = ["mirrors={}", "groups.head=['nose', 'tail']", 'normaliser=["nose", "tail"]']
    code, _, _ = run(root, "--dataset", "named", *(word for one in sets for word in ("--set", one)))
    assert code == 0
    study = opened(tmp_path / "here/cats.toml")
    assert study.data[""].skeleton.groups["head"] == ("nose", "tail")
    assert study.config.training.augmentation.flip == 0


def test_what_cannot_be_read_writes_nothing(run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.toml").touch()
    bad = named(tmp_path / "bad")
    (bad / "pics/1.png").unlink()
    both = named(tmp_path / "both")
    (both / "data.yaml").write_text("train: pics\nkpt_shape: [1, 2]\nnames: [cat]\n")
    for arguments, told in (
        ([tmp_path / "nowhere"], "no such folder; kp init takes the folder of your data"),
        ([tmp_path / "file.toml"], "is a file; kp init takes the folder"),
        ([tmp_path / "empty"], "no data set plugin reads it; it is like no known layout"),
        ([bad], "part 'train': image file does not exist"),
        ([both], f"    kp init {both} --dataset yolo"),
        ([both, "--dataset", "nmaed"], "did you mean 'named'?"),
        ([both, "--dataset", "named", "--set", "magrin=2"], "did you mean 'margin'?"),
    ):
        code, _, err = run(*arguments)
        assert code == 2
        assert told in err
        assert "Traceback" not in err
    assert not list((tmp_path / "here").iterdir())


def skeleton(*keypoints):
    return Skeleton("some", tuple(Keypoint(*one) if isinstance(one, tuple) else Keypoint(one) for one in keypoints))


@pytest.mark.parametrize(("keypoints", "found"), [
    (("a", "b", "c", "d"), (("a", "b"), ("c", "d"))),
    (("a", "b", "c", "d", "e"), (("a", "b"), ("c", "d", "e"))),
    (("a", "b", "c"), None),
    (("l", "r", "x"), None),
    (("nose", ("l", "r"), ("r", "l"), "tail"), (("l", "r"), ("nose", "tail"))),
    ((("l", "r"), ("r", "l"), "x"), None),
    ((("a", None, "g"), ("b", None, "g"), ("c", None, "g"), "x"), None),
    ((("l", "r"), ("r", "l"), ("m", "n"), ("n", "m")), (("l", "r"), ("m", "n"))),
    ((("l", "r"), "a", "b", ("r", "l")), (("l", "r"), ("a", "b"))),
    ((("l", "r", "ear"), ("r", "l", "ear"), ("a", None, "axis"), ("b", None, "axis")), (("ear",), ("axis",))),
    ((("l", "r", "a"), ("r", "l", "a"), ("a", None, "b"), ("c", None, "b")), (("l", "r"), ("b",))),
    ((("a", None, "all"), ("b", None, "all"), ("c", None, "all"), ("d", None, "all")), None),
])  # fmt: skip
def test_halves_keep_groups_and_mirror_pairs_whole(keypoints, found):
    assert halves(skeleton(*keypoints)) == found


class Made:
    """A data set as far as choices look at it."""

    def __init__(self, count, side, metric="pck", names=("a", "b", "c", "d")):
        self.skeleton = skeleton(*names)
        self.facts = Facts("made", self.skeleton, ("train", "valid"), "a length", metric)
        place, state = np.zeros((len(names), 2), np.float32), np.full(len(names), 2, np.uint8)
        one = Sample("x.png", place, state, np.zeros(2, np.float32), side, 1.0, "x", "0", 0)
        self.samples = lambda part: [one] * (count if part == "train" else 30)


def chosen(machine, **made):
    first = First("named", {}, None, Made(**made))
    return {table.name: table.keys for table in choose(registry(), first, machine).tables}


CPU, GPU = Machine(2, False), Machine(16, True)


@pytest.mark.parametrize(("machine", "count", "side", "told"), [
    (CPU, 78, 406, (128, 8, 6, 40, 48, [1, 2], "adamw")),
    (CPU, 500, 70, (64, 16, 6, 60, 48, [1, 2], "adamw")),
    (CPU, 1716, 200, (128, 32, 9, 53, 64, [1, 2], "muon")),
    (CPU, 3, 90, (128, 3, 6, 40, 48, [1, 2], "adamw")),
    (GPU, 500, 100, (128, 16, 30, 50, 128, [2, 4], "adamw")),
    (GPU, 20_000, 300, (256, 32, 30, 500, 256, [2, 4], "muon")),
])  # fmt: skip
def test_settings_fit_the_data_and_the_machine(machine, count, side, told):
    found = chosen(machine, count=count, side=side)
    training, backbone = found["training"], found["backbone"]
    assert told == (
        training["resolution"], training["batch_size"], training["epochs"], training["iterations_per_epoch"],
        backbone["channels"], backbone["stages"], training["optimizer"]["name"],
    )  # fmt: skip
    assert training["average"]["name"] == "ema"
    assert found["evaluation.validation"]["people"] == 30


@pytest.mark.parametrize(("metric", "names", "table"), [
    ("pck", ("a", "b", "c", "d"), {"name": "pck", "normaliser": "box", "threshold": 0.1}),
    ("pckh", ("a", "b", "c", "d"), {"name": "pckh", "convention": "kptransfer"}),
    ("oks", ("a", "b", "nose", "d"), {"name": "pck", "normaliser": "box", "threshold": 0.1}),
    ("oks", ("nose", "l_knee", "wrist", "eye"), {"name": "oks"}),
    ("nme", ("a", "b", "c", "d"), {"name": "nme", "normaliser": "sample"}),
    ("nme", ("l_eye_outer", "r_eye_outer", "c", "d"), {"name": "nme", "normaliser": "inter_ocular"}),
    ("mpjpe", ("a", "b", "c", "d"), {"name": "mpjpe", "align": "procrustes"}),
])  # fmt: skip
def test_the_metric_is_the_datas_own_or_pck_of_the_box(metric, names, table):
    found = chosen(CPU, count=50, side=90, metric=metric, names=names)
    assert found["evaluation.metric"] == table
    assert found["codec"]["name"] == ("volumetric" if metric == "mpjpe" else "heatmap")


def test_a_length_that_the_data_set_states_is_kept():
    pck = {"name": "pck", "normaliser": "sample", "threshold": 0.1}
    for name, options in (("named", {"normaliser": ["a", "b"]}), ("lspet", {})):
        (why, change) = choose_metric(registry(), First(name, options, None, Made(50, 90))).why
        assert choose_metric(registry(), First(name, options, None, Made(50, 90))).table == pck
        told = "PCK@0.1 of the data set's normaliser; errors are divided by: a length"
        assert why == f"scored by 'pck', as this data usually is: {told}"
        assert "edit [evaluation.metric] ('kp plugins info pck' lists the options): stored" in change


def test_why_oks_is_not_taken_is_said(run, tmp_path):
    found = choose_metric(registry(), First("coco", {}, None, Made(50, 90, "oks", ("tip", "nose"))))
    left = "'oks', which such data is often scored by, is left aside; it would warn: no sigma is known for 1 of 2"
    assert found.why[0].startswith(f"{left} keypoints (tip): the default 0.067 is taken; say how far")
    assert found.why[1].startswith("scored by PCK@0.1: a keypoint is right within 0.1 of the longer side of the box")


# --- natural lengths --------------------------------------------------------------------------------------------------


def spread(names, count=10, state=None):
    """Samples whose keypoints lie 10 px apart in a row."""
    points = np.stack([10.0 * np.arange(len(names)), np.zeros(len(names))], 1)
    states = np.full((count, len(names)), 2, np.uint8) if state is None else state
    made = [np.where(one[:, None] > 0, points, np.nan).astype(np.float32) for one in states]
    middle = np.zeros(2, np.float32)
    return Instances.of(
        [Sample("x.png", those, one, middle, 90.0, 1.0, "x", "0", 0) for those, one in zip(made, states, strict=True)]
    )


def natural(names, **more):
    return natural_length(Skeleton("some", sided_keypoints(names)), spread(names, **more))


@pytest.mark.parametrize(("names", "pair", "threshold"), [
    (("snout", "ear", "tailbase"), ("snout", "tailbase"), 0.1),
    (("Nose", "ear", "Tail_base", "tail"), ("Nose", "Tail_base"), 0.1),
    (("noseTip", "ear", "baseOfTail"), ("noseTip", "baseOfTail"), 0.1),
    (("nose", "neck", "root of tail", "l_hip", "r_shoulder", "r_hip", "l_shoulder"), ("nose", "root of tail"), 0.1),
    (("paw", "nose_top", "tailBase_bot", "tailBase_top"), ("nose_top", "tailBase_top"), 0.1),
    (("left_shoulder", "right_shoulder", "left_hip", "right_hip"), ("left_shoulder", "right_hip"), 0.2),
    (("rShoulder", "lShoulder", "rHip", "lHip", "rKnee", "lKnee"), ("rShoulder", "lHip"), 0.2),
    (("shoulder", "elbow", "hip"), ("shoulder", "hip"), 0.2),
    (("r_shoulder", "r_elbow", "r_hip"), ("r_shoulder", "r_hip"), 0.2),
    (("r_eye_outer", "chin", "l_eye_outer"), ("r_eye_outer", "l_eye_outer"), 0.1),
    (("left_eye_outer_corner", "right_eye_outer_corner"), ("left_eye_outer_corner", "right_eye_outer_corner"), 0.1),
])  # fmt: skip
def test_a_natural_length_is_found_by_names(names, pair, threshold):
    found = natural(names)
    assert (found.pair, found.natural.threshold, found.without) == (pair, threshold, 0)
    assert found.median == 10 * abs(names.index(pair[0]) - names.index(pair[1]))


@pytest.mark.parametrize("names", [
    ("a", "b", "c"), ("nose", "tail", "tip"), ("nose_top", "x", "tailBase_bot"), ("l_eye_outer", "r_eye_inner"),
    ("l_shoulder", "r_shoulder", "hip"), ("l_shoulder", "r_hip"), ("diagnose", "tailbase"), ("left_eye", "right_eye"),
    ("shoulder", *"abcdefghijk", "hipster"),
])  # fmt: skip
def test_no_natural_length_is_guessed(names):
    assert natural(names) is None


def test_a_length_must_be_labelled_nearly_always_and_no_small_part_of_the_whole():
    names = ("snout", "ear", "tailbase", "snout_side", "tailbase_side")
    state = np.full((20, 5), 2, np.uint8)
    state[:1, 0] = state[:3, 3] = 0
    found = natural(names, state=state)
    assert (found.pair, found.without, found.median) == (("snout", "tailbase"), 1, 20)
    state[:2, 0] = state[:2, 3] = 0
    state[2, 3] = 2
    assert natural(names, state=state).without == 2  # nine in ten
    state[:3, [0, 3]] = 0
    assert natural(names, state=state) is None
    assert natural(("snout", "tailbase", *"abcd")).median == 10  # a fifth of the box
    assert natural(("snout", "tailbase", *"abcde")) is None


def test_the_natural_length_is_written_and_said(run, tmp_path):
    code, out, _ = run(named(tmp_path / "mice", ("snout", "left_ear", "right_ear", "tailbase")))
    assert code == 0
    metric = opened(tmp_path / "here/mice.toml").config.evaluation.metric
    assert metric.options == {"normaliser": ["snout", "tailbase"], "threshold": 0.1}
    written = " ".join((tmp_path / "here/mice.toml").read_text().replace("\n# ", " ").split())
    for line in (
        "scored by PCK@0.1: a keypoint is right within 0.1 of the body length, snout - tailbase (median",
        'edit [evaluation.metric] (threshold; normaliser = "crop", "sample", "box" or ["NAME", "OTHER"]',
    ):
        assert line in " ".join(out.split())  # a terminal may be narrow
        assert line in written


def test_this_machine_is_looked_at(monkeypatch):
    monkeypatch.setattr(choices, "available", lambda: ["cpu", "cuda:0"])
    monkeypatch.setattr(choices, "cores", lambda: 7)
    assert Machine.this() == Machine(7, True)


def test_whatever_a_folder_and_its_keypoints_are_called_the_file_is_toml(tmp_path):
    odd = 'a "b"\n#\u2028c'
    first = First("named", {}, tmp_path / odd, Made(50, 90, names=('x "y"', "é", "c]", "d = 1")))
    made = tomllib.loads(text.study_text(first, choose(registry(), first, CPU), tmp_path / f"{odd}.toml"))
    assert made["dataset"]["root"] == str(tmp_path / odd)
    assert made["split"]["sets"]["first"]["steps"] == [['x "y"', "é"], ["c]", "d = 1"]]
    assert made["study"]["name"] == "a_b_c"
    assert text.study_name(tmp_path / "...") == "study"
