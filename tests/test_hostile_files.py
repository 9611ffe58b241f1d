"""Files that declare far more than they store, or lead elsewhere, are refused from their headers, in one line."""

from __future__ import annotations

import re
import sqlite3
import struct
import time
import zipfile
import zlib
from contextlib import suppress

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.evaluation.predictions import read_predictions
from kpcore.reading import hdf5, matlab
from kpcore.reading.roots import existing_root
from kpcore.registry import registry


def refused(call, told):
    started = time.perf_counter()
    with pytest.raises(KpError, match=told) as caught:
        call()
    assert time.perf_counter() - started < 5  # a fraction of a second where nothing else runs
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.fixture(autouse=True, scope="module")
def known():
    """Import the readers, so that no test measures that."""
    for kind in ("mpii", "cofw", "lspet", "h36m", "aflw", "deeplabcut"):
        with suppress(KpError):
            build(kind, "nowhere")


def build(kind, root, **options):
    return registry().build("dataset", kind, {"root": str(root), **options}, where="dataset")


def newell(path, people, kind="f8", **changes):
    shapes = {"part": (people, 16, 2), "visible": (people, 16), "center": (people, 2), "scale": (people,)}
    with h5py.File(path, "w") as file:
        for key, shape in {**shapes, "normalize": (people,), "imgname": (people, 16), **changes}.items():
            file.create_dataset(key, shape, kind, chunks=True)


@pytest.mark.parametrize(
    ("people", "kind", "told"),
    [(20_000_000, "f8", "'part' declares 5,120,000,000 bytes in 0 stored"), (1_100_000, "i1", "fewer than 1,000,000")],
)
def test_people_who_are_declared_and_not_stored(tmp_path, people, kind, told):
    newell(tmp_path / "train.h5", people, kind)
    refused(lambda: build("mpii", tmp_path).samples("train"), told)


def test_one_picture_in_every_cell(tmp_path):
    with h5py.File(tmp_path / "COFW_train_color.mat", "w") as file:
        noise = np.random.default_rng(0).integers(0, 255, (3, 900, 900), np.uint8)
        file.create_dataset("#refs#/a", data=noise)
        file["IsTr"] = np.full((1, 2_000), file["#refs#/a"].ref, h5py.ref_dtype)
        file["phisTr"], file["bboxesTr"] = np.ones((87, 2_000), np.uint8), np.ones((4, 2_000), np.uint8)
    refused(lambda: build("cofw", tmp_path).samples("train"), "'pictures' declares 4,860,000,000 bytes")


def test_a_matlab_variable_that_unpacks_to_absurdly_much(tmp_path):
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.zeros((14, 3, 200_000))}, do_compression=True)
    refused(lambda: build("lspet", tmp_path), "'a variable' declares 67,200,064 bytes")
    data = path.read_bytes()
    inner = bytearray(zlib.decompress(data[136:]))
    inner[4:8] = struct.pack("<I", 512)  # it says that it is small
    packed = zlib.compress(bytes(inner))
    path.write_bytes(data[:128] + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(KpError, match="'a variable' declares"):
        matlab.check_sizes(path)


def test_a_long_header_in_npz(tmp_path):
    header = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**26) + b" " * 2**26
    with zipfile.ZipFile(tmp_path / "h36m_train.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("S.npy", header)
    refused(lambda: build("h36m", tmp_path), "cannot be read as Human3.6M's annotation")


def test_a_computed_column_in_sqlite(tmp_path):
    with sqlite3.connect(tmp_path / "aflw.sqlite") as database:
        database.executescript(
            "PRAGMA synchronous = OFF; CREATE TABLE Faces(face_id, file_id);"
            " CREATE TABLE FaceRect(face_id, x, y, w, h);"
            "CREATE TABLE FaceImages(file_id, filepath AS (hex(zeroblob(4000000))));"
            "CREATE TABLE FeatureCoords(face_id, feature_id, x, y); CREATE TABLE FeatureCoordTypes(feature_id, descr);"
            "INSERT INTO FaceImages VALUES ('a'); INSERT INTO FeatureCoordTypes VALUES (1, 'ChinCenter')"
        )
    database.close()
    refused(lambda: build("aflw", tmp_path).samples("train"), "aflw.sqlite: ")


def test_long_texts_named_many_times(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        names = file.create_dataset("names", (100_000,), h5py.string_dtype())
        names[70] = "n" * 5000
        with pytest.raises(KpError, match="a text of 5,000 characters"):
            hdf5.strings(names, "names", tmp_path / "a.h5")
        names[70] = "b.png"
        assert hdf5.strings(names, "names", tmp_path / "a.h5")[69:72] == ["", "b.png", ""]


@pytest.mark.parametrize("how", ["external link", "soft link", "external storage", "virtual"])
def test_no_reader_of_hdf5_follows_what_leads_out(tmp_path, how):
    outside, root = tmp_path / "secret.h5", tmp_path / "root"
    root.mkdir()
    with h5py.File(outside, "w") as file:
        file["x"] = np.ones((4, 16, 2))
    for reader, name, key in (
        ("mpii", "train.h5", "part"), ("deeplabcut", "CollectedData_x.h5", "df/block0_values"),
        ("preds", "p.h5", "preds"), ("cofw", "COFW_train_color.mat", "phisTr"), ("h36m", "h36m_train.h5", "S"),
    ):  # fmt: skip
        path = root / name
        newell(path, 4)
        with h5py.File(path, "a") as file:
            file["df/x"], file["IsTr"], file["bboxesTr"] = 1, 1, 1
            for name in (key, "imgname", "part") if reader == "h36m" else (key,):
                file.pop(name, None)
            if reader == "h36m":
                file["imgname"], file["part"] = [b"S1_a.jpg"] * 4, np.ones((4, 17, 2))
            lead(file, key, how, outside, (4, 17, 3) if reader == "h36m" else (4, 16, 2))
        call = (lambda p=path: read_predictions(p)) if reader == "preds" else lambda r=reader: used(r, root)
        refused(call, "another file|link|stored in the file itself|has no array S")
        path.unlink()


def used(reader, root):
    return build(reader, root).samples("train")


def lead(file, key, how, outside, shape):
    if how == "external link":
        file[key] = h5py.ExternalLink(str(outside), "/x")
    elif how == "soft link":
        file[key] = h5py.SoftLink("/scale")
    elif how == "external storage":
        file.create_dataset(key, shape, "f8", external=[(str(outside), 0, int(np.prod(shape)) * 8)])
    else:
        layout = h5py.VirtualLayout(shape, "f8")
        layout[...] = h5py.VirtualSource(str(outside), "x", shape)
        file.create_virtual_dataset(key, layout)


def test_a_group_of_another_file_is_not_opened(tmp_path):
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["df/block0_values"] = np.ones((1, 2))
    with h5py.File(tmp_path / "CollectedData_x.h5", "w") as file:
        file["df"] = h5py.ExternalLink(str(outside), "/df")
    refused(lambda: build("deeplabcut", tmp_path), "holds no data frame")


# --------------------------------------------------------------------------------------------------------------- TOML

STUDY = '[dataset]\nname = "mpii"\n'
TOMLS = {
    "number": (f"{STUDY}x = {'1' * 5000}\n", "a whole number of thousands of digits"),
    "list": (f"{STUDY}x = {'[' * 5000}{']' * 5000}\n", "nested over 24 deep"),
    "closed list": (f"{STUDY}x = {'[' * 100}{']' * 100}\n", "dataset.x.*: tables or lists are nested over 24 deep"),
    "table": (f"{STUDY}x = {'{a = ' * 3000}1{'}' * 3000}\n", "nested over 24 deep"),
    "key": (f"{STUDY}[{'.'.join('a' * 2000)}]\n", "nested over 24 deep"),
    "profiles are a list": (f"profiles = [1]\n{STUDY}", "profiles: must hold tables"),
    "profiles are a number": (f"profiles = 3\n{STUDY}", "profiles: must hold tables"),
    "a profile is a text": (f'profiles.x = "y"\n{STUDY}', "profiles.x: must be a table"),
    "root": (f'{STUDY}root = "{"a" * 5000}"\n', "dataset.root: a text of 5,000 characters"),
    "size": (f"{STUDY}#{'a' * 2**20}\n", "over 1,048,576 bytes"),
    "no text": (b"\xff\xfe", "save it in UTF-8"),
}


@pytest.mark.parametrize("kind", TOMLS)
def test_toml_that_breaks_parsers_is_one_line(tmp_path, capsys, kind):
    text, told = TOMLS[kind]
    path = tmp_path / "study.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for command in (["run", str(path)], ["data", "info", str(path)], ["config", "print", str(path)]):
        assert outcome(command) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and error.startswith("kp: error: ") and len(error) < 800
        assert re.search(told, error)


@pytest.mark.parametrize("root", ["a" * 4000, "a\0b", "/".join(["b" * 300] * 3)])
def test_a_root_that_can_be_no_folder_is_one(root):
    refused(lambda: existing_root(root, "KP_X", "images"), "dataset.root: .* is not a folder")


def test_settings_on_the_command_line_are_bounded_too(tmp_path, capsys):
    for value in ("[" * 5000, "1" * 5000, "a" * 5000):
        assert outcome(["data", "info", str(tmp_path), "--dataset", "named", "--set", f"x={value}"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and len(error) < 800
