"""The coco data set, byte by byte as the format is documented; malformed files in one line; OKS beside pycocotools."""

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pycocotools.coco
import pytest
from hand_made import refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kp_coco.dataset import Coco
from kp_coco.sigmas import sigmas_of
from kp_coco.skeleton import COCO
from pycocotools.cocoeval import COCOeval

from kpcore.audit.check import check_part
from kpcore.audit.sides import side_findings
from kpcore.errors import KpError
from kpcore.evaluation.score import averages_columns
from kpcore.keypoints import Column, Keypoint, Skeleton, default_columns
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.study.data import read_part
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

NAMES = ["nose", "left_paw", "right_paw", "tail"]
TRIPLETS = [10, 20, 2, 30, 44, 1, 0, 0, 0, 12.5, 40, 2]
TRAIN, VALID = "annotations/person_keypoints_train2017.json", "annotations/person_keypoints_val2017.json"


def category(**changes):
    return {
        "id": 7,
        "name": "cat",
        "supercategory": "animal",
        "keypoints": NAMES,
        "skeleton": [[1, 2], [1, 3]],
    } | changes


def row(number, image=100, **changes):
    """One annotation as COCO documents it: polygons, box as left, top, width, height."""
    return {
        "id": number, "image_id": image, "category_id": 7, "keypoints": TRIPLETS, "num_keypoints": 3, "iscrowd": 0,
        "area": 400.0, "bbox": [8.0, 16.0, 24.0, 32.0], "segmentation": [[8, 16, 32, 16, 32, 48]],
    } | changes  # fmt: skip


def document(*rows, **changes):
    images = [{"id": 100, "file_name": "a.jpg", "width": 64, "height": 64}, {"id": 101, "file_name": "b.jpg"}]
    rows = rows or (row(1), row(2, 101))
    return {
        "info": {},
        "licenses": [],
        "images": images,
        "annotations": list(rows),
        "categories": [category()],
    } | changes


def lay(root, content, name=VALID):
    (root / "annotations").mkdir(exist_ok=True)
    path = root / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def open_coco(root, **options):
    return registry().build("dataset", "coco", {"root": str(root), **options}, where="dataset")


def read(root, *rows, **changes):
    lay(root, document(*rows, **changes))
    return open_coco(root)


def notes(dataset, part="valid"):
    return {finding.what.split(" (first")[0]: finding.count for finding in dataset.findings(part)}


# --- samples ----------------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_sample(tmp_path):
    (sample, other) = read(tmp_path).samples("valid")
    np.testing.assert_array_equal(sample.points, np.array([[10, 20], [30, 44], [np.nan] * 2, [12.5, 40]], np.float32))
    assert sample.points.dtype == np.float32
    assert sample.state.tolist() == [VISIBLE, HIDDEN, UNLABELLED, VISIBLE]
    assert sample.centre.tolist() == [8 + 12, 16 + 16]  # 0-based already: no shift
    assert (sample.side, sample.normaliser) == (1.25 * 32, 20.0)
    assert (sample.image, sample.image_id) == (tmp_path / "val2017" / "a.jpg", "a.jpg")
    assert (sample.person_id, sample.row, other.person_id, other.row) == ("1", 0, "2", 1)
    assert open_coco(tmp_path).facts.origin == 0


def test_what_is_not_scored_is_left_out_and_counted(tmp_path):
    nobody = row(4, keypoints=[9, 9, 0] * 4, num_keypoints=0)
    runs = {"counts": [1, 2, 3], "size": [64, 64]}
    crowd = row(5, iscrowd=1, keypoints=[0] * 12, segmentation=runs)
    stranger = row(6, category_id=1)
    del stranger["keypoints"]
    boxes = {"id": 1, "name": "dog"}
    dataset = read(tmp_path, nobody, crowd, row(7, 101), stranger, categories=[boxes, category()])
    assert [sample.row for sample in dataset.samples("valid")] == [2]
    assert notes(dataset) == {
        "people without a labelled keypoint left out": 1,
        "crowd regions (iscrowd = 1) left out": 1,
        "annotations of other categories left out": 1,
    }


def test_a_note_names_the_first_whom_it_is_about(tmp_path):
    nobody = row(4, keypoints=[9, 9, 0] * 4, num_keypoints=0)
    flat, other = row(5, bbox=[8, 16, 0, 32]), row(6, 101, bbox=[8, 16, -1, 32], area=0)
    told = [finding.what for finding in read(tmp_path, nobody, flat, other).findings("valid")]
    for what in (
        "people without a labelled keypoint left out (first: a.jpg, row 0)",
        "no box of positive size: the box of the labelled keypoints taken (first: a.jpg, row 1)",
        "box of negative size (a box is left, top, width, height): the box of the labelled keypoints taken"
        " (first: b.jpg, row 2)",
        "no positive area: 0.53 x the box's area taken (first: b.jpg, row 2)",
    ):
        assert what in told
    levels = {finding.what[:6]: finding.level for finding in open_coco(tmp_path).findings("valid")}
    assert levels == {"people": "note", "no box": "note", "box of": "warning", "no pos": "note"}


def test_points_of_unlabelled_keypoints_are_not_read(tmp_path):
    keypoints = [10, 20, 2, 30, 44, 0, 1, 1, 0, 5, 5, 0]
    (sample,) = read(tmp_path, row(1, keypoints=keypoints)).samples("valid")
    assert np.isnan(sample.points[1:]).all()


def test_a_crop_is_widened_only_where_a_labelled_keypoint_is_outside(tmp_path):
    far = row(2, 101, keypoints=[20 + 50, 32, 2, 20, 32, 2, *[0] * 6], num_keypoints=2)
    near = row(1, keypoints=[20 + 19.9, 32, 2, 20, 32, 2, *[0] * 6], num_keypoints=2)
    dataset = read(tmp_path, near, far)
    assert [sample.side for sample in dataset.samples("valid")] == [40, 102]
    assert notes(dataset) == {"crop widened to hold labelled keypoints outside 1.25 x the box": 1}


NO_BOX = "no box of positive size: the box of the labelled keypoints taken"
NEGATIVE = "box of negative size (a box is left, top, width, height): the box of the labelled keypoints taken"


@pytest.mark.parametrize(
    ("box", "note"),
    [
        ({"bbox": None}, NO_BOX),
        ({"bbox": [8, 16, 0, 32]}, NO_BOX),
        ({"bbox": [8, None, 24, 32]}, NO_BOX),
        ({"bbox": [8, 16, math.nan, 32]}, NO_BOX),
        ({"bbox": [8, 16, 24, -1]}, NEGATIVE),
        ({}, NO_BOX),
    ],
)
def test_a_box_without_size_is_that_of_the_keypoints(tmp_path, box, note):
    one = row(1, **box)
    if not box:
        del one["bbox"]
    dataset = read(tmp_path, one)
    (sample,) = dataset.samples("valid")
    assert sample.centre.tolist() == [20, 32]  # x 10 to 30, y 20 to 44
    assert sample.side == 1.25 * 24
    assert notes(dataset) == {note: 1}


@pytest.mark.parametrize("area", [None, 0, -3.0, math.nan, "absent"])
def test_an_area_that_is_not_stated_is_taken_from_the_box(tmp_path, area):
    one = row(1, area=area)
    if area == "absent":
        del one["area"]
    dataset = read(tmp_path, one)
    assert dataset.samples("valid")[0].normaliser == pytest.approx(math.sqrt(0.53 * 24 * 32))
    assert notes(dataset) == {"no positive area: 0.53 x the box's area taken": 1}


def test_a_single_keypoint_still_has_a_crop_and_a_scale(tmp_path):
    one = row(1, keypoints=[30, 30, 2, *[0] * 9], bbox=None, area=None)
    (sample,) = read(tmp_path, one).samples("valid")
    assert sample.side == 16 and sample.normaliser > 0


def test_ids_may_be_texts_and_images_lie_in_folders(tmp_path):
    images = [{"id": "x", "file_name": "cam 1/a.jpg"}]
    (sample,) = read(tmp_path, row("p", "x"), images=images).samples("valid")
    assert sample.image == tmp_path / "val2017" / "cam 1" / "a.jpg"
    assert (sample.image_id, sample.person_id) == ("cam 1/a.jpg", "p")


def test_an_empty_file_has_a_skeleton_and_nobody(tmp_path):
    dataset = read(tmp_path, annotations=[])
    assert (dataset.samples("valid"), dataset.findings("valid"), len(dataset.skeleton.names)) == ((), (), 4)


# --- skeletons --------------------------------------------------------------------------------------------------------


def test_the_skeleton_is_the_files(tmp_path):
    skeleton = read(tmp_path).skeleton
    assert (skeleton.name, skeleton.names) == ("cat", tuple(NAMES))
    assert skeleton.edges == (("nose", "left_paw"), ("nose", "right_paw"))
    assert skeleton.all().flip_permutation == (0, 2, 1, 3)
    assert skeleton.groups == {"nose": ("nose",), "paw": ("left_paw", "right_paw"), "tail": ("tail",)}


def test_cocos_person_is_known_without_files():
    assert len(COCO.names) == 17 and len(COCO.edges) == 19
    pairs = [(k, other) for k, other in enumerate(COCO.all().flip_permutation) if k < other]
    assert pairs == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]
    assert list(COCO.groups) == ["nose", "eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"]
    assert COCO.edges[0] == ("left_ankle", "left_knee")
    assert Coco.default_skeleton is COCO


def test_a_side_without_its_partner_is_a_warning(tmp_path):
    names = ["nose", "left_paw", "right_ear", "tail"]
    dataset = read(tmp_path, categories=[category(keypoints=names)])
    assert dataset.skeleton.all().flip_permutation == (0, 1, 2, 3)
    (told,) = side_findings(dataset.skeleton)
    assert told.level == "warning" and "'left_paw', 'right_ear'" in told.what


def test_mirrors_can_be_told(tmp_path):
    lay(tmp_path, document(categories=[category(keypoints=["a", "left_paw", "right_paw", "b"])]))
    skeleton = open_coco(tmp_path, mirrors={"a": "b"}).skeleton
    assert skeleton.all().flip_permutation == (3, 2, 1, 0)
    assert skeleton.groups == {"a": ("a", "b"), "paw": ("left_paw", "right_paw")}
    assert open_coco(tmp_path, mirrors={"a": "left_paw"}).skeleton.all().flip_permutation == (1, 0, 2, 3)
    assert "unknown keypoint 'c'" in refused(lambda: open_coco(tmp_path, mirrors={"a": "c"}))
    assert open_coco(tmp_path, mirrors={"a": "b", "b": "a"}).skeleton.all().flip_permutation == (3, 2, 1, 0)
    two = "dataset.mirrors: 'a' has the partners 'b' and 'left_paw'; it has one"
    assert refused(lambda: open_coco(tmp_path, mirrors={"a": "b", "left_paw": "a"})) == two
    assert "'a' has the partners 'a' and 'a'" in refused(lambda: open_coco(tmp_path, mirrors={"a": "a"}))


@pytest.mark.parametrize("bones", [[[0, 1], [2, 3]], None, []])
def test_edges_may_count_from_zero_or_be_absent(tmp_path, bones):
    skeleton = read(tmp_path, categories=[category(skeleton=bones)]).skeleton
    assert skeleton.edges == ((("nose", "left_paw"), ("right_paw", "tail")) if bones else ())


# --- layouts and settings ---------------------------------------------------------------------------------------------


def test_the_published_layout_needs_no_options(tmp_path):
    lay(tmp_path, document(row(1)), TRAIN)
    lay(tmp_path, document(row(2, 101)))
    dataset = open_coco(tmp_path)
    assert dataset.parts == ("train", "valid")
    assert dataset.samples("train")[0].image == tmp_path / "train2017" / "a.jpg"
    assert dataset.samples("valid")[0].image == tmp_path / "val2017" / "b.jpg"
    assert (dataset.facts.default_metric, dataset.facts.normaliser) == ("oks", "square root of the segment's area")
    assert dataset.label == "COCO format, cat"


def test_files_folders_and_category_can_be_named(tmp_path):
    dog = category(id=8, name="dog", keypoints=["x"], skeleton=[])
    content = document(row(1), row(2, category_id=8, keypoints=[9, 9, 2]), categories=[category(), dog])
    (tmp_path / "labels").mkdir()
    lay(tmp_path, content, "labels/all.json")
    places = {"valid_annotations": "labels/all.json", "valid_images": "pictures"}
    dataset = open_coco(tmp_path, category="dog", **places)
    assert [sample.image for sample in dataset.samples("valid")] == [tmp_path / "pictures" / "a.jpg"]
    assert dataset.skeleton.names == ("x",)
    assert "several categories have keypoints: 'cat' (id 7), 'dog' (id 8); set dataset.category" in refused(
        lambda: open_coco(tmp_path, **places)
    )
    assert "unknown category with keypoints 'dgo'; did you mean 'dog'" in refused(
        lambda: open_coco(tmp_path, category="dgo", **places)
    )


def test_one_file_is_divided_by_its_images(tmp_path):
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(200)]
    rows = [row(number, number // 2) for number in range(400)]
    lay(tmp_path, document(*rows, images=images), TRAIN)
    dataset = open_coco(tmp_path, held_out=0.25)
    train, valid = ({sample.image_id for sample in dataset.samples(part)} for part in ("train", "valid"))
    assert not train & valid and len(train | valid) == 200
    assert len(valid) == 50
    assert sum(len(dataset.samples(part)) for part in ("train", "valid")) == 400
    assert dataset.samples("valid")[0].image.parent.name == "train2017"
    assert dataset.facts.list_name == "0.25 of the images held out by name hash"


def test_no_annotation_names_what_is_there(tmp_path):
    lay(tmp_path, document(), "annotations/mine.json")
    message = refused(lambda: open_coco(tmp_path))
    assert TRAIN in message and VALID in message and "annotations/mine.json (set train_annotations" in message
    assert "is not a folder" in refused(lambda: open_coco(tmp_path / "missing"))


def test_the_root_may_come_from_the_environment(tmp_path, monkeypatch):
    lay(tmp_path, document())
    options = {name: field.get_default(call_default_factory=True) for name, field in Coco.Config.model_fields.items()}
    monkeypatch.delenv("KP_COCO_ROOT", raising=False)
    assert "KP_COCO_ROOT" in refused(lambda: Coco(**options))
    monkeypatch.setenv("KP_COCO_ROOT", str(tmp_path))
    assert Coco(**options).parts == ("valid",)
    monkeypatch.setenv("KP_COCO_ROOT", str(tmp_path / "gone"))
    assert refused(lambda: Coco(**options)).startswith("KP_COCO_ROOT: ")


def test_both_parts_need_the_same_keypoints(tmp_path):
    names = [*NAMES[:3], "chin"]
    lay(tmp_path, document(*[row(number) for number in range(1, 9)], categories=[category(keypoints=names)]), TRAIN)
    lay(tmp_path, document())
    dataset = open_coco(tmp_path)
    assert dataset.skeleton.names == tuple(NAMES)  # of the smaller file
    assert "keypoints nose, left_paw, right_paw, chin are not those of" in refused(lambda: dataset.samples("train"))


def test_an_unknown_part_is_named(tmp_path):
    assert "unknown part 'test'" in refused(lambda: read(tmp_path).samples("test"))


def test_the_fingerprint_changes_with_what_makes_the_samples(tmp_path):
    def fingerprint(*rows):
        return read_part(read(tmp_path, *rows), "valid").fingerprint

    (tmp_path / "val2017").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "val2017" / name).write_bytes(b"12")
    before = fingerprint()
    assert fingerprint() == before
    assert fingerprint(row(1, area=401), row(2, 101)).lengths != before.lengths
    assert fingerprint(row(1), row(3, 101)).ids != before.ids
    (tmp_path / "val2017" / "a.jpg").write_bytes(b"21")
    assert fingerprint().images != before.images


# --- malformed files --------------------------------------------------------------------------------------------------

HUGE = 10**400
BAD_FILES = {
    "empty": (b"", "cannot be read as COCO's JSON annotation"),
    "binary": (bytes(range(256)), "cannot be read as"),
    "truncated": (json.dumps(document()).encode()[:-40], "cannot be read as"),
    "bomb": (b"[" * 200_000, r"cannot be read as .*Recursion"),
    "deep": (b'{"images": ' + b'{"a":' * 100_000, r"cannot be read as"),
    "digits": (b'{"images": [' + b"9" * 5000 + b"]}", "cannot be read as"),
    "list": (b"[]", "holds a list; expected"),
    "number": (b"7", "holds a int; expected"),
    "no images": ({"annotations": [], "categories": []}, "has no 'images'"),
    "misspelt": ({"image": [], "annotations": [], "categories": []}, "did you mean 'image'"),
    "images object": (document(images={}), "'images': holds a dict; expected a list"),
    "image number": (document(images=[3]), r"images\[0\]: holds a int; expected an object"),
}


@pytest.mark.parametrize("kind", list(BAD_FILES))
def test_damaged_files_are_named_in_one_line(tmp_path, kind):
    content, message = BAD_FILES[kind]
    path = lay(tmp_path, content)
    found = refused(lambda: open_coco(tmp_path))
    assert found.startswith(str(path))
    assert re.search(message, found)


def without(key):
    return {name: value for name, value in row(1).items() if name != key}


BAD_ROWS = {
    "no id": (without("id"), "has no 'id'"),
    "no category": (without("category_id"), "has no 'category_id'"),
    "no image": (without("image_id"), "has no 'image_id'"),
    "too few": (row(1, keypoints=TRIPLETS[:-1]), r"'keypoints': expected 12 numbers, got .* \(11 entries\)"),
    "too many": (row(1, keypoints=[*TRIPLETS, 1, 1, 1]), "expected 12 numbers"),
    "nested": (row(1, keypoints=[[1, 2, 2]] * 4), "expected 12 numbers"),
    "ragged": (row(1, keypoints=[[1], *TRIPLETS[1:]]), r"expected 12 numbers, got \[1\] in place 1"),
    "text": (row(1, keypoints="1" * 12), "expected 12 numbers, got"),
    "texts": (row(1, keypoints=["1"] * 12), "expected 12 numbers, got '1' in place 1"),
    "true": (row(1, keypoints=[10, 20, True, *TRIPLETS[3:]]), "expected 12 numbers, got True in place 3"),
    "null": (row(1, keypoints=[10, None, 2, *TRIPLETS[3:]]), "finite .* labelled, got 10, nan and 2 for 'nose'"),
    "no visibility": (row(1, keypoints=[10, 20, None, *TRIPLETS[3:]]), "a visibility of 0, 1 or 2 each, got 10, 20"),
    "NaN": (row(1, keypoints=[math.nan, *TRIPLETS[1:]]), "expected finite numbers up to 1e"),
    "infinite": (row(1, keypoints=[-math.inf, *TRIPLETS[1:]]), "expected finite numbers up to"),
    "huge": (row(1, keypoints=[1e7, *TRIPLETS[1:]]), "expected finite numbers up to"),
    "hugest": (row(1, keypoints=[HUGE, *TRIPLETS[1:]]), "expected"),
    "visibility": (
        row(1, keypoints=[1, 2, 3, *TRIPLETS[3:]]),
        "a visibility of 0, 1 or 2 each, got 1, 2 and 3 for 'nose'",
    ),
    "half seen": (row(1, keypoints=[1, 2, 0.5, *TRIPLETS[3:]]), "a visibility of 0, 1 or 2"),
    "box": (row(1, bbox=[1, 2, 3]), "'bbox': expected 4 numbers"),
    "box infinite": (row(1, bbox=[1, 2, math.inf, 3]), "'bbox': expected finite numbers"),
    "area": (row(1, area=math.inf), "'area': expected a finite number"),
    "area text": (row(1, area="12"), "'area': expected a finite number"),
    "area huge": (row(1, area=HUGE), "'area': expected a finite number"),
    "crowd": (row(1, iscrowd=2), "'iscrowd': expected 0 or 1"),
    "crowd text": (row(1, iscrowd="no"), "'iscrowd': expected 0 or 1"),
    "id": (row(1.5), "'id': expected a whole number or a text"),
    "id list": (row([1]), "'id': expected a whole number or a text"),
    "stranger": (row(1, 999), "'image_id': image 999 does not exist"),
}


@pytest.mark.parametrize("kind", list(BAD_ROWS))
def test_damaged_rows_are_named_with_their_place(tmp_path, kind):
    bad, message = BAD_ROWS[kind]
    path = lay(tmp_path, document(row(50), bad))
    found = refused(lambda: open_coco(tmp_path))
    assert found.startswith(f"{path}, annotations[1]")
    assert re.search(message, found)


def images(*names):
    return [{"id": 100 + place, "file_name": name} for place, name in enumerate(names)]


BAD_LISTS = {
    "annotation twice": ({"annotations": [row(1), row(1)]}, r"annotations\[1\], 'id': 1 occurs twice"),
    "image twice": (
        {"images": [*images("a.jpg"), *images("b.jpg")]},
        r"images\[1\], 'id': 100 occurs twice, for 'a.jpg' and 'b",
    ),
    "outside": ({"images": images("../../a.jpg")}, "not a path below the folder of images"),
    "absolute": ({"images": images("/etc/passwd")}, "not a path below the folder"),
    "drive": ({"images": images("C:\\a.jpg")}, "not a path below the folder"),
    "line": ({"images": images("a\n.jpg")}, "'file_name': expected a text"),
    "surrogate": ({"images": images("\ud800.jpg")}, "'file_name': expected a text"),
    "nameless": ({"images": images("")}, "'file_name': expected a text"),
    "no keypoints": ({"categories": [{"id": 7, "name": "cat"}]}, "none has 'keypoints'; add the names of the 4 that"),
    "boxes": (
        {"categories": [{"id": 7, "name": "cat"}], "annotations": [{"id": 1, "image_id": 100, "category_id": 7}]},
        "none has 'keypoints'; is it a file of boxes",
    ),
    "names": ({"categories": [category(keypoints=[1, 2])]}, "'keypoints': expected a list of names"),
    "names text": ({"categories": [category(keypoints="nose")]}, "'keypoints': expected a list of names"),
    "same names": ({"categories": [category(keypoints=["a", "a", "b", "c"])]}, "keypoint names occur twice: a"),
    "category twice": ({"categories": [category(), category(name="b")]}, r"categories\[1\], 'id': 7 occurs twice"),
    "category name": ({"categories": [category(name=None)]}, "'name': expected a text"),
}


@pytest.mark.parametrize("kind", list(BAD_LISTS))
def test_damaged_lists_are_named_with_their_place(tmp_path, kind):
    changes, message = BAD_LISTS[kind]
    path = lay(tmp_path, document(**changes))
    found = refused(lambda: open_coco(tmp_path))
    assert found.startswith(str(path))
    assert re.search(message, found)


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
KEYS = ["id", "image_id", "category_id", "keypoints", "iscrowd", "area", "bbox"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(KEYS), JUNK)
def test_any_junk_in_a_row_is_read_or_refused_in_one_line(tmp_path, key, junk):
    lay(tmp_path, document(row(1, **{key: junk})))
    try:
        samples = open_coco(tmp_path).samples("valid")
    except KpError as error:
        assert "\n" not in str(error)
    else:
        assert all(sample.side > 0 and sample.normaliser > 0 for sample in samples)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(["images", "annotations", "categories", "id", "name", "keypoints", "skeleton"]), JUNK)
def test_any_junk_elsewhere_is_read_or_refused_in_one_line(tmp_path, key, junk):
    content = document()
    (content if key in content else content["categories"][0])[key] = junk
    lay(tmp_path, content)
    try:
        assert len(open_coco(tmp_path).skeleton.names) > 0
    except KpError as error:
        assert "\n" not in str(error)


# --- what decides a sample, and what messages name --------------------------------------------------------------------


def test_cocos_keypoints_and_bones_are_those_of_its_files():
    assert " ".join(COCO.names) == (
        "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist"
        " right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
    )
    bones = [[COCO.names.index(end) + 1 for end in edge] for edge in COCO.edges]
    assert bones == [
        [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8], [7, 9], [8, 10], [9, 11],
        [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7],
    ]  # fmt: skip


def test_a_keypoint_on_the_edge_of_the_crop_does_not_widen_it(tmp_path):
    at = {"edge": 20 + 20, "beyond": 20 + 20.125, "other way": 20 - 20.125}
    rows = [
        row(place, keypoints=[x, 32, 2, 20, 32, 2, *[0] * 6], num_keypoints=2) for place, x in enumerate(at.values(), 1)
    ]
    dataset = read(tmp_path, *rows)
    assert [sample.side for sample in dataset.samples("valid")] == [40, 2 * 20.125 + 2, 2 * 20.125 + 2]
    (wide,) = dataset.findings("valid")
    assert (wide.level, wide.count) == ("note", 2)
    assert wide.what.endswith("outside 1.25 x the box (first: a.jpg, row 1)")


def test_the_box_of_one_keypoint_is_a_pixel_at_it(tmp_path):
    (sample,) = read(tmp_path, row(1, keypoints=[30, 34, 1, *[0] * 9], bbox=None, area=None)).samples("valid")
    assert sample.centre.tolist() == [30.5, 34.5]
    assert (sample.side, sample.normaliser) == (16, pytest.approx(math.sqrt(0.53)))


def test_an_area_above_zero_is_taken_as_it_is(tmp_path):
    dataset = read(tmp_path, row(1, area=0.25, bbox=[10, 20, 1, 1]))
    assert dataset.samples("valid")[0].normaliser == 0.5


def test_a_crowd_is_a_crowd_however_it_is_written(tmp_path):
    dataset = read(
        tmp_path, row(1, iscrowd=True), row(2, 101, iscrowd=1.0), row(3, iscrowd=False), without("iscrowd") | {"id": 4}
    )
    assert [sample.row for sample in dataset.samples("valid")] == [2, 3]
    assert notes(dataset) == {"crowd regions (iscrowd = 1) left out": 2}
    assert "(first: a.jpg, row 0)" in dataset.findings("valid")[0].what


def test_numbers_up_to_a_million_are_pixels(tmp_path):
    assert len(read(tmp_path, row(1, bbox=[1e6, -1e6, 1e6, 1e6], area=1e12)).samples("valid")) == 1
    for change in ({"bbox": [1e6 + 1, 0, 9, 9]}, {"bbox": [0, -1e6 - 1, 9, 9]}):
        assert "'bbox': expected finite numbers up to 1e+06" in refused(lambda c=change: read(tmp_path, row(1, **c)))
    assert "'area': expected a finite number up to 1e+12" in refused(lambda: read(tmp_path, row(1, area=1.1e12)))


@pytest.mark.parametrize("name", ["a/../../../b.jpg", "/b.jpg", "C:\\b.jpg", "a/", "..", "..\\..\\b.jpg"])
def test_a_file_name_stays_within_the_folder(tmp_path, name):
    message = refused(lambda: read(tmp_path, images=images("ok.jpg", name)))
    assert "images[1], 'file_name': image name" in message and "not a path below the folder of images" in message


@pytest.mark.parametrize(("bones", "last"), [([[0, 3]], ("nose", "tail")), ([[1, 4]], ("nose", "tail"))])
def test_bones_reach_the_last_keypoint_and_no_farther(tmp_path, bones, last):
    assert read(tmp_path, categories=[category(skeleton=bones)]).skeleton.edges == (last,)
    low = bones[0][0]
    dataset = read(tmp_path, categories=[category(skeleton=[*bones, [low, low + 4]])])
    assert dataset.skeleton.edges == (last,)
    (told,) = dataset.findings("valid")
    assert (told.level, told.count) == ("warning", 1)
    assert told.what == (
        f"category 'cat': edges between no two keypoints left out, such as [{low}, {low + 4}]"
        f" (keypoints are {low} to {low + 3}); edges are only drawn"
    )


@pytest.mark.parametrize(
    "bone", [[1], [1, 2, 3], [1, True], [1, 2.0], [1, -1], "12", None, {}, [2, 2], ["nose", "chin"], [[1], [2]]]
)
def test_what_is_no_edge_is_left_out_with_a_warning(tmp_path, bone):
    dataset = read(tmp_path, categories=[category(skeleton=[bone, [1, 2]])])
    assert dataset.skeleton.edges == (("nose", "left_paw"),)
    assert [(finding.level, finding.count) for finding in dataset.findings("valid")] == [("warning", 1)]


@pytest.mark.parametrize("bones", [3, "12", {"a": 1}])
def test_edges_that_are_no_list_are_left_out_with_a_warning(tmp_path, bones):
    dataset = read(tmp_path, categories=[category(skeleton=bones)])
    assert dataset.skeleton.edges == ()
    (told,) = dataset.findings("valid")
    assert (told.level, told.what.split(":")[0]) == ("warning", "category 'cat'")


def test_edges_may_be_names(tmp_path):
    assert read(tmp_path, categories=[category(skeleton=[["nose", "tail"]])]).skeleton.edges == (("nose", "tail"),)


@pytest.mark.parametrize("names", [["a", ""], ["a", 3], ["a\n"], [None], {"a": 1}])
def test_keypoints_are_names(tmp_path, names):
    message = refused(lambda: read(tmp_path, categories=[category(keypoints=names)]))
    assert "categories[0], 'keypoints': expected a list of names" in message


@pytest.mark.parametrize("identity", [True, None, "a\nb", 1.5, math.nan])
def test_an_id_is_a_whole_number_or_a_text(tmp_path, identity):
    message = refused(lambda: read(tmp_path, row(identity)))
    assert "annotations[0], 'id': expected a whole number or a text" in message


def test_a_list_in_a_message_is_short_and_counted(tmp_path):
    message = refused(lambda: read(tmp_path, row(1, keypoints=list(range(5000)))))
    assert message.endswith("(5000 entries); mend the file") and len(message) < 400


def test_a_side_whose_partner_is_told_is_no_warning(tmp_path):
    lay(tmp_path, document(categories=[category(keypoints=["nose", "left_paw", "right_ear", "tail"])]))
    contradicted, alone = side_findings(open_coco(tmp_path, mirrors={"left_paw": "nose"}).skeleton)
    assert "'right_ear'" in alone.what and "'left_paw'" not in alone.what
    assert contradicted.what.startswith(
        "mirror partners that contradict the sides in their names: 'nose' and 'left_paw'"
    )


def test_the_file_of_a_keypoint_named_twice_is_told(tmp_path):
    path = lay(tmp_path, document(categories=[category(keypoints=["a", "a", "b", "c"])]))
    assert refused(lambda: open_coco(tmp_path)).startswith(f"{path}: ")


def test_cocos_own_people_in_its_own_files_are_called_coco(tmp_path):
    names = list(COCO.names)
    rows = row(1, keypoints=[20, 30, 2] * 17)
    person, cat = (category(name=name, keypoints=names, skeleton=[]) for name in ("person", "cat"))
    dataset = read(tmp_path, rows, categories=[person])
    assert (dataset.label, dataset.skeleton.name) == ("COCO", "coco")
    assert read(tmp_path, rows, categories=[cat]).label == "COCO, cat"
    lay(tmp_path, document(rows, categories=[person]), "mine.json")
    mine = open_coco(tmp_path, train_annotations="mine.json", held_out=0.5)
    assert (mine.label, mine.skeleton.name) == ("COCO format, person", "coco")


def test_no_annotation_names_at_most_five_files(tmp_path):
    for number in range(7):
        lay(tmp_path, document(), f"{number}.json")
    message = refused(lambda: open_coco(tmp_path))
    start = f"{tmp_path}: no annotation of COCO there: neither {tmp_path / TRAIN} nor {tmp_path / VALID} exists"
    there = "; JSON files there: 0.json, 1.json, 2.json, 3.json, 4.json (set train_annotations or valid_annotations)"
    assert message == start + there
    message = refused(lambda: open_coco(tmp_path, held_out=0.5))
    assert message.startswith(f"{tmp_path}: no annotation of COCO there: {tmp_path / TRAIN} does not exist; JSON")


def test_parts_of_other_keypoints_are_told_with_both_files(tmp_path):
    names = [*NAMES[:3], "chin"]
    large = lay(tmp_path, document(*map(row, range(1, 9)), categories=[category(keypoints=names)]), TRAIN)
    small = lay(tmp_path, document())
    message = refused(lambda: open_coco(tmp_path).samples("train"))
    assert message.startswith(f"{large}: keypoints nose, left_paw, right_paw, chin are not those of {small} (nose, ")


# --- OKS --------------------------------------------------------------------------------------------------------------

SCALE = 100.0
SIGMAS = np.array(
    [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
)
SIGMAS /= 10
EVERY = COCO.all()


def people(number, skeleton=COCO, *, scale=SCALE, image=str):
    """People with every keypoint labelled, far from each other, one an image."""
    random = np.random.default_rng(0)
    joints = len(skeleton.names)
    return Instances(
        points=1000.0 * np.arange(number)[:, None, None] + random.uniform(0, 200, (number, joints, 2)),
        state=np.full((number, joints), VISIBLE, np.uint8),
        normaliser=np.full(number, scale),
        side=np.full(number, 300.0),
        centre=np.full((number, 2), 150.0),
        image_ids=tuple(image(row) for row in range(number)),
        person_ids=tuple(str(row) for row in range(number)),
        rows=np.arange(number),
        mm_per_px=np.full(number, np.nan),
    )


def unlabel(truth, row, *names):
    for name in names:
        truth.state[row, COCO.index(name)] = UNLABELLED
        truth.points[row, COCO.index(name)] = np.nan


def at_similarity(truth, wanted, sigmas=SIGMAS):
    """Predictions with the wanted similarity, one number or an array that broadcasts to (N, K)."""
    predicted = truth.points.copy()
    predicted[..., 0] += truth.normaliser[:, None] * 2 * sigmas * np.sqrt(-2 * np.log(wanted))
    return predicted


def build_oks(**options):
    return registry().build("metric", "oks", options, where="evaluation.metric")


def score(predicted, truth, keypoints=EVERY, columns=None, confidence=None, **options):
    columns = default_columns(keypoints) if columns is None else columns
    return build_oks(**options).score(predicted, confidence, truth, keypoints, columns)


def test_similarity_falls_to_exp_of_a_half_at_two_sigmas_of_the_scale():
    truth = people(1)
    predicted = truth.points.copy()
    predicted[0, :, 1] += 2 * SIGMAS * SCALE
    values = build_oks().values(predicted, truth, EVERY)
    np.testing.assert_allclose(values, math.exp(-0.5))
    predicted[0, 0] += [3, 4]  # the nose, 10.2 px off: 5 px and 2 x 0.026 x 100 px are not along one line
    assert build_oks().values(predicted, truth, EVERY)[0, 0] == pytest.approx(
        math.exp(-(3**2 + 9.2**2) / (2 * 100**2 * (2 * 0.026) ** 2))
    )


def test_unlabelled_is_nan_missing_is_0_and_hidden_counts():
    truth = people(1)
    unlabel(truth, 0, "nose")
    truth.state[0, COCO.index("left_hip")] = HIDDEN
    predicted = at_similarity(truth, 0.5)
    predicted[0, COCO.index("left_knee"), 0] = np.nan
    values = dict(zip(COCO.names, build_oks().values(predicted, truth, EVERY)[0].tolist(), strict=True))
    assert math.isnan(values.pop("nose"))
    assert values.pop("left_knee") == 0
    assert list(values.values()) == pytest.approx([0.5] * 15)


def test_mean_similarity_is_of_people_and_by_column():
    truth = people(2)
    unlabel(truth, 1, *(name for name in COCO.names if name not in ("nose", "left_wrist")))
    wanted = np.full((2, 17), 0.5)
    wanted[1, 0] = 1.0
    scores = score(at_similarity(truth, wanted), truth, report="similarity")
    assert scores.average == pytest.approx(100 * (0.5 + 0.75) / 2)
    assert (scores.columns["nose"], scores.columns["wrist"]) == pytest.approx((75, 50))
    columns = (Column("wrist", ("left_wrist", "right_wrist")), Column("nose", ("nose",), in_average=False))
    assert score(at_similarity(truth, wanted), truth, columns=columns, report="similarity").average == pytest.approx(50)


@pytest.mark.parametrize("report", ["ap", "similarity"])
def test_perfect_predictions_score_100_missing_ones_0_and_nobody_nan(report):
    truth = people(3)
    perfect = score(truth.points.copy(), truth, report=report)
    nothing = score(np.full_like(truth.points, np.nan), truth, report=report)
    assert (perfect.average, nothing.average) == pytest.approx((100, 0))
    for scores, expected in ((perfect, 100), (nothing, 0)):
        known = {name: value for name, value in scores.columns.items() if name != "AP_M"}
        assert known == pytest.approx(dict.fromkeys(known, expected))
    assert report == "similarity" or (math.isnan(perfect.columns["AP_M"]) and math.isnan(nothing.columns["AP_M"]))
    for row in range(3):
        unlabel(truth, row, *COCO.names)
    nobody = score(np.zeros_like(truth.points), truth, report=report)
    assert all(math.isnan(value) for value in (nobody.average, *nobody.columns.values()))


def test_precision_counts_thresholds_up_to_the_oks():
    """An OKS of 0.77 passes 0.50, 0.55, ..., 0.75: six of ten."""
    truth = people(4)
    scores = score(at_similarity(truth, 0.77), truth)
    assert scores.average == pytest.approx(60)
    assert scores.columns == pytest.approx(
        {"AP50": 100, "AP75": 100, "AP_M": math.nan, "AP_L": 60, "AR": 60}, nan_ok=True
    )
    small = people(4, scale=50.0)
    assert score(at_similarity(small, 0.77), small).columns["AP_M"] == pytest.approx(60)


def test_precision_ranks_by_mean_confidence():
    """One of two people is right: precision is 1 at recalls 0 to 0.5, 51 of 101, if the wrong one is less sure."""
    truth = people(2)
    predicted = truth.points.copy()
    predicted[1] += 500
    for sure, expected in ((0.9, 51 / 101), (0.1, 51 / 101 / 2)):
        confidence = np.full((2, 17), 0.5)
        confidence[0, 0], confidence[0, 1:] = 17 * sure - 16 * 0.5, 0.5
        scores = score(predicted, truth, confidence=confidence)
        assert (scores.average, scores.columns["AR"]) == pytest.approx((100 * expected, 50))


def test_confidence_of_what_is_missing_or_no_number_does_not_count():
    truth = people(2)
    predicted = truth.points.copy()
    predicted[1] += 500
    predicted[0, 3:] = np.nan
    for row in range(2):
        unlabel(truth, row, *COCO.names[3:])
    confidence = np.full((2, 17), 0.5)
    confidence[0, :3], confidence[0, 3:] = 0.6, 0.0  # mean over all would be below 0.5
    assert score(predicted, truth, confidence=confidence).average == pytest.approx(100 * 51 / 101)
    confidence[0, :3] = np.nan
    assert score(predicted, truth, confidence=confidence).average == pytest.approx(100 * 51 / 101 / 2)


def test_somebody_without_prediction_is_missed_but_a_wild_prediction_is_wrong():
    truth = people(2)
    confidence = np.array([[0.5], [0.9]]) * np.ones(17)
    predicted = truth.points.copy()
    predicted[1] = np.nan
    assert score(predicted, truth, confidence=confidence).average == pytest.approx(100 * 51 / 101)
    predicted[1, ::2], predicted[1, 1::2] = 1e300, -1e300
    assert score(predicted, truth, confidence=confidence).average == pytest.approx(100 * 51 / 101 / 2)


def test_a_missing_keypoint_has_no_similarity_in_precision():
    truth = people(1)
    predicted = truth.points.copy()
    predicted[0, :4, 0] = np.nan  # OKS 13/17 = 0.765
    assert score(predicted, truth).average == pytest.approx(60)


def test_the_oks_of_a_set_is_over_its_keypoints():
    truth = people(2)
    knees = COCO.select(["knee"])
    predicted = at_similarity(truth, 0.77)[:, list(knees.indices)]
    assert score(predicted, truth, knees).average == pytest.approx(60)
    assert score(predicted, truth, knees, report="similarity").columns == {"knee": pytest.approx(77)}
    unlabel(truth, 1, "left_knee", "right_knee")  # no longer anybody who is scored
    predicted[1] = 0
    assert score(predicted, truth, knees).average == pytest.approx(60)


def crowd(seed):
    """Four images of three people who overlap, some keypoints unlabelled, predictions of all kinds."""
    random = np.random.default_rng(seed)
    truth = people(12, image=lambda row: f"{row % 4}.jpg")
    truth.points[:] = random.uniform(0, 60, (12, 1, 2)) + random.uniform(0, 120, (12, 17, 2))
    truth.normaliser[:] = random.uniform(40, 160, 12)
    truth.state[:] = random.integers(0, 3, (12, 17))
    truth.state[:, 0] = VISIBLE
    truth.points[truth.state == UNLABELLED] = np.nan
    off = random.normal(0, 1, (12, 17, 2)) * random.uniform(0, 25, (12, 1, 1))
    return np.nan_to_num(truth.points, nan=33.0) + off, random.uniform(size=(12, 17)), truth


def raw_evaluation(folder, predicted, confidence, truth):
    """The same people through files of COCO's format, read and scored by pycocotools alone."""
    images = [int(name.removesuffix(".jpg")) for name in truth.image_ids]
    rows = [
        {"id": 50 + row, "image_id": images[row], "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 1, 1],
         "area": truth.normaliser[row] ** 2, "num_keypoints": int((truth.state[row] > 0).sum()),
         "keypoints": np.c_[np.nan_to_num(truth.points[row]), truth.state[row]].ravel().tolist()}
        for row in range(len(truth))
    ]  # fmt: skip
    found = [
        {"image_id": images[row], "category_id": 1, "score": confidence[row].mean(),
         "keypoints": np.c_[predicted[row], np.ones(17)].ravel().tolist()}
        for row in range(len(truth))
    ]  # fmt: skip
    content = {"images": [{"id": k} for k in range(4)], "categories": [{"id": 1}], "annotations": rows, "info": {}}
    (folder / "truth.json").write_text(json.dumps(content))
    (folder / "found.json").write_text(json.dumps(found))
    return evaluated(pycocotools.coco.COCO(str(folder / "truth.json")), str(folder / "found.json"))


def evaluated(index, found):
    evaluation = COCOeval(index, index.loadRes(found), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return 100 * evaluation.stats[:6]


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_pycocotools_on_files(tmp_path, seed):
    predicted, confidence, truth = crowd(seed)
    scores = score(predicted, truth, confidence=confidence)
    expected = raw_evaluation(tmp_path, predicted, confidence, truth)
    assert 2 < expected[0] < 95
    np.testing.assert_allclose([scores.average, *scores.columns.values()], expected, rtol=0, atol=1e-9)


def test_nothing_is_printed(capsys):
    truth = people(2)
    score(truth.points.copy(), truth)
    assert capsys.readouterr() == ("", "")


def test_without_confidence_nobody_is_surer():
    predicted, _, truth = crowd(1)
    alike = score(predicted, truth, confidence=np.full((12, 17), 0.3))
    assert score(predicted, truth) == alike


def test_sigmas_go_by_name_then_group_then_coco_then_the_default():
    knees = (Keypoint("r_knee", "l_knee", "knee"), Keypoint("l_knee", "r_knee", "knee"))
    skeleton = Skeleton("mixed", (*knees, Keypoint("nose", group="face"), Keypoint("tail")))
    every = skeleton.all()
    np.testing.assert_array_equal(sigmas_of(every, {}, 0.067), [0.087, 0.087, 0.026, 0.067])
    np.testing.assert_array_equal(
        sigmas_of(every, {"knee": 0.5, "l_knee": 0.6, "face": 0.1}, 0.2), [0.5, 0.6, 0.1, 0.2]
    )
    np.testing.assert_allclose(sigmas_of(EVERY, {}, 9.0), SIGMAS)
    assert pytest.approx(0.067, abs=5e-4) == SIGMAS.mean()
    with pytest.raises(KpError, match="metric 'oks', sigmas: unknown keypoint or group 'tial'; did you mean 'tail'"):
        sigmas_of(every, {"tial": 0.1}, 0.067)


def test_larger_sigmas_are_more_lenient():
    truth = people(2)
    predicted = at_similarity(truth, 0.5)
    scores = [score(predicted, truth, sigmas=sigmas).average for sigmas in ({}, dict.fromkeys(COCO.groups, 0.5))]
    assert scores == [pytest.approx(10), pytest.approx(100)]


@pytest.mark.parametrize("length", [0.0, -2.0, np.nan, np.inf])
@pytest.mark.parametrize("report", ["ap", "similarity"])
def test_a_labelled_person_without_a_scale_is_named(report, length):
    truth = people(3)
    truth.normaliser[1] = length
    with pytest.raises(KpError, match=r"^image 1, row 1: the scale of OKS is .*\(1 such people\)"):
        score(truth.points, truth, report=report)
    unlabel(truth, 1, *COCO.names)
    assert score(np.nan_to_num(truth.points), truth, report=report).average == pytest.approx(100)


@pytest.mark.parametrize("report", ["ap", "similarity"])
def test_no_split_is_needed_to_average(report):
    truth = people(2)
    metric = build_oks(report=report)
    assert not averages_columns(metric, metric.values(truth.points, truth, EVERY), truth, EVERY)


def test_a_column_over_keypoints_that_are_not_scored_is_an_error():
    truth, knees = people(1), COCO.select(["knee"])
    with pytest.raises(KpError, match="a column counts nose, which is not among"):
        score(truth.points[:, list(knees.indices)], truth, knees, (Column("face", ("nose",)),), report="similarity")


@pytest.mark.parametrize(
    ("options", "convention"),
    [
        ({}, "OKS AP@.50:.95, ground-truth boxes of labelled people, sigmas by keypoint name, else 0.067"),
        ({"report": "similarity", "sigmas": {"tail": 0.1, "paw": 0.05}, "default_sigma": 0.08},
         "mean OKS (percent), sigmas by keypoint name, else 0.08"),
    ],
)  # fmt: skip
def test_results_carry_the_convention(options, convention):
    metric = build_oks(**options)
    assert (metric.convention, metric.higher_is_better) == (convention, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"report": "AP50"}, r"evaluation\.metric: report: "),
        ({"sigmas": {"knee": 0}}, r"evaluation\.metric: sigmas"),
        ({"default_sigma": -1}, r"evaluation\.metric: default_sigma: "),
        ({"sigma": 0.1}, "unknown key 'sigma'; did you mean 'sigmas'"),
    ],
)
def test_settings_errors_name_the_key(options, message):
    with pytest.raises(KpError, match=message):
        build_oks(**options)


# --- real data --------------------------------------------------------------------------------------------------------

REAL = Path(os.environ.get("KP_REAL_DATA", "")) / "coco_mini"
real_data = pytest.mark.skipif(
    not os.environ.get("KP_REAL_DATA") or not REAL.is_dir(), reason="KP_REAL_DATA names no folder with coco_mini/"
)


@pytest.mark.real_data
@real_data
@pytest.mark.parametrize(("part", "people", "pictures"), [("train", 86, 28), ("valid", 68, 32)])
def test_real_rows_are_those_that_pycocotools_counts(part, people, pictures):
    index = pycocotools.coco.COCO(str(REAL / (TRAIN if part == "train" else VALID)))
    wanted = {str(one["id"]): one for one in index.anns.values() if one["num_keypoints"] and not one["iscrowd"]}
    samples = open_coco(REAL).samples(part)
    assert len(samples) == len(wanted) == people
    assert len({sample.image_id for sample in samples}) == pictures
    for sample in samples:
        one = wanted[sample.person_id]
        triplets = np.array(one["keypoints"]).reshape(17, 3)
        np.testing.assert_array_equal(sample.state, triplets[:, 2])
        np.testing.assert_array_equal(sample.points[sample.state > 0], triplets[sample.state > 0, :2])
        assert sample.normaliser**2 == pytest.approx(one["area"])
        assert sample.image.name == index.imgs[one["image_id"]]["file_name"] and sample.image.is_file()
        reach = np.abs(sample.points[sample.state > 0] - sample.centre).max()
        assert reach < sample.side / 2


@pytest.mark.real_data
@real_data
def test_real_data_has_no_error_or_warning():
    dataset = open_coco(REAL)
    assert dataset.skeleton == COCO and dataset.label == "COCO"
    for part in dataset.parts:
        assert {finding.level for finding in check_part(dataset, part, decode=True)} == {"note"}


def slightly_off(truth):
    random = np.random.default_rng(0)
    off = random.normal(0, 0.08, truth.points.shape) * truth.normaliser[:, None, None]
    return np.nan_to_num(truth.points, nan=50.0) + off, random.uniform(size=truth.state.shape)


@pytest.mark.real_data
@real_data
@pytest.mark.parametrize("part", ["train", "valid"])
def test_real_people_are_scored_as_pycocotools_does(part):
    """Without COCO's own regions to ignore the figures are equal; with them they can only be higher."""
    truth = Instances.of(open_coco(REAL).samples(part))
    assert score(truth.points.copy(), truth).average == pytest.approx(100)
    predicted, confidence = slightly_off(truth)
    scores = score(predicted, truth, confidence=confidence)
    index = pycocotools.coco.COCO(str(REAL / (TRAIN if part == "train" else VALID)))
    found = [
        {"image_id": index.anns[int(name)]["image_id"], "category_id": 1, "score": confidence[row].mean(),
         "keypoints": np.c_[predicted[row], np.ones(17)].ravel().tolist()}
        for row, name in enumerate(truth.person_ids)
    ]  # fmt: skip
    with_regions = evaluated(index, found)
    index.dataset["annotations"] = [a for a in index.dataset["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    index.createIndex()
    np.testing.assert_allclose([scores.average, *scores.columns.values()], evaluated(index, found), atol=1e-9)
    assert 10 < scores.average <= with_regions[0] < 95


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("image_id", "write the 'id' of its picture in 'images', or remove the entry"),
        ("category_id", "write the 'id' of its category in 'categories', or remove the entry"),
    ],
)
def test_a_field_that_is_missing_is_told_with_what_belongs_there(tmp_path, key, told):
    message = refused(lambda: read(tmp_path, without(key)))
    assert f"annotations[0] has no '{key}' (" in message and message.endswith(told)
    assert "did you mean" not in message


def test_a_field_in_another_spelling_is_told(tmp_path):
    message = refused(lambda: read(tmp_path, without("image_id") | {"Image-ID": 1}))
    assert message.endswith("call 'Image-ID' so")


def test_a_name_that_occurs_twice_says_what_to_do(tmp_path):
    lay(tmp_path, document(categories=[category(keypoints=["a", "a", "b", "c"])]))
    assert refused(lambda: open_coco(tmp_path)).endswith("keypoint names occur twice: a; give each its own")


def test_two_files_that_spell_a_keypoint_in_two_ways_are_told_which(tmp_path):
    names = [*NAMES[:2], "Right Paw", NAMES[3]]
    lay(tmp_path, document(*map(row, range(1, 9)), categories=[category(keypoints=names)]), TRAIN)
    lay(tmp_path, document())
    message = refused(lambda: open_coco(tmp_path).samples("train"))
    assert message.endswith("one name in two spellings: 'Right Paw' and 'right_paw'; write one of them in both files")
