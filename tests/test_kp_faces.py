"""The faces plugin: four skeletons under one vocabulary, five layouts read, faces drawn."""

import csv

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kp_faces.landmark_csv import parse_header
from kp_faces.landmarks import Landmarks
from kp_faces.skeletons import AFLW19, COFW29, FACES68, GROUPS, SKELETONS, WFLW98

from kpcore.data.check import check_part
from kpcore.errors import KpError
from kpcore.tensors import UNLABELLED, VISIBLE

PUBLISHED = {
    "faces68": [
        *[(k, 16 - k) for k in range(8)], *[(17 + k, 26 - k) for k in range(5)], (31, 35), (32, 34),
        (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (48, 54), (49, 53), (50, 52), (55, 59), (56, 58),
        (60, 64), (61, 63), (65, 67),
    ],
    "wflw98": [
        *[(k, 32 - k) for k in range(16)], *[(33 + k, 46 - k) for k in range(5)], *[(38 + k, 50 - k) for k in range(4)],
        (55, 59), (56, 58), *[(60 + k, 72 - k) for k in range(5)], (65, 75), (66, 74), (67, 73),
        (76, 82), (77, 81), (78, 80), (83, 87), (84, 86), (88, 92), (89, 91), (93, 95), (96, 97),
    ],
    "cofw29": [
        (0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11), (12, 14), (13, 15), (16, 17), (18, 19), (22, 23),
    ],
    "aflw19": [(0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9), (12, 14), (15, 17)],
}  # fmt: skip
"""Mirror pairs as the data sets' users publish them."""


def build(kind, root, **options):
    config = kind.Config(root=None if root is None else str(root), **options)
    return kind(**{name: getattr(config, name) for name in kind.Config.model_fields})


def refused(call):
    with pytest.raises(KpError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def picture(path, height=40, width=48):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


def notes(dataset, part):
    return {finding.what.split(" (first")[0]: finding.count for finding in dataset.findings(part)}


# ------------------------------------------------------------------------------------------------------ skeletons


@pytest.mark.parametrize("name", SKELETONS)
def test_mirror_pairs_are_the_published_ones(name):
    pairs = [(k, other) for k, other in enumerate(SKELETONS[name].all().flip_permutation) if k < other]
    assert sorted(pairs) == sorted(PUBLISHED[name])


@pytest.mark.parametrize("name", SKELETONS)
def test_every_landmark_is_in_one_of_five_groups_which_left_and_right_share(name):
    skeleton = SKELETONS[name]
    assert set(skeleton.groups) == set(GROUPS)
    assert all(skeleton[point.mirror].group == point.group for point in skeleton.keypoints if point.mirror)
    assert {"r_eye_outer", "l_eye_outer"} <= set(skeleton.names)


def test_groups_hold_the_ranges_of_ibug():
    ranges = {"jaw": range(17), "brow": range(17, 27), "nose": range(27, 36), "eye": range(36, 48)}
    ranges["mouth"] = range(48, 68)
    assert {group: [FACES68.index(n) for n in names] for group, names in FACES68.groups.items()} == {
        group: list(places) for group, places in ranges.items()
    }
    assert (FACES68.index("r_eye_outer"), FACES68.index("l_eye_outer"), FACES68.index("chin")) == (36, 45, 8)


def test_the_68_are_found_in_the_98_where_others_map_them():
    eyes = {36: 60, 37: 61, 38: 63, 39: 64, 40: 65, 41: 67, 42: 68, 43: 69, 44: 71, 45: 72, 46: 73, 47: 75}
    published = {k: 2 * k for k in range(17)} | {17 + k: 33 + k for k in range(5)} | {22 + k: 42 + k for k in range(5)}
    published |= {27 + k: 51 + k for k in range(9)} | eyes | {48 + k: 76 + k for k in range(20)}
    assert {k: WFLW98.index(name) for k, name in enumerate(FACES68.names)} == published


def test_small_sets_share_names_with_the_68():
    published = {0: 17, 1: 26, 2: 21, 3: 22, 4: 19, 6: 24, 8: 36, 9: 45, 10: 39, 11: 42, 18: 31, 19: 35, 20: 30, 21: 33}
    published |= {22: 48, 23: 54, 24: 51, 25: 62, 26: 66, 27: 57, 28: 8}
    shared = {k: FACES68.index(name) for k, name in enumerate(COFW29.names) if name in FACES68.names}
    assert shared == published
    shared = {k: FACES68.index(name) for k, name in enumerate(AFLW19.names) if name in FACES68.names}
    assert shared == {
        0: 17, 1: 19, 2: 21, 3: 22, 4: 24, 5: 26, 6: 36, 8: 39, 9: 42, 11: 45, 12: 31, 13: 30, 14: 35, 15: 48, 17: 54,
        18: 8,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------ landmarks

NUMBERED = ["", *map(str, range(136))]


def faces(count=3, points=68):
    return np.random.default_rng(points).uniform(4, 36, (count, points, 2)).round(2)


def write_csv(path, header, rows, **options):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, **options)
        writer.writerows([header, *rows])


def write_part(root, word, positions, header=NUMBERED, stem="{}_frames_keypoints"):
    names = [f"{word}_{row}.jpg" for row in range(len(positions))]
    for name in names:
        picture(root / word / name)
    rows = [[name, *one.ravel()] for name, one in zip(names, positions, strict=True)]
    write_csv(root / f"{stem.format(word)}.csv", header, rows)
    return rows


@pytest.fixture
def root(tmp_path):
    write_part(tmp_path, "training", faces())
    write_part(tmp_path, "test", faces(2))
    return tmp_path


def test_landmarks_reads_the_published_layout(root):
    dataset = build(Landmarks, root)
    assert dataset.parts == ("train", "valid") and dataset.skeleton is FACES68
    first = dataset.samples("train")[0]
    np.testing.assert_array_equal(first.points, faces()[0].astype(np.float32))  # 0-based: nothing is shifted
    assert (first.state == VISIBLE).all() and first.image == root / "training" / "training_0.jpg"
    assert [sample.image_id for sample in dataset.samples("valid")] == ["test/test_0.jpg", "test/test_1.jpg"]
    assert first.normaliser == pytest.approx(np.linalg.norm(faces()[0, 36] - faces()[0, 45]), rel=1e-6)
    assert not [finding for finding in check_part(dataset, "train", decode=True) if finding.level == "error"]


def test_the_crop_holds_every_landmark_and_follows_its_factor(root):
    for factor in (1.0, 1.3, 2.0):
        sample = build(Landmarks, root, crop=factor).samples("train")[0]
        low, high = sample.points.min(0), sample.points.max(0)
        np.testing.assert_allclose(sample.centre, (low + high) / 2, rtol=1e-6)
        assert sample.side == pytest.approx(max(factor, 1.05) * (high - low).max(), rel=1e-6)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (["image", "x0", "y0", "x1", "y1"], ("p0", "p1")),
        (["image", "x_1", "y_1", "x_2", "y_2"], ("p0", "p1")),
        (["name", "0", "1", "2", "3"], ("p0", "p1")),
        (["file", "left_ear_x", "left_ear_y", "right_ear_x", "right_ear_y"], ("left_ear", "right_ear")),
        (["", "nose tip X", "nose tip Y", "tail.x", "tail.y"], ("nose tip", "tail")),
    ],
)
def test_landmarks_takes_three_kinds_of_header(tmp_path, header, names):
    write_part(tmp_path, "train", faces(2, 2), header, "{}")
    dataset = build(Landmarks, tmp_path, held_out=0.5)
    assert dataset.skeleton.names == names
    both = [*dataset.samples("train"), *dataset.samples("valid")]
    found = {sample.row: sample.points for sample in both}
    np.testing.assert_allclose([found[0], found[1]], faces(2, 2), rtol=1e-6)


def test_columns_are_found_by_name_not_by_place(tmp_path):
    header = ["image", "y1", "y2", "x1", "x2"]
    write_part(tmp_path, "train", np.array([[[1.0, 2.0], [3.0, 4.0]]]), header)
    picture(tmp_path / "test" / "a.jpg")
    write_csv(tmp_path / "test.csv", ["image", "x2", "y2", "x1", "y1"], [["a.jpg", 7, 8, 5, 6]])
    dataset = build(Landmarks, tmp_path)
    assert dataset.samples("train")[0].points.tolist() == [[3, 1], [4, 2]]
    assert dataset.samples("valid")[0].points.tolist() == [[5, 6], [7, 8]]


def test_a_header_with_published_names_gives_that_skeleton_in_its_order(tmp_path):
    names = list(reversed(COFW29.names))
    header = ["image", *(f"{name}_{axis}" for name in names for axis in "xy")]
    write_part(tmp_path, "train", faces(2, 29), header)
    write_part(tmp_path, "val", faces(1, 29), header)
    dataset = build(Landmarks, tmp_path)
    assert dataset.skeleton is COFW29
    np.testing.assert_allclose(dataset.samples("valid")[0].points, faces(1, 29)[0, ::-1], rtol=1e-6)


def test_other_names_give_mirrors_and_groups():
    from kp_faces.landmark_csv import skeleton_of

    names = ["left_ear", "right_ear", "wing_r", "wing_l", "LeftEye_1", "RightEye_1", "tail", "r_only", "r_eye_outer"]
    header = parse_header(["image", *(f"{name}_{axis}" for name in names for axis in "xy")], "a.csv")
    skeleton, _ = skeleton_of(header, None, "a.csv")
    mirrors = {point.name: point.mirror for point in skeleton.keypoints}
    assert mirrors["left_ear"] == "right_ear" and mirrors["wing_l"] == "wing_r" and mirrors["LeftEye_1"] == "RightEye_1"
    assert mirrors["tail"] is None and mirrors["r_only"] is None
    assert skeleton["left_ear"].group == skeleton["right_ear"].group == "ear"
    assert skeleton["r_eye_outer"].group == "eye" and skeleton["tail"].group == "tail"


def test_an_option_names_the_skeleton_of_numbered_columns(tmp_path):
    write_part(tmp_path, "train", faces(2, 98), ["", *map(str, range(196))])
    assert build(Landmarks, tmp_path).skeleton.names[97] == "p97"
    assert build(Landmarks, tmp_path, skeleton="wflw98").skeleton is WFLW98
    assert "98 landmarks" in refused(lambda: build(Landmarks, tmp_path, skeleton="faces68"))


def test_an_empty_cell_is_not_labelled_and_a_face_without_labels_is_left_out(root):
    rows = [["a.jpg", *["" for _ in range(136)]], ["b.jpg", "nan", "NaN", *faces()[0].ravel()[2:]]]
    rows.append(["c.jpg", *faces()[1].ravel()])
    rows[2][1 + 2 * 36 : 3 + 2 * 36] = ["", " "]
    write_csv(root / "training_frames_keypoints.csv", NUMBERED, rows)
    dataset = build(Landmarks, root)
    labelled, without_corner = dataset.samples("train")
    assert (labelled.row, labelled.state[0], int((labelled.state > 0).sum())) == (1, UNLABELLED, 67)
    assert np.isnan(labelled.points[0]).all()
    low, high = np.nanmin(without_corner.points, 0), np.nanmax(without_corner.points, 0)
    assert without_corner.normaliser == pytest.approx(np.sqrt(np.prod(high - low)), rel=1e-6)
    told = notes(dataset, "train")
    assert told["faces without a labelled landmark left out"] == 1
    assert told["no distance of outer eye corners: normaliser is the root of the area of the face's box"] == 1


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("train", "valid"), ("train", "valid")),
        (("train", "val"), ("train", "valid")),
        (("training", "test"), ("train", "valid")),
        (("train", "validation", "testing"), ("train", "valid", "test")),
    ],
)
def test_parts_go_by_the_names_of_files_and_folders(tmp_path, words, parts):
    for word in words:
        write_part(tmp_path, word, faces(2))
    dataset = build(Landmarks, tmp_path)
    assert dataset.parts == parts
    assert {s.image.parent.name for s in dataset.samples("valid")} == {words[1]}
    assert dataset.samples(parts[-1])[0].image.parent.name == words[-1]


def test_without_a_second_csv_a_share_of_the_images_is_held_out(tmp_path):
    write_part(tmp_path, "train", faces(40))
    dataset = build(Landmarks, tmp_path, held_out=0.25)
    train, valid = ({s.image_id for s in dataset.samples(part)} for part in ("train", "valid"))
    assert not train & valid and len(train | valid) == 40 and 3 < len(valid) < 20
    assert any("held out by name hash" in what for what in notes(dataset, "valid"))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (["a.jpg", *["1"] * 135], "line 2: has 136 cells; the header has 137"),
        (["a.jpg", *["1"] * 137], "line 2: has 138 cells"),
        (["a.jpg", "one", *["1"] * 135], "line 2, column '0': 'one' is not a number"),
        (["a.jpg", "", *["1"] * 135], "column '0' has one coordinate without the other"),
        (["a.jpg", "1", "", *["1"] * 134], "column '1' has one coordinate without the other"),
        (["a.jpg", "inf", *["1"] * 135], "can be no pixel"),
        (["a.jpg", "1e300", *["1"] * 135], "can be no pixel"),
        (["../a.jpg", *["1"] * 136], "not the name of an image"),
        (["/etc/a.jpg", *["1"] * 136], "not the name of an image"),
        (["", *["1"] * 136], "not the name of an image"),
    ],
)
def test_a_wrong_row_is_told_with_its_place(root, row, told):
    write_csv(root / "training_frames_keypoints.csv", NUMBERED, [row])
    message = refused(lambda: build(Landmarks, root).samples("train"))
    assert told in message and "training_frames_keypoints.csv" in message


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ([], "is empty"),
        (["image"], "expected the image's name"),
        (["0", "1", "2"], "expected the image's name"),
        (["", "0", "1", "2"], "x and y of each landmark in turn"),
        (["", "1", "2"], "must be 0, 1"),
        (["image", "a_x", "a_y", "b_x"], "landmark 'b' has x alone"),
        (["image", "a_x", "a_y", "a_x"], "x of landmark 'a' is there twice"),
        (["image", "a_x", "a_y", "score"], "column 'score' is no coordinate"),
        (["image", "x0", "y0", "x7", "y7"], "must count every landmark"),
    ],
)
def test_a_wrong_header_is_told(root, header, told):
    write_csv(root / "training_frames_keypoints.csv", header, [])
    assert told in refused(lambda: build(Landmarks, root))


@pytest.mark.parametrize("data", [b"\xff\xfe\x00\x01junk", b"\0" * 50, b'"unclosed', b"\x89HDF\r\n\x1a\n" * 9])
def test_binary_junk_is_no_csv(root, data):
    (root / "training_frames_keypoints.csv").write_bytes(data)
    refused(lambda: build(Landmarks, root).samples("train"))


@given(st.lists(st.text(max_size=8), max_size=7))
def test_any_header_is_read_or_refused_in_one_line(cells):
    try:
        header = parse_header(cells, "a.csv")
    except KpError as error:
        assert "\n" not in str(error)
    else:
        assert sorted(column for pair in header.columns for column in pair) == list(range(1, len(cells)))


def test_landmarks_refuses_folders_of_other_layouts(tmp_path, root, monkeypatch):
    monkeypatch.delenv("KP_LANDMARKS_ROOT", raising=False)
    assert "KP_LANDMARKS_ROOT" in refused(lambda: build(Landmarks, None))
    other = root / "other"
    other.mkdir()
    assert "no training CSV" in refused(lambda: build(Landmarks, other))
    write_csv(other / "train.csv", NUMBERED, [])  # but no folder train/
    assert "no training CSV" in refused(lambda: build(Landmarks, other))
    (other / "train").mkdir()
    assert build(Landmarks, other).samples("train") == ()
    write_csv(other / "train_2.csv", NUMBERED, [])
    assert "train.csv, train_2.csv" in refused(lambda: build(Landmarks, other))


def test_both_parts_must_have_the_same_landmarks(tmp_path):
    write_part(tmp_path, "train", faces(2, 3), ["", *map(str, range(6))])
    write_part(tmp_path, "test", faces(2, 4), ["", *map(str, range(8))])
    assert "4 and 3" in refused(lambda: build(Landmarks, tmp_path))


def test_fingerprint_follows_annotation_images_and_settings(root):
    before = build(Landmarks, root).fingerprint("train")
    assert build(Landmarks, root).fingerprint("train") == before != build(Landmarks, root).fingerprint("valid")
    assert build(Landmarks, root, crop=1.5).fingerprint("train") != before
    assert build(Landmarks, root, held_out=0.3).fingerprint("train") == before  # not used here
    image = root / "training" / "training_1.jpg"
    image.write_bytes(image.read_bytes() + b"\0")
    assert build(Landmarks, root).fingerprint("train") != before


@pytest.mark.real_data
def test_real_faces_are_read_whole(real_data):
    if not (real_data / "faces68").is_dir():
        pytest.skip("no faces68/ in KP_REAL_DATA")
    dataset = build(Landmarks, real_data / "faces68")
    assert [len(dataset.samples(part)) for part in dataset.parts] == [1600, 400]
    points = np.stack([sample.points for sample in dataset.samples("train")])
    right, left = (points[:, [FACES68.index(f"{side}_eye_outer")], 0].mean() for side in "rl")
    assert right < left  # the subject's right is at the picture's left
    for part in dataset.parts:
        assert not [f for f in check_part(dataset, part, decode=False) if f.level != "note"]
