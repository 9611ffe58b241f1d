"""Weights: fingerprints, safetensors files, restoring, and the proof that frozen units do not move."""

import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kp_modes.transfer import Transfer
from torch import nn

from kpcore.config import AdamW, Augmentation, Muon, RMSprop
from kpcore.data.batches import TrainingStream
from kpcore.data.sampling import CpuSampler
from kpcore.errors import KpError
from kpcore.keypoints import KeypointSplit, Step
from kpcore.network import Network, build_network, describe
from kpcore.plans import (
    KeypointAxis,
    Layout,
    NetworkSpec,
    Origin,
    TensorSpec,
    Thaw,
    TransferPlan,
    fresh_origins,
)
from kpcore.training.device import Device
from kpcore.training.step import Learner, Stepper
from kpcore.weights import (
    execute,
    fingerprint,
    freeze,
    load_weights,
    plan_record,
    restore,
    save_weights,
    set_training,
)


@pytest.fixture
def layout(figure):
    return Layout((figure.select(["hand"]), figure.select(["foot"])))


@pytest.fixture
def network(narrow, codec, layout):
    return build_network(narrow, codec, layout, seed=0, resolution=32)


STATE = {
    "stem.weight": torch.arange(6.0).view(2, 3),
    "stem.count": torch.tensor(3),
    "head0.bias": torch.tensor([1.0, -0.0]),
}


def changed(**tensors):
    return STATE | {name.replace("__", "."): tensor for name, tensor in tensors.items()}


def test_a_fingerprint_is_a_sha256_that_knows_nothing_of_order_or_memory_layout():
    strided = torch.arange(6.0).view(2, 3).t().contiguous().t()
    assert len(fingerprint(STATE)) == 64
    assert fingerprint(dict(reversed(STATE.items()))) == fingerprint(STATE)
    assert fingerprint(changed(stem__weight=strided)) == fingerprint(STATE)


@given(place=st.integers(0, 5), bit=st.integers(0, 31))
def test_a_fingerprint_changes_with_any_bit(place, bit):
    weight = STATE["stem.weight"].clone()
    weight.view(-1).view(torch.int32)[place] ^= -(2**31) if bit == 31 else 2**bit
    assert fingerprint(changed(stem__weight=weight)) != fingerprint(STATE)


@pytest.mark.parametrize(
    "other",
    [
        changed(stem__count=torch.tensor(4)),
        changed(head0__bias=torch.tensor([1.0, 0.0])),  # 0.0 and -0.0 are equal, but not the same bytes
        changed(stem__weight=torch.arange(6.0).view(3, 2)),
        changed(stem__count=torch.tensor(3, dtype=torch.int32)),
        changed(another=torch.zeros(0)),
        {name.replace("head0", "head1"): tensor for name, tensor in STATE.items()},
    ],
    ids=["buffer", "sign of zero", "shape", "type", "one more", "name"],
)
def test_a_fingerprint_changes_with_names_shapes_types_and_bytes(other):
    assert fingerprint(other) != fingerprint(STATE)


def test_a_fingerprint_of_units_sees_these_units_only(network):
    before = fingerprint(network.state_dict(), ["stem", "stage0"])
    with torch.no_grad():
        network.head0.bias.add_(1)
    assert fingerprint(network.state_dict(), ["stem", "stage0"]) == before
    with torch.no_grad():
        network.stem[1].running_mean.add_(1)
    assert fingerprint(network.state_dict(), ["stem", "stage0"]) != before


def test_a_unit_is_its_whole_name_not_a_prefix():
    state = {"stage1.w": torch.ones(1), "stage10.w": torch.ones(1)}
    assert fingerprint(state, ["stage1"]) == fingerprint({"stage1.w": torch.ones(1)})


def test_files_give_back_every_tensor_bit_by_bit(network, tmp_path):
    network.to(memory_format=torch.channels_last)
    path = tmp_path / "weights.safetensors"
    save_weights(path, network, {"job": "0"})
    loaded = load_weights(path)
    assert loaded.keys() == network.state_dict().keys()
    assert fingerprint(loaded) == fingerprint(network.state_dict())
    assert [item.name for item in tmp_path.iterdir()] == ["weights.safetensors"]


def test_a_file_is_replaced(network, narrow, codec, layout, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, network, {})
    other = build_network(narrow, codec, layout, seed=1, resolution=32)
    save_weights(path, other, {})
    assert fingerprint(load_weights(path)) == fingerprint(other.state_dict())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(KpError, match=r"none\.safetensors: no such weights file"):
        load_weights(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 7, 40, -1])
def test_a_truncated_file_is_refused(network, tmp_path, keep):
    path = tmp_path / "weights.safetensors"
    save_weights(path, network, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(KpError, match=r"weights\.safetensors: not a readable safetensors file"):
        load_weights(path)


class Trap:
    """Unpickling it would call ``open(...)``."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_pickle_by_another_name_is_refused_and_not_run(tmp_path, write):
    path, sprung = tmp_path / "weights.safetensors", tmp_path / "sprung"
    with path.open("wb") as file:
        write(Trap(sprung), file)
    with pytest.raises(KpError, match="not a readable safetensors file"):
        load_weights(path)
    assert not sprung.exists()


def test_a_folder_is_not_a_weights_file(tmp_path):
    with pytest.raises(KpError, match="not a readable safetensors file"):
        load_weights(tmp_path)


def test_restoring_takes_over_every_tensor(network, narrow, codec, layout):
    other = build_network(narrow, codec, layout, seed=1, resolution=32)
    restore(other, network.state_dict(), "test")
    assert fingerprint(other.state_dict()) == fingerprint(network.state_dict())


@pytest.mark.parametrize(
    ("name", "value"),
    [("head0.bias", None), ("head9.bias", torch.zeros(2)), ("head0.bias", torch.zeros(1))],
    ids=["missing", "unexpected", "shape"],
)
def test_restoring_refuses_what_does_not_fit_and_leaves_the_network_alone(network, name, value):
    before = fingerprint(network.state_dict())
    state = {key: torch.zeros_like(tensor) for key, tensor in network.state_dict().items()}
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(KpError, match=f"some/file: does not fit the network: '{name}'"):
        restore(network, state, "some/file")
    assert fingerprint(network.state_dict()) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("head0.bias", None), ("head9.bias", torch.zeros(2)), ("head0.bias", torch.zeros(1))],
    ids=["missing", "unexpected", "shape that would broadcast"],
)
def test_a_plan_is_not_carried_out_from_weights_that_are_not_the_sources(name, value, grown, network_of_hands):
    mode, split, source, target = grown
    state = dict(network_of_hands.state_dict())
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(KpError, match=f"source 0: .*'{name}'"):
        execute(mode.plan(split, 1, target, [source]), network_of_hands, target, [(source, state)], {})


@pytest.fixture
def grown(figure, narrow, codec):
    """Fine-tuning of two stages on the same set: source and target are alike."""
    hands = figure.select(["hand"])
    split = KeypointSplit("self", (Step(hands), Step(hands)))
    spec = describe(narrow, codec, Layout((hands, hands)))
    return Transfer(supervision="s2", heads="by_name"), split, spec, spec


@pytest.fixture
def network_of_hands(figure, narrow, codec):
    hands = figure.select(["hand"])
    return build_network(narrow, codec, Layout((hands, hands)), seed=0, resolution=32)


def test_pretrained_weights_of_another_shape_are_refused(network, narrow, codec, layout):
    spec = describe(narrow, codec, layout)
    spec = type(spec)(spec.layout, spec.tensors, frozenset({"stem.0.bias"}))
    plan = TransferPlan(fresh_origins(spec), supervision=layout.heads)
    execute(plan, network, spec, [], {"stem.0.bias": torch.full((2,), 9.0)})
    assert network.stem[0].bias.tolist() == [9, 9]
    with pytest.raises(KpError, match=r"pretrained weights: 'stem\.0\.bias' is \(1,\), the network has \(2,\)"):
        execute(plan, network, spec, [], {"stem.0.bias": torch.zeros(1)})


def norms(unit):
    return [module for module in unit.modules() if isinstance(module, nn.BatchNorm2d)]


def test_frozen_units_stay_in_evaluation_mode_and_the_others_train(network):
    network.eval()
    set_training(network, {"stem", "stage0"}, "eval")
    assert not any(module.training for module in (*network.stem.modules(), *network.stage0.modules()))
    assert all(module.training for module in (*network.stage1.modules(), *network.head0.modules()))


def test_frozen_norm_train_lets_batch_norm_move_and_nothing_else(network):
    network.stage0.append(nn.Dropout())
    set_training(network, {"stem", "stage0"}, "train")
    assert all(norm.training for norm in norms(network.stage0))
    assert not network.stage0[-1].training
    before = [norm.running_mean.clone() for norm in norms(network.stem)]
    network(torch.rand(2, 3, 32, 32))
    assert not any(torch.equal(a, b.running_mean) for a, b in zip(before, norms(network.stem), strict=True))


def test_units_thaw_in_their_epoch(network, narrow, codec, layout):
    spec = describe(narrow, codec, layout)
    plan = TransferPlan(
        fresh_origins(spec),
        layout.heads,
        frozen=frozenset({"stem", "stage0", "head0"}),
        thaws=(Thaw(2, ("head0",)), Thaw(4, ("stem",))),
    )
    frozen = {epoch: freeze(plan, network, epoch=epoch) for epoch in range(6)}
    assert frozen[0] == frozen[1] == {"stem", "stage0", "head0"}
    assert frozen[2] == frozen[3] == {"stem", "stage0"}
    assert frozen[4] == frozen[5] == {"stage0"}
    assert {name.partition(".")[0] for name, one in network.named_parameters() if not one.requires_grad} == {"stage0"}


FROZEN_UNITS = frozenset({"stem", "stage0", "head0"})


@pytest.fixture
def train(network, narrow, codec, layout, dots_store):
    """Take real steps with the first stage frozen; return its hash before and after, and that of the rest."""

    def run(optimizer, frozen_norm="eval", steps=3):
        plan = TransferPlan(
            fresh_origins(describe(narrow, codec, layout)),
            supervision=(None, layout.heads[1]),
            frozen=FROZEN_UNITS,
            frozen_norm=frozen_norm,
        )
        stream = TrainingStream(CpuSampler(dots_store["train"]), range(32), Augmentation(), seed=0, batch_size=4)
        stepper = Stepper(
            Learner(
                network, plan, None, narrow, codec, layout.heads[0].skeleton, Device(torch.device("cpu"), "fp32", 1)
            ),
            optimizer,
        )
        rest = {name for name, _ in network.units()} - FROZEN_UNITS
        before = fingerprint(network.state_dict(), FROZEN_UNITS), fingerprint(network.state_dict(), rest)
        stepper.start_epoch(0)
        for iteration in range(steps):
            stepper.step(stream.batch(iteration))
        after = fingerprint(network.state_dict(), FROZEN_UNITS), fingerprint(network.state_dict(), rest)
        return before, after

    return run


@pytest.mark.parametrize(("kind", "name"), [(RMSprop, "rmsprop"), (AdamW, "adamw"), (Muon, "muon")])
def test_frozen_units_do_not_move_under_weight_decay_and_momentum(train, kind, name):
    before, after = train(kind(name=name, learning_rate=0.01, weight_decay=0.1))
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_frozen_norm_train_moves_buffers_and_the_hash_says_so(train, network):
    parameters = {name: one.clone() for name, one in network.named_parameters()}
    before, after = train(RMSprop(learning_rate=0.01, weight_decay=0.1), frozen_norm="train")
    assert after[0] != before[0]
    for name, one in network.named_parameters():
        if name.partition(".")[0] in FROZEN_UNITS:
            assert torch.equal(one, parameters[name])


def test_the_record_of_a_plan_says_of_every_tensor_whether_it_trains(narrow, codec, layout):
    spec = describe(narrow, codec, layout)
    plan = TransferPlan(fresh_origins(spec), layout.heads, frozen=frozenset({"stem"}))
    tensors = plan_record(plan, spec)["tensors"]
    assert list(tensors) == list(spec.tensors)
    trained = {spec.tensors[name].unit for name, record in tensors.items() if record["trains"]}
    assert trained == {"stage0", "head0", "junction0", "stage1", "head1"}
    statistics = [name for name, one in spec.tensors.items() if not one.trainable]
    assert any(name.startswith("stage") for name in statistics)
    assert not any(tensors[name]["trains"] for name in statistics)


def test_every_tensor_belongs_to_one_unit(narrow, codec, layout):
    network = Network(narrow, codec, layout)
    assert {name.partition(".")[0] for name in network.state_dict()} == {name for name, _ in network.units()}


def test_a_plan_is_verified_before_anything_is_copied(grown, network_of_hands):
    mode, split, source, target = grown
    before = fingerprint(network_of_hands.state_dict())
    other = {name: tensor + 1 for name, tensor in network_of_hands.state_dict().items()}
    plan = mode.plan(split, 1, target, [source])
    short = dict(plan.origins)
    del short["head1.bias"]
    with pytest.raises(KpError, match=r"no origin for tensor 'head1\.bias'"):
        execute(replace(plan, origins=short), network_of_hands, target, [(source, other)], {})
    assert fingerprint(network_of_hands.state_dict()) == before


def test_a_plan_freezes_what_it_freezes_when_it_is_carried_out(grown, network_of_hands):
    mode, split, source, target = grown
    plan = replace(mode.plan(split, 1, target, [source]), frozen=frozenset({"stem", "head1"}))
    execute(plan, network_of_hands, target, [(source, network_of_hands.state_dict())], {})
    free = {name.partition(".")[0] for name, one in network_of_hands.named_parameters() if one.requires_grad}
    assert free == {"stage0", "head0", "junction0", "stage1"}


def test_keypoints_are_copied_by_name_and_begin_as_the_mean_of_their_stand_ins(narrow, codec, figure):
    """Whatever the order of the sets; what has neither stays as it was drawn."""
    before, after = figure.select(["head", "l_hand", "r_hand"]), figure.select(["l_foot", "hip", "r_hand", "head"])
    source, target = (describe(narrow, codec, Layout((one,))) for one in (before, after))
    networks = [build_network(narrow, codec, one.layout, seed=seed, resolution=32)
                for seed, one in enumerate((source, target))]  # fmt: skip
    state = networks[0].state_dict()
    drawn = networks[1].state_dict()["head0.weight"].clone()
    sliced = {
        name: Origin("sliced", tensor=name, keypoints=("r_hand",), stand_ins=(("l_foot", ("head", "l_hand")),))
        for name in ("head0.weight", "head0.bias")
    }
    loaded = {name: Origin("loaded", tensor=name) for name in target.tensors if not name.startswith("head0")}
    plan = TransferPlan({**loaded, **sliced}, supervision=(after,))
    execute(plan, networks[1], target, [(source, state)], {})
    found = networks[1].state_dict()
    there = {name: state["head0.weight"][place] for place, name in enumerate(before.names)}
    here = {name: found["head0.weight"][place] for place, name in enumerate(after.names)}
    assert torch.equal(here["r_hand"], there["r_hand"])
    torch.testing.assert_close(here["l_foot"], (there["head"] + there["l_hand"]) / 2)
    for name in ("hip", "head"):
        assert torch.equal(here[name], drawn[after.names.index(name)])
    assert all(torch.equal(found[name], state[name]) for name in loaded)


def test_the_record_of_a_plan_says_all_of_it(figure):
    """Written out: a tensor of every kind, and everything else that a plan may hold."""
    hands, feet = figure.select(["hand"]), figure.select(["l_foot", "r_foot"])
    tensors = {
        "stem.weight": TensorSpec((4, 3), "stem", True),
        "stem.running_mean": TensorSpec((4,), "stem", False),
        "stage0.weight": TensorSpec((4, 4), "stage0", True),
        "head0.weight": TensorSpec((2, 4), "head0", True, keypoint_axis=KeypointAxis(0, hands.names, 1)),
    }
    plan = TransferPlan(
        origins={
            "stem.weight": Origin("pretrained"),
            "stem.running_mean": Origin("new"),
            "stage0.weight": Origin("loaded", source=1, tensor="stage1.weight"),
            "head0.weight": Origin(
                "sliced", tensor="head1.weight", keypoints=("r_hand",), stand_ins=(("l_hand", ("r_hand", "head")),)
            ),
        },
        supervision=(None, feet),
        frozen=frozenset({"stem", "stage0"}),
        dropped=((1, "head0.bias"),),
        frozen_norm="train",
        learning_rates={"head0": 2.0},
        thaws=(Thaw(3, ("stage0",)),),
        extra_loss=lambda outputs, batch, network, teacher: 0.0,
    )
    assert plan_record(plan, NetworkSpec(Layout((hands, feet)), tensors)) == {
        "tensors": {
            "stem.weight": {"origin": "pretrained", "trains": False},
            "stem.running_mean": {"origin": "new", "trains": False},
            "stage0.weight": {"origin": "loaded", "trains": True, "source": 1, "tensor": "stage1.weight"},
            "head0.weight": {
                "origin": "sliced", "trains": True, "source": 0, "tensor": "head1.weight", "keypoints": ["r_hand"],
                "stand_ins": {"l_hand": ["r_hand", "head"]},
            },
        },
        "heads": [["r_hand", "l_hand"], ["l_foot", "r_foot"]],
        "supervision": [None, ["l_foot", "r_foot"]],
        "frozen": ["stage0", "stem"],
        "frozen_norm": "train",
        "dropped": [{"source": 1, "tensor": "head0.bias"}],
        "learning_rates": {"head0": 2.0},
        "thaws": [{"epoch": 3, "units": ["stage0"]}],
        "extra_loss": True,
    }  # fmt: skip
    assert not plan_record(replace(plan, extra_loss=None), NetworkSpec(Layout((hands,)), tensors))["extra_loss"]
