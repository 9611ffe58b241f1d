"""NME, its area and failure rate, on predictions whose errors are known by construction."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kp_nme.nme import Nme, own_area

from kpcore.errors import KpError
from kpcore.evaluation.score import averages_columns
from kpcore.keypoints import Column, Keypoint, Skeleton, default_columns
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE


def pair(name, group):
    return (Keypoint(f"r_{name}", f"l_{name}", group), Keypoint(f"l_{name}", f"r_{name}", group))


EYES = (*pair("eye_outer", "eye"), *pair("eye_inner", "eye"))
REST = (*pair("mouth_corner", "mouth"), Keypoint("chin", group="jaw"))
FACE = Skeleton("face", (*EYES, *REST))
WITH_PUPILS = Skeleton("pupils", (*EYES, *pair("pupil", "pupil"), *REST))
PLACES = {
    "r_eye_outer": (10, 20), "l_eye_outer": (74, 20), "r_eye_inner": (26, 20), "l_eye_inner": (58, 20),
    "r_pupil": (20, 20), "l_pupil": (60, 20), "r_mouth_corner": (30, 60), "l_mouth_corner": (54, 60), "chin": (42, 84),
}  # fmt: skip
"""Inter-ocular 64, eye centres 18 and 66 (48 apart), pupils 40 apart, box 64 x 64; powers of two divide exactly."""
LENGTH = {"inter_ocular": 64.0, "inter_pupil": 48.0, "box": 64.0, "sample": 32.0}
NORMALISERS = tuple(LENGTH)


def faces(number, skeleton=FACE):
    points = np.array([PLACES[name] for name in skeleton.names], np.float64)
    return Instances(
        points=np.repeat(points[None], number, 0),
        state=np.full((number, len(skeleton.names)), VISIBLE, np.uint8),
        normaliser=np.full(number, 32.0),
        side=np.full(number, 128.0),
        centre=np.full((number, 2), 150.0),
        image_ids=tuple(f"{row}.jpg" for row in range(number)),
        person_ids=("0",) * number,
        rows=np.arange(number),
        mm_per_px=np.full(number, np.nan),
    )


def unlabel(truth, row, *names, skeleton=FACE):
    for name in names:
        truth.state[row, skeleton.index(name)] = UNLABELLED
        truth.points[row, skeleton.index(name)] = np.nan


def off(truth, pixels):
    """Predictions that are off along x by so many pixels: one number, or an array that broadcasts to (N, K)."""
    predicted = truth.points.copy()
    predicted[..., 0] += pixels
    return predicted


def build(normaliser="inter_ocular", **options):
    return registry().build("metric", "nme", {"normaliser": normaliser, **options}, where="evaluation.metric")


def score(predicted, truth, keypoints=None, columns=None, **options):
    keypoints = FACE.all() if keypoints is None else keypoints
    columns = default_columns(keypoints) if columns is None else columns
    return build(**options).score(predicted, None, truth, keypoints, columns)


# --- lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_an_error_of_a_quarter_of_the_length_is_25_percent(normaliser):
    truth = faces(2)
    scores = score(off(truth, LENGTH[normaliser] / 4), truth, normaliser=normaliser)
    assert scores.average == pytest.approx(25)
    assert scores.columns == pytest.approx({"eye": 25, "mouth": 25, "jaw": 25})
    assert build(normaliser).values(off(truth, LENGTH[normaliser]), truth, FACE.all()) == pytest.approx(np.ones((2, 7)))


def test_pupils_are_taken_where_the_skeleton_has_them():
    truth = faces(1, WITH_PUPILS)
    values = build("inter_pupil").values(off(truth, 40), truth, WITH_PUPILS.all())
    np.testing.assert_allclose(values, 1)


def test_the_length_is_measured_on_points_that_are_not_predicted():
    truth = faces(2)
    mouth = FACE.select(["mouth"])
    predicted = off(truth, 16)[:, list(mouth.indices)]
    for normaliser in NORMALISERS:
        found = score(predicted, truth, mouth, normaliser=normaliser)
        assert found.average == pytest.approx(1600 / LENGTH[normaliser])
        assert list(found.columns) == ["mouth"]


def test_the_box_is_of_labelled_points_only_and_need_not_be_square():
    truth = faces(1)
    unlabel(truth, 0, "chin")  # 64 x 40 remain
    values = build("box").values(off(truth, 1), truth, FACE.all())
    assert np.nanmax(values) == np.nanmin(values) == pytest.approx(1 / math.sqrt(64 * 40))


def test_inter_pupil_errors_are_larger_than_inter_ocular_ones():
    truth = faces(1)
    ocular, pupil = (score(off(truth, 4), truth, normaliser=name).average for name in ("inter_ocular", "inter_pupil"))
    assert pupil / ocular == pytest.approx(64 / 48)


# --- what is left out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("normaliser", "point"), [("inter_ocular", "l_eye_outer"), ("inter_pupil", "r_eye_inner")])
def test_a_face_without_the_normalisers_points_is_left_out(normaliser, point):
    truth = faces(3)
    predicted = off(truth, np.array([[6.4], [32.0], [12.8]]))
    unlabel(truth, 1, point)
    values = build(normaliser).values(predicted, truth, FACE.all())
    assert np.isnan(values[1]).all()
    assert not np.isnan(values[[0, 2]]).any()
    assert score(predicted, truth, normaliser=normaliser).average == pytest.approx(960 / LENGTH[normaliser])


@pytest.mark.parametrize("length", [0.0, -1.0, np.nan, np.inf])
def test_a_length_that_is_not_positive_leaves_the_face_out(length):
    truth = faces(2)
    truth.normaliser[0] = length
    assert score(off(truth, np.array([[8.0], [16.0]])), truth, normaliser="sample").average == pytest.approx(50)


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_no_face_with_a_length_is_an_error(normaliser):
    truth = faces(2)
    truth.normaliser[:] = 0
    for row in range(2):
        unlabel(truth, row, "r_eye_outer")
        truth.points[row, :, 1] = 7.0 if normaliser == "box" else truth.points[row, :, 1]
    with pytest.raises(KpError, match=rf"^image 0\.jpg, row 0, and every other face: normaliser '{normaliser}'.*take"):
        score(truth.points.copy(), truth, normaliser=normaliser)


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("report", ["nme", "auc", "failure"])
def test_no_labels_at_all_give_nan_without_a_warning(normaliser, report):
    truth = faces(2)
    for row in range(2):
        unlabel(truth, row, *FACE.names)
    scores = score(np.zeros_like(truth.points), truth, normaliser=normaliser, report=report)
    assert all(math.isnan(value) for value in (scores.average, *scores.columns.values()))


def test_unlabelled_is_nan_missing_is_infinite_and_hidden_counts():
    truth = faces(1)
    unlabel(truth, 0, "chin")
    truth.state[0, FACE.index("r_mouth_corner")] = HIDDEN
    predicted = off(truth, 32)
    predicted[0, FACE.index("l_mouth_corner"), 1] = np.nan
    predicted[0, FACE.index("chin")] = 3.0
    values = dict(zip(FACE.names, build().values(predicted, truth, FACE.all())[0], strict=True))
    assert math.isnan(values.pop("chin"))
    assert values.pop("l_mouth_corner") == math.inf
    assert set(values.values()) == {0.5}


def test_a_missing_prediction_fails_its_face_and_has_no_mean():
    truth = faces(2)
    predicted = truth.points.copy()
    predicted[1, FACE.index("chin")] = np.nan
    assert score(predicted, truth, report="failure").average == 50
    assert score(predicted, truth, report="auc").average == 50
    with pytest.raises(KpError, match=r"^image 1\.jpg, row 1: no prediction of labelled 'chin' \(1 such points\)"):
        score(predicted, truth)


def test_huge_predictions_are_infinitely_far():
    truth = faces(1)
    assert score(np.full_like(truth.points, 1.7e308), truth, report="failure", normaliser="sample").average == 100
    truth.normaliser[:] = 1e-300
    assert np.isinf(build("sample").values(off(truth, 1e300), truth, FACE.all())).all()


def test_a_third_dimension_is_left_out():
    truth = faces(1)
    deep = Instances(**{**vars(truth), "points": np.concatenate([truth.points, np.ones((1, 7, 1))], -1)})
    for normaliser in NORMALISERS:
        values = build(normaliser).values(deep.points + np.array([0, 0, 99]), deep, FACE.all())
        np.testing.assert_array_equal(values, np.zeros((1, 7)))


# --- means ------------------------------------------------------------------------------------------------------------


def test_the_mean_is_over_a_faces_points_first_and_then_over_faces():
    truth = faces(2)
    unlabel(truth, 1, "r_mouth_corner", "l_mouth_corner", "r_eye_inner", "l_eye_inner")
    errors = np.zeros((2, 7))
    errors[0, FACE.index("chin")] = 64 * 0.7  # face 0: 70 % at one of 7 points: 10 %
    errors[1, FACE.index("chin")] = 64 * 0.9  # face 1: 90 % at one of 3: 30 %
    scores = score(off(truth, errors), truth)
    assert scores.average == pytest.approx((10 + 30) / 2)  # over all points it would be (70 + 90) / 10
    assert scores.columns == pytest.approx({"eye": 0, "mouth": 0, "jaw": 80})  # one face has a mouth


def test_the_average_is_over_points_not_columns_and_heeds_columns_that_stay_out():
    truth = faces(1)
    errors = np.array([0.0 if name != "chin" else 64.0 for name in FACE.names])
    columns = (Column("eye", EYE_NAMES), Column("rest", tuple(point.name for point in REST)))
    assert score(off(truth, errors), truth, columns=columns).average == pytest.approx(100 / 7)
    alone = (columns[0], Column("jaw", ("chin",), in_average=False))
    scores = score(off(truth, errors), truth, columns=alone)
    assert (scores.average, scores.columns["jaw"]) == (0, 100)


EYE_NAMES = tuple(point.name for point in EYES)


@pytest.mark.parametrize("report", ["nme", "auc", "failure"])
def test_no_split_is_needed_to_average(report):
    truth = faces(3)
    metric = build(report=report)
    assert not averages_columns(metric, metric.values(off(truth, 3.0), truth, FACE.all()), truth, FACE.all())


def test_a_column_over_keypoints_that_are_not_scored_is_an_error():
    truth = faces(1)
    mouth = FACE.select(["mouth"])
    with pytest.raises(KpError, match="a column counts chin, which is not among"):
        score(truth.points[:, list(mouth.indices)], truth, mouth, (Column("all", ("chin", "r_mouth_corner")),))


# --- area and failures ------------------------------------------------------------------------------------------------


def test_area_and_failures_of_three_faces():
    """Errors 0.02, 0.08 and 0.5 of the length, threshold 0.08: the curve rises at 0.02 to a third until 0.08."""
    truth = faces(3)
    predicted = off(truth, np.array([[0.02], [0.08], [0.5]]) * 64)
    assert score(predicted, truth, report="auc").average == pytest.approx(100 * (0.06 / 0.08) / 3)
    assert score(predicted, truth, report="failure", threshold=0.0801).average == pytest.approx(100 / 3)
    assert score(predicted, truth, report="failure", threshold=0.0799).average == pytest.approx(200 / 3)


def test_an_error_at_the_threshold_is_no_failure():
    truth = faces(1)
    assert score(off(truth, 16), truth, report="failure", threshold=0.25).average == 0
    assert score(off(truth, 16.01), truth, report="failure", threshold=0.25).average == 100


@pytest.mark.parametrize(("report", "best"), [("nme", 0), ("auc", 100), ("failure", 0)])
def test_perfect_predictions(report, best):
    truth = faces(2)
    scores = score(truth.points.copy(), truth, report=report)
    assert {scores.average, *scores.columns.values()} == {best}


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=8), st.floats(0.01, 0.2))
def test_the_area_is_that_under_the_cumulative_distribution(errors, threshold):
    """Against a sum over the steps of the empirical distribution, interval by interval."""
    stops = sorted({0.0, threshold, *(error for error in errors if error < threshold)})
    steps = sum((high - low) * np.mean([error <= low for error in errors]) for low, high in pairwise(stops))
    assert own_area(np.array(errors), threshold).mean() == pytest.approx(steps / threshold, abs=1e-9)


# --- names and settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "convention", "higher"),
    [
        ({}, "nme-inter_ocular (percent)", False),
        ({"normaliser": "box", "report": "auc"}, "nme-box AUC@0.08 (percent)", True),
        ({"normaliser": "inter_pupil", "report": "failure", "threshold": 0.1},
         "nme-inter_pupil failure rate@0.1 (percent)", False),
        ({"normaliser": "sample"}, "nme-sample (percent)", False),
    ],
)  # fmt: skip
def test_the_normaliser_is_in_the_name(options, convention, higher):
    metric = build(**options)
    assert (metric.convention, metric.higher_is_better) == (convention, higher)


def test_it_is_found_by_name():
    assert registry().component("metric", "nme") is Nme


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normaliser": None}, r"evaluation\.metric: normaliser: .*'inter_ocular'"),
        ({"normaliser": "interocular"}, r"evaluation\.metric: normaliser: .*'inter_ocular'"),
        ({"report": "aoc"}, r"evaluation\.metric: report: "),
        ({"threshold": 0}, r"evaluation\.metric: threshold: "),
        ({"normalizer": "box"}, "unknown key 'normalizer'; did you mean 'normaliser'"),
    ],
)
def test_settings_errors_name_the_key(options, message):
    with pytest.raises(KpError, match=message):
        build(**options)


def test_the_normaliser_must_be_given():
    with pytest.raises(KpError, match=r"evaluation\.metric: .*normaliser"):
        registry().build("metric", "nme", {}, where="evaluation.metric")


@pytest.mark.parametrize(
    ("normaliser", "message"),
    [
        ("inter_ocular", r"normaliser 'inter_ocular': unknown keypoint 'r_eye_outer'; did you mean 'r_eye'"),
        ("inter_pupil", r"normaliser 'inter_pupil': skeleton 'body' has neither r_pupil and l_pupil nor"),
    ],
)
def test_a_skeleton_without_the_eyes_is_an_error(normaliser, message):
    body = Skeleton("body", (*pair("eye", "eyes"), Keypoint("nose")))
    truth = faces(1)
    few = Instances(**{**vars(truth), "points": truth.points[:, :3], "state": truth.state[:, :3]})
    with pytest.raises(KpError, match=message):
        build(normaliser).values(few.points, few, body.all())


# --- which points make a length ---------------------------------------------------------------------------------------


def test_a_depth_that_nobody_predicted_is_not_missing():
    truth = faces(1)
    deep = Instances(**{**vars(truth), "points": np.concatenate([truth.points, np.ones((1, 7, 1))], -1)})
    predicted = deep.points.copy()
    predicted[..., 2] = np.nan
    np.testing.assert_array_equal(build().values(predicted, deep, FACE.all()), np.zeros((1, 7)))


def test_pupils_alone_are_enough_for_their_distance():
    two = Skeleton("two", pair("pupil", "pupil"))
    truth = faces(1, two)
    np.testing.assert_allclose(build("inter_pupil").values(off(truth, 20), truth, two.all()), 0.5)


def test_a_point_of_the_eyes_on_no_side_belongs_to_no_pupil():
    between = Skeleton("between", (*EYES, Keypoint("glabella", group="eye")))
    truth = faces(1)
    points = np.concatenate([truth.points[:, :4], [[[500.0, 20.0]]]], 1)
    truth = Instances(**{**vars(truth), "points": points, "state": truth.state[:, :5]})
    np.testing.assert_allclose(build("inter_pupil").values(off(truth, 12), truth, between.all()), 0.25)


def test_the_face_that_an_error_names_is_the_first_with_a_label():
    truth = faces(3)
    unlabel(truth, 0, *FACE.names)
    truth.normaliser[:] = 0
    with pytest.raises(KpError, match=r"^image 1\.jpg, row 1, and every other face"):
        score(truth.points.copy(), truth, normaliser="sample")


def test_the_missing_point_that_an_error_names_is_the_first_of_all():
    truth = faces(3)
    predicted = truth.points.copy()
    predicted[1, FACE.index("chin")] = predicted[2, FACE.index("r_eye_outer")] = np.nan
    with pytest.raises(KpError, match=r"^image 1\.jpg, row 1: no prediction of labelled 'chin' \(2 such points\)"):
        score(predicted, truth)
