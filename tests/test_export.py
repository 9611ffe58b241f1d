"""Exported networks: what they give beside PyTorch, what they carry, and what is refused."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from kpcore.cache import file_digest
from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.interfaces import Backbone
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.network import build_network
from kpcore.plans import Layout
from kpcore.reading.images import decode_image
from kpcore.registry import registry
from kpcore.trained import exporting, onnx_file
from kpcore.trained.agreeing import Agreement, agreement, made_up
from kpcore.trained.api import load_model
from kpcore.trained.card import Card, write_card
from kpcore.trained.exporting import Exporting, program_run, write_onnx, write_torch
from kpcore.trained.framing import Framing
from kpcore.trained.model import Component, Model, Score, Trained, heads_of, metadata
from kpcore.trained.onnx_engine import OnnxEngine
from kpcore.trained.onnx_file import open_onnx, seal_of, sealed
from kpcore.trained.onnx_texts import texts_in
from kpcore.trained.opening import open_model
from kpcore.trained.predictor import Predictor
from kpcore.trained.tracing import traced
from kpcore.training.device import Device

MISSING = [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]
onnx_installed = pytest.mark.skipif(bool(MISSING), reason=f"the extra 'onnx' is not installed ({', '.join(MISSING)})")
KEYPOINTS = (Keypoint("r_hand", "l_hand"), Keypoint("l_hand", "r_hand"), Keypoint("head"))
SIDE = 32


class Tiny(Backbone):
    """Two convolutions, with a mean and a spread of its own."""

    stride = 4
    channels = 8
    mean = (0.5, 0.4, 0.3)
    std = (0.2, 0.3, 0.4)

    def check_size(self, height, width):
        return None

    def stem(self):
        return nn.Conv2d(3, 8, 7, 4, 3)

    def stage(self, index):
        return nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())


class Deciding(nn.Module):
    """Asks for a value, as nothing that is exported can."""

    def forward(self, x):
        return x if float(x.sum()) > 0 else -x


class Stubborn(Tiny):
    """Cannot be exported."""

    def stage(self, index):
        return Deciding()


def described(backbone, codec, codec_options, layout, made=("hourglass", {})):
    """What the weights of a network say of it."""
    skeletons, heads = heads_of(layout)
    parts = [
        Component(name=name, options=options, plugin="p", package="p", version="1", code="")
        for name, options in (made, codec_options)
    ]
    return Model(
        backbone=parts[0], codec=parts[1], skeletons=skeletons, heads=heads, trained_on=("head",), resolution=SIDE,
        stride=4, mean=backbone.mean, std=backbone.std, data="nothing", job="",
        score=Score(value=None, convention="PCK", higher_is_better=True, people=0),
    )  # fmt: skip


def random_network(backbone, codec, resolution=SIDE):
    """A network of random weights and what it says of itself."""
    skeleton = Skeleton("s", KEYPOINTS, (), codec.dims)
    layout = Layout((skeleton.select(("head",)), skeleton.select(skeleton.names)))
    network = build_network(backbone, codec, layout, seed=0, resolution=resolution).eval().requires_grad_(False)
    return network, layout


def tiny(name, backbone=None, **options):
    """A tiny trained network with this codec."""
    backbone = backbone or Tiny()
    codec = registry().build("codec", name, options, where="test")
    network, layout = random_network(backbone, codec)
    return Trained(described(backbone, codec, (name, options), layout), network, backbone, codec)


def predictor_of(trained, flip_test=False):
    return Predictor(
        trained.network, trained.backbone, trained.codec, Device(torch.device("cpu"), "fp32", 1), flip_test
    )


def card_of(trained):
    return Card(name="n", study="s", model=trained.model, weights="0" * 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder: an hourglass of random weights."""
    path = tmp_path_factory.mktemp("model")
    options = {"channels": 8, "depth": 1}
    backbone = registry().build("backbone", "hourglass", options, where="test")
    coded = {"decode": "dark", "loss": "cross_entropy"}
    codec = registry().build("codec", "heatmap", coded, where="test")
    network, layout = random_network(backbone, codec)
    model = described(backbone, codec, ("heatmap", coded), layout, ("hourglass", options))
    save_file(network.state_dict(), path / "weights.safetensors", metadata(model))
    framing = Framing(points=1.5, shift=(0.1, -0.1))
    digest = file_digest(path / "weights.safetensors")
    write_card(path, Card(name="mine", study="study", model=model, framing=framing, weights=digest))
    return path


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    """The model folder as an ONNX file, and what the command said."""
    path = tmp_path_factory.mktemp("exported") / "mine.onnx"
    return exporting.export(str(folder), path, Exporting("onnx"), registry())


# ------------------------------------------------------------------------------------------- beside PyTorch

CASES = [
    ("heatmap", {"decode": "dark", "loss": "cross_entropy"}, False),
    ("heatmap", {"decode": "quarter"}, True),
    ("volumetric", {"depth_bins": 4}, False),
    ("volumetric", {"depth_bins": 4, "decode": "local"}, True),
]


@onnx_installed
@pytest.mark.parametrize(("codec", "options", "flip_test"), CASES)
def test_onnx_gives_what_pytorch_gives(codec, options, flip_test, tmp_path):
    trained = tiny(codec, **options)
    write_onnx(
        traced(trained, flip_test=flip_test), trained, card_of(trained), tmp_path / "x.onnx", flip_test=flip_test
    )
    engine = OnnxEngine(open_onnx(tmp_path / "x.onnx"))
    assert engine.keypoints == trained.keypoints and engine.resolution == SIDE and engine.file.flip_test == flip_test
    found = agreement(engine.images, predictor_of(trained, flip_test), made_up(24, SIDE))
    assert found.pixels < 1e-3 and found.confidence < 1e-5 and found.steady > 0.9 * found.points == 0.9 * 72
    assert agreement(engine.images, predictor_of(trained, not flip_test), made_up(24, SIDE)).pixels > 0.05


@pytest.mark.parametrize(("codec", "options", "flip_test"), CASES[1:3])
def test_torchs_program_gives_what_pytorch_gives(codec, options, flip_test, tmp_path):
    trained = tiny(codec, **options)
    write_torch(traced(trained, flip_test=flip_test), card_of(trained), tmp_path / "x.pt2")
    found = agreement(program_run(tmp_path / "x.pt2"), predictor_of(trained, flip_test), made_up(24, SIDE))
    assert found.pixels < 1e-3 and found.confidence < 1e-5 and found.steady > 0.9 * found.points


@pytest.mark.slow
def test_torchs_program_loads_without_our_code_and_carries_the_card(folder, tmp_path):
    out = tmp_path / "mine.pt2"
    assert outcome(["export", str(folder), "--to", "torch", "--out", str(out)]) == 0
    program = f"""
import sys, json
for name in ("kpcore", "kp_heatmap", "kp_hourglass"):
    sys.modules[name] = None  # an import of it fails
import torch
files = {{"model.json": ""}}
run = torch.export.load({str(out)!r}, extra_files=files).module()
points, confidence = run(torch.full((5, 3, {SIDE}, {SIDE}), 0.5))
print(json.dumps([list(points.shape), list(confidence.shape), json.loads(files["model.json"])["name"]]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[5, 3, 2], [5, 3], "mine"]
    content = out.read_bytes()
    assert b"/kpcore/" not in content, "lines of this machine's files are left out"


def test_a_file_that_differs_is_refused_and_not_left(folder, tmp_path, monkeypatch):
    far = Agreement(crops=24, points=72, steady=72, pixels=0.2, confidence=0.0, scale=1.0)
    monkeypatch.setattr(exporting, "traced", lambda *_, **__: None)
    monkeypatch.setattr(exporting, "write_torch", lambda program, card, path: path.write_bytes(b"written"))
    monkeypatch.setattr(exporting, "program_run", lambda path: path.read_bytes())
    monkeypatch.setattr(exporting, "agreement", lambda *_: far)
    with pytest.raises(
        KpError, match=r"not written: its points differ from PyTorch's by up to 0\.2 px, the limit is 0"
    ):
        exporting.export(str(folder), tmp_path / "x.pt2", Exporting("torch"), registry())
    assert list(tmp_path.iterdir()) == []


def moved(predictor, by=0.0, sure=0.0):
    """A file that gives what PyTorch gives, moved."""

    def run(images):
        points, confidence = predictor.crops(
            torch.from_numpy((images * 255).round().astype(np.uint8).transpose(0, 2, 3, 1))
        )
        return (points + by).float().numpy(), (confidence + sure).float().numpy()

    return run


def test_the_check_sees_what_differs_and_leaves_out_what_hangs_on_rounding():
    trained = tiny("heatmap")
    predictor, crops = predictor_of(trained), made_up(9, SIDE)
    agreement(moved(predictor), predictor, crops).require(0.001)
    for by, sure, told in ((0.1, 0, "points differ"), (np.nan, 0, "points differ"), (0, 0.1, "confidences differ")):
        with pytest.raises(KpError, match=told):
            agreement(moved(predictor, by, sure), predictor, crops).require(0.05)
    with torch.no_grad():
        for name, tensor in trained.network.named_parameters():
            if name.startswith("head1"):
                tensor.fill_(0.25 if name.endswith("bias") else 0)  # maps without a peak
    with pytest.raises(KpError, match="27 of 27 points on made-up crops hang on rounding"):
        agreement(moved(predictor), predictor, crops).require(0.05)


# -------------------------------------------------------------------------------------------------- in use


@pytest.fixture
def pictures(tmp_path):
    import cv2

    (tmp_path / "pictures").mkdir()
    for place, crop in enumerate(made_up(3, 48, seed=1)):
        cv2.imwrite(str(tmp_path / "pictures" / f"{place}.png"), crop)
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height\n" + "".join(f"{n}.png,5,8,30,25\n" for n in range(3)))
    return tmp_path / "pictures"


def rows_of(model, pictures, out, *words):
    boxes = pictures.parent / "boxes.csv"
    words = ["predict", str(model), str(pictures), "--boxes", str(boxes), "--out", str(out), "--device", "cpu", *words]
    assert outcome(words) == 0
    with (out / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


@onnx_installed
def test_an_onnx_file_predicts_as_its_folder_does(folder, exported, pictures, tmp_path):
    there, here = (rows_of(model, pictures, tmp_path / name) for model, name in ((folder, "a"), (exported.path, "b")))
    assert len(there) == 9 and [one["keypoint"] for one in there] == [one["keypoint"] for one in here]
    for column, within in (("x", 2e-3), ("y", 2e-3), ("confidence", 1e-4)):
        wanted, found = ([float(one[column]) for one in rows] for rows in (there, here))
        np.testing.assert_allclose(found, wanted, atol=within)
    image = decode_image(pictures / "0.png")
    one, other = (load_model(model, device="cpu").predict(image) for model in (folder, exported.path))
    np.testing.assert_allclose(other.points, one.points, atol=2e-3)


@onnx_installed
def test_an_onnx_file_says_what_it_is(folder, exported, capsys):
    import onnxruntime

    opened = open_model(str(exported.path))
    assert opened.card == open_model(str(folder)).card == exported.card.sealed()
    session = onnxruntime.InferenceSession(str(exported.path))
    shapes = {one.name: one.shape for one in (*session.get_inputs(), *session.get_outputs())}
    assert shapes == {"images": ["batch", 3, SIDE, SIDE], "points": ["batch", 3, 2], "confidence": ["batch", 3]}
    about = session.get_modelmeta()
    assert "r_hand, l_hand, head" in about.description and "not normalised" in about.description
    assert json.loads(about.custom_metadata_map["kptransfer.card"])["name"] == "mine"
    assert b"/kpcore/" not in exported.path.read_bytes(), "lines of this machine's files are left out"
    assert outcome(["models", "show", str(exported.path)]) == 0
    assert "study/mine" in capsys.readouterr().out


@onnx_installed
def test_the_command_tells_the_largest_difference(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exporting, "write_onnx", lambda *_, **__: None)
    monkeypatch.setattr(exporting, "traced", lambda *_, **__: None)
    monkeypatch.setattr(
        exporting, "open_onnx", lambda path: path.write_bytes(b"12345") and SimpleNamespace(session=None)
    )
    found = Agreement(crops=24, points=72, steady=70, pixels=0.0012, confidence=1e-6, scale=1.0)
    monkeypatch.setattr(exporting, "agreement", lambda *_: found)
    monkeypatch.chdir(tmp_path)
    assert outcome(["export", str(folder), "--to", "onnx"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "wrote mine.onnx" in said and "opset 18" in said and "0.0012 px over 70 points (2 others hang" in said
    assert outcome(["export", str(folder), "--to", "onnx", "--out", "b.onnx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pixels"] == 0.0012


# ------------------------------------------------------------------------------------------------- refused


def test_what_cannot_be_exported_is_named():
    with pytest.raises(KpError, match=r"^backbone 'hourglass' \(\) cannot be exported: .+; take another backbone$"):
        traced(tiny("heatmap", Stubborn()), flip_test=False)
    trained = tiny("heatmap", decode="dark")
    wrapped = SimpleNamespace(
        decode=lambda maps, stride: (
            maps[:, :, 0, :2] if maps.max().item() > 0 else maps[:, :, 1, :2],
            maps[:, :, 0, 0],
        ),
        channels=trained.codec.channels,
        channel_slice=trained.codec.channel_slice,
    )
    with pytest.raises(KpError, match=r"^codec 'heatmap' \(decode dark\) cannot be exported: .+; take another codec$"):
        traced(replace(trained, codec=wrapped), flip_test=False)


def refused(capsys, *words):
    """The one line of a command that is refused."""
    assert outcome([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_bad_places_and_a_missing_library_are_one_line(folder, tmp_path, monkeypatch, capsys):
    there = tmp_path / "there.pt2"
    there.touch()
    words = ("export", folder, "--to", "torch", "--out")
    assert "is there already" in refused(capsys, *words, there)
    assert "no such folder" in refused(capsys, *words, tmp_path / "none" / "x.pt2")
    assert "ends in '.onnx'; --to torch writes '.pt2'" in refused(capsys, *words, tmp_path / "x.onnx")
    assert "unknown kind of file 'onx'" in refused(capsys, "export", folder, "--to", "onx")
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else object())
    assert "ONNX needs onnxscript: pip install 'kptransfer[onnx]'" in refused(capsys, "export", folder, "--to", "onnx")
    monkeypatch.setattr(onnx_file, "find_spec", lambda _: None)
    for name in ("x.onnx", "x.png"):
        (tmp_path / name).touch()
    assert "ONNX needs onnxruntime: pip" in refused(capsys, "predict", tmp_path / "x.onnx", tmp_path / "x.png")


@onnx_installed
def test_what_is_no_exported_network_is_one_line(exported, pictures, tmp_path, capsys):
    bad = tmp_path / "bad.onnx"
    content = exported.path.read_bytes()
    for damaged in (b"", b"hello", content[: len(content) // 2]):
        bad.write_bytes(damaged)
        assert "n ONNX file" in refused(capsys, "models", "show", bad)
    bad.write_bytes(strangers())
    assert "an ONNX file without a card" in refused(capsys, "models", "show", bad)
    assert "an ONNX file without a card" in refused(capsys, "predict", bad, pictures)


def strangers():
    """An ONNX file of somebody else's."""
    from onnx import TensorProto, helper

    one, other = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [one], [other])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


@onnx_installed
def test_a_changed_file_is_refused_unless_told_otherwise(exported, tmp_path, capsys):
    changed = tmp_path / "changed.onnx"
    content = exported.path.read_bytes()
    assert content.count(b'"study"') == 2 and content.count(b'"study": "study"') == 1
    changed.write_bytes(content.replace(b'"study": "study"', b'"study": "ydust"'))
    assert "it was changed after it was written" in refused(capsys, "models", "show", changed)
    assert outcome(["models", "show", str(changed), "--changed"]) == 0
    weights = bytearray(content)
    place = weights.rindex(load_weight(exported.path))
    weights[place] ^= 1
    changed.write_bytes(weights)
    assert "it was changed after it was written" in refused(capsys, "models", "show", changed)


def load_weight(path):
    """The bytes of the largest tensor of an ONNX file."""
    import onnx

    return max((one.raw_data for one in onnx.load(path).graph.initializer), key=len)


@onnx_installed
def test_a_seal_holds_for_the_bytes_as_they_are():
    content = b"a" + onnx_file.UNSEALED.encode() + b"b"
    assert sealed(content) == b"a" + seal_of(content).encode() + b"b"
    with pytest.raises(KpError, match="no single place"):
        sealed(content + content)


@onnx_installed
def test_what_an_exported_network_cannot_do_is_one_line(exported, pictures, tmp_path, capsys):
    predict = ("predict", exported.path, pictures)
    assert "--flip-test averages maps" in refused(capsys, *predict, "--flip-test")
    assert "not for an ONNX file on this machine" in refused(capsys, *predict, "--device", "mps")
    told = "no network can be built from an exported file"
    assert told in refused(capsys, "models", "copy", exported.path, tmp_path / "copy")
    assert told in refused(capsys, "export", exported.path, "--to", "torch")


@onnx_installed
def test_what_onnx_has_no_operator_for_names_both_parts(tmp_path):
    trained = tiny("heatmap", decode="dark")
    program = SimpleNamespace()  # nothing that the exporter can convert
    with pytest.raises(
        KpError, match=r"^backbone 'hourglass' \(\) with codec 'heatmap' \(decode dark\) cannot be written"
    ):
        write_onnx(program, trained, card_of(trained), tmp_path / "x.onnx", flip_test=False)
    assert list(tmp_path.iterdir()) == []


def field(number, value):
    """A field of a protocol buffer: bytes, or a number below 128."""
    kind, held = (2, bytes([len(value)]) + value) if isinstance(value, bytes) else (0, bytes([value]))
    return bytes([number << 3 | kind]) + held


def test_texts_of_an_onnx_file_are_read_without_a_library():
    pairs = [field(1, key.encode()) + field(2, value.encode()) for key, value in (("a", "1"), ("b", "\u00e9"))]
    content = field(1, 8) + field(7, b"graph") + b"".join(field(14, pair) for pair in pairs)
    content += bytes([20 << 3 & 127 | 1 | 128, 1]) + bytes(8)  # field 20, eight bytes; its key takes two
    assert texts_in(content) == {"a": "1", "b": "\u00e9"}
    for broken in (content[:-1], b"\x72\x7f", b"\xff" * 12, b"\x0b", field(14, b"\x0a\x01\xff")):
        with pytest.raises(ValueError, match=r"field|number|decode|utf"):
            texts_in(broken)
