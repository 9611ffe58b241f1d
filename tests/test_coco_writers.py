"""Predictions in COCO's formats: read back by our reader and by pycocotools, with the ids of the boxes' file."""

import contextlib
import io
import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from writing import MOUSE, about, found, written

from kpcore.errors import KpError
from kpcore.interfaces import Category
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.registry import registry

TWO = [[10.25, 20.5], [30.12345678, 40.0], [15.0, 44.0], [0.0, 0.0]]
ONE = [[50.0, 60.0], [51.0, 61.0], [52.0, 62.0], [90.5, 60.0]]
LOST = [[np.nan, np.nan]] * 4


def loaded(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def read_back(root):
    """Everybody whom our reader finds in ``root/coco.json``."""
    options = {"root": str(root), "train_annotations": "coco.json", "train_images": "images"}
    return registry().build("dataset", "coco", options, where="test")


def test_a_whole_coco_file_is_read_back_with_the_same_points(tmp_path):
    paths = written("coco", tmp_path, [found("a.png", TWO, ONE), found("sub/b.png", LOST, ONE), found("c.png")])
    assert paths == [tmp_path / "coco.json"] and [path.name for path in tmp_path.iterdir()] == ["coco.json"]
    for name in ("a.png", "sub/b.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((100, 200, 3), np.uint8))
    data = read_back(tmp_path)
    people = data.samples("train")
    assert [person.image_id for person in people] == ["a.png", "a.png", "sub/b.png"]
    np.testing.assert_allclose([person.points for person in people], [TWO, ONE, ONE], atol=1e-4)
    assert data.skeleton.names == MOUSE.names and data.skeleton.edges == MOUSE.edges
    assert all((person.state == 2).all() for person in people)


def test_what_the_coco_file_says_is_what_tools_expect(tmp_path):
    written(
        "coco", tmp_path, [found("a.png", TWO), found("bad.png", problem="no image"), found("v.mp4", ONE, frame=12)]
    )
    document = json.loads((tmp_path / "coco.json").read_text())
    assert document["images"] == [
        {"id": 1, "file_name": "a.png", "width": 200, "height": 100},
        {"id": 2, "file_name": "v/000012.png", "width": 200, "height": 100},
    ]
    (category,) = document["categories"]
    assert (category["id"], category["name"], category["skeleton"]) == (1, "mouse", [[1, 2], [1, 3], [3, 4]])
    first = document["annotations"][0]
    assert first["keypoints"] == [10.25, 20.5, 2, 30.1235, 40.0, 2, 15.0, 44.0, 2, 0.0, 0.0, 2]
    assert first["bbox"] == [0.0, 0.0, 30.1235, 44.0] and first["area"] == 1325.43 and first["num_keypoints"] == 4
    assert first["score"] == pytest.approx(0.75) and first["iscrowd"] == 0
    assert [one["image_id"] for one in document["annotations"]] == [1, 2]
    assert sorted(loaded(tmp_path / "coco.json").anns) == [1, 2]


def test_unsure_keypoints_are_missing_and_whoever_has_none_left_is_left_out(tmp_path):
    unsure = found("b.png", ONE, confidence=[[0.1, 0.1, 0.1, 0.1]])
    written("coco", tmp_path, [found("a.png", TWO), unsure], least=0.75, category="rat")
    document = json.loads((tmp_path / "coco.json").read_text())
    (one,) = document["annotations"]
    assert one["keypoints"][6:] == [0] * 6 and one["num_keypoints"] == 2 and one["score"] == pytest.approx(0.85)
    assert document["categories"][0]["name"] == "rat" and len(document["images"]) == 2


def test_results_have_the_ids_and_the_order_of_the_boxes_file(tmp_path):
    keypoints = MOUSE.select(["nose", "tail"])
    category = Category(7, "mouse", ("tail", "chin", "nose"))
    shared = about(keypoints, categories=(Category(3, "thing"), category), free_image_id=100)
    pair = [[1.0, 2.0], [3.0, 4.0]]
    pictures = [
        found("a.png", pair, ids=["5"], image_id=42, categories=(7,), rows=(0,)),
        found("b.png", pair, ids=["6"], image_id="x", categories=(3,), rows=(1,)),
        found("c.png", pair, pair, ids=["", ""], categories=(7, 7)),
    ]
    written("coco_results", tmp_path, pictures, shared)
    results = json.loads((tmp_path / "coco_results.json").read_text())
    assert [(one["image_id"], one["category_id"]) for one in results] == [(42, 7), ("x", 3), (100, 7), (100, 7)]
    assert results[0]["keypoints"] == [3.0, 4.0, 2, 0, 0, 0, 1.0, 2.0, 2]
    assert results[1]["keypoints"] == [1.0, 2.0, 2, 3.0, 4.0, 2]
    assert results[0]["score"] == pytest.approx(0.85)
    written("coco", tmp_path, pictures, shared)
    document = json.loads((tmp_path / "coco.json").read_text())
    assert [one["keypoints"] for one in document["annotations"]] == [one["keypoints"] for one in results]
    assert document["categories"][1] == {
        "id": 7, "name": "mouse", "supercategory": "mouse", "keypoints": ["tail", "chin", "nose"], "skeleton": [],
    }  # fmt: skip


def test_results_without_a_boxes_file_number_images_as_the_coco_file_does(tmp_path):
    pictures = [found("bad.png", problem="no"), found("a.png"), found("b.png", ONE, LOST)]
    for name in ("coco", "coco_results"):
        written(name, tmp_path, pictures)
    (result,) = json.loads((tmp_path / "coco_results.json").read_text())
    (image,) = [
        one for one in json.loads((tmp_path / "coco.json").read_text())["images"] if one["id"] == result["image_id"]
    ]
    assert image["file_name"] == "b.png" and result["category_id"] == 1
    truth = loaded(tmp_path / "coco.json")
    with contextlib.redirect_stdout(io.StringIO()):
        assert len(truth.loadRes(str(tmp_path / "coco_results.json")).anns) == 1


def test_nothing_predicted_is_an_empty_list(tmp_path):
    for name in ("coco", "coco_results"):
        written(name, tmp_path, [found("a.png")])
    assert json.loads((tmp_path / "coco_results.json").read_text()) == []
    assert json.loads((tmp_path / "coco.json").read_text())["annotations"] == []


def test_what_coco_cannot_hold_is_one_line(tmp_path):
    deep = Skeleton("deep", (Keypoint("a", group="a"),), dims=3).all()
    for name in ("coco", "coco_results"):
        with pytest.raises(KpError, match=f"--format {name}: has x and y, and .* keypoints are 3D; write csv or h5"):
            written(name, tmp_path, [], about(deep))
    category = Category(1, "person", ("nose",))
    with pytest.raises(KpError, match=r"category 'person' of b\.json has no keypoint ear_l, ear_r, tail"):
        written("coco_results", tmp_path, [], about(boxes="b.json", categories=(category,)))
    shared = about(boxes="b.json", categories=(Category(1, "a"), Category(2, "b")))
    with pytest.raises(KpError, match=r"instance 9 of a\.png has no 'category_id' of the file's 2 categories"):
        written("coco", tmp_path, [found("a.png", ONE, ids=["9"], categories=(None,))], shared)
    assert not list(tmp_path.iterdir())
