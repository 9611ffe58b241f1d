"""The predictions file: what is written reads back, and nothing in a stranger's file is trusted."""

import h5py
import numpy as np
import pytest

from kpcore.data.predictions import LIMIT, read_predictions, write_predictions
from kpcore.errors import KpError
from kpcore.samples import People

POINTS = np.arange(12, dtype=np.float64).reshape(2, 3, 2) / 7


def people(rows=(4, 7)):
    count = len(rows)
    return People(
        points=np.zeros((count, 3, 2)), state=np.zeros((count, 3), np.uint8), normaliser=np.ones(count),
        side=np.ones(count), image_ids=tuple(f"köpfe{row}.jpg" for row in rows), person_ids=("0",) * count,
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
    file.create_dataset("preds", (LIMIT, 16, 2), "f8", chunks=(1024, 16, 2))


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
