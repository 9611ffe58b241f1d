"""timm's networks as backbones: every mode takes a real step with each, and weights come from where they are said to.

To try networks of your own: KP_TIMM_MODELS="resnet50d,vit_small_patch14_dinov2" pytest tests/test_kp_timm.py -k mine
"""

import os
from contextlib import suppress

import numpy as np
import pytest
import timm
import torch
from kp_modes.frozen import Frozen
from kp_modes.random import Random
from kp_modes.transfer import Transfer
from kp_timm.backbone import TimmBackbone
from safetensors.torch import save_file

from kpcore.config import Optimizer
from kpcore.errors import KpError
from kpcore.keypoints import KeypointSplit, Step
from kpcore.network import build_network, describe
from kpcore.plans import Layout, TransferPlan, fresh_origins
from kpcore.registry import registry
from kpcore.study.estimate import random_batch
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
    stepper = Stepper(Learner(network, plan, None, made, codec, skeleton, CPU), Optimizer(name="adamw"))
    stepper.start_epoch(0)
    stepper.set_rate(1.0)
    loss = stepper.step(random_batch(2, size, skeleton))
    assert torch.isfinite(loss)


def check_all_modes(model, figure, codec, **options):
    """S1, then every mode from it: a real step each, what is frozen stays to the bit, what trains moves."""
    made, size = fitting(model, **options)
    split = KeypointSplit("s", (Step(figure.select(["head", "hand"])), Step(figure.select(["hip", "hand", "foot"]))))
    first = Layout((split.source,) * STAGES[0])
    source = build_network(made, codec, first, seed=0, resolution=size)
    source_spec = describe(made, codec, first)
    trained(source, TransferPlan(fresh_origins(source_spec), first.heads), made, codec, figure, size)
    for kind in (Transfer, Frozen, Random):
        mode = strategy(kind)
        layout = mode.layout(split, 1, STAGES)
        network, spec = build_network(made, codec, layout, seed=1, resolution=size), describe(made, codec, layout)
        sources = [(source_spec, source.state_dict())] if mode.needs(split, 1) else []
        plan = mode.plan(split, 1, spec, [one for one, _ in sources])
        execute(plan, network, spec, sources, made.pretrained())
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        trained(network, plan, made, codec, figure, size)
        moved = {
            spec.tensors[n].unit for n, tensor in network.state_dict().items() if not torch.equal(tensor, before[n])
        }
        assert not moved & plan.frozen, kind.__name__
        assert moved == set(spec.units) - plan.frozen, kind.__name__
        with torch.no_grad():
            shape = network.eval()(torch.zeros(1, 3, size, size))[-1].shape
        assert shape == (1, len(split.target), size // 4, size // 4)


@pytest.fixture
def codec(make_codec):
    return make_codec(loss="cross_entropy", sigma=1.0)


@pytest.mark.parametrize("model", QUICK)
def test_a_network_trains_in_every_mode(model, figure, codec):
    check_all_modes(model, figure, codec)


@pytest.mark.slow
@pytest.mark.parametrize("model", SLOW)
def test_a_larger_network_trains_in_every_mode(model, figure, codec):
    check_all_modes(model, figure, codec)


@pytest.mark.parametrize("model", MINE)
def test_mine(model, figure, codec):
    check_all_modes(model, figure, codec)


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
    assert made.mean == (0.485, 0.456, 0.406)
    assert made.stride == 4
    assert made.pretrained() == {}
    assert registry().component("backbone", "timm") is TimmBackbone


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file as timm publishes them: the whole network with its classifier."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(timm.create_model("mobilenetv3_small_050").state_dict(), path)
    return path


def test_weights_come_from_a_local_file(published, figure, codec):
    made = backbone("mobilenetv3_small_050", weights=str(published))
    layout = Layout((figure.select(["head"]),))
    spec = describe(made, codec, layout)
    assert "stem.encoder.conv_stem.weight" in spec.pretrained
    assert not [name for name in spec.pretrained if not name.startswith("stem.encoder.")]
    network = build_network(made, codec, layout, seed=0, resolution=64)
    before = network.state_dict()["stem.encoder.conv_stem.weight"].clone()
    execute(TransferPlan(fresh_origins(spec), layout.heads), network, spec, [], made.pretrained())
    torch.manual_seed(7)
    wanted = timm.create_model("mobilenetv3_small_050").state_dict()["conv_stem.weight"]
    assert torch.equal(network.state_dict()["stem.encoder.conv_stem.weight"], wanted)
    assert not torch.equal(before, wanted)


def refused(told, **options):
    with pytest.raises(KpError, match=told) as caught:
        backbone(**{"model": "mobilenetv3_small_050", **options}).pretrained()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_wrong_weights_are_told(published, tmp_path, monkeypatch):
    refused("no such weights file", weights=str(tmp_path / "none.safetensors"))
    (tmp_path / "junk.safetensors").write_bytes(b"junk" * 100)
    refused("not a readable safetensors file", weights=str(tmp_path / "junk.safetensors"))
    refused("read from .safetensors alone", weights="model.pth")
    refused("not the weights of timm network 'resnet18': '.*' is not in the", model="resnet18", weights=str(published))
    state = timm.create_model("mobilenetv3_small_050").state_dict()
    state["conv_stem.weight"] = torch.zeros(3, 3)
    save_file(state, tmp_path / "shape.safetensors")
    refused(r"'conv_stem.weight' is \(3, 3\), the network has", weights=str(tmp_path / "shape.safetensors"))
    refused("both set; drop one", weights=str(published), pretrained=True)


def test_weights_that_cannot_be_had_are_told(monkeypatch):
    def offline(*_, **__):
        raise OSError("We couldn't connect")

    monkeypatch.setattr(timm.models._builder, "load_pretrained", offline)
    refused("cannot be had .*give the path as 'weights'", pretrained=True)


def test_unknown_networks_are_told():
    refused("unknown timm network 'resnet17'; did you mean", model="resnet17")
    refused("has no weights 'none'", model="resnet18.none")


def test_nothing_is_downloaded_unasked(monkeypatch, figure, codec):
    def forbidden(*_, **__):
        raise AssertionError("weights were asked for")

    monkeypatch.setattr(timm.models._builder, "load_pretrained", forbidden)
    made = backbone("resnet18")
    build_network(made, codec, Layout((figure.select(["head"]),)), seed=0, resolution=64)
    assert made.pretrained() == {}
    assert np.isfinite(made.std).all()
