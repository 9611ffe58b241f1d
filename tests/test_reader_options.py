"""Every option of every data set changes what is read or said; what a data set says of itself."""

import csv
import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from kp_faces.readers import aflw_info
from kp_faces.readers.aflw_sqlite import LANDMARKS
from kp_people.synthetic.generator import PeopleGenerator
from pydantic import ValidationError
from scipy.io import savemat

from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.reading import matlab
from kpcore.registry import registry
from kpcore.study.data import read_part
from kpcore.study.opening import open_study
from kpcore.study.recognise import assignments

COUNT = 12
IMAGES = [f"{number}.jpg" for number in range(COUNT)]
PLACES = np.random.default_rng(0).uniform(6, 40, (COUNT, 98, 2)).round(1)
NAMES = ["nose", "tail", "left_ear", "right_ear"]


def pictures(folder, names=IMAGES, size=48):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((size, size, 3), np.uint8))


def coco(root):
    cat = {"id": 1, "name": "cat", "keypoints": NAMES}
    dog = {"id": 2, "name": "dog", "keypoints": [*NAMES[:3], "chin"]}
    for part, first in (("train", 0), ("val", 6), ("other", 3)):
        rows = [
            {"id": row, "image_id": row % 6, "category_id": 1 + row // 6, "iscrowd": 0, "area": 90.0,
             "bbox": [5, 5, 36, 36],
             "keypoints": [value for point in PLACES[first + row % 6, :4].tolist() for value in (*point, 2)]}
            for row in range(12)
        ]  # fmt: skip
        images = [{"id": place, "file_name": IMAGES[first + place]} for place in range(6)]
        held = {"images": images, "annotations": rows, "categories": [cat, dog]}
        path = root / "annotations" / f"person_keypoints_{part}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(held))
        pictures(root / f"{part}2017", size=64 if part == "other" else 48)


def deeplabcut(root):
    for scorer, moved in (("anna", 0), ("ben", 1)):
        lines = [",".join([word, *[scorer] * 8]) for word in ("scorer",)]
        lines.append(",".join(["bodyparts", *[name for name in NAMES for _ in "xy"]]))
        lines.append(",".join(["coords", *["x", "y"] * 4]))
        for row in range(COUNT):
            numbers = (PLACES[row, :4] + moved).ravel().tolist()
            lines.append(",".join([f"labeled-data/{'ab'[row % 2]}/{IMAGES[row]}", *map(str, numbers)]))
        (root / f"CollectedData_{scorer}.csv").write_text("\n".join(lines))
    pictures(root / "labeled-data" / "a")
    pictures(root / "labeled-data" / "b")


def named(root):
    header = ["image", *(f"{name}_{axis}" for name in NAMES for axis in "xy")]
    for file, moved in (("keypoints.csv", 0), ("others.csv", 1)):
        with (root / file).open("w", newline="") as stream:
            csv.writer(stream).writerows(
                [header, *([image, *(PLACES[row, :4] + moved).ravel()] for row, image in enumerate(IMAGES))]
            )
    pictures(root)
    pictures(root / "others", size=64)


def h36m(root):
    names = [f"S{subject}_Posing.{camera}_{k:06d}.jpg" for k, (subject, camera) in enumerate(
        (subject, camera) for subject in (1, 5, 9, 11) for camera in (60457274, 55011271))]  # fmt: skip
    space = np.random.default_rng(1).uniform(-500, 500, (8, 17, 3))
    space[:, 0] = 0
    frame = {"center": np.full((8, 2), 500.0), "scale": np.full(8, 5.0)}
    with h5py.File(root / "train.h5", "w") as file:
        for key, value in {**frame, "S": space, "part": 500 + space[..., :2] / 4}.items():
            file[key] = value
        file["imgname"] = np.array([name.encode() for name in names])
    joints, pixels = np.ones((8, 24, 4)), np.ones((8, 24, 3))
    joints[:, :17, :3], pixels[:, :17, :2] = space / 1000, 500 + space[..., :2] / 4
    joints[:, 17:, :3] = pixels[:, 17:, :2] = 0
    joints[:, 14], pixels[:, 14] = (0, 0, 0, 1), (500, 500, 1)
    np.savez(root / "h36m_train.npz", S=joints, part=pixels, imgname=np.array(names), **frame)
    pictures(root / "images", names, 8)


def landmarks(root):
    pictures(root / "train")
    with (root / "train.csv").open("w", newline="") as stream:
        rows = [[image, *PLACES[row, :29].ravel()] for row, image in enumerate(IMAGES)]
        csv.writer(stream).writerows([["image", *range(58)], *rows])


def ibug(root):
    for row, folder in enumerate(("afw", "helen/testset", "ibug")):
        pictures(root / folder, ["a.jpg"])
        (root / folder / "a.pts").write_text("\n".join(f"{x} {y}" for x, y in PLACES[row, :68]))


def wflw(root):
    for part, first in (("train", 0), ("test", 6)):
        lines = []
        for row in range(first, first + 6):
            box, flags = (4, 5, 42, 43), [int(row == first + place) for place in range(6)]
            lines.append(" ".join(map(str, [*PLACES[row].ravel(), *box, *flags, IMAGES[row]])))
        (root / f"list_98pt_rect_attr_{part}.txt").write_text("\n".join(lines))
    pictures(root / "WFLW_images")


def cofw(root):
    for part, ending in (("train", "Tr"), ("test", "T")):
        with h5py.File(root / f"COFW_{part}_color.mat", "w") as file:
            cells = file.create_dataset(f"Is{ending}", (1, 2), dtype=h5py.ref_dtype)
            for row in range(2):
                cells[0, row] = file.create_dataset(f"#refs#/{row}", data=np.zeros((3, 48, 48), np.uint8)).ref
            marks = PLACES[:2, :29]
            file[f"phis{ending}"] = np.concatenate([marks[..., 0], marks[..., 1], np.zeros((2, 29))], axis=1).T
            file[f"bboxes{ending}"] = np.array([[5.0, 5, 30, 32]] * 2).T


def aflw(root):
    with closing(sqlite3.connect(root / "aflw.sqlite")) as base, base:
        base.execute("CREATE TABLE Faces (face_id INTEGER, file_id TEXT)")
        base.execute("CREATE TABLE FaceImages (file_id TEXT, filepath TEXT)")
        base.execute("CREATE TABLE FaceRect (face_id INTEGER, x INTEGER, y INTEGER, w INTEGER, h INTEGER)")
        base.execute("CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x FLOAT, y FLOAT)")
        base.execute("CREATE TABLE FeatureCoordTypes (feature_id INTEGER, descr TEXT)")
        base.executemany("INSERT INTO FeatureCoordTypes VALUES (?, ?)", enumerate(LANDMARKS))
        for face, image in enumerate(IMAGES):
            base.execute("INSERT INTO Faces VALUES (?, ?)", (face, image))
            base.execute("INSERT INTO FaceImages VALUES (?, ?)", (image, image))
            base.execute("INSERT INTO FaceRect VALUES (?, 4, 5, 36, 38)", (face,))
            rows = [(face, feature, *PLACES[face, feature].tolist()) for feature in range(19)]
            base.executemany("INSERT INTO FeatureCoords VALUES (?, ?, ?, ?)", rows)
    names = np.empty((COUNT, 1), object)
    names[:, 0] = IMAGES
    marks = PLACES[:, :19]
    savemat(root / "AFLWinfo_release.mat", {
        "data": np.concatenate([marks[..., 0], marks[..., 1]], axis=1), "mask_new": np.ones((COUNT, 19)),
        "nameList": names, "bbox": np.tile([4.0, 40, 5, 43], (COUNT, 1)), "ra": np.arange(1.0, COUNT + 1)[None],
    }, do_compression=True)  # fmt: skip
    pictures(root / "flickr")


def lspet(root):
    joints = np.concatenate([PLACES[:, :14].transpose(1, 2, 0), np.ones((14, 1, COUNT))], axis=1)
    savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    pictures(root / "images", [f"im{number:05d}.jpg" for number in range(1, COUNT + 1)])


def mpii(root):
    """Newell's files, in which valid's last image is in train as well; HRNet's; and the .mat."""
    images = [*IMAGES[:11], IMAGES[0]]
    for part, rows in (("train", range(1, 12)), ("valid", range(1))):
        rows = list(rows)
        with h5py.File(root / f"{part}.h5", "w") as file:
            file["part"], file["visible"] = PLACES[rows, :16], np.ones((len(rows), 16))
            file["center"], file["scale"] = np.full((len(rows), 2), 24.0), np.full(len(rows), 0.2)
            file["normalize"], file["imgname"] = np.full(len(rows), 5.0), np.array([images[k].encode() for k in rows])
        held = [
            {"image": images[row], "center": [24.0, 24.0 - 15 * 0.16], "scale": 0.16, "head_size": 5.0,
             "joints": PLACES[row, :16].tolist(), "joints_vis": [1] * 16}
            for row in rows[:10]
        ]  # fmt: skip
        (root / f"{part}.json").write_text(json.dumps(held))
    point, rect = [("x", object), ("y", object), ("id", object)], [
        ("x1", object), ("y1", object), ("x2", object), ("y2", object), ("scale", object), ("objpos", object),
        ("annopoints", object)]  # fmt: skip
    annolist = np.empty((1, 12), [("image", object), ("annorect", object)])
    for row in range(12):
        points = np.array([[(*PLACES[row, k].tolist(), k) for k in range(16)]], point)
        centre = np.array([[(24.0, 20.0)]], [("x", object), ("y", object)])
        who = np.array([[(1.0, 1.0, 9.0, 9.0, 0.2, centre, np.array([[(points,)]], [("point", object)]))]], rect)
        annolist[0, row] = (np.array([[(IMAGES[row],)]], [("name", object)]), who)
    release = np.array([[(annolist, np.ones((1, 12)))]], [("annolist", object), ("img_train", object)])
    savemat(root / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release}, do_compression=True)
    (root / "some.txt").write_text("\n".join(IMAGES[:4]))
    pictures(root / "images")


def people(root):
    made = PeopleGenerator(**PeopleGenerator.Config(people=2, valid=1, size=48).model_dump())
    made.write(root, lambda done, total: None)


def labelstudio(root):
    """Two annotations a task, of which the second is the later; the other export has other points."""
    for name, first in (("export", 0), ("others", 8)):
        tasks = []
        for row in range(COUNT):
            made = []
            for number in range(2):
                shares = 100 * PLACES[row, first + 4 * number : first + 4 * number + 4] / 48
                points = [
                    {"type": "keypointlabels", "original_width": 48, "original_height": 48, "id": word,
                     "value": {"x": x, "y": y, "keypointlabels": [word]}}
                    for word, (x, y) in zip(NAMES, shares.tolist(), strict=True)
                ]  # fmt: skip
                box = {"type": "rectanglelabels", "id": "box", "original_width": 48, "original_height": 48,
                       "value": {"x": 10, "y": 10, "width": 80, "height": 80, "rectanglelabels": ["cat"]}}  # fmt: skip
                if row % 2:
                    box["value"]["rectanglelabels"] = ["dog"]
                made.append({"result": [box, *points], "updated_at": f"{number}"})
            data = {"image": f"/data/upload/1/{row}.jpg", "photo": f"s3://pets/{(row + 1) % COUNT}.jpg"}
            tasks.append({"id": row, "data": data, "annotations": made})
        (root / f"{name}.json").write_text(json.dumps(tasks))
    pictures(root / "pets")
    (root / "labels.json").write_text("{}")


def yolo(root):
    """A cat and a dog in every picture; both have the same keypoints, of which the other file mirrors two."""
    for part, rows in (("train", range(COUNT)), ("val", range(3))):
        pictures(root / "images" / part, [IMAGES[row] for row in rows])
        (root / "labels" / part).mkdir(parents=True)
        for row in rows:
            shares = [" ".join(f"{x:.4f} {y:.4f} 2" for x, y in PLACES[row, k : k + 4] / 48) for k in (0, 4)]
            lines = [f"{number} 0.5 0.5 0.5 0.4 {points}" for number, points in enumerate(shares)]
            (root / "labels" / part / f"{row}.txt").write_text("\n".join(lines))
    common = "train: images/train\nval: images/val\nkpt_shape: [4, 3]\nnames: [cat, dog]\nkpt_names:\n"
    names = "".join(f"  {number}: [{', '.join(NAMES)}]\n" for number in range(2))
    (root / "data.yaml").write_text(common + names + "flip_idx: [0, 1, 3, 2]\n")
    (root / "other.yaml").write_text(common + names + "flip_idx: [1, 0, 3, 2]\n")


WRITERS = {
    "300w": ibug, "aflw": aflw, "coco": coco, "cofw": cofw, "deeplabcut": deeplabcut, "h36m": h36m,
    "landmarks": landmarks, "lspet": lspet, "mpii": mpii, "named": named, "people": people, "wflw": wflw,
    "yolo": yolo, "labelstudio": labelstudio,
}  # fmt: skip
CAT, ANNA, SOME = {"category": "cat"}, {"scorer": "anna"}, {"held_out": 0.4}
MAT = {"annotations": "mat", **SOME}
EXPORT = {"annotation": "export.json", **SOME}
OTHER = {
    ("300w", "subset"): ({}, "common"),
    ("300w", "crop"): ({}, 1.5),
    ("aflw", "annotations"): (SOME, "info"),
    ("aflw", "held_out"): (SOME, 0.6),
    ("aflw", "crop"): (SOME, 2.0),
    ("coco", "train_annotations"): (CAT, "annotations/person_keypoints_other2017.json"),
    ("coco", "valid_annotations"): (CAT, "annotations/person_keypoints_other2017.json"),
    ("coco", "train_images"): (CAT, "other2017"),
    ("coco", "valid_images"): (CAT, "other2017"),
    ("coco", "category"): (CAT, "dog"),
    ("coco", "mirrors"): (CAT, {"nose": "tail"}),
    ("coco", "held_out"): (CAT, 0.5),
    ("cofw", "crop"): ({}, 2.0),
    ("deeplabcut", "scorer"): (ANNA, "ben"),
    ("deeplabcut", "held_out"): (ANNA, 0.6),
    ("deeplabcut", "valid_videos"): (ANNA, ["a"]),
    ("deeplabcut", "crop"): (ANNA, "points"),
    ("deeplabcut", "factor"): ({**ANNA, "crop": "points"}, 2.0),
    ("deeplabcut", "normaliser"): (ANNA, ["nose", "tail"]),
    ("deeplabcut", "mirrors"): (ANNA, {"nose": "tail"}),
    ("deeplabcut", "groups"): (ANNA, {"head": ["nose"]}),
    ("deeplabcut", "edges"): (ANNA, [["nose", "tail"]]),
    ("h36m", "annotations"): ({}, "spin"),
    ("h36m", "protocol"): ({}, 2),
    ("h36m", "stride"): ({}, 2),
    ("landmarks", "skeleton"): (SOME, "cofw29"),
    ("landmarks", "crop"): (SOME, 2.0),
    ("landmarks", "held_out"): (SOME, 0.6),
    ("landmarks", "origin"): (SOME, 1),
    ("labelstudio", "annotation"): (EXPORT, "others.json"),
    ("labelstudio", "images"): (EXPORT, "pets"),
    ("labelstudio", "field"): (EXPORT, "photo"),
    ("labelstudio", "category"): (EXPORT, "dog"),
    ("labelstudio", "keypoints"): (EXPORT, ["nose", "tail"]),
    ("labelstudio", "several"): (EXPORT, "first"),
    ("labelstudio", "mirrors"): (EXPORT, {"nose": "tail"}),
    ("labelstudio", "groups"): (EXPORT, {"head": ["nose"]}),
    ("labelstudio", "margin"): (EXPORT, 2.0),
    ("labelstudio", "held_out"): (EXPORT, 0.7),
    ("lspet", "held_out"): (SOME, 0.6),
    ("mpii", "annotations"): ({}, "hrnet"),
    ("mpii", "list"): ({}, "hrnet"),
    ("mpii", "valid_list"): (MAT, "some.txt"),
    ("mpii", "held_out"): (MAT, 0.6),
    ("named", "annotation"): (SOME, "others.csv"),
    ("named", "images"): (SOME, "others"),
    ("named", "origin"): (SOME, 1),
    ("named", "margin"): (SOME, 2.0),
    ("named", "normaliser"): (SOME, ["nose", "tail"]),
    ("named", "mirrors"): (SOME, {"nose": "tail"}),
    ("named", "groups"): (SOME, {"head": ["nose"]}),
    ("named", "held_out"): (SOME, 0.6),
    ("people", "dims"): ({}, 2),
    ("wflw", "subset"): ({}, "blur"),
    ("wflw", "crop"): ({}, 2.0),
    ("yolo", "data"): (CAT, "other.yaml"),
    ("yolo", "category"): (CAT, "dog"),
    ("yolo", "keypoints"): (CAT, ["nose", "chin", "left_ear", "right_ear"]),
    ("yolo", "mirrors"): (CAT, {"nose": "tail"}),
    ("yolo", "groups"): (CAT, {"head": ["nose"]}),
    ("yolo", "margin"): (CAT, 2.0),
    ("yolo", "held_out"): (CAT, 0.5),
}
"""(data set, option) -> the options beside it, and another value of it."""
HARMLESS = {"root": "says where the data lies; what lies there is what is read"}
DATASETS = registry().names("dataset")
OPTIONS = [(name, key) for name in DATASETS for key in registry().component("dataset", name).Config.model_fields]


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    """Spare the child processes: the files are written here."""
    monkeypatch.setattr(matlab, "try_out", lambda path: None)
    monkeypatch.setattr(aflw_info, "TRAIN", 8)


def opened(name, root, options):
    options = {key: str(root / value) if key == "valid_list" else value for key, value in options.items()}
    return registry().build("dataset", name, {"root": str(root), **options}, where="dataset")


def shown(sample):
    """Whatever a training or a score takes of a sample."""
    arrays = (sample.points, sample.state, sample.centre)
    return (
        sample.image if isinstance(sample.image, Path) else sample.image.tobytes(),
        *(array.tobytes() for array in arrays), sample.side, sample.normaliser, sample.image_id, sample.person_id,
        sample.row, sample.mm_per_px,
    )  # fmt: skip


def said(data):
    """Return whatever a study takes of a data set: samples, findings, facts."""
    parts = {part: [shown(sample) for sample in data.samples(part)] for part in ("train", "valid")}
    assert all(parts.values())
    return parts, [list(data.findings(part)) for part in parts], data.facts


@pytest.mark.parametrize(("name", "key"), [option for option in OPTIONS if option[1] not in HARMLESS])
def test_an_option_changes_what_is_read_or_said(tmp_path, name, key):
    beside, value = OTHER[name, key]
    WRITERS[name](tmp_path)
    before = said(opened(name, tmp_path, beside))
    assert said(opened(name, tmp_path, {**beside, key: value})) != before


@pytest.mark.parametrize("name", DATASETS)
def test_the_same_data_has_the_same_fingerprint_wherever_it_lies(tmp_path, name):
    (tmp_path / "here").mkdir()
    WRITERS[name](tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")  # a .mat written twice has two times in it
    options = {of: beside for (of, _), (beside, _) in OTHER.items()}[name]
    here, there = (opened(name, tmp_path / folder, options) for folder in ("here", "there"))
    train, valid = (read_part(here, part).fingerprint for part in ("train", "valid"))
    assert train == read_part(there, "train").fingerprint != valid == read_part(there, "valid").fingerprint


# what a setting may be

CROPS = {("300w", "crop"): 1.3, ("aflw", "crop"): 1.25, ("cofw", "crop"): 1.25, ("wflw", "crop"): 1.25,
         ("landmarks", "crop"): 1.3, ("deeplabcut", "factor"): 1.5}  # fmt: skip
SHARES = {"aflw": 0.18, "coco": None, "deeplabcut": 0.2, "landmarks": 0.1, "lspet": 0.1, "mpii": 0.1, "named": 0.1,
          "yolo": None, "labelstudio": 0.2}  # fmt: skip
RANGES = [
    *[(*option, default, 1.0, 10.0) for option, default in CROPS.items()],
    *[(name, "held_out", share, np.nextafter(0.0, 1), np.nextafter(1.0, 0)) for name, share in SHARES.items()],
    *[(name, "margin", 1.25, 1.0, 4.0) for name in ("labelstudio", "named", "yolo")],
]


@pytest.mark.parametrize(("name", "key", "default", "low", "high"), RANGES)
def test_a_numbers_default_and_range(name, key, default, low, high):
    config = registry().component("dataset", name).Config
    assert config.model_fields[key].default == default
    assert [getattr(config(root="x", **{key: value}), key) for value in (low, high)] == [low, high]
    for value in (np.nextafter(low, -1), np.nextafter(high, 99)):
        with pytest.raises(ValidationError, match=key):
            config(root="x", **{key: value})


def test_every_number_has_a_range_here():
    numbers = {
        (name, key)
        for name in DATASETS
        for key, field in registry().component("dataset", name).Config.model_fields.items()
        if field.annotation in (float, int, float | None)
    }
    assert numbers == {(name, key) for name, key, *_ in RANGES} | {("h36m", "stride")}


def test_a_stride_is_a_number_of_frames():
    config = registry().component("dataset", "h36m").Config
    assert (config().stride, config().protocol) == (1, 1)
    assert [config(stride=value).stride for value in (1, 100_000)] == [1, 100_000]
    for value in (0, 100_001):
        with pytest.raises(ValidationError, match="stride"):
            config(stride=value)


# what results call it

CORNERS = "distance of the outer eye corners"
DESCRIBED = {
    "300w": ("300-W (full)", "", "nme", CORNERS, 1, "faces68"),
    "aflw": ("AFLW", "0.4 of the images held out by name hash", "nme",
             "root of the area of the face's rectangle", 0, "aflw19"),
    "coco": ("COCO format, cat", "", "oks", "square root of the segment's area", 0, "cat"),
    "cofw": ("COFW", "", "nme", CORNERS, 1, "cofw29"),
    "deeplabcut": ("DeepLabCut", "", "pck", "diagonal of the labelled points' box", 0, "deeplabcut"),
    "h36m": ("Human3.6M", "protocol 1", "mpjpe", "150 mm at the pelvis' distance", 0, "h36m"),
    "labelstudio": ("here (Label Studio)", "0.4 of the images held out by name hash", "pck",
                    "longer side of the box", 0, "labelstudio"),
    "landmarks": ("landmarks (landmarks)", "", "nme", "root of the area of the landmarks' box", 0, "landmarks"),
    "lspet": ("LSP extended", "", "pck", "longer diagonal of the torso, shoulder to hip", 1, "lsp"),
    "mpii": ("MPII", "newell", "pckh", "0.6 x head-box diagonal", 1, "mpii"),
    "named": ("here (named keypoints)", "", "pck", "longer side of the box", 0, "named"),
    "wflw": ("WFLW", "", "nme", CORNERS, 0, "wflw98"),
    "yolo": ("YOLO pose, cat", "", "oks", "square root of 0.53 x the box's area", 0, "yolo"),
}  # fmt: skip
"""Label, list, metric, normaliser, origin, skeleton."""
BESIDE = {"coco": CAT, "deeplabcut": ANNA, "yolo": CAT, "labelstudio": EXPORT} | dict.fromkeys(
    ("aflw", "landmarks", "lspet", "named"), SOME
)
CHOSEN = [
    ("300w", {"subset": "common"}, "label", "300-W (common)"),
    ("wflw", {"subset": "blur"}, "label", "WFLW (blur)"),
    ("landmarks", {"skeleton": "cofw29", **SOME}, "label", "landmarks (cofw29)"),
    ("landmarks", {"skeleton": "cofw29", **SOME}, "normaliser", CORNERS),
    ("aflw", {"annotations": "info"}, "list_name", "AFLW-full"),
    ("coco", {"held_out": 0.25, **CAT}, "list_name", "0.25 of the images held out by name hash"),
    ("deeplabcut", {"normaliser": ["nose", "tail"], **ANNA}, "normaliser", "distance from nose to tail"),
    ("named", {"normaliser": ["nose", "tail"]}, "normaliser", "distance of nose and tail"),
    ("named", {"origin": 1}, "origin", 1),
    ("h36m", {"protocol": 2, "stride": 2}, "list_name", "protocol 2, every 2. frame"),
    ("mpii", {"list": "hrnet"}, "list_name", "hrnet"),
    ("mpii", {"annotations": "hrnet"}, "list_name", "hrnet"),
    ("mpii", {"annotations": "mat", "held_out": 0.25}, "list_name", "0.25 of the images held out by name hash"),
]


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_results_call_it(tmp_path, name):
    (tmp_path / "here").mkdir()
    WRITERS[name](tmp_path / "here")
    data = opened(name, tmp_path / "here", BESIDE.get(name, {}))
    facts = data.facts
    told = (facts.label, facts.list_name, facts.default_metric, facts.normaliser, facts.origin, facts.skeleton.name)
    assert told == DESCRIBED[name]
    assert data.parts == ("train", "valid")
    assert type(data).default_skeleton in (None, data.skeleton) or name == "coco"


@pytest.mark.parametrize(("name", "options", "what", "told"), CHOSEN)
def test_what_results_call_it_with_options(tmp_path, name, options, what, told):
    WRITERS[name](tmp_path)
    assert getattr(opened(name, tmp_path, options).facts, what) == told


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "people"])
def test_the_root_may_come_from_the_environment_and_from_the_home(tmp_path, monkeypatch, name):
    variable, beside = f"KP_{name.upper()}_ROOT", BESIDE.get(name, {})

    def build(**root):
        return registry().build("dataset", name, {**root, **beside}, where="dataset")

    assert registry().component("dataset", name).root_variable == variable
    with pytest.raises(KpError, match=variable):
        build()
    monkeypatch.setenv(variable, str(tmp_path / "gone"))
    with pytest.raises(KpError, match=r"gone.*is not a folder"):
        build()
    (tmp_path / "here").mkdir()
    WRITERS[name](tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, "~/here")
    assert build().parts == build(root=str(tmp_path / "here")).parts == ("train", "valid")
    with pytest.raises(KpError, match=r"away.*is not a folder"):
        build(root="~/away")  # the option comes before the environment


@pytest.mark.parametrize("name", DATASETS)
def test_a_part_that_is_not_there_is_told_with_those_that_are(tmp_path, name):
    WRITERS[name](tmp_path)
    data = opened(name, tmp_path, BESIDE.get(name, {}))
    for call in (data.samples, data.findings) if name != "people" else (data.samples,):
        with pytest.raises(KpError, match=r"unknown part 'tset'.*train, valid") as caught:
            call("tset")
        assert str(tmp_path) in str(caught.value)


# who is held out


def share(name):
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


HELD_OUT = [
    ("aflw", {}), ("coco", CAT), ("deeplabcut", ANNA), ("landmarks", {}), ("lspet", {}), ("named", {}),
    ("mpii", {"annotations": "mat"}), ("yolo", CAT), ("labelstudio", EXPORT),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), HELD_OUT)
def test_the_images_of_the_lowest_hashes_are_held_out(tmp_path, name, options):
    WRITERS[name](tmp_path)

    def images(held_out, part):
        data = opened(name, tmp_path, {**options, "held_out": held_out})
        return {sample.image_id for sample in data.samples(part)}

    every = images(0.5, "train") | images(0.5, "valid")
    ranked = sorted(every, key=share)
    for count in range(1, len(ranked)):
        assert images(count / len(ranked), "valid") == set(ranked[:count])
        assert images(count / len(ranked), "train") == set(ranked[count:])
    assert [len(images(tiny, "valid")) for tiny in (1e-9, 1 - 1e-9)] == [1, len(ranked) - 1]


# a first study


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "people"])
def test_a_first_study_of_it_opens(tmp_path, monkeypatch, name):
    """``kp init`` builds the study, scores a made-up sample and tries the network before it writes the file."""
    (tmp_path / "data").mkdir()
    WRITERS[name](tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    trusted = (
        ["--set=trust_coordinates=true"] if name == "h36m" else []
    )  # its cameras see more than the picture made here
    sets = [*(f"--set={one}" for one in assignments(BESIDE.get(name, {}))), *trusted]
    assert outcome(["init", "data", "--dataset", name, *sets]) == 0
    study = open_study(registry(), tmp_path / "data.toml", notice=lambda line: None)
    assert study.config.dataset.name == name
