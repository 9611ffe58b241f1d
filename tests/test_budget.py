"""One budget for all readers, the settings that raise it, and links that nothing is written through."""

from __future__ import annotations

import os

import cv2
import h5py
import numpy as np
import pytest
import torch
from hand_made import refused
from kp_named.dataset import Named
from writing import found, written

from kpcore import placing
from kpcore.cli.app import outcome
from kpcore.config import StudyTable, validate
from kpcore.errors import KpError
from kpcore.evaluation.predictions import read_predictions
from kpcore.reading import hdf5
from kpcore.reading.budget import Limit, fair, within
from kpcore.reading.images import decode_image
from kpcore.reading.opening import parsed_json, read_json, read_text
from kpcore.reading.roots import inside
from kpcore.report.files import save
from kpcore.toml_text import loads
from kpcore.trained.importing.state import read_state
from kpcore.trained.pictures import frames_of


def test_limits_are_set_by_the_environment(monkeypatch):
    within(Limit.PIXELS, 178_956_970, "x", "a")
    line = refused(lambda: within(Limit.PIXELS, 178_956_971, "the image has 178,956,971 pixels", "a.png"))
    assert line == (
        "a.png: the image has 178,956,971 pixels, at most 178,956,970 are read; take a smaller or another file, or set"
        " KP_MAX_PIXELS (now 178956970) if it is meant to be so large"
    )
    monkeypatch.setenv("KP_MAX_PIXELS", "900_000_000")
    within(Limit.PIXELS, 900_000_000, "x", "a")
    refused(lambda: within(Limit.PIXELS, 450_000_001, "x", "a", parts=2), "at most 450,000,000")
    for wrong in ("0", "-1", "1e9", "many", "9" * 30, "\u0663"):
        monkeypatch.setenv("KP_MAX_PIXELS", wrong)
        refused(lambda: Limit.PIXELS.most, "KP_MAX_PIXELS: ", "is no whole number above 0")


def test_a_picture_over_the_limit_is_read_where_the_user_says_so(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((40, 50, 3), 9, np.uint8))
    monkeypatch.setenv("KP_MAX_PIXELS", "1999")
    refused(lambda: decode_image(path), "2,000 pixels, at most 1,999")
    monkeypatch.setenv("KP_MAX_PIXELS", "2000")
    assert decode_image(path).shape == (40, 50, 3)
    cv2.imwrite(str(path), np.full((40, 50, 3), 9, np.uint16))
    refused(lambda: decode_image(path), "2,000 pixels of 16 bits, at most 1,000")


def test_what_unpacks_unfairly_is_refused_unless_the_user_says_so(monkeypatch):
    fair(2**26, 0, "x", "a.h5")
    fair(200 * 2**20, 2**20, "x", "a.h5")
    refused(
        lambda: fair(2**26 + 1, 1000, "x", "a.h5"),
        "a.h5: 'x' declares 67,108,865 bytes in 1,000 stored",
        "KP_MAX_UNPACKED",
    )
    refused(lambda: fair(2**31 + 1, 2**30, "x", "a.h5"), "at most 2,147,483,648", "KP_MAX_BYTES")
    monkeypatch.setenv("KP_MAX_UNPACKED", str(2**27))
    fair(2**26 + 1, 1000, "x", "a.h5")


def test_a_text_and_a_json_file_have_their_bytes_counted_first(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("[1, 2]".ljust(20))
    monkeypatch.setenv("KP_MAX_BYTES", "160")
    assert read_text(path, "x") and read_json(path, "x") == [1, 2]
    monkeypatch.setenv("KP_MAX_BYTES", "159")
    refused(lambda: read_text(path, "x"), "has 20 bytes of text, at most 19 are read")
    monkeypatch.setenv("KP_MAX_BYTES", "19")
    refused(lambda: read_json(path, "x"), "has 20 bytes, at most 19 are read", "KP_MAX_BYTES")


@pytest.mark.parametrize("text", ["[" * 100_000, "NaN", '{"a": -Infinity}', "9" * 5000, "{"])
def test_json_of_our_own_is_strict(text):
    with pytest.raises(ValueError, match=r"nested|JSON|digits|Expecting"):
        parsed_json(text)


def test_an_attribute_that_names_one_long_text_many_times_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["preds"] = np.ones((1, 3000, 2))
        file.attrs.create("keypoints", ["n" * 2**16, *map(str, range(2999))], dtype=h5py.string_dtype())
    assert hdf5.longest_text(path) == 2**16
    refused(lambda: read_predictions(path), "'attribute keypoints' declares")
    with h5py.File(path, "w") as file:
        file["preds"] = np.ones((1, 3000, 2))
        file.attrs.create("keypoints", list(map(str, range(3000))), dtype=h5py.string_dtype())
    assert read_predictions(path).keypoints[2999] == "2999"


def test_a_chunk_may_not_be_larger_than_its_array_by_far(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (1, 2), "f8", maxshape=(None, 2), chunks=(2**23, 2), compression="gzip")
        refused(lambda: hdf5.own(file, "x", tmp_path / "a.h5"), "'a chunk of x' declares 134,217,728 bytes")


def test_a_list_of_videos_is_no_video(tmp_path):
    for text in ("#EXTM3U\n#EXTINF:9,\na.mp4\n", "ffconcat version 1.0\nfile a.mp4\n", "v=0\n", ""):
        (tmp_path / "a.mp4").write_text(text)
        refused(lambda: frames_of(tmp_path / "a.mp4"), "cannot be opened as a video: it does not begin as one")


def test_tensors_that_do_not_store_what_they_say_are_refused(tmp_path):
    for number, tensor in enumerate(
        (torch.zeros(1).expand(2**40), torch.zeros(2, 2).to_sparse(), torch.zeros(2, device="meta"))
    ):
        torch.save({"a": tensor}, tmp_path / f"{number}.pth")
        refused(lambda place=number: read_state(tmp_path / f"{place}.pth"), "'a' is no plain tensor")
    torch.save({"a": torch.arange(6.0).reshape(2, 3).T}, tmp_path / "a.pth")
    assert read_state(tmp_path / "a.pth").tensors["a"].shape == (3, 2)


# ------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize("seeds", [[-1], [2**32], [0] * 2, list(range(1001)), [1, 2**32 + 1]])
def test_seeds_are_those_that_draw_apart(seeds):
    line = refused(lambda: validate(StudyTable, {"seeds": seeds}, where="study"), "study: seeds")
    assert len(line) < 400
    assert validate(StudyTable, {"seeds": [0, 2**32 - 1]}, where="study").seeds == [0, 2**32 - 1]


@pytest.mark.parametrize("text", ["{} = 1".format(".".join("a" * 200_000)), f"x = {{ {' . '.join(['a'] * 500)} = 1 }}"])
def test_a_key_of_very_many_parts_is_not_read(text):
    refused(lambda: loads(text, "a.toml"), "a.toml: a key of over 100 parts")


def test_dots_that_are_in_no_key_are_read():
    text = f"# {'.' * 300}\nx = '{'a.b.' * 300}'\n{'a.' * 20}b = 1\n"
    assert loads(text, "a.toml")["x"].startswith("a.b.")


# ------------------------------------------------------------------------------------------------ paths


def test_an_option_leads_out_of_the_root_by_a_whole_path_alone(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir(), other.mkdir()
    (root / "keypoints.csv").write_text("image,part,a_x,a_y,b_x,b_y\na.png,train,1,2,3,4\nb.png,valid,1,2,3,4\n")
    for name in ("../other", "..", "a/../../other", "../../.."):
        refused(
            lambda text=name: inside(root, text, "dataset.images"), f"dataset.images: '{name}' leads out of the root"
        )
        refused(
            lambda text=name: Named(**Named.Config(root=str(root), images=text).model_dump()), "leads out of the root"
        )
    refused(lambda: inside(root, "a\0b", "x"), "x: 'a\\x00b' is no path")
    assert inside(root, "~nobody-is-called-so", "x") == root / "~nobody-is-called-so"
    assert inside(root, "a/../b", "x") == root / "a/../b" and inside(root, str(other), "x") == other
    opened = Named(**Named.Config(root=str(root), images=str(other)).model_dump())
    assert opened.samples("train")[0].image == other / "a.png"


WRITERS = ("h5", "csv", "coco", "coco_results", "deeplabcut", "pictures")
MICE = [[[10, 10], [20, 20], [30, 20], [40, 40]]]


def results(name, out):
    pixels = np.zeros((100, 200, 3), np.uint8)
    return written(name, out, [found("a.png", MICE[0], pixels=pixels)])


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_replaces_a_link_and_does_not_follow_it(tmp_path, name):
    (tmp_path / "first").mkdir()
    paths = results(name, tmp_path / "first")
    secret, out = tmp_path / "secret", tmp_path / "out"
    secret.write_bytes(b"mine")
    for path in paths:
        place = out / path.relative_to(tmp_path / "first")
        place.parent.mkdir(parents=True, exist_ok=True)
        for other in (place, place.with_name(f"{place.name}.partial"), place.with_suffix(".partial")):
            if not other.is_symlink():
                other.symlink_to(secret)
    again = results(name, out)
    assert [path.relative_to(out) for path in again] == [path.relative_to(tmp_path / "first") for path in paths]
    assert secret.read_bytes() == b"mine" and not any(path.is_symlink() for path in again)
    assert not list(out.rglob(".*"))


@pytest.mark.parametrize(("name", "folder"), [("pictures", "pictures"), ("deeplabcut", "deeplabcut")])
def test_a_writer_does_not_go_into_a_linked_folder(tmp_path, name, folder):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / folder).symlink_to(tmp_path / "elsewhere")
    refused(lambda: results(name, tmp_path / "out"), "is a link, and nothing is written through one")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_placing(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"mine")
    (tmp_path / "a.txt").symlink_to(secret)
    assert placing.put(tmp_path / "a.txt", b"new").read_bytes() == b"new"
    (tmp_path / "b.md").symlink_to(tmp_path / "dangling")
    assert save(tmp_path / "b.md", b"new").read_bytes() == b"new"
    assert secret.read_bytes() == b"mine" and sorted(path.name for path in tmp_path.iterdir()) == [
        "a.txt",
        "b.md",
        "secret",
    ]
    one, two = placing.beside(tmp_path / f"{'n' * 240}.csv"), placing.beside(tmp_path / f"{'n' * 240}.csv")
    assert one != two and one.suffix == ".csv" and one.stat().st_size == 0
    with pytest.raises(OSError, match=r"gone/x\.csv"):
        placing.put(tmp_path / "gone" / "x.csv", b"")
    (tmp_path / "real").mkdir()
    (tmp_path / "named").symlink_to(tmp_path / "real")  # what the user names may be a link
    assert placing.folder(tmp_path / "named", "a", "b").is_dir() and (tmp_path / "real/a/b").is_dir()
    (tmp_path / "real/c").symlink_to(tmp_path / "real/a")
    with pytest.raises(KpError, match="real/c: is a link"):
        placing.folder(tmp_path / "real", "c", "d")


def test_pipes_are_no_files(tmp_path, capsys):
    os.mkfifo(tmp_path / "study.toml")
    assert outcome(["run", str(tmp_path / "study.toml")]) == 2
    os.mkfifo(tmp_path / "a.png")
    refused(lambda: decode_image(tmp_path / "a.png"), "is no regular file")
    assert capsys.readouterr().err.count("\n") == 1


def test_a_heap_of_texts_whose_end_would_be_looked_for_for_ever_is_refused(tmp_path):
    """HDF5 1.14 does not come back from an object 0 of no size in the middle of a heap."""
    path = tmp_path / "p.h5"
    with h5py.File(path, "w") as file:
        file["preds"] = np.zeros((1, 2, 2))
        file.attrs.create("keypoints", ["nose", "tail"], dtype=h5py.string_dtype())
    content = bytearray(path.read_bytes())
    heap = content.find(b"GCOL")
    assert bytes(content[heap + 16 : heap + 18]) == b"\1\0"
    content[heap + 24 : heap + 32] = (2**11).to_bytes(8, "little")  # the first text now ends among zeros
    path.write_bytes(content)
    with pytest.raises(KpError, match="a heap of its texts is damaged"):
        read_predictions(path)
