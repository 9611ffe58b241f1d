"""Weights of other programs: read without running anything, matched by rules, all or nothing."""

import json

import numpy as np
import pytest
import torch
from kp_mpii.skeleton import MPII
from newell_names import reference
from safetensors.torch import save_file

from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.records.results import read_results
from kpcore.registry import registry
from kpcore.trained.api import load_model
from kpcore.trained.importing.rules import read_rules
from kpcore.trained.importing.state import read_state
from kpcore.trained.model import load_model as load_network
from kpcore.trained.opening import open_model

ORDER = read_rules("newell_pytorch", registry())[1].keypoints
HOURGLASS = ["--backbone", "hourglass", "--set", "backbone.channels=16", "--codec", "heatmap", "--stages", "2"]


def imported(file, out, *words, backbone=HOURGLASS, rules="newell_pytorch"):
    """Run the command; return its exit code."""
    return outcome(["models", "import", str(file), *backbone, "--map", str(rules), "--out", str(out), *words])


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A reference network of two stacks and its checkpoint, as the Trainer of that code nests and names it."""
    network = reference(2, 16, 16)
    path = tmp_path_factory.mktemp("theirs") / "checkpoint.pth.tar"
    state = {f"model.module.{name}": tensor for name, tensor in network.state_dict().items()}
    optimiser = {"state": {}, "param_groups": []}
    torch.save({"state_dict": state, "optimizer": optimiser, "epoch": 7}, path)
    return network, path


def changed(rules, *swaps):
    """Return shipped rules with parts of their text changed."""
    text = registry().weight_rules()[rules].read_text(encoding="utf-8")
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return text


# ------------------------------------------------------------------------------------------------ the hourglass


def test_an_imported_hourglass_gives_what_the_reference_gives(theirs, tmp_path, capsys):
    network, path = theirs
    assert imported(path, tmp_path / "mine", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    held = len(network.state_dict())
    assert told["counts"]["renamed"] + told["counts"]["dropped"] == held and set(told["counts"]) == {
        "renamed",
        "dropped",
    }
    assert {one["tensor"].split(".")[-3] for one in told["tensors"] if one["status"] == "dropped"} == {"skip_layer"}
    assert any("count pixels from 1" in line for line in told["said"])
    mine = load_network(tmp_path / "mine" / "weights.safetensors", registry()).network
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for here, there in zip(mine(images), network(images), strict=True):
            assert there.std() > 0.01
            torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-5)


def test_it_is_a_model_that_predicts_and_says_where_it_is_from(theirs, tmp_path, capsys):
    assert imported(theirs[1], tmp_path / "mine", "--set", "codec.decode=dark", "--resolution", "64") == 0
    out = capsys.readouterr().out
    assert "renamed" in out and "dropped" in out and f"wrote{tmp_path / 'mine'}" in "".join(out.split())
    card = open_model(str(tmp_path / "mine")).card
    assert card.name == "mine" and card.model.codec.options["decode"] == "dark" and card.model.resolution == 64
    assert card.model.data.startswith("weights of checkpoint.pth.tar (SHA-256 ") and "200 x scale" in card.model.crop
    found = load_model(tmp_path / "mine", device="cpu").predict(np.zeros((50, 70, 3), np.uint8))
    assert found.names == ORDER and np.isfinite(found.points).all()
    assert outcome(["models", "show", str(tmp_path / "mine")]) == 0
    shown = capsys.readouterr().out
    assert "200 x scale" in shown and "validation" not in shown


def test_heads_are_put_in_order_by_name(theirs, tmp_path):
    network, path = theirs
    order = (*ORDER[5:], *ORDER[:5])
    assert imported(path, tmp_path / "mine", "--keypoints", ",".join(order)) == 0
    mine = load_network(tmp_path / "mine" / "weights.safetensors", registry())
    assert mine.keypoints.names == order
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # the second stack sees the first one's channels, which must be put in order there too
        here, there = mine.network(images)[1], network(images)[1]
    torch.testing.assert_close(here, there[:, [ORDER.index(name) for name in order]], atol=1e-5, rtol=1e-5)


def test_keypoints_of_a_data_set_have_its_skeleton_and_those_of_a_file_theirs(theirs, tmp_path):
    assert imported(theirs[1], tmp_path / "mpii", "--keypoints", "mpii16") == 0
    head = open_model(str(tmp_path / "mpii")).card.model.layout.heads[-1]
    assert head.skeleton.name == "mpii" and len(head.skeleton.edges) == 15
    file = tmp_path / "points.json"
    mirror = {name: f"l{name[1:]}" if name[0] == "r" else f"r{name[1:]}" for name in ORDER if name[1] == "_"}
    points = [{"name": name, **({"mirror": mirror[name]} if name in mirror else {})} for name in ORDER]
    file.write_text(json.dumps({"keypoints": points, "edges": [["r_knee", "r_ankle"]]}))
    assert imported(theirs[1], tmp_path / "file", "--skeleton", str(file)) == 0
    head = open_model(str(tmp_path / "file")).card.model.layout.heads[-1]
    assert head.skeleton.edges == (("r_knee", "r_ankle"),) and head.skeleton["l_hip"].mirror == "r_hip"


@pytest.mark.parametrize("words", [["--stages", "1"], ["--stages", "3"], ["--set", "backbone.channels=32"]])
def test_a_network_of_another_size_is_an_error_and_nothing_is_written(theirs, tmp_path, capsys, words):
    assert imported(theirs[1], tmp_path / "mine", *words) == 2
    err = capsys.readouterr().err
    told = {"1": "unused: ", "3": "missing: stage2.", "backbone.channels=32": "misfit: "}[words[1]]
    assert told in err and "not written" in err
    assert not (tmp_path / "mine").exists()


# ------------------------------------------------------------------------------------------------ the rules


@pytest.mark.parametrize(
    ("swap", "words", "told"),
    [
        (("['\\.bn([123])\\.', '.norm\\1.'],", ""), [], "unused: model.module.pre.1.bn1.weight: the network has no"),
        (("drop = [", "drop = ['outs', "), [], "missing: head0.weight: the file has no tensor for it"),
        (("drop = [", "dropp = ["), [], "dropp"),
        (("'.norm\\1.'", "'.norm\\2.'"), [], "rename"),
        (("'^outs\\.(", "'^outs\\.(("), [], "no regular expression"),
        (("'head\\1.'", "'head0.'"), [], "has that name too"),
        (('"r_ankle", "r_knee",', '"r_knee",'), ["--keypoints", "mpii"], "they lack r_ankle"),
        (('"r_ankle", ', '"nose", "r_ankle", '), ["--keypoints", "mpii"], "the rules' heads have nose too"),
        (('order = "rgb"', 'order = "rbg"'), [], "input.order"),
        (("mean = [0.0", "mean = [0.5"), [], "black here is -0.5, 0 there"),
        (('convolution = "stem.0.weight"', 'convolution = ""\nwhite2 = 1'), [], "white2"),
    ],
)  # fmt: skip
def test_rules_that_do_not_fit_are_told(theirs, tmp_path, capsys, swap, words, told):
    file = tmp_path / "rules.toml"
    file.write_text(changed("newell_pytorch", swap))
    assert imported(theirs[1], tmp_path / "mine", *words, rules=file) == 2
    err = capsys.readouterr().err
    assert told in " ".join(err.split()) and "Traceback" not in err
    assert not (tmp_path / "mine").exists()


def test_heads_without_names_in_the_rules_are_refused(theirs, tmp_path, capsys):
    text = changed("newell_pytorch")
    start = text.index("keypoints = [")
    (tmp_path / "rules.toml").write_text(text[:start] + text[text.index("]", start) + 1 :])
    assert imported(theirs[1], tmp_path / "mine", rules=tmp_path / "rules.toml") == 2
    assert "--keypoints: name what the network is to predict" in capsys.readouterr().err
    assert imported(theirs[1], tmp_path / "mine", "--keypoints", "mpii", rules=tmp_path / "rules.toml") == 2
    assert "misfit: model.module.outs.0.conv.weight: belongs to a head" in capsys.readouterr().err


def test_another_scale_and_order_of_colours_go_into_the_first_convolution(theirs, tmp_path, capsys):
    network, path = theirs
    file = tmp_path / "rules.toml"
    swaps = (
        ('order = "rgb"', 'order = "bgr"'),
        ("white = 1.0", "white = 4.0"),
        ("std = [1.0, 1.0, 1.0]", "std = [0.5, 1.0, 2.0]"),
    )
    file.write_text(changed("newell_pytorch", *swaps))
    assert imported(path, tmp_path / "mine", rules=file) == 0
    assert "takes up colours as bgr" in capsys.readouterr().out
    mine = load_network(tmp_path / "mine" / "weights.safetensors", registry()).network
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        there = network(images.flip(1) * 4 / torch.tensor([0.5, 1.0, 2.0])[None, :, None, None])[1]
        torch.testing.assert_close(mine(images)[1], there, atol=1e-5, rtol=1e-5)


def test_rules_are_listed_printed_and_looked_for_by_name(theirs, tmp_path, capsys):
    assert outcome(["models", "rules"]) == 0
    assert "newell_pytorch" in capsys.readouterr().out
    assert outcome(["models", "rules", "newell_pytorch"]) == 0
    assert capsys.readouterr().out == changed("newell_pytorch")
    assert imported(theirs[1], tmp_path / "mine", rules="newel_pytorch") == 2
    assert "did you mean 'newell_pytorch'" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ timm


TIMM = ["--backbone", "timm", "--codec", "heatmap", "--stages", "1", "--set", "backbone.channels=16"]


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("resnet18", "timm_encoder"),
        ("efficientnet_b0", "timm_encoder"),
        ("hrnet_w18_small", "timm_encoder_hrnet"),
        ("regnety_002", "timm_encoder"),
        ("mobilenetv3_small_050", "timm_encoder"),
        ("convnext_atto", "timm_encoder_stages"),
        ("swin_tiny_patch4_window7_224", "timm_encoder_stages"),
        ("vit_tiny_patch16_224", "timm_encoder_vit"),
    ],
)
def test_every_tensor_of_an_encoder_of_timm_is_named_by_the_rules_and_no_other(name, rules):
    timm = pytest.importorskip("timm", reason="timm is an extra")
    with torch.device("meta"):
        whole, encoder = timm.create_model(name), timm.create_model(name, features_only=True)
    found = read_rules(rules, registry())[1]
    taken = {found.renamed(tensor) for tensor in whole.state_dict() if not found.dropped(tensor)}
    assert taken == {f"stem.encoder.{tensor}" for tensor in encoder.state_dict()}


def test_a_classifier_of_timm_becomes_an_encoder_and_the_rest_is_said_to_be_new(tmp_path, capsys):
    timm = pytest.importorskip("timm", reason="timm is an extra")
    torch.manual_seed(3)
    whole = timm.create_model("resnet10t").eval()
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    words = ["--set", "backbone.model=resnet10t", "--keypoints", "nose,tail", "--resolution", "64"]
    file = tmp_path / "model.safetensors"
    assert imported(file, tmp_path / "mine", *words, backbone=TIMM, rules="timm_encoder") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "dropped 2 the file alone" in out and "stem, stage0, head0: new and untrained" in out
    assert "PICTURES" not in out and 'train it: [source] model = "' in out
    (tmp_path / "a.png").touch()
    assert outcome(["predict", str(tmp_path / "mine"), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]) == 2
    assert "was never trained, at least in part" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert outcome(["models", "show", str(tmp_path / "mine")]) == 0
    assert "never trained, at least in part: it predicts nothing yet" in " ".join(capsys.readouterr().out.split())
    encoder = load_network(tmp_path / "mine" / "weights.safetensors", registry()).network.stem.encoder
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(encoder(images)[-1], whole.forward_features(images), atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------------------------------------ files


class Hostile:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def test_a_file_with_code_in_it_is_one_line_and_nothing_runs(tmp_path, capsys):
    torch.save({"state_dict": {"a": torch.zeros(1)}, "config": Hostile()}, tmp_path / "bad.pth")
    assert imported(tmp_path / "bad.pth", tmp_path / "mine") == 2
    err = capsys.readouterr().err.strip()
    assert "holds more than tensors" in err and "exec" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"epoch": 3}, "holds no state dict (it has epoch)"),
        ([torch.zeros(1)], "holds a list, no tensors by name"),
        ({"model": {"a": torch.zeros(1)}, "ema": {"a": torch.zeros(1)}}, "holds the state dicts model, ema"),
        ({"a": torch.tensor([float("nan")])}, "'a' holds NaN or infinity"),
    ],
)
def test_what_is_no_state_dict_is_one_line(held, told, tmp_path):
    torch.save(held, tmp_path / "bad.pth")
    with pytest.raises(KpError) as error:
        read_state(tmp_path / "bad.pth")
    assert told in str(error.value) and "\n" not in str(error.value)


def test_nested_states_and_parallel_names_are_found_and_said(tmp_path):
    state = {"module.a": torch.zeros(1), "module.b": torch.ones(2)}
    torch.save({"model": state, "ema": {"c": torch.zeros(1)}}, tmp_path / "two.pth")
    found = read_state(tmp_path / "two.pth", "model")
    assert list(found.tensors) == ["a", "b"]
    assert found.said == ("the state dict lies under 'model'", "'module.' is taken off the front of every name")
    with pytest.raises(KpError, match="unknown state dict 'net'"):
        read_state(tmp_path / "two.pth", "net")


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: None, "no such weights file"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut short"), "not a readable file of weights"),
        (lambda path: path.write_text("hello this is a text\n"), "neither safetensors nor what torch.save writes"),
        (lambda path: path.write_text("no weights"), "weights"),
    ],
)
def test_damaged_files_are_one_line(write, told, tmp_path):
    write(tmp_path / "bad.pth")
    with pytest.raises(KpError, match=told) as error:
        read_state(tmp_path / "bad.pth")
    assert "\n" not in str(error.value)


def test_an_imported_network_is_the_source_of_a_study(tmp_path, tiny_mpii, tiny_study, monkeypatch):
    monkeypatch.setattr("kpcore.cli.report.page_of", lambda *_: None)
    (split,) = [
        one for one in registry().build("split", "kptransfer", {}, where="x").splits(MPII, {}) if one.name == "d"
    ]
    torch.save(reference(1, 8, len(split.source), depth=1).state_dict(), tmp_path / "one.pth")
    order = f"keypoints = {json.dumps(split.source.names)}\n\n"
    text = changed("newell_pytorch")
    start = text.index("keypoints = [")
    (tmp_path / "rules.toml").write_text(text[:start] + order + text[text.index("]", start) + 1 :])
    sets = ["backbone.channels=8", "backbone.depth=1", "codec.sigma=1.0"]
    backbone = [
        "--backbone",
        "hourglass",
        "--codec",
        "heatmap",
        "--stages",
        "1",
        *(word for one in sets for word in ("--set", one)),
    ]
    assert imported(tmp_path / "one.pth", tmp_path / "s1", backbone=backbone, rules=tmp_path / "rules.toml") == 0
    (tmp_path / "study.toml").write_text(f'{tiny_study}\n[source]\nmodel = "{tmp_path / "s1"}"\n')
    words = [f"dataset.root={tiny_mpii}", 'split.splits=["d"]', 'study.modes=["transfer"]']
    options = [word for one in words for word in ("--set", one)]
    assert outcome(["run", str(tmp_path / "study.toml"), *options, "--out", str(tmp_path / "out"), "--jobs", "1"]) == 0
    assert [row.status for row in read_results(tmp_path / "out").rows] == ["done"]
