"""The faces plugin: four skeletons under one vocabulary, five layouts read, faces drawn."""

import csv
import dataclasses
import itertools
import os
import sqlite3
from contextlib import closing

import cv2
import h5py
import numpy as np
import pytest
from hand_made import refused, told
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kp_faces.readers import aflw_info, landmark_csv
from kp_faces.readers.aflw import Aflw
from kp_faces.readers.aflw_sqlite import LANDMARKS
from kp_faces.readers.cofw import Cofw
from kp_faces.readers.ibug import ThreeHundredW
from kp_faces.readers.landmark_csv import parse_header
from kp_faces.readers.landmarks import Landmarks
from kp_faces.readers.pts import read_pts
from kp_faces.readers.wflw import Wflw
from kp_faces.skeletons import AFLW19, COFW29, FACES68, GROUPS, SKELETONS, WFLW98, group_of
from kp_faces.synthetic.front import Expression, draw_build, draw_expression, landmarks
from kp_faces.synthetic.generator import FacesGenerator
from kp_faces.synthetic.head import Head, landmarks_3d
from kp_faces.synthetic.paint import LEFT, SCALE, TOP, paint
from kp_faces.synthetic.scene import rotation
from kp_faces.synthetic.style import draw_style
from scipy.io import savemat

from kpcore.audit.check import check_part
from kpcore.errors import KpError
from kpcore.reading import matlab
from kpcore.reading.held_out import undivided
from kpcore.reading.paths import Images
from kpcore.registry import registry
from kpcore.study.data import read_part
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

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


def test_landmarks_of_a_file_that_counts_pixels_from_1_are_shifted_once_and_it_is_said(root):
    dataset = build(Landmarks, root, origin=1)
    plain = build(Landmarks, root).samples("train")[0]
    first = dataset.samples("train")[0]
    np.testing.assert_allclose(first.points, plain.points - 1, atol=1e-5)
    np.testing.assert_allclose(first.centre, plain.centre - 1, atol=1e-5)
    assert first.normaliser == pytest.approx(plain.normaliser, rel=1e-6) and dataset.facts.origin == 1
    assert [one.count for one in dataset.findings("train") if "1-based" in one.what] == [3]


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
    from kp_faces.readers.landmark_csv import skeleton_of

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
        (["a.jpg", "inf", *["1"] * 135], "'inf' is not a number"),
        (["a.jpg", "1e99", *["1"] * 135], "can be no pixel"),
        (["a.jpg", "1e300", *["1"] * 135], "can be no pixel"),
        (["../../a.jpg", *["1"] * 136], "not a path below the folder of images"),
        (["/etc/a.jpg", *["1"] * 136], "not a path below the folder of images"),
        (["", *["1"] * 136], "not a path below the folder of images"),
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


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=7))
def test_any_header_is_read_or_refused_in_one_line(cells):
    """Random text is hardly ever a header; those that are come below."""
    try:
        parse_header(cells, "a.csv")
    except KpError as error:
        assert "\n" not in str(error)


NAMES = st.lists(
    st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=6), min_size=1, max_size=5,
    unique_by=str.lower,
)  # fmt: skip


@settings(deadline=None)
@given(NAMES, st.sampled_from(["numbers", "numbered", "named"]), st.integers(0, 1), st.randoms(use_true_random=False))
def test_any_header_of_the_three_spellings_is_read_whole(names, spelling, first, random):
    """Each landmark has its x and y, wherever the columns stand."""
    keys = [str(place + first) for place in range(len(names))] if spelling == "numbered" else names
    if spelling == "numbers":
        axes = [str(place) for place in range(2 * len(names))]
        expected = {key: (2 * place + 1, 2 * place + 2) for place, key in enumerate(keys)}
    else:
        pattern = "{}{}" if spelling == "numbered" else "{1}_{0}"
        axes = [pattern.format(axis, key) for key in keys for axis in "xy"]
        random.shuffle(axes)
        expected = {key: tuple(1 + axes.index(pattern.format(axis, key)) for axis in "xy") for key in keys}
    header = parse_header(["image", *axes], "a.csv")
    assert sorted(column for pair in header.columns for column in pair) == list(range(1, len(axes) + 1))
    if spelling == "named":
        assert dict(zip(header.names, header.columns, strict=True)) == expected
    else:
        assert header.names is None
        assert list(header.columns) == list(expected.values())


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
    def fingerprint(part="train", **options):
        return read_part(build(Landmarks, root, **options), part).fingerprint

    before = fingerprint()
    assert fingerprint() == before != fingerprint("valid")
    assert fingerprint(crop=1.5).boxes != before.boxes
    assert fingerprint(held_out=0.3) == before  # not used here
    image = root / "training" / "training_1.jpg"
    image.write_bytes(image.read_bytes() + b"\0")
    assert fingerprint().images != before.images


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


# ---------------------------------------------------------------------------------------------------------- 300-W

FOLDERS = ("afw", "helen/trainset", "lfpw/trainset", "helen/testset", "lfpw/testset", "ibug")


def pts(points, header="version: 1\nn_points:  68\n{\n", end="}\n"):
    return header + "".join(f"{x:.3f} {y:.3f}\n" for x, y in points) + end


@pytest.fixture
def ibug(tmp_path):
    for number, folder in enumerate(FOLDERS):
        for name in ("a", "b 01"):
            image = tmp_path / folder / f"{name}.{'png' if 'lfpw' in folder else 'jpg'}"
            picture(image)
            image.with_suffix(".pts").write_text(pts(faces(len(FOLDERS))[number] + 1))
    return tmp_path


def test_300w_follows_the_standard_protocol_and_shifts_once(ibug):
    dataset = build(ThreeHundredW, ibug)
    train = dataset.samples("train")
    assert [s.image.relative_to(ibug).parent.as_posix() for s in train] == sorted(list(FOLDERS[:3]) * 2)
    assert (dataset.facts.origin, dataset.parts, len(train)) == (1, ("train", "valid"), 6)
    np.testing.assert_allclose(train[0].points, faces(len(FOLDERS))[0], rtol=1e-5)  # the file had 1 more
    assert notes(dataset, "train")["coordinates are 1-based in the file and were shifted to 0-based, once"] == 6
    assert train[4].image.suffix == ".png" and train[1].image.name == "b 01.jpg"
    assert not [f for f in check_part(dataset, "train", decode=True) if f.level == "error"]


@pytest.mark.parametrize(
    ("subset", "folders"),
    [("common", FOLDERS[3:5]), ("challenging", FOLDERS[5:]), ("full", FOLDERS[3:])],
)
def test_300w_scores_the_subset(ibug, subset, folders):
    dataset = build(ThreeHundredW, ibug, subset=subset)
    assert {s.image.relative_to(ibug).parent.as_posix() for s in dataset.samples("valid")} == set(folders)
    assert subset in dataset.label
    assert read_part(dataset, "train").fingerprint == read_part(build(ThreeHundredW, ibug), "train").fingerprint


def test_300w_says_what_is_missing_and_leaves_mirrored_copies_out(ibug):
    for end in (".jpg", ".pts"):
        (ibug / "afw" / f"a_mirror{end}").write_bytes((ibug / "afw" / f"a{end}").read_bytes())
    dataset = build(ThreeHundredW, ibug)
    assert "afw: 2 pictures; the published set has 337" in notes(dataset, "train")
    assert not any("mirror" in sample.image_id for sample in dataset.samples("train"))


@pytest.mark.parametrize(
    ("header", "end"),
    [
        ("", ""),
        ("version: 1\n", ""),
        ("{\n", "}"),
        ("n_points: 68\n{\n", "}\n\n"),
        ("VERSION: 1\r\nn_points=68\r\n{", "}"),
    ],
)
def test_a_pts_file_may_lack_its_header(tmp_path, header, end):
    path = tmp_path / "a.pts"
    path.write_text(pts(faces()[0], header, end))
    np.testing.assert_allclose(read_pts(path, 68), faces()[0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (pts(faces()[0], "version: 1\nn_points: 29\n{\n"), "line 2: n_points is '29'"),
        (pts(faces()[0][:60]), "holds 60 landmarks; expected 68"),
        (pts([*faces()[0], (1, 1)]), "holds 69 landmarks"),
        ("", "holds 0 landmarks"),
        ("version: 1\nhello world\n", "line 2: 'hello' is not a number"),
        ("1 2 3\n", "line 1: expected x and y"),
        (pts(faces()[0]).replace("{\n", "{\nnan nan\n").replace("}", ""), "holds 69"),
        ("a\0b", "is not text"),
    ],
)
def test_a_wrong_pts_file_is_told(tmp_path, text, told):
    path = tmp_path / "a.pts"
    path.write_text(text)
    message = refused(lambda: read_pts(path, 68))
    assert told in message and "a.pts" in message


@pytest.mark.parametrize("bad", ["nan nan", "-1e9 3", "1e99 3"])
def test_a_number_that_is_no_pixel_is_told_with_its_file(ibug, bad):
    first, *others = pts(faces()[0], "", "").splitlines()
    (ibug / "afw" / "a.pts").write_text("\n".join([bad, *others]))
    assert "a.pts: a landmark at" in refused(lambda: build(ThreeHundredW, ibug).samples("train"))
    assert first


def test_300w_refuses_other_folders(tmp_path, ibug):
    assert "KP_300W_ROOT" in refused(lambda: build(ThreeHundredW, None))
    (tmp_path / "none").mkdir()
    assert "no .pts file in afw or" in refused(lambda: build(ThreeHundredW, tmp_path / "none"))
    for file in (ibug / "ibug").glob("*.pts"):
        file.unlink()
    assert "no .pts file in ibug" in refused(lambda: build(ThreeHundredW, ibug, subset="challenging"))


# ----------------------------------------------------------------------------------------------------------- WFLW

LIST = "list_98pt_rect_attr_{}.txt"


def wflw_line(row, name, flags=(0,) * 6, box=(2, 3, 38, 39)):
    points = [f"{value:.6f}" for value in faces(6, 98)[row].ravel()]
    return " ".join([*points, *map(str, box), *map(str, flags), name])


@pytest.fixture
def wflw(tmp_path):
    folder = tmp_path / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    folder.mkdir(parents=True)
    names = ["0--Parade/a.jpg", "0--Parade/b.jpg", "1--Handshaking/c.jpg"]
    for name in names:
        picture(tmp_path / "WFLW_images" / name)
    (folder / LIST.format("train")).write_text(f"{wflw_line(0, names[0])}\n{wflw_line(1, names[1])}\n")
    flagged = wflw_line(3, names[2], (0, 0, 0, 0, 1, 0))
    (folder / LIST.format("test")).write_text(f"{wflw_line(2, names[2])}\n{flagged}\n{wflw_line(4, names[1])}\n")
    return tmp_path


def test_a_picture_in_another_case_than_its_points_is_found(ibug):
    file = sorted((ibug / "afw").glob("*.pts"))[0]
    picture_of = next(path for path in file.parent.glob(f"{file.stem}.*") if path.suffix != ".pts")
    moved = picture_of.with_name(picture_of.name.upper())
    picture_of.rename(moved)
    dataset = build(ThreeHundredW, ibug)
    assert moved in [sample.image for sample in dataset.samples("train")]
    assert notes(dataset, "train")[
        "image names that differ from their files in upper and lower case: the files were taken"
    ]


def test_wflw_reads_landmarks_box_flags_and_name(wflw):
    dataset = build(Wflw, wflw)
    assert dataset.skeleton is WFLW98 and dataset.facts.origin == 0
    (first,) = dataset.samples("train")  # the other one's picture is scored
    assert notes(dataset, "train")["faces on images of part 'valid' left out"] == 1
    np.testing.assert_allclose(first.points, faces(6, 98)[0], rtol=1e-6)
    assert first.image == wflw / "WFLW_images" / "0--Parade" / "a.jpg" and first.image_id == "0--Parade/a.jpg"
    np.testing.assert_allclose(first.centre, [20, 21])
    assert first.side == pytest.approx(1.25 * 36, abs=1) and 2 * np.abs(first.points - first.centre).max() < first.side
    assert first.normaliser == pytest.approx(np.linalg.norm(faces(6, 98)[0, 60] - faces(6, 98)[0, 72]), rel=1e-5)
    assert [s.row for s in build(Wflw, wflw, subset="occlusion").samples("valid")] == [1]
    assert len({s.person_id for s in dataset.samples("valid")}) == 3


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (wflw_line(0, "a.jpg").split(" ", 1)[1], "has 206 fields; expected 207"),
        (f"1 {wflw_line(0, 'a.jpg')}", "has 208 fields; expected 207"),
        (wflw_line(0, "../../a.jpg"), "not a path below the folder of images"),
        (wflw_line(0, "a.jpg").replace(" 0 0 0 0 0 0 ", " 0 0 x 0 0 0 "), "'x' is not a number"),
        (wflw_line(0, "a.jpg", box=("nan", 1, 2, 3)).replace("nan", "nan", 1), ""),
        (f"nan {wflw_line(0, 'a.jpg').split(' ', 1)[1]}", "can be no pixel"),
        ("junk", "has 1 fields"),
    ],
)
def test_a_wrong_wflw_line_is_told(wflw, line, told):
    file = next(wflw.rglob(LIST.format("train")))
    file.write_text(f"{wflw_line(0, 'a.jpg')}\n{line}\n")
    if told:
        message = refused(lambda: build(Wflw, wflw).samples("train"))
        assert told in message and LIST.format("train") in message
    else:  # a box that is no number is none: the landmarks' box stands in
        low, high = faces(6, 98)[0].min(0), faces(6, 98)[0].max(0)
        np.testing.assert_allclose(build(Wflw, wflw).samples("train")[1].centre, (low + high) / 2, rtol=1e-5)


def test_wflw_needs_its_lists(tmp_path):
    assert "KP_WFLW_ROOT" in refused(lambda: build(Wflw, None))
    assert LIST.format("train") in refused(lambda: build(Wflw, tmp_path))
    (tmp_path / LIST.format("train")).write_bytes(b"\xff" * 40)
    assert "is not text in UTF-8 (byte 0)" in refused(lambda: build(Wflw, tmp_path).samples("train"))


# ----------------------------------------------------------------------------------------------------------- COFW


def write_cofw(path, ending, count=3, change=None):
    random = np.random.default_rng(count)
    pictures = [random.integers(0, 255, (40 + k, 48, 3), np.uint8) for k in range(count)]
    pictures[-1] = pictures[-1][..., 0]
    points = faces(count, 29) + 1
    hidden = np.zeros((count, 29))
    hidden[0, 4] = 1
    fields = {
        f"phis{ending}": np.concatenate([points[..., 0], points[..., 1], hidden], axis=1),
        f"bboxes{ending}": np.tile([3.0, 4.0, 30.0, 32.0], (count, 1)),
    } | (change or {})  # fmt: skip
    with h5py.File(path, "w") as file:
        cells = file.create_dataset(f"Is{ending}", (1, count), dtype=h5py.ref_dtype)
        for row, pixels in enumerate(pictures):
            cells[0, row] = file.create_dataset(f"#refs#/{row}", data=pixels.T, compression="gzip").ref
        for name, values in fields.items():
            if values is not None:
                file[name] = values.T  # Matlab's axes are in reverse order in the file
    return pictures, points


@pytest.fixture
def cofw(tmp_path):
    write_cofw(tmp_path / "COFW_train_color.mat", "Tr")
    write_cofw(tmp_path / "COFW_test_color.mat", "T", 2)
    return tmp_path


def test_cofw_reads_pixels_landmarks_and_occlusion(cofw):
    pictures, points = write_cofw(cofw / "COFW_train_color.mat", "Tr")
    dataset = build(Cofw, cofw)
    samples = dataset.samples("train")
    assert (dataset.parts, dataset.facts.origin) == (("train", "valid"), 1)
    assert (len(samples), len(dataset.samples("valid"))) == (3, 2)
    for sample, pixels, one in zip(samples, pictures, points, strict=True):
        expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        np.testing.assert_array_equal(sample.image, expected)
        np.testing.assert_allclose(sample.points, one - 1, rtol=1e-6)
    assert samples[0].state.tolist() == [HIDDEN if k == 4 else VISIBLE for k in range(29)]
    np.testing.assert_allclose(samples[0].centre, [2 + 15, 3 + 16])
    ids = [s.image_id for part in dataset.parts for s in dataset.samples(part)]
    assert len(set(ids)) == 5
    assert not [f for f in check_part(dataset, "train", decode=True) if f.level == "error"]


def test_cofw_does_not_open_pictures_for_findings(cofw, monkeypatch):
    monkeypatch.setattr("kp_faces.readers.cofw_mat._picture", lambda *a: pytest.fail("a picture was read"))
    dataset = build(Cofw, cofw)
    assert dataset.findings("train")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"phisTr": None}, "unknown variable 'phisTr'"),
        ({"bboxesTr": None}, "unknown variable 'bboxesTr'"),
        ({"phisTr": np.zeros((3, 86))}, "'phisTr' is 3x86 in Matlab; expected 3 x 87"),
        ({"phisTr": np.zeros((2, 87))}, "'phisTr' is 2x87"),
        ({"bboxesTr": np.zeros((3, 5))}, "'bboxesTr' is 3x5"),
        ({"phisTr": np.full((3, 87), np.nan)}, "can be no pixel"),
        ({"phisTr": np.full((3, 87), b"x")}, "'phisTr' is 3x87"),
    ],
)
def test_a_wrong_cofw_variable_is_told(cofw, change, told):
    write_cofw(cofw / "COFW_train_color.mat", "Tr", change=change)
    assert told in refused(lambda: build(Cofw, cofw).samples("train"))


def test_cofw_cells_must_hold_pictures_of_this_very_file(cofw, tmp_path):
    path = cofw / "COFW_train_color.mat"
    with h5py.File(path, "a") as file:
        file["#refs#/odd"] = np.zeros((4, 5, 6), np.uint8)
        file["IsTr"][0, 0] = file["#refs#/odd"].ref
    assert "has 4 colours" in refused(lambda: build(Cofw, cofw).samples("train"))
    with h5py.File(path, "a") as file:
        file["IsTr"][0, 0] = file["#refs#"].ref
    assert "no plain variable" in refused(lambda: build(Cofw, cofw).samples("train"))
    with h5py.File(path, "a") as file:
        del file["bboxesTr"]
        file["bboxesTr"] = h5py.ExternalLink(str(cofw / "COFW_test_color.mat"), "/bboxesT")
    assert "'bboxesTr' lies in another file, or is a link" in refused(lambda: build(Cofw, cofw))


@pytest.mark.parametrize("keep", [0, 7, 300, 2000, 5000])
def test_a_truncated_cofw_file_is_refused(cofw, keep):
    path = cofw / "COFW_train_color.mat"
    path.write_bytes(path.read_bytes()[:keep])
    assert "COFW_train_color.mat" in refused(lambda: build(Cofw, cofw).samples("train"))


def test_cofw_needs_a_file(tmp_path):
    assert "COFW_train_color.mat" in refused(lambda: build(Cofw, tmp_path))
    assert "KP_COFW_ROOT" in refused(lambda: build(Cofw, None))


# ----------------------------------------------------------------------------------------------------------- AFLW

DESCR = (
    "LeftBrowLeftCorner", "LeftBrowCenter", "LeftBrowRightCorner", "RightBrowLeftCorner", "RightBrowCenter",
    "RightBrowRightCorner", "LeftEyeLeftCorner", "LeftEyeCenter", "LeftEyeRightCorner", "RightEyeLeftCorner",
    "RightEyeCenter", "RightEyeRightCorner", "LeftEar", "NoseLeft", "NoseCenter", "NoseRight", "RightEar",
    "MouthLeftCorner", "MouthCenter", "MouthRightCorner", "ChinCenter",
)  # fmt: skip
"""FeatureCoordTypes, feature_id 1 to 21."""
SCHEMA = """
CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT);
CREATE TABLE FaceImages (image_id INTEGER PRIMARY KEY, db_id TEXT, file_id TEXT, filepath TEXT, bw INTEGER,
    width INTEGER, height INTEGER);
CREATE TABLE FaceRect (face_id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, w INTEGER, h INTEGER, annot_type_id INTEGER);
CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x FLOAT, y FLOAT);
CREATE TABLE FeatureCoordTypes (feature_id INTEGER PRIMARY KEY, descr TEXT, code TEXT, x FLOAT, y FLOAT, z FLOAT);
"""


def write_aflw(path, count=30, statements=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as base, base:
        base.executescript(SCHEMA)
        base.executemany("INSERT INTO FeatureCoordTypes (feature_id, descr) VALUES (?, ?)", enumerate(DESCR, 1))
        for face in range(count):
            image = face // 2
            if face % 2 == 0:
                row = (image, f"image{image}.jpg", f"{image % 3}/image{image}.jpg")
                base.execute("INSERT INTO FaceImages (image_id, file_id, filepath) VALUES (?, ?, ?)", row)
            base.execute("INSERT INTO Faces (face_id, file_id) VALUES (?, ?)", (100 + face, f"image{image}.jpg"))
            if face != 1:
                base.execute("INSERT INTO FaceRect VALUES (?, 4, 6, 30, 30, 1)", (100 + face,))
            for feature, (x, y) in enumerate(faces(count, 21)[face].tolist(), 1):
                if (face, feature) != (0, 6):
                    base.execute("INSERT INTO FeatureCoords VALUES (?, ?, ?, ?)", (100 + face, feature, x, y))
        for statement in statements:
            base.execute(statement)
    return path.parent.parent


def everybody(dataset):
    return {sample.row: sample for part in dataset.parts for sample in dataset.samples(part)}


def test_aflw_reads_19_of_21_landmarks_and_what_nobody_marked_is_unlabelled(tmp_path):
    dataset = build(Aflw, write_aflw(tmp_path / "data" / "aflw.sqlite"), held_out=0.3)
    people = everybody(dataset)
    assert len(people) == 30 and dataset.skeleton is AFLW19
    columns = [k for k, descr in enumerate(DESCR) if not descr.endswith("Ear")]
    np.testing.assert_allclose(people[5].points, faces(30, 21)[5, columns], rtol=1e-6)
    assert people[0].state.tolist() == [UNLABELLED if k == 5 else VISIBLE for k in range(19)]
    np.testing.assert_allclose(people[0].centre, [19, 21])
    assert (
        people[0].normaliser == pytest.approx(30) and people[0].image == tmp_path / "data" / "flickr" / "0/image0.jpg"
    )
    low, high = faces(30, 21)[1, columns].min(0), faces(30, 21)[1, columns].max(0)
    np.testing.assert_allclose(people[1].centre, (low + high) / 2, rtol=1e-5)


def test_aflw_holds_whole_pictures_out_and_says_the_share(tmp_path):
    dataset = build(Aflw, write_aflw(tmp_path / "data" / "aflw.sqlite"), held_out=0.3)
    train, valid = ({s.image_id for s in dataset.samples(part)} for part in ("train", "valid"))
    assert train and valid and not train & valid
    assert dataset.facts.list_name == "0.3 of the images held out by name hash"


def test_aflw_calls_the_viewers_left_the_subjects_right():
    assert LANDMARKS["LeftEyeLeftCorner"] == "r_eye_outer" and LANDMARKS["RightEyeRightCorner"] == "l_eye_outer"
    assert [LANDMARKS[descr] for descr in DESCR if not descr.endswith("Ear")] == list(AFLW19.names)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TABLE FaceRect", "unknown table 'FaceRect'"),
        ("ALTER TABLE FeatureCoords RENAME COLUMN x TO z", "cannot be read"),
        ("UPDATE FeatureCoords SET x = 'junk' WHERE face_id = 103", "'junk' is not a number"),
        ("UPDATE FeatureCoords SET y = NULL WHERE face_id = 103", "'None' is not a number"),
        ("UPDATE FeatureCoords SET y = 9e300 WHERE face_id = 103", "is not a number"),
        ("UPDATE FeatureCoords SET y = 9e9 WHERE face_id = 103", "can be no pixel"),
        ("UPDATE FaceImages SET filepath = '../../../etc/passwd'", "not a path below the folder of images"),
        ("UPDATE Faces SET file_id = 'none' WHERE face_id = 103", "FaceImages has no picture 'none'"),
        ("DELETE FROM FeatureCoordTypes WHERE feature_id = 21", "does not describe chin"),
        ("UPDATE FaceImages SET filepath = CAST(X'FF00FE' AS TEXT)", "cannot be read"),
    ],
)
def test_a_wrong_aflw_database_is_told(tmp_path, statement, told):
    root = write_aflw(tmp_path / "data" / "aflw.sqlite", 6, [statement])
    assert told in refused(lambda: build(Aflw, root).samples("train"))


def test_aflw_reads_tables_only_and_never_writes(tmp_path):
    endless = (
        "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n) SELECT k face_id, k x, k y, 1 w, 1 h FROM n"
    )
    root = write_aflw(
        tmp_path / "data" / "aflw.sqlite", 4, ["DROP TABLE FaceRect", f"CREATE VIEW FaceRect AS {endless}"]
    )
    assert "unknown table 'FaceRect'" in refused(lambda: build(Aflw, root))
    root = write_aflw(tmp_path / "data" / "aflw.sqlite", 4)
    before = (root / "data" / "aflw.sqlite").read_bytes()
    everybody(build(Aflw, root))
    assert (root / "data" / "aflw.sqlite").read_bytes() == before
    assert [path.name for path in (root / "data").iterdir()] == ["aflw.sqlite"]  # no journal


@pytest.mark.parametrize("keep", [0, 10, 100, 5000])
def test_a_truncated_aflw_database_is_refused(tmp_path, keep):
    root = write_aflw(tmp_path / "data" / "aflw.sqlite", 20)
    path = root / "data" / "aflw.sqlite"
    path.write_bytes(path.read_bytes()[:keep])
    assert "aflw.sqlite" in refused(lambda: build(Aflw, root).samples("train"))


def info(count=6, **changes):
    points = faces(count, 19)
    seen = np.ones((count, 19))
    seen[0, :2] = 0
    points[0, 1] = 0
    names = np.empty((count, 1), object)
    names[:, 0] = [f"{k % 3}/image{k // 2 if k < 4 else k}.jpg" for k in range(count)]
    return {
        "data": np.concatenate([points[..., 0], points[..., 1]], axis=1), "mask_new": seen, "nameList": names,
        "bbox": np.tile([4.0, 34.0, 6.0, 36.0], (count, 1)), "ra": np.arange(count, 0, -1)[None].astype(np.uint16),
        **changes,
    }  # fmt: skip


@pytest.fixture
def four_train(monkeypatch):
    """Four faces are trained on; and no child process, which the test about crashes has."""
    monkeypatch.setattr(aflw_info, "TRAIN", 4)
    monkeypatch.setattr(matlab, "try_out", lambda path: None)


def test_aflw_takes_the_published_lists_of_the_info_file(tmp_path, four_train):
    savemat(tmp_path / "AFLWinfo_release.mat", info())
    dataset = build(Aflw, tmp_path)
    assert dataset.facts.list_name == "AFLW-full"
    assert [s.row for s in dataset.samples("valid")] == [0, 1]  # ra counts down: 6 5 4 3 | 2 1
    assert [s.row for s in dataset.samples("train")] == [2, 3, 4, 5]
    first = dataset.samples("valid")[0]
    assert first.state[:3].tolist() == [HIDDEN, UNLABELLED, VISIBLE]
    np.testing.assert_allclose(first.points[2], faces(6, 19)[0, 2], rtol=1e-6)
    np.testing.assert_allclose(first.centre, [19, 21])
    assert first.normaliser == pytest.approx(30)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": np.zeros((6, 37))}, "'data' has shape (6, 37)"),
        ({"bbox": np.zeros((5, 4))}, "'bbox' has shape (5, 4)"),
        ({"mask_new": np.full((6, 19), "x")}, "'mask_new' has shape"),
        ({"ra": np.ones((1, 6))}, "'ra' is no order of the 6 faces"),
        ({"nameList": np.zeros((6, 1))}, "'nameList' has shape"),
        ({"data": np.full((6, 38), np.inf)}, "can be no pixel"),
    ],
)
def test_a_wrong_info_variable_is_told(tmp_path, four_train, changes, told):
    savemat(tmp_path / "AFLWinfo_release.mat", info(**changes))
    assert told in refused(lambda: build(Aflw, tmp_path).samples("train"))


@pytest.mark.parametrize("name", ["data", "bbox", "mask_new", "ra", "nameList"])
def test_a_missing_info_variable_is_told_with_the_file(tmp_path, four_train, name):
    given = info()
    del given[name]
    path = tmp_path / "AFLWinfo_release.mat"
    savemat(path, given)
    said = refused(lambda: build(Aflw, tmp_path).samples("train"))
    assert said.startswith(f"{path}: unknown variable '{name}'")


def test_info_files_that_are_truncated_or_crash_scipy_are_refused(tmp_path, four_train, monkeypatch):
    path = tmp_path / "AFLWinfo_release.mat"
    savemat(path, info(), do_compression=True)
    whole = path.read_bytes()
    for keep in (0, 60, 200, len(whole) - 40):
        path.write_bytes(whole[:keep])
        assert path.name in refused(lambda: build(Aflw, tmp_path).samples("train"))

    def crash(path):
        raise KpError(f"{path}: crashes")

    monkeypatch.setattr(matlab, "try_out", crash)
    assert "crashes" in refused(lambda: build(Aflw, tmp_path).samples("train"))


def test_aflw_needs_an_annotation(tmp_path):
    assert "KP_AFLW_ROOT" in refused(lambda: build(Aflw, None))
    assert "aflw.sqlite or AFLWinfo_release.mat" in refused(lambda: build(Aflw, tmp_path))
    write_aflw(tmp_path / "data" / "aflw.sqlite", 2)
    assert "no AFLWinfo_release.mat" in refused(lambda: build(Aflw, tmp_path, annotations="info"))


# ----------------------------------------------------------------------------------------------- all five together


def test_every_layout_is_read_by_exactly_one_data_set(root, ibug, wflw, cofw, tmp_path_factory):
    """All lie in one folder here; each alone is what ``kp data info FOLDER`` meets."""
    aflw = write_aflw(tmp_path_factory.mktemp("aflw") / "data" / "aflw.sqlite", 4)
    csv_only = tmp_path_factory.mktemp("csv")
    write_part(csv_only, "train", faces())
    kinds = {"landmarks": Landmarks, "300w": ThreeHundredW, "wflw": Wflw, "cofw": Cofw, "aflw": Aflw}

    def readers(folder):
        found = []
        for name, kind in kinds.items():
            try:
                build(kind, folder)
            except KpError:
                continue
            found.append(name)
        return found

    assert readers(aflw) == ["aflw"] and readers(csv_only) == ["landmarks"]
    assert readers(root) == ["landmarks", "300w", "wflw", "cofw"]


def test_the_plugin_supplies_them():
    known = registry()
    for name, kind in {"landmarks": Landmarks, "300w": ThreeHundredW, "wflw": Wflw, "cofw": Cofw, "aflw": Aflw}.items():
        assert known.component("dataset", name) is kind
    assert known.component("generator", "faces") is FacesGenerator


# ---------------------------------------------------------------------------------------------------- drawn faces

SEEDS = st.integers(0, 2**32 - 1)


def generate(folder, **options):
    folder.mkdir()
    config = FacesGenerator.Config(**{"faces": 6, "valid": 3, "pictures": 2, "size": 48, **options})
    FacesGenerator(**{name: getattr(config, name) for name in FacesGenerator.Config.model_fields}).write(
        folder, lambda done, total: None
    )
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def drawn(seed):
    random = np.random.default_rng(seed)
    return landmarks(draw_build(random), draw_expression(random))


def name_of(points, *names):
    return points[[FACES68.index(name) for name in names]]


@settings(deadline=None)
@given(SEEDS)
def test_a_drawn_face_has_its_parts_in_order(seed):
    points = drawn(seed)
    for brow, eye in ((slice(17, 22), slice(36, 42)), (slice(22, 27), slice(42, 48))):
        assert points[brow, 1].mean() < points[eye, 1].min() and points[brow, 1].max() < points[eye, 1].mean()
    assert points[36:48, 1].max() < points[31:36, 1].min() < points[48:68, 1].min() < points[8, 1]
    upper, lower = name_of(points, "mouth_inner_upper", "mouth_inner_lower")[:, 1]
    assert name_of(points, "mouth_upper")[0, 1] < upper <= lower + 0.02 < name_of(points, "mouth_lower")[0, 1] + 0.04
    assert (np.diff(points[2:15, 0]) > 0).all()  # the outline runs from the subject's right to the left
    assert (np.abs(points[48:68, 0]) < np.abs(points[[3, 13], 0]).min()).all()


@settings(deadline=None)
@given(SEEDS)
@example(2515)  # a brow beyond the head, as of one face in 3,000
def test_landmarks_lie_on_the_head_where_they_are_from_the_front_or_at_its_edge(seed):
    head = Head(drawn(seed))
    points = landmarks_3d(head, np.eye(3))
    edge = head.at(head.row_of(head.front[:, 1]), np.full(68, np.pi / 2))[:, 0]
    expected = np.stack([head.front[:, 0].clip(-edge, edge), head.front[:, 1]], 1)
    np.testing.assert_allclose(points[:, :2], expected, atol=2e-3)
    tip, base, corner, ear = name_of(points, "nose_tip", "nose_base", "r_eye_outer", "r_jaw_1")[:, 2]
    assert tip > base > corner > ear > -0.1


@settings(deadline=None)
@given(SEEDS, st.floats(-50, 50), st.floats(-20, 20))
def test_the_jaws_landmarks_are_on_the_contour_that_is_seen(seed, yaw, pitch):
    head = Head(drawn(seed))
    turned = rotation(np.radians(yaw), np.radians(pitch), 0.0)
    points = landmarks_3d(head, turned) @ turned.T
    turns = np.radians(np.linspace(25, 90, 14))
    for place, row in ((2, head.jaw_rows[2]), (12, head.jaw_rows[12])):
        sign = -1 if place < 8 else 1
        line = head.at(np.full(14, row), sign * turns) @ turned.T
        assert (sign * line[:, 0]).max() <= sign * points[place, 0] + 1e-9


def test_a_turn_is_a_rotation_and_turns_the_nose_that_way():
    for angles in ((0.4, 0, 0), (0, -0.3, 0), (0.2, 0.1, -0.3)):
        turn = rotation(*angles)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
    nose = np.array([0.0, 0.0, 1.0])
    assert (rotation(0.4, 0, 0) @ nose)[0] > 0.3 and (rotation(0, 0.4, 0) @ nose)[1] > 0.3


def test_eyes_and_an_open_mouth_are_painted_where_the_landmarks_are():
    random = np.random.default_rng(3)
    style = dataclasses.replace(draw_style(random), skin=(0.8, 0.6, 0.5), beard=0.0)
    moment = Expression(mouth=0.25, smile=0.0, brows=0.0, frown=0.0, lids=1.2)
    front = landmarks(draw_build(random), moment)
    grey = paint(random, front, style, moment).mean(2)

    def at(place):
        x, y = np.rint((place - (LEFT, TOP)) * SCALE).astype(int)
        return grey[y - 1 : y + 2, x - 1 : x + 2]

    for eye in (front[36:42], front[42:48]):
        around = np.concatenate([at(eye.mean(0) + np.array([dx, 0])).ravel() for dx in np.linspace(-0.09, 0.09, 9)])
        assert around.min() < 0.15 and around.max() > 0.65  # pupil and white
    lower = name_of(front, "mouth_inner_lower", "mouth_lower")
    assert at(lower[0] - (0, 0.04)).max() < 0.2 < at(lower.mean(0)).min()  # open, and the lip below


def test_equal_options_write_equal_bytes_whatever_the_threads(tmp_path, monkeypatch):
    many = contents(generate(tmp_path / "many"))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert contents(generate(tmp_path / "one")) == many


def test_other_seeds_draw_others_and_more_faces_keep_the_first(tmp_path):
    small, other = contents(generate(tmp_path / "a")), contents(generate(tmp_path / "b", seed=1))
    pictures = {name for name in small if name.endswith(".jpg")}
    assert len(pictures) == 9 == len({small[name] for name in pictures})
    assert not {small[name] for name in pictures} & {other[name] for name in pictures}
    large = contents(generate(tmp_path / "c", faces=8))
    assert all(large[name] == small[name] for name in pictures)


def test_drawn_faces_are_read_as_the_published_ones(tmp_path):
    dataset = build(Landmarks, generate(tmp_path / "set"))
    assert dataset.skeleton is FACES68
    assert [len(dataset.samples(part)) for part in dataset.parts] == [6, 3]
    for part in dataset.parts:
        found = check_part(dataset, part, decode=True)
        assert not [finding for finding in found if finding.level != "note"]
    people = [{s.image.name.split("_")[1] for s in dataset.samples(part)} for part in dataset.parts]
    assert people == [{"00000", "00001", "00002"}, {"00000", "00001"}]
    size = cv2.imread(str(dataset.samples("train")[0].image)).shape
    assert size == (53, 48, 3)
    for sample in dataset.samples("train"):
        assert (sample.points > -8).all() and (sample.points < 60).all() and sample.normaliser > 5


def test_something_before_a_face_changes_the_picture_and_no_label(tmp_path):
    clear, covered = (contents(generate(tmp_path / str(share), occlusion=share)) for share in (0.0, 1.0))
    assert all((clear[name] == covered[name]) == name.endswith(".csv") for name in clear)


def test_heads_turn_no_farther_than_asked(tmp_path):
    def aside(turn):
        dataset = build(Landmarks, generate(tmp_path / str(turn), faces=12, turn=turn))
        points = np.stack([sample.points for sample in dataset.samples("train")])
        right, left, tip = (points[:, FACES68.index(n)] for n in ("r_eye_outer", "l_eye_outer", "nose_bridge_3"))
        return np.abs(((tip - right) * (left - right)).sum(1) / ((left - right) ** 2).sum(1) - 0.5)

    assert aside(0).max() < 0.08 < aside(60).max()


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("faces68", 16 + 2 * (4 + 6) + 8 + 12 + 8),  # jaw, brows and eyes, nose, lips outside and inside
        ("wflw98", 32 + 2 * (9 + 8) + 8 + 12 + 8),
        ("cofw29", 2 * (4 + 4 + 2 + 2)),
        ("aflw19", 2 * (2 + 2 + 1 + 1)),
    ],
)
def test_edges_join_landmarks_of_the_set_and_are_alike_on_both_sides(name, edges):
    skeleton = SKELETONS[name]
    pairs = {frozenset(edge) for edge in skeleton.edges}
    mirrored = {frozenset(skeleton[point].mirror or point for point in edge) for edge in skeleton.edges}
    assert mirrored == pairs
    assert len(pairs) == len(skeleton.edges) == edges
    assert {point for edge in pairs for point in edge} <= set(skeleton.names)


def test_brows_and_eyes_of_the_small_sets_are_drawn_round():
    pairs = {frozenset(edge) for edge in SKELETONS["cofw29"].edges}
    for ring in (
        ["r_brow_1", "r_brow_3", "r_brow_5", "r_brow_low_3"],
        ["l_eye_outer", "l_eye_upper", "l_eye_inner", "l_eye_lower"],
    ):
        assert {frozenset(pair) for pair in zip(ring, [*ring[1:], ring[0]], strict=True)} <= pairs
    pairs = {frozenset(edge) for edge in SKELETONS["aflw19"].edges}
    assert {frozenset(pair) for pair in itertools.pairwise(["r_brow_1", "r_brow_3", "r_brow_5"])} <= pairs
    assert frozenset(("l_eye_outer", "l_pupil")) in pairs


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("jaw_3", "jaw"), ("chin", "jaw"), ("r_brow_1", "brow"), ("l_brow_low_3", "brow"), ("r_pupil", "eye"),
        ("l_eye_outer", "eye"), ("r_nostril_1", "nose"), ("nose_tip", "nose"), ("mouth_upper", "mouth"), ("ear", ""),
        ("r_ear", ""), ("browser", ""),
    ],
)  # fmt: skip
def test_the_group_of_a_name_is_its_first_word_after_the_side(name, group):
    assert group_of(name) == group


def test_the_order_of_the_68_is_ibugs():
    eye = ["outer", "upper_outer", "upper_inner", "inner", "lower_inner", "lower_outer"]
    names = [*(f"r_jaw_{k}" for k in range(1, 9)), "chin", *(f"l_jaw_{k}" for k in range(8, 0, -1))]
    names += [*(f"r_brow_{k}" for k in range(1, 6)), *(f"l_brow_{k}" for k in range(5, 0, -1))]
    names += ["nose_bridge_1", "nose_bridge_2", "nose_bridge_3", "nose_tip"]
    names += ["r_nose_wing", "r_nostril", "nose_base", "l_nostril", "l_nose_wing", *(f"r_eye_{what}" for what in eye)]
    names += [f"l_eye_{eye[k]}" for k in (3, 2, 1, 0, 5, 4)]
    names += ["r_mouth_corner", "r_mouth_upper_1", "r_mouth_upper_2", "mouth_upper", "l_mouth_upper_2"]
    names += ["l_mouth_upper_1", "l_mouth_corner", "l_mouth_lower_1", "l_mouth_lower_2", "mouth_lower"]
    names += ["r_mouth_lower_2", "r_mouth_lower_1", "r_mouth_inner_corner", "r_mouth_inner_upper"]
    names += ["mouth_inner_upper", "l_mouth_inner_upper", "l_mouth_inner_corner", "l_mouth_inner_lower"]
    names += ["mouth_inner_lower", "r_mouth_inner_lower"]
    assert list(FACES68.names) == names


def test_what_the_other_sets_have_beside_the_68():
    own = {k: name for k, name in enumerate(WFLW98.names) if name not in FACES68.names}
    assert own == {
        **{2 * k - 1: f"r_jaw_mid_{k}" for k in range(1, 9)}, **{33 - 2 * k: f"l_jaw_mid_{k}" for k in range(1, 9)},
        **{38 + k: f"r_brow_low_{5 - k}" for k in range(4)}, **{50 - k: f"l_brow_low_{5 - k}" for k in range(4)},
        62: "r_eye_upper", 66: "r_eye_lower", 70: "l_eye_upper", 74: "l_eye_lower", 96: "r_pupil", 97: "l_pupil",
    }  # fmt: skip
    own = {k: name for k, name in enumerate(COFW29.names) if name not in FACES68.names}
    assert own == {
        5: "r_brow_low_3", 7: "l_brow_low_3", 12: "r_eye_upper", 13: "r_eye_lower", 14: "l_eye_upper",
        15: "l_eye_lower", 16: "r_pupil", 17: "l_pupil",
    }  # fmt: skip
    own = {k: name for k, name in enumerate(AFLW19.names) if name not in FACES68.names}
    assert own == {7: "r_pupil", 10: "l_pupil", 16: "mouth_centre"}
    assert {skeleton.name: name for name, skeleton in SKELETONS.items()} == {name: name for name in SKELETONS}


def ring(first, last):
    return {frozenset(pair) for pair in itertools.pairwise([*range(first, last + 1), first])}


def line(first, last):
    return {frozenset(pair) for pair in itertools.pairwise(range(first, last + 1))}


def pairs(*ends):
    return {frozenset(pair) for pair in ends}


LINES = {
    "faces68": line(0, 16) | line(17, 21) | line(22, 26) | line(27, 30) | line(31, 35) | pairs((30, 33))
    | ring(36, 41) | ring(42, 47) | ring(48, 59) | ring(60, 67),
    "wflw98": line(0, 32) | line(51, 54) | line(55, 59) | pairs((54, 57)) | ring(60, 67) | ring(68, 75) | ring(76, 87)
    | ring(88, 95) | ring(33, 41) | (line(42, 46) | line(47, 50) | pairs((42, 50), (46, 47))),
    "cofw29": pairs((0, 4), (4, 2), (2, 5), (5, 0), (1, 6), (6, 3), (3, 7), (7, 1), (8, 12), (12, 10), (10, 13),
                    (13, 8), (9, 14), (14, 11), (11, 15), (15, 9), (18, 21), (19, 21), (18, 20), (19, 20), (22, 24),
                    (23, 24), (22, 27), (23, 27)),
    "aflw19": pairs((0, 1), (1, 2), (5, 4), (4, 3), (6, 7), (7, 8), (11, 10), (10, 9), (12, 13), (14, 13), (15, 16),
                    (17, 16)),
}  # fmt: skip


@pytest.mark.parametrize("name", SKELETONS)
def test_drawn_lines_by_place(name):
    skeleton = SKELETONS[name]
    assert {frozenset(map(skeleton.index, edge)) for edge in skeleton.edges} == LINES[name]


SHIFTED = "coordinates are 1-based in the file and were shifted to 0-based, once"


def test_the_findings_of_300w_in_order(ibug):
    missing = [("afw", 337), ("helen/trainset", 2000), ("lfpw/trainset", 811)]
    said = [("warning", f"{name}: 2 pictures; the published set has {count}", 1) for name, count in missing]
    assert told(build(ThreeHundredW, ibug)) == [("note", SHIFTED, 6), *said]
    missing = [("helen/testset", 330), ("lfpw/testset", 224), ("ibug", 135)]
    said = [("warning", f"{name}: 2 pictures; the published set has {count}", 1) for name, count in missing]
    assert told(build(ThreeHundredW, ibug), "valid") == [("note", SHIFTED, 6), *said]
    assert told(build(ThreeHundredW, ibug, subset="challenging"), "valid") == [("note", SHIFTED, 2), said[2]]


def test_300w_takes_the_picture_of_the_preferred_ending(ibug):
    for end in (".bmp", ".jpeg", ".png", ".JPG", ".PNG"):
        picture(ibug / "ibug" / f"a{end}")
    chosen = []
    for _ in range(6):
        image = build(ThreeHundredW, ibug, subset="challenging").samples("valid")[0].image
        chosen.append(image.suffix)
        image.unlink()
    assert chosen == [".jpg", ".png", ".jpeg", ".bmp", ".JPG", ".PNG"]
    assert build(ThreeHundredW, ibug, subset="challenging").samples("valid")[0].image.suffix == ".jpg"


@pytest.mark.parametrize(
    ("flag", "place"),
    [("pose", 0), ("expression", 1), ("illumination", 2), ("make-up", 3), ("occlusion", 4), ("blur", 5)],
)
def test_wflw_scores_the_faces_with_a_flag(wflw, flag, place):
    lines = [wflw_line(row, "0--Parade/a.jpg", [int(row == k) for k in range(6)]) for row in range(6)]
    next(wflw.rglob(LIST.format("test"))).write_text("\n".join(lines))
    dataset = build(Wflw, wflw, subset=flag)
    assert [sample.row for sample in dataset.samples("valid")] == [place]
    assert len(dataset.samples("train")) == len(build(Wflw, wflw).samples("train"))


def test_wflw_lists_are_found_in_three_places(wflw):
    folder = next(wflw.rglob(LIST.format("train"))).parent
    line_of = {wflw: 2, wflw / "list_98pt_rect_attr_train_test": 5}
    for place, row in line_of.items():
        place.mkdir(exist_ok=True)
        (place / LIST.format("train")).write_text(f"\n{wflw_line(row, '0--Parade/a.jpg')}\n\n")
        (sample,) = build(Wflw, wflw).samples("train")
        row = 0 if place == wflw else row  # the archive's own folder comes before the root
        np.testing.assert_allclose(sample.points, faces(6, 98)[row], rtol=1e-6)
    assert folder.name == "list_98pt_rect_attr_train_test"
    assert build(Wflw, wflw).parts == ("train",)


def test_wflw_names_line_and_face(wflw):
    file = next(wflw.rglob(LIST.format("train")))
    file.write_text(f"{wflw_line(0, 'a.jpg')}\n\njunk\n")
    assert f"{file}, line 3: has 1 fields" in refused(lambda: build(Wflw, wflw).samples("train"))
    file.write_text(f"{wflw_line(0, 'a.jpg')}\n1e9 {wflw_line(0, 'b.jpg').split(' ', 1)[1]}\n")
    assert f"{file}, row 1 (b.jpg): a landmark at [1000000000.0" in refused(lambda: build(Wflw, wflw).samples("train"))
    file.write_text(wflw_line(0, "a b.jpg"))
    assert "has 208 fields" in refused(lambda: build(Wflw, wflw).samples("train"))


def test_a_face_on_a_scored_picture_is_noted_by_name(wflw):
    (note,) = told(build(Wflw, wflw))
    assert note == ("note", "faces on images of part 'valid' left out (first: 0--Parade/b.jpg, row 1)", 1)


def test_the_findings_of_cofw_and_its_ids(cofw):
    dataset = build(Cofw, cofw)
    assert told(dataset) == [("note", SHIFTED, 3)]
    assert [sample.image_id for sample in dataset.samples("train")] == [f"COFW_train_color/000{k}" for k in range(3)]
    np.testing.assert_allclose([sample.side for sample in dataset.samples("train")][:1], [1.25 * 32], atol=5)
    for folder in ("COFW", "COFW_color"):
        other = cofw / folder
        other.mkdir()
        (cofw / "COFW_test_color.mat").rename(other / "COFW_test_color.mat")
        assert build(Cofw, cofw).parts == ("train",)  # the first folder that holds one
        (cofw / "COFW_train_color.mat").rename(other / "COFW_train_color.mat")
        assert build(Cofw, cofw).parts == ("train", "valid")
        for path in list(other.iterdir()):
            path.rename(cofw / path.name)


def test_a_cofw_number_that_is_no_pixel_is_named_with_its_row(cofw):
    path = cofw / "COFW_train_color.mat"
    with h5py.File(path, "a") as file:
        file["phisTr"][0, 2] = np.inf
    assert f"{path}, row 2: a landmark at [inf" in refused(lambda: build(Cofw, cofw).samples("train"))


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 4, 5), np.int16), np.zeros(4, np.uint8), np.zeros((3, 0, 4), np.uint8)]
)
def test_a_cofw_picture_is_bytes_of_two_or_three_axes(cofw, pixels):
    path = cofw / "COFW_train_color.mat"
    with h5py.File(path, "a") as file:
        file["#refs#/odd"] = pixels
        file["IsTr"][0, 1] = file["#refs#/odd"].ref
    message = refused(lambda: build(Cofw, cofw).samples("train"))
    assert f"{path}, row 1: picture has shape {pixels.shape} of {pixels.dtype}; expected bytes" in message


@pytest.mark.parametrize("value", [np.zeros((1, 3)), np.zeros((2, 3), "S1")])
def test_cofw_cells_are_references(cofw, value):
    path = cofw / "COFW_train_color.mat"
    with h5py.File(path, "a") as file:
        del file["IsTr"]
        file["IsTr"] = value
    assert f"{path}: 'IsTr' has shape {value.shape}" in refused(lambda: build(Cofw, cofw).samples("train"))


def test_aflw_notes_a_face_without_a_rectangle_and_takes_any_folder(tmp_path):
    write_aflw(tmp_path / "aflw" / "data" / "aflw.sqlite")
    (tmp_path / "aflw" / "data" / "flickr").mkdir()
    dataset = build(Aflw, tmp_path, held_out=1e-9)
    assert told(dataset) == [
        ("note", "no face rectangle: the landmarks' box taken (first: 0/image0.jpg, row 1)", 1),
    ]  # fmt: skip
    assert dataset.samples("train")[0].image == tmp_path / "aflw" / "data" / "flickr" / "0" / "image0.jpg"
    assert [sample.person_id for sample in dataset.samples("train")][:3] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE FeatureCoords SET x = 'junk' WHERE face_id = 103", ", FeatureCoords of face 103, feature 1: 'junk'"),
        ("UPDATE FaceRect SET w = 'junk' WHERE face_id = 103", ", FaceRect of face 103: 'junk'"),
        ("UPDATE Faces SET file_id = 'none' WHERE face_id = 103", ", row 3 of Faces: FaceImages has no picture 'none'"),
        ("UPDATE FeatureCoords SET y = 9e9 WHERE face_id = 103", ", FeatureCoords: a landmark at ["),
        ("UPDATE FaceImages SET filepath = '/x'", ", FaceImages: image name '/x' is not a path"),
        (
            "DELETE FROM FeatureCoordTypes WHERE feature_id IN (21, 1)",
            ": FeatureCoordTypes does not describe chin, r_b",
        ),
    ],
)
def test_aflw_names_the_place_in_its_database(tmp_path, statement, where):
    path = tmp_path / "data" / "aflw.sqlite"
    root = write_aflw(path, 6, [statement])
    assert refused(lambda: build(Aflw, root).samples("train")).startswith(f"{path}{where}")


def test_the_info_file_names_variable_row_and_shape(tmp_path, four_train):
    path = tmp_path / "AFLWinfo_release.mat"
    names = info()["nameList"].copy()
    names[2, 0] = "../../../a.jpg"
    for changes, where in (
        ({"data": np.zeros((6, 37))}, ": 'data' has shape (6, 37) of float64; expected numbers (6, 38)"),
        ({"mask_new": np.zeros((6, 18))}, ": 'mask_new' has shape (6, 18) of float64; expected numbers (6, 19)"),
        ({"nameList": names}, ", nameList, row 2: image name '../../../a.jpg' is not a path"),
        ({"nameList": names[:5]}, ": 'nameList' has shape (5, 1) of object; expected 6 cells of text"),
        ({"data": np.full((6, 38), np.inf)}, ": a landmark at [inf, inf]"),
        ({"ra": np.arange(6.0)}, ": 'ra' is no order of the 6 faces"),
    ):
        savemat(path, info(**changes))
        assert refused(lambda: build(Aflw, tmp_path).samples("train")).startswith(f"{path}{where}")
    for lost in ("data", "mask_new", "bbox", "nameList", "ra"):
        savemat(path, {name if name != lost else f"{name}x": value for name, value in info().items()})
        message = refused(lambda: build(Aflw, tmp_path).samples("train"))
        assert message.startswith(f"{path}") and f"'{lost}'; did you mean '{lost}x'" in message and "__" not in message


def test_the_info_file_says_how_many_are_hidden(tmp_path, four_train):
    savemat(tmp_path / "AFLWinfo_release.mat", info())
    note = ("note", "landmarks that mask_new calls invisible are read as hidden", 1)
    assert told(build(Aflw, tmp_path), "valid") == [note]
    marks = info()["data"].copy()
    marks[0, 1], marks[0, 20] = 0, 3  # x is 0 and y is 3: a place
    savemat(tmp_path / "AFLWinfo_release.mat", info(data=marks))
    assert build(Aflw, tmp_path).samples("valid")[0].state[1] == HIDDEN


def test_the_published_lists_are_of_20000_faces():
    assert aflw_info.TRAIN == 20_000


def points_of(*landmarks):
    """A face of COFW's 29: the first landmarks as they are, the others at the first."""
    return np.array([*landmarks, *[landmarks[0]] * (29 - len(landmarks))], float)


@pytest.mark.parametrize(
    ("header", "positions", "side", "normaliser"),
    [
        ("p", [(10, 10), (12, 10)], 8, 1.0),  # no crop is narrower, no length shorter
        ("p", [(10, 20), (50, 30)], 52, 20.0),
        ("p", [(10, 20), (10, 20)], 8, 1.0),
    ],
)
def test_crop_and_length_of_a_face_without_corners(tmp_path, header, positions, side, normaliser):
    write_part(tmp_path, "train", np.array([positions], float), ["", *(f"{header}{k}_{a}" for k in "ab" for a in "xy")])
    data = build(Landmarks, tmp_path, held_out=1e-9)
    (sample,) = data.samples("train")
    assert (sample.side, sample.normaliser) == (side, normaliser)
    assert data.facts.normaliser == "root of the area of the landmarks' box"
    assert told(data)[:1] == [("note", "no validation or test CSV: 1e-09 of the images held out by name hash", 1)]
    assert [what for _, what, _ in told(data)[1:]] == [undivided([sample.image_id])]


def test_a_crop_reaches_a_twentieth_farther_than_a_landmark_outside_the_box(wflw):
    file = next(wflw.rglob(LIST.format("train")))
    file.write_text(wflw_line(0, "a.jpg", box=(10, 10, 20, 20)))
    (sample,) = build(Wflw, wflw, crop=1.0).samples("train")
    assert sample.centre.tolist() == [15, 15]
    assert sample.side == pytest.approx(2 * 1.05 * np.abs(faces(6, 98)[0] - 15).max())
    for box in ((10, 10, 10, 20), (10, 20, 20, 10), (10, 10, 1e6, 20)):  # no box: the landmarks' own
        file.write_text(wflw_line(0, "a.jpg", box=box))
        (sample,) = build(Wflw, wflw).samples("train")
        low, high = faces(6, 98)[0].min(0), faces(6, 98)[0].max(0)
        np.testing.assert_allclose(sample.centre, (low + high) / 2, rtol=1e-5)


def test_a_million_pixels_are_no_picture(ibug):
    for value, fine in (("999999", True), ("1000001", False)):
        _, *others = pts(faces()[0], "", "").splitlines()
        (ibug / "afw" / "a.pts").write_text("\n".join([f"{value} 3", *others]))
        if fine:
            assert build(ThreeHundredW, ibug).samples("train")
        else:
            path = ibug / "afw" / "a.pts"
            assert refused(lambda: build(ThreeHundredW, ibug).samples("train")).startswith(f"{path}: a landmark at")


def test_a_face_without_labels_or_corners_is_noted_by_name(root):
    rows = [["a.jpg", *[""] * 136], ["b.jpg", *faces()[0].ravel()], ["c.jpg", *faces()[1].ravel()]]
    rows[2][1 + 2 * 45 : 3 + 2 * 45] = ["NULL", "None"]
    write_csv(root / "training_frames_keypoints.csv", NUMBERED, rows)
    what = "no distance of outer eye corners: normaliser is the root of the area of the face's box"
    assert told(build(Landmarks, root)) == [
        ("note", "faces without a labelled landmark left out (first: training/a.jpg, row 0)", 1),
        ("warning", f"{what} (first: training/c.jpg, row 2)", 1),
    ]


def test_a_csv_row_is_named_by_line_and_column(root):
    path = root / "training_frames_keypoints.csv"
    rows = [["a.jpg", *faces()[0].ravel()], ["b.jpg", *faces()[1].ravel()]]
    for place, value, where in (
        (5, "one", ", line 3, column '4': 'one' is not a number"),
        (6, "", ", row 1: column '5' has one coordinate without the other"),
        (1, "1e99", ", row 1 (b.jpg): a landmark at [1e+99"),
        (1, "inf", ", line 3, column '0': 'inf' is not a number"),
        (0, "", ", line 3: image name '' is not a path"),
    ):
        wrong = [rows[0], [*rows[1][:place], value, *rows[1][place + 1 :]]]
        write_csv(path, NUMBERED, wrong)
        assert refused(lambda: build(Landmarks, root).samples("train")).startswith(f"{path}{where}")


def test_a_line_of_landmarks_with_another_count_of_cells_says_what_to_do(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("name,a_x,a_y\n1.png,3,4\nface, second.png,5,6\n")
    with pytest.raises(KpError) as caught:
        landmark_csv.read(path, Images(tmp_path), "train", landmark_csv.read_header(path))
    assert str(caught.value) == (
        f"{path}, line 3: has 4 cells; the header has 3; mend this line (what is not labelled is an empty cell, and a"
        " name with a comma stands in quotes)"
    )


def test_landmarks_of_two_parts_in_two_spellings_are_told(tmp_path):
    for part, name in (("train", "Left_Eye"), ("test", "left eye")):
        (tmp_path / part).mkdir()
        (tmp_path / f"{part}.csv").write_text(f"name,{name}_x,{name}_y\n1.png,3,4\n")
    with pytest.raises(KpError, match="one name in two spellings, 'left eye' and 'Left_Eye'; give both the same"):
        build(Landmarks, tmp_path)
