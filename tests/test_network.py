"""Network assembly: units, specs, keypoint axes, seeds."""

import pytest
import torch

from kpcore.errors import KpError
from kpcore.network import build_network, describe, parameters_of, spec_of
from kpcore.plans import KeypointAxis, Layout
from kpcore.weights import fingerprint


@pytest.fixture
def layout(figure):
    """Three stages, each with its own keypoints."""
    return Layout(
        (figure.select(["hand", "foot"]), figure.select(["foot", "head"]), figure.select(["hip"])),
    )


@pytest.fixture
def build(narrow, codec):
    return lambda layout, seed=0, resolution=32: build_network(
        narrow, codec, layout, seed=seed, resolution=resolution
    )  # fmt: skip


UNITS = ("stem", "stage0", "head0", "junction0", "stage1", "head1", "junction1", "stage2", "head2")


def test_units_are_named_by_their_place(build, layout, narrow, codec):
    assert {name for name, _ in build(layout).units()} == set(UNITS)
    assert describe(narrow, codec, layout).units == UNITS


def test_a_spec_is_that_of_the_network(build, layout, narrow, codec):
    network = build(layout)
    spec = describe(narrow, codec, layout)
    assert spec == spec_of(network, codec)
    assert spec.tensors.keys() == network.state_dict().keys()
    assert spec.stages == 3
    assert parameters_of(spec) == sum(parameter.numel() for parameter in network.parameters())


def test_buffers_are_in_the_spec_but_do_not_train(narrow, codec, layout):
    tensors = describe(narrow, codec, layout).tensors
    assert not tensors["stem.1.running_mean"].trainable
    assert not tensors["stem.1.num_batches_tracked"].trainable
    assert tensors["stem.1.weight"].trainable


def test_describing_leaves_the_random_state_alone(narrow, codec, layout):
    before = torch.get_rng_state()
    describe(narrow, codec, layout)
    assert torch.equal(torch.get_rng_state(), before)


def test_heads_and_prediction_branches_have_a_keypoint_axis(narrow, codec, layout):
    tensors = describe(narrow, codec, layout).tensors
    hands_and_feet = ("r_hand", "l_hand", "l_foot", "r_foot")
    laid_out = {name: spec.keypoint_axis for name, spec in tensors.items() if spec.keypoint_axis}
    assert laid_out == {
        "head0.weight": KeypointAxis(0, hands_and_feet, 1),
        "head0.bias": KeypointAxis(0, hands_and_feet, 1),
        "junction0.predictions.weight": KeypointAxis(1, hands_and_feet, 1),
        "head1.weight": KeypointAxis(0, ("l_foot", "r_foot", "head"), 1),
        "head1.bias": KeypointAxis(0, ("l_foot", "r_foot", "head"), 1),
        "junction1.predictions.weight": KeypointAxis(1, ("l_foot", "r_foot", "head"), 1),
        "head2.weight": KeypointAxis(0, ("hip",), 1),
        "head2.bias": KeypointAxis(0, ("hip",), 1),
    }
    for name, axis in laid_out.items():
        assert tensors[name].shape[axis.axis] == len(axis.keypoints) * axis.width


def test_the_branches_of_a_junction_are_told_apart(narrow, codec, layout):
    tensors = describe(narrow, codec, layout).tensors
    parts = {name: spec.part for name, spec in tensors.items() if spec.part}
    assert parts == {
        f"junction{index}.{part}.{kind}": part
        for index in (0, 1)
        for part in ("features", "predictions")
        for kind in ("weight", "bias")
    }


def test_every_stage_predicts_its_own_keypoints(build, layout):
    predictions = build(layout)(torch.rand(2, 3, 32, 64))
    assert [tuple(prediction.shape) for prediction in predictions] == [(2, 4, 8, 16), (2, 3, 8, 16), (2, 1, 8, 16)]


def test_a_junction_feeds_the_next_stage_and_only_that(build, layout):
    network = build(layout).eval()
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        before = network(images)
        network.junction1.predictions.weight.add_(1.0)
        after = network(images)
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, True, False]


def test_the_forward_pass_is_the_one_that_the_interface_states(build, layout):
    network = build(layout).eval()
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        x = network.stem(images)
        expected = []
        for index in range(3):
            features = network.get_submodule(f"stage{index}")(x)
            expected.append(network.get_submodule(f"head{index}")(features))
            if index < 2:
                junction = network.get_submodule(f"junction{index}")
                x = x + junction.features(features) + junction.predictions(expected[-1])
        for mine, theirs in zip(network(images), expected, strict=True):
            torch.testing.assert_close(mine, theirs)


def test_initial_weights_depend_on_the_seed_alone(build, layout):
    torch.manual_seed(1)
    first = fingerprint(build(layout, seed=7).state_dict())
    torch.manual_seed(2)
    assert fingerprint(build(layout, seed=7).state_dict()) == first
    assert fingerprint(build(layout, seed=8).state_dict()) != first


def test_another_seed_draws_every_weight_anew(build, layout):
    one, other = build(layout, seed=0), build(layout, seed=1)
    same = [
        name
        for (name, mine), theirs in zip(one.named_parameters(), other.parameters(), strict=True)
        if mine.ndim > 1 and torch.equal(mine, theirs)
    ]
    assert not same


def test_building_leaves_the_random_state_alone(build, layout):
    before = torch.get_rng_state()
    build(layout, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_resolution_that_the_backbone_does_not_take_is_refused(build, layout):
    with pytest.raises(KpError, match=r"training\.resolution = 36: .*multiples of 8 pixels"):
        build(layout, resolution=36)
