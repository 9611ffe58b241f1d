"""The mpii data set: four layouts of the same people agree, and nothing malformed gives anything but one line."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hand_made import refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kp_mpii.dataset import Mpii
from kp_mpii.skeleton import MPII
from scipy.io import savemat

from kpcore.audit.check import check_part
from kpcore.errors import KpError
from kpcore.reading import matlab
from kpcore.registry import registry
from kpcore.study.data import read_part
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

LAYOUTS = ["newell", "hrnet", "pytorch_pose", "mat"]
SCALES = [2.0, 1.5, 2.4, 3.0, 1.0]
IMAGES = ["000000001.jpg", "000000001.jpg", "000000002.jpg", "000000003.jpg", "000000003.jpg"]
VALID = [False, False, False, True, False]
"""The last person is in a validation image, but not in the list: Newell keeps such people in train, HRNet does not."""


def people():
    """Return points (5, 16, 2), labelled, visible (5, 16) and objpos (5, 2); 1-based and raw, as in the .mat."""
    random = np.random.default_rng(0)
    points = random.uniform(5, 400, (5, 16, 2)).round(1)
    points[:, 9] = (
        points[:, 8] + [0, -1] * np.array(SCALES)[:, None] * 25 / 0.75
    )  # head top: 0.75 x distance = 25 x scale
    points[3, 10] = -4.0, 17.0  # above the frame, yet labelled
    labelled, visible = np.ones((5, 16), bool), np.ones((5, 16), bool)
    labelled[0, 0] = labelled[3, 6] = labelled[4, 15] = False
    visible[0, 3] = visible[3, 12] = False
    points[~labelled] = 0
    objpos = np.array([[100.0, 50.0], [40.5, 60.0], [200.0, 150.0], [90.0, 91.0], [300.0, 20.0]])
    return points, labelled, visible & labelled, objpos


def rows_of(part, layout):
    if part == "valid":
        return [3]
    return [0, 1, 2, 4] if layout in ("newell", "mat") else [0, 1, 2]


def write_newell(annot, codes=False, names=True):
    points, _, visible, objpos = people()
    for part in ("train", "valid"):
        rows, scale = rows_of(part, "newell"), np.array(SCALES)
        text = np.array([IMAGES[row].encode() for row in rows])
        with h5py.File(annot / f"{part}.h5", "w") as file:
            file["part"], file["visible"] = points[rows], visible[rows].astype(float)
            file["center"] = (objpos + np.stack([0 * scale, 15 * scale], -1))[rows]
            file["scale"], file["normalize"] = 1.25 * scale[rows], 25 * scale[rows]
            file["index"], file["person"] = np.array([0.0, 0, 1, 2, 2])[rows], np.array([0.0, 1, 0, 0, 1])[rows]
            if names:
                file["imgname"] = np.array([list(t.ljust(16, b"\0")) for t in text], float) if codes else text
        if not names:
            (annot / f"{part}_images.txt").write_text("".join(f"{IMAGES[row]}\n" for row in rows))


def hrnet_row(row, head_size=True):
    points, labelled, _, objpos = people()
    values = {
        "image": IMAGES[row], "center": objpos[row].tolist(), "scale": SCALES[row],
        "joints": np.where(labelled[row][:, None], points[row], -1).tolist(),
        "joints_vis": labelled[row].astype(int).tolist(),
    }  # fmt: skip
    return {**values, "head_size": 25 * SCALES[row]} if head_size else values


def write_hrnet(annot, head_size=True):
    for part in ("train", "valid"):
        rows = [hrnet_row(row, head_size) for row in rows_of(part, "hrnet")]
        (annot / f"{part}.json").write_text(json.dumps(rows))


def pytorch_pose_row(row):
    points, _, visible, objpos = people()
    return {
        "dataset": "MPI", "isValidation": float(VALID[row]), "img_paths": IMAGES[row], "objpos": objpos[row].tolist(),
        "joint_self": np.concatenate([points[row], visible[row][:, None]], -1).tolist(), "scale_provided": SCALES[row],
        "annolist_index": [1, 1, 2, 3, 3][row], "people_index": [1, 2, 1, 1, 2][row],
    }  # fmt: skip


def write_pytorch_pose(annot):
    rows = [pytorch_pose_row(row) for row in (3, 0, 1, 2)]
    (annot / "mpii_annotations.json").write_text(json.dumps(rows))


EMPTY = np.empty((0, 0))


def struct(*records):
    """Return a Matlab struct array (1, n); a field that a record lacks is empty."""
    names = dict.fromkeys(name for record in records for name in record)
    array = np.empty((1, len(records)), [(name, object) for name in names])
    for place, record in enumerate(records):
        for name in names:
            array[name][0, place] = record.get(name, EMPTY)
    return array


def annorect(row, **changes):
    points, labelled, visible, objpos = people()
    joints = [
        {"x": points[row, k, 0], "y": points[row, k, 1], "id": k, "is_visible": shown(visible[row, k], k)}
        for k in np.flatnonzero(labelled[row])
    ]
    side = 25 * SCALES[row] / 0.6 / np.sqrt(2)
    return {
        "x1": 10.0, "y1": 20.0, "x2": 10 + side, "y2": 20 + side, "scale": SCALES[row],
        "objpos": struct({"x": objpos[row, 0], "y": objpos[row, 1]}), "annopoints": struct({"point": struct(*joints)}),
        **changes,
    }  # fmt: skip


def shown(visible, joint):
    """is_visible as the release has it: a number, a character, or nothing at all, which counts as visible."""
    if joint in (8, 9):
        return EMPTY
    return str(int(visible)) if joint % 2 else np.uint8(visible)


def image_of(name, rects):
    return {"image": struct({"name": name}), "annorect": struct(*rects) if rects else EMPTY}


def write_release(path, images, train=None):
    release = struct({"annolist": struct(*images), "img_train": np.array([train or [1] * len(images)], np.uint8)})
    savemat(path, {"RELEASE": release}, do_compression=True)


def write_mat(annot, extra=()):
    rects = {name: [annorect(row) for row in range(5) if IMAGES[row] == name] for name in dict.fromkeys(IMAGES)}
    images = [image_of(name, found) for name, found in rects.items()]
    test = [image_of("000000009.jpg", [{"scale": 1.0}])]
    write_release(annot / "mpii_human_pose_v1_u12_1.mat", [*images, *extra, *test], [1] * (3 + len(extra)) + [0])


WRITERS = {"newell": write_newell, "hrnet": write_hrnet, "pytorch_pose": write_pytorch_pose, "mat": write_mat}


@pytest.fixture
def root(tmp_path):
    for folder in ("images", "annot", "lists"):
        (tmp_path / folder).mkdir()
    for name in dict.fromkeys(IMAGES):
        cv2.imwrite(str(tmp_path / "images" / name), np.full((40, 48, 3), 90, np.uint8))
    write_newell(tmp_path / "lists")
    write_hrnet(tmp_path / "lists")
    return tmp_path


@pytest.fixture(autouse=True)
def no_probe(monkeypatch, request):
    """Spare the child process, except where the test is about it; the files written here are compressed, so safe."""
    if "crash" not in request.node.name:
        monkeypatch.setattr(matlab, "try_out", lambda path: None)


def open_mpii(root, **options):
    config = Mpii.Config(root=None if root is None else str(root), **options)
    return Mpii(**{name: getattr(config, name) for name in Mpii.Config.model_fields})


def written(root, layout):
    WRITERS[layout](root / "annot")
    options = {"valid_list": str(root / "lists" / "valid.json"), "list": "hrnet"} if layout == "mat" else {}
    return open_mpii(root, annotations=layout, **options)


def notes(dataset, part):
    return {finding.what.split(" (first")[0]: finding.count for finding in dataset.findings(part)}


def test_skeleton_is_in_mpii_order_with_its_mirror_pairs():
    pairs = [(k, other) for k, other in enumerate(MPII.all().flip_permutation) if k < other]
    assert pairs == [(0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)]
    assert (MPII.index("pelvis"), MPII.index("thorax"), MPII.index("head_top")) == (6, 7, 9)
    assert set(MPII.groups) == {
        "ankle", "knee", "hip", "pelvis", "thorax", "neck", "head", "wrist", "elbow", "shoulder"
    }  # fmt: skip
    assert MPII.groups["head"] == ("head_top",) and MPII.groups["neck"] == ("upper_neck",)


def test_the_plugin_supplies_it():
    assert registry().component("dataset", "mpii") is Mpii


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pixels_are_shifted_once_and_the_crop_is_adjusted_once(root, layout):
    first = written(root, layout).samples("train")[0]
    np.testing.assert_allclose(first.centre, [99, 49 + 30])  # objpos (100, 50), scale 2: + 15 x 2, - 1
    assert first.side == pytest.approx(500)  # 200 x 1.25 x 2
    assert first.normaliser == pytest.approx(50)  # 25 x 2
    np.testing.assert_allclose(first.points[1], people()[0][0, 1] - 1, rtol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("part", ["train", "valid"])
def test_layouts_agree(root, layout, part):
    samples = written(root, layout).samples(part)[: len(rows_of(part, "hrnet"))]
    points, labelled, visible, objpos = people()
    for sample, row in zip(samples, rows_of(part, "hrnet"), strict=True):
        np.testing.assert_allclose(sample.points[labelled[row]], points[row][labelled[row]] - 1, rtol=1e-5)
        assert np.isnan(sample.points[~labelled[row]]).all()
        np.testing.assert_allclose(sample.centre, objpos[row] + [-1, 15 * SCALES[row] - 1], rtol=1e-6)
        assert (sample.side, sample.normaliser) == pytest.approx((250 * SCALES[row], 25 * SCALES[row]))
        told = np.where(visible[row], VISIBLE, HIDDEN) if layout != "hrnet" else VISIBLE
        np.testing.assert_array_equal(sample.state, np.where(labelled[row], told, UNLABELLED))
        assert sample.image == root / "images" / IMAGES[row] and sample.image_id == IMAGES[row]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_reader_says_what_it_did(root, layout):
    dataset = written(root, layout)
    did = notes(dataset, "train")
    people_read = len(dataset.samples("train")) + (2 if layout == "mat" else 0)
    assert did["coordinates are 1-based in the file and were shifted to 0-based, once"] == people_read
    adjusted = "crop centre moved down by 15 x scale and scale multiplied by 1.25, once"
    assert (adjusted in did) == (layout != "newell")
    assert any("already carries the adjustment" in what for what in did) == (layout == "newell")


def test_a_joint_above_the_frame_stays_labelled_in_every_layout(root):
    for layout in LAYOUTS:
        (sample,) = written(root, layout).samples("valid")
        assert sample.state[10] == VISIBLE
        np.testing.assert_allclose(sample.points[10], [-5, 16])


@pytest.mark.parametrize("spelling", [{"codes": True}, {"names": False}])
def test_newell_image_names_as_codes_or_in_a_text_file(root, spelling):
    write_newell(root / "annot", **spelling)
    assert [sample.image_id for sample in open_mpii(root).samples("train")] == [IMAGES[row] for row in (0, 1, 2, 4)]


def test_ids_name_annolist_row_and_person_from_zero(root):
    for layout in ("newell", "pytorch_pose", "mat"):
        assert [sample.person_id for sample in written(root, layout).samples("train")][:3] == ["0/0", "0/1", "1/0"]
    assert [sample.row for sample in written(root, "pytorch_pose").samples("train")] == [1, 2, 3]


def test_head_size_without_a_head_box(root):
    write_hrnet(root / "annot", head_size=False)
    row = hrnet_row(1, head_size=False)
    row["joints_vis"][9] = 0
    tall = hrnet_row(0, head_size=False)
    tall["joints"][9] = [tall["joints"][8][0], tall["joints"][8][1] - 80]
    (root / "annot" / "train.json").write_text(json.dumps([tall, row]))
    dataset = open_mpii(root)
    assert [s.normaliser for s in dataset.samples("train")] == pytest.approx([0.75 * 80, 25 * 1.5])
    did = notes(dataset, "train")
    assert did["head size unknown: taken as 0.75 x the upper neck to head top distance"] == 1
    assert did["head size unknown: taken as 25 x raw scale"] == 1
    assert did["head size over 1 % off 25 x raw scale: derived, not measured on a head box"] == 1
    assert dataset.samples("valid")[0].normaliser == 25 * 3.0  # exact on the official validation list


def write_truth(annot, n=1):
    points, labelled, _, _ = people()
    missing = ~labelled[[3] * n].T
    missing[[6, 7]] = True
    missing[0] = True
    boxes = np.zeros((2, 2, n))
    boxes[1] = [[30.0] * n, [40.0] * n]
    positions = points[[3] * n].transpose(1, 2, 0) + 0.0
    positions[1] += 3
    fields = {"headboxes_src": boxes, "pos_gt_src": positions, "jnt_missing": missing.astype(np.uint8)}
    savemat(annot / "gt_valid.mat", fields)


def test_gt_valid_has_the_last_word_on_what_it_scores(root):
    write_hrnet(root / "annot")
    write_truth(root / "annot")
    dataset = open_mpii(root)
    (sample,) = dataset.samples("valid")
    assert sample.normaliser == pytest.approx(0.6 * 50)
    np.testing.assert_allclose(sample.points[1], people()[0][3, 1] + 2, rtol=1e-6)
    assert sample.state[0] == UNLABELLED  # missing there
    assert sample.state[7] == VISIBLE  # the thorax is never scored there, but labelled
    assert sample.state[10] == VISIBLE  # labelled at a negative coordinate
    assert notes(dataset, "valid")["joints where gt_valid.mat differs from the JSON file and was believed"] == 2


def test_gt_valid_of_other_people_is_refused(root):
    write_hrnet(root / "annot")
    write_truth(root / "annot", n=2)
    assert "headboxes_src" in refused(lambda: open_mpii(root).samples("valid"))


def test_mat_leaves_out_rows_that_cannot_be_scored_and_counts_them(root):
    odd = [
        annorect(0, scale=EMPTY),
        annorect(0, objpos=EMPTY),
        annorect(0, x1=EMPTY),
        annorect(0, annopoints=EMPTY),
        annorect(1, annopoints=struct({"point": struct({"x": 7.0, "y": 8.0, "id": 2})})),
        annorect(1, annopoints=struct({"point": struct({"x": 7.0, "y": 8.0, "id": 16})})),
    ]
    no_joints_field = {name: value for name, value in annorect(0).items() if name != "annopoints"}
    extra = [
        image_of("000000002.jpg", odd),
        image_of("000000001.jpg", []),
        image_of("000000001.jpg", [no_joints_field]),
    ]
    write_mat(root / "annot", extra)
    dataset = open_mpii(root, valid_list=str(root / "lists" / "valid.json"))
    did = notes(dataset, "train")
    assert [did[f"people without {what} left out"] for what in ("scale", "centre", "head box", "joints")] == [
        1,
        1,
        1,
        2,
    ]
    assert did["points whose id is none of 0..15 skipped"] == 1
    single = dataset.samples("train")[-2]
    assert (single.person_id, single.row, int((single.state > 0).sum())) == ("3/4", 9, 1)
    np.testing.assert_allclose(single.points[2], [6, 7])
    assert single.state[2] == VISIBLE  # no is_visible at all


@pytest.mark.parametrize("name", ["valid.h5", "valid.json", "valid_images.txt"])
def test_mat_takes_its_validation_people_from_a_list(root, name):
    (root / "lists" / "valid_images.txt").write_text("000000003.jpg\n")
    write_mat(root / "annot")
    dataset = open_mpii(root, valid_list=str(root / "lists" / name))
    valid = [sample.person_id for sample in dataset.samples("valid")]
    assert valid == (["2/0", "2/1"] if name.endswith(".txt") else ["2/0"])
    assert len(dataset.samples("train")) + len(valid) == 5
    assert (dataset.label, dataset.facts.list_name) == ("MPII", "newell")


def test_a_list_of_strangers_is_refused_or_told(root):
    write_mat(root / "annot")
    listed = root / "lists" / "valid.json"
    stranger = {**hrnet_row(3), "center": [1.0, 1.0]}
    listed.write_text(json.dumps([hrnet_row(3), stranger]))
    dataset = open_mpii(root, valid_list=str(listed))
    assert notes(dataset, "valid")["people of the validation list are not in the annotation"] == 1
    listed.write_text(json.dumps([stranger]))
    assert "lists nobody" in refused(lambda: open_mpii(root, valid_list=str(listed)).samples("valid"))


@pytest.mark.parametrize(("shift", "same"), [((0.4, -0.4), True), ((0.0, 0.6), False), ((0.6, 0.0), False)])
def test_a_listed_person_is_the_one_whose_centre_agrees_in_x_and_in_y(root, shift, same):
    write_mat(root / "annot")
    listed = root / "lists" / "valid.json"
    row = hrnet_row(3)
    moved = {**row, "center": [value + by for value, by in zip(row["center"], shift, strict=True)]}
    listed.write_text(json.dumps([moved]))
    dataset = open_mpii(root, valid_list=str(listed))
    if same:
        assert [sample.person_id for sample in dataset.samples("valid")] == ["2/0"]
    else:
        assert "lists nobody" in refused(lambda: dataset.samples("valid"))


def test_mat_without_a_list_holds_out_whole_images_and_says_so(root):
    write_mat(root / "annot")
    dataset = open_mpii(root, held_out=0.5)
    train, valid = ({s.image_id for s in dataset.samples(part)} for part in ("train", "valid"))
    assert train and valid and not train & valid and train | valid == set(IMAGES)
    assert dataset.facts.list_name == "0.5 of the images held out by name hash"
    assert "needs dataset.valid_list" in refused(lambda: open_mpii(root, list="newell"))


def test_list_hrnet_leaves_other_people_of_validation_images_out(root):
    write_newell(root / "annot")
    assert len(open_mpii(root).samples("train")) == 4
    dataset = open_mpii(root, list="hrnet")
    assert len(dataset.samples("train")) == 3 and dataset.facts.list_name == "hrnet"
    assert notes(dataset, "train")["other people of validation images left out of train (list hrnet)"] == 1
    leak = [
        f for f in check_part(open_mpii(root), "train", decode=False) if f.what.startswith("the same images are in")
    ]
    assert [finding.count for finding in leak] == [3]  # every picture here has the same bytes


def test_the_shorter_list_cannot_become_the_longer(root):
    write_hrnet(root / "annot")
    assert "remove list" in refused(lambda: open_mpii(root, list="newell"))
    assert "remove valid_list" in refused(lambda: open_mpii(root, valid_list="valid.h5"))


def test_layouts_are_found_in_order_of_preference(root):
    for layout in reversed(LAYOUTS):
        WRITERS[layout](root if layout == "pytorch_pose" else root / "annot")
        assert open_mpii(root).samples("train")
        assert open_mpii(root)._layout == layout


def test_a_root_must_be_given_and_be_there(root, monkeypatch):
    monkeypatch.delenv("KP_MPII_ROOT", raising=False)
    assert "KP_MPII_ROOT" in refused(lambda: open_mpii(None))
    assert "not a folder" in refused(lambda: open_mpii(root / "nowhere"))
    assert "none of" in refused(lambda: open_mpii(root))
    write_hrnet(root / "annot")
    assert "found: hrnet" in refused(lambda: open_mpii(root, annotations="newell"))
    monkeypatch.setenv("KP_MPII_ROOT", str(root))
    assert len(open_mpii(None).samples("train")) == 3
    monkeypatch.chdir(root.parent)
    assert len(open_mpii(root.name).samples("train")) == 3


def test_a_part_without_a_file_is_unknown(root):
    write_newell(root / "annot")
    (root / "annot" / "train.h5").unlink()
    dataset = open_mpii(root)
    assert dataset.parts == ("valid",)
    assert "(valid exists)" in refused(lambda: dataset.samples("train"))


def test_fingerprint_follows_annotation_images_and_settings_but_not_the_place(root, tmp_path_factory):
    def fingerprint(root, part="train", **options):
        return read_part(open_mpii(root, **options), part).fingerprint

    write_newell(root / "annot")
    before = fingerprint(root)
    moved = tmp_path_factory.mktemp("elsewhere") / "mpii"
    shutil.copytree(root, moved)
    assert fingerprint(moved) == before
    assert fingerprint(root, "valid") != before != fingerprint(root, list="hrnet")
    with (moved / "images" / IMAGES[0]).open("ab") as stream:
        stream.write(b"\0")
    assert fingerprint(moved).images != before.images
    with h5py.File(root / "annot" / "train.h5", "a") as file:
        file["part"][0, 0, 0] = 12.0
    assert fingerprint(root).keypoints != before.keypoints


ANNOTATION = {
    "newell": "train.h5", "hrnet": "train.json", "pytorch_pose": "mpii_annotations.json",
    "mat": "mpii_human_pose_v1_u12_1.mat",
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.98])
def test_a_truncated_annotation_is_one_line_with_the_path(root, layout, share):
    written(root, layout)
    path = root / "annot" / ANNOTATION[layout]
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert str(path) in refused(lambda: open_mpii(root, annotations=layout).samples("train"))


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_give_a_traceback(root, layout, data):
    source = root / "lists" / f"{layout}.bytes"
    path = root / "annot" / ANNOTATION[layout]
    if not source.exists():
        written(root, layout)
        source.write_bytes(path.read_bytes())
    damaged = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(damaged))
    try:
        check_part(open_mpii(root, annotations=layout), "train", decode=False)
    except KpError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"joints": None}, "'joints': expected numbers (16, 2), got null"),
        ({"joints": [[1, 2]] * 15}, "'joints': expected numbers (16, 2)"),
        ({"joints": [[1, 2]] * 15 + [[1]]}, "'joints': expected numbers (16, 2)"),
        ({"joints": [["1", "2"]] * 16}, "'joints': expected numbers (16, 2)"),
        ({"joints_vis": {"a": 1}}, "'joints_vis': expected numbers (16,)"),
        ({"scale": "big"}, "'scale': expected a number, got \"big\""),
        ({"scale": [2]}, "'scale': expected a number"),
        ({"scale": 10**400}, "'scale': expected a number"),
        ({"center": [1]}, "'center': expected numbers (2,)"),
        ({"head_size": []}, "'head_size': expected a number"),
        ({"image": 7}, "not a path below the folder of images"),
        ({"image": "../../secret.jpg"}, "not a path below the folder of images"),
        ({"image": "a\0b.jpg"}, "not a path below the folder of images"),
        ({"image": "\ud800.jpg"}, "not a path below the folder of images"),
    ],
)
def test_a_wrong_json_row_is_named(root, change, said):
    write_hrnet(root / "annot")
    path = root / "annot" / "train.json"
    path.write_text(json.dumps([hrnet_row(0), {**hrnet_row(1), **change}]))
    message = refused(lambda: open_mpii(root).samples("train"))
    assert f"{path}, row 1" in message and said in message


@pytest.mark.parametrize("key", ["image", "center", "scale", "joints", "joints_vis"])
def test_a_missing_json_field_is_named_with_the_row(root, key):
    write_hrnet(root / "annot")
    broken = {name if name != key else f"{name}s": value for name, value in hrnet_row(1).items()}
    (root / "annot" / "train.json").write_text(json.dumps([hrnet_row(0), broken]))
    message = refused(lambda: open_mpii(root).samples("train"))
    assert f"row 1, '{key}'" in message and f"did you mean '{key}s'" in message


@pytest.mark.parametrize("text", ["{}", "[1]", "[[]]", "null", "[" * 100_000, "\udcff"])
def test_json_of_another_kind_is_refused(root, text):
    write_hrnet(root / "annot")
    path = root / "annot" / "train.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert str(path) in refused(lambda: open_mpii(root).samples("train"))


@pytest.mark.parametrize("key", ["part", "visible", "center", "scale", "normalize", "imgname", "index"])
@pytest.mark.parametrize("value", [np.zeros((2, 3)), np.array([b"x", b"y"]), 3.0, None])
def test_an_h5_field_of_another_shape_or_kind_is_refused(root, key, value):
    write_newell(root / "annot")
    path = root / "annot" / "train.h5"
    with h5py.File(path, "a") as file:
        del file[key]
        if value is None:
            file.create_group(key)
        else:
            file[key] = value
    assert f"{path}" in refused(lambda: open_mpii(root).samples("train"))


def test_mat_of_another_kind_is_refused(root):
    path = root / "annot" / ANNOTATION["mat"]
    for fields in ({"joints": np.zeros(3)}, {"RELEASE": np.zeros(3)}, {"RELEASE": struct({"annolist": EMPTY})}):
        savemat(path, fields)
        assert str(path) in refused(lambda: open_mpii(root).samples("train"))
    write_release(path, [image_of("../../x.jpg", [annorect(0)])])
    assert "annolist(1).image.name" in refused(lambda: open_mpii(root).samples("train"))


def test_a_mat_that_would_crash_the_interpreter_is_one_line(root):
    write_mat(root / "annot")
    path = root / "annot" / ANNOTATION["mat"]
    assert open_mpii(root).samples("train")
    savemat(path, {"RELEASE": struct({"x": 1.5})})  # uncompressed
    data = bytearray(path.read_bytes())
    number = data.rindex(np.float64(1.5).tobytes())
    data[number - 8] = 250  # the type code of the number
    path.write_bytes(bytes(data))
    assert str(path) in refused(lambda: open_mpii(root).samples("train"))


def test_impossible_numbers_reach_the_check_with_file_and_row(root):
    write_hrnet(root / "annot")
    rows = [
        {**hrnet_row(0), "scale": 1e300},
        {**hrnet_row(1), "head_size": 0},
        {**hrnet_row(2), "joints": [[float("nan"), 1]] + [[1e300, 1e300]] * 15},
        {**hrnet_row(2), "center": [float("inf"), 1]},
    ]
    (root / "annot" / "train.json").write_text(json.dumps(rows))
    errors = [f.what for f in check_part(open_mpii(root), "train", decode=True) if f.level == "error"]
    assert any("crop side" in what and "000000001.jpg, row 0" in what for what in errors)
    assert any("normaliser" in what and "000000001.jpg, row 1" in what for what in errors)
    assert any("no number" in what and "000000002.jpg, row 2" in what for what in errors)
    assert any("crop centre" in what for what in errors)


REAL = Path(os.environ.get("KP_REAL_DATA", "")) / "mpii"
real_data = pytest.mark.skipif(
    not os.environ.get("KP_REAL_DATA") or not REAL.is_dir(), reason="KP_REAL_DATA names no folder that holds mpii/"
)


@pytest.mark.real_data
@real_data
@pytest.mark.parametrize(("part", "count", "pictures"), [("train", 1716, 1154), ("valid", 128, 120)])
def test_real_layouts_agree_person_by_person(part, count, pictures):
    newell, hrnet = (open_mpii(REAL, annotations=layout).samples(part) for layout in ("newell", "hrnet"))
    assert len(newell) == len(hrnet) == count and len({s.image_id for s in newell}) == pictures
    for one, other in zip(newell, hrnet, strict=True):
        assert one.image == other.image
        np.testing.assert_allclose(one.points, other.points, rtol=1e-6)
        np.testing.assert_allclose(one.centre, other.centre, rtol=1e-6)
        assert (one.side, one.normaliser) == pytest.approx((other.side, other.normaliser), rel=1e-9)
        np.testing.assert_array_equal(one.state > 0, other.state > 0)


@pytest.mark.real_data
@real_data
def test_real_validation_keeps_the_identity_of_head_size_and_scale():
    for sample in open_mpii(REAL).samples("valid"):
        assert sample.normaliser == pytest.approx(sample.side / 10, abs=6e-5)  # 25 x scale, side = 250 x scale


@pytest.mark.slow
@pytest.mark.real_data
@real_data
def test_real_data_has_no_error_and_its_oddities_are_counted():
    found = check_part(open_mpii(REAL), "valid", decode=True)
    (same,) = (finding for finding in found if finding.level != "note")
    assert "'064966316.jpg' and '014104663.jpg'" in same.what  # one frame of a film, as two files
    assert [f.count for f in found if "labelled keypoints lie outside" in f.what] == [2]
    assert [f.count for f in found if "keypoints not labelled" in f.what] == [69]


def test_a_note_of_the_mat_names_whom_it_is_about(root):
    odd = [annorect(0, scale=EMPTY), annorect(1, annopoints=struct({"point": struct({"x": 7.0, "y": 8.0, "id": 16})}))]
    write_mat(root / "annot", [image_of("000000002.jpg", odd)])
    told = {
        finding.what for finding in open_mpii(root, valid_list=str(root / "lists" / "valid.json")).findings("train")
    }
    assert any(what == "people without scale left out (first: annorect 3/0 of 000000002.jpg)" for what in told)
    assert any(
        "points whose id is none of 0..15 skipped (first: annorect 3/1 of 000000002.jpg" in what for what in told
    )


def test_a_person_without_indices_is_called_by_its_row(root):
    rows = [pytorch_pose_row(row) for row in (3, 0, 1)]
    del rows[1]["people_index"]
    (root / "annot" / "mpii_annotations.json").write_text(json.dumps(rows))
    dataset = open_mpii(root)
    found = {sample.row: sample.person_id for part in ("train", "valid") for sample in dataset.samples(part)}
    assert found == {0: "2/0", 1: "1", 2: "0/1"}


def test_joints_and_bones_are_mpiis():
    assert MPII.names == (
        "r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "thorax", "upper_neck", "head_top",
        "r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist",
    )  # fmt: skip
    bones = [(0, 1), (1, 2), (2, 6), (5, 4), (4, 3), (3, 6), (6, 7), (7, 8), (8, 9), (10, 11), (11, 12), (12, 7),
             (15, 14), (14, 13), (13, 7)]  # fmt: skip
    assert [(MPII.index(one), MPII.index(other)) for one, other in MPII.edges] == bones
    assert all(MPII[point.mirror].group == point.group for point in MPII.keypoints if point.mirror)


def rewrite(path, **fields):
    with h5py.File(path, "a") as file:
        for key, value in fields.items():
            del file[key]
            if value is not None:
                file[key] = value


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whole_official_files_give_notes_only(root, layout):
    dataset = written(root, layout)
    assert {finding.level for part in dataset.parts for finding in dataset.findings(part)} == {"note"}
    assert not any("over 1 %" in what for part in dataset.parts for what in notes(dataset, part))


@pytest.mark.parametrize(("share", "odd"), [(1.009, False), (1.011, True), (0.989, True), (0.991, False)])
@pytest.mark.parametrize("layout", ["newell", "hrnet"])
def test_a_head_size_over_one_percent_off_is_noted_with_its_row(root, layout, share, odd):
    written(root, layout)
    sizes = 25 * np.array(SCALES)[rows_of("train", layout)]
    sizes[1] *= share
    if layout == "newell":
        rewrite(root / "annot" / "train.h5", normalize=sizes)
    else:
        rows = [{**hrnet_row(row), "head_size": size} for row, size in zip((0, 1, 2), sizes, strict=True)]
        (root / "annot" / "train.json").write_text(json.dumps(rows))
    told = [finding for finding in open_mpii(root).findings("train") if "25 x raw scale" in finding.what]
    what = "head size over 1 % off 25 x raw scale: derived, not measured on a head box (first: 000000001.jpg, row 1)"
    assert [(f.level, f.what, f.count) for f in told] == ([("note", what, 1)] if odd else [])


def test_newell_labels_by_place_and_by_visible(root):
    write_newell(root / "annot")
    points, visible = people()[0][[0, 1, 2, 4]], np.ones((4, 16))
    points[1, :4] = (0, 0), (0, 5), (5, 0), (7, 7)
    visible[1, 3:5] = -1, 0
    rewrite(root / "annot" / "train.h5", part=points, visible=visible)
    state = open_mpii(root).samples("train")[1].state
    assert state[:6].tolist() == [UNLABELLED, VISIBLE, VISIBLE, UNLABELLED, HIDDEN, VISIBLE]


def test_newell_without_index_or_person_counts_rows(root):
    for lost in ("index", "person"):
        write_newell(root / "annot")
        rewrite(root / "annot" / "train.h5", **{lost: None})
        assert [sample.person_id for sample in open_mpii(root).samples("train")] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(("code", "said"), [(-1, True), (128, True), (127, True), (65, False)])
def test_newell_codes_are_ascii_and_named_with_their_row(root, code, said):
    write_newell(root / "annot", codes=True)
    with h5py.File(root / "annot" / "train.h5", "a") as file:
        file["imgname"][2, 3] = code
    if said:
        message = refused(lambda: open_mpii(root).samples("train"))
        assert f"{root / 'annot' / 'train.h5'}, field 'imgname', row 2: " in message
        assert ("codes outside 0..127" in message) == (code != 127)  # 127 is ASCII, and not printable
    else:
        assert open_mpii(root).samples("train")[2].image_id == "000A00002.jpg"


def test_newell_names_are_as_many_as_people(root):
    write_newell(root / "annot", names=False)
    listed = root / "annot" / "train_images.txt"
    listed.write_text("a.jpg\nb.jpg\nc.jpg\n")
    assert refused(lambda: open_mpii(root).samples("train")) == f"{listed}: 3 image names for 4 people"
    listed.write_text("a.jpg\nb.jpg\n../../c.jpg\nd.jpg\n")
    assert f"{listed}, row 2: " in refused(lambda: open_mpii(root).samples("train"))
    write_newell(root / "annot")
    path = root / "annot" / "train.h5"
    rewrite(path, imgname=np.array([b"a.jpg", b"/b.jpg", b"c.jpg", b"d.jpg"]))
    assert f"{path}, field 'imgname', row 1: " in refused(lambda: open_mpii(root).samples("train"))
    rewrite(path, imgname=np.array([b"a.jpg"]))
    assert f"{path}, field 'imgname': 1 image names for 4 people" in refused(lambda: open_mpii(root).samples("train"))


@pytest.mark.parametrize(
    ("layout", "kind"),
    [
        ("newell", "Newell's HDF5 annotation"),
        ("hrnet", "HRNet's JSON annotation"),
        ("pytorch_pose", "pytorch-pose's JSON annotation"),
        ("mat", "MPII's RELEASE struct"),
    ],
)
def test_a_damaged_file_is_told_with_what_it_should_be(root, layout, kind):
    written(root, layout)
    path = root / "annot" / ANNOTATION[layout]
    path.write_bytes(b"junk")
    message = refused(lambda: open_mpii(root, annotations=layout).samples("train"))
    assert message.startswith(f"{path}: cannot be read as {kind} (")
    if layout in ("hrnet", "pytorch_pose"):
        path.write_text("{}")
        message = refused(lambda: open_mpii(root, annotations=layout).samples("train"))
        assert message == f"{path}: holds a dict; expected {kind}, a list with one object a person"


def test_pytorch_pose_says_nothing_of_a_joint_at_zero_but_that_it_is_not_labelled(root):
    row = pytorch_pose_row(1)
    row["joint_self"][2:6] = [0, 0, 1], [0, 7, 1], [7, 0, 0], [0, 0, 0]
    del row["people_index"]
    (root / "annot" / "mpii_annotations.json").write_text(json.dumps([pytorch_pose_row(0), row, pytorch_pose_row(3)]))
    _, sample = open_mpii(root).samples("train")
    assert sample.state[2:6].tolist() == [UNLABELLED, VISIBLE, HIDDEN, UNLABELLED]
    assert sample.person_id == "1"  # without both indices the row


def test_pytorch_pose_heads_of_validation_go_by_scale_and_of_train_by_the_neck(root):
    rows = [pytorch_pose_row(0), {**pytorch_pose_row(0), "isValidation": 1.0}]
    for row in rows:
        x, y, _ = row["joint_self"][8]
        row["joint_self"][9] = [x, y + 40, 1]
    (root / "annot" / "mpii_annotations.json").write_text(json.dumps(rows))
    dataset = open_mpii(root)
    assert dataset.samples("train")[0].normaliser == pytest.approx(0.75 * 40)
    assert dataset.samples("valid")[0].normaliser == pytest.approx(25 * 2)
    told = {part: [finding.what for finding in dataset.findings(part)] for part in dataset.parts}
    neck, scale = "head size unknown: taken as 0.75 x the upper neck to head top distance", "25 x raw scale"
    assert f"{neck} (first: row 0)" in told["train"]
    assert f"head size unknown: taken as {scale} (first: row 1)" in told["valid"]


def test_gt_valid_that_says_the_same_changes_nothing(root):
    write_hrnet(root / "annot")
    plain = open_mpii(root)
    (sample,) = plain.samples("valid")
    points, labelled, _, _ = people()
    fields = {
        "headboxes_src": np.array([[[0.0], [0.0]], [[30.0], [40.0]]]),
        "pos_gt_src": points[[3]].transpose(1, 2, 0) + 0.009,
        "jnt_missing": (~labelled[[3]].T | (np.arange(16) == 7)[:, None]).astype(np.uint8),
    }
    savemat(root / "annot" / "gt_valid.mat", fields)
    dataset = open_mpii(root)
    (other,) = dataset.samples("valid")
    np.testing.assert_array_equal(other.state, sample.state)
    assert other.normaliser == pytest.approx(30)
    did = notes(dataset, "valid")
    assert did["head size and scored joints taken from gt_valid.mat"] == 1
    assert not any("differs from the JSON file" in what for what in did)
    assert "head size and scored joints taken from gt_valid.mat" not in notes(dataset, "train")
    fields["pos_gt_src"] = fields["pos_gt_src"] + np.array([0, 0.005])[:, None]
    savemat(root / "annot" / "gt_valid.mat", fields)
    dataset = open_mpii(root)
    assert notes(dataset, "valid")["joints where gt_valid.mat differs from the JSON file and was believed"] == 14
    assert {finding.level for finding in dataset.findings("valid")} == {"note"}


def test_a_wrong_gt_valid_is_told_with_field_and_shape(root):
    write_hrnet(root / "annot")
    path = root / "annot" / "gt_valid.mat"
    right = {"headboxes_src": np.zeros((2, 2, 1)), "pos_gt_src": np.zeros((16, 2, 1)), "jnt_missing": np.ones((16, 1))}
    for key in right:
        for value in (np.zeros((3, 3)), np.full(right[key].shape, "x")):
            savemat(path, right | {key: value})
            message = refused(lambda: open_mpii(root).samples("valid"))
            assert message.startswith(f"{path}: field '{key}' has shape") and "expected numbers (" in message
        savemat(path, {name if name != key else f"{key}s": value for name, value in right.items()})
        message = refused(lambda: open_mpii(root).samples("valid"))
        assert str(path) in message and f"'{key}'; did you mean '{key}s'" in message and "__" not in message


def test_the_mat_names_what_of_it_is_wrong(root):
    path = root / "annot" / ANNOTATION["mat"]
    write_release(path, [image_of("000000001.jpg", [annorect(0)])], [1, 1])
    assert "1 images in annolist and 2 in img_train" in refused(lambda: open_mpii(root).samples("train"))
    write_release(path, [image_of("000000001.jpg", [annorect(0)])], [0])
    assert refused(lambda: open_mpii(root).samples("train")).startswith(f"{path}: RELEASE holds nobody")
    nameless = {"image": EMPTY, "annorect": struct(annorect(0))}
    write_release(path, [image_of("000000001.jpg", [annorect(0)]), nameless])
    message = refused(lambda: open_mpii(root).samples("train"))
    assert message.startswith(f"{path}, annolist(2).image.name: image name '' is not")
    savemat(path, {"RELEASE": np.zeros(3)})
    assert refused(lambda: open_mpii(root).samples("train")).startswith(f"{path}: holds no struct RELEASE")


def test_somebody_of_the_list_who_is_not_there_is_a_warning_with_file_and_row(root):
    write_mat(root / "annot")
    listed = root / "lists" / "valid.json"
    lost = [{**hrnet_row(3), "center": [1.0, 1.0]}, {**hrnet_row(3), "image": "000000099.jpg"}]
    listed.write_text(json.dumps([hrnet_row(3), *lost]))
    told = [f for f in open_mpii(root, valid_list=str(listed)).findings("train") if f.level == "warning"]
    what = f"people of the validation list are not in the annotation (first: {listed}, row 1)"
    assert [(finding.what, finding.count) for finding in told] == [(what, 2)]


def test_a_list_of_images_says_that_it_names_nobody(root):
    write_mat(root / "annot")
    listed = root / "lists" / "valid_images.txt"
    listed.write_text("000000003.jpg\n")
    dataset = open_mpii(root, valid_list=str(listed))
    assert notes(dataset, "valid")[
        "validation is everybody in the images of the list, which does not name people"
    ] == 2  # fmt: skip
    other = root / "lists" / "valid.csv"
    other.write_text("")
    message = refused(lambda: open_mpii(root, valid_list=str(other)).samples("valid"))
    assert message == f"{other}: a validation list is a valid.h5, a valid.json or a valid_images.txt"


def test_a_listed_centre_half_a_pixel_off_is_the_same(root):
    write_mat(root / "annot")
    listed = root / "lists" / "valid.json"
    for by, people_found in ((0.5, 1), (0.5625, 0)):
        listed.write_text(json.dumps([hrnet_row(0), {**hrnet_row(3), "center": [90.0 + by, 91.0]}]))
        valid = open_mpii(root, valid_list=str(listed)).samples("valid")
        assert [sample.person_id for sample in valid] == ["0/0", "2/0"][: 1 + people_found]


def test_the_folder_that_the_archive_unpacks_to_is_searched_last(root):
    inner = root / "mpii_human_pose_v1_u12_2"
    inner.mkdir()
    write_mat(inner)
    assert len(open_mpii(root, held_out=0.5).samples("train")) > 0
    write_hrnet(root)
    (root / "train.json").write_text(json.dumps([hrnet_row(0)]))
    assert len(open_mpii(root).samples("train")) == 1
    write_hrnet(root / "annot")
    assert len(open_mpii(root).samples("train")) == 3


def test_no_annotation_names_the_files_looked_for(root):
    message = refused(lambda: open_mpii(root, annotations="hrnet"))
    assert message.endswith(f"in {root / 'annot'}: none of train.json, valid.json")
    message = refused(lambda: open_mpii(root))
    every = "train.h5, valid.h5, train.json, valid.json, mpii_annotations.json, mpii_human_pose_v1_u12_1.mat"
    assert message == f"{root}: no annotation of MPII there or in {root / 'annot'}: none of {every}"
    write_mat(root / "annot")
    write_hrnet(root / "annot")
    message = refused(lambda: open_mpii(root, annotations="newell"))
    assert message.endswith("none of train.h5, valid.h5; found: hrnet, mat (set dataset.annotations to it)")


@pytest.mark.parametrize("layout", ["hrnet", "pytorch_pose"])
def test_list_newell_is_refused_where_the_files_hold_the_shorter(root, layout):
    WRITERS[layout](root / "annot")
    assert f"the {layout} annotation holds list hrnet" in refused(lambda: open_mpii(root, list="newell"))
    assert open_mpii(root, list="hrnet").facts.list_name == open_mpii(root).facts.list_name == "hrnet"
    message = refused(lambda: open_mpii(root, valid_list=str(root / "lists" / "valid.h5")))
    assert f"the {layout} annotation says itself" in message


def test_a_valid_list_must_be_a_file(root):
    write_mat(root / "annot")
    assert "nowhere.h5 is not a file" in refused(lambda: open_mpii(root, valid_list="nowhere.h5"))


# units of other formats


def mutated(root, layout, change):
    """Write a layout, then change every person's fields, which are called as the layout calls them."""
    annot = root / "annot"
    WRITERS[layout](annot)
    for path in annot.glob("*.json"):
        path.write_text(json.dumps([row | change(row) for row in json.loads(path.read_text())]))
    for path in annot.glob("*.h5"):
        with h5py.File(path) as file:
            fields = {key: file[key][()] for key in ("scale", "center", "visible")}
        rewrite(path, **change(fields))
    return open_mpii(root, annotations=layout)


def warned(dataset, part="train"):
    return [finding for finding in dataset.findings(part) if finding.level == "warning"]


KEYS = {"hrnet": "scale", "pytorch_pose": "scale_provided", "newell": "scale"}


@pytest.mark.parametrize("layout", KEYS)
@pytest.mark.parametrize(("factor", "wild"), [(200, True), (0.01, True), (4, False), (0.2, False)])
def test_a_scale_in_pixels_or_in_shares_is_told(root, layout, factor, wild):
    key = KEYS[layout]
    found = warned(mutated(root, layout, lambda row: {key: row[key] * factor}))
    assert bool(found) == wild
    if wild:
        told = found[0].what
        assert f"'{key}' is a person's height in pixels / 200" in told and "(first: row 0: " in told
        assert found[0].count >= 3


@pytest.mark.parametrize(("layout", "key"), [("hrnet", "center"), ("pytorch_pose", "objpos")])
@pytest.mark.parametrize(("place", "odd"), [([-1, -1], True), ([0, 0], True), ([-1, 30], False), ([0, 9], False)])
def test_a_centre_that_stands_for_none_is_told(root, layout, key, place, odd):
    found = warned(mutated(root, layout, lambda row: {key: place}))
    assert [finding.count for finding in found] == ([3] if odd else [])
    assert all(f"'{key}' is left of and above the picture" in finding.what for finding in found)


@pytest.mark.parametrize(("flag", "odd"), [(0.9, True), (0.5, True), (7, True), (2, False), (1, False), (-1, False)])
def test_a_joint_that_is_labelled_by_a_share_is_told_with_its_name(root, flag, odd):
    found = warned(mutated(root, "hrnet", lambda row: {"joints_vis": [1] * 10 + [flag] + [1] * 5}))
    assert [finding.count for finding in found] == ([3] if odd else [])
    if odd:
        assert "'joints_vis' is a flag" in found[0].what and f"(first: row 0, r_wrist: {flag:g})" in found[0].what


OTHER_FLAGS = {
    "newell": ("visible", lambda fields: {"visible": np.where(fields["visible"] > 0, 0.7, 0)}),
    "pytorch_pose": ("joint_self", lambda row: {"joint_self": [[x, y, 0.5 * v] for x, y, v in row["joint_self"]]}),
}


@pytest.mark.parametrize("layout", OTHER_FLAGS)
def test_visibilities_of_other_layouts_are_looked_at_too(root, layout):
    key, change = OTHER_FLAGS[layout]
    (found,) = warned(mutated(root, layout, change))
    assert f"'{key}' is a flag" in found.what


def test_a_scale_of_the_mat_in_pixels_is_told(root):
    write_release(root / "annot" / "mpii_human_pose_v1_u12_1.mat", [image_of(IMAGES[0], [annorect(0, scale=400.0)])])
    found = [one for part in ("train", "valid") for one in warned(open_mpii(root, annotations="mat"), part)]
    assert any("'scale' is a person's height in pixels / 200" in finding.what for finding in found)
