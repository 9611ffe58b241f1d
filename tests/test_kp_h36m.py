"""The h36m data set: files built to the published structures, a known camera's scale and depth, and hostile files.

Human3.6M itself may not be passed on: nothing here is of it.
"""

from __future__ import annotations

import io
import re
import shutil
import struct
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hand_made import refused, told
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kp_h36m.names import frontal, image_name, part_of, subject
from kp_h36m.projection import by_camera, fitted, plausible, relative_depth, size_of
from kp_h36m.skeleton import H36M, ORDER, SPIN

from kpcore.audit.check import check_part
from kpcore.errors import KpError
from kpcore.reading.paths import Images
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.study.data import read_part
from kpcore.tensors import UNLABELLED, VISIBLE

NOWHERE = Path("none")
FOCAL, MIDDLE = 1145.0, 512.0
TRAIN = ["S1_Posing_1.54138969_000001.jpg", "S5_Walking.60457274_000006.jpg", "S8_Eating_1.55011271_000011.jpg"]
VALID = ["S9_Posing_1.55011271_000001.jpg", "S11_Posing_1.60457274_000001.jpg", "S9_Posing.60457274_000006.jpg"]
SPIN_NAMES = [
    "r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "r_wrist", "r_elbow",
    "r_shoulder", "l_shoulder", "l_elbow", "l_wrist", "neck", "head_top", "pelvis", "thorax",
    "spine", "jaw", "head", "nose", "l_eye", "r_eye", "l_ear", "r_ear",
]  # fmt: skip


def body(people=3, seed=0):
    """Return (N, 17, 3) mm in the camera's axes, the pelvis 4 to 6 m away."""
    random = np.random.default_rng(seed)
    space = random.uniform(-600, 600, (people, 17, 3))
    space[:, 0] = 0
    away = np.stack([random.uniform(-300, 300, (people, 2))[:, i] for i in (0, 1)] + [4000 + 1000 * np.arange(people)])
    return space + away.T[:, None]


def weak(space):
    """Project as if all joints were as far as the pelvis: (N, 17, 2) px, and (N,) mm a pixel."""
    scale = space[:, 0, 2] / FOCAL
    return MIDDLE + space[..., :2] / scale[:, None, None], scale


def full(space):
    return MIDDLE + FOCAL * space[..., :2] / space[..., 2:]


def c2f(path, names, text=True, drop=(), **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    space = body(len(names))
    arrays = {
        "S": space,
        "part": weak(space)[0],
        "center": np.full((len(names), 2), MIDDLE),
        "scale": [2.0] * len(names),
    }
    with h5py.File(path, "w") as file:
        for key, value in {**arrays, **changes}.items():
            if key not in drop and value is not None:
                file[key] = value
    if text:
        path.with_name(f"{path.stem}_images.txt").write_text("".join(f"{name}\n" for name in names))


def both_c2f(root, **changes):
    c2f(root / "annot" / "train.h5", TRAIN, **changes)
    c2f(root / "annot" / "valid.h5", VALID, **changes)
    return root


def spin_arrays(names):
    space = body(len(names))
    joints, parts = np.zeros((len(names), 24, 4)), np.zeros((len(names), 24, 3))
    joints[:, SPIN, :3], joints[:, SPIN, 3] = (space - space[:, :1]) / 1000, 1
    parts[:, SPIN, :2], parts[:, SPIN, 2] = weak(space)[0], 1
    return {
        "imgname": np.array([f"images/{name}" for name in names]), "center": np.full((len(names), 2), MIDDLE),
        "scale": np.full(len(names), 2.0), "part": parts, "S": joints,
    }  # fmt: skip


def spin(path, names, drop=(), **changes):
    np.savez(path, **{key: value for key, value in {**spin_arrays(names), **changes}.items() if key not in drop})


def both_spin(root, **changes):
    spin(root / "h36m_train.npz", TRAIN, **changes)
    spin(root / "h36m_valid_protocol1.npz", VALID, **changes)
    return root


def open_h36m(root, **options):
    return registry().build("dataset", "h36m", {"root": str(root), **options}, where="dataset")


def everything(root, **options):
    """Whatever a study does with a data set before training."""
    data = open_h36m(root, **options)
    for part in data.parts:
        data.samples(part), data.findings(part)
    return data


def notes(data, part):
    return {finding.what: finding.count for finding in data.findings(part)}


# what is known of the skeleton and of names


def test_skeleton_is_mpiis_where_it_is_the_same_joint():
    mpii = registry().component("dataset", "mpii").default_skeleton
    assert H36M.dims == 3 and len(H36M.names) == 17
    assert set(mpii.names) - set(H36M.names) == set()
    assert set(H36M.names) - set(mpii.names) == {"spine"}
    assert all((H36M[name].mirror, H36M[name].group) == (mpii[name].mirror, mpii[name].group) for name in mpii.names)
    assert len(H36M.edges) == 16 and {end for edge in H36M.edges for end in edge} == set(ORDER)


def test_spin_order_by_names():
    same = {"thorax": "neck", "upper_neck": "jaw", "head_top": "head"}
    assert [SPIN_NAMES[place] for place in SPIN] == [same.get(name, name) for name in ORDER]


@pytest.mark.parametrize(
    ("name", "number", "part"),
    [
        ("S9_Posing_1.55011271_000001.jpg", 9, "valid"),
        ("S11_Directions.60457274_000001.jpg", 11, "valid"),
        ("S1/Directions/a.jpg", 1, "train"),
        ("s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg", 1, "train"),
        ("S2_Posing.55011271_000001.jpg", 2, None),
        ("S10_Posing.55011271_000001.jpg", 10, None),
        ("S99x.jpg", None, None),
        ("Posing_S1.jpg", None, None),
        ("", None, None),
    ],
)
def test_subject(name, number, part):
    assert (subject(name), part_of(name)) == (number, part)


def test_frontal_camera():
    assert [frontal(name) for name in VALID] == [False, True, True]
    assert frontal("s_09_act_02_subact_01_ca_04/s_09_act_02_subact_01_ca_04_000001.jpg")
    assert not frontal("s_04_act_04_subact_04_ca_01_000004.jpg")


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "..\\b.jpg", "C:a.jpg", "", "a\n.jpg", "a//"]
)
def test_image_name_stays_in_the_folder(name):
    refused(lambda: image_name(name, "here", Images(NOWHERE)), "here", "below the folder of images")


def test_image_name_without_ending_is_jpg():
    assert image_name("images/S9_Posing_1.55011271_000001", "", Images(NOWHERE)) == VALID[0]
    assert image_name(VALID[0], "", Images(NOWHERE)) == VALID[0]


# golden values


@pytest.mark.parametrize("write", [both_c2f, both_spin])
def test_known_camera(tmp_path, write):
    data = open_h36m(write(tmp_path))
    space = body()
    pixels, scale = weak(space)
    assert data.parts == ("train", "valid")
    for part, names in (("train", TRAIN), ("valid", VALID)):
        samples = data.samples(part)
        assert [s.image_id for s in samples] == names and [s.row for s in samples] == [0, 1, 2]
        assert [s.image for s in samples] == [tmp_path / "images" / name for name in names]
        assert np.allclose([s.mm_per_px for s in samples], scale, atol=1e-3, rtol=0)
        depth = (space[..., 2] - space[:, :1, 2]) / scale[:, None]
        assert np.allclose([s.points[:, 2] for s in samples], depth, atol=1e-3, rtol=0)
        assert np.allclose([s.points[:, :2] for s in samples], pixels, atol=1e-3, rtol=0)
        assert np.allclose([s.normaliser for s in samples], 150 / scale)
        assert all((s.state == VISIBLE).all() and s.points.dtype == np.float32 for s in samples)
    assert data.samples("valid")[1].person_id == "S11"


def test_millimetres_come_back(tmp_path):
    people = Instances.of(open_h36m(both_spin(tmp_path)).samples("train"))
    space = body()
    millimetres = (people.points - people.points[:, :1]) * people.mm_per_px[:, None, None]
    assert np.allclose(millimetres, space - space[:, :1], atol=0.05)


def test_intrinsics_give_scale_at_the_pelvis_where_there_are_some(tmp_path):
    space, camera = body(), np.array([[FOCAL, 0, MIDDLE], [0, FOCAL, MIDDLE], [0, 0, 1]])
    both_c2f(tmp_path, part=full(space), K=np.stack([camera] * 3))
    exact = [s.mm_per_px for s in open_h36m(tmp_path).samples("train")]
    assert np.allclose(exact, space[:, 0, 2] / FOCAL, atol=1e-6)
    assert "millimetres a pixel by the camera's focal length" in notes(open_h36m(tmp_path), "train")
    both_c2f(tmp_path, part=full(space))
    fit = [s.mm_per_px for s in open_h36m(tmp_path).samples("train")]
    assert np.allclose(fit, exact, rtol=0.1) and not np.allclose(fit, exact, rtol=1e-3)


def test_intrinsics_without_depths_are_not_used(tmp_path):
    space = body()
    relative = space - space[:, :1]
    both_c2f(tmp_path, S=relative, K=np.stack([np.eye(3)] * 3))
    assert np.allclose([s.mm_per_px for s in open_h36m(tmp_path).samples("train")], weak(space)[1])


@pytest.mark.parametrize("matrix", [np.eye(3)[:2], np.full((3, 3), b"x"), np.eye(4)])
def test_intrinsics_that_are_no_matrices_of_numbers_are_not_used(tmp_path, matrix):
    space = body()
    both_c2f(tmp_path, part=full(space), K=np.stack([matrix] * 3))
    found = [s.mm_per_px for s in open_h36m(tmp_path).samples("train")]
    both_c2f(tmp_path, part=full(space))
    assert found == [s.mm_per_px for s in open_h36m(tmp_path).samples("train")]


def test_by_camera_and_depth_by_hand():
    space = np.zeros((1, 17, 3))
    space[:, :, 2] = 5000
    space[:, 10, 2] = 4900
    scale = by_camera(space, np.array([[[1000.0, 0, 0], [0, 1000, 0], [0, 0, 1]]]))
    assert scale.tolist() == [5.0]
    assert relative_depth(space, scale)[0, [0, 9, 10]].tolist() == [0, 0, -20]


def test_fit_by_hand():
    space, pixels = np.zeros((1, 17, 3)), np.zeros((1, 17, 2))
    space[0, 1], space[0, 2], space[0, 3] = (100, 0, 7), (0, 200, 9), (1e6, 1e6, 0)
    pixels[0, 1], pixels[0, 2] = (30, 0), (0, 40)
    labelled = np.arange(17) < 3
    scale, missed = fitted(pixels, space, labelled[None])
    # s = (30 x 100 + 40 x 200) / (100^2 + 200^2) = 0.22
    assert scale[0] == pytest.approx(1 / 0.22)
    assert missed[0] == pytest.approx(np.sqrt((8**2 + 4**2) / (30**2 + 40**2)))


@settings(deadline=None, max_examples=25)
@given(scale=st.floats(0.5, 50), x=st.floats(-500, 500), seed=st.integers(0, 10**6))
def test_fit_finds_any_weak_perspective(scale, x, seed):
    space = body(2, seed)
    scales, missed = fitted(x + space[..., :2] / scale, space, np.ones((2, 17), bool))
    assert np.allclose(scales, scale) and (missed < 1e-6).all()


@pytest.mark.parametrize("write", [both_c2f, both_spin])
def test_crops_hold_all_joints_and_are_200_px_a_unit_of_scale(tmp_path, write):
    write(tmp_path, scale=np.array([9.0, 0.01, 2.0]))
    wide, narrow, _ = open_h36m(tmp_path).samples("train")
    assert wide.side == pytest.approx(1800)
    away = np.abs(narrow.points[:, :2] - narrow.centre).max()
    assert narrow.side == pytest.approx(2.2 * away, rel=1e-5)


# the layouts and their variants


def test_matlab_axes_agree(tmp_path):
    space = body()
    for folder, swap in (("a", False), ("b", True)):
        turn = (0, 2, 1) if swap else (0, 1, 2)
        both_c2f(tmp_path / folder, S=space.transpose(turn), part=weak(space)[0].transpose(turn), scale=[[2.0]] * 3)
    one, other = (open_h36m(tmp_path / folder).samples("valid") for folder in "ab")
    assert all(np.array_equal(s.points, t.points) for s, t in zip(one, other, strict=True))


def test_other_file_names_and_names_in_the_file(tmp_path):
    for part, names in (("train", TRAIN), ("valid", VALID)):
        text = np.array([name.encode() for name in names])
        c2f(tmp_path / f"h36m_{part}.h5", names, text=False, imgname=text)
    assert [s.image_id for s in open_h36m(tmp_path).samples("valid")] == VALID
    c2f(tmp_path / "h36m_train.h5", TRAIN, text=False)
    (tmp_path / "train_images.txt").write_text("\r\n".join(TRAIN))
    assert [s.image_id for s in open_h36m(tmp_path).samples("train")] == TRAIN


def test_layouts_agree(tmp_path):
    both_c2f(tmp_path)
    both_spin(tmp_path)
    one, other = (open_h36m(tmp_path, annotations=name).samples("train") for name in ("c2f", "spin"))
    assert all(np.allclose(s.points, t.points, atol=1e-3) for s, t in zip(one, other, strict=True))
    assert notes(open_h36m(tmp_path, annotations="c2f"), "train")["'S' is in millimetres"] == 3
    assert notes(open_h36m(tmp_path, annotations="spin"), "train")["'S' is in metres"] == 3


def test_one_file_is_divided_by_subject(tmp_path):
    names = [VALID[0], TRAIN[0], "S2_Posing.55011271_000001.jpg", VALID[1], TRAIN[1]]
    spin(tmp_path / "h36m_train.npz", names)
    data = open_h36m(tmp_path)
    assert data.parts == ("train", "valid")
    assert [(s.row, s.image_id) for s in data.samples("train")] == [(1, TRAIN[0]), (4, TRAIN[1])]
    assert [s.row for s in data.samples("valid")] == [0, 3]
    assert notes(data, "train")["subjects neither of train nor of valid, left out (first: S2, row 2)"] == 1
    refused(lambda: data.samples("test"), "unknown part 'test'", "train, valid")


def test_only_training_subjects_is_one_part(tmp_path):
    spin(tmp_path / "h36m_train.npz", TRAIN)
    assert open_h36m(tmp_path).parts == ("train",)


def test_subjects_of_the_other_part_are_left_out_of_a_file(tmp_path):
    both_c2f(tmp_path)
    c2f(tmp_path / "annot" / "train.h5", [*TRAIN, VALID[0]])
    data = open_h36m(tmp_path)
    assert [s.image_id for s in data.samples("train")] == TRAIN
    assert notes(data, "train")["rows in the train file of the other part's subjects, left out"] == 1
    images = [{s.image_id for s in data.samples(part)} for part in data.parts]
    assert not images[0] & images[1]


def test_protocol_2_scores_the_frontal_camera(tmp_path):
    both_spin(tmp_path)
    data = open_h36m(tmp_path, protocol=2)
    assert [s.image_id for s in data.samples("valid")] == VALID[1:] and len(data.samples("train")) == 3
    assert data.facts.list_name == "protocol 2"
    spin(tmp_path / "h36m_valid_protocol2.npz", VALID[2:])
    assert [s.row for s in open_h36m(tmp_path, protocol=2).samples("valid")] == [0]
    spin(tmp_path / "h36m_valid_protocol2.npz", VALID[:1])
    refused(lambda: open_h36m(tmp_path, protocol=2).samples("valid"), "60457274", "protocol = 1")


def test_protocol_2_alone_is_told(tmp_path):
    spin(tmp_path / "h36m_valid_protocol2.npz", VALID[1:])
    refused(lambda: open_h36m(tmp_path), "set protocol = 2")
    assert open_h36m(tmp_path, protocol=2).parts == ("valid",)


def test_stride(tmp_path):
    names = [f"S1_Posing_1.54138969_{frame:06d}.jpg" for frame in range(1, 8)]
    spin(tmp_path / "h36m_train.npz", names)
    assert [s.row for s in open_h36m(tmp_path, stride=3).samples("train")] == [0, 3, 6]
    refused(lambda: open_h36m(tmp_path, stride=0), "stride")


# what is not labelled, and what cannot be used


def test_unlabelled_joints(tmp_path):
    arrays = spin_arrays(TRAIN)
    arrays["part"][0, SPIN[3], 2] = 0
    arrays["S"][1, SPIN[4], 3] = 0
    arrays["S"][2, SPIN[5], 2] = np.nan
    spin(tmp_path / "h36m_train.npz", TRAIN, **arrays)
    data = open_h36m(tmp_path)
    for place, sample in enumerate(data.samples("train")):
        assert np.flatnonzero(sample.state == UNLABELLED).tolist() == [3 + place]
        assert np.isnan(sample.points[3 + place]).all() and np.isfinite(np.delete(sample.points, 3 + place, 0)).all()
    assert notes(data, "train")["joints at no possible place, taken as unlabelled (first: row 2)"] == 1


def test_c2f_joint_at_zero_is_unlabelled(tmp_path):
    pixels = weak(body())[0]
    pixels[0, 8], pixels[0, 9] = 0, (-3, 0)
    both_c2f(tmp_path, part=pixels)
    assert np.flatnonzero(open_h36m(tmp_path).samples("train")[0].state == UNLABELLED).tolist() == [8]


def test_rows_that_cannot_be_used_are_left_out_and_named(tmp_path):
    names = [f"S1_Posing_1.54138969_{frame:06d}.jpg" for frame in range(1, 7)]
    arrays = spin_arrays(names)
    arrays["part"][1, SPIN[0], 2] = 0  # no pelvis
    arrays["part"][2, SPIN[1:], 2] = 0  # nothing but it
    arrays["S"][3, :, :2] *= -1  # mirrored through the camera's axis
    arrays["center"][4, 0] = np.inf
    arrays["scale"][5] = -1
    spin(tmp_path / "h36m_train.npz", names, **arrays)
    data = open_h36m(tmp_path)
    found = notes(data, "train")
    assert [s.row for s in data.samples("train")] == [0]
    assert found["pelvis not labelled, left out (first: row 1)"] == 1
    assert found["no millimetres a pixel can be fitted, left out (first: row 2)"] == 2
    assert found["no crop: 'center' or 'scale' is no possible number, left out (first: row 4)"] == 2


def test_space_that_is_not_the_cameras_is_an_error(tmp_path):
    space = body()
    both_c2f(tmp_path, S=space[..., [0, 2, 1]], part=weak(space)[0])
    errors = [f for f in open_h36m(tmp_path).findings("train") if f.level == "error"]
    assert len(errors) == 1 and "camera's axes" in errors[0].what


@pytest.mark.parametrize(("factor", "span"), [(1e-5, "0.0"), (30, "2"), (1e200, "inf"), (0, "")])
def test_units(tmp_path, factor, span):
    both_c2f(tmp_path, S=body() * factor)
    if factor:
        refused(lambda: open_h36m(tmp_path).samples("train"), "train.h5", "'S' spans " + span, "millimetres")
    else:
        assert not open_h36m(tmp_path).samples("train")


def test_check_finds_nothing_wrong(tmp_path):
    both_c2f(tmp_path)
    (tmp_path / "images").mkdir()
    for name in TRAIN + VALID:
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((1002, 1000), np.uint8))
    for part in ("train", "valid"):
        found = check_part(open_h36m(tmp_path), part, decode=False)
        assert not [f for f in found if f.level == "error"], found


def test_described(tmp_path):
    data = open_h36m(both_c2f(tmp_path))
    assert (data.label, data.facts.default_metric, data.facts.origin) == ("Human3.6M", "mpjpe", 0)
    assert data.facts.normaliser == "150 mm at the pelvis' distance"


# the fingerprint


def test_fingerprint_changes_with_what_makes_samples(tmp_path):
    def prints(**options):
        data = open_h36m(tmp_path, **options)
        return [read_part(data, part).fingerprint for part in ("train", "valid")]

    both_c2f(tmp_path)
    (tmp_path / "images").mkdir()
    for name in (*TRAIN, *VALID):
        (tmp_path / "images" / name).write_bytes(b"image")
    first = prints()
    assert first == prints() and first[0] != first[1]
    assert all(one != other for one, other in zip(first, prints(stride=2), strict=True))
    assert [one == other for one, other in zip(first, prints(protocol=2), strict=True)] == [True, False]
    (tmp_path / "images" / TRAIN[0]).write_bytes(b"other")
    second = prints()
    assert [one == other for one, other in zip(first, second, strict=True)] == [False, True]
    both_c2f(tmp_path, scale=[2.0, 2.0, 2.5])
    assert second[0] != prints()[0]


# files that are wrong, damaged or hostile


class Trap:
    """Unpickling one of these would say so."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("key", ["S", "part", "center", "scale", "imgname"])
def test_pickles_are_never_loaded(tmp_path, key):
    value = np.empty(3, object)
    value[:] = [Trap()] * 3
    spin(tmp_path / "h36m_train.npz", TRAIN, **{key: value})
    refused(lambda: everything(tmp_path), "h36m_train.npz", key)


def test_object_names_are_refused_with_what_to_do(tmp_path):
    spin(tmp_path / "h36m_train.npz", TRAIN, imgname=np.array(TRAIN, object))
    refused(lambda: everything(tmp_path), "'imgname' holds pickled Python objects", "plain array")


@pytest.mark.parametrize("name", ["data_3d_h36m.npz", "data_2d_h36m_gt.npz", "data_2d_h36m_cpn_ft_h36m_dbb.npz"])
def test_videopose3d_is_refused_with_what_to_do(tmp_path, name):
    np.savez(tmp_path / name, positions_3d=np.array({"S1": Trap()}, object))
    refused(lambda: open_h36m(tmp_path), name, "VideoPose3D", "never loaded", "c2f-vol", "SPIN")


def test_spin_validation_without_pixels_is_told(tmp_path):
    both_spin(tmp_path)
    spin(tmp_path / "h36m_valid_protocol1.npz", VALID, drop=["part"])
    data = open_h36m(tmp_path)
    assert len(data.samples("train")) == 3
    refused(lambda: data.samples("valid"), "h36m_valid_protocol1.npz", "'part'", "D2_Positions")


@pytest.mark.parametrize("write", [both_c2f, both_spin])
@pytest.mark.parametrize("key", ["S", "part", "center", "scale"])
@pytest.mark.parametrize(
    "value", [np.zeros((2, 5)), np.zeros(()), np.array(["a", "b", "c"], "S1"), np.zeros((0, 24, 4))]
)
def test_wrong_shapes_and_types(tmp_path, write, key, value):
    write(tmp_path, **{key: value})
    refused(lambda: everything(tmp_path), str(tmp_path), key)


@pytest.mark.parametrize("write", [both_c2f, both_spin])
@pytest.mark.parametrize("key", ["S", "part", "center", "scale"])
def test_missing_arrays(tmp_path, write, key):
    write(tmp_path, drop=[key])
    refused(lambda: everything(tmp_path), key)


@pytest.mark.parametrize("write", [both_c2f, both_spin])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e300, -1e300])
@pytest.mark.parametrize("key", ["S", "part", "center", "scale"])
def test_numbers_that_are_none(tmp_path, write, key, number):
    write(tmp_path)
    space, pixels = body(), weak(body())[0]
    arrays = {"S": space, "part": pixels, "center": np.full((3, 2), 500.0), "scale": np.full(3, 2.0)}
    if write is both_spin:
        arrays = spin_arrays(TRAIN)
    arrays[key].reshape(3, -1)[1, -1 if key in ("center", "scale") else slice(None)] = number
    write(tmp_path, **{key: arrays[key]})
    for part in ("train", "valid"):
        data = open_h36m(tmp_path)
        assert [s.row for s in data.samples(part)] == [0, 2]
        assert any(f.level == "warning" and "row 1" in f.what for f in data.findings(part))
        assert all(s.normaliser > 0 and np.isfinite([s.side, s.mm_per_px]).all() for s in data.samples(part))


def test_names_missing_or_not_as_many(tmp_path):
    both_c2f(tmp_path)
    (tmp_path / "annot" / "valid_images.txt").write_text("\n".join(VALID[:2]))
    refused(lambda: open_h36m(tmp_path), "valid_images.txt", "2 image names for 3 people")
    (tmp_path / "annot" / "valid_images.txt").unlink()
    refused(lambda: open_h36m(tmp_path), "valid.h5", "'imgname'", "valid_images.txt")
    (tmp_path / "annot" / "valid_images.txt").write_bytes(b"\xff\x00" * 9)
    refused(lambda: open_h36m(tmp_path), "valid_images.txt", "is not text in UTF-8 (byte 0)")
    both_spin(tmp_path, imgname=np.array(TRAIN[:2]))
    refused(lambda: open_h36m(tmp_path, annotations="spin"), "'imgname'", "(2,)")


@pytest.mark.parametrize(
    "name", ["Posing_1.54138969_000001.jpg", "SX_Posing.jpg", "../../S1_Posing.jpg", "", "S1_\x07.jpg"]
)
def test_bad_names(tmp_path, name):
    spin(tmp_path / "h36m_train.npz", TRAIN, imgname=np.array([TRAIN[0], name, TRAIN[2]]))
    refused(lambda: open_h36m(tmp_path), "row 1")


def test_nobody_of_the_seven_subjects(tmp_path):
    spin(tmp_path / "h36m_train.npz", ["S2_a.jpg", "S3_a.jpg"])
    refused(lambda: open_h36m(tmp_path), "nobody is of subjects")


@pytest.mark.parametrize(("write", "name"), [(both_c2f, "annot/train.h5"), (both_spin, "h36m_train.npz")])
def test_truncated_and_damaged(tmp_path, write, name):
    write(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for content in (b"", b"junk" * 99, whole[: len(whole) // 2], whole[:60], whole[len(whole) // 3 :]):
        (tmp_path / name).write_bytes(content)
        refused(lambda: everything(tmp_path), name.split("/")[-1])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_any_changed_byte_of_an_npz_is_one_line_or_nothing(tmp_path, place, value):
    both_spin(tmp_path)
    path = tmp_path / "h36m_train.npz"
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(content)
    try:
        everything(tmp_path)
    except KpError as error:
        assert "\n" not in str(error)


def npy(header, data=b""):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def rezip(path, **members):
    """Rewrite a .npz with other bytes for some members, stored and compressed."""
    with zipfile.ZipFile(path) as file:
        held = {name: file.read(name) for name in file.namelist()}
    held |= {f"{key}.npy": value for key, value in members.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in held.items():
            file.writestr(name, content)


@pytest.mark.parametrize(
    "shape",
    ["(1000000000000, 24, 4)", "(9000000, 24, 4)", "(-1, 24, 4)", "(4, 24, 4)", "(2, 24, 4)", "(3.0, 24, 4)", "()"],
)
def test_declared_sizes_are_checked(tmp_path, shape):
    both_spin(tmp_path)
    data = np.zeros((3, 24, 4)).tobytes()
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    rezip(tmp_path / "h36m_train.npz", S=npy(header, data))
    refused(lambda: everything(tmp_path), "h36m_train.npz")


@pytest.mark.parametrize(
    "header", ["(" * 100, "[" * 117, "{'descr': __import__('os')}", "{}", "\0" * 50, "{'descr': 'O'}"]
)
def test_headers_are_data(tmp_path, header):
    both_spin(tmp_path)
    rezip(tmp_path / "h36m_train.npz", S=npy(header))
    refused(lambda: everything(tmp_path), "h36m_train.npz")


def test_zip_bomb(tmp_path):
    both_spin(tmp_path)
    rows = 2**27 // (24 * 4 * 8) + 1
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, 24, 4), }}"
    names = io.BytesIO()
    np.save(names, np.array([TRAIN[0]]).repeat(rows))
    part = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, 24, 3), }}"
    rezip(
        tmp_path / "h36m_train.npz", S=npy(header, bytes(rows * 24 * 4 * 8)), part=npy(part, bytes(rows * 24 * 3 * 8)),
        imgname=names.getvalue(),
    )  # fmt: skip
    assert (tmp_path / "h36m_train.npz").stat().st_size < 2**20
    refused(lambda: everything(tmp_path), "declares", "stored ones")


@pytest.mark.parametrize("rows", [10**9, 300_000])
def test_hdf5_that_declares_more_than_it_holds(tmp_path, rows):
    names = [TRAIN[0]] * (rows if rows < 10**6 else 3)
    both_c2f(tmp_path)
    with h5py.File(tmp_path / "annot" / "train.h5", "a") as file:
        for key, dims in (("S", 3), ("part", 2)):
            del file[key]
            file.create_dataset(key, (rows, 17, dims), "f8", chunks=(1000, 17, dims))
    (tmp_path / "annot" / "train_images.txt").write_text("".join(f"{name}\n" for name in names))
    refused(lambda: everything(tmp_path), "train.h5", "declares")


def test_hdf5_that_points_elsewhere(tmp_path):
    both_c2f(tmp_path)
    path = tmp_path / "annot" / "train.h5"
    with h5py.File(path, "a") as file:
        del file["part"]
        file["part"] = h5py.ExternalLink("valid.h5", "/part")
    refused(lambda: everything(tmp_path), "train.h5", "part")
    with h5py.File(path, "a") as file:
        del file["part"]
        file.create_dataset("part", (3, 17, 2), "f8", external=[(str(tmp_path / "raw"), 0, 3 * 17 * 2 * 8)])
    refused(lambda: everything(tmp_path), "train.h5", "another file")


def test_the_other_parts_damage_is_told(tmp_path):
    both_c2f(tmp_path)
    (tmp_path / "annot" / "valid.h5").write_bytes(b"junk")
    refused(lambda: open_h36m(tmp_path), "valid.h5")


# recognised where it is, and nowhere else


def test_roots(tmp_path, monkeypatch):
    monkeypatch.delenv("KP_H36M_ROOT", raising=False)
    build = registry().build
    refused(lambda: build("dataset", "h36m", {}, where="dataset"), "KP_H36M_ROOT")
    refused(lambda: open_h36m(tmp_path / "no"), "not a folder")
    refused(lambda: open_h36m(tmp_path), "h36m_train.npz", "train.h5")
    monkeypatch.setenv("KP_H36M_ROOT", str(both_c2f(tmp_path)))
    assert build("dataset", "h36m", {}, where="dataset").parts == ("train", "valid")
    shutil.rmtree(tmp_path / "annot")
    refused(lambda: open_h36m(tmp_path, annotations="spin"), str(tmp_path))


def test_newells_mpii_is_not_taken(tmp_path):
    both_c2f(tmp_path, drop=["S"], part=np.zeros((3, 16, 2)), visible=np.ones((3, 16)), normalize=np.ones(3))
    text = refused(lambda: open_h36m(tmp_path), "train.h5", "not Human3.6M's", "S")
    assert re.search(r"normalize.*part.*visible", text)


def test_mpii_and_h36m_in_one_folder(tmp_path):
    both_c2f(tmp_path, drop=["S"], part=np.zeros((3, 16, 2)))
    both_spin(tmp_path)
    assert notes(open_h36m(tmp_path), "train")["'S' is in metres"] == 3


def test_other_data_sets_refuse_it(tmp_path):
    both_spin(tmp_path)
    for name in ("mpii", "coco"):
        refused(lambda name=name: registry().build("dataset", name, {"root": str(tmp_path)}, where="dataset"))


def test_mpii_does_not_take_these_files_for_its_own(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "annot").mkdir()
    with h5py.File(tmp_path / "annot" / "train.h5", "w") as file:
        file["part"] = np.zeros((3, 17, 2))
    with pytest.raises(KpError, match=r"'part' is \(3, 17, 2\).*another data set's file"):
        registry().build("dataset", "mpii", {"root": str(tmp_path)}, where="test")


def test_the_skeletons_order_and_bones():
    assert " ".join(ORDER) == (
        "pelvis r_hip r_knee r_ankle l_hip l_knee l_ankle spine thorax upper_neck head_top l_shoulder l_elbow l_wrist"
        " r_shoulder r_elbow r_wrist"
    )
    bones = [(ORDER.index(one), ORDER.index(other)) for one, other in H36M.edges]
    assert bones == [
        (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10), (8, 11), (11, 12), (12, 13),
        (8, 14), (14, 15), (15, 16),
    ]  # fmt: skip


def test_the_findings_in_order_with_level_and_count(tmp_path):
    both_c2f(tmp_path)
    assert told(open_h36m(tmp_path)) == [
        ("note", "pixels are taken as they are: counted from 0", 3),
        ("note", "'S' is in millimetres", 3),
        ("note", "millimetres a pixel fitted to the joints, person by person", 3),
    ]
    assert told(open_h36m(tmp_path, stride=2))[0][2] == 2
    c2f(tmp_path / "annot" / "train.h5", [*TRAIN, VALID[0], "S2_a.jpg"])
    assert told(open_h36m(tmp_path))[3:] == [
        ("warning", "rows in the train file of the other part's subjects, left out", 1),
        ("warning", "subjects neither of train nor of valid, left out (first: S2, row 4)", 1),
    ]


def one_row(root, **changes):
    """One person whose pelvis is at (500, 500), 4 mm a pixel; returns the data."""
    space, pixels = np.zeros((1, 17, 3)), np.full((1, 17, 2), 500.0)
    space[0, 1:, :2] = 40 * np.arange(1, 33).reshape(16, 2)
    pixels[0, 1:] += space[0, 1:, :2] / 4
    arrays = {"S": space, "part": pixels, "center": np.full((1, 2), 500.0), "scale": [1.0]} | changes
    c2f(root / "annot" / "train.h5", TRAIN[:1], **arrays)
    return open_h36m(root)


def test_a_crop_is_200_pixels_a_unit_of_scale_or_holds_the_farthest_joint(tmp_path):
    for scale, side in ((4.0, 800), (3.0, 2 * 1.1 * 320)):
        (sample,) = one_row(tmp_path, scale=[scale]).samples("train")
        assert sample.side == pytest.approx(side)
        assert (sample.mm_per_px, sample.normaliser) == (pytest.approx(4), pytest.approx(150 / 4))


def test_no_crop_is_narrower_than_32_pixels(tmp_path):
    pixels = np.full((1, 17, 2), 500.0)
    space = np.zeros((1, 17, 3))
    pixels[0, 1:, 0], space[0, 1:, 0] = 501, 900
    (sample,) = one_row(tmp_path, part=pixels, S=space, scale=[0.01]).samples("train")
    assert (sample.side, sample.mm_per_px) == (32, pytest.approx(900))


@pytest.mark.parametrize(
    ("scale", "used"), [(0.0, False), (-1.0, False), (499.9, True), (500.0, False), (np.inf, False)]
)
def test_a_scale_is_above_0_and_below_100000_pixels(tmp_path, scale, used):
    data = one_row(tmp_path, scale=[scale])
    assert len(data.samples("train")) == used
    what = "no crop: 'center' or 'scale' is no possible number, left out (first: row 0)"
    assert (("warning", what, 1) in told(data)) == (not used)


@pytest.mark.parametrize(("centre", "used"), [(99_999.0, True), (1e5, False), (-99_999.0, True), (-1e5, False)])
def test_a_centre_is_a_place_below_100000_pixels(tmp_path, centre, used):
    assert len(one_row(tmp_path, center=np.array([[centre, 5.0]])).samples("train")) == used


def test_joints_at_no_possible_place_are_unlabelled_in_picture_and_space(tmp_path):
    space = body()
    pixels, _ = weak(space)
    pixels[1, 2, 0], pixels[1, 3, 1], pixels[1, 4, 0] = 1e5, -1e5, 99_999
    space[1, 5, 2], space[1, 6, 2] = 1e6, 999_999
    both_c2f(tmp_path, part=pixels, S=space)
    data = open_h36m(tmp_path)
    state = data.samples("train")[1].state
    assert np.flatnonzero(state == UNLABELLED).tolist() == [2, 3, 5]
    assert told(data)[2] == ("warning", "joints at no possible place, taken as unlabelled (first: row 1)", 1)


@pytest.mark.parametrize(
    ("reach", "unit"),
    [(0.049, None), (0.051, "metres"), (19.9, "metres"), (20.5, None), (49.0, None), (51.0, "millimetres"),
     (19_900.0, "millimetres"), (20_100.0, None)],
)  # fmt: skip
def test_the_unit_is_told_by_the_bodys_size(tmp_path, reach, unit):
    space = np.zeros((1, 17, 3))
    space[0, 1:, 0] = reach
    if unit is None:
        refused(lambda: one_row(tmp_path, S=space).samples("train"), "train.h5: 'S' spans", "from the pelvis")
    else:
        assert told(one_row(tmp_path, S=space))[1] == ("note", f"'S' is in {unit}", 1)


@pytest.mark.parametrize(("share", "odd"), [(0.19, False), (0.21, True)])
def test_a_fit_that_misses_by_over_a_fifth_is_odd(tmp_path, share, odd):
    space, pixels = np.zeros((2, 17, 3)), np.full((2, 17, 2), 500.0)
    space[:, 1:, 0] = 400
    pixels[:, 1:, 0] += 100
    off = 100 * share / np.sqrt(1 - share**2)
    pixels[1, 1::2, 1] += off
    pixels[1, 2::2, 1] -= off
    c2f(tmp_path / "annot" / "train.h5", TRAIN[:2], S=space, part=pixels)
    found = [each for each in told(open_h36m(tmp_path)) if "disagree" in each[1]]
    what = "picture and space disagree: 'S' must be in the camera's axes (x right, y down, z away) (first: row 1)"
    assert found == ([("warning", what, 1)] if odd else [])


@pytest.mark.parametrize(
    ("scale", "kept"), [(1e-3, False), (1.1e-3, True), (9_999.0, True), (1e4, False), (np.nan, False)]
)
def test_plausible_millimetres_a_pixel(scale, kept):
    found = plausible(np.array([scale, 4.0]))
    np.testing.assert_array_equal(found, [scale if kept else np.nan, 4])


@pytest.mark.parametrize(
    ("depth", "focal", "scale"),
    [(4000, (1000, 3000), 2), (0, (1000, 1000), None), (-5, (1, 1), None), (np.inf, (1, 1), None), (5, (0, 0), None),
     (5, (-1, -1), None), (5, (np.nan, 1), None), (1, (1, 1), 1)],
)  # fmt: skip
def test_a_camera_tells_the_scale_by_depth_and_mean_focal_length(depth, focal, scale):
    space, camera = np.zeros((1, 17, 3)), np.zeros((1, 3, 3))
    space[0, 0, 2], camera[0, 0, 0], camera[0, 1, 1] = depth, *focal
    np.testing.assert_array_equal(by_camera(space, camera), [np.nan if scale is None else scale])


def test_the_size_of_bodies_is_the_median_of_their_farthest_labelled_joints():
    space, labelled = np.zeros((4, 17, 3)), np.ones((4, 17), bool)
    space[:, 3, 1] = 1, 2, 9, 50
    space[:, 4, 2], labelled[:, 4] = 99, False
    labelled[3, 0] = False  # no pelvis: not measured
    assert size_of(space, labelled) == 2
    assert np.isnan(size_of(space, np.zeros((4, 17), bool)))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("./images/S1/a.png", "S1/a.png"), ("S1_a.JPG", "S1_a.JPG"), ("S1_a.jpeg\0\0", "S1_a.jpeg"),
        (" S1_a.bmp\r\n", "S1_a.bmp"), ("S1_a", "S1_a.jpg"), ("S1_a.png.x", "S1_a.png.x.jpg"),
        ("S1_" + "a" * 248, "S1_" + "a" * 248 + ".jpg"),
    ],
)  # fmt: skip
def test_image_names_as_they_are_written(given, name):
    assert image_name(given, "here", Images(NOWHERE)) == name
    refused(lambda: image_name("S1_" + "a" * 249, "here", Images(NOWHERE)), "here: image name")


def test_files_are_taken_in_order_of_preference(tmp_path):
    both_c2f(tmp_path)
    for path, names in ((tmp_path / "train.h5", TRAIN[:1]), (tmp_path / "annot" / "h36m_train.h5", TRAIN[:2])):
        c2f(path, names)
    counts = []
    for path in ("annot/train.h5", "annot/h36m_train.h5", "train.h5"):
        counts.append(len(open_h36m(tmp_path).samples("train")))
        (tmp_path / path).unlink()
    assert counts == [3, 2, 1]
    assert open_h36m(tmp_path).parts == ("valid",)


def test_the_last_line_of_a_list_of_names_may_end_without_a_newline(tmp_path):
    both_c2f(tmp_path)
    listed = tmp_path / "annot" / "train_images.txt"
    listed.write_text(listed.read_text().rstrip("\n"))
    assert [sample.image_id for sample in open_h36m(tmp_path).samples("train")] == list(TRAIN)


@pytest.mark.parametrize(("key", "value"), [("S", 0), ("center", (3, 3)), ("scale", (3, 2)), ("part", (3, 17, 3))])
def test_a_wrong_shape_is_told_with_file_and_array(tmp_path, key, value):
    both_c2f(tmp_path, **{key: np.ones(value)})
    message = refused(lambda: everything(tmp_path), f"{tmp_path / 'annot' / 'train.h5'}: '{key}' has shape")
    assert "layout c2f has (people, 17, 3) or (people, 3, 17)" in message or "expected numbers (3" in message
