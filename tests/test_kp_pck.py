"""PCKh in four conventions and PCK, on predictions whose scores are known by construction."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kp_pck.pck import Pck
from kp_pck.pckh import FOURTEEN, SIXTEEN, Pckh

from kpcore.errors import KpError
from kpcore.keypoints import Column, Keypoint, Skeleton, default_columns
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

PAIRED = ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")
AXIS = ("pelvis", "thorax", "upper_neck", "head_top")
MPII = Skeleton(
    "mpii",
    (
        *(
            Keypoint(f"{side}_{group}", mirror=f"{other}_{group}", group=group)
            for group in PAIRED
            for side, other in ("rl", "lr")
        ),
        *(Keypoint(name) for name in AXIS),
    ),
)
EVERY = MPII.all()
CONVENTIONS = ("kptransfer", "mpii-unweighted", "mpii-weighted", "mpii-all")
HEAD = 16.0  # the normaliser, pixels: a power of two, so that shifts over it are exact
SIDE = 512.0


def people(number, keypoints=EVERY, *, start=100.0):
    """People with every keypoint labelled, all at (start, start)."""
    return Instances(
        points=np.full((number, len(keypoints), 2), start),
        state=np.full((number, len(keypoints)), VISIBLE, np.uint8),
        normaliser=np.full(number, HEAD),
        side=np.full(number, SIDE),
        centre=np.full((number, 2), 150.0),
        image_ids=tuple(f"{row}.jpg" for row in range(number)),
        person_ids=("0",) * number,
        rows=np.arange(number),
        mm_per_px=np.full(number, np.nan),
    )


def shifted(truth, shares, length=HEAD):
    """Predictions off by (N, K) or (K,) shares of the length, along x."""
    predicted = truth.points.copy()
    predicted[..., 0] += np.asarray(shares) * length
    return predicted


def shares(**by_name):
    """(K,) shares, 0 where not named."""
    return np.array([by_name.get(name, 0.0) for name in MPII.names])


def unlabel(truth, row, *names):
    for name in names:
        truth.state[row, MPII.index(name)] = UNLABELLED
        truth.points[row, MPII.index(name)] = np.nan


def build(name="pckh", **options):
    return registry().build("metric", name, options, where="evaluation.metric")


def score(predicted, truth, keypoints=EVERY, columns=None, name="pckh", **options):
    metric = build(name, **options)
    values = metric.values(predicted, truth, keypoints)
    return metric.reduce(values, truth, keypoints, default_columns(keypoints) if columns is None else columns)


# --- values -----------------------------------------------------------------------------------------------------------


def test_values_are_errors_in_head_sizes():
    truth = people(1)
    predicted = truth.points + np.array([3 * HEAD, -4 * HEAD])
    np.testing.assert_array_equal(build().values(predicted, truth, EVERY), np.full((1, 16), 5.0))


def test_unlabelled_is_nan_missing_is_infinite_and_hidden_counts():
    truth = people(1)
    unlabel(truth, 0, "r_knee")
    truth.state[0, MPII.index("l_knee")] = HIDDEN
    predicted = truth.points.copy()
    predicted[0, MPII.index("l_wrist"), 1] = np.nan
    predicted[0, MPII.index("r_knee")] = 7.0  # a prediction that nobody can judge
    values = dict(zip(MPII.names, build().values(predicted, truth, EVERY)[0], strict=True))
    assert math.isnan(values.pop("r_knee"))
    assert values.pop("l_wrist") == math.inf
    assert set(values.values()) == {0.0}


def test_labels_above_the_frame_count():
    truth = people(1, start=-30.0)
    assert score(truth.points.copy(), truth).average == 100
    assert score(truth.points + 100, truth).average == 0


def test_a_third_dimension_is_left_out():
    truth = people(2)
    deep = Instances(**{**vars(truth), "points": np.concatenate([truth.points, np.zeros((2, 16, 1))], -1)})
    np.testing.assert_array_equal(build().values(deep.points + np.array([0, 0, 99]), deep, EVERY), np.zeros((2, 16)))


@pytest.mark.parametrize("length", [0.0, -1.0, np.nan, np.inf])
def test_a_labelled_person_without_a_length_is_named(length):
    truth = people(3)
    truth.normaliser[1] = length
    with pytest.raises(KpError, match=r"^image 1\.jpg, row 1: .*\(1 such people\)"):
        score(truth.points, truth)
    truth.state[1] = UNLABELLED
    assert score(truth.points, truth).average == 100


# --- PCKh -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_perfect_predictions_score_100_and_missing_ones_0(convention):
    truth = people(3)
    perfect = score(truth.points.copy(), truth, convention=convention)
    assert {perfect.average, *perfect.columns.values()} == {100.0}
    nothing = score(np.full_like(truth.points, np.nan), truth, convention=convention)
    assert {nothing.average, *nothing.columns.values()} == {0.0}


@pytest.mark.parametrize("threshold", [0.5, 0.125, 2.0])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_only_the_weighted_convention_takes_equality(convention, threshold):
    truth = people(1)
    below, equal, above = (
        score(shifted(truth, threshold * factor), truth, convention=convention, threshold=threshold).average
        for factor in (0.999, 1.0, 1.001)
    )
    assert (below, equal, above) == (100, 100 if convention == "mpii-weighted" else 0, 0)


def four_conventions_apart():
    """Two people; wrong at 2 head sizes, r_knee of the first exactly at the threshold, and the second half labelled.

    Correct / labelled, by the strict rule: head_top 0/1, upper_neck 1/1, r_knee 1/2 (2/2 where equality is correct),
    l_knee 2/2, r_wrist 0/2, l_wrist 2/2, pelvis 0/2, thorax 2/2, and 2/2 for each of the other eight.
    """
    truth = people(2)
    off = np.stack([shares(head_top=2, r_knee=0.5, r_wrist=2, pelvis=2), shares(r_wrist=2, pelvis=2)])
    unlabel(truth, 1, "head_top", "upper_neck")
    return shifted(truth, off), truth


@pytest.mark.parametrize(
    ("convention", "average", "knee"),
    [
        # columns: head 0/1 and 1/1 -> 50, knee 50 and 100 -> 75
        ("kptransfer", (50 + 75) / 2, 75),
        # 14 keypoints: 0, 100, 50, 100, 0, 100, and eight of 100
        ("mpii-unweighted", (0 + 100 + 50 + 100 + 0 + 100 + 8 * 100) / 14, 75),
        # labels: 1 + 1 + 12 * 2 = 26; wrong: head_top 1, r_wrist 2; equality is correct
        ("mpii-weighted", 100 * (26 - 3) / 26, 100),
        # labels: 26 + 4; wrong: head_top 1, r_knee 1, r_wrist 2, pelvis 2
        ("mpii-all", 100 * (30 - 6) / 30, 75),
    ],
)
def test_four_conventions_differ_on_the_same_predictions(convention, average, knee):
    columns = (
        Column("head", ("head_top", "upper_neck")),
        Column("knee", ("r_knee", "l_knee")),
        Column("wrist", ("r_wrist", "l_wrist"), in_average=False),
    )
    scores = score(*four_conventions_apart(), columns=columns, convention=convention)
    assert scores.average == pytest.approx(average)
    if convention == "kptransfer":
        assert scores.columns == {"head": 50, "knee": 75, "wrist": 50}
    else:
        assert scores.columns == {
            "Head": 0, "Shoulder": 100, "Elbow": 100, "Wrist": 50, "Hip": 100, "Knee": knee, "Ankle": 100,
        }  # fmt: skip


def test_counts_weigh_only_in_weighted_means():
    """r_wrist is labelled in one of four people and wrong; everything else is right."""
    truth = people(4)
    for row in range(3):
        unlabel(truth, row, "r_wrist")
    predicted = shifted(truth, shares(r_wrist=1))
    averages = [score(predicted, truth, convention=convention).average for convention in CONVENTIONS[1:]]
    assert averages == pytest.approx([100 * 13 / 14, 100 * 52 / 53, 100 * 60 / 61])
    # Ten groups are the default columns; the wrist's is the mean of 0 (one label) and 100 (four).
    assert score(predicted, truth).average == pytest.approx((9 * 100 + 50) / 10)


def test_what_nobody_labelled_is_nan_and_left_out_of_means():
    truth = people(2)
    for row in range(2):
        unlabel(truth, row, "r_wrist", "l_wrist", "r_knee")
    predicted = shifted(truth, shares(l_knee=1))
    own = score(predicted, truth)
    assert math.isnan(own.columns["wrist"])
    assert own.columns["knee"] == 0
    assert own.average == pytest.approx(800 / 9)
    mpii = score(predicted, truth, convention="mpii-unweighted")
    assert math.isnan(mpii.columns["Wrist"])
    assert mpii.average == pytest.approx(1000 / 11)


@pytest.mark.parametrize("name", ["pckh", "pck"])
def test_no_labels_at_all_give_nan_without_a_warning(name):
    truth = people(2)
    truth.state[:] = UNLABELLED
    scores = score(truth.points, truth, name=name)
    assert all(math.isnan(value) for value in (scores.average, *scores.columns.values()))
    for convention in CONVENTIONS:
        assert math.isnan(score(truth.points, truth, convention=convention).average)


def test_mpii_counts_14_and_16_keypoints():
    assert (len(FOURTEEN), len(set(FOURTEEN)), set(SIXTEEN) - set(FOURTEEN)) == (14, 14, {"pelvis", "thorax"})
    assert set(SIXTEEN) == set(MPII.names)


def test_pelvis_and_thorax_may_be_absent_except_in_mpii_all():
    kept = MPII.select(FOURTEEN)
    truth = people(1)
    right = truth.points[:, list(kept.indices)]
    for convention in CONVENTIONS[:3]:
        assert score(right, truth, kept, convention=convention).average == 100
    with pytest.raises(KpError, match=r"'mpii-all' needs .*: pelvis, thorax; .*convention = \"kptransfer\""):
        score(right, truth, kept, convention="mpii-all")


def test_conventions_do_not_depend_on_the_order_of_the_keypoints():
    predicted, truth = four_conventions_apart()
    order = MPII.select(reversed(MPII.names))
    for convention in CONVENTIONS:
        columns = default_columns(EVERY)
        there = score(predicted, truth, columns=columns, convention=convention)
        back = score(predicted[:, ::-1], truth, order, columns, convention=convention)
        assert back.average == pytest.approx(there.average)
        assert back.columns == pytest.approx(there.columns)


def test_a_column_over_keypoints_that_are_not_scored_is_an_error():
    knees = MPII.select(["knee"])
    truth = people(1)
    with pytest.raises(KpError, match="a column counts r_hip, which is not among"):
        score(truth.points[:, list(knees.indices)], truth, knees, (Column("hip", ("r_hip", "r_knee")),))


@given(st.lists(st.floats(0, 2), min_size=16, max_size=16), st.floats(0.01, 2), st.floats(0.01, 2))
def test_a_larger_threshold_never_lowers_a_score(errors, one, other):
    truth = people(1)
    low, high = sorted((one, other))
    for convention in CONVENTIONS:
        averages = [
            score(shifted(truth, errors), truth, convention=convention, threshold=t).average for t in (low, high)
        ]
        assert averages[0] <= averages[1] + 1e-9


# --- PCK --------------------------------------------------------------------------------------------------------------


def test_pck_takes_errors_up_to_a_twentieth_of_the_crop():
    truth = people(1)
    for share, expected in ((0.0499, 100), (0.0501, 0)):
        assert score(shifted(truth, share, SIDE), truth, name="pck").average == expected
    assert score(shifted(truth, 0.0625, SIDE), truth, name="pck", threshold=0.0625).average == 100


def test_pck_can_divide_by_the_samples_own_length():
    truth = people(1)
    assert score(shifted(truth, 0.25), truth, name="pck", normaliser="sample", threshold=0.25).average == 100
    assert score(shifted(truth, 0.26), truth, name="pck", normaliser="sample", threshold=0.25).average == 0


def test_pck_can_divide_by_the_distance_of_two_keypoints_that_need_not_be_scored():
    truth, knees = people(3), MPII.select(["knee"])
    truth.points[:, MPII.index("head_top")] += [[30, 40], [0, 0], [30, 40]]  # 50 px from the rest; none; unlabelled
    unlabel(truth, 2, "head_top")
    off = {"keypoints": knees, "name": "pck", "normaliser": ["head_top", "pelvis"]}
    predicted = truth.points[:, list(knees.indices)] + [10, 0]
    metric = build("pck", normaliser=["head_top", "pelvis"])
    values = metric.values(predicted, truth, knees)
    np.testing.assert_array_equal(values, [[0.2, 0.2], [math.nan] * 2, [math.nan] * 2])
    assert metric.reads(knees) == ("head_top", "pelvis")
    assert score(predicted, truth, threshold=0.2, **off).average == 100
    assert score(predicted, truth, threshold=0.19, **off).average == 0


def test_pck_can_divide_by_the_longer_side_of_the_labelled_keypoints_box():
    truth = people(3)
    truth.points[:, MPII.index("head_top")] += [30, 80]
    truth.points[:, MPII.index("l_wrist")] += [-70, 0]
    unlabel(truth, 1, "head_top")
    unlabel(truth, 2, *(name for name in MPII.names if name != "r_knee"))
    knee = MPII.select(["r_knee"])
    metric = build("pck", normaliser="box")
    values = metric.values(truth.points[:, list(knee.indices)] + [0, 7], truth, knee)
    np.testing.assert_array_equal(values, [[7 / 100], [7 / 70], [math.nan]])
    assert metric.reads(knee) == MPII.names
    assert build("pck").reads(knee) == ()


@pytest.mark.parametrize(("normaliser", "told"), [
    ("box", "no longer side of the keypoints' box"), (["pelvis", "thorax"], "no distance pelvis - thorax, where both"),
])  # fmt: skip
def test_pck_without_any_length_is_an_error(normaliser, told):
    truth = people(3)
    truth.state[0] = UNLABELLED
    with pytest.raises(KpError, match=f"^image 1.jpg, row 1, and everybody else: metric 'pck', normaliser: .*{told}"):
        score(truth.points, truth, name="pck", normaliser=normaliser)
    truth.state[:] = UNLABELLED
    assert math.isnan(score(truth.points, truth, name="pck", normaliser=normaliser).average)


@pytest.mark.parametrize(("normaliser", "told"), [
    (["pelvis", "pelvis"], "metric 'pck', normaliser: 'pelvis' is named twice, a length of 0; name another beside it"),
    (["pelvis", "torax"], "metric 'pck', normaliser: unknown keypoint 'torax'; did you mean 'thorax'?"),
])  # fmt: skip
def test_pck_refuses_a_pair_that_is_none(normaliser, told):
    metric = build("pck", normaliser=normaliser)
    for ask in (metric.reads, lambda every: metric.values(people(1).points, people(1), every)):
        with pytest.raises(KpError) as caught:
            ask(EVERY)
        assert told in str(caught.value)


@pytest.mark.parametrize("given", ["croop", ["pelvis"], ["a", "b", "c"], ["a", 1], 3])
def test_pck_says_what_its_normaliser_may_be(given):
    told = r'^evaluation.metric: normaliser: is one of "crop", "sample", "box", or two keypoints, \["NAME", "OTHER"\]'
    with pytest.raises(KpError, match=told):
        build("pck", normaliser=given)


def test_pck_averages_keypoints_of_its_groups_that_are_scored():
    kept = MPII.select(["knee", "wrist", "head_top"])
    truth = people(2)
    truth.state[:, MPII.index("l_wrist")] = UNLABELLED
    predicted = truth.points[:, list(kept.indices)]
    predicted[0, kept.names.index("r_wrist")] += SIDE
    groups = ["ankle", "knee", "hip", "wrist", "elbow"]
    scores = score(predicted, truth, kept, name="pck", groups=groups)
    assert scores.columns == {"knee": 100, "wrist": 50, "head_top": 100}
    assert scores.average == pytest.approx((100 + 100 + 50) / 3)  # keypoints, not columns; l_wrist has no label
    assert score(predicted, truth, kept, name="pck").average == pytest.approx((100 + 100 + 50 + 100) / 4)


@pytest.mark.parametrize(
    ("groups", "message"),
    [(["wrst"], "groups: unknown .*'wrst'; did you mean 'wrist'"), (["hip"], "none of hip is among .*r_knee, l_knee")],
)
def test_pck_groups_that_cannot_be_averaged(groups, message):
    knees = MPII.select(["knee"])
    truth = people(1)
    with pytest.raises(KpError, match=message):
        score(truth.points[:, list(knees.indices)], truth, knees, name="pck", groups=groups)


# --- names and settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "convention"),
    [
        ("pckh", {}, "PCKh@0.5 kptransfer"),
        ("pckh", {"threshold": 0.1, "convention": "mpii-weighted"}, "PCKh@0.1 mpii-weighted"),
        ("pck", {}, "PCK@0.05 of the crop side"),
        ("pck", {"normaliser": "box"}, "PCK@0.05 of the longer side of the keypoints' box"),
        (
            "pck",
            {"normaliser": ["a", "b"], "threshold": 0.1},
            "PCK@0.1 of the distance a - b, where both are labelled",
        ),
        (
            "pck",
            {"normaliser": "sample", "threshold": 0.2, "groups": ["knee", "hip"]},
            "PCK@0.2 of the data set's normaliser, average over knee, hip",
        ),
    ],
)
def test_results_carry_the_convention(name, options, convention):
    metric = build(name, **options)
    assert metric.convention == convention
    assert metric.higher_is_better


def test_metrics_are_found_by_name():
    assert (registry().component("metric", "pckh"), registry().component("metric", "pck")) == (Pckh, Pck)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"convention": "hrnet"}, r"evaluation\.metric: convention: .*'mpii-weighted'"),
        ({"threshold": 0}, r"evaluation\.metric: threshold: "),
        ({"treshold": 0.5}, "unknown key 'treshold'; did you mean 'threshold'"),
    ],
)
def test_settings_errors_name_the_key(options, message):
    with pytest.raises(KpError, match=message):
        build(**options)


def test_a_depth_that_nobody_predicted_is_not_missing():
    truth = people(1)
    deep = Instances(**{**vars(truth), "points": np.concatenate([truth.points, np.zeros((1, 16, 1))], -1)})
    predicted = deep.points.copy()
    predicted[..., 2] = np.nan
    for name in ("pck", "pckh"):
        np.testing.assert_array_equal(build(name).values(predicted, deep, EVERY), np.zeros((1, 16)))


def test_the_first_person_without_a_length_is_named_and_all_are_counted():
    truth = people(4)
    truth.normaliser[:3] = 0.0, -2.0, np.inf
    truth.state[0] = UNLABELLED
    with pytest.raises(KpError, match=r"^image 1\.jpg, row 1: errors would be divided by -2 pixels \(2 such people\)"):
        score(truth.points, truth)
    truth.side[3] = 0.0
    with pytest.raises(KpError, match=r"^image 3\.jpg, row 3: errors would be divided by 0 pixels \(1 such people\)"):
        score(truth.points, truth, name="pck")


def test_one_missing_coordinate_is_a_missing_point():
    truth = people(1)
    for axis in (0, 1):
        predicted = truth.points.copy()
        predicted[0, 3, axis] = np.nan
        assert np.flatnonzero(np.isinf(build().values(predicted, truth, EVERY)[0])).tolist() == [3]


def test_pck_and_its_weights_are_of_keypoints_not_of_labels():
    """One label wrong of one, four right of four: 50 percent, not 80."""
    truth = people(4)
    for row in range(1, 4):
        unlabel(truth, row, "r_knee")
    knees = MPII.select(["knee"])
    predicted = truth.points[:, list(knees.indices)]
    predicted[:, knees.names.index("r_knee")] += SIDE
    assert score(predicted, truth, knees, name="pck").average == 50
