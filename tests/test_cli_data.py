"""``kp data``, ``kp splits`` and ``kp eval`` on a small data set that comes through an entry point of its own."""

import json
from importlib.metadata import EntryPoint

import cv2
import h5py
import numpy as np
import pytest

from kpcore.cli import app as kp
from kpcore.registry import Registry

PLUGIN = """
from pathlib import Path
from typing import ClassVar

import numpy as np

from kpcore import hookimpl
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Dataset, Finding, Metric, Scores, Split
from kpcore.keypoints import Keypoint, KeypointSplit, Skeleton, Step
from kpcore.samples import Sample

FACE = Skeleton(
    "face",
    (Keypoint("r_eye", "l_eye", "eye"), Keypoint("l_eye", "r_eye", "eye"), Keypoint("nose"), Keypoint("chin")),
    (("nose", "chin"),),
)


class Faces(Dataset):
    "Faces: rows 0, 2, 4 of the annotation file are usable; 1-based there."

    root_variable: ClassVar[str] = "KP_FACES_ROOT"
    default_skeleton: ClassVar[Skeleton] = FACE

    class Config(ComponentConfig):
        root: str | None = None
        bad: bool = False

    def __init__(self, *, root, bad):
        if root is None or not (Path(root) / "faces.txt").exists():
            raise KpError(f"{root}: holds no faces.txt")
        self.bad = bad

    skeleton = property(lambda self: FACE)
    label = property(lambda self: "Faces")
    parts = property(lambda self: ("train", "valid"))
    normaliser = property(lambda self: "ten pixels")
    default_metric = property(lambda self: "near")
    origin = property(lambda self: 1)

    def samples(self, part):
        return [self.sample(part, row) for row in (0, 2, 4)]

    def sample(self, part, row):
        image = np.full((60, 80, 3), 90, np.uint8)
        points = np.array([[20, 20], [40, 20], [30, 30], [30, 45]], np.float32) + row
        state = np.array([2, 2, 1, 2 if part == "train" or row else 0], np.uint8)
        points[state == 0] = np.nan
        return Sample(image, points, state, np.array([32, 32], np.float32), 50.0, 10.0, f"{part}{row}", "0", row)

    def fingerprint(self, part):
        return part

    def findings(self, part):
        return [Finding("error", "faces.txt, row 3: mended by nobody", 2)] if self.bad else []


class Plain(Faces):
    "Reads the same folder where it holds plain.txt too."

    def __init__(self, *, root, bad):
        if not (Path(root) / "plain.txt").exists():
            raise KpError(f"{root}: holds no plain.txt")


class Near(Metric):
    "Share of keypoints within so many tenths, over the columns of a split or over everything."

    class Config(ComponentConfig):
        convention: str = "all"
        threshold: float = 0.5

    def __init__(self, *, convention, threshold):
        self.kind, self.threshold = convention, threshold

    convention = property(lambda self: f"near {self.kind}")
    higher_is_better = property(lambda self: True)

    def values(self, predicted, people, keypoints):
        people = people.select(keypoints.indices)
        distance = np.linalg.norm(predicted - people.points, axis=-1) / people.normaliser[:, None]
        return np.where(people.state == 0, np.nan, np.where(np.isnan(distance), np.inf, distance))

    def reduce(self, values, people, keypoints, columns):
        hits = np.where(np.isnan(values), np.nan, values < self.threshold)
        share = lambda names: 100 * float(np.nanmean(hits[:, list(keypoints.places(names))]))
        scores = {column.name: share(column.keypoints) for column in columns}
        everything = share(keypoints.names)
        return Scores(scores, everything if self.kind == "all" else float(np.mean(list(scores.values()))))


class Bare(Near):
    "A metric without options."

    class Config(ComponentConfig):
        pass

    def __init__(self):
        super().__init__(convention="all", threshold=0.5)


class Halves(Split):
    "Upper and lower."

    def splits(self, skeleton, others):
        upper, lower = skeleton.select(["eye", "nose"]), skeleton.select(["nose", "chin"])
        return [
            KeypointSplit("down", (Step(upper), Step(lower)), reference={"transfer": {"nose": 90.0, "average": 80.5}}),
            KeypointSplit("up", (Step(lower), Step(upper))),
        ]


class Needy(Split):
    "Cannot be built without an option."

    class Config(ComponentConfig):
        times: int

    def __init__(self, *, times):
        self.times = times

    def splits(self, skeleton, others):
        return [KeypointSplit("down", (Step(skeleton.select(["eye"])), Step(skeleton.select(["chin"]))))] * self.times


@hookimpl
def kp_datasets():
    return {"faces": Faces, "plain": Plain}


@hookimpl
def kp_metrics():
    return {"near": Near, "bare": Bare}


@hookimpl
def kp_splits():
    return {"halves": Halves, "needy": Needy}
"""
STUDY = """
[dataset]
name = "faces"
[split]
name = "needy"
times = 1
[backbone]
name = "hourglass"
[codec]
name = "heatmap"
"""
TRUTH = np.array([[[20, 20], [40, 20], [30, 30], [30, 45]]]) + np.arange(5)[:, None, None]  # five rows, 0-based


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A registry of this one plugin."""
    folder = tmp_path_factory.mktemp("faces_plugin")
    (folder / "faces_plugin.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        return Registry([EntryPoint("faces", "faces_plugin", "kpcore")])


@pytest.fixture
def run(capsys, monkeypatch, known, tmp_path):
    """A function that runs kp in this process, with that plugin alone: (exit code, stdout, stderr)."""
    monkeypatch.setattr("kpcore.registry.registry", lambda: known)
    monkeypatch.delenv("KP_FACES_ROOT", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = kp.outcome([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "faces.txt").touch()
    return folder


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def fails_with(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("kp: error: ")
    for part in parts:
        assert part in err


def test_data_info_counts(run, root):
    code, out, err = run("data", "info", root, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "Read as 'faces'.\n")
    assert (found["dataset"], found["label"]) == ("faces", "Faces")
    train, valid = found["parts"]
    assert (train["part"], train["people"], train["images"]) == ("train", 3, 3)
    assert train["labelled"] == {"r_eye": 1, "l_eye": 1, "nose": 1, "chin": 1}
    assert train["visible"]["nose"] == 0
    assert valid["labelled"]["chin"] == pytest.approx(2 / 3)
    assert (train["side"], train["normaliser"]) == ([50, 50, 50], [10, 10, 10])
    assert "66.7 (66.7)" in run("data", "info", "--dataset", "faces", "--root", root, "--part", "valid")[1]


def test_data_is_found_by_study_folder_or_name(run, root, study):
    for arguments in (
        [study, "--root", root],
        [study, "--set", f"root={root}"],
        [study, "--set", f"dataset.root={root}"],
        [root, "--dataset", "faces"],
        ["--dataset", "faces", "--root", root],
        ["--dataset", "faces", "--set", f"root={root}"],
    ):
        code, out, _ = run("data", "info", *arguments, "--json")
        assert (code, json.loads(out)["label"]) == (0, "Faces"), arguments


def test_data_that_cannot_be_told_is_asked_for(run, root, study, tmp_path):
    fails_with(run("data", "info"), "give a study file, a data folder, or --dataset NAME with --root PATH")
    fails_with(run("data", "info", root, "--root", root), "drop one of them")
    fails_with(run("data", "info", study, "--dataset", "faces"), "drop --dataset faces")
    fails_with(run("data", "info", tmp_path), "no data set plugin reads it; ", "holds no faces.txt", "no plain.txt")
    fails_with(run("data", "info", tmp_path / "nowhere"), "nowhere: no such study file")
    fails_with(run("data", "info", "--dataset", "fcaes"), "unknown dataset 'fcaes'; did you mean 'faces'?")
    fails_with(run("data", "info", root, "--part", "test"), "unknown part 'test'", "(train, valid exist)")
    fails_with(run("data", "info", "--dataset", "faces", "--set", "rooot=x"), "did you mean 'root'?")
    (root / "plain.txt").touch()
    fails_with(run("data", "info", root), "can be read as faces, plain; say which with --dataset")


def test_data_check_says_what_makes_a_part_unusable(run, root):
    code, out, err = run("data", "check", root, "--quick")
    assert (code, err) == (0, "Read as 'faces'.\n")
    code, out, err = run("data", "check", root, "--dataset", "faces", "--set", "bad=true", "--part", "valid")
    assert (code, err) == (2, "kp: error: part 'valid': faces.txt, row 3: mended by nobody (2 such)\n")
    assert "mended by nobody" in out
    code, out, err = run("data", "check", root, "--dataset", "faces", "--set", "bad=true", "--json")
    errors = [f for f in json.loads(out)["findings"] if f["level"] == "error"]
    assert (code, [f["part"] for f in errors], len(err.splitlines())) == (2, ["train", "valid"], 2)


def test_data_show_draws_pairs_in_the_split_s_colours(run, root, tmp_path):
    sheet = tmp_path / "sheet.png"
    code, out, _ = run("data", "show", root, "--split", "down", "--count", "2", "--out", sheet)
    assert code == 0
    assert "2 people of Faces, part train, split down" in " ".join(out.split())
    image = cv2.imread(str(sheet))[..., ::-1]
    assert image.shape == (256 + 22 + 22, 2 * 512, 3)
    colours = {tuple(colour) for colour in image[:256, :256].reshape(-1, 3).tolist()}
    assert {(70, 160, 255), (255, 150, 30)} <= colours  # S1 alone, S2 alone
    assert any(g > r + 60 and g > b + 60 for r, g, b in colours)  # both, a ring of soft edges: the nose is hidden
    again = tmp_path / "again.png"
    run("data", "show", root, "--split", "down", "--count", "2", "--out", again)
    assert again.read_bytes() == sheet.read_bytes()
    run("data", "show", root, "--split", "down", "--count", "2", "--out", again, "--seed", "1")
    assert again.read_bytes() != sheet.read_bytes()


def test_data_show_refuses(run, root, tmp_path):
    fails_with(run("data", "show", root, "--out", "sheet.jpg"), "let the name end in .png")
    fails_with(run("data", "show", root, "--out", tmp_path / "no" / "sheet.png"), "No such file or directory")
    fails_with(run("data", "show", root, "--split", "dwon"), "unknown split 'dwon'; did you mean 'down'?")


def test_splits_list_tries_rules_without_options(run):
    code, out, _ = run("splits", "list", "--json")
    halves, needy = json.loads(out)["faces"]
    assert code == 0
    assert [split["name"] for split in halves["splits"]] == ["down", "up"]
    assert halves["splits"][0]["steps"] == [["r_eye", "l_eye", "nose"], ["nose", "chin"]]
    assert (needy["splits"], "times" in needy["reason"]) == ([], True)
    table = run("splits", "list")[1]
    assert "eye nose" in table
    assert "rule 'needy' gives none without options" in table


def test_splits_of_a_study_are_those_of_its_rule(run, study):
    (needy,) = json.loads(run("splits", "list", study, "--json")[1])["faces"]
    assert [(split["name"], split["columns"]) for split in needy["splits"]] == [("down", {"chin": ["chin"]})]


def test_splits_show(run, study):
    split = json.loads(run("splits", "show", "halves:down", "--json")[1])["faces"]
    assert (split["overlap"], split["unused"], split["average"]) == (["nose"], [], ["nose", "chin"])
    assert split["reference"] == {"transfer": {"nose": 90.0, "average": 80.5}}
    out = run("splits", "show", "down")[1]
    assert "80.50" in out
    assert "3: r_eye, l_eye, nose" in out
    assert "nose" in json.loads(run("splits", "show", "down", study, "--json")[1])["faces"]["unused"]
    fails_with(run("splits", "show", "dwn"), "unknown split 'dwn'; did you mean 'down'?", "(down, up exist)")


@pytest.fixture
def predictions(tmp_path):
    """A function that writes a file with ``preds`` and attributes."""

    def write(points, rows=None, **attributes):
        path = tmp_path / "preds.h5"
        with h5py.File(path, "w") as file:
            file["preds"] = points
            if rows is not None:
                file["rows"] = rows
            file.attrs.update(attributes)
        return path

    return write


@pytest.fixture
def evaluate(run, root):
    """A function that scores a file on the faces: its JSON."""

    def evaluate(path, *options):
        code, out, err = run("eval", path, "--dataset", "faces", "--root", root, "--json", *options)
        assert (code, err) == (0, "")
        return json.loads(out)

    return evaluate


def test_eval_says_what_it_measured(evaluate, predictions):
    found = evaluate(predictions(TRUTH + 1))
    assert found["columns"] == {"eye": 100, "nose": 100, "chin": 100}
    assert (found["average"], found["people"], found["part"], found["data"]) == (100, 3, "valid", "Faces")
    assert (found["metric"], found["convention"], found["threshold"]) == ("near", "all", 0.5)
    assert evaluate(predictions(TRUTH + 1), "--threshold", "0.25")["threshold"] == 0.25
    assert evaluate(predictions(TRUTH + 1), "--set", "metric.threshold=0.25")["threshold"] == 0.25


@pytest.mark.parametrize(
    ("shift", "attributes", "options"),
    [(1, {}, []), (0, {"origin": 0}, []), (0, {}, ["--origin", "0"]), (1, {"origin": 0}, ["--origin", "1"])],
)
def test_eval_takes_the_origin_from_option_file_or_annotation(evaluate, predictions, shift, attributes, options):
    found = evaluate(predictions(TRUTH + shift, **attributes), "--threshold", "0.05", *options)
    assert found["average"] == 100
    assert evaluate(predictions(TRUTH + shift - 1, **attributes), "--threshold", "0.05", *options)["average"] == 0


def test_eval_takes_rows_of_the_annotation_or_of_usable_people(evaluate, predictions):
    for points, rows in ((TRUTH, None), (TRUTH[[0, 2, 4]], None), (TRUTH[[4, 0]], [4, 0])):
        found = evaluate(predictions(points + 1, rows), "--threshold", "0.05")
        assert (found["average"], found["people"]) == (100, 2 if rows else 3)


def test_eval_takes_keypoints_by_name_in_any_order(evaluate, predictions):
    found = evaluate(predictions(TRUTH[:, [3, 0]] + 1, keypoints=["chin", "r_eye"]), "--threshold", "0.05")
    assert found["columns"] == {"eye": 100, "chin": 100}


def test_eval_with_a_split_scores_its_last_set_alone(evaluate, predictions):
    points = TRUTH + 1.0
    points[:, 1] += 50  # an eye that the split does not score
    points[2, 2] = np.nan  # one nose of three is missing
    found = evaluate(predictions(points), "--split", "down")
    assert found["columns"] == {"nose": pytest.approx(200 / 3), "chin": 100}
    assert found["average"] == pytest.approx(80)
    assert evaluate(predictions(points), "--split", "down", "--convention", "columns")["average"] == pytest.approx(
        (200 / 3 + 100) / 2
    )


def test_an_average_over_columns_needs_a_split_even_where_all_is_right(run, root, predictions):
    arguments = ["eval", predictions(TRUTH + 1), "--dataset", "faces", "--root", root, "--convention", "columns"]
    fails_with(run(*arguments), "'near columns' averages the columns of a split; give --split")


def test_eval_prints_a_table(run, root, predictions):
    code, out, _ = run("eval", predictions(TRUTH + 1), "--dataset", "faces", "--root", root)
    assert code == 0
    assert out.startswith("Faces, part valid, 3 people: near all\n")
    assert "average" in out


WRONG_FILES = {
    "people": (TRUTH[:2], {}, "'preds' holds 2 people, but the annotation has 5 rows (3 usable people)"),
    "keypoints": (TRUTH[:, :3], {}, "'preds' holds 3 keypoints a person and does not name them; give all 4"),
    "names": (TRUTH, {"keypoints": ["r_eye", "l_eye", "nose", "chn"]}, "unknown keypoint 'chn'; did you mean 'chin'?"),
    "dimensions": (np.zeros((5, 4, 3)), {}, "'preds' has 3D points, the data set has 2D"),
    "part": (TRUTH, {"part": "train"}, "holds predictions of part 'train'; give --part train"),
    "rows": (TRUTH[:1], {"rows": [1]}, "row 1 is no usable person of this part"),
}


@pytest.mark.parametrize(("points", "attributes", "message"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_eval_refuses_what_does_not_fit(run, root, predictions, points, attributes, message):
    fails_with(run("eval", predictions(points, **attributes), "--dataset", "faces", "--root", root), message)


def test_eval_refuses_wrong_options(run, root, predictions):
    path = predictions(TRUTH[:, 2:], keypoints=["nose", "chin"])
    arguments = ["eval", path, "--dataset", "faces", "--root", root]
    fails_with(run(*arguments, "--split", "up"), "holds no keypoint 'r_eye', which is scored (nose, chin exist)")
    fails_with(run(*arguments, "--metric", "bare", "--threshold", "1"), "--threshold: metric 'bare' has no such option")
    fails_with(run(*arguments, "--set", "metric.normaliser=box"), "--set metric.normaliser: metric 'near' has no such")
    fails_with(run(*arguments, "--metric", "nera"), "unknown metric 'nera'; did you mean 'near'?")
    fails_with(run(*arguments, "--part", "test"), "unknown part 'test'")
    fails_with(run(*arguments, "--split", "needy:down"), "unknown split 'needy:down'")
    fails_with(run(*arguments, "--origin", "2"), "--origin")
