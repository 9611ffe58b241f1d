"""Boxes that are of no picture, of two, or of no frame; and what a network says that is no number."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from kp_mpii.skeleton import MPII

from kpcore.errors import KpError
from kpcore.registry import registry
from kpcore.trained.boxes import read_boxes
from kpcore.trained.following import follow
from kpcore.trained.framing import Framing
from kpcore.trained.outputs import target_of
from kpcore.trained.pictures import Picture, sources
from kpcore.trained.predicting import How, predict
from kpcore.trained.predictor import Predictor
from kpcore.trained.writing import write

KEYPOINTS = MPII.select(["r_knee", "l_knee"])
CARD = SimpleNamespace(title="study/name", steps=())


class Fixed:
    """Finds the same points in every crop; of the second keypoint what it is told."""

    keypoints = KEYPOINTS
    resolution = 32
    framing = Framing(points=2.0)
    on_cpu = True

    def __init__(self, second=(20.0, 20.0), sure=1.0):
        self.second, self.sure = second, sure

    def crops(self, pixels):
        points = np.tile(np.array([[10.0, 10.0], self.second]), (len(pixels), 1, 1))
        return points, np.tile(np.array([1.0, self.sure]), (len(pixels), 1))


def boxes(tmp_path, text, names=()):
    (tmp_path / "boxes.csv").write_text(text)
    found = read_boxes(tmp_path / "boxes.csv")
    return found.matched([Picture(name, Path(name)) for name in names]) if names else found


def run(tmp_path, engine, words, given=None, **how):
    """Predict into a CSV and a COCO file; return what was counted."""
    writers = {name: registry().build("writer", name, {}, where="test") for name in ("csv", "coco")}
    target = target_of(tmp_path / "out", [one.file for one in writers.values()], [])
    return write(sources(words), engine, CARD, How(boxes=given), writers, target, **how)


def picture(path, side=100):
    cv2.imwrite(str(path), np.full((side, side, 3), 90, np.uint8))
    return path


def test_a_box_outside_or_too_large_is_left_out_and_the_others_of_its_picture_stay(tmp_path):
    picture(tmp_path / "a.png")
    text = "image,id,x,y,width,height\na.png,out,900,0,9,9\na.png,good,10,10,50,50\na.png,vast,0,0,90000,9\n"
    given = boxes(tmp_path, text, ["a.png"])
    counted = run(tmp_path, Fixed(), [str(tmp_path / "a.png")], given)
    assert (counted.pictures, counted.instances, counted.problems, counted.without) == (1, 1, [], 0)
    assert "box out of" in counted.left_out[0] and "lies outside the picture" in counted.left_out[0]
    assert "box vast of" in counted.left_out[1] and "lower --margin" in counted.left_out[1]
    assert "good" in (tmp_path / "out" / "predictions.csv").read_text()
    (whole,) = predict([Picture("w", Path(), pixels=np.zeros((9, 30_000, 3), np.uint8))], Fixed(), How())
    assert "scale the picture down, or give --boxes" in whole.problem


def test_an_image_of_the_boxes_is_one_picture(tmp_path):
    text = "image,x,y,width,height\nsame.png,10,10,60,60\n"
    with pytest.raises(KpError, match=r"'same\.png' could be x/same\.png and y/same\.png"):
        boxes(tmp_path, text, ["x/same.png", "y/same.png"])
    found = boxes(tmp_path, text, ["same.png", "y/same.png"])
    assert len(found.of(Picture("same.png", Path()))) == 1 and not found.of(Picture("y/same.png", Path()))
    assert len(boxes(tmp_path, text, ["y/same.png"]).of(Picture("y/same.png", Path()))) == 1


def test_boxes_of_other_pictures_and_frames_are_counted(tmp_path):
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 64))
    for _ in range(3):
        video.write(np.full((64, 64, 3), 90, np.uint8))
    video.release()
    text = (
        "image,frame,x,y,width,height\nv.avi,1,5,5,40,40\nv.avi,99,5,5,40,40\nother.png,,1,1,9,9\nother.png,,1,1,9,9\n"
    )
    counted = run(tmp_path, Fixed(), [str(tmp_path / "v.avi")], boxes(tmp_path, text, ["v.avi"]))
    assert counted.unused == [("other.png", 2), ("v.avi, frame 99", 1)] and counted.instances == 1


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2.7,1,1,9,9", "column frame: 2.7 is no frame"),
        ("-1,1,1,9,9", "column frame: -1 is no frame"),
        ("nan,1,1,9,9", "column frame: holds no number; write one, or remove the line"),
        ("1,one,1,9,9", "column x: 'one' is not a number; write one, or remove the line"),
        ("1,,1,9,9", "column x: holds no number; write one, or remove the line"),
        ("1,1,1,1e308,9", "no number is beyond 1,000,000"),
    ],
)
def test_a_wrong_row_is_one_line_that_helps(tmp_path, row, told):
    with pytest.raises(KpError, match=told):
        boxes(tmp_path, f"image,frame,x,y,width,height\nv.avi,{row}\n")


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ([{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}], "id 1 is that of 'a' too"),
        ([{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}], r"file_name 'a' is that of images\[0\] too"),
    ],
)
def test_a_coco_file_with_an_image_twice_is_refused(tmp_path, images, told):
    (tmp_path / "b.json").write_text(json.dumps({"images": images, "annotations": []}))
    with pytest.raises(KpError, match=told):
        read_boxes(tmp_path / "b.json")


# ----------------------------------------------------------------------------------------------- no number


@pytest.mark.parametrize("engine", [Fixed(second=(np.nan, 3.0)), Fixed(second=(3.0, -6.4), sure=np.nan)])
def test_what_is_no_number_is_a_missing_keypoint_and_is_counted(tmp_path, engine):
    counted = run(tmp_path, engine, [str(picture(tmp_path / "a.png"))])
    assert counted.unknown == 1 and counted.lost == 0
    (one,) = json.loads((tmp_path / "out" / "coco.json").read_text())["annotations"]
    assert one["num_keypoints"] == 1 and one["keypoints"][3:] == [0, 0, 0]
    assert (tmp_path / "out" / "predictions.csv").read_text().splitlines()[2].endswith("l_knee,,,")
    frames = [Picture("v", Path("v"), number, np.full((64, 64, 3), 90, np.uint8)) for number in range(2)]
    assert all(np.isfinite(one.points[0, 0]).all() for one in follow(frames, engine, How()))


def test_a_network_of_no_numbers_is_never_followed():
    frames = [Picture("v", Path("v"), number, np.full((64, 64, 3), 90, np.uint8)) for number in range(2)]
    nothing = Fixed()
    nothing.crops = lambda pixels: (np.full((len(pixels), 2, 2), 7.0), np.full((len(pixels), 2), np.nan))
    assert all(np.isnan(one.points).all() for one in follow(frames, nothing, How()))


def test_maps_that_are_no_numbers_give_no_points():
    class Made(Predictor):
        def _maps(self, images):
            maps = torch.zeros(len(images), 2, 4, 4)
            maps[:, 1, 2, 2] = torch.nan
            return maps

    codec = SimpleNamespace(
        width=1, decode=lambda maps, stride: (torch.ones(len(maps), 2, 2), torch.ones(len(maps), 2))
    )
    network = SimpleNamespace(training=False, layout=SimpleNamespace(heads=[KEYPOINTS]))
    backbone = SimpleNamespace(mean=(0, 0, 0), std=(1, 1, 1), stride=4)
    made = Made(network, backbone, codec, SimpleNamespace(torch=torch.device("cpu")), False)
    points, confidence = made.crops(torch.zeros(1, 16, 16, 3, dtype=torch.uint8))
    assert points[0, 0].tolist() == [1, 1] and points[0, 1].isnan().all()
    assert confidence.isnan().tolist() == [[False, True]]
