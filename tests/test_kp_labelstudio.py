"""Exports of Label Studio: percent become pixels, pictures are found, keypoints grouped; what is unclear is told."""

import json

import cv2
import numpy as np
import pytest
from kp_labelstudio.dataset import LabelStudio
from kp_labelstudio.matching import parts_of

from kpcore.audit.check import check_part
from kpcore.errors import KpError
from kpcore.registry import registry
from kpcore.study.source import Request, open_request
from kpcore.tensors import UNLABELLED, VISIBLE

WIDTH, HEIGHT = 80, 40


def keypoint(name, x, y, **more):
    value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [name] if isinstance(name, str) else name}
    return {"id": f"{name}{x}{y}", "type": "keypointlabels", "from_name": "kp", "to_name": "img", "value": value,
            "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, **more}  # fmt: skip


def rectangle(identity, x, y, width, height, label="cat", rotation=0, **more):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation, "rectanglelabels": [label]}
    return {"id": identity, "type": "rectanglelabels", "from_name": "box", "to_name": "img", "value": value,
            "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, **more}  # fmt: skip


def relation(one, other):
    return {"type": "relation", "from_id": one["id"], "to_id": other["id"], "direction": "right"}


FACE = [keypoint("nose", 50, 25), keypoint("left_ear", 25, 50), keypoint("right_ear", 75, 50)]


def task(number, result=None, image=None, **more):
    annotation = {"id": 100 + number, "was_cancelled": False, "result": FACE if result is None else result}
    return {"id": number, "data": {"image": image or f"/data/upload/1/1a2b3c4d-{number}.png"},
            "annotations": [annotation], "predictions": [], **more}  # fmt: skip


def write(root, tasks, pictures=None, name="project-1.json"):
    for picture in pictures or [f"{one.get('id')}.png" for one in tasks]:
        (root / "pics" / picture).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "pics" / picture), np.full((HEIGHT, WIDTH, 3), 80, np.uint8))
    (root / name).write_text(json.dumps(tasks), encoding="utf-8")
    return root


def opened(root, **options):
    return LabelStudio(**LabelStudio.Config(root=str(root), **options).model_dump())


def everybody(data):
    return sorted((one for part in data.parts for one in data.samples(part)), key=lambda one: (one.row, one.person_id))


def told(data):
    return " | ".join(f"{one.level}: {one.what} [{one.count}]" for one in data.findings("train"))


def placed(sample):
    return {n: sample.points[n].tolist() for n in range(len(sample.state)) if sample.state[n] != UNLABELLED}


def test_an_export_is_read_as_documented(tmp_path):
    data = opened(write(tmp_path / "cats", [task(number) for number in range(20)]))
    assert (data.label, data.parts, data.facts.default_metric) == ("cats (Label Studio)", ("train", "valid"), "pck")
    assert data.skeleton.names == ("nose", "left_ear", "right_ear")
    assert data.skeleton["left_ear"].mirror == "right_ear"
    found = everybody(data)
    assert len(found) == 20 and data.samples("train") and data.samples("valid")
    assert placed(found[3]) == {0: [40, 10], 1: [20, 20], 2: [60, 20]}
    assert found[3].state.tolist() == [VISIBLE] * 3
    assert (found[3].centre.tolist(), found[3].side, found[3].normaliser) == ([40, 15], 1.25 * 40, 40)
    assert (found[3].image_id, found[3].row, found[3].person_id) == ("pics/3.png", 3, "0")
    assert found[3].stated_size == (WIDTH, HEIGHT)
    assert "mirror partners by name: left_ear - right_ear" in told(data)
    assert not [one for one in check_part(data, "train", decode=True) if one.level == "error"]


def test_a_folder_is_recognised(tmp_path):
    write(tmp_path, [task(number) for number in range(4)])
    assert open_request(Request(tmp_path), registry(), lambda text: None).name == "labelstudio"


def test_json_min_is_read(tmp_path):
    rows = [
        {"id": 7, "image": "/data/upload/1/7.png", "annotation_id": place, "updated_at": f"2024-01-0{place}",
         "kp": [{**one["value"], "original_width": WIDTH, "original_height": HEIGHT} for one in FACE[:keep]],
         "box": [{**rectangle("", 0, 0, 100, 100)["value"], "original_width": WIDTH, "original_height": HEIGHT}]}
        for place, keep in ((2, 2), (1, 3))
    ]  # fmt: skip
    data = opened(write(tmp_path, rows))
    (one,) = everybody(data)
    assert placed(one) == {0: [40, 10], 1: [20, 20]}
    assert one.side == 1.25 * WIDTH
    assert "warning: tasks with several annotations: the last" in told(data)
    assert len(placed(everybody(opened(tmp_path, several="first"))[0])) == 3


def test_keypoint_with_labels_is_read_too(tmp_path):
    bare = [{**one, "type": kind, "value": {"x": 50, "y": 25, "width": 1} | extra}
            for one in FACE[:1] for kind, extra in (("keypoint", {}), ("labels", {"labels": ["tail"]}))]  # fmt: skip
    data = opened(write(tmp_path, [task(1, bare)]))
    assert data.skeleton.names == ("tail",)


def test_keypoints_are_grouped_by_parent_relation_and_rectangle(tmp_path):
    left, right = rectangle("L", 0, 0, 50, 100), rectangle("R", 50, 0, 50, 100)
    noses = [keypoint("nose", 10, 10), keypoint("nose", 90, 10)]
    tails = [keypoint("tail", 60, 50, parentID="L"), keypoint("tail", 40, 50)]
    result = [left, right, *noses, *tails, relation(right, tails[1])]
    data = opened(write(tmp_path, [task(1, result)]))
    one, other = everybody(data)
    assert placed(one) == {0: [8, 4], 1: [48, 20]}
    assert placed(other) == {0: [72, 4], 1: [32, 20]}
    assert [sample.person_id for sample in (one, other)] == ["0", "1"]
    assert one.centre.tolist() == [24, 20]


def test_without_rectangles_joined_keypoints_are_one_instance(tmp_path):
    first, second = ([keypoint("nose", x, 10), keypoint("tail", x, 90)] for x in (10, 90))
    result = [*first, *second, relation(*first), relation(*second)]
    assert [placed(one) for one in everybody(opened(write(tmp_path, [task(1, result)])))] == [
        {0: [8, 4], 1: [8, 36]}, {0: [72, 4], 1: [72, 36]},
    ]  # fmt: skip


def test_a_tilted_rectangle_is_the_upright_box_around_it(tmp_path):
    """Label Studio tilts around the left top corner; 90 degrees clockwise turn 40 x 10 px into 10 x 40, leftwards."""
    data = opened(write(tmp_path, [task(1, [rectangle("a", 50, 0, 50, 25, rotation=90), keypoint("nose", 45, 50)])]))
    (one,) = everybody(data)
    assert one.centre.tolist() == pytest.approx([35, 20])
    assert one.side == pytest.approx(1.25 * 40)


ASTRAY = "keypoints that lie in no rectangle"
UNCLEAR = [
    (
        [rectangle("a", 0, 0, 60, 100), rectangle("b", 40, 0, 60, 100), keypoint("nose", 50, 50)],
        "keypoints that lie in no rectangle",
    ),
    (
        [rectangle("a", 0, 0, 20, 100), rectangle("b", 40, 0, 60, 100), keypoint("nose", 30, 50)],
        "keypoints that lie in no rectangle",
    ),
    ([keypoint("nose", 10, 10), keypoint("nose", 90, 10)], "a keypoint occurs twice in one instance"),
    ([keypoint("nose", 10, 10, image_rotation=90)], "the picture was turned in Label Studio"),
    ([keypoint("nose", 240, 10)], "a number is no percentage"),
    (
        [keypoint("nose", 10, 10), keypoint("tail", 1, 1, original_width=9)],
        "the regions of one picture state different",
    ),
]


@pytest.mark.parametrize(("result", "what"), UNCLEAR)
def test_what_is_unclear_is_an_error_that_names_the_task(tmp_path, result, what):
    data = opened(write(tmp_path, [task(1), task(2), task(3, result)]))
    assert len(everybody(data)) == 2
    assert f"error: {what}" in told(data)
    assert "task 3, annotation 103, result[" in told(data)
    with pytest.raises(KpError, match=f"no instance with keypoints can be read; {what}"):
        opened(write(tmp_path / "alone", [task(1, result)]))


def test_what_is_left_out_is_told(tmp_path):
    tasks = [task(number) for number in range(8)]
    tasks[1]["annotations"][0]["was_cancelled"] = True
    tasks[2]["annotations"] = []
    tasks[3] = task(3, [{"type": "choices", "value": {"choices": ["good"]}}])
    tasks[4] = task(4, [keypoint(["nose", "hidden"], 1, 1), keypoint([], 2, 2), rectangle("a", 0, 0, 9, 9, "dog")])
    tasks[5] = task(5, [rectangle("a", 0, 0, 9, 9), rectangle("b", 50, 50, 9, 9), keypoint("nose", 1, 1)])
    data = opened(write(tmp_path, tasks))
    assert len(everybody(data)) == 5
    for part in (
        "annotations that were cancelled (skipped) left out (first: ", "tasks without an annotation left out",
        "results of type 'choices' are not read", "annotations without a keypoint left out",
        "warning: keypoints without a label", "warning: keypoints with several labels: the first is taken",
        "rectangles without keypoints left out", "rectangles of several labels are read as one kind (dog 1, cat 1)",
    ):  # fmt: skip
        assert part in told(data)
    dogs = opened(tmp_path, category="dog")
    assert [one.image_id for one in everybody(dogs)] == ["pics/4.png"]
    assert "instances in rectangles of other labels, or in none, left out" in told(dogs)


def test_of_several_annotations_the_ground_truth_or_the_last_is_read(tmp_path):
    def made(name, **more):
        return {"id": name, "result": [keypoint(name, 50, 50)], **more}

    first, second = made("a", updated_at="2024-03-01T00:00:00Z"), made("b", updated_at="2024-02-01T00:00:00Z")
    both = {**task(1), "annotations": [first, second]}
    assert opened(write(tmp_path, [both])).skeleton.names == ("a",)
    assert opened(tmp_path, several="first").skeleton.names == ("b",)
    both["annotations"].append(made("c", ground_truth=True, updated_at="2023"))
    assert opened(write(tmp_path, [both]), several="first").skeleton.names == ("c",)


REFERENCES = [
    "/data/upload/3/1a2b3c4d-cat.png", "/data/upload/cat.png", "/data/local-files/?d=home/me/a/cat.png",
    "/data/local-files/?d=a%2Fcat.png", "s3://bucket/a/cat.png", "https://x.org/a/cat.png?sig=1/2", "cat.png", "http://[a/cat.png",
    "C:\\me\\a\\cat.png", "/data/upload/3/1a2b3c4d-cat.png?x=1",
]  # fmt: skip


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_picture_is_found_by_its_base_name(tmp_path, reference):
    data = opened(write(tmp_path, [task(1, image=reference)], ["a/cat.png", "a/dog.png"]))
    assert [one.image_id for one in everybody(data)] == ["pics/a/cat.png"]


def test_a_picture_with_its_prefix_comes_first_and_folders_tell_between_equal_names(tmp_path):
    tasks = [task(1, image="/data/upload/1/1a2b3c4d-cat.png"), task(2, image="s3://pets/b/cat.png")]
    data = opened(write(tmp_path, tasks, ["1a2b3c4d-cat.png", "a/cat.png", "b/cat.png"]))
    assert [one.image_id for one in everybody(data)] == ["pics/1a2b3c4d-cat.png", "pics/b/cat.png"]


def test_a_picture_that_is_missing_or_could_be_several_is_an_error(tmp_path):
    tasks = [task(1), task(2, image="/data/upload/cat.png"), task(3, image="s3://x/bird1.png"), task(4, image="1.png")]
    data = opened(write(tmp_path, tasks, ["1.png", "a/cat.png", "b/cat.png", "bird2.png"]))
    assert len(everybody(data)) == 1
    assert "task 2: /data/upload/cat.png may be pics/a/cat.png or pics/b/cat.png" in told(data)
    assert "error: no picture of that name below the root" in told(data)
    assert "task 3: s3://x/bird1.png (similar: bird2.png)" in told(data)
    assert "error: another task has the same picture" in told(data)


def test_names_with_accents_are_found_in_either_form(tmp_path):
    data = opened(write(tmp_path, [task(1, image="/data/upload/1/caf%C3%A9.png")], ["cafe\u0301.png"]))
    assert [one.image_id for one in everybody(data)] == ["pics/cafe\u0301.png"]


def test_names_in_another_case_are_found_and_told(tmp_path):
    data = opened(write(tmp_path, [task(1, image="/data/upload/1/1a2b3c4d-Cat.PNG"), task(2)], ["cat.png", "2.png"]))
    assert [one.image_id for one in everybody(data)] == ["pics/cat.png", "pics/2.png"]
    assert "warning: pictures whose names differ in upper and lower case" in told(data)
    assert "task 1: pics/cat.png) [1]" in told(data)


@pytest.mark.parametrize(("reference", "parts"), [("", ("",)), ("///", ("",)), ("s3://bucket", ("",)), ("a?b", ("a",))])
def test_texts_that_name_nothing(reference, parts):
    assert parts_of(reference) == parts


def test_the_text_that_names_the_picture_is_found(tmp_path):
    one = {**task(1), "data": {"photo": "x/1.png", "caption": "a cat"}}
    assert len(everybody(opened(write(tmp_path, [one])))) == 1
    one["data"]["other"] = "2.png"
    with pytest.raises(KpError, match=r"task 1, data: several texts name pictures \(photo, other\); dataset.field"):
        opened(write(tmp_path, [one]))
    assert len(everybody(opened(tmp_path, field="photo"))) == 1
    with pytest.raises(KpError, match=r"no text 'phota' \(photo, caption, other exist\)"):
        opened(tmp_path, field="phota")


def test_sizes_that_are_not_there_are_the_pictures_own(tmp_path):
    bare = {**FACE[0], "original_width": None, "original_height": None}
    data = opened(write(tmp_path, [task(number, [bare]) for number in range(4)]))
    assert placed(everybody(data)[0]) == {0: [40, 10]}
    assert everybody(data)[0].stated_size == (WIDTH, HEIGHT)
    assert "no original_width and original_height" in told(data)


@pytest.mark.parametrize(
    ("stated", "size", "nose"),
    [((160, 80), (80, 40), [40, 10]), ((161, 80), (80, 40), [40, 10]), ((80, 80), (80, 80), [40, 20])],
)
def test_percent_of_a_picture_that_was_resized_whole_stay_right(tmp_path, stated, size, nose):
    """Of another shape they cannot be: that size is stated, and the check of images refuses it."""
    width, height = stated
    result = [{**one, "original_width": width, "original_height": height} for one in FACE]
    (one, *_) = everybody(opened(write(tmp_path, [task(number, result) for number in range(4)])))
    assert (one.stated_size, placed(one)[0]) == (size, nose)


def test_options(tmp_path):
    write(tmp_path, [task(number) for number in range(6)])
    data = opened(tmp_path, keypoints=["right_ear", "nose"], mirrors={"nose": "right_ear"}, groups={"head": ["nose"]},
                  images="pics", margin=2)  # fmt: skip
    assert [(point.name, point.mirror, point.group) for point in data.skeleton.keypoints] == [
        ("right_ear", "nose", "right_ear"), ("nose", "right_ear", "head"),
    ]  # fmt: skip
    (one, *_) = everybody(data)
    assert (one.image_id, one.side, placed(one)) == ("0.png", 40, {0: [60, 20], 1: [40, 10]})
    assert "keypoints that dataset.keypoints does not name left out" in told(data)
    with pytest.raises(KpError, match="unknown keypoint 'node'; did you mean 'nose'"):
        opened(tmp_path, keypoints=["node"])


@pytest.mark.parametrize(("content", "match"), [
    ([], "is no list of tasks"),
    ([{"image": "a.png"}], "its tasks have no 'data'"),
    ([{"id": 1, "data": {}, "annotations": [3]}], "task 1, annotations: must be a list of objects"),
    ([task(1, [3])], r"annotation 101, result: must be a list of objects"),
    ([task(1, [keypoint("nose", "10", 1)])], r"result\[0\], x: '10' is no percentage"),
    ([task(1, [keypoint([1], 10, 1)])], r"keypointlabels: \[1\]; must be a list of names"),
    ([task(1, [keypoint("nose", 1, 1, original_width=0)])], r"original_width, original_height: \(0, 40\)"),
    ([task(1, [])], "no instance with keypoints can be read; no annotation has a keypoint"),
    ([{**task(1), "data": {}}], r"task 1, data: no text names a picture"),
    ([task(1, [rectangle("a", 0, 0, 9, 9), rectangle("b", 1, 1, 9, 9),
               keypoint("n", 1, 1, parentID="a", id="k"), {"from_id": "b", "to_id": "k"}])], "is joined to two"),
])  # fmt: skip
def test_damaged_exports_are_refused_with_the_place(tmp_path, content, match):
    with pytest.raises(KpError, match=match):
        opened(write(tmp_path, content, ["1.png"]))


def test_the_export_is_found(tmp_path):
    write(tmp_path, [task(1)])
    (tmp_path / "notes.json").write_text('{"a": 1}')
    assert len(everybody(opened(tmp_path))) == 1
    write(tmp_path, [task(1)], name="project-2.json")
    with pytest.raises(KpError, match=r"several JSON lists \(project-1.json, project-2.json\).*dataset.annotation"):
        opened(tmp_path)
    assert len(everybody(opened(tmp_path, annotation="project-2.json"))) == 1
    with pytest.raises(KpError, match="no JSON list"):
        opened(tmp_path / "pics")
