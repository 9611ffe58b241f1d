"""The crop's geometry: affines, what augmentation can reach, draws, and warped pixels."""

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpcore.config import Augmentation
from kpcore.data.geometry import (
    AS_IS,
    Draw,
    Draws,
    ScaleShift,
    apply,
    augment,
    compose,
    crop_affine,
    draw_augmentation,
    invert,
    length_factor,
    order,
    reach,
    uniform_draws,
    warp,
    warp_into,
)

SIZE = 64
MIDDLE = (SIZE - 1) / 2
EDGE = 100 / 2 * (SIZE - 1) / SIZE
"""From a crop's centre to its outermost pixel's centre, in source pixels, for a side of 100."""


def crop(**options):
    return crop_affine((200.0, 120.0), 100.0, SIZE, **options)


def lands(affine, x, y):
    return apply(affine, np.array([x, y], np.float64)).tolist()


lengths = st.floats(1.0, 2000.0)
places = st.floats(-3000.0, 3000.0)
crops = st.builds(
    crop_affine,
    st.tuples(places, places),
    lengths,
    st.sampled_from([32, 256]),
    scale=st.floats(0.2, 5),
    rotation=st.floats(-180, 180),
    flip=st.booleans(),
    shift=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
)


@pytest.mark.parametrize("options", [{}, {"scale": 0.5}, {"rotation": 77.0}, {"flip": True}])
def test_the_centre_lands_in_the_middle_between_the_pixels(options):
    assert lands(crop(**options), 200, 120) == pytest.approx([MIDDLE, MIDDLE])


def test_the_outermost_pixels_are_the_corners_of_the_side():
    assert lands(crop(), 200 - EDGE, 120 - EDGE) == pytest.approx([0, 0])
    assert lands(crop(), 200 + EDGE, 120 - EDGE) == pytest.approx([SIZE - 1, 0])
    assert lands(crop(), 200 + EDGE, 120 + EDGE) == pytest.approx([SIZE - 1, SIZE - 1])


def test_the_crops_area_is_the_source_square():
    # Pixel areas, not centres: the square from 150 to 250 fills the crop from -0.5 to SIZE - 0.5.
    assert lands(crop(), 150, 70) == pytest.approx([-0.5, -0.5])
    assert lands(crop(), 250, 170) == pytest.approx([SIZE - 0.5, SIZE - 0.5])


def test_a_crop_of_its_own_size_is_the_image_itself():
    affine = crop_affine((MIDDLE, MIDDLE), SIZE, SIZE)
    np.testing.assert_allclose(affine, [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_a_scale_above_one_makes_the_person_smaller():
    assert lands(crop(scale=2), 200 + 10, 120) == pytest.approx([MIDDLE + 10 * SIZE / 200, MIDDLE])


def test_rotation_is_clockwise_on_the_screen():
    right, below = lands(crop(rotation=90), 210, 120), lands(crop(rotation=90), 200, 130)
    assert right == pytest.approx([MIDDLE, MIDDLE + 6.4])  # from 3 to 6 o'clock; y grows downwards
    assert below == pytest.approx([MIDDLE - 6.4, MIDDLE])


def test_flip_mirrors_the_crop_after_the_rotation():
    for x, y in [(190.0, 111.0), (207.0, 150.0)]:
        there = lands(crop(rotation=25), x, y)
        assert lands(crop(rotation=25, flip=True), x, y) == pytest.approx([SIZE - 1 - there[0], there[1]])


def test_shift_moves_the_middle_by_a_share_of_the_unscaled_side():
    assert lands(crop(shift=(0.1, -0.2), scale=1.5, rotation=30), 210, 100) == pytest.approx([MIDDLE, MIDDLE])


@given(crops, places, places)
def test_inverting_leads_back(affine, x, y):
    point = np.array([x, y])
    np.testing.assert_allclose(apply(invert(affine), apply(affine, point)), point, atol=1e-6)
    np.testing.assert_allclose(compose(invert(affine), affine), np.eye(2, 3), atol=1e-6)


@given(crops, crops, places, places)
def test_composing_is_one_after_the_other(outer, inner, x, y):
    point = np.array([x, y])
    one_by_one = apply(outer, apply(inner, point))
    np.testing.assert_allclose(apply(compose(outer, inner), point), one_by_one, rtol=1e-6, atol=1e-3)


@given(crops)
def test_the_length_factor_is_the_ratio_of_lengths(affine):
    ends = apply(affine, np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert length_factor(affine) == pytest.approx(math.dist(*ends) / 5)


def test_depth_is_scaled_as_lengths_are():
    mapped = apply(crop(rotation=40, flip=True, scale=0.5), np.array([[200.0, 120.0, 10.0], [210.0, 130.0, -5.0]]))
    np.testing.assert_allclose(mapped[:, 2], [10 * 64 / 50, -5 * 64 / 50])
    np.testing.assert_allclose(mapped[0, :2], [MIDDLE, MIDDLE])


def test_what_is_not_labelled_stays_nan():
    assert np.isnan(apply(crop(), np.array([[np.nan, np.nan], [1.0, 2.0]]))).tolist() == [[True] * 2, [False] * 2]


augmentations = st.builds(
    lambda low, span, rotation, translation: Augmentation(
        scale=(low, low + span), rotation=rotation, translation=translation
    ),
    st.floats(0.2, 1.5),
    st.floats(0, 1),
    st.floats(0, 180),
    st.floats(0, 0.5),
)
shares = st.floats(-1, 1)


@given(augmentations, shares, shares, shares, shares, st.booleans())
def test_no_augmented_crop_sees_beyond_the_reach(augmentation, scale, rotation, x, y, flip):
    low, high = augmentation.scale
    affine = crop(
        scale=low + (high - low) * abs(scale),
        rotation=augmentation.rotation * rotation,
        flip=flip,
        shift=(augmentation.translation * x, augmentation.translation * y),
    )
    corners = np.array([(a, b) for a in (-0.5, SIZE - 0.5) for b in (-0.5, SIZE - 0.5)])
    seen = apply(invert(affine), corners) - [200, 120]
    assert np.abs(seen).max() <= 100 / 2 * reach(augmentation) + 1e-6


@pytest.mark.parametrize(
    ("augmentation", "expected"),
    [
        (Augmentation(scale=(1, 1), rotation=0), 1),
        (Augmentation(scale=(0.75, 1.25), rotation=0), 1.25),
        (Augmentation(scale=(1, 1), rotation=45), math.sqrt(2)),
        (Augmentation(scale=(1, 1), rotation=180), math.sqrt(2)),
        (Augmentation(scale=(1, 1), rotation=0, translation=0.1), 1.2),
        (Augmentation(), 1.25 * (math.cos(math.pi / 6) + 0.5)),
    ],
)
def test_the_reach_is_no_larger_than_needed(augmentation, expected):
    assert reach(augmentation) == pytest.approx(expected)


EVERYTHING = Augmentation(scale=(0.5, 2.0), rotation=40, flip=0.25, colour=0.2, translation=0.1)


@pytest.mark.parametrize("seed", [0, 7, 2**63])
def test_a_draw_is_a_function_of_seed_pass_and_person(seed):
    """Whatever was drawn before, by whom and in which order: another process, started anew, draws the same."""
    asked = [(epoch, index) for epoch in (0, 3) for index in (0, 5, 10**6)]
    here = {one: draw_augmentation(seed, *one, EVERYTHING) for one in asked}
    orders = {epoch: order(seed, epoch, 7).tolist() for epoch in (0, 3)}
    np.random.seed(1)
    with ThreadPoolExecutor(1) as pool:
        there = {one: pool.submit(draw_augmentation, seed, *one, EVERYTHING).result() for one in reversed(asked)}
        again = {epoch: pool.submit(order, seed, epoch, 7).result().tolist() for epoch in (3, 0)}
    assert there == here
    assert again == orders
    assert len(set(here.values())) == len(asked)


def test_a_draw_differs_with_each_of_seed_pass_and_person():
    draws = [draw_augmentation(*key, EVERYTHING) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    assert len(set(draws)) == 4
    orders = [order(*key, 50).tolist() for key in [(0, 0), (1, 0), (0, 1)]]
    assert len({tuple(one) for one in orders}) == 3
    assert all(sorted(one) == list(range(50)) for one in orders)


def test_the_sequence_of_draws_is_pinned():
    # Golden: a change here changes every result ever trained.
    draw = draw_augmentation(3, 2, 1, EVERYTHING)
    assert (draw.scale, draw.rotation) == pytest.approx((1.088702247260334, 2.9226171274900192))
    assert draw.shift == pytest.approx((-0.030533251759586544, 0.06459781791236965))
    assert draw.colour == pytest.approx((0.8382772919244817, 0.8878466067325322, 1.0249788001567703))
    assert draw.flip
    assert order(3, 2, 8).tolist() == [6, 5, 0, 7, 2, 1, 3, 4]


def uniform(values, low, high):
    """Whether the values look like 4,000 uniform draws: within range, filling it, with the right mean and spread."""
    values = np.asarray(values)
    span = high - low
    assert low <= values.min() < low + 0.01 * span
    assert high >= values.max() > high - 0.01 * span
    assert values.mean() == pytest.approx((low + high) / 2, abs=0.02 * span)
    assert values.std() == pytest.approx(span / math.sqrt(12), rel=0.05)


def test_people_drawn_together_are_drawn_as_each_alone():
    together = augment(uniform_draws(3, 2, 40), EVERYTHING)
    assert [together[index] for index in range(40)] == [
        draw_augmentation(3, 2, index, EVERYTHING) for index in range(40)
    ]
    again = Draws.of([together[index] for index in (5, 7)])
    assert (again[0], again[1]) == (together[5], together[7])


def test_many_affines_at_once_are_the_same_as_one_by_one():
    draws = augment(uniform_draws(0, 0, 9), EVERYTHING)
    random = np.random.default_rng(0)
    centres, sides = random.uniform(0, 500, (9, 2)), random.uniform(20, 300, 9)
    points = random.uniform(0, 500, (9, 5, 3))
    options = [vars(draws[index]) for index in range(9)]
    for one in options:
        del one["colour"]
    alone = [crop_affine(centres[index], sides[index], SIZE, **options[index]) for index in range(9)]
    fields = {"scale": draws.scale, "rotation": draws.rotation, "flip": draws.flip, "shift": draws.shift}
    together = crop_affine(centres, sides, SIZE, **fields)
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-12)
    np.testing.assert_allclose(invert(together), np.stack([invert(affine) for affine in alone]), rtol=1e-9)
    twice = compose(together, invert(together[::-1]))
    np.testing.assert_allclose(twice[2], compose(alone[2], invert(alone[6])), rtol=1e-9)
    np.testing.assert_allclose(
        apply(together, points), [apply(a, p) for a, p in zip(alone, points, strict=True)], rtol=1e-9
    )


def test_draws_are_uniform_and_flips_have_their_probability():
    draws = [draw_augmentation(0, epoch, index, EVERYTHING) for epoch in range(4) for index in range(1000)]
    uniform([draw.scale for draw in draws], 0.5, 2.0)
    uniform([draw.rotation for draw in draws], -40, 40)
    uniform([draw.shift[0] for draw in draws], -0.1, 0.1)
    uniform([draw.shift[1] for draw in draws], -0.1, 0.1)
    for channel in range(3):
        uniform([draw.colour[channel] for draw in draws], 0.8, 1.2)
    assert np.mean([draw.flip for draw in draws]) == pytest.approx(0.25, abs=0.03)
    assert abs(np.corrcoef([draw.scale for draw in draws], [draw.rotation for draw in draws])[0, 1]) < 0.06


def test_nothing_is_drawn_where_everything_is_off():
    off = Augmentation(scale=(1, 1), rotation=0, flip=0)
    assert draw_augmentation(5, 6, 7, off) == AS_IS == Draw()


def centroid(image):
    weights = image.astype(np.float64).sum(2)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0.8},
        {"rotation": 33.0},
        {"flip": True},
        {"rotation": -70.0, "flip": True, "scale": 1.2, "shift": (0.05, -0.1)},
    ],
)
def test_a_dot_lands_where_the_affine_says(paint, options):
    at = np.array([187.3, 131.6])
    image = paint([at], [(255, 255, 255)], 240, 320, sigma=3.0)
    affine = crop(**options)
    np.testing.assert_allclose(centroid(warp(image, affine, SIZE)), apply(affine, at), atol=0.05)


def test_warping_as_it_is_changes_no_pixel():
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    assert np.array_equal(warp(image, crop_affine((MIDDLE, MIDDLE), SIZE, SIZE), SIZE), image)


def test_outside_the_image_is_black():
    white = np.full((40, 40, 3), 255, np.uint8)
    cropped = warp(white, crop_affine((0.0, 0.0), 32, 32), 32)
    assert (cropped[:15, :] == 0).all()
    assert (cropped[:, :15] == 0).all()
    assert (cropped[17:, 17:] == 255).all()


def test_a_crop_that_is_not_square_is_filled_whole():
    image = np.random.default_rng(3).integers(0, 256, (40, 50, 3), np.uint8)
    crop = np.empty((12, 20, 3), np.uint8)
    warp_into(crop, image, np.array([[1.0, 0, 7], [0, 1, 5]]))
    assert np.array_equal(crop, image[5:17, 7:27])


turns = st.builds(
    crop_affine, st.tuples(st.floats(-50, 250), st.floats(-50, 250)), st.floats(5, 500), st.just(24),
    rotation=st.one_of(st.just(0.0), st.floats(-180, 180)), flip=st.booleans(),
)  # fmt: skip


@given(affine=turns, height=st.integers(1, 200), width=st.integers(1, 200), seed=st.integers(0, 9))
def test_an_image_is_warped_to_the_bytes_that_opencv_makes_of_its_three_channels(affine, height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(image, invert(affine), (24, 24), flags=flags)
    assert np.array_equal(warp(image, affine, 24), expected)


@given(centre=st.tuples(places, places), side=lengths, inner=st.tuples(st.floats(0.01, 100), places, places))
def test_a_map_in_plain_numbers_is_the_array_to_the_bit(centre, side, inner):
    exact = np.array(centre, np.float32)
    plain, whole = ScaleShift.crop(exact, side, 256), crop_affine(exact, side, 256)
    assert np.array_equal(plain.affine, whole)
    assert np.array_equal(plain.inverse().affine, invert(whole))
    other = ScaleShift(*inner)
    assert np.array_equal(plain.after(other).affine, compose(whole, other.affine))


def test_what_is_not_said_of_a_draw_is_as_it_is():
    assert vars(AS_IS) == {
        "scale": 1.0, "rotation": 0.0, "flip": False, "colour": (1.0, 1.0, 1.0), "shift": (0.0, 0.0),
    }  # fmt: skip
    bare = crop_affine((20.0, 30.0), 64.0, 64)
    np.testing.assert_allclose(bare, [[1, 0, 11.5], [0, 1, 1.5]])


@pytest.mark.parametrize(("share", "flips"), [(0.0, False), (0.2499, True), (0.2501, False), (0.999, False)])
def test_each_number_of_a_draw_has_its_place(share, flips):
    uniform = np.array([[0.25, 0.75, share, 0.0, 1.0, 0.5, 0.0, 1.0]])
    off = Augmentation(scale=(0.5, 1.5), rotation=40, flip=0.0 if share == 0 else 0.25, colour=0.2, translation=0.1)
    draw = augment(uniform, off)[0]
    assert (draw.scale, draw.rotation, draw.flip) == (0.75, 20.0, flips)
    assert draw.shift == pytest.approx((-0.1, 0.1))
    assert draw.colour == pytest.approx((1.0, 0.8, 1.2))
