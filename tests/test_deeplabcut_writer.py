"""Predictions as DeepLabCut's own files: read back by our reader, and by pandas and sleap-io where they are there."""

import csv

import cv2
import numpy as np
import pytest
from kp_deeplabcut.writer import row_of
from writing import MOUSE, about, found, written

from kpcore.errors import KpError
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.registry import registry
from kpcore.trained.individuals import individuals

ONE = [[10.25, 20.5], [30.12345, 40.0], [15.0, 44.0], [0.5, 0.0]]
TWO = [[50.0, 60.0], [51.0, 61.0], [52.0, 62.0], [90.5, 60.0]]
LOST = [[np.nan, np.nan]] * 4


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def project(folder, *names):
    """A project's images, which a network is to label; returns their paths."""
    for name in names:
        path = folder / "labeled-data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((100, 200, 3), np.uint8))


def everybody(root):
    data = registry().build("dataset", "deeplabcut", {"root": str(root), "held_out": 1e-9}, where="test")
    return data, [*data.samples("train"), *data.samples("valid")]


def test_labels_of_a_projects_images_are_read_back_with_the_same_points(tmp_path):
    project(tmp_path / "deeplabcut", "walk/img01.png", "run/img01.png", "run/img02.png", "run/img03.png")
    pictures = [
        found("img01.png", ONE, folder="/p/labeled-data/walk"),
        found("img01.png", TWO, folder="/p/labeled-data/run"),
        found("img02.png", LOST, folder="/p/labeled-data/run"),
        found("img03.png", ONE, folder="/p/labeled-data/run"),
        found("img04.png", folder="/p/labeled-data/run", problem="cannot be read"),
    ]
    paths = written("deeplabcut", tmp_path, pictures, scorer="rick")
    names = [f"labeled-data/{name}/CollectedData_rick.csv" for name in ("walk", "run")]
    assert paths[::2] == [tmp_path / "deeplabcut" / name for name in names]
    assert paths[1::2] == [path.with_suffix(".h5") for path in paths[::2]]
    assert rows(paths[0]) == [
        ["scorer", "", "", *["rick"] * 8],
        ["bodyparts", "", "", *(name for name in MOUSE.names for _ in "xy")],
        ["coords", "", "", *["x", "y"] * 4],
        ["labeled-data", "walk", "img01.png", "10.2500", "20.5000", "30.1234", "40.0000", "15.0000", "44.0000",
         "0.5000", "0.0000"],
    ]  # fmt: skip
    data, people = everybody(tmp_path / "deeplabcut")
    assert data.skeleton.names == MOUSE.names
    points = {person.image_id: person.points for person in people}
    assert sorted(points) == ["run/img01.png", "run/img03.png", "walk/img01.png"]
    np.testing.assert_allclose([points["walk/img01.png"], points["run/img01.png"]], [ONE, TWO], atol=1e-4)


def test_images_right_in_labeled_data_have_their_file_beside_it(tmp_path):
    project(tmp_path / "deeplabcut", "img01.png")
    path, _ = written("deeplabcut", tmp_path, [found("img01.png", ONE, folder="/mouse/labeled-data")], least=0.75)
    assert path == tmp_path / "deeplabcut" / "CollectedData_kptransfer.csv"
    assert rows(path)[3][0] == "labeled-data/img01.png" and rows(path)[0][:2] == ["scorer", "kptransfer"]
    _, (person,) = everybody(tmp_path / "deeplabcut")
    np.testing.assert_allclose(person.points, [*ONE[:2], *LOST[:2]], atol=1e-4)


def test_images_without_instances_leave_no_file(tmp_path):
    assert written("deeplabcut", tmp_path, [found("a.png"), found("b.png", LOST)]) == []


def test_several_animals_have_deeplabcuts_header_of_several(tmp_path):
    project(tmp_path / "deeplabcut", "walk/1.png", "walk/2.png")
    pictures = [found("1.png", ONE, TWO, ids=["8", "9"]), found("2.png", TWO, ids=["10"])]
    path, _ = written("deeplabcut", tmp_path, pictures)
    assert rows(path)[1] == ["individuals", "", "", *["individual1"] * 8, *["individual2"] * 8]
    assert rows(path)[5][3:] == [*(f"{value:.4f}" for point in TWO for value in point), *[""] * 8]
    _, people = everybody(tmp_path / "deeplabcut")
    np.testing.assert_allclose([person.points for person in people], [ONE, TWO, TWO], atol=1e-4)


def test_a_video_has_a_row_a_frame_with_likelihoods_cut_to_1(tmp_path):
    pictures = [
        found("v.mp4", ONE, frame=0, confidence=[[1.25, 0.5, -0.25, 1.0]]),
        found("v.mp4", LOST, frame=1),
        found("v.mp4", frame=2),
        found("v.mp4", frame=3, problem="the video ends"),
    ]
    path, _ = written("deeplabcut", tmp_path, pictures, scorer="DLC_ours")
    assert path == tmp_path / "deeplabcut" / "vDLC_ours.csv"
    header, (first, second, third) = rows(path)[:3], rows(path)[3:]
    assert [row[0] for row in header] == ["scorer", "bodyparts", "coords"]
    assert header[2][1:] == ["x", "y", "likelihood"] * 4
    assert first == ["0", "10.2500", "20.5000", "1.0000", "30.1234", "40.0000", "0.5000", "15.0000", "44.0000",
                     "0.0000", "0.5000", "0.0000", "1.0000"]  # fmt: skip
    assert second == ["1", *[""] * 12] and third == ["2", *[""] * 12]


def test_followed_animals_keep_their_columns_while_one_is_lost(tmp_path):
    pictures = [
        found("v.mp4", ONE, TWO, frame=0, ids=["tom", "eva"]),
        found("v.mp4", LOST, TWO, frame=1, ids=["tom", "eva"]),
        found("v.mp4", TWO, frame=2, ids=["eva"]),
    ]
    path, _ = written("deeplabcut", tmp_path, pictures)
    found_rows = rows(path)
    assert found_rows[1] == ["individuals", *["tom"] * 12, *["eva"] * 12]
    assert [row[1:13] == [""] * 12 for row in found_rows[4:]] == [False, True, True]
    assert len({tuple(row[13:]) for row in found_rows[4:]}) == 1


def test_ids_name_individuals_where_they_last_from_picture_to_picture():
    assert individuals([["a", "b"], ["b"], []]) == ("a", "b")
    assert individuals([["1", "2"], ["3"]]) is None  # a COCO file's annotations
    assert individuals([["a", "a"], ["a"]]) is None
    assert individuals([["", "b"], ["b"]]) is None
    assert individuals([[], []]) is None


def test_a_row_is_named_by_the_folder_of_its_image(tmp_path, monkeypatch):
    assert str(row_of(tmp_path / "run" / "a.png")) == "labeled-data/run/a.png"
    monkeypatch.chdir(tmp_path)
    assert str(row_of(tmp_path.__class__("a.png"))) == f"labeled-data/{tmp_path.name}/a.png"


def test_what_deeplabcut_cannot_hold_is_one_line(tmp_path):
    deep = Skeleton("deep", (Keypoint("a", group="a"),), dims=3).all()
    with pytest.raises(KpError, match="--format deeplabcut: has x and y"):
        written("deeplabcut", tmp_path, [], about(deep))
    twins = [found("a.png", ONE, folder="/x/run"), found("a.png", ONE, folder="/y/run")]
    with pytest.raises(KpError, match=r"/y/run/a\.png and /x/run/a\.png would both be labeled-data/run/a\.png"):
        written("deeplabcut", tmp_path, twins)
    for scorer in ("../x", "a,b", "", " a"):
        with pytest.raises(KpError, match="scorer"):
            written("deeplabcut", tmp_path, [], scorer=scorer)


def test_pandas_reads_both_as_deeplabcut_does(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pictures = [found("1.png", ONE, TWO), found("v.mp4", ONE, frame=0)]
    labels, _, video, _ = written("deeplabcut", tmp_path, pictures)
    frame = pandas.read_csv(labels, header=[0, 1, 2, 3], index_col=[0, 1, 2])  # as its convertcsv2h5
    assert frame.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    assert frame.index[0] == ("labeled-data", "walk", "1.png")
    np.testing.assert_allclose(
        frame.xs("individual2", axis=1, level="individuals").to_numpy().reshape(4, 2), TWO, atol=1e-4
    )
    frame = pandas.read_csv(video, header=[0, 1, 2], index_col=0)
    np.testing.assert_allclose(frame.xs("tail", axis=1, level="bodyparts").loc[0], [0.5, 0.0, 0.6], atol=1e-4)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_the_hdf5_of_labels_says_what_the_csv_says(tmp_path, flat, several):
    folder = "/mouse/labeled-data" if flat else "/mouse/labeled-data/walk"
    first = [ONE, TWO] if several else [ONE]
    pictures = [found("1.png", *first, folder=folder), found("2.png", TWO, folder=folder)]
    project(tmp_path / "deeplabcut", *(f"{'' if flat else 'walk/'}{number}.png" for number in (1, 2)))
    csv_file, hdf_file = written("deeplabcut", tmp_path, pictures, least=0.65)
    by_csv, both = everybody(tmp_path / "deeplabcut")
    csv_file.unlink()
    by_hdf, again = everybody(tmp_path / "deeplabcut")
    assert hdf_file.exists() and by_csv.skeleton == by_hdf.skeleton and len(again) == len(first) + 1
    assert [person.image_id for person in again] == [person.image_id for person in both]
    np.testing.assert_allclose([one.points for one in again], [one.points for one in both], atol=1e-4)


def test_pandas_reads_the_hdf5_as_deeplabcut_does(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("tables", reason="PyTables is not installed")
    pictures = [found("1.png", ONE, TWO), found("2.png", TWO), found("v.mp4", ONE, frame=0), found("v.mp4", frame=1)]
    pictures.append(found("1.png", ONE, folder="/flat/labeled-data"))
    paths = written("deeplabcut", tmp_path, pictures)
    for place, (levels, index) in enumerate(((4, [0, 1, 2]), (3, 0), (3, 0))):
        by_csv = pandas.read_csv(paths[2 * place], header=list(range(levels)), index_col=index)
        by_hdf = pandas.read_hdf(paths[2 * place + 1])
        assert list(by_hdf.columns) == list(by_csv.columns) and by_hdf.columns.names == by_csv.columns.names
        assert list(by_hdf.index) == list(by_csv.index)
        np.testing.assert_allclose(by_hdf.to_numpy(), by_csv.to_numpy(), atol=1e-4)


def test_sleap_io_reads_the_labels(tmp_path):
    sleap_io = pytest.importorskip("sleap_io", reason="sleap-io is not installed: pip install 'kptransfer[sleap]'")
    project(tmp_path / "deeplabcut", "walk/img1.png", "walk/img2.png")
    path, _ = written("deeplabcut", tmp_path, [found("img1.png", ONE), found("img2.png", TWO)])
    labels = sleap_io.load_file(str(path))
    order = [MOUSE.names.index(name) for name in labels.skeleton.node_names]  # sleap-io sorts them
    np.testing.assert_allclose(labels.numpy()[:, 0], np.array([ONE, TWO])[:, order], atol=1e-4)
