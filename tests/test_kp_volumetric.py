"""The volumetric codec: where voxels lie, targets and losses, what is read back, and a keypoint of many channels."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kp_volumetric.grid import Grid, distribution, mean, outer, peak

from kpcore.data.geometry import apply, crop_affine, invert
from kpcore.errors import KpError
from kpcore.interfaces import Targets
from kpcore.keypoints import Keypoint, KeypointSplit, Skeleton, Step
from kpcore.network import build_network, describe
from kpcore.registry import registry
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE
from kpcore.trained.evaluator import Evaluator
from kpcore.trained.predictor import unmirror
from kpcore.training.step import select_channels
from kpcore.weights import execute

STRIDE, SIZE, BINS = 4, (12, 16), 8
NAN = float("nan")
LOSSES = ("integral", "cross_entropy")
GRID = Grid(BINS, 1.0, SIZE, STRIDE)
FIGURE = Skeleton("figure", (Keypoint("r_hand", "l_hand"), Keypoint("head"), Keypoint("l_hand", "r_hand")), dims=3)


def codec(**options):
    return registry().build("codec", "volumetric", {"depth_bins": BINS, **options}, where="codec")


def at(*voxel):
    """Input pixels of a voxel (x, y, z)."""
    return tuple(GRID.to_input(torch.tensor(voxel, dtype=torch.float64)).tolist())


def encode(points, state=None, **options):
    points = torch.tensor([points], dtype=torch.float32)
    state = torch.tensor([state or [VISIBLE] * points.shape[1]])
    return codec(**options).encode(points, state, SIZE, STRIDE)


def gaussian_logits(voxels, sigma=1.0, height=1.0):
    """(1, K * Z, h, w) logits of a Gaussian around each voxel."""
    axes = [torch.arange(length, dtype=torch.float32) for length in (BINS, *SIZE)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    made = [((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (-2 * sigma**2) for a, b, c in voxels]
    return height * torch.cat(made).unsqueeze(0)


def read(prediction, **options):
    points, confidence = codec(**options).decode(prediction, STRIDE)
    return GRID.to_voxels(points), confidence


# --- the volume -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("z", "voxel"), [(0.0, 3.5), (-32.0, -0.5), (32.0, 7.5), (-28.0, 0.0), (4.0, 4.0), (28.0, 7.0)]
)
def test_eight_bins_divide_one_side_of_64_px_evenly_about_the_root(z, voxel):
    assert GRID.bin == 8
    assert GRID.to_voxels(torch.tensor([1.5, 1.5, z])).tolist() == [0, 0, voxel]


def test_the_depth_option_stretches_z_alone():
    wide = Grid(BINS, 2.0, SIZE, STRIDE)
    assert wide.to_voxels(torch.tensor([1.5, 5.5, 8.0])).tolist() == [0, 1, 4.0]


@given(
    point=st.tuples(*[st.floats(-500, 500, width=32)] * 3),
    bins=st.integers(2, 64), depth=st.floats(0.25, 4), stride=st.sampled_from([1, 2, 4, 8]),
)  # fmt: skip
def test_there_and_back_is_the_identity(point, bins, depth, stride):
    grid = Grid(bins, depth, SIZE, stride)
    there = grid.to_voxels(torch.tensor(point, dtype=torch.float64))
    np.testing.assert_allclose(grid.to_input(there), point, atol=1e-9)


def test_inside_is_up_to_half_a_voxel_from_the_outermost():
    x, y, z = GRID.shape
    edge = [(-0.5, 0, 0), (x - 0.51, 0, 0), (0, -0.5, 0), (0, y - 0.51, 0), (0, 0, -0.5), (0, 0, z - 0.51)]
    past = [(-0.51, 0, 0), (x - 0.5, 0, 0), (0, -0.51, 0), (0, y - 0.5, 0), (0, 0, -0.51), (0, 0, z - 0.5)]
    assert GRID.inside(torch.tensor(edge)).all()
    assert not GRID.inside(torch.tensor(past)).any()


def test_a_point_whose_bins_were_named_is_found_in_its_own_channels():
    """Channel k * Z + z of a prediction is bin z of keypoint k: what strategies slice."""
    prediction = torch.zeros(1, 3 * BINS, *SIZE)
    prediction[0, 2 * BINS + 5, 7, 9] = 50.0
    voxels, confidence = read(prediction)
    np.testing.assert_allclose(voxels[0, 2], [9, 7, 5], atol=1e-4)
    assert confidence[0].tolist() == pytest.approx([1 / (BINS * 12 * 16)] * 2 + [1.0], rel=1e-4)
    assert codec().channel_slice(2) == slice(2 * BINS, 3 * BINS)
    assert codec().channels(3) == 3 * BINS
    assert (codec().dims, codec().width) == (3, BINS)


# --- targets ----------------------------------------------------------------------------------------------------------


def test_integral_targets_are_shares_of_the_volume():
    targets = encode([at(-0.5, -0.5, -0.5), at(7.5, 5.5, 3.5), at(3.5, 8.5, 5.5)])
    np.testing.assert_allclose(targets.maps[0], [(0, 0, 0), (0.5, 0.5, 0.5), (0.25, 0.75, 0.75)], atol=1e-6)


@given(
    voxel=st.tuples(st.floats(-0.5, 15.25), st.floats(-0.5, 11.25), st.floats(-0.5, 7.25)),
    sigma=st.floats(0.01, 4),
)  # fmt: skip
def test_cross_entropy_targets_are_a_gaussian_of_sum_one(voxel, sigma):
    targets = encode([at(*voxel)], loss="cross_entropy", sigma=sigma)
    x, y, z = torch.split(targets.maps, [16, 12, BINS], -1)
    volume = outer(x, y, z)[0, 0]
    assert volume.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(volume).all()


def test_golden_gaussian():
    targets = encode([at(5, 6, 3)], loss="cross_entropy", sigma=1.5)
    x, y, z = torch.split(targets.maps, [16, 12, BINS], -1)
    volume = outer(x, y, z)[0, 0]
    expected = gaussian_logits([(5, 6, 3)], sigma=1.5)[0].exp()
    np.testing.assert_allclose(volume, expected / expected.sum(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
def test_unlabelled_points_and_points_outside_do_not_count(loss):
    points = [at(5, 5, 3), (NAN, NAN, NAN), at(5, 5, 3), at(-1, 5, 3), at(16, 5, 3), at(5, 12, 3), at(5, 5, 8)]
    state = [VISIBLE, UNLABELLED, HIDDEN, VISIBLE, VISIBLE, VISIBLE, VISIBLE]
    targets = encode(points, state, loss=loss)
    assert targets.weights.tolist() == [[1, 0, 1, 0, 0, 0, 0]]
    assert not targets.maps[0, 1].any()
    prediction = torch.randn(1, 7 * BINS, *SIZE, generator=torch.Generator().manual_seed(0))
    before = codec(loss=loss).loss(prediction, targets)
    for k in (1, 3, 4, 5, 6):
        prediction[:, k * BINS : (k + 1) * BINS] += 3 * torch.randn(BINS, *SIZE)
    assert codec(loss=loss).loss(prediction, targets) == before


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_labelled_is_a_loss_of_zero_with_a_graph(loss):
    prediction = torch.zeros(2, BINS, *SIZE, requires_grad=True)
    targets = codec(loss=loss).encode(torch.full((2, 1, 3), NAN), torch.zeros(2, 1, dtype=torch.int64), SIZE, STRIDE)
    found = codec(loss=loss).loss(prediction, targets)
    found.backward()
    assert found.item() == 0
    assert not prediction.grad.any()


# --- losses -----------------------------------------------------------------------------------------------------------


def test_integral_loss_is_the_mean_absolute_difference_in_shares():
    """One voxel off along x of 16, two along y of 12, none along z."""
    prediction = torch.zeros(1, BINS, *SIZE)
    prediction[0, 3, 7, 6] = 80.0
    found = codec(loss="integral").loss(prediction, encode([at(5, 5, 3)]))
    assert found.item() == pytest.approx((1 / 16 + 2 / 12) / 3, abs=1e-6)


def test_cross_entropy_is_that_of_the_whole_volume():
    generator = torch.Generator().manual_seed(3)
    prediction = torch.randn(2, 2 * BINS, *SIZE, generator=generator)
    points = torch.rand(2, 2, 3, generator=generator) * torch.tensor([60, 44, 50]) - torch.tensor([0, 0, 25.0])
    made = codec(loss="cross_entropy")
    targets = made.encode(points, torch.full((2, 2), VISIBLE), SIZE, STRIDE)
    x, y, z = torch.split(targets.maps, [16, 12, BINS], -1)
    logs = prediction.view(2, 2, BINS, *SIZE).flatten(2).log_softmax(-1).view(2, 2, BINS, *SIZE)
    expected = -(outer(x, y, z) * logs).sum((2, 3, 4)).mean()
    assert made.loss(prediction, targets).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_leads_to_the_point(loss):
    """Gradient descent on the logits themselves ends at the keypoint."""
    targets = encode([at(4.3, 8.1, 5.6)], loss=loss)
    prediction = torch.zeros(1, BINS, *SIZE, requires_grad=True)
    optimizer = torch.optim.Adam([prediction], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        codec(loss=loss).loss(prediction, targets).backward()
        optimizer.step()
    voxels, _ = read(prediction.detach())
    np.testing.assert_allclose(voxels[0, 0], [4.3, 8.1, 5.6], atol=0.15)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_loss_is_float32_whatever_the_network_computes_in(loss, dtype):
    prediction = torch.zeros(1, BINS, *SIZE, dtype=dtype)
    found = codec(loss=loss).loss(prediction, encode([at(5, 5, 3)], loss=loss))
    assert found.dtype == torch.float32
    assert codec().decode(prediction, STRIDE)[0].dtype == torch.float32


def test_targets_of_people_stack():
    made = codec()
    targets = made.encode(torch.zeros(5, 2, 3), torch.full((5, 2), VISIBLE), SIZE, STRIDE)
    assert isinstance(targets, Targets)
    assert targets.maps.shape[:2] == targets.weights.shape == (5, 2)


# --- decoding ---------------------------------------------------------------------------------------------------------


@given(voxel=st.tuples(st.floats(5, 10), st.floats(4, 7), st.floats(3, 4)))
@settings(max_examples=40)
def test_a_gaussian_within_the_volume_is_read_to_a_fraction_of_a_voxel(voxel):
    for decode in ("soft_argmax", "local"):
        voxels, _ = read(gaussian_logits([voxel], sigma=0.7), decode=decode, sigma=0.7)
        np.testing.assert_allclose(voxels[0, 0], voxel, atol=0.02)


def test_local_is_not_pulled_by_a_second_lower_peak():
    one, other = gaussian_logits([(2, 2, 1)], height=4.0), gaussian_logits([(13, 9, 6)], height=4.0)
    both = torch.logaddexp(one, other - 1.0)
    local, _ = read(both, decode="local", sigma=0.7)
    whole, _ = read(both, decode="soft_argmax")
    np.testing.assert_allclose(local[0, 0], [2, 2, 1], atol=0.1)
    assert (whole[0, 0] - torch.tensor([2, 2, 1])).norm() > 2


def test_a_flat_volume_is_its_middle_and_the_root_depth():
    points, _ = codec().decode(torch.zeros(1, BINS, *SIZE), STRIDE)
    np.testing.assert_allclose(points[0, 0], [31.5, 23.5, 0.0], atol=1e-4)


def test_peak_and_mean_agree_where_one_voxel_has_everything():
    volume = torch.full((1, 1, BINS, *SIZE), -100.0)
    volume[0, 0, 6, 2, 11] = 100.0
    shares = distribution(volume)
    assert peak(shares)[0].tolist() == [[[11, 2, 6]]]
    np.testing.assert_allclose(mean(shares), [[[11, 2, 6]]], atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@given(voxel=st.tuples(st.floats(0, 15), st.floats(0, 11), st.floats(0, 7)))
@settings(max_examples=15)
def test_shifting_all_logits_changes_nothing(loss, voxel):
    logits = gaussian_logits([voxel])
    one, other = codec(loss=loss).decode(logits, STRIDE), codec(loss=loss).decode(logits + 11.0, STRIDE)
    np.testing.assert_allclose(one[0], other[0], atol=1e-3)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-3)


# --- keypoints of many channels, elsewhere in the core ----------------------------------------------------------------


@dataclass
class OneDevice:
    """What an Evaluator reads of a device."""

    torch = torch.device("cpu")


def test_the_flip_test_mirrors_along_x_and_swaps_whole_blocks_of_channels():
    evaluator = Evaluator(None, codec(), OneDevice(), 4)
    truth = [(3, 4, 1), (8, 2, 5), (12, 9, 6)]  # r_hand, head, l_hand
    mirrored = [(15 - x, y, z) for x, y, z in (truth[2], truth[1], truth[0])]  # the mirrored picture's own names
    back = unmirror(gaussian_logits(mirrored), FIGURE.all(), evaluator.codec)
    np.testing.assert_allclose(back, gaussian_logits(truth), atol=1e-5)


@given(scale=st.floats(0.5, 2), rotation=st.floats(-180, 180), flip=st.booleans(), z=st.floats(-30, 30))
def test_z_is_scaled_with_the_crop_and_left_alone_by_turning_and_mirroring(scale, rotation, flip, z):
    affine = crop_affine((40.0, 40.0), 80.0, 64, scale=scale, rotation=rotation, flip=flip)
    point = np.array([[50.0, 30.0, z]])
    there = apply(affine, point)
    assert there[0, 2] == pytest.approx(z * 64 / (80 * scale), abs=1e-9)
    np.testing.assert_allclose(apply(invert(affine), there), point, atol=1e-9)


def test_supervising_some_keypoints_of_a_head_takes_their_blocks():
    made = codec()
    head, wanted = FIGURE.all(), FIGURE.select(["l_hand", "head"])
    output = torch.arange(3 * BINS, dtype=torch.float32)[None, :, None, None].expand(1, -1, 2, 2)
    taken = select_channels(output, head, wanted, made)
    places = head.places(wanted.names)
    expected = [place * BINS + z for place in places for z in range(BINS)]
    assert taken[0, :, 0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("mode", "options"), [("transfer", {"heads": "by_name"}), ("by_name", {"new_heads": "source"})]
)
def test_a_transferred_keypoint_takes_all_its_channels_along(narrow, mode, options):
    """S1 = (head, l_hand), S2 = (r_hand, head, l_hand): whole blocks move to other places, in heads and junctions."""
    made = codec()
    split = KeypointSplit("toy", (Step(FIGURE.select(["head", "l_hand"])), Step(FIGURE.all())))
    strategy = registry().build("strategy", mode, options, where="modes")
    stages = (2, 3)
    before, after = (strategy.layout(split, step, stages) for step in (0, 1))
    source = build_network(narrow, made, before, seed=1, resolution=32)
    target = build_network(narrow, made, after, seed=2, resolution=32)
    specs = [describe(narrow, made, layout) for layout in (after, before)]
    plan = strategy.plan(split, 1, specs[0], specs[1:])
    execute(plan, target, specs[0], [(specs[1], source.state_dict())], {})
    here, there = target.state_dict(), source.state_dict()
    for name in ("head", "l_hand"):
        new, old = (made.channel_slice(layout.heads[0].names.index(name)) for layout in (after, before))
        assert torch.equal(here["head0.weight"][new], there["head0.weight"][old])
        assert torch.equal(here["head0.bias"][new], there["head0.bias"][old])
        assert torch.equal(here["junction0.predictions.weight"][:, new], there["junction0.predictions.weight"][:, old])
    assert here["head0.weight"].shape[0] == 3 * BINS


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"depth_bins": 1}, "depth_bins"),
        ({"depth": 0}, "depth"),
        ({"depth": math.inf}, "depth"),
        ({"loss": "mse"}, "loss"),
        ({"decode": "quarter"}, "decode"),
        ({"bins": 8}, "bins"),
    ],
)
def test_wrong_options_are_one_line(options, named):
    with pytest.raises(KpError, match=named) as caught:
        codec(**options)
    assert "\n" not in str(caught.value)


# --- where a peak is cut out, and ties --------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(("sigma", "distance", "share"), [(1.0, 3, 0.25), (1.0, 4, 0), (0.5, 2, 0.25), (0.5, 3, 0)])
def test_local_reaches_three_sigma_along_every_axis(axis, sigma, distance, share):
    """A quarter of all lies so far from the highest voxel: it moves the mean, or is left out."""
    places = np.array([[4, 4, 1], [4, 4, 1]])
    places[1, axis] += distance
    prediction = torch.full((1, BINS, *SIZE), -math.inf)
    for (x, y, z), probability in zip(places.tolist(), (0.75, 0.25), strict=True):
        prediction[0, z, y, x] = math.log(probability)
    voxels, confidence = read(prediction, decode="local", sigma=sigma)
    expected = places[0] + share * (places[1] - places[0])
    np.testing.assert_allclose(voxels[0, 0], expected, atol=1e-5)
    assert confidence.item() == pytest.approx(0.75)


def test_of_equal_voxels_the_first_is_the_peak():
    volume = torch.zeros(1, 1, BINS, *SIZE)
    volume[0, 0, 2, 5, 3] = volume[0, 0, 2, 5, 9] = volume[0, 0, 6, 1, 1] = 4.0
    places, heights = peak(volume)
    assert (places.tolist(), heights.tolist()) == ([[[3, 5, 2]]], [[4.0]])


def test_weights_weigh_and_a_small_one_counts_whole():
    made = codec(loss="integral")
    targets = encode([at(5, 5, 3), at(9, 2, 1)])
    prediction = torch.zeros(1, 2 * BINS, *SIZE)
    first, second = (
        made.loss(prediction, Targets(targets.maps, torch.tensor([weights]))) for weights in ([1.0, 0], [0, 1.0])
    )
    assert first != pytest.approx(second.item(), rel=0.1)
    small = made.loss(prediction, Targets(targets.maps, torch.tensor([[1e-3, 3e-3]])))
    assert small.item() == pytest.approx((first.item() + 3 * second.item()) / 4, rel=1e-5)
