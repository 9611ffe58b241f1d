"""The heatmap codec: its mapping, what it draws, its losses, and what it reads back."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kp_heatmap.codec import GaussianHeatmap
from kp_heatmap.mapping import to_heatmap, to_input

from kpcore.errors import KpError
from kpcore.interfaces import Targets
from kpcore.registry import registry
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE
from kpcore.trained.predictor import unmirror

STRIDE, SIZE = 4, (16, 20)
NAN = float("nan")


def codec(**options):
    return registry().build("codec", "heatmap", options, where="codec")


def encode(points, state=None, *, size=SIZE, **options):
    """Encode one person's [(x, y), ...]."""
    points = torch.tensor([points], dtype=torch.float32)
    state = torch.tensor([state or [VISIBLE] * points.shape[1]])
    return codec(**options).encode(points, state, size, STRIDE)


def at(x, y):
    """Input pixel of the middle of a heatmap pixel."""
    return ((x + 0.5) * STRIDE - 0.5, (y + 0.5) * STRIDE - 0.5)


def read(maps, **options):
    """Decode to heatmap pixels and confidences."""
    points, confidence = codec(**options).decode(maps, STRIDE)
    return to_heatmap(points, STRIDE), confidence


# --- the mapping ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stride", "x", "h"), [(4, 1.5, 0.0), (4, -0.5, -0.5), (4, 255.5, 63.5), (1, 7.0, 7.0), (8, 3.5, 0.0)]
)
def test_mapping_is_h_plus_half_times_stride(stride, x, h):
    assert to_heatmap(torch.tensor(x), stride).item() == h
    assert to_input(torch.tensor(h), stride).item() == x


@given(st.floats(-1000, 1000, width=32), st.sampled_from([1, 2, 4, 8, 16]))
def test_mapping_there_and_back_is_the_identity(x, stride):
    there = to_heatmap(torch.tensor(x, dtype=torch.float64), stride)
    assert to_input(there, stride).item() == pytest.approx(x, abs=1e-9)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_golden_gaussian():
    (row,) = encode([at(5, 7)], sigma=2.0).maps[0, :, 7, 3:8]
    expected = [math.exp(-d * d / 8) for d in (2, 1, 0, 1, 2)]
    np.testing.assert_allclose(row, expected, rtol=1e-6)
    assert encode([at(5, 7)], sigma=2.0).maps[0, 0, 8, 6].item() == pytest.approx(math.exp(-2 / 8))


@given(x=st.floats(-20, 100, width=32), y=st.floats(-20, 80, width=32), sigma=st.floats(0.5, 3))
def test_every_pixel_is_the_two_dimensional_gaussian(x, y, sigma):
    maps = encode([(x, y)], sigma=sigma).maps[0, 0].numpy()
    cx, cy = (x + 0.5) / STRIDE - 0.5, (y + 0.5) / STRIDE - 0.5
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    expected = np.exp(-((columns - cx) ** 2 + (rows - cy) ** 2) / (2 * sigma**2))
    np.testing.assert_allclose(maps, expected, atol=2e-6)


def test_newells_patch_is_seven_by_seven_around_a_whole_pixel():
    targets = encode([(22.0, 30.0)], subpixel=False, patch=7)  # the heatmap pixel that holds it is (5, 7)
    rows, columns = targets.maps[0, 0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 10, 2, 8)
    assert len(rows) == 49
    assert targets.maps[0, 0, 7, 5] == 1
    assert targets.maps[0, 0, 7, 8].item() == pytest.approx(math.exp(-9 / (2 * 1.75**2)))


@given(st.integers(0, 79))
def test_truncation_goes_to_the_pixel_that_holds_the_point(x):
    maps = encode([(float(x), 9.5)], subpixel=False).maps[0, 0]
    assert maps[2].argmax().item() == x // STRIDE
    assert maps[2, x // STRIDE] == 1


def test_a_gaussian_reaches_in_from_outside_and_counts():
    targets = encode([at(-1, 7), at(-40, 7)])
    assert targets.maps[0, 0, 7, 0].item() == pytest.approx(math.exp(-1 / (2 * 1.75**2)))
    assert not targets.maps[0, 1].any()
    assert targets.weights.tolist() == [[1, 1]]


@pytest.mark.parametrize(("unlabelled", "weights"), [("ignore", [1, 0, 1]), ("zero", [1, 1, 1])])
def test_unlabelled_points_are_never_read(unlabelled, weights):
    targets = encode([at(5, 7), (NAN, NAN), at(2, 2)], [VISIBLE, UNLABELLED, HIDDEN], unlabelled=unlabelled)
    assert targets.weights.tolist() == [weights]
    assert not targets.maps[0, 1].any()
    assert targets.maps[0, 2].max() == 1


@given(x=st.floats(-0.5, 79.25, width=32), y=st.floats(-0.5, 63.25, width=32), sigma=st.floats(0.01, 4))
def test_cross_entropy_targets_sum_to_one(x, y, sigma):
    targets = encode([(x, y)], loss="cross_entropy", sigma=sigma)
    assert targets.weights.item() == 1
    assert targets.maps.sum().item() == pytest.approx(1, abs=1e-5)


def test_cross_entropy_counts_labelled_points_inside_the_map_only():
    points = [at(0, 0), at(19, 15), at(-1, 5), at(20, 5), at(5, -1), at(5, 16), (NAN, NAN)]
    targets = encode(points, [VISIBLE] * 6 + [UNLABELLED], loss="cross_entropy", patch=5)
    assert targets.weights.tolist() == [[1, 1, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(targets.maps.sum((2, 3)), targets.weights, atol=1e-6)


def test_targets_are_float32_whatever_comes_in_and_under_autocast():
    points = torch.tensor([[at(5, 7)]], dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        targets = codec().encode(points, torch.tensor([[VISIBLE]]), SIZE, STRIDE)
    assert (targets.maps.dtype, targets.weights.dtype) == (torch.float32, torch.float32)
    assert torch.equal(targets.maps, encode([at(5, 7)]).maps)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("patch", [None, 7])
def test_a_mirrored_point_has_the_mirrored_map(loss, patch):
    points = torch.tensor([[(10.25, 20.5), (0.0, 3.0), (78.75, 62.0), (37.5, 33.25)]])
    mirrored = torch.stack((SIZE[1] * STRIDE - 1 - points[..., 0], points[..., 1]), -1)
    state = torch.full((1, 4), VISIBLE)
    one, other = (codec(loss=loss, patch=patch).encode(p, state, SIZE, STRIDE) for p in (points, mirrored))
    assert torch.equal(one.weights, other.weights)
    torch.testing.assert_close(one.maps.flip(-1), other.maps, rtol=0, atol=0 if loss == "mse" else 1e-8)


# --- losses -----------------------------------------------------------------------------------------------------------

LABELS = [VISIBLE, UNLABELLED, HIDDEN, VISIBLE]
POINTS = [at(5.3, 7.1), (NAN, NAN), at(-1, 2), at(11.6, 3.2)]


def naive_loss(prediction, targets, each):
    counted = [
        each(prediction[b, k].double().numpy(), targets.maps[b, k].double().numpy())
        for b in range(prediction.shape[0])
        for k in range(prediction.shape[1])
        if targets.weights[b, k]
    ]
    return np.mean(counted)


def naive_cross_entropy(prediction, target):
    probability = np.exp(prediction) / np.exp(prediction).sum()
    return -(target * np.log(probability)).sum()


@pytest.mark.parametrize(
    ("options", "each"),
    [
        ({"unlabelled": "zero"}, lambda p, t: ((p - t) ** 2).mean()),
        ({"unlabelled": "ignore"}, lambda p, t: ((p - t) ** 2).mean()),
        ({"loss": "cross_entropy"}, naive_cross_entropy),
    ],
)
def test_loss_is_the_naive_loop(options, each):
    targets = encode(POINTS, LABELS, **options)
    prediction = torch.randn(1, 4, *SIZE, generator=torch.Generator().manual_seed(0))
    assert codec(**options).loss(prediction, targets).item() == pytest.approx(
        naive_loss(prediction, targets, each), rel=1e-5
    )


def test_zero_is_the_mean_over_all_heatmap_elements():
    targets = encode(POINTS, LABELS, unlabelled="zero")
    prediction = torch.full((1, 4, *SIZE), 0.25)
    expected = torch.nn.functional.mse_loss(prediction, targets.maps)
    torch.testing.assert_close(codec(unlabelled="zero").loss(prediction, targets), expected)


def test_an_ignored_keypoint_has_no_gradient_and_a_zero_one_has():
    for unlabelled, pulls in (("ignore", False), ("zero", True)):
        prediction = torch.ones(1, 4, *SIZE, requires_grad=True)
        codec(unlabelled=unlabelled).loss(prediction, encode(POINTS, LABELS, unlabelled=unlabelled)).backward()
        assert prediction.grad[0, 1].any().item() is pulls
        assert prediction.grad[0, 0].any()


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_batch_in_which_nothing_counts_has_loss_zero_and_a_graph(loss):
    prediction = torch.randn(1, 2, *SIZE, requires_grad=True)
    value = codec(loss=loss).loss(prediction, encode([(NAN, NAN)] * 2, [UNLABELLED] * 2, loss=loss))
    value.backward()
    assert value.item() == 0
    assert not prediction.grad.any()


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_loss_of_a_bf16_prediction_is_computed_in_float32(loss):
    targets = encode(POINTS, LABELS, loss=loss)
    prediction = torch.randn(1, 4, *SIZE).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = codec(loss=loss).loss(prediction, targets)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, codec(loss=loss).loss(prediction.float(), targets))


def test_fractional_weights_weigh():
    targets = encode([at(5, 7), at(2, 2)])
    prediction = torch.zeros(1, 2, *SIZE)
    first, second = targets.maps.square().mean((2, 3))[0]
    value = codec().loss(prediction, Targets(targets.maps, torch.tensor([[0.25, 0.0]])))
    torch.testing.assert_close(value, first)
    value = codec().loss(prediction, Targets(targets.maps, torch.tensor([[0.25, 0.75]])))
    torch.testing.assert_close(value, 0.25 * first + 0.75 * second)


# --- what is read back ------------------------------------------------------------------------------------------------

inner_x = st.floats(6 * STRIDE, 14 * STRIDE, width=32)
inner_y = st.floats(6 * STRIDE, 10 * STRIDE, width=32)


@given(x=inner_x, y=inner_y, sigma=st.floats(1, 3))
def test_quarter_decode_is_within_a_quarter_heatmap_pixel(x, y, sigma):
    maps = encode([(x, y)], sigma=sigma).maps
    (points,) = codec(sigma=sigma).decode(maps, STRIDE)[0]
    assert (points - torch.tensor([[x, y]])).abs().max() <= 0.25 * STRIDE + 1e-3


@given(x=inner_x, y=inner_y, loss=st.sampled_from(["mse", "cross_entropy"]))
def test_dark_decode_is_within_a_hundredth_of_a_heatmap_pixel_on_clean_maps(x, y, loss):
    maps = encode([(x, y)], loss=loss, sigma=1.0).maps
    prediction = maps if loss == "mse" else maps.clamp(min=1e-30).log()
    (points,) = codec(loss=loss, sigma=1.0, decode="dark").decode(prediction, STRIDE)[0]
    assert (points - torch.tensor([[x, y]])).abs().max() <= 0.01 * STRIDE


@given(st.integers(0, SIZE[1] - 1), st.integers(0, SIZE[0] - 1), st.sampled_from(["quarter", "dark", "argmax"]))
def test_whole_heatmap_pixels_come_back_up_to_the_border(x, y, decode):
    (point,), (confidence,) = (value[0] for value in read(encode([at(x, y)]).maps, decode=decode))
    tolerance = 0.12 if decode == "dark" else 1e-6  # two pixels from a border the blur misses part of a Gaussian
    assert (point - torch.tensor([x, y])).abs().max() <= tolerance
    assert confidence.item() == pytest.approx(1)


def spot(values):
    maps = torch.zeros(1, 1, *SIZE)
    for (x, y), value in values.items():
        maps[0, 0, y, x] = value
    return maps


@pytest.mark.parametrize(
    ("maps", "point"),
    [
        (spot({(5, 7): 1.0, (6, 7): 0.5, (5, 6): 0.5}), (5.25, 6.75)),
        (spot({(5, 7): 1.0, (4, 7): 0.5, (6, 7): 0.6, (5, 6): 0.1, (5, 8): 0.1}), (5.25, 7.0)),
        (spot({(0, 7): 1.0, (1, 7): 0.5, (0, 8): 0.5}), (0.0, 7.0)),
        (spot({(5, 15): 1.0, (6, 15): 0.5}), (5.0, 15.0)),
        (spot({(19, 15): 1.0, (18, 15): 0.5}), (19.0, 15.0)),
    ],
)
def test_quarter_goes_towards_the_larger_neighbour_only_away_from_the_border(maps, point):
    assert read(maps)[0].flatten().tolist() == list(point)


def test_dark_moves_at_most_one_pixel_and_never_from_the_border():
    noise = torch.randn(4, 30, *SIZE, generator=torch.Generator().manual_seed(1))
    (dark, _), (plain, _) = read(noise, decode="dark"), read(noise, decode="argmax")
    moved = (dark - plain).abs()
    assert moved.max() <= 1 + 1e-5
    assert moved.max() > 0
    rim = (plain[..., 0] <= 0) | (plain[..., 0] >= SIZE[1] - 1) | (plain[..., 1] <= 0) | (plain[..., 1] >= SIZE[0] - 1)
    assert rim.any()
    assert moved[rim].max() < 1e-5


@pytest.mark.parametrize("decode", ["quarter", "dark", "argmax"])
def test_flat_tiny_and_tied_maps_decode_to_the_first_peak(decode):
    for size in ((1, 1), (2, 2), SIZE):
        points, confidence = read(torch.zeros(1, 1, *size), decode=decode)
        assert points.flatten().tolist() == [0, 0]
        assert confidence.item() == 0
    tied = spot({(12, 8): 1.0, (5, 7): 1.0})
    assert (read(tied, decode=decode)[0] - torch.tensor([5.0, 7.0])).abs().max() < 0.05


def test_cross_entropy_confidence_is_the_peaks_probability():
    maps = spot({(5, 7): 3.0})
    _, confidence = read(maps, loss="cross_entropy")
    assert confidence.item() == pytest.approx(math.exp(3) / (math.exp(3) + 16 * 20 - 1))


def test_decode_reads_bf16_and_each_map_by_itself():
    maps = encode([at(3, 4), at(12, 9), at(7, 7)]).maps
    points, confidence = read(maps.bfloat16())
    assert points[0].round().tolist() == [[3, 4], [12, 9], [7, 7]]
    assert (points.dtype, confidence.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_merged_predictions_still_decode(loss):
    maps = encode([at(8, 7)], loss=loss).maps
    prediction = maps if loss == "mse" else maps.clamp(min=1e-30).log()
    merged = codec(loss=loss).merge(prediction, prediction.roll(1, -1))
    points, _ = read(merged, loss=loss, decode="dark")
    assert (points - torch.tensor([8.5, 7.0])).abs().max() < 0.05


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_flip_test_moves_no_point_of_a_perfect_network(loss, figure):
    """Not by a pixel of the crop, nor by a fraction: mirrored points, turned back, are where they were."""
    keypoints, (height, width) = figure.all(), (16 * STRIDE, 20 * STRIDE)
    random = torch.rand(50, len(keypoints), 2, generator=torch.Generator().manual_seed(0))
    points = torch.tensor([10.0, 10.0]) + random * torch.tensor([width - 20.0, height - 20.0])
    mirrored = points[:, list(keypoints.flip_permutation)]
    mirrored[..., 0] = width - 1 - mirrored[..., 0]
    state = torch.full(points.shape[:2], VISIBLE, dtype=torch.uint8)
    maps = [codec(loss=loss, sigma=1.0).encode(one, state, SIZE, STRIDE).maps for one in (points, mirrored)]
    plain, other = maps if loss == "mse" else [one.clamp(min=1e-30).log() for one in maps]
    back = unmirror(other, keypoints, codec())
    torch.testing.assert_close(back, plain, atol=1e-4, rtol=0)
    found, _ = codec(loss=loss, decode="dark", sigma=1.0).decode(codec().merge(plain, back), STRIDE)
    assert (found - points).abs().max() < 0.05


@settings(max_examples=10)
@given(st.integers(0, 2**31))
def test_a_random_codec_is_deterministic(seed):
    noise = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(read(noise, decode="dark")[0], read(noise.clone(), decode="dark")[0])


# --- device and settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("decode", ["quarter", "dark", "argmax"])
def test_nothing_waits_for_the_device(loss, decode):
    """A meta tensor has no values: whatever would read one back (item, nonzero, a boolean index) fails on it."""
    built = codec(loss=loss, decode=decode, patch=7, subpixel=False)
    points, state = torch.zeros(2, 3, 2, device="meta"), torch.zeros(2, 3, dtype=torch.uint8, device="meta")
    targets = built.encode(points, state, SIZE, STRIDE)
    assert targets.maps.shape == (2, 3, *SIZE)
    assert built.loss(targets.maps, targets).shape == ()
    points, confidence = built.decode(targets.maps, STRIDE)
    assert (points.shape, confidence.shape) == ((2, 3, 2), (2, 3))
    assert {points.device.type, confidence.device.type, targets.weights.device.type} == {"meta"}


def test_channels():
    assert (codec().dims, codec().width, codec().channels(8), codec().channel_slice(3)) == (2, 1, 8, slice(3, 4))
    assert registry().component("codec", "heatmap") is GaussianHeatmap


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "cross_entropy", "unlabelled": "zero"}, "^codec: .*no all-zero target; write unlabelled = 'ignore'"),
        ({"patch": 6}, r"^codec: patch: .*take 7 \(got 6\)"),
        ({"sigma": 0}, "^codec: sigma: "),
        ({"sigmma": 1}, "unknown key 'sigmma'; did you mean 'sigma'"),
        ({"loss": "l1"}, "^codec: loss: .*'mse' or 'cross_entropy'"),
    ],
)
def test_settings_errors_name_the_key_and_say_why(options, message):
    with pytest.raises(KpError, match=message):
        codec(**options)


# --- borders, ties, and the quadratic ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "counts"),
    [
        (-0.5, 5, 1), (-0.51, 5, 0), (SIZE[1] - 0.51, 5, 1), (SIZE[1] - 0.5, 5, 0),
        (5, -0.5, 1), (5, -0.51, 0), (5, SIZE[0] - 0.51, 1), (5, SIZE[0] - 0.5, 0),
    ],
)  # fmt: skip
def test_a_map_ends_half_a_pixel_beyond_its_outermost_centres(x, y, counts):
    assert encode([at(x, y)], loss="cross_entropy").weights.item() == counts
    assert encode([at(x, y)], loss="mse").weights.item() == 1


@pytest.mark.parametrize(("patch", "reach"), [(1, 0), (3, 1), (5, 2)])
@pytest.mark.parametrize("x", [9.51, 10.0, 10.49])
def test_a_patch_lies_around_the_pixel_that_holds_the_centre(patch, reach, x):
    rows, columns = encode([at(x, 6)], patch=patch).maps[0, 0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max()) == (6 - reach, 6 + reach)
    assert (columns.min(), columns.max()) == (10 - reach, 10 + reach)


def leaning(cx, cy, xx=0.3, yy=0.5, xy=0.2):
    """A Gaussian whose axes are not those of the map; its logarithm is a quadratic with a mixed term."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    x, y = columns - cx, rows - cy
    return torch.from_numpy(np.exp(-(xx * x * x + 2 * xy * x * y + yy * y * y) / 2)).float()[None, None]


@pytest.mark.parametrize(("cx", "cy"), [(8.3, 7.6), (10.7, 8.2), (9.0, 7.4)])
@pytest.mark.parametrize("xy", [0.2, -0.2])
def test_dark_finds_the_middle_of_a_leaning_gaussian(cx, cy, xy):
    point, _ = read(leaning(cx, cy, xy=xy), decode="dark", sigma=1.0)
    np.testing.assert_allclose(point[0, 0], [cx, cy], atol=0.02)


@pytest.mark.parametrize(
    ("x", "y", "refined"),
    [(1.3, 7, False), (2.3, 7, True), (8, 1.3, False), (8, 2.3, True),
     (18.3, 7, False), (17.3, 7, True), (8, 14.3, False), (8, 13.3, True)],
)  # fmt: skip
def test_dark_goes_a_quarter_pixel_within_sigma_of_the_border(x, y, refined):
    """Sigma 1.5: two pixels must lie between the peak and every end."""
    (point,), _ = (one[0] for one in read(encode([at(x, y)], sigma=1.5).maps, decode="dark", sigma=1.5))
    moved = (point - point.round()).abs().max().item()
    assert (moved == pytest.approx(0.25, abs=1e-5)) != refined
    assert moved > 0.2


def test_of_equal_pixels_the_first_is_the_peak():
    maps = spot({(9, 3): 1.0, (4, 3): 1.0, (2, 8): 1.0})
    points, confidence = read(maps, decode="argmax")
    assert (points[0, 0].tolist(), confidence.item()) == ([4, 3], 1)
