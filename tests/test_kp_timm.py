"""timm's networks as backbones: every mode takes a real step with each, and weights come from where they are said to.

To try networks of your own: KP_TIMM_MODELS="resnet50d,vit_small_patch14_dinov2" pytest tests/test_kp_timm.py -k mine
With KP_TIMM_TABLE=FILE.md, a table of what was tried is written there (all: ``-m "slow or not slow"``).
"""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from kp_modes.frozen import Frozen
from kp_modes.random import Random
from kp_modes.transfer import Transfer
from kp_timm import published as hub
from kp_timm.backbone import TimmBackbone
from safetensors.torch import save_file

from kpcore.config import AdamW
from kpcore.errors import KpError
from kpcore.keypoints import KeypointSplit, Step
from kpcore.measure.estimate import random_batch
from kpcore.network import build_network, describe
from kpcore.plans import Layout, TransferPlan, fresh_origins
from kpcore.registry import registry
from kpcore.training.device import Device
from kpcore.training.step import Learner, Stepper
from kpcore.weights import execute

CPU = Device(torch.device("cpu"), "fp32", 1)
STAGES = (1, 2)
QUICK = ("resnet18", "mobilenetv3_small_050")
SLOW = (
    "hrnet_w18_small", "convnext_atto", "efficientnet_b0", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224",
    "regnetx_002", "tiny_vit_5m_224", "edgenext_xx_small", "mobilenetv4_conv_small_035", "resnet50",
)  # fmt: skip
"""Families: ResNet, MobileNet, HRNet, ConvNeXt, EfficientNet, ViT, Swin, RegNet, TinyViT, EdgeNeXt."""
MINE = [name.strip() for name in os.environ.get("KP_TIMM_MODELS", "").split(",") if name.strip()]


def backbone(model, **options):
    options = {"channels": 16, "refinements": 1, "neck": "fpn", **options}
    return TimmBackbone(**TimmBackbone.Config(model=model, **options).model_dump())


def fitting(model, **options):
    """A backbone and a small input that it takes; a network that is built for one size is built for that."""
    made = backbone(model, **options)
    takes = made.check_size(64, 64)
    if takes is None:
        return made, 64
    if "backbone.size" not in takes:
        return made, next(side for side in range(64, 1024, 2) if made.check_size(side, side) is None)
    for side in (64, 112, 224):
        with suppress(KpError):
            return backbone(model, size=side, **options), side
    raise AssertionError(f"{model} takes none of the sizes that are tried")


def strategy(kind):
    return kind(**kind.Config().model_dump())


def trained(network, plan, made, codec, skeleton, size):
    """Take one step; the loss must be a number."""
    stepper = Stepper(Learner(network, plan, None, made, codec, skeleton, CPU), AdamW(name="adamw"))
    stepper.start_epoch(0)
    stepper.set_rate(1.0)
    loss = stepper.step(random_batch(2, size, skeleton))
    assert torch.isfinite(loss)
    return float(loss)


def check_all_modes(model, figure, codec, **options):
    """S1, then every mode from it: a real step each, what is frozen stays to the bit, what trains moves.

    Return a line of the table: family, network, its parameters in millions, input side, and every mode's loss.
    """
    made, size = fitting(model, **options)
    split = KeypointSplit("s", (Step(figure.select(["head", "hand"])), Step(figure.select(["hip", "hand", "foot"]))))
    first = Layout((split.source,) * STAGES[0])
    source = build_network(made, codec, first, seed=0, resolution=size)
    source_spec = describe(made, codec, first)
    trained(source, TransferPlan(fresh_origins(source_spec), first.heads), made, codec, figure, size)
    line = [family(model), model, f"{millions(source.stem.encoder):.1f}", str(size)]
    for kind in (Transfer, Frozen, Random):
        mode = strategy(kind)
        layout = mode.layout(split, 1, STAGES)
        network, spec = build_network(made, codec, layout, seed=1, resolution=size), describe(made, codec, layout)
        sources = [(source_spec, source.state_dict())] if mode.needs(split, 1) else []
        plan = mode.plan(split, 1, spec, [one for one, _ in sources])
        execute(plan, network, spec, sources, made.pretrained())
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        line.append(f"{trained(network, plan, made, codec, figure, size):.2f}")
        moved = {
            spec.tensors[n].unit for n, tensor in network.state_dict().items() if not torch.equal(tensor, before[n])
        }
        assert not moved & plan.frozen, kind.__name__
        assert moved == set(spec.units) - plan.frozen, kind.__name__
        with torch.no_grad():
            shape = network.eval()(torch.zeros(1, 3, size, size))[-1].shape
        assert shape == (1, len(split.target), size // 4, size // 4)
    return line


def family(model):
    """timm's file that the network is defined in."""
    return timm.model_entrypoint(model.partition(".")[0]).__module__.rpartition(".")[2]


def millions(module):
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.fixture(scope="module")
def table():
    """Lines to write to KP_TIMM_TABLE at the end, where that is set."""
    lines = []
    yield lines
    if file := os.environ.get("KP_TIMM_TABLE"):
        head = ["Family", "Network", "Parameters (M)", "Input", *("Transfer", "Frozen", "Random")]
        rows = [head, ["---"] * len(head), *sorted(lines)]
        Path(file).write_text("".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")


@pytest.fixture
def codec(make_codec):
    return make_codec(loss="cross_entropy", sigma=1.0)


@pytest.mark.parametrize("model", QUICK)
def test_a_network_trains_in_every_mode(model, figure, codec, table):
    table.append(check_all_modes(model, figure, codec))


@pytest.mark.slow
@pytest.mark.parametrize("model", SLOW)
def test_a_larger_network_trains_in_every_mode(model, figure, codec, table):
    table.append(check_all_modes(model, figure, codec))


@pytest.mark.parametrize("model", MINE)
def test_mine(model, figure, codec, table):
    table.append(check_all_modes(model, figure, codec))


@pytest.mark.parametrize("neck", ["deconv", "fpn"])
def test_both_necks_end_at_stride_4(neck, figure, codec):
    check_all_modes("mobilenetv3_small_050", figure, codec, neck=neck)


@pytest.mark.slow
def test_patches_that_do_not_divide_by_4_are_resized(figure, codec):
    made = backbone("vit_tiny_patch16_224", size=64, neck="deconv")
    assert made.check_size(64, 64) is None
    assert "64 x 64" in made.check_size(96, 96)
    made = backbone("vit_small_patch14_dinov2", size=112, neck="fpn")
    network = build_network(made, codec, Layout((figure.select(["head"]),)), seed=0, resolution=112)
    assert network(torch.zeros(1, 3, 112, 112))[0].shape == (1, 1, 28, 28)


def test_initial_weights_depend_on_the_seed_alone(figure, codec):
    layout = Layout((figure.select(["head"]),))
    made = backbone("resnet18")
    one, same, other = (build_network(made, codec, layout, seed=seed, resolution=64) for seed in (0, 0, 1))
    states = [network.state_dict() for network in (one, same, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["stem.encoder.conv1.weight"], states[2]["stem.encoder.conv1.weight"])


def test_sizes_mean_and_std_are_the_network_s(figure):
    made = backbone("resnet18")
    assert (made.check_size(64, 96), made.check_size(60, 64)) == (None, "multiples of 32 pixels")
    assert backbone("convmixer_768_32").check_size(56, 49) == "multiples of 28 pixels"
    assert made.mean == (0.485, 0.456, 0.406)
    assert made.std == (0.229, 0.224, 0.225)
    assert made.stride == 4
    assert made.pretrained() == {}
    assert registry().component("backbone", "timm") is TimmBackbone


@pytest.mark.slow
def test_inputs_that_the_network_fails_on_are_told():
    made = backbone("inception_v3")
    assert made.check_size(64, 64) == "multiples of 32 pixels, 96 or more"
    assert made.check_size(96, 96) is None
    with pytest.raises(KpError, match=r"'nest_tiny' cannot be built for backbone.size = 60: .*; take another size"):
        backbone("nest_tiny", size=60)


def save(tensors, path):
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return str(path)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file as timm publishes them: the whole network with its classifier."""
    torch.manual_seed(7)
    state = timm.create_model("mobilenetv3_small_050").state_dict()
    return save(state, tmp_path_factory.mktemp("weights") / "model.safetensors")


def stem_weight():
    torch.manual_seed(7)
    return timm.create_model("mobilenetv3_small_050").state_dict()["conv_stem.weight"]


def test_weights_come_from_a_local_file(published, figure, codec):
    made = backbone("mobilenetv3_small_050", weights=published)
    layout = Layout((figure.select(["head"]),))
    spec = describe(made, codec, layout)
    name = "stem.encoder.conv_stem.weight"
    assert name in spec.pretrained
    assert spec.pretrained == {one for one in spec.tensors if one.startswith("stem.encoder.")}
    network = build_network(made, codec, layout, seed=0, resolution=64)
    before = network.state_dict()[name].clone()
    execute(TransferPlan(fresh_origins(spec), layout.heads), network, spec, [], made.pretrained())
    assert torch.equal(network.state_dict()[name], stem_weight())
    assert not torch.equal(before, stem_weight())


def test_a_classifier_is_neither_needed_nor_wanted(published, tmp_path):
    state = timm.create_model("mobilenetv3_small_050", num_classes=7).state_dict()
    wanted = state["conv_stem.weight"]
    for kept in (state, {name: one for name, one in state.items() if not name.startswith("classifier.")}):
        made = backbone("mobilenetv3_small_050", weights=save(kept, tmp_path / "other.safetensors"))
        assert torch.equal(made.pretrained()["stem.encoder.conv_stem.weight"], wanted)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "hrnet_w18_small"])
def test_weights_of_every_kind_of_features_load(model, tmp_path, caplog):
    """Positions are resampled to the input's size by timm; all else is the file's."""
    state = timm.create_model(model).state_dict()
    size = None if model.startswith("hrnet") else 112
    made = backbone(model, size=size, weights=save(state, tmp_path / "whole.safetensors"))
    prefix = "stem.encoder."
    loaded = {name.removeprefix(prefix): tensor for name, tensor in made.pretrained().items()}
    sums = {float(tensor.double().abs().sum()) for tensor in state.values()}
    strange = [name for name, tensor in loaded.items() if float(tensor.double().abs().sum()) not in sums]
    assert all("pos_embed" in name or "relative_position" in name for name in strange), strange
    assert not caplog.records


def refused(told, **options):
    with pytest.raises(KpError, match=told) as caught:
        backbone(**{"model": "mobilenetv3_small_050", **options}).pretrained()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_unreadable_weights_are_told(published, tmp_path):
    refused("no such weights file", weights=str(tmp_path / "none.safetensors"))
    (tmp_path / "junk.safetensors").write_bytes(b"junk" * 100)
    refused("not a readable safetensors file", weights=str(tmp_path / "junk.safetensors"))
    (tmp_path / "half.safetensors").write_bytes(Path(published).read_bytes()[:5000])
    refused("not a readable safetensors file", weights=str(tmp_path / "half.safetensors"))
    (tmp_path / "folder.safetensors").mkdir()
    refused("not a readable safetensors file", weights=str(tmp_path / "folder.safetensors"))
    refused("holds no tensor", weights=save({}, tmp_path / "empty.safetensors"))
    refused("read from .safetensors alone", weights="model.pth")
    refused("both set; drop one", weights=published, pretrained=True)


def test_weights_that_do_not_fit_are_told(published, tmp_path):
    state = timm.create_model("mobilenetv3_small_050").state_dict()
    path = tmp_path / "wrong.safetensors"
    refused("not the weights of timm network 'resnet18': Missing key", model="resnet18", weights=published)
    refused("not the weights .*: size mismatch for conv_stem.weight",
            weights=save({**state, "conv_stem.weight": torch.zeros(3, 3)}, path))  # fmt: skip
    refused("not the weights .*: Unexpected key.*'?strange", weights=save({**state, "strange": torch.zeros(3)}, path))
    refused("not the weights .*: Missing key", weights=save(dict(list(state.items())[1:]), path))
    refused(
        "'conv_stem.weight' holds NaN", weights=save({**state, "conv_stem.weight": torch.full((1,), torch.nan)}, path)
    )


def test_published_weights_come_from_the_hub_s_cache(published, monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *what, **_: asked.append(what) or published)
    monkeypatch.setattr(hub, "_reach", lambda _: pytest.fail("the network was asked"))
    made = backbone("mobilenetv3_small_050", pretrained=True)
    assert torch.equal(made.pretrained()["stem.encoder.conv_stem.weight"], stem_weight())
    assert asked == [("timm/mobilenetv3_small_050.lamb_in1k", "model.safetensors")]


def test_weights_that_cannot_be_had_are_told(monkeypatch):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "urlopen", offline)
    refused("cannot be had .Name or service not known.; .* give its path as 'weights'", pretrained=True)
    refused("no published weights as safetensors; give a file as 'weights'", model="gcvit_xxtiny", pretrained=True)


def test_unknown_networks_are_told():
    refused("unknown timm network 'resnet17'; did you mean", model="resnet17")
    refused("unknown timm network 'hf-hub:someone/model'", model="hf-hub:someone/model")
    refused("has no weights 'none'", model="resnet18.none")


def test_nothing_is_downloaded_unasked(monkeypatch, figure, codec):
    for place in ("timm.models._builder.load_pretrained", "huggingface_hub.hf_hub_download"):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("weights were asked for"))
    made = backbone("resnet18")
    build_network(made, codec, Layout((figure.select(["head"]),)), seed=0, resolution=64)
    assert made.pretrained() == {}
    assert np.isfinite(made.std).all()


def test_the_licence_of_published_weights_is_what_timm_states_and_of_a_file_nothing_is_known(monkeypatch):
    assert hub.licence("resnet18.tv_in1k") == "bsd-3-clause (timm/resnet18.tv_in1k, as timm states it)"
    assert hub.licence("no_such_network") == ""
    options = {"model": "resnet18.tv_in1k", "neck": "fpn", "channels": 8, "refinements": 1, "size": None}
    assert TimmBackbone(**options, pretrained=True, weights=None).terms == hub.licence("resnet18.tv_in1k")
    assert TimmBackbone(**options, pretrained=False, weights=None).terms == ""
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: timm.models.PretrainedCfg())
    assert hub.licence("resnet18") == ""
