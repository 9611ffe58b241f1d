"""YOLO pose data sets: read as ultralytics reads them, and what is wrong in them is told with file and line."""

import cv2
import numpy as np
import pytest
from kp_yolo.dataset import Yolo
from kp_yolo.loading import BOX_TO_AREA
from kp_yolo.skeleton import COCO
from PIL import Image

from kpcore.audit.check import check_part
from kpcore.errors import KpError
from kpcore.reading.boxes import SMALLEST
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

YAML = """\
path: .
train: images/train
val: images/val
kpt_shape: [3, 3]
flip_idx: [0, 2, 1]
names:
  0: cat
kpt_names:
  0: [nose, left_ear, right_ear]
"""
# 80 x 40 px: the box is 40 x 20 px around (40, 20)
LINE = "0 0.5 0.5 0.5 0.5 0.5 0.25 2 0.25 0.5 1 0 0 0\n"
NUMBERED = tuple(f"kp{number}" for number in range(17))
COCO_FLIPS = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def picture(path, width=80, height=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


def write(root, text=YAML, labels=LINE, train=4, val=2):
    for part, count in (("train", train), ("val", val)):
        for number in range(count):
            picture(root / "images" / part / f"{number}.png")
            path = root / "labels" / part / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(labels)
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return root


def opened(root, **options):
    return Yolo(**Yolo.Config(root=str(root), **options).model_dump())


def told(data, part="train"):
    return " | ".join(f"{one.level}: {one.what} [{one.count}]" for one in data.findings(part))


def refused(root, match, part="train", **options):
    with pytest.raises(KpError, match=match):
        opened(root, **options).samples(part)


def test_a_data_set_is_read_as_documented(tmp_path):
    data = opened(write(tmp_path))
    assert (data.label, data.parts, data.facts.default_metric) == ("YOLO pose, cat", ("train", "valid"), "oks")
    assert data.skeleton.names == ("nose", "left_ear", "right_ear")
    assert data.skeleton["left_ear"].mirror == "right_ear"
    assert [len(data.samples(part)) for part in data.parts] == [4, 2]
    first, second = data.samples("train")[:2]
    assert first.points[:2].tolist() == [[40, 10], [20, 20]]
    assert np.isnan(first.points[2]).all()
    assert first.state.tolist() == [VISIBLE, HIDDEN, UNLABELLED]
    assert (first.centre.tolist(), first.side) == ([40, 20], 1.25 * 40)
    assert first.normaliser == pytest.approx((BOX_TO_AREA * 40 * 20) ** 0.5)
    assert (first.image_id, first.person_id, first.row, first.stated_size) == ("images/train/0.png", "1", 0, (80, 40))
    assert second.row == 1
    assert not [one for one in check_part(data, "train", decode=True) if one.level == "error"]


def test_the_crop_holds_keypoints_outside_the_box_and_is_never_tiny(tmp_path):
    far = "0 0.5 0.5 0.1 0.1 1 0.5 2 0.5 0.5 2 0.5 0.5 2\n"
    (one,) = opened(write(tmp_path / "a", labels=far, train=1), margin=1).samples("train")
    assert (one.centre.tolist(), one.side) == ([58, 20], 44)
    near = "0 0.5 0.5 0.01 0.01 0.5 0.5 2 0.5 0.5 2 0.5 0.5 2\n"
    (one,) = opened(write(tmp_path / "b", labels=near, train=1)).samples("train")
    assert one.side == SMALLEST
    flat = "0 0.5 0.5 0 0 0.25 0.5 2 0.75 0.5 2 0 0 0\n"
    data = opened(write(tmp_path / "c", labels=flat, train=1))
    (one,) = data.samples("train")
    assert (one.centre.tolist(), one.side) == ([40, 20], 1.25 * 40)
    assert "warning: no box of positive size" in told(data)


def test_without_visibilities_zeros_and_negatives_are_not_labelled(tmp_path):
    text = YAML.replace("[3, 3]", "[3, 2]")
    data = opened(write(tmp_path, text, "0 .5 .5 .5 .5 .5 .25 0 0 -1 -1\n"))
    assert data.samples("train")[0].state.tolist() == [VISIBLE, UNLABELLED, UNLABELLED]
    assert "(0, 0) taken for not labelled" in told(data)
    assert "[4]" in told(data)


def test_what_is_not_labelled_may_hold_anything(tmp_path):
    data = opened(write(tmp_path, labels="0 .5 .5 .5 .5 .5 .25 2 nan nan 0 -7 99 0\n"))
    assert data.samples("train")[0].state.tolist() == [VISIBLE, UNLABELLED, UNLABELLED]


@pytest.mark.parametrize(("flips", "names"), [
    (COCO_FLIPS, COCO), (None, NUMBERED), (list(range(17)), NUMBERED),
])  # fmt: skip
def test_seventeen_keypoints_are_cocos_where_flip_idx_is(tmp_path, flips, names):
    text = f"train: images/train\nval: images/val\nkpt_shape: [17, 3]\nnames: [person]\nflip_idx: {flips or '[]'}\n"
    data = opened(write(tmp_path, text, "0 .5 .5 .5 .5" + " .5 .5 2" * 17 + "\n"))
    assert data.skeleton.names == names
    assert [point.mirror is not None for point in data.skeleton.keypoints].count(True) == (16 if names == COCO else 0)


def test_mirrors_of_nameless_keypoints_are_those_of_flip_idx(tmp_path):
    data = opened(write(tmp_path, YAML.partition("kpt_names")[0]))
    assert [(point.name, point.mirror, point.group) for point in data.skeleton.keypoints] == [
        ("kp0", None, "kp0"), ("kp1", "kp2", "kp1"), ("kp2", "kp1", "kp1"),
    ]  # fmt: skip
    named = opened(tmp_path, keypoints=["nose", "left_ear", "right_ear"], groups={"head": ["nose"]}, mirrors={})
    assert [(point.name, point.mirror, point.group) for point in named.skeleton.keypoints] == [
        ("nose", None, "head"), ("left_ear", None, "left_ear"), ("right_ear", None, "right_ear"),
    ]  # fmt: skip


def test_a_flip_idx_that_contradicts_names_is_told(tmp_path):
    data = opened(write(tmp_path, YAML.replace("[0, 2, 1]", "[0, 1, 2]")))
    assert "warning: flip_idx contradicts the sides in names (left_ear, right_ear)" in told(data)
    assert "contradicts" not in told(opened(tmp_path, mirrors={"left_ear": "right_ear"}))


@pytest.mark.parametrize(("old", "new", "match"), [
    ("[0, 2, 1]", "[1, 2, 0]", r"flip_idx: entry 0 is 1, but entry 1 is 2"),
    ("[0, 2, 1]", "[0, 2]", r"flip_idx: has 2 entries; kpt_shape says 3"),
    ("[0, 2, 1]", "[0, 2, 3]", r"flip_idx: entry 1 is 2, but entry 2 is 3"),
    ("[0, 2, 1]", "[0, 9, 1]", r"flip_idx: entry 1 is 9; keypoints are 0 to 2"),
    ("[0, 2, 1]", "left", r"flip_idx: 'left'; must be a list"),
    ("[3, 3]", "[3, 4]", r"kpt_shape: \[3, 4\]; a pose data set has"),
    ("kpt_shape: [3, 3]", "nc: 1", r"kpt_shape: None; a pose data set has"),
    ("[nose, left_ear, right_ear]", "[nose, left_ear]", r"kpt_names, 0: has 2 names"),
    ("[nose, left_ear, right_ear]", "[nose, nose, right_ear]", r"'nose' occurs twice"),
    ("[nose, left_ear, right_ear]", "[nose, no, yes]", r"kpt_names, 0: False; must be a text .write it in quotes"),
    ("0: cat", "cat: 0", r"names: \{'cat': 0\}; must be a list"),
    ("train: images/train", "", r"no 'train'"),
    ("images/val", "elsewhere/pictures", r"valid: neither 'elsewhere/pictures' nor an end of it"),
    ("path: .", "path: [", r"cannot be read as a YAML file"),
    ("[3, 3]", "&a [3, 3]\nb: *a", r"line 5: an alias \(\*a\); write it out"),
    (YAML, "- a\n", r"holds a list; expected a YAML file"),
    (YAML, "!!python/object/apply:os.system ['true']\n", r"cannot be read as a YAML file"),
])  # fmt: skip
def test_what_is_wrong_in_the_yaml_is_told(tmp_path, old, new, match):
    assert old in YAML
    refused(write(tmp_path, YAML.replace(old, new)), match)


@pytest.mark.parametrize(("line", "match"), [
    ("0 .5 .5 .5 .5 .5 .5 2", r"labels/train/0.txt, line 2: 8 numbers; class, box and 3 keypoints of 3 are 14"),
    ("0 .5 .5 .5 .5", r"line 2: 5 numbers .a box without keypoints"),
    ("0 .5 .5 .5 .5 40 10 2 0 0 0 0 0 0", r"line 2: x of keypoint 0 is 40; numbers are shares"),
    ("0 .5 .5 .5 .5 .5 .5 2 .5 -.5 1 0 0 0", r"line 2: y of keypoint 1 is -0.5"),
    ("0 40 .5 .5 .5 .5 .5 2 0 0 0 0 0 0", r"line 2: cx is 40"),
    ("0 .5 .5 .5 .5 nan .5 2 0 0 0 0 0 0", r"line 2: x of keypoint 0 is nan"),
    ("0 .5 .5 .5 inf .5 .5 2 0 0 0 0 0 0", r"line 2: class or box is not finite"),
    ("0 .5 .5 .5 .5 .5 .5 3 0 0 0 0 0 0", r"line 2: visibility 3 of keypoint 0"),
    ("0 .5 .5 .5 .5 .5 .5 nose 0 0 0 0 0 0", r"line 2: 'nose' is no number"),
    ("1 .5 .5 .5 .5 .5 .5 2 0 0 0 0 0 0", r"line 2: class 1; data.yaml names 0 .cat"),
    ("0.5 .5 .5 .5 .5 .5 .5 2 0 0 0 0 0 0", r"line 2: class '0.5'; must be a whole number"),
])  # fmt: skip
def test_what_is_wrong_in_a_label_is_told_with_its_line(tmp_path, line, match):
    refused(write(tmp_path, labels=LINE + line + "\n"), match)


def test_what_is_left_out_is_told(tmp_path):
    write(tmp_path)
    (tmp_path / "labels/train/0.txt").unlink()
    (tmp_path / "labels/train/1.txt").write_text("\n")
    (tmp_path / "labels/train/2.txt").write_text(LINE + LINE + "0 .5 .5 .5 .5" + " 0 0 0" * 3)
    (tmp_path / "labels/train/gone.txt").write_text(LINE)
    data = opened(tmp_path)
    assert [one.image_id for one in data.samples("train")] == ["images/train/2.png", "images/train/3.png"]
    for part in (
        "note: pictures without a file of labels: nothing is in them (first: images/train/0.png) [1]",
        "note: files of labels that are empty",
        "warning: equal lines",
        "note: instances without a labelled keypoint",
        "warning: files of labels without a picture, left out (first: labels/train/gone.txt) [1]",
    ):
        assert part in told(data)


def test_a_class_is_chosen(tmp_path):
    text = YAML.replace("0: cat", "0: cat\n  1: dog").replace("kpt_names:\n  0:", "kpt_names:\n  1: [a, b, c]\n  0:")
    write(tmp_path, text, LINE + "1" + LINE[1:].replace("0.25", "0.3"))
    refused(tmp_path, r"several classes \(cat, dog\); set dataset.category")
    refused(tmp_path, r"unknown class 'cot'; did you mean 'cat'", category="cot")
    refused(tmp_path, r"the classes' keypoints differ", category="all")
    dogs = opened(tmp_path, category="dog")
    assert (dogs.label, dogs.skeleton.names) == ("YOLO pose, dog", ("a", "b", "c"))
    assert [one.points[0, 1] for one in dogs.samples("valid")] == [pytest.approx(12)] * 2
    assert "instances of other classes left out" in told(dogs)
    assert opened(tmp_path, category="1").samples("valid")[0].person_id == "2"
    (tmp_path / "data.yaml").write_text(text.replace("[a, b, c]", "[nose, left_ear, right_ear]"))
    assert len(opened(tmp_path, category="all").samples("valid")) == 4


def test_parts_as_people_write_them(tmp_path):
    """Roboflow's ../train/images, a moved project, lists of pictures, backslashes, several folders."""
    write(tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/val.txt").write_text("../images/val/0.png\n\n/old/place/images/val/1.png\nimages/val/9.png\n")
    for place in ("../images/train", "/content/cats/images/train", "images\\train", "[images/train, images/val]"):
        (tmp_path / "data.yaml").write_text(
            YAML.replace("path: .", "path: ../datasets/cats")
            .replace("images/train", place)
            .replace("val: images/val", "val: lists/val.txt")
        )
        data = opened(tmp_path)
        assert len(data.samples("train")) == (6 if "[" in place else 4)
        assert [one.image_id for one in data.samples("valid")] == ["images/val/0.png", "images/val/1.png"]
    assert "warning: pictures of the list that do not exist" in told(data, "valid")
    (tmp_path / "labels/val/9.txt").write_text(LINE)
    lost = opened(tmp_path)
    assert "error: picture does not exist, its instances cannot be placed (first: " in told(lost, "valid")
    assert "val.txt, line 4) [1]" in told(lost, "valid")
    assert "below the root" in told(opened(write(tmp_path / "b", YAML.replace("images/train", "/x/images/train"))))


def test_nothing_outside_the_root_is_read(tmp_path):
    write(tmp_path / "out")
    write(tmp_path / "in", YAML.replace("images/train", str(tmp_path / "out/images/train")))
    assert opened(tmp_path / "in").samples("train")[0].image.is_relative_to(tmp_path / "in")


@pytest.mark.parametrize("val", ["", "val: images/train"])
def test_a_share_is_held_out_where_no_other_pictures_are_scored(tmp_path, val):
    data = opened(write(tmp_path, YAML.replace("val: images/val", val), train=40))
    train, valid = ({one.image_id for one in data.samples(part)} for part in ("train", "valid"))
    assert train and valid and not train & valid
    assert len(train | valid) == 40
    assert ("warning: val names the pictures of train" in told(data)) == bool(val)
    assert data.facts.list_name == "0.2 of the images held out by name hash"
    more = opened(tmp_path, held_out=0.6)
    assert valid < {one.image_id for one in more.samples("valid")}


def test_a_test_part_is_there_where_the_file_has_one(tmp_path):
    data = opened(write(tmp_path, YAML + "test: images/val\n"))
    assert data.parts == ("train", "valid", "test")
    assert len(data.samples("test")) == 2


def test_a_picture_turned_by_exif_is_taken_as_it_is_shown(tmp_path):
    write(tmp_path, train=0)
    path = tmp_path / "images/train/0.jpg"
    path.parent.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 40)).save(path, exif=exif)
    (tmp_path / "labels/train").mkdir(parents=True, exist_ok=True)
    (tmp_path / "labels/train/0.txt").write_text(LINE)
    data = opened(tmp_path)
    (one,) = data.samples("train")
    assert one.stated_size == (40, 80)
    assert one.points[0].tolist() == [20, 20]
    assert "note: pictures turned by EXIF" in told(data)


def test_the_yaml_is_found(tmp_path):
    write(tmp_path)
    (tmp_path / "data.yaml").rename(tmp_path / "cats.yaml")
    assert len(opened(tmp_path).samples("train")) == 4
    (tmp_path / "hyp.yaml").write_text("lr: 1\n")
    refused(tmp_path, r"several YAML files \(cats.yaml, hyp.yaml\).*dataset.data names it")
    assert len(opened(tmp_path, data="cats.yaml").samples("train")) == 4
    refused(tmp_path, r"cat.yaml: does not exist", data="cat.yaml")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"no data.yaml")
    (tmp_path / "empty/data.yaml").write_text("a: " + "x" * 2**18)
    refused(tmp_path / "empty", r"has 262,147 bytes; .* at most 262,144")


def test_no_pictures_and_no_picture(tmp_path):
    write(tmp_path, train=0)
    (tmp_path / "images/train").mkdir(parents=True)
    refused(tmp_path, r"data.yaml, train: no pictures in .*images/train")
    (tmp_path / "images/train/0.png").write_bytes(b"text")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/0.txt").write_text(LINE)
    refused(tmp_path, r"0.png: not an image")


def test_labels_may_lie_beside_the_pictures(tmp_path):
    write(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "gone")
    for part in ("train", "val"):
        for path in (tmp_path / "gone" / part).iterdir():
            path.rename(tmp_path / "images" / part / path.name)
    assert len(opened(tmp_path).samples("train")) == 4


def test_names_in_another_case_or_unicode_form_are_found_and_told(tmp_path):
    write(tmp_path, train=0)
    for number, (shown, labels) in enumerate(
        (("A.PNG", "a.txt"), ("caf\u00e9.png", "cafe\u0301.txt"), ("b.png", "b.txt"))
    ):
        picture(tmp_path / "images/train" / shown)
        (tmp_path / "labels/train").mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels/train" / labels).write_text(LINE.replace("0.25", f"0.{number + 1}"))
    data = opened(tmp_path)
    assert len(data.samples("train")) == 3
    assert (
        "warning: names in another case or Unicode form than the files taken for them (first: A.txt is a.txt) [2]"
        in (told(data))
    )
    assert "without a picture" not in told(data)
    (tmp_path / "train.txt").write_text("images/train/a.png\nimages/train/B.png\n")
    (tmp_path / "data.yaml").write_text(YAML.replace("train: images/train", "train: train.txt"))
    assert [one.image_id for one in opened(tmp_path).samples("train")] == ["images/train/A.PNG", "images/train/b.png"]


@pytest.mark.parametrize(("box", "warned"), [("0.5 0.5 0.5 0.5", 0), ("0.9 0.9 0.1 0.1", 4), ("0.25 0.25 0.1 0.1", 4)])
def test_a_box_of_something_else_is_told(tmp_path, box, warned):
    text = told(opened(write(tmp_path, labels=f"0 {box} 0.5 0.3 2 0.4 0.5 1 0 0 0\n")))
    assert ("boxes that hold none of their keypoints" in text) == bool(warned)
    if warned:
        assert f"width, height, keypoints [{warned}]" in " ".join(text.split()) or f"[{warned}]" in text


@pytest.mark.parametrize(
    ("kind", "turn", "taken"), [("jpg", 6, "turned"), ("jpg", 2, "turned"), ("jpg", 1, "stored"), ("png", 6, "stored")]
)
def test_only_a_jpeg_is_turned_by_its_exif(tmp_path, kind, turn, taken):
    """As ultralytics does; so width and height, that the labels are shares of, fit the pixels that are read."""
    root = write(tmp_path)
    for path in sorted((root / "images").rglob("*.png")):
        exif = Image.Exif()
        exif[0x0112] = turn
        path.unlink()
        Image.new("RGB", (80, 40)).save(path.with_suffix(f".{kind}"), exif=exif)
    (one, *_) = opened(root).samples("train")
    assert (one.orientation, one.stated_size) == (taken, (40, 80) if taken == "turned" and turn == 6 else (80, 40))
    assert not [found for found in check_part(opened(root), "train", decode=True) if found.level == "error"]
