"""A data set of one image in every layout of annotations that names images, small and valid."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

import h5py
import numpy as np
from kp_faces.readers.aflw_sqlite import LANDMARKS
from scipy.io import savemat

POINTS = np.array([[30.0, 20.0], [60.0, 50.0]])


@dataclass
class Layout:
    """A data set of one image.

    Args:
        kind: name of the data set.
        folder: of its images, in the root.
        write: called with the root and the image's name as the annotation shall have it.
        options: of the data set.
    """

    kind: str
    folder: str
    write: object
    options: dict


def coco(root, name):
    category = {"id": 1, "name": "x", "keypoints": ["a", "b"], "skeleton": []}
    keypoints = [*POINTS[0], 2, *POINTS[1], 2]
    row = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": keypoints, "bbox": [20, 10, 50, 50], "area": 900}
    held = {"images": [{"id": 1, "file_name": name}], "annotations": [row], "categories": [category]}
    (root / "ann.json").write_text(json.dumps(held))


def named_csv(root, name):
    (root / "keypoints.csv").write_text(f'image,part,a_x,a_y,b_x,b_y\n"{name}",train,30,20,60,50\n')


def named_json(root, name):
    sample = {"image": name, "part": "train", "points": {"a": [30, 20], "b": [60, 50]}}
    (root / "keypoints.json").write_text(json.dumps({"keypoints": ["a", "b"], "samples": [sample]}))


def deeplabcut(root, name):
    lines = ["scorer,x,x,x,x", "bodyparts,a,a,b,b", "coords,x,y,x,y", f'"{name}",30,20,60,50']
    (root / "CollectedData_x.csv").write_text("\n".join(lines))


def landmarks(root, name):
    (root / "training.csv").write_text(f'image,a_x,a_y,b_x,b_y\n"{name}",30,20,60,50\n')


def wflw(root, name):
    numbers = [*np.linspace(10, 60, 196), 5, 5, 65, 65, 0, 0, 0, 0, 0, 0]
    (root / "list_98pt_rect_attr_train.txt").write_text(" ".join(map(str, numbers)) + f" {name}\n")


def aflw_info(root, name):
    names = np.empty((1, 1), object)
    names[0, 0] = name
    marks = np.linspace(10, 60, 38)[None]
    held = {"data": marks, "mask_new": np.ones((1, 19)), "bbox": np.array([[5.0, 65, 5, 65]]), "nameList": names}
    savemat(root / "AFLWinfo_release.mat", {**held, "ra": np.ones((1, 1))})


def aflw_sqlite(root, name):
    with sqlite3.connect(root / "aflw.sqlite") as database:
        database.executescript(
            "PRAGMA synchronous = OFF; CREATE TABLE Faces(face_id, file_id);"
            " CREATE TABLE FaceImages(file_id, filepath);"
            "CREATE TABLE FaceRect(face_id, x, y, w, h); CREATE TABLE FeatureCoords(face_id, feature_id, x, y);"
            "CREATE TABLE FeatureCoordTypes(feature_id, descr); INSERT INTO Faces VALUES (1, 'f');"
            "INSERT INTO FaceRect VALUES (1, 5, 5, 60, 60); INSERT INTO FeatureCoords VALUES (1, 1, NULL, NULL)"
        )
        database.execute("INSERT INTO FaceImages VALUES ('f', ?)", (name,))
        database.executemany("INSERT INTO FeatureCoordTypes VALUES (?, ?)", enumerate(LANDMARKS))
        database.executemany("INSERT INTO FeatureCoords VALUES (1, ?, ?, ?)", [(0, 30, 20), (2, 60, 50)])
    database.close()


def joints16():
    return np.stack([np.linspace(10, 60, 16), np.linspace(12, 70, 16)], -1)


def newell(root, name):
    with h5py.File(root / "train.h5", "w") as file:
        file["part"], file["visible"] = joints16()[None], np.ones((1, 16))
        file["center"], file["scale"], file["normalize"] = np.array([[35.0, 40]]), np.array([0.4]), np.array([8.0])
        file.create_dataset("imgname", data=[name], dtype=h5py.string_dtype())


def hrnet(root, name):
    joints = [[None, None], *joints16()[1:].tolist()]
    row = {"image": name, "center": [35, 40], "scale": 0.4, "joints": joints, "joints_vis": [0] + [1] * 15}
    (root / "train.json").write_text(json.dumps([row]))


def pytorch_pose(root, name):
    joints = [[None, None, 0], *([x, y, 1] for x, y in joints16()[1:].tolist())]
    row = {"img_paths": name, "objpos": [35, 40], "scale_provided": 0.4, "joint_self": joints, "isValidation": 0.0}
    (root / "mpii_annotations.json").write_text(json.dumps([row]))


def record(**fields):
    array = np.empty((1, 1), [(name, object) for name in fields])
    for name, value in fields.items():
        array[name][0, 0] = value
    return array


def mpii_mat(root, name):
    point = record(id=0, x=30.0, y=20.0, is_visible=1)
    rect = record(
        x1=10.0, y1=10.0, x2=30.0, y2=30.0, scale=0.4, objpos=record(x=35.0, y=40.0), annopoints=record(point=point)
    )
    image = record(image=record(name=name), annorect=rect)
    savemat(root / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": record(annolist=image, img_train=np.ones((1, 1)))})


def h36m(root, name):
    random = np.random.default_rng(0)
    space = random.normal(0, 0.4, (1, 24, 4))
    space[..., 3] = 1
    part = np.concatenate([space[..., :2] * 100 + 300, np.ones((1, 24, 1))], -1)
    np.savez(
        root / "h36m_train.npz", imgname=np.array([name]), center=np.array([[300.0, 300]]), scale=np.array([1.0]),
        S=space, part=part,
    )  # fmt: skip


LAYOUTS = {
    "coco": Layout("coco", "images", coco, {"train_annotations": "ann.json", "train_images": "images"}),
    "named csv": Layout("named", "images", named_csv, {"images": "images"}),
    "named json": Layout("named", "images", named_json, {"images": "images"}),
    "deeplabcut": Layout("deeplabcut", ".", deeplabcut, {"crop": "points"}),
    "landmarks": Layout("landmarks", "training", landmarks, {}),
    "wflw": Layout("wflw", "WFLW_images", wflw, {}),
    "aflw info": Layout("aflw", "data/flickr", aflw_info, {}),
    "aflw sqlite": Layout("aflw", "data/flickr", aflw_sqlite, {}),
    "newell": Layout("mpii", "images", newell, {}),
    "hrnet": Layout("mpii", "images", hrnet, {}),
    "pytorch_pose": Layout("mpii", "images", pytorch_pose, {}),
    "mpii mat": Layout("mpii", "images", mpii_mat, {}),
    "h36m": Layout("h36m", "images", h36m, {}),
}
