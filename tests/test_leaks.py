"""What is trained on and scored in one data set: the same pictures, copies encoded anew, frames of a video."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hand_made import somebody

from kpcore.audit.copies import copies_between
from kpcore.audit.leaks import Leak, leaks_between
from kpcore.audit.looks import FLAT, looks_of, near_pairs
from kpcore.audit.shared import REMEDY, remedy, shared_findings
from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.reading.videos import video_of
from kpcore.registry import registry
from kpcore.study.dag import plan_jobs
from kpcore.study.leaks import BUDGET
from kpcore.study.opening import open_study
from kpcore.training.device import Device

STUDY = """
[study]
name = "leaks"
modes = ["random"]
[dataset]
name = "named"
root = "{root}"
[split]
name = "explicit"
[split.sets.a]
steps = [["ear"], ["tail"]]
[backbone]
name = "hourglass"
stages = [1, 1]
channels = 8
depth = 1
[codec]
name = "heatmap"
[training]
resolution = 32
batch_size = 2
epochs = 1
threads = 1
"""
HEADER = "image,part,left_ear_x,left_ear_y,right_ear_x,right_ear_y,tail_x,tail_y"


def picture(seed, width=160, height=120):
    """A scene of blots, as a photograph has them: (height, width, 3)."""
    random = np.random.default_rng(seed)
    return cv2.resize(random.integers(0, 255, (6, 8, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def sample(image, row=0, name=None):
    name = name or (image.name if isinstance(image, Path) else f"array{row}")
    return somebody(image, [[9.0, 9]], row, image_id=name, person_id="0")


def saved(path, pixels, *options):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, options)
    return path


def between(ours, theirs, **wanted):
    found = leaks_between(ours, theirs, **({"near": True, "videos": True} | wanted))
    return {leak.kind: leak for leak in found}


def test_the_same_picture_under_another_name_is_found_and_another_of_the_same_name_is_not(tmp_path):
    ours = [sample(saved(tmp_path / "a" / f"{n}.png", picture(n)), n) for n in range(4)]
    theirs = [sample(saved(tmp_path / "b" / f"{n}.png", picture(9 + n)), n) for n in range(4)]
    assert between(ours, theirs) == {}
    copy = tmp_path / "b" / "copy.png"
    copy.write_bytes((tmp_path / "a" / "2.png").read_bytes())
    leak = between([*ours, sample(tmp_path / "a" / "2.png", 7)], [*theirs, sample(copy)])["same"]
    assert (leak.places, leak.count, leak.first) == ((2, 4), 1, "'2.png' and 'copy.png'")


COPIES = {
    "jpeg": lambda pixels: cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1),
    "smaller": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "larger": lambda pixels: cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR),
    "other shape": lambda pixels: cv2.resize(pixels, (128, 128), interpolation=cv2.INTER_AREA),
    "brighter": lambda pixels: np.uint8(pixels * 0.8 + 30),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("width", [160, 1200])
def test_a_copy_encoded_anew_looks_nearly_the_same(tmp_path, how, width):
    ours = [sample(saved(tmp_path / f"{n}.jpg", picture(n, width, width * 3 // 4)), n) for n in range(5)]
    copy = sample(saved(tmp_path / "copy.png", COPIES[how](picture(3, width, width * 3 // 4))))
    others = [sample(saved(tmp_path / f"{n}.png", picture(n)), n) for n in range(20, 24)]
    leak = between(ours, [*others, copy])["near"]
    assert (leak.places, leak.count, leak.first) == ((3,), 1, "'3.jpg' and 'copy.png'")
    assert between(ours, [*others, copy], near=False) == {}


def test_a_small_thing_at_another_place_of_one_scene_is_another_picture(tmp_path):
    def scene(x):
        return cv2.circle(picture(0), (x, 60), 9, (255, 255, 255), -1)

    ours, theirs = (sample(saved(tmp_path / f"{x}.png", scene(x))) for x in (50, 62))
    assert between([ours], [theirs]) == {}


def test_empty_pictures_are_not_alike(tmp_path):
    for level in (0, 255):
        flat = np.full((50, 60, 3), level, np.uint8)
        flat[0, 0] = 255 - level
        ours, theirs = (sample(saved(tmp_path / f"{level}.{end}", flat)) for end in ("png", "jpg"))
        assert between([ours], [theirs]) == {}
        assert np.isnan(looks_of([ours.image])).all()
    assert FLAT > 0


def test_pixels_in_memory_are_compared_too_and_what_cannot_be_read_is_left_to_others(tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    ours = [sample(picture(1)), sample(damaged, 1), sample(tmp_path / "lost.png", 2)]
    theirs = [sample(picture(1).copy(), 5), sample(picture(1, 80, 60), 6), sample(damaged.rename(tmp_path / "b.png"))]
    assert between(ours, theirs)["same"].first == "'array0' and 'array5'"
    assert "near" not in between(ours, theirs)  # it is the same already
    assert between(ours, theirs[1:])["near"].first == "'array0' and 'array6'"


def test_many_looks_are_compared_as_few_are():
    random = np.random.default_rng(0)
    ours = random.normal(size=(3, 256)).astype(np.float32)
    ours = (ours - ours.mean(1, keepdims=True)) / ours.std(1, keepdims=True)
    theirs = random.normal(size=(1100, 256)).astype(np.float32)
    theirs[[5, 1099]] = ours[[2, 0]] + 0.2 * (-1) ** np.arange(256)
    theirs[7] = ours[1] + np.where(np.arange(256) == 9, 0.3, 0)
    assert near_pairs(ours, theirs) == [(0, 1099), (2, 5)]


@pytest.mark.parametrize(
    ("path", "video"),
    [
        ("labeled-data/walk/img0012.png", "labeled-data/walk"), ("d/video_0001.png", "d/video"),
        ("d/video3_12.png", "d/video3"), ("d/clip-a_frame_0007.jpg", "d/clip-a"), ("d/frame0007.jpg", "d"),
        ("d/walk_mp4-12_jpg.rf.3fa9.jpg", "d/walk_mp4"), ("walk.mp4/0001.png", "walk.mp4"),
        ("video3/img001.png", "video3"), ("d/img0001.png", None), ("d/0001.jpg", None), ("d/im00012.jpg", None),
        ("d/000000000139.jpg", None), ("d/cat_001.png", None), ("videos/0001.png", None),
        ("d/clip_art_001.png", None), ("video_game_001.png", None), ("movie_poster_12.png", None),
        ("d/train/images/walk_mp4-12_jpg.rf.3fa9.jpg", "d/walk_mp4"),
        ("d/valid/images/walk_mp4-19_jpg.jpg", "d/walk_mp4"),
        ("d/valid/frame0007.jpg", "d/valid"),
        ("d/val/video_0001.png", "d/val/video"),
        ("val/walk.mp4_0012.png", "walk.mp4"),
        ("d/framework_1.png", None), ("d/training_Wes_Craven_31.jpg", None), ("labeled-data/img0001.png", None),
    ],
)  # fmt: skip
def test_a_name_says_its_video_or_it_does_not(path, video):
    assert video_of(Path(path)) == (None if video is None else str(Path(video)))


def test_frames_of_one_video_in_two_parts_are_counted_by_video(tmp_path):
    names = {"train": ("a_frame1.png", "a_frame2.png", "b_frame1.png"), "valid": ("a_frame3.png", "c_frame1.png")}
    parts = {part: [sample(tmp_path / name, row) for row, name in enumerate(those)] for part, those in names.items()}
    leak = between(parts["train"], parts["valid"])["video"]
    assert (leak.places, leak.count, leak.first) == ((0, 1), 1, f"'{tmp_path / 'a'}'")
    assert between(parts["train"], parts["valid"], videos=False) == {}


# a study


@pytest.fixture
def root(tmp_path):
    """Six pictures to train on and three that are scored; none is a leak."""
    rows = [(f"{part}{n}.png", part, 10 * k + n) for k, (part, count) in enumerate({"train": 6, "valid": 3}.items())
            for n in range(count)]  # fmt: skip
    for name, _, seed in rows:
        saved(tmp_path / "data" / name, picture(seed))
    lines = [f"{name},{part},20,{20 + seed},60,30,100,{40 + seed}" for name, part, seed in rows]
    (tmp_path / "data" / "keypoints.csv").write_text("\n".join([HEADER, *lines]))
    (tmp_path / "study.toml").write_text(STUDY.format(root=(tmp_path / "data").as_posix()))
    return tmp_path / "data"


def opened(root, *sets):
    told = []
    return open_study(registry(), root.parent / "study.toml", None, sets, notice=told.append), told


def keys(study):
    return [job.key for job in plan_jobs(study, Device("cpu", "fp32", 1)).jobs]


LEAVE_OUT = 'evaluation.leaks="leave_out"'


def test_a_study_without_leaks_says_nothing(root):
    for setting in ([], [LEAVE_OUT]):
        study, told = opened(root, *setting)
        assert (told, study.data[""].left_out) == ([], ())


def test_a_leak_is_a_warning_or_is_left_out_which_changes_the_jobs(root, monkeypatch):
    monkeypatch.setattr("kpcore.study.jobs.numerics", lambda device: {})
    (root / "valid1.png").write_bytes((root / "train4.png").read_bytes())
    saved(root / "valid2.png", cv2.imdecode(cv2.imencode(".jpg", picture(0))[1], 1))
    warned, (line,) = opened(root)
    assert line.startswith(
        "warning: data (named keypoints), part 'train': the same images are in part 'valid' (first: "
    )
    assert "'train4.png' and 'valid1.png') (1 such); nearly the same images" in line and LEAVE_OUT[:16] in line
    assert warned.data[""].left_out == () and warned.data[""].leaked == 2
    left, (line,) = opened(root, LEAVE_OUT)
    assert left.data[""].left_out == (0, 4) and left.data[""].people("train") == 4
    assert left.data[""].leaked == 0
    assert line.startswith("data (named keypoints): 2 training samples are left out: the same images")
    assert not set(keys(warned)) & set(keys(left))


def test_where_all_leak_nothing_can_be_left_out(root):
    for place in range(6):
        (root / f"train{place}.png").write_bytes((root / "valid0.png").read_bytes())
    with pytest.raises(KpError, match="leaves nothing to train on: the same images"):
        opened(root, LEAVE_OUT)


def test_a_large_study_that_only_warns_opens_no_image_for_it(root, monkeypatch):
    saved(root / "valid2.png", cv2.imdecode(cv2.imencode(".jpg", picture(0))[1], 1))
    monkeypatch.setattr("kpcore.study.leaks.BUDGET", 8)
    assert opened(root)[1] == []
    assert len(opened(root, LEAVE_OUT)[1]) == 1
    assert BUDGET >= 2000


def test_data_check_tells_leaks_with_what_to_do(root, capsys):
    (root / "valid1.png").write_bytes((root / "train4.png").read_bytes())
    assert outcome(["data", "check", str(root), "--dataset", "named"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "the same images are in part 'valid' (first: 'train4.png' and 'valid1.png')" in told
    study, _ = opened(root)
    (finding,) = shared_findings(study.data[""].dataset, "valid", near=True)
    assert finding.count == 1 and 'set evaluation.leaks = "leave_out"' in finding.what


# sides, which need a study too


def names_only(root, *names, **tables):
    header = ["image", "part", *(f"{name}_{axis}" for name in names for axis in "xy")]
    lines = [[f"{part}{n}.png", part, *(str(10 + 9 * k) for k in range(2 * len(names)))]
             for part, count in (("train", 6), ("valid", 3)) for n in range(count)]  # fmt: skip
    (root / "keypoints.csv").write_text("\n".join(",".join(line) for line in [header, *lines]))
    steps = f"steps = {[[name] for name in names[:2]]}".replace("'", '"')
    toml = STUDY.format(root=root.as_posix()).replace('steps = [["ear"], ["tail"]]', steps)
    for key, value in tables.items():
        toml = toml.replace("[split]", f"{key} = {value}\n[split]", 1)
    (root.parent / "study.toml").write_text(toml)
    return opened


OFF = ("training.augmentation.flip=0", "evaluation.flip_test=false")


def test_a_side_without_any_pair_is_refused_until_mirrors_or_flips_are_said(root):
    names_only(root, "left_paw", "tail")
    with pytest.raises(KpError) as caught:
        opened(root)
    told = str(caught.value)
    assert "dataset: 'left_paw' names a side, but no mirror pair is known, and images are mirrored" in told
    assert "dataset.mirrors" in told and "training.augmentation.flip = 0 and evaluation.flip_test = false" in told
    assert opened(root, *OFF)[1] == []
    names_only(root, "left_paw", "tail", mirrors="{}")
    (line,) = opened(root)[1]
    assert line.startswith(
        "warning: data (named keypoints): no mirror pair is known among 'left_paw', 'tail'; 'left_paw'"
    )


def test_a_side_without_its_partner_and_names_without_sides_are_warnings(root):
    names_only(root, "nose", "tail", "left_paw", "right_ear", "left_ear")
    (line,) = opened(root)[1]
    assert line.startswith("warning: data (named keypoints): 'left_paw': a side in the name, but no mirror partner")
    names_only(root, "nose", "tail")
    (line,) = opened(root)[1]
    assert "no mirror pair is known among 'nose', 'tail'; say the partners" in line
    assert opened(root, *OFF)[1] == []


def test_data_check_and_info_list_the_pairs(root, capsys):
    names_only(root, "earL", "earR", "LeftPaw", "RightPaw")
    for command in ("check", "info"):
        assert outcome(["data", command, str(root), "--dataset", "named"]) == 0
        assert "Mirror pairs: earL - earR, LeftPaw - RightPaw." in capsys.readouterr().out
        assert outcome(["data", command, str(root), "--dataset", "named", "--json"]) == 0
        assert '"mirror_pairs": [["earL", "earR"], ["LeftPaw", "RightPaw"]]' in " ".join(
            capsys.readouterr().out.split()
        ).replace("[ ", "[").replace(" ]", "]")
    names_only(root, "left_paw", "tail")
    assert outcome(["data", "check", str(root.parent / "study.toml")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Mirror pairs: none." in told and "warning all 2 no mirror pair is known" in told
    sets = [word for one in OFF for word in ("--set", one)]
    assert outcome(["data", "check", str(root.parent / "study.toml"), *sets]) == 0
    assert "no mirror pair is known" not in capsys.readouterr().out


def test_all_faults_are_told_in_one_pass_a_line_each(root, capsys):
    names_only(root, "left_paw", "tail")
    for lost in ("train1.png", "train2.png", "valid0.png"):
        (root / lost).unlink()
    three = 'split.sets.a.steps=[["left_paw"],["tail"],["left_paw"]]'
    code = outcome(["run", str(root.parent / "study.toml"), "--plan", "--set", three])
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and all(line.startswith("kp: error: ") for line in lines), lines
    for text in ("has 3 steps; give one", "names a side", "part 'train': image file", "part 'valid': image file"):
        assert len([line for line in lines if text in line]) == 1
    assert next(line for line in lines if "part 'train'" in line).endswith("(2 such)")


# copies by their names


HASHES = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210")


@pytest.mark.parametrize(
    ("ours", "theirs", "copies"),
    [
        (f"train/IMG_1_jpg.rf.{HASHES[0]}.jpg", f"valid/IMG_1_jpg.rf.{HASHES[1]}.jpg", True),
        (f"train/IMG_1_jpg.rf.{HASHES[0]}.jpg", f"valid/IMG_2_jpg.rf.{HASHES[1]}.jpg", False),
        ("d/cats_original_1.png_a1b2c3d4-0000-1111-2222-333344445555.png",
         "d/dogs_original_1.png_a1b2c3d4-0000-1111-2222-333344445556.png", True),
        ("train/cat.jpg", "valid/cat_flip.png", True), ("d/cat_hflip.jpg", "d/cat_vflip.jpg", True),
        ("d/cat-augmented-1.jpg", "d/cat.jpg", True), ("d/cat_aug3.jpg", "d/cat.jpg", True),
        ("d/cat_flip_rot90.jpg", "d/cat.jpg", True),
        ("a/cat.jpg", "b/cat_flip.png", False), ("d/cat.jpg", "e/cat.jpg", False),
        ("train/cat.jpg", "valid/cat.jpg", False),  # two pictures of one name
        ("d/photo_aug_12.jpg", "d/photo_aug_13.jpg", False),  # days of August
        ("d/table_rot10.jpg", "d/table_rot20.jpg", False),  # views of a turntable
        ("d/img (1).jpg", "d/img (2).jpg", False), ("d/img.jpg", "d/img (1).jpg", False),
        ("d/cat_augusta.jpg", "d/cat.jpg", False), ("d/flip.jpg", "d/cat_flip.jpg", False),
    ],
)  # fmt: skip
def test_names_that_say_copies_of_one_picture(ours, theirs, copies):
    for one, other in ((ours, theirs), (theirs, ours)):
        assert copies_between([Path(one)], [Path(other)]) == ({Path(one): Path(other)} if copies else {})


def test_copies_without_a_clear_word_count_where_the_original_is_there():
    ours, theirs = [Path("d/cat.jpg"), Path("d/cat_aug0.jpg")], [Path("d/cat_aug1.jpg"), Path("d/dog_aug1.jpg")]
    assert copies_between(ours, theirs) == dict.fromkeys(ours, theirs[0])


def test_mirrored_copies_in_two_parts_are_a_leak_of_their_own_and_are_left_out(root, capsys):
    lines = (root / "keypoints.csv").read_text()
    for old, name, pixels in (
        ("train2.png", f"IMG_7_jpg.rf.{HASHES[0]}.png", picture(2)),
        ("valid0.png", f"IMG_7_jpg.rf.{HASHES[1]}.png", picture(2)[:, ::-1]),
    ):
        saved(root / name, pixels)
        lines = lines.replace(old, name)
    (root / "keypoints.csv").write_text(lines)
    left, (line,) = opened(root, LEAVE_OUT)
    assert left.data[""].left_out == (2,)
    assert "augmented copies of the same pictures, by their names, are in part 'valid' (first: 'IMG_7_jpg.rf.0" in line
    assert outcome(["data", "check", str(root), "--dataset", "named", "--quick"]) == 0
    assert "augmented copies of the same pictures" in " ".join(capsys.readouterr().out.split())


def test_the_same_file_is_no_copy_too(tmp_path):
    names = [f"{part}/IMG_1_jpg.rf.{HASHES[0]}.png" for part in ("train", "valid")]
    ours, theirs = (sample(saved(tmp_path / name, picture(1))) for name in names)
    assert set(between([ours], [theirs])) == {"same"}


# advice that helps


def film(root, *videos):
    """Call the pictures frames of these videos in turn."""
    lines = (root / "keypoints.csv").read_text()
    for place, path in enumerate(sorted(root.glob("*.png"))):
        name = f"{videos[place % len(videos)]}_frame{place}.png"
        path.rename(root / name)
        lines = lines.replace(path.name, name)
    (root / "keypoints.csv").write_text(lines)


def test_one_video_alone_is_not_told_to_be_left_out(root):
    film(root, "walk")
    study, (line,) = opened(root)
    assert "leave_out" not in line and "every training image is of such a video" in line
    assert "label frames of another video and hold that out as a whole, or keep it and say" in line
    for part in ("train", "valid"):
        (finding,) = shared_findings(study.data[""].dataset, part, near=False)
        assert finding.what.endswith(line.rpartition("; ")[2]) and "leave_out" not in finding.what
    with pytest.raises(KpError, match=r'set evaluation.leaks = "warn"; .* label frames of another video'):
        opened(root, LEAVE_OUT)


def test_where_a_video_is_left_the_others_can_be_left_out(root):
    film(root, "walk", "run", "sit", "lie", "eat", "play", "jump", "hide")  # the ninth picture is of the first again
    study, (line,) = opened(root)
    assert line.endswith('divide the data in another way, or set evaluation.leaks = "leave_out"')
    for part in ("train", "valid"):
        (finding,) = shared_findings(study.data[""].dataset, part, near=False)
        assert finding.what.endswith(REMEDY)


def test_where_every_picture_is_the_same_the_advice_is_to_divide_in_another_way():
    leak = Leak("same", (0, 1, 2), 3, "")
    assert remedy([leak], 4) == remedy([], 0) == REMEDY
    assert "leave" not in remedy([leak], 3).replace("leaves none", "").replace("leaving them out", "")
    assert "divide the data in another way, or keep it and say so" in remedy([leak, Leak("video", (0,), 1, "")], 3)
