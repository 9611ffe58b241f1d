"""``kp eval A.h5 B.h5``: two files in the public format beside each other, as sacrebleu does two systems."""

import json
import re

import h5py
import numpy as np
import pytest

from kpcore.cli.app import outcome

PEOPLE = 60


@pytest.fixture
def files(tmp_path, monkeypatch, write_mpii):
    """A folder with MPII's layout and predictions in it: (N, 16, 2) pixels counted from 1, nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")  # words are not broken
    root = write_mpii(tmp_path / "data", 3, train=2, valid=PEOPLE)
    with h5py.File(root / "annot" / "valid.h5") as file:
        truth = file["part"][()]
    random = np.random.default_rng(0)
    noise = random.standard_normal(truth.shape)
    worse = truth + 6 * np.where(random.random((PEOPLE, 1, 1)) < 0.5, noise, 0.2 * noise)
    for name, points in {"good": truth + 0.5 * noise, "same": truth + 0.5 * noise, "worse": worse}.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["preds"] = points
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["preds"], file["rows"] = truth[:7], np.arange(7)
    return tmp_path


def kp(capsys, *words):
    code = outcome(["eval", *words, "--dataset", "mpii", "--root", "data", "--split", "a"])
    out, err = capsys.readouterr()
    return code, out, err


def test_one_file_has_intervals_and_a_signature(files, capsys):
    code, out, _ = kp(capsys, "worse.h5", "--json")
    found = json.loads(out)
    assert code == 0 and set(found["intervals"]) == {*found["columns"], "average"}
    for name, value in {**found["columns"], "average": found["average"]}.items():
        low, high = found["intervals"][name]
        assert low < value < high
    assert found["signature"].startswith(
        "PCKh@0.5 kptransfer | MPII, list newell, part valid | n 60 | 60 images | given these"
    )
    assert str(files) not in found["signature"]
    _, out, _ = kp(capsys, "worse.h5")
    low, high = found["intervals"]["average"]
    assert f"{low:.2f} to {high:.2f}" in out and "n 60 | 60 images" in " ".join(out.split())


def test_files_are_compared_with_the_first_pair_by_pair(files, capsys):
    code, out, _ = kp(capsys, "good.h5", "worse.h5", "same.h5", "--json", "--margin", "0.5")
    found = json.loads(out)
    assert code == 0 and found["baseline"] == "good.h5" and list(found["files"]) == ["good.h5", "worse.h5", "same.h5"]
    by = {(one["file"], one["column"]): one for one in found["differences"]}
    assert len(by) == 2 * 5
    expected = found["files"]["worse.h5"]["average"] - found["files"]["good.h5"]["average"]
    worse, same = by["worse.h5", "average"], by["same.h5", "average"]
    assert worse["difference"] == pytest.approx(expected, abs=1e-3) and worse["verdict"] == "negative"
    assert worse["interval"][0] < expected < worse["interval"][1] < 0 and not worse["no_worse"]
    assert (same["difference"], same["interval"], same["verdict"]) == (0, [0, 0], "identical") and same["no_worse"]


def test_the_comparison_is_printed_in_words(files, capsys):
    _, out, _ = kp(capsys, "good.h5", "worse.h5", "--margin", "0.5")
    shown = " ".join(out.split())
    assert "worse.h5 minus good.h5, paired by sample; p values corrected for 5 differences:" in shown
    assert "negative" in shown and "no worse by 0.5" in shown and "not shown" in shown


def test_eighty_columns_break_no_word(files, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    long = "worse_than_any_other_network_that_was_ever_trained_on_these_images_and_scored.h5"
    (files / "worse.h5").rename(files / long)
    _, out, _ = kp(capsys, "good.h5", long, "same.h5", "--margin", "0.5")
    assert max(map(len, out.split("\n"))) <= 80
    assert "Identical, sample by sample, to good.h5, and not counted: same.h5." in " ".join(out.split())
    assert out.count(" negative ") == 5 and out.count(" not shown ") == 5 and out.count(" identical ") == 5
    parts = re.findall(r"^ (\w*?(?:_|\.h5)) ", out, re.MULTILINE)  # of the file's name, in the table of scores
    assert len(parts) >= 10 and set("".join(parts).replace(".h5", "_").split("_")) <= {
        *long[:-3].split("_"),
        "same",
        "good",
        "",
    }


def named(folder, name, names, points):
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["preds"], file.attrs["keypoints"] = points, names


LEGS, REST = ["r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "thorax"], [
    "upper_neck", "head_top", "r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist"
]  # fmt: skip


def without_split(capsys, *words):
    code = outcome(["eval", *words, "--dataset", "mpii", "--root", "data"])
    return code, *capsys.readouterr()


def test_files_of_other_keypoints_are_compared_on_those_that_all_have(files, capsys):
    with h5py.File(files / "good.h5") as file:
        points = file["preds"][()]
    named(files, "legs", LEGS, points[:, :8])
    named(files, "mixed", [*REST[::-1], "l_ankle", "r_ankle"], points[:, [*range(15, 7, -1), 5, 0]])
    code, out, err = without_split(capsys, "legs.h5", "mixed.h5", "--json")
    found = json.loads(out)
    assert code == 0, err
    assert [one["keypoints"] for one in found["files"].values()] == [["r_ankle", "l_ankle"]] * 2
    assert {(one["column"], one["difference"]) for one in found["differences"]} == {
        ("ankle", 0.0)
    }  # named, so in order
    _, out, _ = without_split(capsys, "legs.h5", "mixed.h5")
    shown = " ".join(out.split())
    assert "legs.h5 also predicts r_knee, r_hip," in shown and "mixed.h5 also predicts upper_neck," in shown
    code, out, _ = without_split(capsys, "good.h5", "legs.h5", "--json")  # another number of points
    assert code == 0 and json.loads(out)["files"]["good.h5"]["not_scored"] == REST


def test_files_without_a_keypoint_in_common_are_refused(files, capsys):
    named(files, "legs", LEGS, np.zeros((PEOPLE, 8, 2)))
    named(files, "rest", REST, np.zeros((PEOPLE, 8, 2)))
    code, out, err = without_split(capsys, "legs.h5", "rest.h5")
    assert (code, out) == (2, "")
    assert "no keypoint is in all files: legs.h5 has r_ankle," in " ".join(err.split())


def test_a_file_twice_and_a_margin_without_end_are_refused(files, capsys):
    for words, text in ((("good.h5", "good.h5"), "good.h5 is there twice; give every file once"),
                        (("good.h5", "same.h5", "--margin", "inf"), "--margin inf: is no number")):  # fmt: skip
        code, _, err = kp(capsys, *words)
        assert code == 2 and text in err and err.count("\n") == 1


def test_other_people_are_not_compared(files, capsys):
    code, _, err = kp(capsys, "good.h5", "some.h5")
    assert code == 2 and "some.h5 predicts 7 people and good.h5 60" in err


def test_what_was_scored_on_generated_people_says_sample_data(tmp_path, tiny_study, capsys):
    generated = '[dataset.generate]\nname = "people"\npeople = 4\nvalid = 4\nsize = 48\n\n[split]\n'
    study = tmp_path / "study.toml"
    study.write_text(tiny_study.replace("[split]\n", generated))
    with h5py.File(tmp_path / "preds.h5", "w") as file:
        file["preds"] = np.full((4, 16, 2), 20.0)
    words = ["--study", str(study), "--split", "d", "--origin", "0"]
    assert outcome(["eval", str(tmp_path / "preds.h5"), *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == "sample data (MPII layout)"
    assert outcome(["eval", str(tmp_path / "preds.h5"), *words]) == 0
    out = capsys.readouterr().out
    assert out.startswith("sample data (MPII layout), part valid") and "MPII, list" not in out
