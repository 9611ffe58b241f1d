"""LSP and LSP extended, read byte by byte as published, and from the generator of synthetic people."""

import hashlib
import pickle
import shutil

import cv2
import numpy as np
import pytest
import scipy.io
from hand_made import told
from kp_lspet.dataset import CROP, SMALLEST, TORSO_SHARE, TRAINED, Lspet
from kp_lspet.reader import LARGEST, read_joints
from kp_lspet.skeleton import LSP, ORDER
from kp_people.synthetic.generator import PeopleGenerator

from kpcore.errors import KpError
from kpcore.registry import registry
from kpcore.study.data import read_part
from kpcore.tensors import UNLABELLED, VISIBLE

PEOPLE = 6


@pytest.fixture(autouse=True)
def no_probe(monkeypatch, request):
    """Spare the child process, except where the file is damaged; those written here are not."""
    if not any(word in request.node.name for word in ("truncated", "no_matlab_file")):
        monkeypatch.setattr("kpcore.reading.matlab.try_out", lambda path: None)


def somebody(people=PEOPLE):
    """(14, 3, N), 1-based, all labelled."""
    random = np.random.default_rng(0)
    return np.concatenate([random.uniform(5, 60, (14, 2, people)), np.ones((14, 1, people))], axis=1)


def write_root(root, joints, people=PEOPLE, digits=5):
    (root / "images").mkdir(parents=True)
    for row in range(1, people + 1):
        cv2.imwrite(str(root / "images" / f"im{row:0{digits}}.jpg"), np.full((64, 64, 3), row % 251, np.uint8))
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    return root


def opened(root, **options):
    return Lspet(**Lspet.Config(root=str(root), **options).model_dump())


def fingerprint(root, **options):
    return read_part(opened(root, **options), "train").fingerprint


def everybody(data):
    return sorted((sample for part in data.parts for sample in data.samples(part)), key=lambda sample: sample.row)


def test_the_order_is_the_published_one():
    assert LSP.names == ORDER
    assert [ORDER.index(name) for name in ("r_ankle", "l_ankle", "r_wrist", "l_wrist", "neck", "head_top")] == [
        0, 5, 6, 11, 12, 13,
    ]  # fmt: skip
    assert LSP.all().flip_permutation == (5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13)
    assert set(LSP.groups) == {"ankle", "knee", "hip", "wrist", "elbow", "shoulder", "neck", "head"}


def test_lsp_extended_is_read_as_published(tmp_path):
    joints = somebody()
    joints[3, :, 2] = (-4, -9, 0)  # not labelled, and nowhere
    data = opened(write_root(tmp_path, joints), held_out=0.5)
    assert data.label == "LSP extended"
    people = everybody(data)
    assert [sample.row for sample in people] == list(range(PEOPLE))
    for sample in people:
        expected = joints[:, :2, sample.row] - 1
        labelled = joints[:, 2, sample.row] == 1
        np.testing.assert_allclose(sample.points[labelled], expected[labelled], rtol=1e-6)
        assert np.isnan(sample.points[~labelled]).all()
        assert (sample.state == np.where(labelled, VISIBLE, UNLABELLED)).all()
        assert sample.image.name == sample.image_id == f"im{sample.row + 1:05d}.jpg"
    assert people[2].state[3] == UNLABELLED


def test_crop_and_torso(tmp_path):
    joints = somebody(1)
    joints[:, :2, 0] = 50
    joints[0, :2, 0], joints[13, :2, 0] = (10, 20), (50, 120)  # the box is 40 x 100
    joints[ORDER.index("l_hip"), :2, 0] = (50, 90)
    joints[ORDER.index("r_shoulder"), :2, 0] = (50, 50)
    (sample,) = everybody(opened(write_root(tmp_path, joints, 1)))
    np.testing.assert_allclose(sample.centre, (29, 69))
    assert sample.side == pytest.approx(CROP * 100)
    assert sample.normaliser == pytest.approx(40)


def test_a_person_without_a_torso_gets_a_share_of_the_crop(tmp_path):
    joints = somebody(2)
    joints[[ORDER.index("r_hip"), ORDER.index("l_hip")], 2, 0] = 0
    joints[:, :2, 1] = 30  # all joints in one place
    data = opened(write_root(tmp_path, joints, 2))
    first, second = everybody(data)
    assert first.normaliser == pytest.approx(TORSO_SHARE * first.side)
    assert (second.side, second.normaliser) == (SMALLEST, TORSO_SHARE * SMALLEST)
    assert sum(f.count for part in data.parts for f in data.findings(part) if "no torso" in f.what) == 2


def test_lsp_has_all_joints_and_its_own_test_set(tmp_path):
    joints = np.concatenate([np.full((2, 14, TRAINED + 2), 20.0), np.zeros((1, 14, TRAINED + 2))])
    joints[0, :, :] += np.arange(14)[:, None]
    data = opened(write_root(tmp_path, joints, TRAINED + 2, digits=4))
    assert data.label == "LSP"
    assert [len(data.samples(part)) for part in ("train", "valid")] == [TRAINED, 2]
    assert [sample.image_id for sample in data.samples("valid")] == ["im1001.jpg", "im1002.jpg"]
    assert (data.samples("train")[0].state == VISIBLE).all()
    assert data.samples("train")[0].points[3].tolist() == [22.0, 19.0]
    assert any("not read" in finding.what for finding in data.findings("train"))


def test_parts_are_divided_by_name_and_share_no_image(tmp_path):
    data = opened(write_root(tmp_path, somebody(40), 40), held_out=0.3)
    train, valid = ({sample.image_id for sample in data.samples(part)} for part in ("train", "valid"))
    assert not train & valid
    assert len(train | valid) == 40
    assert 4 <= len(valid) <= 20
    more = opened(tmp_path, held_out=0.6)
    assert valid < {sample.image_id for sample in more.samples("valid")}


def test_the_fingerprint_follows_what_matters(tmp_path):
    root = write_root(tmp_path, somebody())
    before = fingerprint(root)
    assert fingerprint(root) == before
    changed = somebody()
    changed[0, 0, 1] += 1
    scipy.io.savemat(root / "joints.mat", {"joints": changed})
    assert fingerprint(root).keypoints != before.keypoints


def test_people_without_a_label_and_joints_nowhere_are_told(tmp_path):
    joints = somebody()
    joints[:, 2, 1] = 0
    joints[0, 0, 0], joints[1, 1, 0], joints[2, 0, 0] = np.nan, np.inf, 2 * LARGEST
    data = opened(write_root(tmp_path, joints))
    people = everybody(data)
    assert [sample.row for sample in people] == [0, 2, 3, 4, 5]
    assert (people[0].state[:3] == UNLABELLED).all()
    told = [finding.what for part in data.parts for finding in data.findings(part)]
    assert any(what.startswith("row 1: no joint is labelled") for what in told)
    assert any("no possible place" in what for what in told)


def test_bones_and_groups_are_lsps():
    assert " ".join(LSP.names) == (
        "r_ankle r_knee r_hip l_hip l_knee l_ankle r_wrist r_elbow r_shoulder l_shoulder l_elbow l_wrist neck head_top"
    )
    assert {LSP.index(one) * 100 + LSP.index(other) for one, other in LSP.edges} == {
        1, 102, 504, 403, 203, 208, 309, 812, 912, 607, 708, 1110, 1009, 1213,
    }  # fmt: skip
    assert [LSP[name].group for name in ("r_ankle", "l_elbow", "neck", "head_top")] == [
        "ankle",
        "elbow",
        "neck",
        "head",
    ]


def test_the_crop_is_a_quarter_larger_than_the_box_and_at_least_32_pixels(tmp_path):
    joints = somebody(3)
    joints[:, :2] = 50
    joints[0, :2, 0], joints[0, 1, 1], joints[0, 0, 2] = (50, 150), 75.5, 75.75
    sides = [sample.side for sample in everybody(opened(write_root(tmp_path, joints, 3)))]
    assert sides == [125, 32, pytest.approx(32.1875)]


@pytest.mark.parametrize(("shoulder", "hip"), [("r_shoulder", "l_hip"), ("l_shoulder", "r_hip")])
def test_the_torso_is_the_longer_diagonal_that_is_labelled(tmp_path, shoulder, hip):
    joints = somebody(3)
    joints[:, :2] = 50
    joints[0, 1] = 150
    joints[ORDER.index(shoulder), 1] = 80
    joints[ORDER.index(shoulder), 1, 1] = 50.75
    joints[ORDER.index(shoulder), 1, 2] = 51
    data = opened(write_root(tmp_path, joints, 3))
    assert [sample.normaliser for sample in everybody(data)] == [30, 25, 1]  # 0.2 x 125, where it is under a pixel
    assert hip in ORDER


def test_the_notes_of_lsp_extended(tmp_path):
    joints = somebody()
    joints[:, 2, 1] = joints[:, 2, 3] = 0
    joints[[ORDER.index("r_hip"), ORDER.index("l_hip")], 2, 2] = 0
    joints[0, 0, 4] = np.nan
    data = opened(write_root(tmp_path, joints), held_out=1e-9)
    assert told(data) == [
        ("note", "joints.mat counts pixels from 1: shifted to 0", 5),
        ("note", "no test set: 1e-09 of the images are 'valid', by their names", 1),
        ("warning", "row 1: no joint is labelled, left out", 2),
        ("warning", "joints at no possible place (all parts), taken as unlabelled", 1),
        ("warning", "row 2: no torso to measure, taken as 0.2 of the crop's side", 1),
    ]
    assert [sample.row for sample in data.samples("train")] == [2, 4, 5]
    assert [sample.row for sample in data.samples("valid")] == [0]


def test_the_notes_of_lsp(tmp_path):
    joints = np.concatenate([somebody(3)[:, :2].transpose(1, 0, 2), np.zeros((1, 14, 3))])
    root = write_root(tmp_path, joints, 3, digits=4)
    data = opened(root)
    assert told(data) == [
        ("note", "joints.mat counts pixels from 1: shifted to 0", 3),
        ("note", "the third number of a joint is not read: all joints are labelled in LSP", 1),
    ]
    assert fingerprint(root, held_out=0.7) == fingerprint(root)  # LSP has a test set
    assert (TRAINED, CROP, SMALLEST, TORSO_SHARE) == (1000, 1.25, 32, 0.2)


def test_a_place_is_possible_below_a_hundred_thousand_pixels(tmp_path):
    joints = somebody(2)
    joints[0, 0, 0], joints[1, 1, 0], joints[2, 0, 0], joints[3, 0, 0] = 99999, -99999, 1e5, -1e5
    first, _ = everybody(opened(write_root(tmp_path, joints, 2)))
    assert first.state[:5].tolist() == [VISIBLE, VISIBLE, UNLABELLED, UNLABELLED, VISIBLE]
    assert first.points[0, 0] == 99998


def test_images_of_five_digits_come_before_those_of_four(tmp_path):
    root = write_root(tmp_path, somebody())
    write_root(tmp_path / "four", somebody(), digits=4)
    for path in (tmp_path / "four" / "images").iterdir():
        path.rename(root / "images" / path.name)
    assert everybody(opened(root))[0].image_id == "im00001.jpg"


def test_the_fingerprint_follows_the_images(tmp_path):
    root = write_root(tmp_path, somebody())
    before = fingerprint(root, held_out=1e-9)
    with (root / "images" / "im00003.jpg").open("ab") as file:
        file.write(b"\0")
    assert fingerprint(root, held_out=1e-9).images != before.images


def test_messages_name_the_folder_and_the_file(tmp_path):
    root = write_root(tmp_path / "lsp", somebody())
    shutil.rmtree(root / "images")
    with pytest.raises(KpError, match=rf"^{root / 'images'}: no such folder"):
        opened(root)
    scipy.io.savemat(root / "joints.mat", {"joints": np.zeros((14, 2, 3))})
    with pytest.raises(KpError, match=rf"^{root / 'joints.mat'}: 'joints' is \(14, 2, 3\)"):
        opened(root)
    scipy.io.savemat(root / "joints.mat", {"joints": np.zeros((3, 13, 3))})
    with pytest.raises(KpError, match=r"'joints' is \(3, 13, 3\)"):
        opened(root)


class Trap:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran code from a file')",))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read as .*a Matlab file"),
        (b"MATLAB 5.0 MAT-file" + bytes(200), "joints"),
        (pickle.dumps(Trap()), "joints.mat"),
        (np.random.default_rng(0).bytes(4000), "joints.mat"),
    ],
)
def test_what_is_no_matlab_file_is_told(tmp_path, content, told):
    root = write_root(tmp_path, somebody())
    (root / "joints.mat").write_bytes(content)
    with pytest.raises(KpError, match=told) as caught:
        opened(root)
    assert "\n" not in str(caught.value)


def test_an_error_without_words_is_told_in_one_line(tmp_path, monkeypatch):
    def exhausted(*args, **kwargs):
        raise MemoryError

    root = write_root(tmp_path, somebody())
    monkeypatch.setattr("kpcore.reading.matlab.loadmat", exhausted)
    with pytest.raises(KpError, match=r"joints\.mat: cannot be read as .*Matlab file \(MemoryError: \)"):
        opened(root)


@pytest.mark.parametrize("cut", [100, 128, 200, 1500])
def test_a_truncated_file_is_told(tmp_path, cut):
    root = write_root(tmp_path, somebody())
    whole = (root / "joints.mat").read_bytes()
    (root / "joints.mat").write_bytes(whole[:cut])
    with pytest.raises(KpError, match=r"joints\.mat"):
        opened(root)


@pytest.mark.parametrize(
    ("joints", "told"),
    [
        (np.zeros((16, 3, 5)), r"'joints' is \(16, 3, 5\); LSP extended has \(14, 3, N\)"),
        (np.zeros((14, 3)), r"'joints' is float64 \(14, 3\)"),
        (np.array([["a", "b"]]), "'joints' is <U1"),
        (np.zeros((14, 3, 0)), r"'joints' is .*\(14, 3, 0\)"),
    ],
)
def test_another_layout_is_told(tmp_path, joints, told):
    with pytest.raises(KpError, match=told):
        opened(write_root(tmp_path, joints))


def test_missing_files_are_told(tmp_path):
    root = write_root(tmp_path / "lsp", somebody())
    (root / "images" / "im00001.jpg").unlink()
    with pytest.raises(KpError, match=r"neither im00001\.jpg nor im0001\.jpg"):
        opened(root)
    scipy.io.savemat(root / "joints.mat", {"others": somebody()})
    with pytest.raises(KpError, match="'joints' is missing"):
        opened(root)
    (root / "joints.mat").unlink()
    with pytest.raises(KpError, match="does not exist"):
        read_joints(root / "joints.mat")
    with pytest.raises(KpError, match="is not a folder"):
        opened(tmp_path / "nowhere")
    with pytest.raises(KpError, match="KP_LSPET_ROOT"):
        Lspet(root=None, held_out=0.1)
    with pytest.raises(KpError, match="unknown part 'test'"):
        opened(write_root(tmp_path / "again", somebody())).samples("test")


def generated(folder, **options):
    folder.mkdir()
    made = PeopleGenerator(**PeopleGenerator.Config(people=5, valid=3, size=64, layout="lspet", **options).model_dump())
    made.write(folder, lambda done, total: None)
    return folder


def test_synthetic_people_in_this_layout_are_read(tmp_path):
    data = opened(generated(tmp_path / "a"), held_out=0.4)
    people = everybody(data)
    assert len(people) == 8
    for sample in people:
        image = cv2.imread(str(sample.image))
        inside = (sample.points >= 0) & (sample.points < image.shape[1::-1])
        assert np.nanmean(inside) > 0.8
    assert registry().component("generator", "people") is PeopleGenerator


def test_synthetic_people_are_the_same_to_the_byte(tmp_path):
    folders = [generated(tmp_path / name) for name in ("a", "b")] + [generated(tmp_path / "c", seed=1)]

    def digest(folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest(), len(files)

    first, second, other = map(digest, folders)
    assert first == second
    assert first[1] == 9
    assert other[0] != first[0]


@pytest.mark.real_data
def test_the_real_subset(real_data):
    data = opened(real_data / "lspet")
    people = everybody(data)
    assert len(people) == 1400
    assert all((sample.state == VISIBLE).all() for sample in people)
    assert people[0].points[0] == pytest.approx((74.71063741, 48.4939424), abs=1e-4)
    assert 100 < len(data.samples("valid")) < 180
