"""DeepLabCut's projects and folders, read byte by byte as published; damaged ones; and the drawn mice."""

import os
import pickle
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hand_made import refused, told
from kp_deeplabcut.crops import SMALLEST
from kp_deeplabcut.csv_file import read_csv
from kp_deeplabcut.dataset import DeepLabCut
from kp_deeplabcut.hdf_file import read_hdf
from kp_deeplabcut.synthetic.generator import MiceGenerator
from kp_deeplabcut.synthetic.mouse import BODYPARTS

from kpcore.audit.annotation import annotation_findings
from kpcore.reading.paths import Images
from kpcore.reading.sides import mirror_partners
from kpcore.registry import registry
from kpcore.study.data import read_part
from kpcore.tensors import UNLABELLED, VISIBLE

REAL = Path(os.environ.get("KP_REAL_DATA", "")) / "mirror_mouse"
SINGLE = """scorer,anna,anna,anna,anna,anna,anna
bodyparts,nose,nose,ear_l,ear_l,ear_r,ear_r
coords,x,y,x,y,x,y
labeled-data/run/img001.png,10.5,20.25,30,22,,
labeled-data/run/img002.png,11,21,31,23,8,24
labeled-data/walk/img001.png,,,,,,
"""
ONE_VIDEO = "all frames are in one folder, as those of one video are: scores are for that video alone"
HEADER, FRAMES = SINGLE.splitlines()[:3], SINGLE.splitlines()[3:]
SEVERAL = """scorer,,,anna,anna,anna,anna,anna,anna,anna,anna
individuals,,,one,one,one,one,two,two,two,two
bodyparts,,,nose,nose,tail,tail,nose,nose,tail,tail
coords,,,x,y,x,y,x,y,x,y
labeled-data,run,img001.png,1,2,11,12,21,22,31,32
labeled-data,run,img002.png,3,4,13,14,,,,
"""


def picture(path, size=(48, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), 90, np.uint8))


def flat(root, text=SINGLE, name="CollectedData_anna.csv"):
    root.mkdir(exist_ok=True, parents=True)
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    for image in ("run/img001.png", "run/img002.png", "walk/img001.png"):
        picture(root / "labeled-data" / image)
    return root


def opened(root, **options):
    return DeepLabCut(**DeepLabCut.Config(root=str(root), **options).model_dump())


def everybody(data):
    return sorted((sample for part in data.parts for sample in data.samples(part)), key=lambda sample: sample.row)


def write_hdf(path, *, names=("nose", "tail"), images=("labeled-data/run/img001.png",), values=None, index=None):
    """What ``DataFrame.to_hdf`` writes in its fixed format: levels and codes of the columns, and one block."""
    columns = 2 * len(names)
    values = np.arange(len(images) * columns, dtype=np.float64).reshape(len(images), -1) if values is None else values
    with h5py.File(path, "w") as file:
        frame = file.create_group("df_with_missing")
        frame.attrs["pandas_type"] = b"frame"
        for prefix in ("axis0", "block0_items"):
            levels = ([b"anna"], [name.encode() for name in names], [b"x", b"y"])
            codes = ([0] * columns, np.repeat(np.arange(len(names)), 2), [0, 1] * len(names))
            for number, (level, code) in enumerate(zip(levels, codes, strict=True)):
                frame[f"{prefix}_level{number}"] = np.array(level)
                frame[f"{prefix}_label{number}"] = np.array(code, np.int8)
        if index is None:
            frame["axis1"] = np.array([image.encode() for image in images])
        else:
            for number, (level, code) in enumerate(index):
                frame[f"axis1_level{number}"], frame[f"axis1_label{number}"] = np.array(level), np.array(code, np.int8)
        frame["block0_values"] = values
    return path


def test_a_flat_folder_is_read_as_published(tmp_path):
    data = opened(flat(tmp_path), held_out=0.5)
    assert data.skeleton.names == ("nose", "ear_l", "ear_r")
    assert data.skeleton["ear_l"].mirror == "ear_r"
    assert data.skeleton.groups == {"nose": ("nose",), "ear": ("ear_l", "ear_r")}
    first, second = everybody(data)  # the third has no label
    np.testing.assert_array_equal(first.points, np.float32([[10.5, 20.25], [30, 22], [np.nan, np.nan]]))
    assert first.state.tolist() == [VISIBLE, VISIBLE, UNLABELLED]
    assert (first.image, first.image_id, first.row) == (
        tmp_path / "labeled-data/run/img001.png", "run/img001.png", 0,
    )  # fmt: skip
    assert second.normaliser == pytest.approx(np.hypot(31 - 8, 24 - 21))
    assert (first.centre.tolist(), first.side) == ([23.5, 19.5], 48)  # the whole image
    assert data.facts.default_metric == "pck"
    assert any("walk/img001.png" in found.what for part in data.parts for found in data.findings(part))
    levels = {found.what: found.level for part in data.parts for found in data.findings(part)}
    assert levels["'valid' is 0.5 of the images, drawn by their names; a crop is the box of the image"] == "note"
    told = f"{ONE_VIDEO}; label another one, and hold it out by valid_videos"
    assert levels[told] == "note"
    assert {level for what, level in levels.items() if "no bodypart is labelled, left out" in what} == {"warning"}


def test_a_project_reads_all_its_folders(tmp_path):
    (tmp_path / "config.yaml").write_text("Task: run\n")
    for video, line in (("run", FRAMES[0]), ("walk", FRAMES[2].replace(",,,,,,", ",1,2,3,4,5,6"))):
        picture(tmp_path / "labeled-data" / video / "img001.png")
        (tmp_path / "labeled-data" / video / "CollectedData_anna.csv").write_text("\n".join([*HEADER, line]))
    data = opened(tmp_path, valid_videos=["walk"])
    assert [sample.image_id for sample in data.samples("train")] == ["run/img001.png"]
    assert [sample.image_id for sample in data.samples("valid")] == ["walk/img001.png"]
    assert [sample.row for sample in everybody(data)] == [0, 1]
    refused(lambda: opened(tmp_path, valid_videos=["wlak"]), "did you mean 'walk'")


def test_bodyparts_that_only_one_file_has_are_unlabelled_in_the_other(tmp_path):
    for video, part in (("run", "nose"), ("walk", "tail")):
        picture(tmp_path / "labeled-data" / video / "a.png")
        text = f"scorer,a,a\nbodyparts,{part},{part}\ncoords,x,y\nlabeled-data/{video}/a.png,5,6\n"
        (tmp_path / "labeled-data" / video / "CollectedData_a.csv").write_text(text)
    run, walk = everybody(opened(tmp_path))
    np.testing.assert_array_equal(run.points, [[5, 6], [np.nan, np.nan]])
    np.testing.assert_array_equal(walk.points, [[np.nan, np.nan], [5, 6]])


def test_each_individual_is_a_sample(tmp_path):
    people = everybody(opened(flat(tmp_path, SEVERAL), factor=2))
    assert [(one.image_id, one.person_id) for one in people] == [
        ("run/img001.png", "one"), ("run/img001.png", "two"), ("run/img002.png", "one"),
    ]  # fmt: skip
    np.testing.assert_array_equal(people[1].points, [[21, 22], [31, 32]])
    assert (people[1].centre.tolist(), people[1].side) == ([26, 27], SMALLEST)  # several animals: the points' box
    assert opened(flat(tmp_path, SEVERAL), factor=4).samples("train")[0].side == 40


def test_crop_normaliser_mirrors_and_groups_are_options(tmp_path):
    root = flat(tmp_path, "\n".join([*HEADER, *FRAMES[:2]]))
    data = opened(root, normaliser=("ear_r", "nose"), mirrors={}, groups={"head": ["nose", "ear_l"]})
    first, second = everybody(data)
    assert second.normaliser == first.normaliser == pytest.approx(np.hypot(3, 3))  # the first has no right ear: median
    assert data.skeleton.groups["head"] == ("nose", "ear_l")
    assert data.skeleton["ear_l"].mirror is None
    assert everybody(opened(root, crop="points", factor=1))[0].side == SMALLEST
    refused(lambda: opened(root, groups={"head": ["nos"]}), "did you mean 'nose'")
    refused(lambda: opened(root, mirrors={"nose": "ear"}), "keypoint 'ear'")
    refused(lambda: opened(root, mirrors={"nose": "ear_l", "ear_l": "ear_r"}), "partners")
    refused(lambda: opened(root, normaliser=("nose", "tail")), f"{root}, normaliser: unknown keypoint 'tail'")
    refused(lambda: opened(root, normaliser=("nose", "nose")), f"{root}, normaliser: 'nose' is named twice, a length")
    alone = {"root": str(root), "normaliser": ["nose"]}
    told = "dataset.normaliser.1: missing; the list is too short (got ['nose'])"
    refused(lambda: registry().build("dataset", "deeplabcut", alone, where="s.toml: dataset"), told)


def test_the_mouse_on_a_wheel_has_no_mirror_partners():
    assert set(mirror_partners(BODYPARTS).values()) == {None}


def test_parts_share_no_image_and_options_change_the_fingerprint(tmp_path):
    def fingerprint(part="train", **options):
        return read_part(opened(root, **{"held_out": 0.5} | options), part).fingerprint

    text = SINGLE.replace("walk/img001.png,,,", "walk/img001.png,9,19,")
    root = flat(tmp_path, text)
    data = opened(root, held_out=0.5)
    parts = [{sample.image_id for sample in data.samples(part)} for part in data.parts]
    assert not parts[0] & parts[1]
    before, scored = fingerprint(), fingerprint("valid")
    assert fingerprint() == before != scored
    for options in ({"crop": "points"}, {"normaliser": ("nose", "ear_l")}, {"valid_videos": ["run"]}):
        assert fingerprint(**options) != before
    (root / "CollectedData_anna.csv").write_text(text.replace("10.5", "10.6"))
    assert fingerprint("valid").keypoints != scored.keypoints
    refused(lambda: data.samples("test"), "part 'test'")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "scorer"),
        ("\n".join(HEADER[1:] + FRAMES), "scorer"),
        ("\n".join([HEADER[0], HEADER[2], *FRAMES]), "bodyparts"),
        ("\n".join(HEADER), "no frames"),
        ("\n".join([*HEADER[:2], "coords,x,y", *FRAMES]), "different lengths"),
        ("\n".join([*HEADER, FRAMES[0] + ",4"]), "row 4"),
        ("\n".join([*HEADER, FRAMES[0][:-1]]), "row 4"),
        (SINGLE.replace("20.25", "left"), "'left' is not a number"),
        (SINGLE.replace("20.25", "inf"), "'inf' is not a number"),
        (SINGLE.replace("20.25", "1e300"), "nose y is 1e+300"),
        (SINGLE.replace("20.25", ""), "only one of x and y"),
        ("\n".join([*HEADER, FRAMES[0], FRAMES[0]]), "run/img001.png"),
        (SINGLE.replace("ear_r", "nose"), "two columns"),
        (SINGLE.replace("coords,x,y,", "coords,x,z,"), "no column 'y'"),
        (SINGLE.replace("bodyparts,nose,nose", "bodyparts,,"), "no name"),
        (SINGLE.replace("labeled-data/run", "/etc"), "not a path below the folder of images"),
        (SINGLE.replace("labeled-data/run", "../.."), "not a path below the folder of images"),
        (SINGLE.replace("labeled-data/run/img001.png", ""), "not a path below the folder of images"),
        (SINGLE.replace("nose", "n\u00f6se").encode("latin-1"), "UTF-8"),
        (b"\x00\xff\xfe" * 50, "UTF-8"),
        (SINGLE.replace("nose", '"no\nse"'), "cannot be shown"),
        (SINGLE.replace("labeled-data/run/img001.png", '"a\nb"'), "not a path below the folder of images"),
        ('scorer,"' + "a" * 200_000, "CSV"),
        (SEVERAL.replace("scorer,,,", "scorer,,").replace("coords,,,", "coords,,"), "different lengths"),
        ("scorer,,a,a\nbodyparts,,n,n\ncoords,,x,y\na,b,1,2\n", "2 columns"),
    ],
)
def test_damaged_csv_files_are_told_in_one_line(tmp_path, text, word):
    refused(lambda: opened(flat(tmp_path, text)), word, "CollectedData_anna.csv")


def test_folders_of_another_layout_are_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("KP_DEEPLABCUT_ROOT", raising=False)
    refused(lambda: opened(tmp_path), "no CollectedData")
    refused(lambda: opened(tmp_path / "none"), "is not a folder")
    refused(lambda: DeepLabCut(**DeepLabCut.Config().model_dump()), "KP_DEEPLABCUT_ROOT")
    flat(tmp_path)
    flat(tmp_path, name="CollectedData_ben.csv")
    refused(lambda: opened(tmp_path), "anna, ben")
    assert len(everybody(opened(tmp_path, scorer="ben"))) == 2
    refused(lambda: opened(tmp_path, scorer="bne"), "did you mean 'ben'")


def test_images_that_cannot_be_measured_are_told(tmp_path):
    flat(tmp_path)
    (tmp_path / "labeled-data/run/img001.png").write_bytes(b"junk")
    refused(lambda: everybody(opened(tmp_path)), "img001.png", "not an image")
    (tmp_path / "labeled-data/run/img001.png").unlink()
    refused(lambda: everybody(opened(tmp_path)), "image file does not exist")


def test_likelihoods_and_windows_paths_are_read_over(tmp_path):
    text = "scorer,a,a,a\nbodyparts,n,n,n\ncoords,x,y,likelihood\nlabeled-data\\run\\img001.png,1,2,inf\n"
    table = read_csv(flat(tmp_path, text) / "CollectedData_anna.csv", Images(tmp_path))
    assert table.images == ("labeled-data/run/img001.png",)
    assert table.points.tolist() == [[[[1, 2]]]]


def test_plain_hdf5_is_read_without_pandas(tmp_path):
    one = read_hdf(write_hdf(tmp_path / "CollectedData_a.h5"), Images(tmp_path))
    assert (one.bodyparts, one.images) == (("nose", "tail"), ("labeled-data/run/img001.png",))
    assert one.points[0, 0].tolist() == [[0, 1], [2, 3]]
    index = [([b"labeled-data"], [0, 0]), ([b"run"], [0, 0]), ([b"a.png", b"b.png"], [1, 0])]
    two = read_hdf(write_hdf(tmp_path / "CollectedData_b.h5", images=("", ""), index=index), Images(tmp_path))
    assert two.images == ("labeled-data/run/b.png", "labeled-data/run/a.png")


def test_the_csv_is_read_where_both_exist(tmp_path):
    (flat(tmp_path) / "CollectedData_anna.h5").write_bytes(b"junk")
    assert len(everybody(opened(tmp_path))) == 2
    (tmp_path / "CollectedData_anna.csv").unlink()
    refused(lambda: opened(tmp_path), "HDF5", "CSV")


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_pickled_hdf5_is_refused_and_never_executed(tmp_path):
    mark = tmp_path / "executed"
    path = write_hdf(tmp_path / "CollectedData_a.h5")
    with h5py.File(path, "a") as file:
        frame = file["df_with_missing"]
        del frame["block0_values"]
        frame.create_dataset("block0_values", (1,), dtype=h5py.vlen_dtype(np.uint8))
        frame["block0_values"][0] = np.frombuffer(pickle.dumps(Bomb(mark)), np.uint8)
    refused(lambda: opened(tmp_path), "never unpickled", "CollectedData_a.csv")
    assert not mark.exists()


def test_damaged_hdf5_files_are_told_in_one_line(tmp_path):
    path = write_hdf(tmp_path / "CollectedData_a.h5")
    whole = path.read_bytes()
    for length in (0, 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        refused(lambda: opened(tmp_path), "HDF5")
    for name, value, word in (
        ("block0_items_label1", np.array([0, 0, 9, 9], np.int8), "names that are not there"),
        ("block0_items_label1", np.array([0, 0, -1, -1], np.int8), "names that are not there"),
        ("block0_values", np.zeros((3, 4)), "do not fit"),
        ("block0_values", np.zeros(4), "over (4,)"),
        ("block0_values", np.full((1, 4), np.inf), "no place in an image"),
        ("block0_values", np.array([[b"a"] * 4]), "not numbers"),
        ("axis1", np.array([b"\xff"]), "UTF-8"),
        ("axis1", np.array([b"../../x.png"]), "not a path below the folder of images"),
    ):
        write_hdf(path)
        with h5py.File(path, "a") as file:
            del file["df_with_missing"][name]
            file["df_with_missing"][name] = value
        refused(lambda: opened(tmp_path), word)
    with h5py.File(path, "w") as file:
        file.create_group("df_with_missing").create_group("table")
    refused(lambda: opened(tmp_path), "fixed format")


def mice(folder, **options):
    folder.mkdir()
    counted = []
    generator = MiceGenerator(**MiceGenerator.Config(**options).model_dump())
    generator.write(folder, lambda done, total: counted.append((done, total)))
    assert counted[-1] == (generator.frames, generator.frames)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_equal_options_draw_equal_mice(tmp_path):
    first, again = (mice(tmp_path / name, frames=3, size=48) for name in "ab")
    assert first == again
    longer, other = mice(tmp_path / "c", frames=4, size=48), mice(tmp_path / "d", frames=3, size=48, seed=1)
    name = "labeled-data/mice/img00001.png"
    assert longer[name] == first[name] != other[name]


def test_drawn_mice_are_read_as_real_ones_are(tmp_path):
    mice(tmp_path / "mice", frames=80, size=64)
    data = opened(tmp_path / "mice")
    assert data.skeleton.names == BODYPARTS
    people = everybody(data)
    assert [sample.row for sample in people] == list(range(80))
    points = np.stack([sample.points for sample in people])
    assert 0.05 < np.isnan(points).mean() < 0.13
    assert (np.nanmin(points) >= 0) and (np.nanmax(points[..., 0]) <= 63.5) and (np.nanmax(points[..., 1]) <= 65.5)
    top = [name.endswith("_top") for name in BODYPARTS]
    assert np.nanmax(points[:, top, 1]) < 64 * 168 / 396 < np.nanmin(points[:, np.logical_not(top), 1])


def test_a_paw_is_bright_where_its_label_is(tmp_path):
    mice(tmp_path / "mice", frames=20, size=198)
    lighter = []
    for sample in everybody(opened(tmp_path / "mice")):
        grey = cv2.imread(str(sample.image), cv2.IMREAD_GRAYSCALE).astype(float)
        paws = sample.points[[8, 9, 10, 11]]
        x, y = np.rint(paws[np.isfinite(paws[:, 0])].T).astype(int)
        lighter.extend(grey[y, x] - np.median(grey[84:]))
    assert np.mean(np.array(lighter) > 0) > 0.95


def test_both_are_registered():
    assert registry().component("dataset", "deeplabcut") is DeepLabCut
    assert registry().component("generator", "mice") is MiceGenerator


@pytest.mark.real_data
@pytest.mark.skipif(
    not os.environ.get("KP_REAL_DATA") or not REAL.is_dir(), reason="KP_REAL_DATA names no folder with mirror_mouse/"
)
def test_the_real_mouse():
    data = opened(REAL, normaliser=("nose_bot", "tailBase_bot"))
    assert data.skeleton.names == BODYPARTS
    people = everybody(data)
    assert len(people) == 90
    assert people[0].points[0].tolist() == [77.25, 36.25]
    assert np.isnan(np.stack([sample.points for sample in people])).mean() == pytest.approx(0.0876, abs=1e-4)
    assert all(sample.side == 406 and sample.image.is_file() for sample in people)
    assert np.median([sample.normaliser for sample in people]) == pytest.approx(300, abs=20)


def test_the_findings_in_order_with_level_and_count(tmp_path):
    data = opened(flat(tmp_path), held_out=1e-9, normaliser=("nose", "ear_r"))
    warning = "run/img001.png: no distance from nose to ear_r; the data's median is taken"
    assert told(data) == [
        ("note", "'valid' is 1e-09 of the images, drawn by their names; a crop is the box of the image", 1),
        ("note", f"{ONE_VIDEO}; label another one, and hold it out by valid_videos", 1),
        ("warning", "walk/img001.png: no bodypart is labelled, left out", 1),
    ]
    assert told(data, "valid")[2:] == [("warning", warning, 1)]
    assert told(opened(tmp_path, valid_videos=["walk"], crop="points")) == [
        ("note", "'valid' is whole videos; a crop is the box of the points", 1),
    ]  # fmt: skip
    assert [what for _, what, _ in told(opened(tmp_path, valid_videos=["walk"]), "valid")][1:] == [
        "walk/img001.png: no bodypart is labelled, left out"
    ]


def frames(*points, parts=("a", "b", "c")):
    """A file of one animal; a frame is a list of points, None where one is not labelled."""
    rows = [["scorer", *["s"] * 2 * len(parts)], ["bodyparts", *(part for part in parts for _ in "xy")]]
    rows.append(["coords", *["x", "y"] * len(parts)])
    for number, frame in enumerate(points):
        cells = [cell for point in frame for cell in (("", "") if point is None else point)]
        rows.append([f"labeled-data/run/{number}.png", *map(str, cells)])
    return "\n".join(",".join(row) for row in rows)


def test_lengths_below_a_pixel_are_the_datas_median(tmp_path):
    text = frames([(5, 5), (6, 5), None], [(5, 5), (5.5, 5), None], [(5, 5), (8, 9), None], [(5, 5), (5, 14), None])
    data = opened(flat(tmp_path, text), crop="points", normaliser=("b", "a"), held_out=1e-9)
    assert [sample.normaliser for sample in everybody(data)] == [1, 5, 5, 9]
    whole = opened(tmp_path, crop="points", held_out=1e-9)
    assert [sample.normaliser for sample in everybody(whole)] == [1, 5, 5, 9]
    assert [what for level, what, _ in told(whole, "valid") if level == "warning"] == [
        "run/1.png: no diagonal of the labelled points' box; the data's median is taken"
    ]


def test_where_nobody_has_a_length_it_is_the_crops_side(tmp_path):
    text = frames([(5, 5), None, None], [None, (7, 5), None])
    data = opened(flat(tmp_path, text), crop="points")
    assert [(sample.side, sample.normaliser) for sample in everybody(data)] == [(32, 32), (32, 32)]
    refused(lambda: opened(tmp_path, normaliser=("a", "b")), f"{tmp_path}: no frame has both a and b labelled")


def test_the_crop_of_points_is_their_box_times_the_factor(tmp_path):
    data = opened(flat(tmp_path, frames([(10, 20), (50, 30), None])), crop="points", held_out=1e-9)
    (sample,) = data.samples("train")
    assert (sample.centre.tolist(), sample.side) == ([30, 25], 1.5 * 40)
    assert opened(tmp_path, crop="points", factor=10, held_out=1e-9).samples("train")[0].side == 400


def test_a_place_is_possible_up_to_a_hundred_thousand_pixels(tmp_path):
    data = opened(flat(tmp_path, frames([(100000, -100000), (1, 2), None])), crop="points")
    assert everybody(data)[0].points[0].tolist() == [100000, -100000]
    for wrong, what in (((100001, 1), "c x is 100001"), ((1, -100001), "c y is -100001")):
        text = frames([(1, 2)] * 3, [(1, 2), (3, 4), wrong])
        refused(lambda t=text: opened(flat(tmp_path, t)), f"CollectedData_anna.csv, labeled-data/run/1.png: {what}")


def test_an_image_lies_where_it_is_named_or_else_beside_the_file(tmp_path):
    folder = tmp_path / "labeled-data" / "walk"
    folder.mkdir(parents=True)
    (folder / "CollectedData_s.csv").write_text(frames([(1, 2)] * 3, [(1, 2)] * 3))
    picture(folder / "0.png")
    here, gone = everybody(opened(tmp_path, crop="points"))
    assert (here.image, here.image_id) == (folder / "0.png", "run/0.png")
    assert gone.image == tmp_path / "labeled-data" / "run" / "1.png"
    picture(tmp_path / "labeled-data" / "run" / "0.png")
    assert everybody(opened(tmp_path, crop="points"))[0].image == tmp_path / "labeled-data" / "run" / "0.png"


def test_a_bare_name_is_of_the_files_folder(tmp_path):
    folder = tmp_path / "labeled-data" / "walk"
    folder.mkdir(parents=True)
    (folder / "CollectedData.csv").write_text(frames([(1, 2)] * 3).replace("labeled-data/run/", ""))
    (sample,) = everybody(opened(tmp_path, crop="points"))
    assert (sample.image_id, sample.person_id) == ("walk/0.png", "0")


def test_the_roots_own_file_comes_before_those_of_its_folders(tmp_path):
    flat(tmp_path)
    (tmp_path / "labeled-data" / "run" / "CollectedData_anna.csv").write_text("junk")
    assert len(everybody(opened(tmp_path))) == 2


def test_an_image_of_two_files_is_told_with_both_rows(tmp_path):
    for video in ("run", "walk"):
        (tmp_path / "labeled-data" / video).mkdir(parents=True)
        (tmp_path / "labeled-data" / video / "CollectedData_s.csv").write_text(frames([(1, 2)] * 3, [(1, 2)] * 3))
    refused(lambda: opened(tmp_path), f"{tmp_path}: run/0.png is labelled in two rows, 0 and 2 (from 0)")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SINGLE.replace("11,21", "11,1x"), "CollectedData_anna.csv, row 5: '1x' is not a number"),
        ("\n".join([*HEADER, *FRAMES[:2], FRAMES[2] + ",7"]), "row 6: has 8 cells; the header has 7"),
        ("\n".join([*HEADER, FRAMES[0], FRAMES[1], FRAMES[1]]), "frames 1 and 2 (from 0) are both of labeled-data/run"),
        (SINGLE.replace("ear_r,ear_r", "ear_r,"), "column 6 of the labels has no name"),
        (SINGLE.replace("8,24", "8,"), "labeled-data/run/img002.png: ear_r has only one of x and y"),
        (SINGLE.replace("labeled-data/run/img002.png", "C:/x.png"), "row 5: image name 'C:/x.png' is not a path below"),
        (SEVERAL.replace(",two,two,two,two", ",two,two,one,two"), "bodypart"),
        ("coords,x,y", "the first rows begin with 'coords'"),
        ("\n".join([*HEADER[:2], "coords,,,,,,", FRAMES[0]]), "7 columns come before the labels"),
        ("\n".join([HEADER[0] + ",a", *HEADER[1:], FRAMES[0]]), "have different lengths (8, 7, 7 cells)"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, text, told):
    refused(lambda: opened(flat(tmp_path, text)), told, f"{tmp_path / 'CollectedData_anna.csv'}")


def test_options_that_name_nothing_are_told_with_where(tmp_path):
    root = flat(tmp_path)
    start = "dataset."
    refused(
        lambda: opened(root, mirrors={"nose": "nose"}), f"{start}mirrors: 'nose' has the partners 'nose' and 'nose'"
    )
    groups = {"head": ["nose"], "face": ["ear_l", "nose"]}
    refused(lambda: opened(root, groups=groups), f"{start}groups: 'nose' is in 'head' and in 'face'")
    refused(lambda: opened(root, groups={"head": ["tail"]}), f"{start}groups.head: unknown keypoint 'tail'")
    refused(lambda: opened(root, mirrors={"tail": "nose"}), f"{start}mirrors: unknown keypoint 'tail'")
    refused(lambda: opened(root, valid_videos=["none"]), f"{root}, valid_videos: unknown video 'none'")


def test_groups_are_what_the_names_of_a_pair_share(tmp_path):
    names = ("ear", "ear_l", "ear_r", "front_L_paw", "front_R_paw", "x", "y")
    data = opened(flat(tmp_path, frames([(1, 2)] * 7, parts=names)), crop="points", edges=[("x", "y")])
    groups = [point.group for point in data.skeleton.keypoints]
    assert groups == ["ear", "ear_l", "ear_l", "front_paw", "front_paw", "x", "y"]
    assert data.skeleton.edges == (("x", "y"),)
    told_pair = opened(tmp_path, crop="points", mirrors={"y": "x"}).skeleton
    assert (told_pair["x"].mirror, told_pair["y"].mirror, told_pair["x"].group) == ("y", "x", "x")


def test_hdf5_of_several_animals_and_of_other_layouts(tmp_path):
    path = write_hdf(tmp_path / "CollectedData_a.h5")
    with h5py.File(path, "a") as file:
        frame = file["df_with_missing"]
        for name in ("level", "label"):
            for number in (2, 1):
                frame.move(f"block0_items_{name}{number}", f"block0_items_{name}{number + 1}")
        frame["block0_items_level1"], frame["block0_items_label1"] = np.array([b"m1", b"m2"]), np.array([0, 0, 1, 1])
    labels = read_hdf(path, Images(tmp_path))
    assert (labels.individuals, labels.bodyparts) == (("m1", "m2"), ("nose", "tail"))
    assert labels.points[0, 0, 0].tolist() == [0, 1] and labels.points[0, 1, 1].tolist() == [2, 3]
    with h5py.File(path, "a") as file:
        file["df_with_missing"]["block1_values"] = np.zeros((1, 1))
    refused(lambda: read_hdf(path, Images(tmp_path)), f"{path}: its columns have several types")
    write_hdf(path)
    with h5py.File(path, "a") as file:
        del file["df_with_missing"]["axis1"]
    refused(lambda: read_hdf(path, Images(tmp_path)), f"{path}: has no 'axis1'")
    write_hdf(path)
    with h5py.File(path, "a") as file:
        file.create_group("another")
    refused(lambda: read_hdf(path, Images(tmp_path)), "'another', 'df_with_missing'", "CollectedData_a.csv")


def test_row_numbers_that_pandas_writes_before_the_labels_are_left_out(tmp_path):
    plain = everybody(opened(flat(tmp_path / "a"), held_out=0.5))
    for name, first in (("b", ""), ("c", "Unnamed: 0_level_0")):
        lines = [f"{first},{line}" for line in HEADER] + [f"{row},{line}" for row, line in enumerate(FRAMES)]
        numbered = everybody(opened(flat(tmp_path / name, "\n".join(lines)), held_out=0.5))
        assert [sample.image_id for sample in numbered] == [sample.image_id for sample in plain]
        np.testing.assert_array_equal([s.points for s in numbered], [s.points for s in plain])


def test_another_column_before_the_labels_is_told_with_what_to_do(tmp_path):
    text = "\n".join([f",{line}" for line in HEADER] + [f"frame{row},{line}" for row, line in enumerate(FRAMES)])
    refused(
        lambda: opened(flat(tmp_path, text)),
        "the first rows begin with '', '', ''; DeepLabCut's begin with scorer, (individuals,) bodyparts, coords: delete"
        " what stands before these (pandas: to_csv(index=False))",
    )


def test_a_row_with_another_count_of_cells_says_what_to_do(tmp_path):
    text = SINGLE.replace("walk/img001.png,,,,,,", "walk/img001.png,,,,,,,9")
    refused(lambda: opened(flat(tmp_path, text)), "row 6: has 8 cells; the header has 7; mend this row")


def test_bodyparts_in_two_spellings_in_two_videos_are_told(tmp_path):
    for video, name in (("run", "Left_Ear"), ("walk", "left ear")):
        picture(tmp_path / "labeled-data" / video / "img001.png")
        text = f"scorer,a,a\nbodyparts,{name},{name}\ncoords,x,y\nlabeled-data/{video}/img001.png,10,20\n"
        (tmp_path / "labeled-data" / video / "CollectedData_a.csv").write_text(text)
    found = [
        one.what for part in ("train", "valid") for one in annotation_findings(opened(tmp_path, held_out=0.5), part)
    ]
    assert sum("one keypoint in two spellings, taken as two, and nobody has both: 'Left_Ear' and 'left ear'" in what
               for what in found) == 2  # fmt: skip


def test_several_videos_are_told_that_whole_ones_can_be_held_out(tmp_path):
    data = opened(flat(tmp_path, SINGLE.replace("walk/img001.png,,,,,,", "walk/img001.png,1,2,3,4,5,6")), held_out=0.5)
    assert any("valid_videos holds out whole ones" in found.what for found in data.findings("train"))
