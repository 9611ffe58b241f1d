"""Files that were made to do harm: each of a few kilobytes, most valid but for what they claim."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from targets import STUDY, network, targets

Write = Callable[[Path, Path], None]
CRAFTED: dict[str, tuple[str, Write]] = {}
"""Name -> the target that reads it, and what writes it into a folder; it is told of a folder outside too."""


def crafted(target: str) -> Callable[[Write], Write]:
    """Register a file of this target."""

    def take(write: Write) -> Write:
        CRAFTED[write.__name__] = (target, write)
        return write

    return take


def valid(name: str, root: Path) -> Path:
    """Write a target's valid files; return the first that is no picture."""
    targets()[name].write(root)
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return next((path for path in files if path.suffix not in (".png", ".jpg")), files[0])


# ------------------------------------------------------------------------------------------------ pictures


def png(path: Path, width: int, height: int, bits: int = 8, colour: int = 0, rows: bytes = b"") -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows or zlib.compress(b"\0" * 10**6))
        + chunk(b"IEND", b"")
    )  # fmt: skip


@crafted("image png")
def png_of_900_million_pixels(root: Path, outside: Path) -> None:
    png(root / "a.png", 30_000, 30_000)


@crafted("image png")
def png_of_16_bits_just_below_the_limit(root: Path, outside: Path) -> None:
    png(root / "a.png", 13_000, 13_000, 16, 2)


@crafted("image png")
def png_within_the_limits_that_is_all_there(root: Path, outside: Path) -> None:
    packer, row = zlib.compressobj(1), b"\0" * (1 + 9_000 * 6)
    rows = b"".join(packer.compress(row) for _ in range(9_000)) + packer.flush()
    png(root / "a.png", 9_000, 9_000, 16, 2, rows)


@crafted("named csv")
def bomb_among_named_points(root: Path, outside: Path) -> None:
    valid("named csv", root)
    png(root / "images" / "S1" / "Pic.png", 30_000, 30_000)


@crafted("image jpg")
def jpeg_of_2000_scans(root: Path, outside: Path) -> None:
    made = io.BytesIO()
    Image.fromarray(np.zeros((3000, 3000, 3), np.uint8)).save(made, "JPEG", progressive=True)
    data = made.getvalue()
    last = data.rindex(b"\xff\xda")
    (root / "a.jpg").write_bytes(data[:last] + data[last:-2] * 2000 + data[-2:])


@crafted("image jp2")
def jpeg_2000_whose_stream_is_larger_than_its_box(root: Path, outside: Path) -> None:
    made = io.BytesIO()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(made, "JPEG2000")
    data = bytearray(made.getvalue())
    place = data.index(b"\xff\x4f\xff\x51")
    data[place + 8 : place + 16] = data[place + 24 : place + 32] = struct.pack(">II", 30_000, 30_000)
    (root / "a.jp2").write_bytes(bytes(data))


@crafted("image tif")
def tiff_of_enormous_tiles(root: Path, outside: Path) -> None:
    entries = [
        (256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1), (322, 4, 60_000),
        (323, 4, 60_000), (324, 4, 300), (325, 4, 100),
    ]  # fmt: skip
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, kind, 1, v) for tag, kind, v in entries)
    data = b"II*\0" + struct.pack("<I", 8) + ifd + b"\0" * 4
    (root / "a.tif").write_bytes(data.ljust(300, b"\0") + zlib.compress(b"\0" * 10**5)[:100].ljust(100, b"\0"))


@crafted("image png")
def png_whose_chunk_claims_4_gigabytes(root: Path, outside: Path) -> None:
    data = bytearray(valid("image png", root).read_bytes())
    place = data.index(b"IDAT") - 4
    data[place : place + 4] = b"\xff\xff\xff\x00"
    (root / "a.png").write_bytes(bytes(data))


@crafted("boxes json")
def box_of_an_enormous_number(root: Path, outside: Path) -> None:
    path = valid("boxes json", root)
    path.write_text(path.read_text().replace("[20, 10", f"[{'9' * 400}, 10"))


@crafted("image png")
def png_that_is_a_pipe(root: Path, outside: Path) -> None:
    os.mkfifo(root / "a.png")


@crafted("image png")
def png_that_is_a_device(root: Path, outside: Path) -> None:
    (root / "a.png").symlink_to("/dev/zero")


@crafted("image png")
def png_that_is_a_folder(root: Path, outside: Path) -> None:
    (root / "a.png").mkdir()


@crafted("video")
def video_that_is_a_playlist(root: Path, outside: Path) -> None:
    (root / "a.avi").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{outside}/secret.png\n")


@crafted("video")
def video_that_is_a_list_of_videos(root: Path, outside: Path) -> None:
    (root / "a.avi").write_text(f"ffconcat version 1.0\nfile '{outside}/secret.png'\n")


@crafted("video")
def video_of_enormous_frames(root: Path, outside: Path) -> None:
    targets()["video"].write(root)
    data = (root / "a.avi").read_bytes()
    small = struct.pack("<II", 64, 48)
    (root / "a.avi").write_bytes(data.replace(small, struct.pack("<II", 60_000, 60_000)))


# ------------------------------------------------------------------------------------------------ HDF5


def arrays_of(people: int) -> dict[str, tuple[int, ...]]:
    return {"part": (people, 16, 2), "visible": (people, 16), "center": (people, 2), "scale": (people,),
            "normalize": (people,), "imgname": (people, 16)}  # fmt: skip


@crafted("newell")
def hdf5_of_20_million_people(root: Path, outside: Path) -> None:
    with h5py.File(root / "train.h5", "w") as file:
        for name, shape in arrays_of(20_000_000).items():
            file.create_dataset(name, shape, "f8", chunks=True, compression="gzip")


@crafted("newell")
def hdf5_of_900_thousand_people_as_bytes(root: Path, outside: Path) -> None:
    with h5py.File(root / "train.h5", "w") as file:
        for name, shape in arrays_of(900_000).items():
            file.create_dataset(name, shape, "i1", chunks=True, compression="gzip")


@crafted("newell")
def hdf5_whose_chunk_is_larger_than_its_array(root: Path, outside: Path) -> None:
    valid("newell", root)
    with h5py.File(root / "train.h5", "a") as file:
        del file["visible"]
        wide = file.create_dataset("visible", (1, 16), "f8", maxshape=(None, None), chunks=(2**21, 16),
                                   compression="gzip")  # fmt: skip
        packed = zlib.compressobj(9)
        body = b"".join(packed.compress(b"\0" * 2**20) for _ in range(2**8)) + packed.flush()
        wide.id.write_direct_chunk((0, 0), body)


@crafted("predictions")
def hdf5_attribute_that_is_one_long_text_4000_times(root: Path, outside: Path) -> None:
    path = root / "p.h5"
    with h5py.File(path, "w") as file:
        file["preds"] = np.ones((1, 4000, 2))
        file.attrs.create("keypoints", ["n" * 2**21, *["m"] * 3999], dtype=h5py.string_dtype())
    data = path.read_bytes()
    first = data.index(struct.pack("<I", 2**21))  # length (4), address of the collection (8), place in it (4)
    while data[first + 16 : first + 20] != struct.pack("<I", 1):
        first = data.index(struct.pack("<I", 2**21), first + 1)
    path.write_bytes(data[:first] + data[first : first + 16] * 4000 + data[first + 16 * 4000 :])


@crafted("predictions")
def hdf5_predictions_of_a_billion_points(root: Path, outside: Path) -> None:
    with h5py.File(root / "p.h5", "w") as file:
        file.create_dataset("preds", (10**7, 50, 2), "f4", chunks=True, compression="gzip")


def lead_out(root: Path, outside: Path, how: str, name: str, key: str, shape: tuple[int, ...]) -> None:
    with h5py.File(outside.parent / "deep" / "other.h5", "w") as file:
        file["x"] = np.full(shape, 30.0)
    other = str(outside.parent / "deep" / "other.h5")
    with h5py.File(root / name, "a") as file:
        del file[key]
        if how == "link":
            file[key] = h5py.ExternalLink(other, "/x")
        elif how == "storage":
            file.create_dataset(key, shape, "f8", external=[(other, 0, int(np.prod(shape)) * 8)])
        else:
            layout = h5py.VirtualLayout(shape, "f8")
            layout[...] = h5py.VirtualSource(other, "x", shape)
            file.create_virtual_dataset(key, layout)


for _how in ("link", "storage", "virtual"):
    for _target, _name, _key, _shape in (
        ("newell", "train.h5", "part", (1, 16, 2)),
        ("predictions", "p.h5", "preds", (4, 3, 2)),
        ("deeplabcut h5", "labeled-data/run/CollectedData_x.h5", "df_with_missing/block0_values", (3, 4)),
        ("h36m h5", "h36m_train.h5", "S", (2, 17, 3)),
        ("cofw", "COFW_train_color.mat", "phisTr", (87, 2)),
        ("run", "values.h5", "0/0-scores", (4,)),
        ("store", "key.h5", "digests", (4, 32)),
    ):

        def _write(root: Path, outside: Path, how: str = _how, target: str = _target, name: str = _name,
                   key: str = _key, shape: tuple[int, ...] = _shape) -> None:  # fmt: skip
            valid(target, root)
            lead_out(root, outside, how, name, key, shape)

        CRAFTED[f"hdf5 {_how} out of {_name}"] = (_target, _write)


# ------------------------------------------------------------------------------------------------ Matlab, numpy


def compressed(body: bytes) -> bytes:
    packed = zlib.compress(body, 9)
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(packed)) + packed


@crafted("lspet")
def mat_that_unpacks_to_1000_times_its_size(root: Path, outside: Path) -> None:
    valid("lspet", root)
    packer = zlib.compressobj(9)
    packed = packer.compress(struct.pack("<II", 14, 512))
    packed += b"".join(packer.compress(b"\0" * 2**20) for _ in range(300)) + packer.flush()
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    (root / "joints.mat").write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)


@crafted("lspet")
def mat_of_millions_of_empty_cells(root: Path, outside: Path) -> None:
    valid("lspet", root)
    count = 7_000_000
    cells = struct.pack("<II", 14, 0) * count
    inner = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1, count) + struct.pack("<II", 1, 8)
    body = inner + b"joints\0\0" + cells
    (root / "joints.mat").write_bytes(compressed(struct.pack("<II", 14, len(body)) + body))


@crafted("lspet")
def mat_of_two_billion_cells(root: Path, outside: Path) -> None:
    valid("lspet", root)
    inner = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 2**15, 2**15) + struct.pack("<II", 1, 8)
    body = inner + b"joints\0\0"
    (root / "joints.mat").write_bytes(compressed(struct.pack("<II", 14, len(body)) + body))


@crafted("lspet")
def mat_of_cells_in_cells(root: Path, outside: Path) -> None:
    valid("lspet", root)
    head = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1, 1)
    named, nameless = struct.pack("<II", 1, 8) + b"joints\0\0", struct.pack("<II", 1, 0)
    level, depth = len(head) + len(nameless) + 8, 50_000
    levels = (struct.pack("<II", 14, level * (depth - k) - 8) + head + nameless for k in range(depth))
    body = head + named + b"".join(levels)
    (root / "joints.mat").write_bytes(compressed(struct.pack("<II", 14, len(body)) + body))


@crafted("h36m")
def npz_that_unpacks_to_1000_times_its_size(root: Path, outside: Path) -> None:
    valid("h36m", root)
    with zipfile.ZipFile(root / "h36m_train.npz") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    head = io.BytesIO()
    np.lib.format.write_array_header_2_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2**14, 24, 96)})
    with zipfile.ZipFile(root / "h36m_train.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            if name != "S.npy":
                archive.writestr(name, content)
        with archive.open("S.npy", "w", force_zip64=True) as member:
            member.write(head.getvalue())
            for _ in range(288):
                member.write(b"\0" * 2**20)


# ------------------------------------------------------------------------------------------------ SQLite, CSV, JSON


@crafted("aflw sqlite")
def sqlite_with_a_computed_column_in_many_rows(root: Path, outside: Path) -> None:
    valid("aflw sqlite", root)
    with sqlite3.connect(root / "aflw.sqlite") as base:
        base.executescript(
            "PRAGMA synchronous = OFF; DROP TABLE FaceImages;"
            "CREATE TABLE FaceImages(file_id, filepath AS (hex(zeroblob(30000)) || file_id));"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
            " INSERT INTO FaceImages SELECT i FROM n;"
        )
    base.close()


@crafted("aflw sqlite")
def sqlite_with_a_view(root: Path, outside: Path) -> None:
    valid("aflw sqlite", root)
    with sqlite3.connect(root / "aflw.sqlite") as base:
        base.executescript(
            "PRAGMA synchronous = OFF; DROP TABLE FaceImages; CREATE VIEW FaceImages AS WITH RECURSIVE n(i) AS"
            " (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS file_id, 'a' AS filepath FROM n;"
        )
    base.close()


@crafted("coco")
def json_of_deep_lists(root: Path, outside: Path) -> None:
    valid("coco", root)
    (root / "ann.json").write_text('{"images": ' + "[" * 200_000 + "]" * 200_000 + "}")


@crafted("coco")
def json_with_an_enormous_number(root: Path, outside: Path) -> None:
    path = valid("coco", root)
    path.write_text(path.read_text().replace('"id": 1', f'"id": {"9" * 5000}', 1))


@crafted("coco")
def json_that_is_a_pipe(root: Path, outside: Path) -> None:
    valid("coco", root).unlink()
    os.mkfifo(root / "ann.json")


@crafted("named csv")
def names_that_lead_out(root: Path, outside: Path) -> None:
    valid("named csv", root)
    (root / "keypoints.csv").write_text(
        f'image,part,a_x,a_y,b_x,b_y\n"../../../../outside/secret.png",train,1,2,3,4\n"{outside}/secret.png",train,1,2,3,4\n'
    )


@crafted("landmarks")
def names_that_take_a_regular_expression_long(root: Path, outside: Path) -> None:
    valid("landmarks", root)
    rows = "".join(f"{'mp4-' * 60}{row}x,1,2,3,4\n{'video1_' * 34}{row}x,1,2,3,4\n" for row in range(2000))
    (root / "training.csv").write_text("image,a_x,a_y,b_x,b_y\n" + rows)


@crafted("yolo")
def yaml_with_an_enormous_number(root: Path, outside: Path) -> None:
    path = valid("yolo", root)
    path.write_text(path.read_text().replace("kpt_shape: [3, 3]", f"kpt_shape: 0x{'f' * 60_000}"))


@crafted("yolo")
def yaml_that_leads_out(root: Path, outside: Path) -> None:
    path = valid("yolo", root)
    path.write_text(path.read_text().replace("path: .", f"path: {outside}"))


@crafted("yolo")
def yaml_of_deep_lists(root: Path, outside: Path) -> None:
    path = valid("yolo", root)
    path.write_text("names: " + "[" * 20_000 + "\n" + path.read_text())


@crafted("yolo")
def yaml_of_deep_blocks(root: Path, outside: Path) -> None:
    path = valid("yolo", root)
    path.write_text("names:\n" + "- " * 60_000 + "a\n" + path.read_text())


# ------------------------------------------------------------------------------------------------ settings


def study(text: str, name: str) -> None:
    def write(root: Path, outside: Path) -> None:
        (root / "study.toml").write_text(text)

    CRAFTED[f"study: {name}"] = ("study", write)


study(STUDY.replace("seeds = [0, 1]", f"seeds = {list(range(200_000))}"), "200,000 seeds")
study(STUDY.replace("seeds = [0, 1]", f"seeds = {list(range(10_000))}"), "10,000 seeds")
study(STUDY.replace("seeds = [0, 1]", "seeds = [-1]"), "a seed below 0")
study(STUDY.replace("seeds = [0, 1]", "seeds = [18446744073709551616]"), "a seed of 2^64")
study(STUDY.replace("seeds = [0, 1]", "seeds = [1, 4294967297]"), "seeds equal mod 2^32")
study(STUDY.replace("seeds = [0, 1]", f"seeds = [0x{'f' * 100_000}]"), "a seed of 100,000 hexadecimal digits")
study(STUDY.replace("epochs = 2", f"epochs = {'9' * 5000}"), "5,000 digits")
study(STUDY.replace("epochs = 2", "epochs = 9223372036854775807"), "2^63 - 1 epochs")
study(STUDY.replace("epochs = 2", f"epochs = {'[' * 100_000}"), "deep lists")
study(STUDY.replace("epochs = 2", f"epochs = {'{a = ' * 10_000}1{'}' * 10_000}"), "deep tables")
study(f"{'.'.join('a' * 500_000)} = 1\n{STUDY}", "a key of 500,000 parts")
study(f"[{'.'.join('a' * 20_000)}]\n{STUDY}", "a table of 20,000 parts")
study(STUDY.replace("[dataset]", "[[dataset]]"), "a table that is a list")
study(STUDY.replace("[profiles.brief.training]", "[[profiles]]"), "profiles that are a list")
study(STUDY.replace("channels = 8", "channels = 4611686018427387904"), "2^62 channels")
study(STUDY.replace("stages = [1, 2]", f"stages = {[1] * 100_000}"), "100,000 steps")
study("\0" * 100, "no text")


# ------------------------------------------------------------------------------------------------ weights


@crafted("weights pth")
def tensor_of_a_billion_numbers_that_stores_one(root: Path, outside: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(2**30)}, root / "w.pth")


@crafted("weights pth")
def sparse_tensor(root: Path, outside: Path) -> None:
    torch.save({"a": torch.zeros(3, 3).to_sparse()}, root / "w.pth")


@crafted("weights pth")
def tensor_without_storage(root: Path, outside: Path) -> None:
    torch.save({"a": torch.zeros(3, 3, device="meta")}, root / "w.pth")


@crafted("weights pth")
def archive_that_unpacks_to_1000_times_its_size(root: Path, outside: Path) -> None:
    made = io.BytesIO()
    torch.save({"a": torch.zeros(4)}, made)
    with zipfile.ZipFile(made) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(root / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            with archive.open(name, "w", force_zip64=True) as member:
                for _ in range(300 if "/data/" in name and not name.endswith("serialization_id") else 1):
                    member.write(b"\0" * 2**20 if "/data/" in name else content)


class Harm:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch ../../outside/harm",)


@crafted("weights pth")
def code_in_weights(root: Path, outside: Path) -> None:
    torch.save({"a": torch.zeros(1), "b": Harm()}, root / "w.pth")


@crafted("h36m")
def code_in_npz(root: Path, outside: Path) -> None:
    valid("h36m", root)
    held = dict(np.load(root / "h36m_train.npz"))
    np.savez(root / "h36m_train.npz", **{**held, "S": np.array([Harm()], object)})


@crafted("weights safetensors")
def header_longer_than_its_file(root: Path, outside: Path) -> None:
    (root / "w.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")


@crafted("weights safetensors")
def header_of_deep_lists(root: Path, outside: Path) -> None:
    head = b'{"__metadata__":' + b'{"a":' * 500_000 + b"1" + b"}" * 500_000 + b"}"
    (root / "w.safetensors").write_bytes(struct.pack("<Q", len(head)) + head)


@crafted("weights safetensors")
def sparse_file_of_100_gigabytes(root: Path, outside: Path) -> None:
    head = json.dumps({"a": {"dtype": "F32", "shape": [25 * 10**9], "data_offsets": [0, 10**11]}}).encode()
    with (root / "w.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + 10**11)


def model_with(name: str, change: Callable[[dict[str, object]], None]) -> None:
    def write(root: Path, outside: Path) -> None:
        network(root)
        path = root / "weights.safetensors"
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        head = json.loads(data[8 : 8 + size])
        held = json.loads(head["__metadata__"]["kptransfer"])
        change(held)
        head["__metadata__"]["kptransfer"] = json.dumps(held)
        told = json.dumps(head).encode()
        path.write_bytes(struct.pack("<Q", len(told)) + told + data[8 + size :])

    CRAFTED[f"model of {name}"] = ("model folder", write)


model_with("4,096 channels", lambda held: held["backbone"]["options"].update(channels=4096, depth=6, modules=8))
model_with("100,000 heads", lambda held: held.update(heads=held["heads"] * 50_000))
model_with("64 heads", lambda held: held.update(heads=held["heads"] * 32))
model_with("2^40 pixels", lambda held: held.update(resolution=2**40))
model_with("a head of no skeleton", lambda held: held["heads"][0].update(skeleton=63))
model_with("an unknown backbone", lambda held: held["backbone"].update(name="../../x"))
model_with("an odd option", lambda held: held["backbone"]["options"].update(channels=[float("nan")]))


@crafted("model folder")
def card_of_deep_lists(root: Path, outside: Path) -> None:
    network(root)
    (root / "model.json").write_text("[" * 200_000)


@crafted("model folder")
def card_that_holds_no_number(root: Path, outside: Path) -> None:
    network(root)
    card = json.loads((root / "model.json").read_text())
    card["scores"] = [{"convention": "x", "average": float("nan"), "columns": {}, "data": "x", "samples": 1}]
    (root / "model.json").write_text(json.dumps(card))


@crafted("model folder")
def card_that_is_a_pipe(root: Path, outside: Path) -> None:
    network(root)
    (root / "model.json").unlink()
    os.mkfifo(root / "model.json")


@crafted("run")
def results_of_deep_lists(root: Path, outside: Path) -> None:
    valid("run", root)
    (root / "results.json").write_text("[" * 200_000)


@crafted("job folder")
def records_of_deep_lists(root: Path, outside: Path) -> None:
    valid("job folder", root)
    for path in root.glob("*.json*"):
        path.write_text("[" * 200_000)


@crafted("store")
def title_of_deep_lists(root: Path, outside: Path) -> None:
    valid("store", root)
    (Path(os.environ["KP_CACHE_DIR"]) / "stores").mkdir(parents=True, exist_ok=True)
    (Path(os.environ["KP_CACHE_DIR"]) / "stores" / "key.json").write_text("[" * 200_000)


@crafted("rules")
def rules_of_a_key_of_many_parts(root: Path, outside: Path) -> None:
    (root / "rules.toml").write_text(f"{'.'.join('a' * 400_000)} = 1\n")


@crafted("rules")
def rules_that_would_be_tried_for_ever(root: Path, outside: Path) -> None:
    path = valid("rules", root)
    path.write_text(path.read_text().replace("rename = [", "rename = [['(a+)+$', 'b'],", 1))


@crafted("skeleton")
def skeleton_of_deep_lists(root: Path, outside: Path) -> None:
    (root / "skeleton.json").write_text("[" * 200_000)
