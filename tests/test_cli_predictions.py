"""The predictions file: what is written reads back, and nothing in a stranger's file is trusted."""

import h5py
import numpy as np
import pytest

from kpcore.errors import KpError
from kpcore.evaluation.predictions import read_predictions, write_predictions
from kpcore.samples import Instances

POINTS = np.arange(12, dtype=np.float64).reshape(2, 3, 2) / 7


def people(rows=(4, 7)):
    count = len(rows)
    return Instances(
        points=np.zeros((count, 3, 2)), state=np.zeros((count, 3), np.uint8), normaliser=np.ones(count),
        side=np.ones(count), centre=np.ones((count, 2)),
        image_ids=tuple(f"köpfe{row}.jpg" for row in rows), person_ids=("0",) * count,
        rows=np.array(rows), mm_per_px=np.full(count, np.nan),
    )  # fmt: skip


def write(path, points=POINTS):
    write_predictions(
        path, points=points, confidence=np.ones((2, 3)), keypoints=("a", "b", "c"), people=people(),
        part="valid", label="sample data (x)",
    )  # fmt: skip


def test_what_is_written_reads_back(tmp_path):
    path = tmp_path / "predictions.h5"
    write(path)
    found = read_predictions(path)
    np.testing.assert_array_equal(found.points, POINTS)
    np.testing.assert_array_equal(found.rows, [4, 7])
    assert (found.keypoints, found.origin, found.part) == (("a", "b", "c"), 0, "valid")
    assert found.image_ids == ("köpfe4.jpg", "köpfe7.jpg")
    assert [item.name for item in tmp_path.iterdir()] == ["predictions.h5"]


def test_equal_predictions_are_equal_files(tmp_path):
    write(tmp_path / "a.h5")
    write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_plain_file_is_enough_and_what_is_not_finite_is_missing(tmp_path):
    path = tmp_path / "plain.h5"
    points = POINTS.astype(np.float32)
    points[0, 0] = np.inf
    points[1, 1, 0] = np.nan
    with h5py.File(path, "w") as file:
        file["preds"] = points
    found = read_predictions(path)
    assert np.isnan(found.points[0, 0]).all()
    assert np.isnan(found.points).sum() == 3
    assert (found.keypoints, found.origin, found.rows, found.image_ids, found.part) == (None, None, None, None, "")


def test_an_option_s_origin_lies_over_the_file_s(tmp_path):
    write(tmp_path / "a.h5")
    found = read_predictions(tmp_path / "a.h5")
    assert (found.with_origin(None).origin, found.with_origin(1).origin) == (0, 1)


def holding(**arrays):
    def fill(file):
        for name, value in arrays.items():
            file[name] = value

    return fill


def with_attribute(name, value):
    def fill(file):
        file["preds"] = POINTS
        file.attrs[name] = value

    return fill


def soft_link(file):
    file["elsewhere"] = POINTS
    file["preds"] = h5py.SoftLink("/elsewhere")


def external_link(file):
    file["preds"] = h5py.ExternalLink("/etc/hostname", "/preds")


def external_storage(file):
    file.create_dataset("preds", (1, 1, 2), "u1", external=[("/etc/hostname", 0, 2)])


def virtual(file):
    layout = h5py.VirtualLayout((1, 1, 2), "f8")
    layout[...] = h5py.VirtualSource("other.h5", "preds", (1, 1, 2))
    file.create_virtual_dataset("preds", layout)


def bomb(file):
    file.create_dataset("preds", (2**28, 16, 2), "f8", chunks=(1024, 16, 2))


HOSTILE = {
    "nothing": (holding(predictions=POINTS), "no data set 'preds'; the file holds predictions"),
    "empty": (holding(), "the file holds nothing"),
    "group": (lambda file: file.create_group("preds"), "must be a plain data set"),
    "text": (holding(preds=[["a", "b"]]), "must hold numbers"),
    "complex": (holding(preds=POINTS.astype(complex)), "must hold numbers, not complex128"),
    "compound": (holding(preds=np.zeros((2, 3, 2), [("x", "f8")])), "must hold numbers"),
    "null": (holding(preds=h5py.Empty("f8")), "'preds'"),
    "flat": (holding(preds=POINTS[0]), "'preds' is (3, 2); it must be (N, K, D)"),
    "wide": (holding(preds=np.zeros((2, 3, 4))), "it must be (N, K, D)"),
    "nobody": (holding(preds=np.zeros((0, 3, 2))), "it must be (N, K, D)"),
    "soft link": (soft_link, "stored in the file itself"),
    "external link": (external_link, "stored in the file itself"),
    "external storage": (external_storage, "stored in the file itself"),
    "virtual": (virtual, "stored in the file itself"),
    "bomb": (bomb, "that is more than"),
    "names": (with_attribute("keypoints", ["a", "b"]), "'keypoints' names 2, but 'preds' holds 3"),
    "names twice": (with_attribute("keypoints", ["a", "b", "a"]), "names 'a' twice"),
    "names of numbers": (with_attribute("keypoints", [1, 2, 3]), "must be a list of texts"),
    "names in no code": (with_attribute("keypoints", np.array([b"\xff", b"b", b"c"])), "not UTF-8"),
    "origin": (with_attribute("origin", 2), "attribute 'origin' is 2; it must be 0 or 1"),
    "origin in words": (with_attribute("origin", "one"), "attribute 'origin' is one"),
    "part": (with_attribute("part", 3), "attribute 'part' must be a list of texts"),
    "rows": (holding(preds=POINTS, rows=[1]), "'rows' is int64 (1,)"),
    "rows of floats": (holding(preds=POINTS, rows=[1.5, 2]), "must be 2 whole numbers"),
    "rows twice": (holding(preds=POINTS, rows=[3, 3]), "'rows' names row 3 twice"),
}


@pytest.mark.parametrize(("fill", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_wrong_or_hostile_file_is_told_in_one_line(tmp_path, fill, message):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    with pytest.raises(KpError) as caught:
        read_predictions(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_told(tmp_path):
    path = tmp_path / "bad.h5"
    for content in (b"", b"hello", b"\x89HDF\r\n\x1a\n" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(KpError, match=r"bad\.h5: cannot be read as an HDF5 file"):
            read_predictions(path)
    with pytest.raises(KpError, match="no such predictions file"):
        read_predictions(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.95])
def test_a_truncated_file_is_told(tmp_path, share):
    path = tmp_path / "cut.h5"
    write(path, np.random.default_rng(0).random((2, 3, 2)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(KpError):
        read_predictions(path)


def test_the_file_says_what_wrote_it_and_of_which_data(tmp_path):
    path = tmp_path / "predictions.h5"
    write_predictions(
        path, points=POINTS, confidence=np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]), keypoints=("a", "b", "c"),
        people=people(), part="valid", label="sample data (x)", origin=1,
    )  # fmt: skip
    with h5py.File(path) as file:
        assert dict(file.attrs.items()) | {"keypoints": None} == {
            "format": "kptransfer predictions 1", "origin": 1, "part": "valid", "data": "sample data (x)",
            "keypoints": None,
        }  # fmt: skip
        assert sorted(file) == ["confidence", "image_ids", "person_ids", "preds", "rows"]
        assert (file["confidence"].dtype, file["rows"].dtype) == (np.float32, np.int64)
        assert file["person_ids"].asstr()[()].tolist() == ["0", "0"]
    found = read_predictions(path)
    assert (found.path, found.origin) == (path, 1)
    np.testing.assert_allclose(found.confidence, [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], rtol=1e-6)
    assert found.confidence.dtype == np.float64


@pytest.mark.parametrize("value", [1, 1.0, [1], np.uint8(1)])
def test_an_origin_is_one_in_any_type_of_number(tmp_path, value):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["preds"] = POINTS
        file.attrs["origin"] = value
    assert read_predictions(path).origin == 1


@pytest.mark.parametrize("value", [0.5, -1, [0, 1], True])
def test_an_origin_between_or_beyond_is_refused(tmp_path, value):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["preds"] = POINTS
        file.attrs["origin"] = value
    with pytest.raises(KpError, match="attribute 'origin' is "):
        read_predictions(path)


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u2"])
@pytest.mark.parametrize("dims", [2, 3])
def test_points_are_read_from_any_type_of_number_in_two_or_three_dimensions(tmp_path, kind, dims):
    path = tmp_path / "a.h5"
    points = np.arange(6 * dims).reshape(2, 3, dims)
    with h5py.File(path, "w") as file:
        file["preds"] = points.astype(kind)
        file["rows"] = np.array([9, 3], "u4")
    found = read_predictions(path)
    assert found.points.dtype == np.float64
    np.testing.assert_array_equal(found.points, points)
    assert found.rows.tolist() == [9, 3]
    assert found.confidence is None


def test_a_confidence_that_is_no_number_is_the_least(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["preds"] = POINTS
        file["confidence"] = [[np.nan, 0.5, np.inf], [-np.inf, -0.25, 1.0]]
    assert read_predictions(path).confidence.tolist() == [[0, 0.5, 0], [0, -0.25, 1]]


def ours(**arrays):
    def fill(file):
        file["preds"] = POINTS
        file.attrs["format"] = "kptransfer predictions 1"
        for name, value in arrays.items():
            file[name] = value

    return fill


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (ours(confidence=np.ones((2, 2))), r"'confidence' is \(2, 2\); it must be \(2, 3\), one number a keypoint"),
        (ours(confidence=[["a", "b", "c"]] * 2), "'confidence' must hold numbers"),
        (ours(image_ids=["a"]), "'image_ids' names 1 images, but 'preds' holds 2 people"),
        (ours(image_ids=[1, 2]), "'image_ids' must be a list of texts"),
        (ours(rows=[[1], [2]]), r"'rows' is int64 \(2, 1\); it must be 2 whole numbers, one a person"),
        (ours(rows=["1", "2"]), "'rows' must hold numbers"),
        (with_attribute("keypoints", ["a", "b", "c", "d"]), "'keypoints' names 4, but 'preds' holds 3"),
    ],
)
def test_what_stands_beside_the_points_must_fit_them(tmp_path, fill, message):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    with pytest.raises(KpError, match=message):
        read_predictions(path)


def test_image_ids_of_strangers_are_not_read(tmp_path):
    """Nobody but us owes them a meaning; even unreadable ones are no fault."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["preds"] = POINTS
        file["image_ids"] = [1, 2, 3]
    assert read_predictions(path).image_ids is None
    with h5py.File(path, "w") as file:
        ours(image_ids=["x", "y"])(file)
    assert read_predictions(path).image_ids == ("x", "y")
    with h5py.File(path, "w") as file:
        ours()(file)
    assert read_predictions(path).image_ids is None


def test_a_file_that_lacks_points_says_what_it_holds(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in ("z", "b", "c" * 50):
            file[name] = 1.0
    with pytest.raises(KpError, match=f"no data set 'preds'; the file holds b, {'c' * 40}, z; store the points"):
        read_predictions(path)
