"""``kp data``, ``kp splits`` and ``kp eval`` on a small data set that comes through an entry point of its own."""

import json
from importlib.metadata import EntryPoint

import cv2
import h5py
import numpy as np
import pytest

from kpcore.audit import show
from kpcore.audit.summary import summarise
from kpcore.cli import app as kp
from kpcore.config import Augmentation
from kpcore.data.geometry import AS_IS, Draw, crop_affine, draw_augmentation, order, warp
from kpcore.errors import KpError
from kpcore.interfaces import Facts
from kpcore.keypoints import Keypoint, KeypointSplit, Skeleton, Step
from kpcore.reading.skeletons import sided_keypoints
from kpcore.registry import Registry
from kpcore.samples import Sample
from kpcore.study import rules as splits
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

PLUGIN = """
from pathlib import Path
from typing import ClassVar

import numpy as np

from kpcore import hookimpl
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Dataset, Facts, Finding, Metric, Scores, Split
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

    facts = property(lambda self: Facts("Faces", FACE, ("train", "valid"), "ten pixels", "near", origin=1))

    def samples(self, part):
        return [self.sample(part, row) for row in (0, 2, 4)]

    def sample(self, part, row):
        image = np.full((60, 80, 3), 90, np.uint8)
        points = np.array([[20, 20], [40, 20], [30, 30], [30, 45]], np.float32) + row
        state = np.array([2, 2, 1, 2 if part == "train" or row else 0], np.uint8)
        points[state == 0] = np.nan
        return Sample(image, points, state, np.array([32, 32], np.float32), 50.0, 10.0, f"{part}{row}", "0", row)

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
    assert any(line.startswith("kp: error: ") for line in err.splitlines())
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
        [study, "--set", f"dataset.root={root}"],
        [root, "--dataset", "faces"],
        ["--dataset", "faces", "--root", root],
        ["--dataset", "faces", "--set", f"root={root}"],
        ["--dataset", "faces", "--set", f"dataset.root={root}"],
    ):
        code, out, _ = run("data", "info", *arguments, "--json")
        assert (code, json.loads(out)["label"]) == (0, "Faces"), arguments


def test_data_that_cannot_be_told_is_asked_for(run, root, study, tmp_path):
    fails_with(run("data", "info"), "give a study file, a data folder, or --dataset NAME with --root PATH")
    fails_with(run("data", "info", root, "--root", root), "drop one of them")
    fails_with(run("data", "info", study, "--dataset", "faces"), "drop --dataset faces")
    fails_with(run("data", "info", tmp_path), "no data set plugin reads it; it is like no known layout", "--verbose")
    verbose = run("data", "info", tmp_path, "--verbose")
    fails_with(verbose, "no data set plugin reads it; ", "faces: ", "holds no faces.txt", "no plain.txt")
    fails_with(run("data", "info", tmp_path / "nowhere"), "nowhere: no such study file")
    fails_with(run("data", "info", "--dataset", "fcaes"), "unknown dataset 'fcaes'; did you mean 'faces'?")
    fails_with(run("data", "info", root, "--part", "test"), "unknown part 'test'", "(train, valid exist)")
    fails_with(run("data", "info", "--dataset", "faces", "--set", "rooot=x"), "did you mean 'root'?")
    fails_with(run("data", "info", study, "--set", f"root={root}"), "unknown key 'root'")
    (root / "plain.txt").touch()
    fails_with(run("data", "info", root), "can be read as faces, plain; say which with --dataset", "--dataset plain")


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
    assert "2 samples of Faces, part train, split down" in " ".join(out.split())
    image = cv2.imread(str(sheet))[..., ::-1]
    assert image.shape == (256 + 22 + 22, 2 * 512, 3)
    colours = {tuple(colour) for colour in image[:256, :256].reshape(-1, 3).tolist()}
    assert {(86, 180, 233), (230, 159, 0)} <= colours  # S1 alone, S2 alone
    assert any(g > r + 60 and g > b + 20 for r, g, b in colours)  # both, a ring of soft edges: the nose is hidden
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
    overview = run("splits", "list")[1]
    assert ("down, up" in overview, "needy" in overview) == (True, False)
    table = run("splits", "list", "faces")[1]
    assert "eye nose" in table
    assert "rule 'needy' gives none without options" in table
    fails_with(run("splits", "list", "fases"), "fases: no such study file")


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
    assert evaluate(predictions(TRUTH + 1), "--set", "evaluation.metric.threshold=0.25")["threshold"] == 0.25


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


def test_an_average_over_columns_needs_a_split_even_where_all_is_right(run, root, evaluate, predictions):
    path = predictions(TRUTH + 1)
    found = evaluate(path, "--convention", "columns")
    assert (found["columns"], found["average"]) == ({"eye": 100, "nose": 100, "chin": 100}, None)
    assert found["note"].startswith("no average: 'near columns' averages the columns of a split")
    code, out, _ = run("eval", path, "--dataset", "faces", "--root", root, "--convention", "columns")
    assert code == 0
    assert "average" not in out.partition("no average:")[0]


def test_eval_takes_data_and_splits_of_a_study(run, root, study, predictions):
    path, asked = predictions(TRUTH + 1), ["--study", study, "--root", root]
    code, out, err = run("eval", path, *asked, "--split", "down", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["columns"], found["data"], found["split"]) == ({"chin": 100}, "Faces", "down")  # not that of 'halves'
    fails_with(run("eval", path, *asked, "--dataset", "faces"), "a study file names its own data set")
    fails_with(run("eval", path), "give --dataset NAME, or --study STUDY.toml")
    fails_with(run("eval", path, *asked, "--split", "dwn"), "unknown split 'dwn'; did you mean 'down'")


def test_eval_with_a_study_measures_as_the_study_does(run, root, study, predictions):
    study.write_text(study.read_text() + '[evaluation.metric]\nname = "near"\nthreshold = 0.25\n')
    asked = ["eval", predictions(TRUTH + 1), "--study", study, "--root", root, "--json"]
    for more, threshold in (([], 0.25), (["--threshold", "0.1"], 0.1), (["--metric", "near"], 0.5)):
        assert json.loads(run(*asked, *more)[1])["threshold"] == threshold


def test_eval_with_a_study_knows_keypoints_by_its_names(run, root, study, predictions):
    study.write_text(study.read_text().replace('name = "faces"', 'name = "faces"\naliases = { nose = "snout" }', 1))
    path = predictions(TRUTH[:, 2:] + 1, keypoints=["snout", "chin"])
    code, out, _ = run("eval", path, "--study", study, "--root", root, "--json")
    assert (code, json.loads(out)["columns"], json.loads(out)["not_scored"]) == (0, {"chin": 100}, ["snout"])
    path = predictions(TRUTH[:, 2:] + 1, keypoints=["nose", "chin"])
    fails_with(run("eval", path, "--study", study, "--root", root), "unknown keypoint 'nose'")


def test_eval_with_a_study_scores_its_only_split_and_says_so(run, root, study, predictions):
    asked = ["eval", predictions(TRUTH + 1), "--study", study, "--root", root]
    found = json.loads(run(*asked, "--json")[1])
    assert (found["split"], found["columns"], found["keypoints"]) == ("down", {"chin": 100}, ["chin"])
    assert found["not_scored"] == ["r_eye", "l_eye", "nose"]
    head, scored, rest, _ = run(*asked)[1].split("\n", 3)
    assert head == "Faces, part valid, 3 samples: near all"
    assert scored == "Scored: 1 keypoints, the last set of split 'down': chin"
    assert rest == "Predicted, but not scored: r_eye, l_eye, nose"


def test_eval_with_a_study_of_several_splits_wants_one_named(run, root, study, predictions):
    study.write_text(study.read_text().replace('"needy"\ntimes = 1', '"halves"'))
    asked = ["eval", predictions(TRUTH + 1), "--study", study, "--root", root]
    told = f"{study}: has 2 splits; --split NAME says whose last set is scored (down, up exist)"
    fails_with(run(*asked), told)
    assert json.loads(run(*asked, "--split", "up", "--json")[1])["keypoints"] == ["r_eye", "l_eye", "nose"]


def test_eval_counts_samples_without_a_value(run, root, predictions, monkeypatch, known):
    near = known.component("metric", "near")
    whole = near.values

    def unmeasured(self, predicted, people, keypoints):
        values = whole(self, predicted, people, keypoints)
        values[:2] = np.nan
        return values

    monkeypatch.setattr(near, "values", unmeasured)
    asked = ["eval", predictions(TRUTH + 1), "--dataset", "faces", "--root", root]
    assert json.loads(run(*asked, "--json")[1])["without_value"] == 2
    assert "Left out: 2 samples with labels that the metric gives no value" in run(*asked)[1]


def test_eval_heads_the_average_as_the_metric_does(run, root, predictions, monkeypatch, known):
    asked = ["eval", predictions(TRUTH + 1), "--dataset", "faces", "--root", root]
    for name, told in (("AP", "AP"), ("nose", "nose (all)")):
        monkeypatch.setattr(known.component("metric", "near"), "average_name", name)
        rows = [line.split("  ")[0].strip() for line in run(*asked)[1].splitlines()]
        assert rows[rows.index("eye") :][:4] == ["eye", "nose", "chin", told]


def test_eval_prints_a_table(run, root, predictions):
    code, out, _ = run("eval", predictions(TRUTH + 1), "--dataset", "faces", "--root", root)
    assert code == 0
    told = "Scored: 4 keypoints, all that are predicted: r_eye, l_eye, nose, chin"
    assert out.startswith(f"Faces, part valid, 3 samples: near all\n{told}\n\n")
    assert "Average" in out


WRONG_FILES = {
    "people": (TRUTH[:2], {}, "'preds' holds 2 people, but this part has 3 usable people"),
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


# --- the sheet, from people made here ---------------------------------------------------------------------------------

HEAD = Skeleton(
    "head",
    (Keypoint("r_ear", "l_ear"), Keypoint("nose"), Keypoint("l_ear", "r_ear"), Keypoint("chin")),
    (("r_ear", "nose"), ("nose", "chin")),
)
PARTED = KeypointSplit("parted", (Step(HEAD.select(["r_ear", "nose"])), Step(HEAD.select(["nose", "l_ear"]))))
HERE = np.array([[1.0, 0, 0], [0, 1, 0]])
WHITE = np.full((80, 80, 3), 255, np.uint8)
BLUE, ORANGE, GREEN, GREY = (86, 180, 233), (230, 159, 0), (0, 158, 115), (190, 190, 190)
PAPER, EDGE = (24, 24, 24), (235, 235, 235)


@pytest.mark.parametrize(("names", "flip", "told"), [
    (("nose", "tail"), 0, "not mirrored: no mirror pair is known"),
    (("l_ear", "r_ear", "left_paw"), 0, "not mirrored: 'left_paw' without a mirror partner"),
    (("left_paw", "nose"), 0, "not mirrored: 'left_paw' without a mirror partner"),
    (("l_ear", "r_ear", "nose"), 0.5, ""), (("nose",), 0.5, ""),
])  # fmt: skip
def test_a_sheet_without_a_study_mirrors_only_what_a_study_could(names, flip, told):
    kept, why = show.without_unsure_flips(Augmentation(), Skeleton("some", sided_keypoints(names)))
    assert (kept, why) == (Augmentation(flip=flip), told)
    off = Augmentation(flip=0.0)
    assert show.without_unsure_flips(off, Skeleton("some", sided_keypoints(names))) == (off, "")


def test_data_show_mirrors_as_a_study_says_and_else_where_partners_are_known(run, root, study, monkeypatch, known):
    pairless = Skeleton("face", tuple(Keypoint(name) for name in ("r_eye", "l_eye", "nose", "chin")))
    faces = known.component("dataset", "faces")
    facts = property(lambda self: Facts("Faces", pairless, ("train", "valid"), "ten pixels", "near", origin=1))
    asked = ["data", "show", root, "--out", "sheet.png"]
    assert "rotation 30, flip 0.5\n" in run(*asked)[1]
    monkeypatch.setattr(faces, "facts", facts)
    told = "rotation 30; not mirrored: 'r_eye', 'l_eye' without a mirror partner"
    assert " ".join(run(*asked)[1].split()).endswith(told)
    study.write_text(study.read_text() + "[training.augmentation]\nflip = 0.4\n")
    monkeypatch.setattr(known.component("split", "needy"), "splits", lambda self, skeleton, others: [down(skeleton)])
    assert "rotation 30, flip 0.4\n" in run("data", "show", study, "--root", root, "--out", "sheet.png")[1]


def down(skeleton):
    return KeypointSplit("down", (Step(skeleton.select(["nose"])), Step(skeleton.select(["chin"]))))


def member(points=((10, 20), (30.4, 40.6), (50, 20), (60, 70)), states=(VISIBLE,) * 4, row=3, image=WHITE):
    return Sample(
        image, np.array(points, np.float32), np.array(states, np.uint8), np.array([40, 40], np.float32), 64.0, 10.0,
        f"picture{row}", "0", row,
    )  # fmt: skip


NOBODY = member(states=(UNLABELLED,) * 4)


def test_a_keypoint_has_the_colour_of_its_sets():
    look = show.Look(HEAD, PARTED)
    assert [look.group(name) for name in HEAD.names] == ["S1", "S1 and S2", "S2", "other"]
    assert [show.Look(HEAD).group(name) for name in HEAD.names] == ["other"] * 4
    assert {"S1": BLUE, "S2": ORANGE, "S1 and S2": GREEN, "other": GREY} == show.LEGEND
    assert look.size == 256


def test_samples_are_chosen_by_the_seed():
    everybody = list(range(20))
    assert show.choose(everybody, 4, 7) == order(7, 0, 20)[:4].tolist()
    assert show.choose(everybody, 4, 8) != show.choose(everybody, 4, 7)
    assert sorted(show.choose(everybody, 50, 7)) == everybody


def test_marks_are_labelled_points_to_the_nearest_pixel():
    some = member(states=(VISIBLE, HIDDEN, UNLABELLED, VISIBLE))
    assert show.marks(some, show.Look(HEAD), HERE, flip=False) == {
        "r_ear": show.Mark((10, 20), False), "nose": show.Mark((30, 41), True), "chin": show.Mark((60, 70), False),
    }  # fmt: skip


def test_in_a_mirrored_picture_a_mark_has_its_partners_name():
    found = show.marks(member(), show.Look(HEAD), HERE, flip=True)
    assert {name: mark.place for name, mark in found.items()} == {
        "l_ear": (10, 20), "nose": (30, 41), "r_ear": (50, 20), "chin": (60, 70),
    }  # fmt: skip


@pytest.mark.parametrize(("x", "y", "drawn"), [(511, -511, True), (512, 0, False), (0, -512, False), (-511, 0, True)])
def test_marks_eight_sizes_away_are_left_out(x, y, drawn):
    found = show.marks(member(((x, y), *[(5, 5)] * 3)), show.Look(HEAD, size=64), HERE, flip=False)
    assert ("r_ear" in found) == drawn


@pytest.mark.parametrize(("size", "radius"), [(64, 2), (128, 2), (256, 4), (640, 10)])
@pytest.mark.parametrize("hidden", [True, False])
def test_a_hidden_mark_is_a_ring_and_others_are_discs(size, radius, hidden, monkeypatch):
    monkeypatch.setattr(show, "NUMBERED", 0)
    canvas = np.zeros((41, 41, 3), np.uint8)
    show.draw_skeleton(canvas, show.Look(HEAD, PARTED, size=size), {"r_ear": show.Mark((20, 20), hidden)})
    assert (tuple(canvas[20, 20]) == BLUE) != hidden
    expected = cv2.circle(np.zeros_like(canvas), (20, 20), radius, BLUE, 1 if hidden else -1, cv2.LINE_AA)
    np.testing.assert_array_equal(canvas, expected)


def test_left_marks_have_a_ring_and_every_mark_its_number(monkeypatch):
    def drawn(name, place=(30, 30)):
        canvas = np.zeros((61, 61, 3), np.uint8)
        show.draw_skeleton(canvas, show.Look(HEAD, PARTED, size=64), {name: show.Mark(place, False)})
        return canvas

    numbers = [drawn(name) for name in HEAD.names]
    beside = [canvas[20:30, 34:44] for canvas in numbers]
    assert all(one.any() for one in beside)
    assert all((one != other).any() for place, one in enumerate(beside) for other in beside[:place])
    assert drawn("chin", (60, 0))[:12, 40:56].any(), "beside a mark at the edge it stands on the other side"
    monkeypatch.setattr(show, "NUMBERED", 0)
    white = [int((drawn(name) > 240).all(-1).sum()) for name in HEAD.names]
    assert white[HEAD.names.index("l_ear")] > 0 == sum(white) - white[HEAD.names.index("l_ear")]


@pytest.mark.parametrize(("width", "end"), [(400, "folder/picture.png"), (90, "re.png"), (3, "")])
def test_a_text_that_does_not_fit_loses_its_beginning(width, end):
    found = show.fitted("folder/picture.png", width)
    assert found.endswith(end)
    assert show.text_width(found) <= width or found == "..."
    assert found.startswith("...") == (width < 400)


def test_marks_of_different_sets_differ_in_shape():
    drawn = []
    for word in show.LEGEND:
        canvas = np.zeros((41, 41, 3), np.uint8)
        show.draw_mark(canvas, show.Mark((20, 20), False), word, 8)
        assert tuple(canvas[20, 20]) == show.LEGEND[word]
        drawn.append(canvas.any(-1))
    for place, one in enumerate(drawn):
        assert all((one ^ other).sum() > 40 for other in drawn[:place])


def test_an_edge_is_drawn_between_two_marks_and_below_them(monkeypatch):
    monkeypatch.setattr(show, "NUMBERED", 0)
    canvas = np.zeros((60, 60, 3), np.uint8)
    found = {"r_ear": show.Mark((10, 30), False), "nose": show.Mark((50, 30), False)}
    show.draw_skeleton(canvas, show.Look(HEAD, size=64), found)
    expected = cv2.line(np.zeros_like(canvas), (10, 30), (50, 30), EDGE, 1, cv2.LINE_AA)
    for x in (10, 50):
        show.draw_mark(expected, show.Mark((x, 30), False), "other", 2)
    np.testing.assert_array_equal(canvas, expected)
    alone = np.zeros((60, 60, 3), np.uint8)
    show.draw_skeleton(alone, show.Look(HEAD, size=64), {"r_ear": show.Mark((10, 30), False)})
    assert not alone[:, 20:].any()


@pytest.mark.parametrize(
    "draw",
    [AS_IS, Draw(0.8, 30.0, True, (0.5, 1.0, 2.0), (0.1, -0.2)), Draw(1.3, -20.0, False, (1, 0.25, 1), (0, 0.3))],
)
def test_a_picture_is_the_crop_under_the_draw_in_a_frame(draw):
    image = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    affine = crop_affine(
        (40.0, 40.0), 64.0, 64, scale=draw.scale, rotation=draw.rotation, flip=draw.flip, shift=draw.shift
    )
    expected = (warp(image, affine, 64) * np.array(draw.colour)).clip(0, 255).astype(np.uint8)
    found = show.picture(image, NOBODY, show.Look(HEAD, size=64), draw)
    np.testing.assert_array_equal(found[1:-1, 1:-1], expected[1:-1, 1:-1])
    assert {tuple(pixel) for side in (found[0], found[-1], found[:, 0], found[:, -1]) for pixel in side} == {PAPER}


def test_marks_lie_where_the_picture_was_warped_to():
    found = show.picture(np.zeros((80, 80, 3), np.uint8), member(), show.Look(HEAD, PARTED, size=64), Draw(flip=True))
    assert tuple(found[12, 63 - 42]) == BLUE  # l_ear at (42, 12) of the crop: mirrored, it is the right one
    assert tuple(found[12, 63 - 2]) == ORANGE


def line(width, *words):
    """A line of text on paper: (text, left, colour)."""
    canvas = np.full((22, width, 3), PAPER, np.uint8)
    for text, left, colour in words:
        cv2.putText(canvas, text, (left, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return canvas


def width_of(text):
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)[0][0]


def test_a_pair_is_as_it_is_and_as_augmented_over_a_line_that_names_it(tmp_path):
    look, draw = show.Look(HEAD, PARTED, size=64), Draw(rotation=40.0)
    image = np.random.default_rng(1).integers(0, 256, (80, 80, 3), np.uint8)
    pair = show.pair(member(image=image), look, draw)
    assert pair.shape == (64 + 22, 128, 3)
    np.testing.assert_array_equal(pair[:64, :64], show.picture(image, member(), look, AS_IS))
    np.testing.assert_array_equal(pair[:64, 64:], show.picture(image, member(), look, draw))
    np.testing.assert_array_equal(pair[64:], line(128, ("picture3  row 3", 6, GREY)))
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    np.testing.assert_array_equal(show.pair(member(image=tmp_path / "a.png"), look, draw), pair)


@pytest.mark.parametrize(("people", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 3), (7, 3, 3)])
def test_a_sheet_has_three_pairs_a_row_and_a_legend(people, rows, columns):
    look, augmentation = show.Look(HEAD, size=32), Augmentation()
    image = np.random.default_rng(2).integers(0, 256, (80, 80, 3), np.uint8)
    samples = [member(row=row, image=image) for row in range(people)]
    sheet = show.contact_sheet(samples, look, augmentation, seed=5)
    below = show.legend(columns * 64, look, augmentation).shape[0]
    assert sheet.shape == (rows * (32 + 22) + below, columns * 64, 3)
    for place in range(rows * columns):
        top, left = 54 * (place // columns), 64 * (place % columns)
        found = sheet[top : top + 54, left : left + 64]
        if place < people:
            draw = draw_augmentation(5, 0, place, augmentation)
            np.testing.assert_array_equal(found, show.pair(samples[place], look, draw))
        else:
            assert (found == PAPER).all()
    np.testing.assert_array_equal(sheet[-below:], show.legend(columns * 64, look, augmentation))


def test_the_legend_names_every_keypoint_and_takes_the_lines_that_it_needs():
    wide, narrow = (show.legend(width, show.Look(HEAD, PARTED), Augmentation()) for width in (1200, 200))
    assert (wide.shape, narrow.shape[1]) == ((22, 1200, 3), 200)
    assert narrow.shape[0] > 3 * 22
    for colour in (BLUE, GREEN, ORANGE, GREY):
        assert (wide == colour).all(-1).any() and (narrow == colour).all(-1).any()
    assert (wide[:, -40:] == PAPER).all() and (narrow[:, -1] == PAPER).all(), "nothing is cut off"
    texts = [text for text, _ in show._entries(show.Look(HEAD, PARTED), Augmentation())]
    assert texts[:8] == ["S1", "1 r_ear", "S1 and S2", "2 nose", "S2", "3 l_ear", "other", "4 chin"]
    assert texts[8:] == [
        "outline: hidden;", "white ring: left;",
        "right of each pair: augmented (scale 0.75 to 1.25, rotation 30, flip 0.5)",
    ]  # fmt: skip


def test_letters_that_cannot_be_drawn_are_question_marks():
    canvas = line(200)
    assert show.write(canvas, "köpfe", 9, GREY) == 9 + width_of("k?pfe")
    np.testing.assert_array_equal(canvas, line(200, ("k?pfe", 9, GREY)))


def test_a_sheet_is_written_in_rgb_whatever_the_case_of_png(tmp_path):
    image = np.zeros((4, 5, 3), np.uint8)
    image[:] = (200, 100, 50)
    show.write_png(tmp_path / "a.PNG", image)
    assert cv2.imread(str(tmp_path / "a.PNG"))[2, 2].tolist() == [50, 100, 200]
    with pytest.raises(KpError, match=r"a\.pn: the sheet is a PNG; let the name end in \.png"):
        show.write_png(tmp_path / "a.pn", image)


# --- parts in numbers, and splits by name -----------------------------------------------------------------------------


def test_a_part_in_numbers():
    states = [(VISIBLE, HIDDEN, UNLABELLED, VISIBLE), (VISIBLE, VISIBLE, UNLABELLED, HIDDEN)]
    people = [member(states=states[row % 2], row=row) for row in range(4)]
    people = [Sample(**{**vars(one), "side": 10.0 * row, "image_id": str(row // 2)}) for row, one in enumerate(people)]
    people[3] = Sample(**{**vars(people[3]), "normaliser": float("inf")})
    found = summarise("valid", people, HEAD)
    assert (found.part, found.people, found.images) == ("valid", 4, 2)
    assert found.labelled == {"r_ear": 1, "nose": 1, "l_ear": 0, "chin": 1}
    assert found.visible == {"r_ear": 1, "nose": 0.5, "l_ear": 0, "chin": 0.5}
    assert found.side == pytest.approx((1.5, 15.0, 28.5))  # 5, 50 and 95 percent between 0 and 30
    assert found.normaliser == (10.0, 10.0, 10.0)  # what is not finite is left out
    nobody = summarise("train", [], HEAD)
    assert (nobody.part, nobody.people, nobody.images) == ("train", 0, 0)
    assert (nobody.labelled, nobody.visible, nobody.side, nobody.normaliser) == ({}, {}, (), ())
    lost = summarise("train", [Sample(**{**vars(people[0]), "side": float("nan")})], HEAD)
    assert lost.side == ()


def rule(name, *names):
    made = (Step(HEAD.select(["nose"])), Step(HEAD.select(["chin"])))
    return splits.RuleSplits(name, tuple(KeypointSplit(one, made) for one in names))


def test_a_split_is_picked_by_its_name_or_with_its_rules():
    here, there = [rule("halves", "up", "down"), rule("paper", "up")], [rule("halves", "left", "down")]
    both = {"faces": here, "bodies": there}
    assert {name: split.name for name, split in splits.pick(both, "down").items()} == {
        "faces": "down", "bodies": "down",
    }  # fmt: skip
    assert list(splits.pick(both, "left")) == ["bodies"]
    assert list(splits.pick(both, "paper:up")) == ["faces"]
    with pytest.raises(KpError, match=r"^split 'up' is given by more than one rule; say which: halves:up, paper:up$"):
        splits.pick(both, "up")
    with pytest.raises(KpError, match=r"^unknown split 'dwon'; did you mean 'down'\? \(up, down, left exist\)$"):
        splits.pick(both, "dwon")
