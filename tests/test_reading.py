"""What all readers share: roots, opening files, image names, held-out shares, picture sizes, CSV, Matlab, HDF5."""

import csv
import hashlib
import json
import os
import re
import string

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from kpcore.errors import KpError
from kpcore.reading import hdf5, matlab
from kpcore.reading.csv_rows import csv_rows
from kpcore.reading.held_out import drawn, held_names, held_out, undivided
from kpcore.reading.images import image_size
from kpcore.reading.opening import guarded, read_bytes, read_json, read_text
from kpcore.reading.paths import image_path
from kpcore.reading.roots import existing_root


def refused(call, told):
    with pytest.raises(KpError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and re.search(told, message), message
    return message


# roots


def test_the_root_is_the_configured_one_else_that_of_the_environment(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KP_SOME_ROOT", str(tmp_path))
    assert existing_root("~/data", "KP_SOME_ROOT", "files") == tmp_path / "data"
    assert existing_root("", "KP_SOME_ROOT", "files") == existing_root(None, "KP_SOME_ROOT", "files") == tmp_path


def test_a_root_that_is_not_there_is_told_with_who_named_it(tmp_path, monkeypatch):
    monkeypatch.delenv("KP_SOME_ROOT", raising=False)
    message = refused(lambda: existing_root(None, "KP_SOME_ROOT", "a.csv"), "no folder is configured.*KP_SOME_ROOT")
    assert message.endswith("it should hold a.csv")
    gone = str(tmp_path / "gone")
    refused(lambda: existing_root(gone, "KP_SOME_ROOT", "a.csv"), f"^dataset.root: {gone} is not a folder.*a.csv$")
    monkeypatch.setenv("KP_SOME_ROOT", gone)
    refused(lambda: existing_root(None, "KP_SOME_ROOT", "a.csv"), f"^KP_SOME_ROOT: {gone} is not a folder.*a.csv$")


# opening


def test_what_cannot_be_opened_is_told_with_what_it_should_be(tmp_path):
    path = tmp_path / "a.txt"
    refused(lambda: read_bytes(path, "a list"), f"^{path}: does not exist; expected a list$")
    refused(lambda: read_bytes(tmp_path, "a list"), f"^{tmp_path}: is a folder; expected a list$")
    os.mkfifo(path)
    refused(lambda: read_bytes(path, "a list"), f"^{path}: is no regular file; expected a list$")


def test_a_file_that_may_not_be_read_is_told(tmp_path):
    def denied():
        with guarded(tmp_path, "a list"):
            raise PermissionError(13, "Permission denied")

    refused(denied, r"may not be read \(permission denied\); expected a list$")


def test_a_file_has_at_most_so_many_bytes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abcd")
    assert read_text(path, "a list", most=4) == "abcd"
    refused(lambda: read_text(path, "a list", most=3), f"^{path}: has 4 bytes; a list has at most 3$")


def test_whatever_a_parser_raises_is_one_line():
    def damaged(error):
        with guarded("a.h5", "a list"):
            raise error

    refused(lambda: damaged(ValueError("two\nlines")), r"^a\.h5: cannot be read as a list \(ValueError: two lines\)")
    refused(lambda: damaged(MemoryError()), r"\(MemoryError: \)")
    refused(lambda: damaged(ValueError("x" * 500)), r"\(ValueError: x{200}\)")
    refused(lambda: damaged(KpError("as it is")), "^as it is$")


def test_text_is_utf8_with_or_without_a_mark(tmp_path):
    path = tmp_path / "a.txt"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("n\u00f6se", encoding=encoding)
        assert read_text(path, "a list") == "n\u00f6se"
    path.write_bytes("n\u00f6se".encode("latin-1"))
    refused(lambda: read_text(path, "a list"), f"^{path}: is not text in UTF-8 \\(byte 1\\); expected a list")
    path.write_bytes(b"a\0b")
    refused(lambda: read_text(path, "a list"), f"^{path}: is not text; expected a list$")


def test_json_is_read_with_its_hook_and_refused_where_it_is_none(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": {"b": 1}}', encoding="utf-8-sig")
    assert read_json(path, "a list") == {"a": {"b": 1}}
    assert read_json(path, "a list", lambda fields: list(fields)) == ["a"]
    for content in ("", "{", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"):
        path.write_text(content)
        refused(lambda: read_json(path, "a list"), f"^{path}: cannot be read as a list \\(")


# image names


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("a.jpg", "a.jpg"), (" a b.JPG\n", "a b.JPG"), ("cam 1/a.jpg", "cam 1/a.jpg"), ("./a/b.png", "a/b.png"),
        ("labeled-data\\run\\a.png", "labeled-data/run/a.png"), (".\\a.png", "a.png"), ("...", "..."),
        ("././a.jpg", "a.jpg"), ("b\u00e4r/..a", "b\u00e4r/..a"), ("d" * 255, "d" * 255),
        ("/".join(["d" * 204] * 5), "/".join(["d" * 204] * 5)),
    ],
)  # fmt: skip
def test_image_names_are_paths_below_a_folder(given_name, name):
    assert image_path(given_name, "here") == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "/", "/etc/passwd", "\\\\host\\a.jpg", "..", ".", "../a.jpg", "a/../b.jpg", "a\\..\\b.jpg", "a/./b.jpg",
     "a//b.jpg", "a/", "C:a.jpg", "C:\\a.jpg", "a/b:c.jpg", "http://host/a.jpg", "file:a.jpg", "a\nb.jpg",
     "a\0.jpg", "\ud800.jpg", "a\u202eb.jpg", "d" * 256, "\u00e4" * 128, "/".join(["d" * 204] * 5) + "d", None, 7,
     ["a"], b"a.jpg"],
)  # fmt: skip
def test_image_names_that_lead_elsewhere_are_refused(name):
    message = refused(lambda: image_path(name, "here"), "^here: image name .* is not a ")
    assert message.isascii() and len(message) < 1200


@given(st.text(st.sampled_from(string.ascii_letters + "./\\: ~"), max_size=20))
def test_no_image_name_leaves_the_folder(name):
    try:
        found = image_path(name, "here")
    except KpError:
        return
    assert os.path.normpath(os.path.join("/root", found)) == f"/root/{found}"  # noqa: PTH118
    assert image_path(found, "here") == found


# held-out shares


def test_the_draw_is_the_names_digest():
    assert drawn("a.jpg") == int(hashlib.sha256(b"a.jpg").hexdigest()[:16], 16) / 2**64
    assert drawn("000000000139.jpg") == 0.12376515245947832
    assert drawn("\ud800") == drawn("\ud800")  # a name that is no text can be drawn too


def test_an_images_people_stay_together_and_the_share_is_kept():
    names = [f"{k // 2}.jpg" for k in range(4000)]
    out = held_out(names, 0.2)
    assert (out[::2] == out[1::2]).all()
    assert out.sum() == 800
    assert (held_out(names, 0.1) <= out).all()  # a smaller share is part of a larger one
    assert held_out([], 0.5).shape == (0,)


@given(st.sets(st.text(max_size=4), max_size=30), st.floats(0, 1))
def test_a_part_of_two_images_or_more_is_never_empty_and_as_large_as_the_share(names, share):
    held = held_names(names, share)
    assert held <= names and held == held_names(sorted(names), share)
    assert abs(len(held) - share * len(names)) <= (0.5 if len(names) < 2 or share in (0, 1) else 1)
    if len(names) > 1 and 0 < share < 1:
        assert 0 < len(held) < len(names)
    assert max((drawn(name) for name in held), default=0) <= min((drawn(name) for name in names - held), default=1)


def test_what_cannot_be_divided_says_so():
    assert undivided(["a", "b"]) is None
    assert undivided([]).startswith("no image has a labelled sample")
    assert undivided(["a.png", "a.png"]).startswith("only 1 image ('a.png') has a labelled sample")


# pictures


def test_the_size_of_a_picture_is_in_its_header(tmp_path):
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8))
    assert image_size(path) == (40, 30)
    path.write_bytes(path.read_bytes()[:60])
    assert image_size(path) == (40, 30)
    path.write_bytes(b"junk")
    refused(lambda: image_size(path), f"^{path}: not an image")
    refused(lambda: image_size(tmp_path), f"^{tmp_path}: image cannot be read")
    refused(lambda: image_size(tmp_path / "b.png"), "b.png: image file does not exist$")


# CSV


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_rows_have_their_lines_and_no_white_space(tmp_path, separator):
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerows([["", " a", "b "], [], ["", "", ""], ["two\nlines", 'quo"te', "x,;"], ["n\u00f6se", "1", ""]])
    assert list(csv_rows(path, "a table")) == [
        (1, ["", "a", "b"]), (5, ["two\nlines", 'quo"te', "x,;"]), (6, ["n\u00f6se", "1", ""]),
    ]  # fmt: skip


def test_csv_lines_end_where_an_editor_ends_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\rc\u2028d,e\x0c\r\nf,g", newline="", encoding="utf-8")
    assert list(csv_rows(path, "a table")) == [(1, ["a", "b"]), (2, ["c\u2028d", "e"]), (3, ["f", "g"])]


def test_what_is_no_csv_is_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b\n"c,d')
    refused(lambda: list(csv_rows(path, "a table")), f"^{path}: cannot be read as a table \\(Error: ")
    path.write_text("a,b\n" + "x" * 200_000)
    refused(lambda: list(csv_rows(path, "a table")), "field larger than field limit")
    path.write_text("")
    assert list(csv_rows(path, "a table")) == []


# Matlab and HDF5


def test_matlab_variables_are_read_and_damage_is_told(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    savemat(path, {"x": np.arange(3)}, do_compression=True)
    assert matlab.load(path, "a table")["x"].tolist() == [[0, 1, 2]]
    refused(lambda: matlab.load(tmp_path / "b.mat", "a table"), "b.mat: does not exist; expected a table$")
    path.write_bytes(path.read_bytes()[:-5])
    refused(lambda: matlab.load(path, "a table"), f"^{path}: cannot be read as a table")
    monkeypatch.setattr(matlab, "PROBE", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    refused(lambda: matlab.load(path, "a table"), f"^{path}: is damaged so badly that reading it crashes")


def test_a_matlab_file_is_tried_within_bounds_first(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    path.write_bytes(b"")
    matlab.try_out(path)  # an exception: the caller meets it again
    monkeypatch.setattr(matlab, "PROBE", "raise SystemExit(3)")
    refused(lambda: matlab.try_out(path), "a file of 0 bytes should be read in 10 s .* or set KP_MAX_SECONDS")


@pytest.fixture
def hdf(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["own"] = np.arange(3)
        file["folder/own"] = np.arange(4)
        file["soft"] = h5py.SoftLink("/own")
        file["lost"] = h5py.SoftLink("/nowhere")
        file["external"] = h5py.ExternalLink("b.h5", "/own")
        file.create_dataset("bytes", (3,), "u1", external=[(str(tmp_path / "b.bin"), 0, 3)])
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource("b.h5", "own", (3,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("bomb", (2**24,), "f8", chunks=(2**20,), compression="gzip")
        file.create_dataset("zeros", (2**20,), "f8", chunks=(2**20,), compression="gzip")
    return path


def test_arrays_of_this_very_file_are_read(hdf):
    with hdf5.opened(hdf, "a table") as file:
        assert hdf5.own(file, "own", hdf)[()].tolist() == [0, 1, 2]
        assert hdf5.own(file["folder"], "own", hdf).shape == (4,)
        assert hdf5.own(file, "zeros", hdf).shape == (2**20,)
        assert hdf5.own(file, "folder", hdf) is None and hdf5.own(file, "no", hdf) is None


@pytest.mark.parametrize("name", ["soft", "lost", "external", "bytes", "virtual"])
def test_arrays_that_lie_elsewhere_are_refused(hdf, name):
    with hdf5.opened(hdf, "a table") as file:
        refused(lambda: hdf5.own(file, name, hdf), f"^{hdf}: '{name}' lies in another file, or is a link")


def test_an_array_that_unpacks_to_far_more_than_it_stores_is_refused(hdf):
    with hdf5.opened(hdf, "a table") as file:
        refused(lambda: hdf5.own(file, "bomb", hdf), "'bomb' declares 134,217,728 bytes in 0 stored ones")


def test_a_file_that_is_no_hdf5_is_told(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text(json.dumps({}))

    def use():
        with hdf5.opened(path, "a table"):
            pytest.fail("it was opened")

    refused(use, f"^{path}: cannot be read as a table")
