"""Newell's accuracy: by hand, and against his way of counting, written anew over heatmaps."""

import math

import numpy as np
import pytest
import torch

from kpcore.data.geometry import crop_affine
from kpcore.errors import KpError
from kpcore.keypoints import Column, Keypoint, Skeleton
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, VISIBLE

SIZE = 64
NAMES = ("knee", "hip", "wrist", "nose")
SKELETON = Skeleton("four", tuple(Keypoint(name) for name in NAMES))
EVERY = SKELETON.all()


def build(**options):
    return registry().build("metric", "heatmap_pck", options, where="evaluation.validation")


def people(points, *, centre=(32.0, 32.0), side=64.0):
    """People whose labels are (N, K, 2) source pixels, NaN = unlabelled; by default on a heatmap's own pixels."""
    points = np.asarray(points, np.float64)
    number = len(points)
    return Instances(
        points=points,
        state=np.where(np.isnan(points[..., 0]), UNLABELLED, VISIBLE).astype(np.uint8),
        normaliser=np.full(number, 10.0),
        side=np.broadcast_to(np.asarray(side, np.float64), (number,)).copy(),
        centre=np.broadcast_to(np.asarray(centre, np.float64), (number, 2)).copy(),
        image_ids=tuple(map(str, range(number))),
        person_ids=("0",) * number,
        rows=np.arange(number),
        mm_per_px=np.full(number, np.nan),
    )


def score(predicted, truth, **options):
    metric = build(**options)
    columns = tuple(Column(name, (name,)) for name in NAMES)
    return metric.score(np.asarray(predicted, np.float64), None, truth, EVERY, columns)


# --- by hand ----------------------------------------------------------------------------------------------------------

MIDDLE = [[30.5, 30.5]] * 4


@pytest.mark.parametrize(
    ("offset", "right"),
    [
        ((3, 0), True),
        ((3, 1), True),
        ((2, 2), True),
        ((3, 2), False),
        ((4, 0), False),
        ((0, -3), True),
        ((-4, 0), False),
    ],
)
def test_right_is_within_3_2_whole_pixels(offset, right):
    assert score([np.array(MIDDLE) + offset], people([MIDDLE])).average == (100 if right else 0)


def test_both_sides_are_the_pixel_that_a_point_lies_in():
    """3.9 pixels apart are 3 whole ones, 3.1 may be 4; of a decoded quarter of a pixel nothing is left."""
    assert score([[[33.9, 30.0]] * 4], people([[[30.0, 30.0]] * 4])).average == 100
    assert score([[[34.0, 30.0]] * 4], people([[[30.9, 30.0]] * 4])).average == 0
    assert score([[[33.75, 30.25]] * 4], people([[[30.99, 30.0]] * 4])).average == 100


@pytest.mark.parametrize(
    ("label", "counts"),
    [
        ((1.0, 1.0), True), ((0.99, 30.0), False), ((30.0, 0.5), False), ((-0.1, 30.0), False), ((63.9, 63.9), True),
        ((64.0, 30.0), False), ((30.0, 64.0), False), ((66.0, 66.0), False), ((math.nan, math.nan), False),
    ],
)  # fmt: skip
def test_labels_outside_the_crop_and_in_its_first_row_or_column_do_not_count(label, counts):
    points = [[label, (30.0, 30.0), (30.0, 30.0), (30.0, 30.0)]]
    found = score([[(0.0, 63.0), *points[0][1:]]], people(points))
    assert found.average == (75 if counts else 100)
    assert found.columns["knee"] == 0 if counts else math.isnan(found.columns["knee"])


def test_the_mean_is_taken_person_by_person():
    """One person with one label and a hit, one with four labels and a hit: (100 + 25) / 2, not 2 of 5."""
    gone = [math.nan, math.nan]
    truth = people([[MIDDLE[0], gone, gone, gone], MIDDLE, [gone] * 4])
    predicted = [MIDDLE, [MIDDLE[0], [9.0, 9.0], [9.0, 9.0], [9.0, 9.0]], MIDDLE]
    found = score(predicted, truth)
    assert found.average == 62.5
    assert (found.columns["knee"], found.columns["hip"]) == (100, 0)


def test_nobody_counted_is_nan_and_a_missing_prediction_is_wrong():
    gone = [math.nan, math.nan]
    assert math.isnan(score([MIDDLE], people([[gone] * 4])).average)
    assert score([[gone, *MIDDLE[1:]]], people([MIDDLE])).average == 75


def test_groups_are_what_the_average_counts():
    predicted = [[MIDDLE[0], [9.0, 9.0], [9.0, 9.0], [9.0, 9.0]]]
    assert score(predicted, people([MIDDLE]), groups=["knee", "hip"]).average == 50
    only = SKELETON.select(["nose"])
    metric = build(groups=["knee"])
    with pytest.raises(KpError, match=r"heatmap_pck.*none of knee is among"):
        metric.reduce(np.zeros((1, 1)), people([MIDDLE]), only, ())


def test_the_convention_says_what_is_counted():
    assert build(groups=["knee", "hip"]).convention == (
        "PCK@3.2 of 64 whole heatmap pixels, mean over people, over knee, hip"
    )
    assert build(heatmap=32).convention == "PCK@1.6 of 32 whole heatmap pixels, mean over people"


# --- against his way of counting -----------------------------------------------------------------------------------


def maximum(heatmap):
    """1-based column and row of the maximum of (H, W); (1, 1) of an empty map."""
    if heatmap.max() <= 0:
        return np.array([1, 1])
    row, column = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    return np.array([column + 1, row + 1])


def his_accuracy(output, target):
    """Mean over people of (N, K, H, W) outputs, each person's the mean over keypoints with a target."""
    people_found = []
    for maps, wanted in zip(output, target, strict=True):
        found = []
        for one, other in zip(maps, wanted, strict=True):
            label = maximum(other)
            if label[0] > 1 and label[1] > 1:
                found.append(np.linalg.norm(maximum(one) - label) / (SIZE / 10) <= 0.5)
        if found:
            people_found.append(np.mean(found))
    return 100 * np.mean(people_found)


def drawn(points, centre, side):
    """(N, K, H, W) maps with a 1 at the pixel of each label that is in the crop: truncated as his transform does it."""
    maps = np.zeros((*points.shape[:2], SIZE, SIZE))
    for person, keypoint in np.ndindex(points.shape[:2]):
        place = (points[person, keypoint] - centre[person]) * SIZE / side[person] + SIZE / 2
        if np.isfinite(place).all() and (place >= 0).all() and (place < SIZE).all():
            column, row = place.astype(int)
            maps[person, keypoint, row, column] = 1
    return maps


@pytest.mark.parametrize("decode", ["argmax", "quarter"])
@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_his_count_over_random_heatmaps(seed, decode):
    random = np.random.default_rng(seed)
    number = 60
    centre, side = random.uniform(100, 400, (number, 2)), random.uniform(90, 500, number)
    points = centre[:, None] + side[:, None, None] * random.uniform(-0.6, 0.6, (number, 4, 2))
    points[random.random((number, 4)) < 0.2] = np.nan
    target = drawn(points, centre, side)
    # Noise, and on it a peak a few pixels off the target
    output = random.random((number, 4, SIZE, SIZE)) * 0.5
    for person, keypoint in np.ndindex(number, 4):
        column, row = np.clip(maximum(target[person, keypoint]) - 1 + random.integers(-4, 5, 2), 0, SIZE - 1)
        output[person, keypoint, row, column] = 1
    codec = registry().build("codec", "heatmap", {"decode": decode}, where="codec")
    crops, _ = codec.decode(torch.from_numpy(output).float(), 4)
    affine = crop_affine(centre, side, 4 * SIZE)
    linear, shift = np.linalg.inv(affine[:, :, :2]), affine[:, :, 2]
    predicted = np.einsum("nij,nkj->nki", linear, crops.numpy().astype(np.float64) - shift[:, None])
    expected = his_accuracy(output, target)
    assert 10 < expected < 90
    assert score(predicted, people(points, centre=centre, side=side)).average == pytest.approx(expected)
