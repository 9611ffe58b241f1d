"""Named keypoints in CSV and JSON: both forms say the same, and what is wrong in them is told with its line."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kp_named.dataset import SMALLEST, Named

from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.records.results import Results
from kpcore.registry import registry
from kpcore.study.data import read_part
from kpcore.study.source import Request, open_request
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

CSV = """\
image,part,person,box_x,box_y,box_w,box_h,nose_x,nose_y,left_ear_x,left_ear_y,left_ear_v,right_ear_x,right_ear_y
cats/1.png,train,0,10,5,40,30,24,30.5,10,8,1,,
cats/2.png,valid,,,,,,31,33,,,,20,12
cats/2.png,valid,b,,,,,40,20,7,7,0,,
"""

JSON = {
    "keypoints": ["nose", {"name": "left_ear", "mirror": "right_ear", "group": "ear"}, "right_ear"],
    "edges": [["nose", "left_ear"]],
    "samples": [
        {"image": "cats/1.png", "part": "train", "box": [10, 5, 40, 30],
         "points": {"nose": [24, 30.5], "left_ear": [10, 8, 1], "right_ear": None}},
        {"image": "cats/2.png", "part": "valid", "points": {"nose": [31, 33, 2], "right_ear": [20, 12]}},
        {"image": "cats/2.png", "part": "valid", "person": "b", "points": {"nose": [40, 20], "left_ear": [7, 7, 0]}},
    ],
}  # fmt: skip


def write(root, text, name="keypoints.csv"):
    (root / "cats").mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        cv2.imwrite(str(root / "cats" / f"{number}.png"), np.full((64, 64, 3), 40 * number, np.uint8))
    (root / name).write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return root


def opened(root, **options):
    return Named(**Named.Config(root=str(root), **options).model_dump())


def everybody(data):
    return [sample for part in data.parts for sample in data.samples(part)]


def test_the_csv_form_is_read_as_documented(tmp_path):
    data = opened(write(tmp_path, CSV))
    assert data.skeleton.names == ("nose", "left_ear", "right_ear")
    assert data.skeleton["left_ear"].mirror == "right_ear"
    assert data.skeleton.groups == {"nose": ("nose",), "ear": ("left_ear", "right_ear")}
    assert data.parts == ("train", "valid")
    (first,) = data.samples("train")
    assert first.points[:2].tolist() == [[24, 30.5], [10, 8]]
    assert first.state.tolist() == [VISIBLE, HIDDEN, UNLABELLED]
    assert np.isnan(first.points[2]).all()
    assert (first.centre.tolist(), first.side) == ([29.5, 19.5], pytest.approx(1.25 * 39))
    second, third = data.samples("valid")
    assert (second.person_id, third.person_id) == ("0", "b")
    assert (second.image_id, second.row) == ("cats/2.png", 1)
    assert second.centre.tolist() == [25.5, 22.5]
    assert third.state.tolist() == [VISIBLE, UNLABELLED, UNLABELLED]
    assert third.side == SMALLEST


def test_both_forms_say_the_same(tmp_path):
    first, second = opened(write(tmp_path / "a", CSV)), opened(write(tmp_path / "b", JSON, "keypoints.json"))
    assert first.skeleton.keypoints == second.skeleton.keypoints
    assert second.skeleton.edges == (("nose", "left_ear"),)
    for one, other in zip(everybody(first), everybody(second), strict=True):
        np.testing.assert_array_equal(one.points, other.points)
        np.testing.assert_array_equal(one.state, other.state)
        assert (one.side, one.image_id, one.person_id) == (other.side, other.image_id, other.person_id)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_a_byte_order_mark_are_taken(tmp_path, separator):
    data = opened(write(tmp_path, "\ufeff" + CSV.replace(",", separator)))
    assert len(everybody(data)) == 3


@pytest.mark.parametrize(("name", "text"), [("keypoints.csv", CSV), ("keypoints.json", json.dumps(JSON))])
def test_names_beyond_ascii_and_a_byte_order_mark_are_read_whatever_the_locale(tmp_path, monkeypatch, name, text):
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    write(tmp_path, "", name)
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("nose", "näschen").encode())
    data = opened(tmp_path)
    assert data.skeleton.names[0] == "näschen"
    assert len(everybody(data)) == 3


def test_three_coordinates(tmp_path):
    text = "image,part,hip_x,hip_y,hip_z\ncats/1.png,train,1,2,-3.5\ncats/2.png,valid,4,5,6\n"
    data = opened(write(tmp_path / "a", text), origin=1)
    assert data.skeleton.dims == 3
    assert data.samples("train")[0].points.tolist() == [[0, 1, -3.5]]  # depth has no first pixel
    same = {"keypoints": ["hip"], "dims": 3, "samples": [{"image": "cats/1.png", "points": {"hip": [1, 2, -3.5, 1]}}]}
    assert everybody(opened(write(tmp_path / "b", same, "keypoints.json")))[0].state.tolist() == [HIDDEN]


def test_options(tmp_path):
    root = write(tmp_path, CSV)
    data = opened(root, origin=1, margin=2, normaliser=["nose", "left_ear"])
    first = data.samples("train")[0]
    assert first.points[0].tolist() == [23, 29.5]
    assert first.side == pytest.approx(2 * 39)
    assert first.normaliser == pytest.approx(np.hypot(14, 22.5))
    assert data.samples("valid")[0].normaliser == pytest.approx(21)  # no ear: the box
    told = [finding.what for part in data.parts for finding in data.findings(part)]
    assert any("count pixels from 1" in what for what in told)
    assert any("mirror partners by name: left_ear - right_ear" in what for what in told)
    assert any("not labelled, divided by the box" in what for what in told)
    assert not opened(root, mirrors={}).skeleton["left_ear"].mirror
    assert opened(root, groups={"head": ["nose", "left_ear"]}).skeleton.groups["head"] == ("nose", "left_ear")
    prints = [read_part(opened(root, origin=origin), "train").fingerprint for origin in (1, 0, 0)]
    assert prints[0] != prints[1] == prints[2]


def test_people_without_a_label_are_left_out_and_told(tmp_path):
    data = opened(write(tmp_path, CSV.replace("40,20,7,7,0", ",,,,")))
    assert len(data.samples("valid")) == 1
    assert any(finding.what.startswith("line 4: no keypoint") for finding in data.findings("valid"))


def test_a_file_without_parts_is_divided_by_image(tmp_path):
    lines = [f"{place}.png,{place % 50},5" for place in range(60)]
    data = opened(write(tmp_path, "image,a_x,a_y\n" + "\n".join(lines)), held_out=0.3)
    train, valid = ({sample.image_id for sample in data.samples(part)} for part in ("train", "valid"))
    assert not train & valid
    assert len(train | valid) == 60
    assert len(valid) == 18
    assert any("no parts" in finding.what for finding in data.findings("train"))


def test_a_skeleton_file_says_what_names_cannot(tmp_path):
    root = write(tmp_path, CSV)
    said = {"keypoints": [{"name": "nose", "group": "face"}], "edges": [["nose", "right_ear"]]}
    (root / "skeleton.json").write_text(json.dumps(said))
    data = opened(root)
    assert data.skeleton["nose"].group == "face"
    assert data.skeleton.edges == (("nose", "right_ear"),)
    assert data.skeleton["left_ear"].mirror == "right_ear"
    (root / "skeleton.json").write_text(json.dumps({"keypoints": ["nsoe"]}))
    with pytest.raises(KpError, match="unknown keypoint 'nsoe'; did you mean 'nose'"):
        opened(root)


def refused(root, told, **options):
    with pytest.raises(KpError, match=told) as caught:
        opened(root, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("image,part", "img,part", r"line 1: unknown column 'img'; did you mean 'image'"),
        ("image,part,", "part,", "line 1: no column 'image'"),
        ("nose_x", "nose_xx", "unknown column 'nose_xx'"),
        ("nose_y", "nose_w", "unknown column 'nose_w'"),
        ("nose_y", "snout_y", r"no column 'nose_y' beside|no column 'snout_x' beside"),
        ("nose_y", "nose_x", "column 'nose_x' occurs twice"),
        ("right_ear_y", "right_ear_z", "no column 'right_ear_y'"),
        ("box_h,", "", "a box has the columns"),
        ("30.5", "thirty", "line 2, nose: 'thirty' is no coordinate"),
        ("30.5", "nan", "line 2, nose: some of its coordinates are empty"),
        ("30.5", "1e400", "line 2, nose: '1e400' is no coordinate"),
        ("30.5", "", "line 2, nose: some of its coordinates are empty"),
        ("10,8,1", "10,8,3", "line 2, left_ear_v: '3' is no visibility"),
        ("10,8,1", ",,1", "visibility 1, but no coordinates"),
        ("40,30", "0,30", "line 2: the box is 0 x 30"),
        ("40,30", ",30", "line 2: a box needs"),
        ("cats/1.png", "../1.png", "'../1.png' is not a path below the folder"),
        ("cats/1.png", "/etc/passwd", "is not a path below the folder"),
        ("cats/1.png", "C:\\\\a.png", "is not a path below the folder"),
        ("cats/1.png", "", "line 2: image name .* is not a path below the folder"),
        ("valid,b", "valid,0", "line 4: image 'cats/2.png', person '0' stands in line 3 already"),
        ("valid,b", ",b", "line 4: no part, where other rows have one"),
        (",20,12", ",20", "line 3: 13 cells, the header has 14"),
        ("cats/1.png", '"cats', "cannot be read as a CSV file|cells, the header has"),
    ],
)
def test_wrong_csv_is_told_with_its_line(tmp_path, old, new, told):
    assert old in CSV
    refused(write(tmp_path, CSV.replace(old, new, 1)), told)


def changed(**samples):
    return {**JSON, "samples": [{**JSON["samples"][0], **samples}]}


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ([], "holds a list; it must be an object"),
        ({}, "no 'keypoints'; it needs keypoints, samples"),
        ({**JSON, "keypionts": 1}, "unknown key 'keypionts'; did you mean 'keypoints'"),
        ({**JSON, "keypoints": []}, "keypoints: none"),
        ({**JSON, "keypoints": ["a", "a"]}, r"keypoints\[1\]: keypoint 'a' occurs twice"),
        ({**JSON, "keypoints": [3.5]}, r"keypoints\[0\]: must be a name"),
        (
            {**JSON, "keypoints": ["nose", {"name": "left_ear", "mirror": "tail"}, "right_ear"]},
            "unknown keypoint 'tail'",
        ),
        ({**JSON, "edges": [["nose"]]}, r"edges\[0\]: must be a pair"),
        ({**JSON, "edges": [["nose", "tail"]]}, r"edges\[0\]: unknown keypoint 'tail'"),
        ({**JSON, "dims": 4}, "dims: 4; points have 2 or 3"),
        ({**JSON, "samples": {}}, "samples: must be a list, is a dict"),
        ({**JSON, "samples": []}, "no rows"),
        ({**JSON, "samples": [1]}, r"samples\[0\]: must be an object"),
        (changed(points={"nsoe": [1, 2]}), r"samples\[0\], points: unknown keypoint 'nsoe'; did you mean 'nose'"),
        (changed(points={"nose": [1]}), r"samples\[0\], nose: 1 numbers; a point has 2"),
        (changed(points={"nose": [1, "x"]}), r"samples\[0\], nose: 'x' is no coordinate"),
        (changed(points={"nose": [1, True]}), r"samples\[0\], nose: True is no coordinate"),
        (changed(points={"nose": [1, 2, 7]}), "7 is no visibility"),
        (changed(points={"nose": "1,2"}), r"samples\[0\], nose: must be a list, is a str"),
        (changed(box="1,2"), r"samples\[0\], box: must be a list, is a str"),
        (changed(points=[]), "points: must be an object"),
        (changed(box=[1, 2, 3]), "box: 3 numbers"),
        (changed(box=[1, 2, 3, -4]), "the box is 3 x -4"),
        (changed(image=7), "is not a path below the folder"),
        (changed(image="../../x.png"), "is not a path below the folder"),
        (changed(iamge="x"), "unknown key 'iamge'; did you mean 'image'"),
    ],
)
def test_wrong_json_is_told_with_its_place(tmp_path, held, told):
    refused(write(tmp_path, held, "keypoints.json"), told)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00junk", b"{", b"[" * 100_000, b'{"keypoints": 1e999}', b'{"keypoints": NaN}']
)
def test_what_is_no_json_is_told(tmp_path, content):
    (tmp_path / "keypoints.json").write_bytes(content)
    refused(tmp_path, r"keypoints\.json")


@given(st.binary(max_size=200))
def test_junk_is_never_a_traceback(content):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name in ("keypoints.csv", "keypoints.json"):
            root = Path(folder) / name[-3:]
            root.mkdir()
            (root / name).write_bytes(content)
            with pytest.raises(KpError):
                opened(root)


def test_wrong_options_and_folders_are_told(tmp_path):
    root = write(tmp_path / "a", CSV)
    refused(root, "csv, normaliser: unknown keypoint 'nsoe'; did you mean 'nose'?", normaliser=["nose", "nsoe"])
    refused(root, "csv, normaliser: 'nose' is named twice, a length of 0; name another", normaliser=["nose", "nose"])
    both = {"nose": "left_ear", "left_ear": "right_ear"}
    refused(root, "mirrors: 'left_ear' has the partners 'nose' and 'right_ear'", mirrors=both)
    refused(root, "groups.a: unknown keypoint 'tail'", groups={"a": ["tail"]})
    refused(root, "no such CSV or JSON file", annotation="other.csv")
    refused(tmp_path / "none", "is not a folder")
    (tmp_path / "b").mkdir()
    refused(tmp_path / "b", "neither is there")
    write(root, JSON, "keypoints.json")
    refused(root, "both are there; say which")
    assert opened(root, annotation="keypoints.json").skeleton.edges
    with pytest.raises(KpError, match="KP_NAMED_ROOT"):
        Named(**Named.Config().model_dump())
    with pytest.raises(KpError, match="unknown part 'test'"):
        opened(root, annotation="keypoints.csv").samples("test")


def test_a_folder_is_recognised(tmp_path):
    found = open_request(Request(source=write(tmp_path, CSV)), registry(), notice=lambda _: None)
    assert found.name == "named"


STUDY = """
study = { name = "cats", modes = ["transfer", "random"] }
split = { name = "explicit", sets = { ears = { steps = [["nose"], ["ear"]] } } }
backbone = { name = "hourglass", stages = [1, 2], channels = 8, depth = 1 }
codec = { name = "heatmap", loss = "cross_entropy", sigma = 1.0 }
evaluation = { metric = { name = "pck", threshold = 0.2 } }
dataset = { name = "named" }

[training]
resolution = 32
batch_size = 2
epochs = 1
iterations_per_epoch = 2
threads = 1
"""


def test_a_study_of_named_keypoints_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    lines = ["image,part,nose_x,nose_y,l_ear_x,l_ear_y,r_ear_x,r_ear_y"]
    for place in range(8):
        cv2.imwrite(str(tmp_path / f"{place}.png"), random.integers(0, 255, (48, 48, 3), np.uint8))
        numbers = ",".join(f"{value:.1f}" for value in random.uniform(5, 43, 6))
        lines.append(f"{place}.png,{'valid' if place > 4 else 'train'},{numbers}")
    (tmp_path / "keypoints.csv").write_text("\n".join(lines))
    (tmp_path / "study.toml").write_text(STUDY)
    assert outcome(["run", "study.toml", "--set", f"dataset.root={tmp_path}", "--jobs", "1"]) == 0
    found = Results.from_json(Path("runs/cats/results.json").read_text())
    assert {row.status for row in found.rows} == {"done"}
    assert found.splits[0].columns == ("ear",)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("cats/1.png", ".", "line 2: image name .* is not a path below the folder"),
        ("cats/1.png", "a" * 5000, "is not a path below the folder"),
        ("cats/1.png", '"a\nb.png"', "is not a path below the folder"),
        ("nose_x", '"no\nse_x"', "line 1, column 8: the name"),
        ("cats/2.png,valid,b", "cats/1.png,valid,b", r"line 4: image 'cats/1.png' is in part 'valid', but in 'train'"),
    ],
)
def test_names_that_mislead_and_shared_images_are_refused(tmp_path, old, new, told):
    refused(write(tmp_path, CSV.replace(old, new, 1)), told)


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({**JSON, "dims": 2.0}, "dims: 2.0; points have 2 or 3"),
        ({**JSON, "key\npoints": 1}, "unknown key"),
        ({**JSON, "keypoints": ["a\nb"]}, r"keypoints\[0\], name: the name"),
        (changed(points={"no\nse": [1, 2]}), "unknown keypoint"),
        (changed(image="\ud800.png"), "is not a path below the folder"),
    ],
)
def test_json_that_misleads_is_refused(tmp_path, held, told):
    refused(write(tmp_path, held, "keypoints.json"), told)


def one(root, cells, header="image,part,a_x,a_y", name="keypoints.csv"):
    return write(root, f"{header}\n{cells}\n", name)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"points": {"nose": 3}}, "samples[0], nose: must be a list, is a int"),
        ({"points": {"nose": [1, 2, 3]}}, "samples[0], nose: 3 is no visibility"),
        ({"points": {"nose": [1, 2, 1, 1]}}, "samples[0], nose: 4 numbers; a point has 2, and perhaps"),
        ({"points": {"nose": [1, None]}}, "samples[0], nose: None is no coordinate"),
        ({"points": 3}, "samples[0], points: must be an object, keypoint -> [x, y]"),
        ({"part": " "}, "samples[0], part: must be a text"),
        ({"part": True}, "samples[0], part: must be a text"),
        ({"person": ""}, "samples[0], person: must be a text"),
        ({"box": 3}, "samples[0], box: must be a list, is a int"),
        ({"box": [1, 2, "x", 4]}, "samples[0], box: 'x' is no coordinate"),
        ({"box": [1, 2, 0, 4]}, "samples[0], box: the box is 0 x 4 pixels; both must be above 0"),
        ({"image": ""}, "samples[0]: image name "),
    ],
)
def test_a_wrong_value_is_named_with_the_place_it_stands_at(tmp_path, change, place):
    root = write(tmp_path, changed(**change), "keypoints.json")
    with pytest.raises(KpError) as caught:
        opened(root)
    assert str(caught.value).startswith(f"{root / 'keypoints.json'}, {place}")


@pytest.mark.parametrize(
    ("held", "place"),
    [
        ({**JSON, "keypoints": "nose"}, ", keypoints: must be a list, is a str"),
        ({**JSON, "keypoints": ["a", {"group": "b"}]}, ", keypoints[1]: no 'name'; it needs name"),
        ({**JSON, "keypoints": ["a", {"name": 3.5}]}, ", keypoints[1], name: must be a text"),
        ({**JSON, "keypoints": ["a", {"name": "b", "mirror": ""}]}, ", keypoints[1], mirror: must be a text"),
        ({**JSON, "keypoints": ["a", {"name": "b", "group": []}]}, ", keypoints[1], group: must be a text"),
        ({**JSON, "keypoints": ["a", {"name": "b", "gruop": "c"}]}, ", keypoints[1]: unknown key 'gruop'"),
        ({**JSON, "edges": {}}, ", edges: must be a list, is a dict"),
        ({**JSON, "edges": [["nose", "left_ear"], ["nose", "left_ear", "nose"]]}, ", edges[1]: must be a pair"),
        ({**JSON, "edges": [["nose", "left_ear"], ["nose", 3]]}, ", edges[1]: unknown keypoint '3'"),
        ({"keypoints": ["a"]}, ": no 'samples'; it needs keypoints, samples"),
        ({**JSON, "dims": True}, ", dims: True; points have 2 or 3"),
        ({**JSON, "samples": [{"image": "a.png"}]}, ", samples[0]: no 'points'; it needs image, points"),
        ({**JSON, "samples": [{"points": {}}]}, ", samples[0]: no 'image'; it needs image, points"),
    ],
)
def test_what_is_wrong_with_the_document_is_named_with_its_place(tmp_path, held, place):
    root = write(tmp_path, held, "keypoints.json")
    with pytest.raises(KpError) as caught:
        opened(root)
    assert str(caught.value).startswith(f"{root / 'keypoints.json'}{place}")


def test_numbers_may_name_people_and_parts_in_json(tmp_path):
    data = opened(write(tmp_path, changed(part=7, person=12, box=None), "keypoints.json"))
    assert data.parts == ("7",)
    assert [sample.person_id for sample in data.samples("7")] == ["12"]


def test_lines_are_counted_as_an_editor_does(tmp_path):
    root = one(tmp_path, "\ncats/1.png,train,1,2\n\n , ,,\ncats/1.png,train,3,x")
    refused(root, r"keypoints\.csv, line 6, a: 'x' is no coordinate")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("image,a_x,a_y,a_z,b_x,b_y", "line 1: no column 'b_z', where other keypoints have one"),
        ("image,a_x,a_z", "line 1: no column 'a_y' beside the others of 'a'"),
        ("image,a_y", "line 1: no column 'a_x' beside the others of 'a'"),
        ("image,part", "line 1: no keypoints; each has the columns NAME_x and NAME_y"),
        ("image,_x,a_y", "line 1: unknown column '_x'"),
        ("image,box_x,a_x,a_y", "line 1: a box has the columns box_x, box_y, box_w, box_h; give all"),
        ("image,a_x,a_y,image", "line 1: column 'image' occurs twice"),
        ("image," + "n" * 99 + "_x,a_y", "line 1, column 2: the name"),
    ],
)
def test_a_wrong_header_is_told(tmp_path, header, told):
    refused(one(tmp_path, "", header), told)


def test_limits_of_names_and_numbers(tmp_path):
    longest = "n" * 98
    header = f"image,{longest}_x,{longest}_y"
    assert opened(one(tmp_path / "a", "x.png,1000000,-1000000", header)).skeleton.names == (longest,)
    refused(one(tmp_path / "b", "x.png,1,1000000.5", header), "is no coordinate")
    refused(one(tmp_path / "b", "x.png,-1000000.5,1", header), "is no coordinate")
    path = "/".join(["d" * 255, *["d" * 240] * 3, "e" * 41 + ".png"])
    assert len(path) == 1024
    assert everybody(opened(one(tmp_path / "c", f"{path},1,1", header)))[0].image_id == path
    refused(one(tmp_path / "d", f"{'d' * 256}/1.png,1,1", header), "is not a path below the folder")
    refused(one(tmp_path / "d", f"{path.replace('e', 'ee', 1)},1,1", header), "is not a path below the folder")


def test_image_names_are_taken_as_paths_below_the_folder(tmp_path):
    data = opened(one(tmp_path, ".\\cats\\1.png,train,1,2"))
    (sample,) = data.samples("train")
    assert (sample.image_id, sample.image) == ("cats/1.png", tmp_path / "cats" / "1.png")


def test_a_point_alone_has_a_crop_of_16_pixels_and_a_length_of_one(tmp_path):
    (sample,) = opened(one(tmp_path, "cats/1.png,train,7,9"), margin=4).samples("train")
    assert (sample.centre.tolist(), sample.side, sample.normaliser) == ([7, 9], 16, 1)


def test_the_crop_is_the_box_and_reaches_points_outside_it(tmp_path):
    header = "image,part,box_x,box_y,box_w,box_h,a_x,a_y,b_x,b_y"
    root = one(tmp_path, "cats/1.png,train,10,20,41,21,5,30,20,60", header)
    (sample,) = opened(root).samples("train")
    assert (sample.centre.tolist(), sample.side, sample.normaliser) == ([27.5, 40], 1.25 * 45, 45)
    (sample,) = opened(root, origin=1, margin=1).samples("train")
    assert (sample.centre.tolist(), sample.side, sample.normaliser) == ([26.5, 39], 45, 45)


@pytest.mark.parametrize(("apart", "length"), [(1, 1), (0.75, 40), (2, 2)])
def test_a_pair_nearer_than_a_pixel_is_no_length(tmp_path, apart, length):
    root = one(tmp_path, f"cats/1.png,train,1,1,{1 + apart},1,1,41", "image,part,a_x,a_y,b_x,b_y,c_x,c_y")
    data = opened(root, normaliser=["a", "b"])
    assert data.samples("train")[0].normaliser == length
    told = [(f.level, f.what, f.count) for f in data.findings("train")]
    assert told == ([("warning", "line 2: a or b not labelled, divided by the box", 1)] if apart < 1 else [])


def test_the_findings_of_a_file_in_order_with_level_and_count(tmp_path):
    text = "image,l_a_x,l_a_y,r_a_x,r_a_y,l_b_x,l_b_y,r_b_x,r_b_y\n" + "".join(
        f"{name}.png,{cells}\n" for name, cells in (("1", "1,2,30,40,5,6,7,8"), ("2", ",,,,,,,"), ("3", "1,2,,,,,,"))
    )
    data = opened(write(tmp_path, text), origin=1, normaliser=["l_a", "r_a"], held_out=1e-9)
    assert [(finding.level, finding.what, finding.count) for finding in data.findings("train")] == [
        ("note", "coordinates count pixels from 1: shifted to 0", 2),
        ("note", "no parts in the file: 1e-09 of the images are 'valid'", 1),
        ("note", "mirror partners by name: l_a - r_a, l_b - r_b", 2),
        ("warning", "line 3: no keypoint is labelled, left out", 1),
        ("warning", "line 4: l_a or r_a not labelled, divided by the box", 1),
    ]
    assert not any("by name" in f.what for f in opened(tmp_path, mirrors={"l_a": "r_a"}).findings("train"))


def test_a_skeleton_file_says_mirrors_in_place_of_names_and_an_option_in_place_of_both(tmp_path):
    root = write(tmp_path, CSV)
    before = opened(root).skeleton
    said = {"keypoints": ["left_ear", {"name": "nose", "mirror": "right_ear"}]}
    (root / "skeleton.json").write_text(json.dumps(said))
    assert opened(root).skeleton["nose"].mirror == "right_ear"
    assert opened(root, mirrors={"left_ear": "right_ear"}).skeleton == before


def test_a_wrong_skeleton_file_is_named(tmp_path):
    root = write(tmp_path, CSV)
    path = root / "skeleton.json"
    for held, told in (
        ({"edgse": []}, ".*unknown key 'edgse'; did you mean 'edges'"),
        ({"edges": [["nose", "tail"]]}, r", edges\[0\]: unknown keypoint 'tail'"),
        ({"keypoints": []}, ", keypoints: none"),
        ([], ": holds a list"),
    ):
        path.write_text(json.dumps(held))
        refused(root, f"^{path}{told}")
    path.write_text(json.dumps({"edges": [["nose", "left_ear"]]}))
    assert opened(root).skeleton.names == ("nose", "left_ear", "right_ear")


def test_people_of_an_image_share_its_part_and_are_named_apart(tmp_path):
    header = "image,part,person,a_x,a_y"
    refused(one(tmp_path, "1.png,train,,1,2\n1.png,train,0,3,4", header), "line 3: image '1.png', person '0' stands in")
    refused(
        one(tmp_path, "1.png,train,a,1,2\n1.png,valid,b,3,4", header), "line 3: .* in 'train' in line 2; parts share"
    )
    refused(one(tmp_path, "1.png,train,a,1,2\n2.png,,b,3,4", header), "line 3: no part, where other rows have one")
    refused(one(tmp_path, "", header), r"keypoints\.csv: no rows; write one a person")


@pytest.mark.parametrize(("box", "warned"), [("10,5,40,30", 0), ("44,40,10,10", 1), ("0.1,0.1,0.4,0.3", 1)])
def test_a_box_of_something_else_is_told(tmp_path, box, warned):
    data = opened(write(tmp_path, CSV.replace("10,5,40,30", box)))
    found = [one for one in data.findings("train") if "a box (left, top, width, height) that holds none" in one.what]
    assert [(one.level, one.count) for one in found] == [("warning", 1)] * warned
