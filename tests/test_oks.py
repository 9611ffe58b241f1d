"""OKS beyond what pycocotools shows: which sigma and which scale, who is named, what is reported in which column."""

import math

import numpy as np
import pytest
from kp_coco.average_precision import FIGURES, average_precision
from kp_coco.sigmas import COCO_SIGMAS, sigmas_of, without_sigma

from kpcore.errors import KpError
from kpcore.keypoints import Column, Keypoint, Skeleton
from kpcore.reading.skeletons import sided_keypoints
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, VISIBLE

BODY = Skeleton("body", (Keypoint("r_knee", "l_knee", "knee"), Keypoint("l_knee", "r_knee", "knee"), Keypoint("tail")))
EVERY = BODY.all()


def people(number, *, scale=100.0, images=None):
    return Instances(
        points=np.full((number, 3, 2), 50.0) + 1000 * np.arange(number)[:, None, None],
        state=np.full((number, 3), VISIBLE, np.uint8),
        normaliser=np.full(number, scale),
        side=np.full(number, 300.0),
        centre=np.full((number, 2), 150.0),
        image_ids=tuple(images or (f"{row}.jpg" for row in range(number))),
        person_ids=tuple(str(row) for row in range(number)),
        rows=np.arange(number) + 5,
        mm_per_px=np.full(number, np.nan),
    )


def off(truth, similarity, sigmas):
    """Predictions of that similarity, one number or (N, K)."""
    predicted = truth.points.copy()
    predicted[..., 1] += truth.normaliser[:, None] * 2 * np.asarray(sigmas) * np.sqrt(-2 * np.log(similarity))
    return predicted


SIGMAS = [0.087, 0.087, 0.067]
COLUMNS = (Column("knee", ("r_knee", "l_knee")), Column("tail", ("tail",)))


def build(**options):
    return registry().build("metric", "oks", options, where="metric")


def score(predicted, truth, keypoints=EVERY, columns=COLUMNS, confidence=None, **options):
    return build(**options).score(predicted, confidence, truth, keypoints, columns)


def test_coco_s_sigmas_are_those_of_its_page():
    assert COCO_SIGMAS == {
        "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
        "knee": 0.087, "ankle": 0.089,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [0.087, 0.087, 0.3]),
        ({"knee": 0.5}, [0.5, 0.5, 0.3]),
        ({"l_knee": 0.5}, [0.087, 0.5, 0.3]),
        ({"knee": 0.4, "r_knee": 0.5}, [0.5, 0.4, 0.3]),
        ({"tail": 0.6}, [0.087, 0.087, 0.6]),
    ],
)
def test_a_name_goes_before_a_group_and_what_is_given_before_coco_s(given, expected):
    assert sigmas_of(EVERY, given, 0.3).tolist() == expected
    assert sigmas_of(BODY.select(["tail", "l_knee"]), given, 0.3).tolist() == [expected[2], expected[1]]


def test_similarity_is_over_twice_the_square_of_scale_times_twice_sigma():
    truth = people(2)
    truth.normaliser[:] = 10.0, 40.0
    predicted = truth.points + np.array([3.0, 4.0])  # 5 px
    expected = [[math.exp(-25 / (2 * (s * 2 * sigma) ** 2)) for sigma in SIGMAS] for s in (10.0, 40.0)]
    np.testing.assert_allclose(build().values(predicted, truth, EVERY), expected, rtol=1e-9)
    own = build(sigmas={"tail": 0.2}, default_sigma=0.5).values(predicted, truth, EVERY)
    assert own[0, 2] == pytest.approx(math.exp(-25 / (2 * (10 * 0.4) ** 2)))


def test_a_depth_that_nobody_predicted_is_not_missing():
    truth = people(2)
    deep = Instances(**{**vars(truth), "points": np.concatenate([truth.points, np.ones((2, 3, 1))], -1)})
    predicted = deep.points.copy()
    predicted[..., 2] = np.nan
    assert score(predicted, deep, report="similarity").average == 100
    assert score(predicted, deep).average == pytest.approx(100)


def test_mean_similarity_is_over_a_persons_points_then_over_people():
    truth = people(2)
    truth.state[1, :2] = UNLABELLED
    predicted = off(truth, [[1.0, 0.5, 0.25], [1.0, 1.0, 0.75]], SIGMAS)
    found = score(predicted, truth, report="similarity")
    assert found.columns == pytest.approx({"knee": 75, "tail": 50})
    assert found.average == pytest.approx(100 * (1.75 / 3 + 0.75) / 2)
    apart = (COLUMNS[0], Column("tail", ("tail",), in_average=False))
    assert score(predicted, truth, columns=apart, report="similarity").average == pytest.approx(75)
    assert score(predicted, truth, columns=apart, report="similarity").columns["tail"] == pytest.approx(50)


@pytest.mark.parametrize("report", ["ap", "similarity"])
def test_the_first_person_without_a_scale_is_named_and_all_are_counted(report):
    truth = people(4)
    truth.normaliser[:3] = 0.0, -2.0, np.inf
    truth.state[0] = UNLABELLED
    with pytest.raises(KpError, match=r"^image 1\.jpg, row 6: the scale of OKS is -2 pixels \(2 such people\)"):
        score(truth.points, truth, report=report)


@pytest.mark.parametrize(("scale", "medium", "large"), [(32.0, 1, 0), (95.0, 1, 0), (97.0, 0, 1), (31.0, 0, 0)])
def test_medium_and_large_go_by_the_area(scale, medium, large):
    truth = people(2, scale=scale)
    found = score(truth.points.copy(), truth).columns
    assert (found["AP_M"], found["AP_L"]) == pytest.approx(
        (100 if medium else math.nan, 100 if large else math.nan), nan_ok=True
    )
    assert list(found) == ["AP50", "AP75", "AP_M", "AP_L", "AR"]


def test_precision_is_a_share_and_its_figures_have_their_places():
    truth = people(4)
    predicted = off(truth, np.array([[0.97], [0.97], [0.72], [0.52]]), SIGMAS)  # 10, 10, 5 and 1 of ten thresholds
    sure = np.array([[0.9], [0.8], [0.7], [0.6]]) * np.ones(3)
    areas = truth.normaliser**2
    found = average_precision(predicted, sure, truth, areas, np.array(SIGMAS))
    assert tuple(found) == FIGURES == ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR")
    at_recall = {4: 1.0, 3: 76 / 101, 2: 51 / 101}
    expected = (at_recall[4] + 4 * at_recall[3] + 5 * at_recall[2]) / 10
    assert found["AP"] == found["AP_L"] == pytest.approx(expected)
    assert (found["AP50"], found["AP75"]) == pytest.approx((1.0, 51 / 101))
    assert found["AR"] == pytest.approx((4 + 4 * 3 + 5 * 2) / 40)
    percent = score(predicted, truth, confidence=sure, default_sigma=0.067)
    assert percent.average == pytest.approx(100 * expected)
    assert percent.columns["AP50"] == pytest.approx(100)


def test_people_are_matched_within_their_image():
    """Two people who changed places: right in one image, where anybody may be meant, and wrong in two."""
    for images, expected in ((["a", "a"], 100), (["a", "b"], 0)):
        truth = people(2, images=images)
        assert score(truth.points[::-1].copy(), truth).average == pytest.approx(expected)


def test_of_one_image_twenty_people_count():
    truth = people(25, images=["a"] * 25)
    assert score(truth.points.copy(), truth).columns["AR"] == pytest.approx(100 * 20 / 25)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_confidence_that_is_no_number_counts_as_nothing(bad):
    """The wrong person is less sure than the right one, unless the right one's confidence is lost."""
    truth = people(2)
    predicted = truth.points.copy()
    predicted[1] += 500
    sure = np.array([[0.6, 0.6, 0.6], [0.5, 0.5, 0.5]])
    assert score(predicted, truth, confidence=sure).average == pytest.approx(100 * 51 / 101)
    sure[0, 0] = bad  # a mean of 0.4
    assert score(predicted, truth, confidence=sure).average == pytest.approx(100 * 51 / 101 / 2)


def test_only_labelled_people_are_there_to_be_found():
    truth = people(3)
    truth.state[1] = UNLABELLED
    predicted = truth.points.copy()
    predicted[1] += 400
    assert score(predicted, truth).average == pytest.approx(100)
    nobody = average_precision(
        predicted, None, truth.take([1]), np.full(1, 100.0), np.array(SIGMAS)
    )  # fmt: skip
    assert set(nobody) == set(FIGURES)
    assert all(math.isnan(value) for value in nobody.values())


def test_a_column_of_what_is_not_scored_is_an_error():
    truth, tail = people(1), BODY.select(["tail"])
    with pytest.raises(KpError, match=r"a column counts r_knee, l_knee, which is not among .*\(tail\)"):
        score(truth.points[:, 2:], truth, tail, report="similarity")


# --- sigmas by name ---------------------------------------------------------------------------------------------------

AP10K = {
    "L_Eye": 0.025, "R_Eye": 0.025, "Nose": 0.026, "Neck": 0.035, "Root of tail": 0.035, "L_Shoulder": 0.079,
    "L_Elbow": 0.072, "L_F_Paw": 0.062, "R_Shoulder": 0.079, "R_Elbow": 0.072, "R_F_Paw": 0.062, "L_Hip": 0.107,
    "L_Knee": 0.087, "L_B_Paw": 0.089, "R_Hip": 0.107, "R_Knee": 0.087, "R_B_Paw": 0.089,
}  # fmt: skip
SPELT = {"L_Eye": "left_eye", "Root of tail": "root_of_tail", "L_F_Paw": "left_front_paw", "R_B_Paw": "right back paw"}
SIDES = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
CROWDPOSE = {f"{side}_{part}": COCO_SIGMAS[part] for part in SIDES for side in ("left", "right")}


def named(*names):
    return Skeleton("named", sided_keypoints(names)).all()


def test_ap10ks_sigmas_go_by_its_names():
    every = named(*AP10K)
    np.testing.assert_array_equal(sigmas_of(every, {}, 9.0), list(AP10K.values()))
    assert without_sigma(every, {}) == [] and build().remarks(every) == ()


@pytest.mark.parametrize(("theirs", "ours"), SPELT.items())
def test_names_may_be_spelt_in_other_ways(theirs, ours):
    assert sigmas_of(named("Tail", ours), {}, 9.0).tolist() == [9.0, AP10K[theirs]]


@pytest.mark.parametrize("top", ["head", "top_head"])
def test_crowdposes_head_and_neck_have_its_shoulders_sigma(top):
    every = named(*CROWDPOSE, top, "neck")
    np.testing.assert_array_equal(sigmas_of(every, {}, 9.0), [*CROWDPOSE.values(), 0.079, 0.079])
    assert build().remarks(every) == ()


def test_a_neck_elsewhere_has_no_published_sigma():
    assert without_sigma(named("nose", "neck", "head"), {}) == ["neck", "head"]
    assert without_sigma(named(*CROWDPOSE, "head", "neck", "nose"), {}) == ["head", "neck"]
    assert without_sigma(named("nose", "neck", "root of tail"), {}) == []


def test_a_given_sigma_goes_before_a_published_one():
    every = named("Neck", "Root of tail", "L_F_Paw", "R_F_Paw")
    assert sigmas_of(every, {"Neck": 0.5, "F_Paw": 0.4}, 9.0).tolist() == [0.5, 0.035, 0.4, 0.4]


@pytest.mark.parametrize(("names", "options", "told"), [
    (("nose", "left_eye", "right_eye"), {}, "COCO's for 3 of 3 keypoints"),
    (AP10K, {}, "COCO's for 11 of 17 keypoints, AP-10K's for 6"),
    ((*CROWDPOSE, "head", "neck"), {}, "COCO's for 12 of 14 keypoints, CrowdPose's for 2"),
    (("tip", "blade"), {}, "the default 0.067 for 2 of 2 keypoints"),
    (("tip", "nose", "l_paw", "r_paw"), {"sigmas": {"paw": 0.05, "nose": 0.1}, "default_sigma": 0.08},
     "the default 0.08 for 1 of 4 keypoints, given (nose 0.1, paw 0.05) for 3"),
])  # fmt: skip
def test_the_convention_tells_whose_sigmas_the_keypoints_at_hand_take(names, options, told):
    ap, mean = (build(report=report, **options).convention_of(named(*names)) for report in ("ap", "similarity"))
    assert ap == f"OKS AP@.50:.95, ground-truth boxes of labelled people, sigmas: {told}"
    assert mean == f"mean OKS (percent), sigmas: {told}"


def test_the_default_is_taken_with_a_word():
    every = named("nose", "spine", "l_paw", "r_paw", *"abcdefg")
    (remark,) = build(default_sigma=0.08).remarks(every)
    told = "oks: no sigma is known for 10 of 11 keypoints (spine, l_paw, r_paw, a, b, c and 4 more): the default 0.08"
    assert remark.startswith(f"{told} is taken; say how far off annotators are")
    assert build(sigmas=dict.fromkeys(["spine", "paw", *"abcdefg"], 0.1)).remarks(every) == ()
    assert build().remarks(every.skeleton.select(["nose"])) == ()
