"""Units and placeholders as users meet them: ``kp data check`` over folders of several layouts, written here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from kpcore.cli.app import outcome

NAMES = ("nose", "tail", "ear", "back")
WIDTH, HEIGHT = 640, 480
PEOPLE = 10


def pictures(folder, size):
    folder.mkdir(parents=True)
    for row in range(PEOPLE):
        colour = tuple(int(value) for value in np.random.default_rng(row).integers(0, 255, 3))
        Image.new("RGB", size, colour).save(folder / f"{row}.png")


def cells(person):
    return ",".join(f"{value:.10g}" for value in person.ravel())


def named(root, points, size):
    pictures(root / "images", size)
    head = ",".join(["image", *(f"{name}_{axis}" for name in NAMES for axis in "xy")])
    rows = [f"images/{row}.png,{cells(person)}" for row, person in enumerate(points)]
    (root / "keypoints.csv").write_text("\n".join([head, *rows]))
    return ["--dataset=named"]


def landmarks(root, points, size):
    pictures(root / "training", size)
    head = ",".join(["", *(f"x{place},y{place}" for place in range(len(NAMES)))])
    rows = [f"{row}.png,{cells(person)}" for row, person in enumerate(points)]
    (root / "training_frames_keypoints.csv").write_text("\n".join([head, *rows]))
    (root / "test").mkdir()
    (root / "test_frames_keypoints.csv").write_text("\n".join([head, *rows]))
    pictures_again = [(root / "training" / f"{row}.png").read_bytes() for row in range(PEOPLE)]
    for row, data in enumerate(pictures_again):
        (root / "test" / f"{row}.png").write_bytes(data)
    return ["--dataset=landmarks"]


def deeplabcut(root, points, size):
    pictures(root / "labeled-data" / "one", size)
    head = [
        "scorer" + ",me" * 2 * len(NAMES),
        ",".join(["bodyparts", *(f"{name},{name}" for name in NAMES)]),
        "coords" + ",x,y" * len(NAMES),
    ]
    rows = [f"labeled-data/one/{row}.png,{cells(person)}" for row, person in enumerate(points)]
    (root / "labeled-data" / "one" / "CollectedData_me.csv").write_text("\n".join([*head, *rows]))
    return ["--dataset=deeplabcut"]


def coco(root, points, size, boxes=None):
    pictures(root / "images", size)
    low, high = points.min(1), points.max(1)
    boxes = np.concatenate([low, high - low + 1], 1) if boxes is None else boxes
    images = [{"id": row, "file_name": f"{row}.png", "width": size[0], "height": size[1]} for row in range(len(points))]
    people = [
        {
            "id": row + 1, "image_id": row, "category_id": 1, "bbox": box.tolist(), "area": float(box[2] * box[3] / 2),
            "num_keypoints": len(NAMES), "iscrowd": 0,
            "keypoints": [value for x, y in person.tolist() for value in (x, y, 2)],
        }
        for row, (person, box) in enumerate(zip(points, boxes, strict=True))
    ]  # fmt: skip
    kinds = [{"id": 1, "name": "mouse", "keypoints": list(NAMES), "skeleton": []}]
    (root / "ann.json").write_text(json.dumps({"images": images, "annotations": people, "categories": kinds}))
    options = ("train_annotations=ann.json", "train_images=images", "held_out=0.3")
    return ["--dataset=coco", *(f"--set={option}" for option in options)]


WRITERS = (named, landmarks, deeplabcut, coco)


def pixels(low=0.0, high=1.0):
    return np.random.default_rng(3).uniform(low, high, (PEOPLE, len(NAMES), 2)) * [WIDTH - 1, HEIGHT - 1]


def checked(root, writer, points, capsys, size=(WIDTH, HEIGHT)):
    """Return the exit code and (level, text) of what is no note."""
    options = writer(root, points, size)
    code = outcome(["data", "check", str(root), "--json", "--quick", *options])
    found = json.loads(capsys.readouterr().out)["findings"]
    return code, [(one["level"], one["what"]) for one in found if one["level"] != "note"]


def levels(found, text):
    return {level for level, what in found if text in what}


@pytest.mark.parametrize("writer", WRITERS)
def test_whole_percent_is_refused(tmp_path, capsys, writer):
    percent = np.round(pixels() / [WIDTH, HEIGHT] * 100)
    percent[:3] = np.array([[0, 0], [100, 100], [98, 97], [3, 2]]) + np.arange(3)[:, None, None] % 2
    code, found = checked(tmp_path, writer, percent.clip(1, 100), capsys)
    assert code == 2 and "error" in levels(found, "0..100")


@pytest.mark.parametrize("place", [(-999, -999), (-1, -1), (0, 0)])
@pytest.mark.parametrize("writer", WRITERS)
def test_shares_beside_placeholders_are_refused(tmp_path, capsys, writer, place):
    shares = pixels(0.1, 0.9) / [WIDTH, HEIGHT]
    shares[[1, 4], [0, 2]] = place
    code, found = checked(tmp_path, writer, shares, capsys)
    assert code == 2 and "error" in levels(found, "0..1:")


@pytest.mark.parametrize("writer", WRITERS)
def test_shares_on_one_axis_are_refused(tmp_path, capsys, writer):
    code, found = checked(tmp_path, writer, pixels(0.1, 0.9) / [WIDTH, 1], capsys)
    assert code == 2 and any("x lie in 0..1" in what for level, what in found if level == "error")


@pytest.mark.parametrize("writer", WRITERS)
def test_something_small_at_the_top_left_is_taken(tmp_path, capsys, writer):
    code, found = checked(tmp_path, writer, np.random.default_rng(1).integers(2, 91, (PEOPLE, 4, 2)), capsys)
    assert code == 0 and levels(found, "0..100") == {"warning"}


@pytest.mark.parametrize("writer", WRITERS)
def test_small_pictures_and_sound_pixels_give_no_word(tmp_path, capsys, writer):
    code, found = checked(tmp_path / "small", writer, pixels() * 0.15, capsys, (96, 72))
    assert code == 0 and not levels(found, "coordinates") and not levels(found, "exactly")
    code, found = checked(tmp_path / "large", writer, np.round(pixels()), capsys)
    assert code == 0 and not levels(found, "coordinates") and not levels(found, "exactly")


def test_boxes_in_pixels_tell_percent(tmp_path, capsys):
    middles = np.random.default_rng(3).uniform([200, 150], [440, 330], (PEOPLE, 1, 2))
    points = middles + np.random.default_rng(4).uniform(-90, 90, (PEOPLE, len(NAMES), 2))
    boxes = np.concatenate([points.min(1), np.ptp(points, axis=1)], 1)
    percent = np.round(points / [WIDTH, HEIGHT] * 100, 1)
    code, found = checked(tmp_path, lambda *given: coco(*given, boxes), percent, capsys)
    assert code == 2 and levels(found, "0..100") == {"error"}
