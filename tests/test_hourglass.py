"""Newell's stacked hourglass: parameter counts, multiply-adds, shapes and structure."""

import pytest
import torch
from kp_hourglass.hourglass import Hourglass, Residual, StackedHourglass
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kpcore.keypoints import Keypoint, Skeleton
from kpcore.network import Junction, Network, describe, parameters_of
from kpcore.plans import Layout

NEWELL = StackedHourglass(**StackedHourglass.Config().model_dump())


def layout(stacks, keypoints):
    skeleton = Skeleton("numbered", tuple(Keypoint(f"point{index}") for index in range(keypoints)))
    return Layout((skeleton.all(),) * stacks)


def on_paper(codec, stacks, keypoints):
    """The network without memory: shapes only."""
    with torch.device("meta"):
        return Network(NEWELL, codec, layout(stacks, keypoints))


@pytest.mark.parametrize(
    ("stacks", "keypoints", "parameters"),
    [
        (1, 16, 3_426_448),
        (2, 16, 6_570_400),
        (4, 16, 12_858_304),
        (8, 16, 25_434_112),
        (1, 8, 3_424_392),
        (2, 8, 6_564_240),
        (4, 8, 12_843_936),
        (8, 8, 25_403_328),
    ],
)
def test_parameter_counts_are_newells(codec, stacks, keypoints, parameters):
    assert parameters_of(describe(NEWELL, codec, layout(stacks, keypoints))) == parameters
    assert sum(one.numel() for one in on_paper(codec, stacks, keypoints).parameters()) == parameters


@pytest.mark.parametrize(("stacks", "giga"), [(1, 5.15), (2, 8.33)])
def test_multiply_adds_are_newells(codec, stacks, giga):
    with FlopCounterMode(display=False) as counter:
        predictions = on_paper(codec, stacks, 16)(torch.empty(1, 3, 256, 256, device="meta"))
    assert round(counter.get_total_flops() / 2e9, 2) == giga
    assert [tuple(prediction.shape) for prediction in predictions] == [(1, 16, 64, 64)] * stacks


def test_a_step_of_the_stem_halves_and_widens_as_newells_does():
    shapes = []
    x = torch.empty(1, 3, 256, 256, device="meta")
    with torch.device("meta"):
        stem = NEWELL.stem()
    for part in stem:
        x = part(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(64, 128, 128)] * 3 + [(128, 128, 128), (128, 64, 64), (128, 64, 64), (256, 64, 64)]
    assert NEWELL.stride == 4
    assert NEWELL.channels == 256


def test_input_is_taken_as_it_is():
    assert NEWELL.mean == (0, 0, 0)
    assert NEWELL.std == (1, 1, 1)


def test_every_convolution_has_a_bias(codec):
    convolutions = [module for module in on_paper(codec, 2, 16).modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) > 100
    assert all(convolution.bias is not None for convolution in convolutions)


def test_a_residual_is_a_bottleneck_that_is_activated_first():
    block = Residual(64, 128).eval()
    assert [tuple(one.weight.shape) for one in (block.conv1, block.conv2, block.conv3)] == [
        (64, 64, 1, 1),
        (64, 64, 3, 3),
        (128, 64, 1, 1),
    ]
    assert tuple(block.skip.weight.shape) == (128, 64, 1, 1)
    assert isinstance(Residual(64, 64).skip, nn.Identity)
    # Activated first: where BN's output is negative everywhere, only the skip and the last bias depend on nothing else.
    with torch.no_grad():
        block.norm3.weight.zero_()
        block.norm3.bias.fill_(-1)
        x = torch.randn(1, 64, 4, 4)
        torch.testing.assert_close(block(x), block.skip(x) + block.conv3.bias[:, None, None])


def test_a_residual_leaves_its_input_alone():
    x = torch.randn(1, 8, 4, 4)
    before = x.clone()
    Residual(8, 8)(x)
    assert torch.equal(x, before)


def test_an_hourglass_adds_the_upsampled_lower_half_to_its_skip():
    hourglass = Hourglass(1, 8, 1).eval()
    x = torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        low = hourglass.after(hourglass.inner(hourglass.before(torch.max_pool2d(x, 2))))
        nearest = low.repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(hourglass(x), hourglass.up(x) + nearest)


def test_the_junction_of_8_keypoints_has_68096_weights(codec):
    assert sum(parameter.numel() for parameter in Junction(256, 8).parameters()) == 68_096
    spec = describe(NEWELL, codec, layout(2, 8))
    junction = [tensor for tensor in spec.tensors.values() if tensor.unit == "junction0"]
    assert sum(torch.Size(tensor.shape).numel() for tensor in junction) == 68_096


def test_there_is_no_junction_behind_the_last_stack(codec):
    units = describe(NEWELL, codec, layout(4, 8)).units
    assert [unit for unit in units if unit.startswith("junction")] == ["junction0", "junction1", "junction2"]


def test_a_narrow_network_predicts_at_a_quarter_of_the_input(codec):
    backbone = StackedHourglass(channels=8, depth=2, modules=2)
    network = Network(backbone, codec, layout(2, 3)).eval()
    predictions = network(torch.rand(2, 3, 64, 96))
    assert [tuple(prediction.shape) for prediction in predictions] == [(2, 3, 16, 24)] * 2


@pytest.mark.parametrize(
    ("depth", "height", "width", "message"),
    [
        (4, 256, 256, None),
        (4, 64, 192, None),
        (4, 96, 64, "multiples of 64 pixels (depth 4)"),
        (4, 64, 96, "multiples of 64 pixels (depth 4)"),
        (1, 32, 40, None),
        (1, 36, 40, "multiples of 8 pixels (depth 1)"),
    ],
)
def test_check_size_says_what_sizes_are_taken(depth, height, width, message):
    assert StackedHourglass(channels=8, depth=depth, modules=1).check_size(height, width) == message
