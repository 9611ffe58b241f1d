"""The people plugin: bodies that bend only as bodies do, geometry that is exact, files as MPII's users have them."""

import dataclasses
import os
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kp_mpii.dataset import Mpii
from kp_people.dataset import PeopleDataset
from kp_people.skeleton import EDGES, NAMES, skeleton
from kp_people.synthetic.body import Body, articulate, draw_body, keypoints, turn_x, turn_y, turn_z
from kp_people.synthetic.camera import FACING, Camera
from kp_people.synthetic.figure import build, draw_figure, head_box
from kp_people.synthetic.generator import PeopleGenerator
from kp_people.synthetic.outfit import draw_outfit
from kp_people.synthetic.poses import ACTIVITIES, LIMITS, draw_pose
from kp_people.synthetic.render import Canvas, Light
from kp_people.synthetic.solids import Paint, Solid, albedo, strike

from kpcore.errors import KpError
from kpcore.study.data import read_part
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

LIGHT = Light(np.array([0.0, -0.6, -0.8]), 0.6, 0.5)
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
REST = dict.fromkeys(LIMITS, 0.0)
ANGLES = st.fixed_dictionaries({name: st.floats(low, high) for name, (low, high) in LIMITS.items()})
SEEDS = st.integers(0, 2**32 - 1)
SPINE = {("pelvis", "thorax")}  # bends in two places
NEWELL = {
    "imgname": "S", "part": "f", "center": "f", "scale": "f", "visible": "f", "normalize": "f", "index": "f",
    "person": "f",
}  # fmt: skip


def options(**given):
    return {name: getattr(PeopleGenerator.Config(**given), name) for name in PeopleGenerator.Config.model_fields}


def generate(folder, **given):
    folder.mkdir()
    PeopleGenerator(**options(**({"people": 9, "valid": 5, "size": 64, "seed": 3} | given))).write(
        folder, lambda done, total: None
    )
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def joints(body, pose):
    return dict(zip(NAMES, keypoints(articulate(body, pose), body), strict=True))


def standard(seed=0):
    return draw_body(np.random.default_rng(seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("people") / "set", people=40, valid=12)


# ------------------------------------------------------------------------------------------------- body and poses


def test_skeleton_is_mpiis_in_names_mirrors_and_groups(folder):
    theirs = Mpii(**{name: getattr(Mpii.Config(root=str(folder)), name) for name in Mpii.Config.model_fields}).skeleton
    for dims in (2, 3):
        ours = skeleton(dims)
        assert ours.names == theirs.names and ours.dims == dims
        assert [(p.mirror, p.group) for p in ours.keypoints] == [(p.mirror, p.group) for p in theirs.keypoints]


@settings(max_examples=40, deadline=None)
@given(pose=ANGLES, seed=st.integers(0, 50))
def test_bones_keep_their_length_in_every_pose(pose, seed):
    body = standard(seed)
    bent, straight = joints(body, pose), joints(body, REST)
    for a, b in set(EDGES) - SPINE:
        assert np.linalg.norm(bent[a] - bent[b]) == pytest.approx(np.linalg.norm(straight[a] - straight[b]), abs=1e-6)
    assert np.linalg.norm(bent["thorax"] - bent["pelvis"]) <= body.bones["lumbar"] + body.bones["chest"] + 1e-6
    assert (bent["r_hip"] + bent["l_hip"]) / 2 == pytest.approx(bent["pelvis"], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_drawn_poses_keep_every_joint_within_its_limits(seed):
    pose = draw_pose(np.random.default_rng(seed))
    assert pose.keys() == LIMITS.keys()
    for name, (low, high) in LIMITS.items():
        assert low <= pose[name] <= high, name


def test_activities_name_only_angles_that_exist():
    known = {name.partition("_")[2] for name in LIMITS if name[:2] in ("r_", "l_")}
    for activity in ACTIVITIES.values():
        for name in activity.angles:
            side, _, angle = name.partition("_")
            assert angle in known if side in ("a", "b", "ab") else name in LIMITS


@settings(max_examples=40, deadline=None)
@given(pose=ANGLES)
def test_a_mirrored_pose_mirrors_the_joints(pose):
    other = {"r": "l", "l": "r"}
    mirrored = {
        (f"{other[name[0]]}{name[1:]}" if name[:2] in ("r_", "l_") else name): (
            -angle if name.endswith(("_side", "_twist", "_turn")) else angle
        )
        for name, angle in pose.items()
    }
    there, here = joints(standard(), mirrored), joints(standard(), pose)
    for point in skeleton(3).keypoints:
        assert there[point.mirror or point.name] == pytest.approx(here[point.name] * (-1, 1, 1), abs=1e-6)


def test_at_rest_a_person_stands_and_left_is_their_own_left():
    at = joints(standard(), REST)
    for joint in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder"):
        assert at[f"l_{joint}"][0] > 0 > at[f"r_{joint}"][0]
    heights = [at[name][1] for name in ("l_ankle", "l_knee", "l_hip", "thorax", "upper_neck", "head_top")]
    assert heights == sorted(heights)


@pytest.mark.parametrize(
    ("angle", "degrees", "joint", "axis", "sign"),
    [
        ("l_elbow", 90, "l_wrist", 2, 1), ("l_knee", 90, "l_ankle", 2, -1), ("r_hip_flexion", 60, "r_knee", 2, 1),
        ("r_shoulder_flexion", 90, "r_elbow", 2, 1), ("l_shoulder_abduction", 90, "l_elbow", 0, 1),
        ("r_shoulder_abduction", 90, "r_elbow", 0, -1), ("r_hip_abduction", 30, "r_knee", 0, -1),
        ("spine_flexion", 60, "thorax", 2, 1), ("spine_side", 20, "thorax", 0, 1),
        ("neck_flexion", 30, "head_top", 2, 1),
    ],
)  # fmt: skip
def test_positive_angles_bend_the_way_anatomy_says(angle, degrees, joint, axis, sign):
    moved = joints(standard(), REST | {angle: float(degrees)})[joint] - joints(standard(), REST)[joint]
    assert sign * moved[axis] > 40


def test_a_raised_arm_is_a_right_angle_to_the_millimetre():
    body = standard()
    at = joints(body, REST | {"l_shoulder_abduction": 90.0})
    assert at["l_elbow"] - at["l_shoulder"] == pytest.approx([body.bones["upper_arm"], 0, 0], abs=1e-9)


# ------------------------------------------------------------------------------------------------ camera and solids


def test_who_faces_the_camera_has_their_left_on_the_images_right_and_who_turns_away_does_not():
    at = keypoints(articulate(standard(), REST), standard())
    left, right = NAMES.index("l_shoulder"), NAMES.index("r_shoulder")
    for turned, sign in ((0, 1), (180, -1)):
        seen = Camera(FACING @ turn_y(turned), 10.0, np.array([50.0, 50.0, 0.0])).project(at)
        assert sign * (seen[left, 0] - seen[right, 0]) > 20
        assert seen[NAMES.index("head_top"), 1] < seen[NAMES.index("pelvis"), 1]  # y points down


@settings(max_examples=30, deadline=None)
@given(angles=st.tuples(*[st.floats(-180, 180)] * 3), scale=st.floats(1, 50))
def test_pixels_times_mm_per_px_are_millimetres(angles, scale):
    x, y, z = angles
    camera = Camera(FACING @ turn_z(z) @ turn_x(x) @ turn_y(y), scale, np.array([30.0, 40.0, 5.0]))
    assert np.linalg.det(camera.rotation) == pytest.approx(1)
    at = keypoints(articulate(standard(), REST), standard())
    seen = camera.project(at)
    assert (seen - seen[6]) * scale @ camera.rotation == pytest.approx(at, abs=1e-6)


def solid(rng, paint=None):
    start, end = rng.uniform(15, 60, 2)
    turned = turn_z(rng.uniform(-180, 180)) @ turn_x(rng.uniform(-180, 180)) @ turn_y(rng.uniform(-180, 180))
    stretch = tuple(float(value) for value in rng.uniform(0.6, 1.5, 3))
    length = rng.choice([-1, 1]) * rng.uniform(0, 200)
    return Solid(rng.uniform(-50, 50, 3), turned, float(length), float(start), float(end), stretch, paint or Paint(RED))


def gap(solid, points):
    """Distance of local points (n, 3) from the swept spheres' surface, brute force; negative inside."""
    share = np.linspace(0, 1, 801)
    axis = np.stack([0 * share, share * solid.length, 0 * share], axis=1)
    radii = solid.start + share * (solid.end - solid.start)
    return (np.linalg.norm(points[:, None] - axis, axis=2) - radii).min(axis=1)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_rays_stop_on_the_surface_and_normals_face_the_camera(seed):
    rng = np.random.default_rng(seed)
    shape = solid(rng)
    camera = Camera(FACING, 4.0, np.array([40.0, 40.0, 7.0]))
    across = np.arange(-60, 140, 3, dtype=np.float32)
    hits = strike(shape, camera, across, across, 0.0)
    met = np.isfinite(hits.depth)
    assert met.any()
    local = np.stack([part[met] for part in hits.local], axis=1).astype(np.float64)
    assert np.abs(gap(shape, local)).max() < 0.01  # mm, in float32
    pixels = np.stack([*np.meshgrid(across, across)], axis=2)[met]
    seen = camera.project(shape.origin + local * shape.stretch @ shape.rotation.T)
    assert seen[:, :2] == pytest.approx(pixels, abs=0.05)
    assert seen[:, 2] == pytest.approx(hits.depth[met], abs=0.05)
    facing = np.stack([part[met] for part in hits.normal], axis=1) @ (camera.rotation @ shape.rotation)[2]
    assert (facing < 0.1).all()


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_box_holds_its_solid_and_touches_it(seed):
    shape = solid(np.random.default_rng(seed))
    camera = Camera(FACING, 4.0, np.array([80.0, 80.0, 0.0]))
    grid = np.arange(-80, 240, dtype=np.float32)  # no solid reaches farther: 200 mm and an end's 90 at 4 mm a pixel
    rows, columns = np.nonzero(np.isfinite(strike(shape, camera, grid, grid, 0.0).depth))
    edges = grid[[columns.min(), rows.min(), columns.max(), rows.max()]]
    slack = np.array(edges) - shape.box(camera)
    assert (slack[:2] >= -1e-2).all() and (slack[2:] <= 1e-2).all()
    assert np.abs(slack).max() < 2.5


def test_a_sphere_is_as_deep_as_its_radius_and_patterns_lie_where_they_should():
    camera = Camera(FACING, 10.0, np.array([20.0, 20.0, 0.0]))
    ball = Solid(np.zeros(3), np.eye(3), 0.0, 100.0, 100.0, (1.0, 1.0, 1.0), Paint(RED, (("below", (0.0,), BLUE),)))
    grid = np.arange(41, dtype=np.float32)
    hits = strike(ball, camera, grid, grid, 0.0)
    assert hits.depth[20, 20] == pytest.approx(-10, abs=1e-4)
    assert hits.depth[20, 26] == pytest.approx(-8, abs=1e-4)
    assert np.isinf(hits.depth[20, 31])
    colours = albedo(ball.paint, hits.local)
    assert tuple(colours[15, 20]) == RED and tuple(colours[25, 20]) == BLUE  # image rows grow downwards


# ----------------------------------------------------------------------------------------------------- canvas


def ball(x, depth_mm, colour):
    return Solid(np.array([x, 0.0, -depth_mm]), np.eye(3), 0.0, 60.0, 60.0, (1.0, 1.0, 1.0), Paint(colour))


@pytest.mark.parametrize("turned", [False, True])
def test_the_nearer_solid_hides_the_farther_in_either_order(turned):
    camera = Camera(FACING, 10.0, np.array([16.0, 16.0, 0.0]))
    canvas = Canvas(np.zeros((32, 32, 3), np.float32))
    shapes = [ball(0, 300, BLUE), ball(20, -300, RED)]
    for shape in reversed(shapes) if turned else shapes:
        canvas.draw([shape], camera, LIGHT)
    red, _, blue = canvas.colour[16, 16]
    assert red > 0.3 and blue == 0
    assert canvas.depth[16, 16] < 0


def test_hidden_means_something_in_front_of_ones_own_flesh_or_outside_the_image():
    camera = Camera(FACING, 10.0, np.array([16.0, 16.0, 0.0]))
    canvas = Canvas(np.zeros((32, 32, 3), np.float32))
    canvas.draw([ball(0, 0, RED)], camera, LIGHT)
    points = np.array([[16, 16, 0], [16, 16, 30], [3, 3, 30], [-1, 16, 0], [16, 32, 0]], float)
    assert canvas.hidden(points, np.full(5, 8.0)).tolist() == [False, True, False, True, True]
    mask = np.zeros((32, 32), np.float32)
    mask[:8] = 1
    canvas.cover(mask, np.array(BLUE, np.float32))
    assert canvas.hidden(points[2:3], np.array([8.0])).all()
    assert tuple(canvas.colour[3, 3]) == BLUE


def test_head_box_is_that_of_the_drawn_head():
    figure = draw_figure(np.random.default_rng(5))
    camera = Camera(FACING, 10.0, np.array([100.0, 100.0, 0.0]))
    canvas = Canvas(np.zeros((200, 200, 3), np.float32))
    canvas.draw(figure.head, camera, LIGHT)
    rows, columns = np.nonzero(np.isfinite(canvas.depth))
    drawn = [columns.min(), rows.min(), columns.max(), rows.max()]
    assert head_box(figure, camera, 0.0) == pytest.approx(drawn, abs=1.5)
    left, top, right, bottom = head_box(figure, camera, 0.0)
    wider = head_box(figure, camera, 0.1)
    assert wider[2] - wider[0] == pytest.approx(1.2 * (right - left))
    assert wider[3] - wider[1] == pytest.approx(1.2 * (bottom - top))


def test_face_and_back_of_the_head_look_different():
    rng = np.random.default_rng(2)
    outfit = dataclasses.replace(draw_outfit(rng), skin=(0.9, 0.7, 0.6), hair=(0.1, 0.1, 0.1), hairdo="short")
    figure = build(Body(standard().bones, 1.0), REST, outfit)
    views = []
    for turned in (0, 180):
        camera = Camera(FACING @ turn_y(turned), 8.0, np.array([64.0, 120.0, 0.0]))
        canvas = Canvas(np.zeros((240, 128, 3), np.float32))
        canvas.draw(figure.solids, camera, LIGHT)
        nose = camera.project(figure.frames["head"].at(0, 85, 0))
        views.append(canvas.colour[int(nose[1]), int(nose[0])].mean())
    assert views[0] > 2 * views[1]


# ------------------------------------------------------------------------------------------------------- files


def test_equal_options_write_equal_bytes_whatever_the_threads(tmp_path, monkeypatch):
    many = contents(generate(tmp_path / "many"))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert contents(generate(tmp_path / "one")) == many


def test_seeds_and_parts_draw_different_people_and_more_people_keep_the_first(tmp_path):
    small, other = contents(generate(tmp_path / "a")), contents(generate(tmp_path / "b", seed=4))
    pictures = [name for name in small if name.endswith(".jpg")]
    assert len({small[name] for name in pictures} | {other[name] for name in pictures if name in other}) > len(pictures)
    assert len({small[name] for name in pictures}) == len(pictures)  # no image of train is in valid
    large = contents(generate(tmp_path / "c", people=14))
    first = sorted(name for name in pictures if "train" in name)[:5]
    assert [large[name] for name in first] == [small[name] for name in first]


def test_annotation_has_newells_fields_kinds_and_conventions(folder):
    for part, count in (("train", 40), ("valid", 12)):
        with h5py.File(folder / "annot" / f"{part}.h5") as file:
            fields = {name: file[name][()] for name in file}
        assert {name: values.dtype.kind for name, values in fields.items()} == NEWELL
        assert all(len(values) == count for values in fields.values())
        assert fields["part"].shape == (count, 16, 2) and fields["visible"].shape == (count, 16)
        assert fields["normalize"] == pytest.approx(20 * fields["scale"])  # 25 x the unadjusted scale
        missing = (fields["part"] == 0).all(axis=2)
        assert (fields["visible"][missing] == 0).all()
        assert set(np.unique(fields["visible"])) == {0, 1}
        assert 0 < missing.mean() < 0.12
        for name in fields["imgname"]:
            assert cv2.imread(str(folder / "images" / name.decode())).shape[0] == 64


def test_head_size_is_six_tenths_of_the_head_boxs_diagonal_and_people_are_about_as_tall_as_mpiis(folder):
    samples = PeopleDataset(root=str(folder), dims=3).samples("train")
    millimetres = np.array([sample.normaliser / 0.6 * sample.mm_per_px for sample in samples])
    assert ((millimetres > 250) & (millimetres < 520)).all()
    assert all(sample.side == pytest.approx(10 * sample.normaliser) for sample in samples)


def test_three_and_two_dimensions_agree_with_the_annotation(folder):
    in_3d = PeopleDataset(root=str(folder), dims=3).samples("train")
    in_2d = PeopleDataset(root=str(folder), dims=2).samples("train")
    with h5py.File(folder / "annot" / "train.h5") as file:
        part = file["part"][()]
    for row, (deep, flat) in enumerate(zip(in_3d, in_2d, strict=True)):
        seen = deep.state != UNLABELLED
        assert deep.points.shape == (16, 3) and flat.points.shape == (16, 2) and deep.row == row
        assert np.array_equal(deep.points[:, :2], flat.points, equal_nan=True)
        assert np.isnan(deep.points[~seen]).all() and not np.isnan(deep.points[seen]).any()
        assert flat.points[seen] + 1 == pytest.approx(part[row][seen], abs=1e-3)  # the file is 1-based
        assert flat.mm_per_px is None and deep.image.is_file()


def test_depth_is_relative_to_the_pelvis_and_limbs_have_human_lengths(folder):
    bones = {
        ("r_knee", "r_hip"): (340, 510),
        ("l_elbow", "l_shoulder"): (260, 390),
        ("upper_neck", "head_top"): (180, 270),
    }
    for sample in PeopleDataset(root=str(folder), dims=3).samples("train"):
        at = dict(zip(NAMES, sample.points * sample.mm_per_px, strict=True))
        assert np.isnan(at["pelvis"][2]) or at["pelvis"][2] == pytest.approx(0, abs=1e-3)
        for (a, b), (low, high) in bones.items():
            length = np.linalg.norm(at[a] - at[b])
            assert np.isnan(length) or low < length < high


def test_the_mpii_plugin_reads_the_same_people(folder):
    mpii = Mpii(**{name: getattr(Mpii.Config(root=str(folder)), name) for name in Mpii.Config.model_fields})
    for theirs, ours in zip(
        mpii.samples("valid"), PeopleDataset(root=str(folder), dims=2).samples("valid"), strict=True
    ):
        assert theirs.image == ours.image and theirs.side == pytest.approx(ours.side)
        assert theirs.normaliser == pytest.approx(ours.normaliser)
        assert theirs.centre == pytest.approx(ours.centre, abs=1e-3)
        assert np.array_equal(theirs.state, ours.state)
        assert np.allclose(theirs.points, ours.points, atol=1e-3, equal_nan=True)


def test_something_before_everybody_hides_more_joints(tmp_path):
    shares = []
    for name, occlusion in (("clear", 0.0), ("covered", 1.0)):
        root = generate(tmp_path / name, people=30, valid=1, occlusion=occlusion)
        state = np.stack([sample.state for sample in PeopleDataset(root=str(root), dims=2).samples("train")])
        shares.append((state == HIDDEN).mean())
        assert set(np.unique(state)) == {UNLABELLED, HIDDEN, VISIBLE}
    assert shares[1] > shares[0] + 0.03


# --------------------------------------------------------------------------------------------------- data set


def test_dataset_says_what_it_is(folder):
    deep, flat = (PeopleDataset(root=str(folder), dims=dims) for dims in (3, 2))
    assert (deep.facts.default_metric, flat.facts.default_metric) == ("mpjpe", "pckh")
    assert deep.parts == ("train", "valid") and deep.skeleton.dims == 3
    prints = [read_part(*of).fingerprint for of in ((deep, "train"), (flat, "train"), (flat, "valid"))]
    assert prints[0] != prints[1] != prints[2]


def test_fingerprint_notices_another_image(tmp_path):
    root = generate(tmp_path / "set", people=2, valid=1)
    data = PeopleDataset(root=str(root), dims=2)
    before = read_part(data, "train").fingerprint
    assert read_part(data, "train").fingerprint == before
    image = data.samples("train")[0].image
    image.write_bytes(image.read_bytes() + b"\0")
    assert read_part(data, "train").fingerprint != before
    image.unlink()
    with pytest.raises(KpError, match=image.name):
        read_part(data, "train")


def test_wrong_roots_parts_and_files_are_told_in_one_line(tmp_path, folder):
    with pytest.raises(KpError, match=r"people3d\.h5: not there"):
        PeopleDataset(root=str(tmp_path), dims=3)
    with pytest.raises(KpError, match="unknown part 'valdi'; did you mean 'valid'"):
        PeopleDataset(root=str(folder), dims=3).samples("valdi")
    root = generate(tmp_path / "set", people=2, valid=1)
    data = PeopleDataset(root=str(root), dims=3)
    (root / "annot" / "train.h5").write_bytes(b"no HDF5")
    with pytest.raises(KpError, match=r"train\.h5.*damaged.*generate them again") as caught:
        data.samples("train")
    assert "\n" not in str(caught.value)


def test_rows_that_do_not_match_are_refused(tmp_path):
    root = generate(tmp_path / "set", people=3, valid=1)
    with h5py.File(root / "annot" / "train.h5", "a") as file:
        fewer = file["scale"][:-1]
        del file["scale"]
        file["scale"] = fewer
    with pytest.raises(KpError, match="do not hold the same people"):
        PeopleDataset(root=str(root), dims=3).samples("train")


@pytest.mark.real_data
def test_annotation_is_shaped_like_the_real_files(folder):
    real = os.environ.get("KP_REAL_DATA")
    if not real or not (Path(real) / "mpii").is_dir():
        pytest.skip("KP_REAL_DATA names no folder that holds mpii/")
    with h5py.File(Path(real) / "mpii" / "annot" / "train.h5") as theirs, h5py.File(folder / "annot/train.h5") as ours:
        assert set(theirs) == set(ours)
        for name in theirs:
            assert theirs[name].shape[1:] == ours[name].shape[1:], name
            assert theirs[name].dtype.kind == ours[name].dtype.kind, name
