"""A folder that no data set reads: the nearest layout, what is missing, and a command, in three lines."""

import json
import shlex
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from kpcore.cli.app import outcome
from kpcore.config import parse_sets
from kpcore.errors import KpError
from kpcore.interfaces import Dataset, Near
from kpcore.registry import registry
from kpcore.study import recognise
from kpcore.study.recognise import assignments
from kpcore.study.source import Request, open_request


def refusal(root, **more):
    with pytest.raises(KpError) as caught:
        open_request(Request(root, **more), registry(), lambda text: None)
    return [str(caught.value), *caught.value.more]


def pictures(folder, count=12):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 40, 3), 9, np.uint8))


def coco(path, points=6, count=12):
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in range(count)],
        "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"]}],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 200, "iscrowd": 0,
             "keypoints": [10, 10, 2, 20, 20, 2][:points]} for number in range(count)
        ],
    }  # fmt: skip
    path.write_text(json.dumps(held))


@pytest.mark.parametrize(("file", "images"), [("ann.json", "images"), ("labels/cats.json", "."), ("a.json", "d/e f")])
def test_files_of_cocos_format_elsewhere_are_read_by_the_command_that_is_told(tmp_path, file, images, capsys):
    coco(tmp_path / file)
    pictures(tmp_path / images)
    first, missing, command = refusal(tmp_path)
    assert "no data set plugin reads it; nearest is coco: People" in first
    assert "missing: annotations/person_keypoints_train2017.json" in missing
    assert f"{file} is there" in missing
    told, _, words = command.partition(": ")
    assert told == "this reads it"
    assert outcome(shlex.split(words)[1:]) == 0
    assert "COCO format, cat" in capsys.readouterr().out


def test_two_files_are_the_two_parts(tmp_path):
    for part in ("train", "val"):
        coco(tmp_path / f"cats_{part}.json")
        pictures(tmp_path / "pics")
    assert refusal(tmp_path)[2].endswith(
        "--set train_annotations=cats_train.json --set train_images=pics"
        " --set valid_annotations=cats_val.json --set valid_images=pics"
    )


def test_a_file_that_options_find_and_that_is_damaged_says_so(tmp_path):
    coco(tmp_path / "ann.json", points=5)
    pictures(tmp_path / "images")
    _, missing, command = refusal(tmp_path)
    assert "with the options below it says: " in missing
    assert "], 'keypoints': expected 6 numbers" in missing
    assert command.startswith("then try: kp data check")


def test_named_keypoints_under_another_name(tmp_path):
    (tmp_path / "my file.csv").write_text("image,nose_x,nose_y\na.png,1,2\n")
    _, missing, command = refusal(tmp_path)
    assert "keypoints.csv" in missing
    assert command.endswith("--dataset named --set 'annotation=my file.csv'")


@pytest.mark.parametrize(("there", "name", "missing"), [
    (["labeled-data/day1/"], "deeplabcut", "CollectedData"),
    (["labels/"], "yolo", "data.yaml"),
    (["annot/"], "mpii", "annot/train.h5"),
    (["joints.mat"], "lspet", "images/im0001.jpg"),
    (["WFLW_images/"], "wflw", "list_98pt_rect_attr_train.txt"),
    (["COFW_train_color.mat"], "cofw", "COFW_test_color.mat"),
    (["helen/", "lfpw/"], "300w", ".pts"),
    (["train.csv"], "landmarks", "train*/"),
])  # fmt: skip
def test_the_nearest_layout_says_what_it_misses(tmp_path, there, name, missing):
    for one in there:
        path = tmp_path / one
        path.mkdir(parents=True) if one.endswith("/") else path.touch()
    first, told, command = refusal(tmp_path)
    assert f"nearest is {name}: " in first
    assert told.startswith("missing: ") and missing in told
    assert command.endswith(f"--dataset {name}")


def test_a_layout_that_is_all_there_says_itself_what_is_wrong(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_text("train: images\nkpt_shape: [3]\n")
    _, told, _ = refusal(tmp_path)
    assert told.startswith("it says: ")
    assert "kpt_shape: [3]" in told


def test_all_refusals_are_told_when_asked_for(tmp_path, capsys):
    assert len(refusal(tmp_path)) == 3
    first, _, _, *others = refusal(tmp_path, verbose=True)
    assert "--verbose" not in first
    assert [line.partition(":")[0] for line in others] == registry().names("dataset")
    assert outcome(["data", "check", str(tmp_path)]) == 2
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 3 and shown[0].startswith("kp: error: ") and shown[1].startswith("    missing: ")


def test_a_folder_that_two_read_has_a_command_for_each(tmp_path):
    (tmp_path / "keypoints.csv").write_text("image,a_x,a_y\nx.png,1,2\n")
    pictures(tmp_path / "images", 1)
    (tmp_path / "data.yaml").write_text("train: images\nkpt_shape: [1, 2]\nnames: [cat]\n")
    first, *commands = refusal(tmp_path)
    assert "can be read as named, yolo; say which with --dataset" in first
    assert [line.rpartition(" ")[2] for line in commands] == ["named", "yolo"]


def test_a_data_set_without_marks_or_with_a_broken_hook_is_passed_over(tmp_path):
    class Plain(Dataset):
        """Plain."""

    class Broken(Plain):
        @classmethod
        def near(cls, root):
            raise RuntimeError("no")

    class Odd(Plain):
        @classmethod
        def near(cls, root):
            return "near"

    class Close(Plain):
        """Close one. And more."""

        marks = (("a*", "b*"), ("c",))

    (tmp_path / "b1").touch()
    kinds = {"plain": Plain, "broken": Broken, "odd": Odd, "close": Close}
    known = SimpleNamespace(names=lambda kind: list(kinds), component=lambda kind, name: kinds[name])

    def refuse(name, sets):
        raise KpError(f"{name} refuses")

    tried = recognise.try_all(known, tmp_path, refuse, [])
    found = recognise.nearest(known, tried, refuse, [])
    assert (found.name, found.near) == ("close", Near(0.5, "c"))
    error = recognise.unread(known, tried, found, verbose=False)
    assert "nearest is close: Close one (--verbose" in str(error)


@pytest.mark.parametrize("value", ["a.json", "1.5", "true", "a b", "a#b", "a'b", '"', 0.2, True, ["a", 1], "x = 1"])
def test_an_assignment_is_read_back_as_it_was(value):
    assert parse_sets(assignments({"key": value})) == {"key": value}


FAULTY = {
    "a cell": ("keypoints.csv", "image,nose_x,nose_y\na.png,1,two\n", "keypoints.csv, line 2, nose: 'two' is no coord"),
    "a column": ("keypoints.csv", "image,nose_x\na.png,1\n", "keypoints.csv, line 1: no column 'nose_y'"),
    "not JSON": ("keypoints.json", '{"keypoints": ["nose"], ', "keypoints.json: "),
    "a key": (
        "keypoints.json",
        '{"keypoints": ["nose"], "sample": []}',
        "unknown key 'sample'; did you mean 'samples'",
    ),
    "a layout": ("CollectedData_a.csv", "scorer,a,a\nbodyparts,n,n\ncoords,x,y\na.png,1\n", "row 4: has 2 cells"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_what_is_wrong_with_a_file_of_the_nearest_layout_is_told(tmp_path, case):
    file, text, told = FAULTY[case]
    (tmp_path / file).write_text(text)
    pictures(tmp_path / "labeled-data", 1)
    first, says, command = refusal(tmp_path)
    name = "deeplabcut" if file.startswith("C") else "named"
    assert f"nearest is {name}: " in first and says.startswith("it says: ") and told in says
    assert command.endswith(f"--dataset {name}")


def test_two_files_of_one_layout_are_told(tmp_path):
    for file in ("keypoints.csv", "keypoints.json"):
        (tmp_path / file).write_text("{}")
    assert "both are there; say which by 'annotation'" in refusal(tmp_path)[1]
