"""MPJPE in four alignments, on predictions whose errors are known by construction."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kp_mpjpe.alignment import procrustes

from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.evaluation.score import averages_columns
from kpcore.keypoints import Column, Keypoint, Skeleton, default_columns
from kpcore.records.results import Results
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

BODY = Skeleton(
    "body",
    (
        Keypoint("pelvis"),
        Keypoint("head"),
        Keypoint("r_hand", "l_hand", "hand"),
        Keypoint("l_hand", "r_hand", "hand"),
        Keypoint("r_foot", "l_foot", "foot"),
        Keypoint("l_foot", "r_foot", "foot"),
    ),
    dims=3,
)
SHAPE = np.array([(50, 60, 0), (50, 20, -4), (30, 50, -10), (72, 44, 8), (44, 96, 2), (58, 92, 12)], np.float64)
MM = 8.0
"""Millimetres a pixel: a power of two, so that products are exact."""
BODY3D = Path(__file__).parent.parent / "examples" / "body3d.toml"
ALIGNMENTS = ("root", "none", "procrustes", "scale")
seeds = st.integers(0, 2**32 - 1)


def people(number=1, points=SHAPE, mm=MM):
    return Instances(
        points=np.repeat(np.asarray(points, np.float64)[None], number, 0),
        state=np.full((number, len(points)), VISIBLE, np.uint8),
        normaliser=np.full(number, 10.0),
        side=np.full(number, 100.0),
        centre=np.full((number, 2), 150.0),
        image_ids=tuple(f"{row}.jpg" for row in range(number)),
        person_ids=("0",) * number,
        rows=np.arange(number) + 7,
        mm_per_px=np.full(number, mm),
    )


def unlabel(truth, row, *names):
    for name in names:
        truth.state[row, BODY.index(name)] = UNLABELLED
        truth.points[row, BODY.index(name)] = np.nan
    return truth


def build(align="root", **options):
    return registry().build("metric", "mpjpe", {"align": align, **options}, where="evaluation.metric")


def values(predicted, truth, keypoints=None, **options):
    return build(**options).values(predicted, truth, keypoints or BODY.all())


def score(predicted, truth, keypoints=None, columns=None, **options):
    keypoints = keypoints or BODY.all()
    columns = columns or default_columns(keypoints)
    return build(**options).score(predicted, None, truth, keypoints, columns)


def error_of(call, *arguments, **options):
    with pytest.raises(KpError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rotation(random):
    """A random rotation of space, determinant 1."""
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


# --- golden values ----------------------------------------------------------------------------------------------------


def test_an_offset_of_one_keypoint_is_its_length_in_millimetres():
    truth = people()
    predicted = truth.points.copy()
    predicted[0, BODY.index("r_hand")] += (2, 3, 6)  # 7 px
    found = values(predicted, truth)
    assert found[0, BODY.index("r_hand")] == pytest.approx(7 * MM, abs=1e-12)
    assert np.count_nonzero(found) == 1


def test_every_person_has_millimetres_of_its_own():
    truth = people(2)
    truth.mm_per_px[:] = (2.0, 16.0)
    predicted = truth.points.copy()
    predicted[:, BODY.index("head"), 2] += 3
    assert values(predicted, truth)[:, BODY.index("head")].tolist() == [6.0, 48.0]


def test_root_alignment_takes_the_roots_error_to_everybody_else():
    truth = people()
    predicted = truth.points.copy()
    predicted[0, 0] += (3, 4, 0)
    assert values(predicted, truth)[0].tolist() == [0.0] + [5 * MM] * 5
    assert values(predicted, truth, align="none")[0].tolist() == [5 * MM] + [0.0] * 5


def test_another_root_by_name():
    truth = people()
    predicted = truth.points.copy()
    predicted[0, 1] += (0, 0, 5)
    assert values(predicted, truth, root="head")[0].tolist() == [5 * MM, 0.0, *[5 * MM] * 4]


def test_scale_takes_the_least_squares_factor():
    """Bone (1, 0, 0) predicted as (2, 0, 0) and (0, 1, 0) as itself: the factor is (2 + 1) / (4 + 1) = 0.6."""
    three = BODY.select(["pelvis", "head", "r_hand"])
    truth = people(points=[(5, 5, 0), (6, 5, 0), (5, 6, 0), *SHAPE[3:]])
    predicted = np.array([[(5, 5, 0), (7, 5, 0), (5, 6, 0)]], np.float64)
    found = values(predicted, truth, three, align="scale")[0]
    np.testing.assert_allclose(found, [0, 0.2 * MM, 0.4 * MM], atol=1e-12)


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_what_is_not_labelled_decides_no_fit(align):
    """Wherever its prediction is, and whatever stands in the truth there."""
    random = np.random.default_rng(4)
    truth = people(2)
    predicted = truth.points * 1.2 + random.normal(size=truth.points.shape)
    place = BODY.index("l_hand")
    found = []
    for there, here in [(np.nan, 0.0), (np.nan, 900.0), (500.0, 900.0)]:
        some = unlabel(people(2), 1, "l_hand")
        some.points[1, place] = there
        moved = predicted.copy()
        moved[1, place] = here
        found.append(values(moved, some, align=align))
        assert np.isnan(found[-1][1, place])
        assert np.isfinite(np.delete(found[-1][1], place)).all()
    np.testing.assert_allclose(found[1], found[0])
    np.testing.assert_allclose(found[2], found[0])


@pytest.mark.parametrize(
    ("align", "lost", "why"),
    [("root", ["pelvis"], "root 'pelvis' is not labelled"), ("scale", ["pelvis"], "root 'pelvis' is not labelled"),
     ("procrustes", ["pelvis", "head", "r_hand", "l_hand"], "fewer than 3 of the scored keypoints are labelled")],
)  # fmt: skip
def test_where_nobody_can_be_aligned_the_first_labelled_person_is_named(align, lost, why):
    truth = people(3)
    for row in range(3):
        unlabel(truth, row, *(BODY.names if row == 0 else lost))
    said = error_of(values, np.nan_to_num(truth.points), truth, align=align)
    assert f"metric 'mpjpe': image 1.jpg, row 8, and everybody else: {why}" in said
    truth = people(2)
    unlabel(truth, 0, *lost)  # one of two can be: the other is left out
    found = values(np.nan_to_num(truth.points), truth, align=align)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_a_mirrored_body_cannot_be_turned_into_the_true_one():
    """Without Umeyama's guard the best orthogonal map would be the reflection, and the error 0."""
    truth = people()
    mirrored = truth.points * (1, 1, -1)
    assert score(mirrored, truth, align="procrustes").average > 10
    found = procrustes(mirrored, truth.points, np.ones((1, 6), bool))[0]
    before, after = (np.linalg.det((one - one[0])[[1, 2, 4]]) for one in (mirrored[0], found))
    assert np.sign(before) == np.sign(after)


def test_columns_are_means_over_people_then_keypoints_and_the_average_over_keypoints():
    truth = people(3)
    for row in (1, 2):
        unlabel(truth, row, "r_hand")
    predicted = np.nan_to_num(truth.points)
    predicted[0, BODY.index("r_hand"), 0] += 30  # one label: 240 mm
    predicted[:, BODY.index("l_hand"), 0] += 3  # three: 24 mm each
    found = score(predicted, truth)
    assert found.columns == {"pelvis": 0.0, "head": 0.0, "hand": (240 + 24) / 2, "foot": 0.0}
    assert found.average == pytest.approx((240 + 24) / 6)


def test_a_column_can_stay_out_of_the_average():
    truth = people()
    predicted = truth.points.copy()
    predicted[0, 1, 0] += 5
    columns = (Column("root", ("pelvis",), in_average=False), Column("head", ("head",)))
    assert score(predicted, truth, columns=columns).average == pytest.approx(5 * MM / 5)
    assert score(predicted, truth, columns=columns).columns == {"root": 0.0, "head": 5 * MM}


def test_the_average_does_not_depend_on_the_columns():
    truth = people(2)
    metric = build()
    assert not averages_columns(metric, metric.values(truth.points, truth, BODY.all()), truth, BODY.all())


@pytest.mark.parametrize(
    ("align", "convention"),
    [
        ("root", "MPJPE at pelvis (mm)"),
        ("scale", "N-MPJPE at pelvis (mm)"),
        ("procrustes", "PA-MPJPE (mm)"),
        ("none", "MPJPE unaligned (mm)"),
    ],
)
def test_convention_names_alignment_and_unit(align, convention):
    assert build(align).convention == convention
    assert build(align).higher_is_better is False


def test_root_alignment_is_the_default():
    assert registry().build("metric", "mpjpe", {}, where="here").convention == "MPJPE at pelvis (mm)"


def off_by_three_axes():
    """The hands of the first are off by (3, 4, -12) px from the pelvis, those of the second by (0, 0, 1)."""
    truth = people(2)
    predicted = truth.points + np.array([2.0, -1.0, 5.0])  # taken away by the alignment
    hands = [BODY.index("r_hand"), BODY.index("l_hand")]
    predicted[0, hands] += (3, 4, -12)
    predicted[1, hands] += (0, 0, 1)
    return predicted, truth


def test_aspects_are_columns_of_what_lies_in_the_plane_and_in_depth():
    predicted, truth = off_by_three_axes()
    found = score(predicted, truth, aspects=True)
    assert list(found.columns) == ["pelvis", "head", "hand", "foot", "in plane", "depth"]
    assert found.columns["hand"] == pytest.approx((13 + 1) / 2 * MM)
    assert found.columns["in plane"] == pytest.approx(2 * (5 + 0) / 2 * MM / 6)  # two hands of six keypoints
    assert found.columns["depth"] == pytest.approx(2 * (12 + 1) / 2 * MM / 6)
    assert found.average == score(predicted, truth).average == pytest.approx(2 * 7 * MM / 6)
    assert list(score(predicted, truth).columns) == ["pelvis", "head", "hand", "foot"]


def test_aspects_are_of_the_keypoints_that_the_average_is_of():
    predicted, truth = off_by_three_axes()
    columns = (Column("hand", ("r_hand", "l_hand")), Column("rest", ("pelvis", "head", "r_foot", "l_foot"), False))
    assert score(predicted, truth, columns=columns, aspects=True).columns["in plane"] == pytest.approx(2.5 * MM)


def test_aspects_are_taken_after_the_alignment():
    truth = people(1, points=SHAPE - SHAPE[0])
    predicted = truth.points * 2.0
    assert score(predicted, truth, align="root", aspects=True).columns["depth"] > 0
    assert score(predicted, truth, align="scale", aspects=True).columns["depth"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_the_squares_of_a_keypoint_s_aspects_add_up_to_its_own(align):
    _, truth, predicted = noisy(5)
    unlabel(truth, 1, "r_foot")
    metric = build(align, aspects=True)
    parts = metric.aspects(predicted, truth, BODY.all())
    whole = metric.values(predicted, truth, BODY.all())
    np.testing.assert_allclose(np.hypot(parts["in plane"], parts["depth"]), whole)
    assert np.isnan(whole[1, BODY.index("r_foot")])


def test_a_column_with_an_aspect_s_name_is_refused():
    predicted, truth = off_by_three_axes()
    text = error_of(score, predicted, truth, columns=(Column("depth", ("head",)),), aspects=True)
    assert "an aspect's column is named 'depth'" in text and "rename" in text


# --- properties -------------------------------------------------------------------------------------------------------


def noisy(seed, number=3, noise=12.0):
    random = np.random.default_rng(seed)
    truth = people(number)
    return random, truth, truth.points + random.normal(0, noise, truth.points.shape)


@pytest.mark.parametrize("align", ALIGNMENTS)
@given(seed=seeds)
@settings(max_examples=20)
def test_a_perfect_prediction_has_no_error(align, seed):
    random = np.random.default_rng(seed)
    truth = people(points=random.normal(0, 40, SHAPE.shape))
    assert values(truth.points, truth, align=align).max() < 1e-9 * MM


@given(seed=seeds, factor=st.floats(0.05, 20))
@settings(max_examples=40)
def test_pa_is_invariant_under_similarities_of_the_prediction(seed, factor):
    random, truth, predicted = noisy(seed)
    moved = factor * predicted @ rotation(random).T + random.normal(0, 300, 3)
    before, after = (values(one, truth, align="procrustes") for one in (predicted, moved))
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)


@given(seed=seeds, factor=st.floats(0.05, 20))
@settings(max_examples=40)
def test_n_is_invariant_under_scale_and_shifts_of_the_prediction(seed, factor):
    random, truth, predicted = noisy(seed)
    moved = factor * predicted + random.normal(0, 300, 3)
    before, after = (values(one, truth, align="scale") for one in (predicted, moved))
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)


@given(seed=seeds)
@settings(max_examples=20)
def test_root_alignment_is_invariant_under_shifts_only(seed):
    random, truth, predicted = noisy(seed)
    before, after = (values(one, truth) for one in (predicted, predicted + random.normal(0, 300, 3)))
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-7)


@given(seed=seeds, noise=st.floats(0.1, 200))
@settings(max_examples=60)
def test_a_freer_alignment_never_has_the_larger_squared_error(seed, noise):
    """Each minimises squares over more than the one before; of mean distances this need not hold."""
    _, truth, predicted = noisy(seed, noise=noise)
    pa, n, root = ((values(predicted, truth, align=a) ** 2).sum(1) for a in ("procrustes", "scale", "root"))
    assert (pa <= n * (1 + 1e-9) + 1e-6).all()
    assert (n <= root * (1 + 1e-9) + 1e-6).all()


@given(seed=seeds)
@settings(max_examples=30)
def test_no_similarity_nearby_fits_better_than_procrustes(seed):
    random, truth, predicted = noisy(seed, number=1)
    fitted = procrustes(predicted, truth.points, np.ones((1, 6), bool))
    best = ((fitted - truth.points) ** 2).sum()
    angle = random.normal(0, 0.05, 3)
    skew = np.array([[0, -angle[2], angle[1]], [angle[2], 0, -angle[0]], [-angle[1], angle[0], 0]])
    turn = np.linalg.solve(np.eye(3) - skew / 2, np.eye(3) + skew / 2)  # Cayley: a rotation
    other = random.normal(1, 0.02) * fitted @ turn.T + random.normal(0, 1, 3)
    assert ((other - truth.points) ** 2).sum() >= best - 1e-9


@pytest.mark.parametrize("align", ALIGNMENTS)
@given(seed=seeds)
@settings(max_examples=15)
def test_an_unlabelled_keypoint_changes_nothing_for_the_others(align, seed):
    """What is predicted for it is anything, and what the file holds there is NaN."""
    random, truth, predicted = noisy(seed)
    unlabel(truth, 1, "l_foot")
    wild = predicted.copy()
    wild[1, BODY.index("l_foot")] = random.normal(0, 1e4, 3)
    one, other = (values(points, truth, align=align) for points in (predicted, wild))
    assert np.isnan(one[1, BODY.index("l_foot")])
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-7)


# --- what is left out, and what is refused ----------------------------------------------------------------------------


def test_hidden_keypoints_count():
    truth = people()
    truth.state[0, 2] = HIDDEN
    assert not np.isnan(values(truth.points, truth)).any()


@pytest.mark.parametrize("align", ["root", "scale"])
def test_a_person_without_a_labelled_root_is_left_out(align):
    truth = unlabel(people(2), 0, "pelvis")
    found = values(np.nan_to_num(truth.points), truth, align=align)
    assert np.isnan(found[0]).all()
    assert not np.isnan(found[1]).any()
    assert "pelvis" in error_of(values, truth.points[:1], truth.take([0]), align=align)


def test_procrustes_leaves_out_people_of_two_keypoints_and_takes_three():
    truth = unlabel(people(2), 0, "pelvis", "head", "r_hand", "l_hand")
    unlabel(truth, 1, "pelvis", "head", "r_hand")
    found = values(np.nan_to_num(truth.points), truth, align="procrustes")
    assert np.isnan(found[0]).all()
    assert (~np.isnan(found[1])).sum() == 3
    assert "fewer than 3" in error_of(values, truth.points[:1], truth.take([0]), align="procrustes")


def test_procrustes_needs_no_root():
    hands = BODY.select(["head", "hand"])
    truth = people()
    assert score(truth.points[:, list(hands.indices)], truth, hands, align="procrustes").average < 1e-9


@pytest.mark.parametrize("align", ["root", "scale"])
def test_a_root_that_is_not_scored_is_an_error_with_the_way_out(align):
    hands = BODY.select(["head", "hand"])
    truth = people()
    told = error_of(score, truth.points[:, list(hands.indices)], truth, hands, align=align)
    assert "'pelvis' is not among" in told
    assert "(head, r_hand, l_hand)" in told
    assert "procrustes" in told
    assert "'head'" in error_of(score, truth.points, truth, align=align, root="haed")


def test_procrustes_of_two_scored_keypoints_is_refused():
    two = BODY.select(["hand"])
    truth = people()
    assert "3 are needed" in error_of(score, truth.points[:, list(two.indices)], truth, two, align="procrustes")


@pytest.mark.parametrize("mm", [math.nan, 0.0, -1.0, math.inf])
def test_unknown_millimetres_are_one_line_with_the_row(mm):
    truth = people(2)
    truth.mm_per_px[1] = mm
    told = error_of(score, truth.points, truth)
    assert "1.jpg, row 8" in told
    assert "millimetres a pixel" in told


def test_people_without_labels_need_no_millimetres():
    truth = unlabel(people(2), 1, *BODY.names)
    truth.mm_per_px[1] = np.nan
    assert score(np.nan_to_num(truth.points), truth).average == 0


def test_flat_points_are_refused():
    truth = people(points=SHAPE[:, :2])
    assert "2D" in error_of(score, truth.points, truth)


@pytest.mark.parametrize("align", ALIGNMENTS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e308])
def test_a_missing_prediction_has_no_mean(align, bad):
    truth = people(2)
    predicted = truth.points.copy()
    predicted[1, BODY.index("head")] = (5, 5, bad)
    found = values(predicted, truth, align=align)
    assert np.isfinite(found[0]).all()
    assert np.isinf(found[1, BODY.index("head")])
    told = error_of(score, predicted, truth, align=align)
    assert "row 8" in told
    assert "'head'" in told


def test_without_the_predicted_root_nothing_of_the_person_is_known():
    truth = people()
    predicted = truth.points.copy()
    predicted[0, 0] = np.nan
    assert np.isinf(values(predicted, truth)).all()


@pytest.mark.parametrize("align", ["procrustes", "scale"])
def test_a_prediction_without_size_is_scored_as_a_point(align):
    truth = people()
    found = values(np.full_like(truth.points, 3.0), truth, align=align)
    anchor = truth.points.mean(1, keepdims=True) if align == "procrustes" else truth.points[:, :1]
    np.testing.assert_allclose(found, MM * np.linalg.norm(truth.points - anchor, axis=-1), atol=1e-9)


def test_nobody_and_no_labels():
    truth = unlabel(people(), 0, *BODY.names)
    assert math.isnan(score(np.zeros_like(truth.points), truth).average)


def test_a_column_of_a_keypoint_that_is_not_scored_is_refused():
    two = BODY.select(["pelvis", "head"])
    truth = people()
    assert "r_hand" in error_of(score, truth.points[:, :2], truth, two, (Column("hand", ("r_hand",)),))


def test_unknown_options_are_told():
    assert "align" in error_of(build, "prokrustes")
    assert "roots" in error_of(build, roots="pelvis")


def test_dimensions_are_counted_on_the_flatter_of_the_two():
    deep, flat = people(), people(points=SHAPE[:, :2])
    for predicted, truth in ((deep.points, flat), (flat.points, deep), (flat.points, flat)):
        assert "needs 3D points, these are 2D" in error_of(values, predicted, truth)


def test_the_first_person_of_unknown_millimetres_is_named_and_all_are_counted():
    truth = people(4)
    truth.mm_per_px[:3] = 0.0, -2.0, np.inf
    unlabel(truth, 0, *BODY.names)
    told = error_of(values, np.nan_to_num(truth.points), truth)
    assert "image 1.jpg, row 8: millimetres a pixel are -2 (2 such people)" in told


def test_the_first_missing_prediction_is_named_and_all_are_counted():
    truth = people(3)
    predicted = truth.points.copy()
    predicted[1, BODY.index("l_foot")] = predicted[2, BODY.index("head")] = np.nan
    told = error_of(score, predicted, truth)
    assert "image 1.jpg, row 8: no (finite) prediction of labelled 'l_foot'" in told
    assert "(2 such points)" in told


def test_a_prediction_that_is_missing_decides_no_fit():
    """As if it were not labelled: the others are aligned without it."""
    for align in ("scale", "procrustes"):
        _, truth, predicted = noisy(11, number=2)
        predicted[1, BODY.index("l_hand")] = np.nan
        found = values(predicted, truth, align=align)
        without = values(np.nan_to_num(predicted), unlabel(people(2), 1, "l_hand"), align=align)
        others = [place for place in range(6) if place != BODY.index("l_hand")]
        np.testing.assert_allclose(found[1, others], without[1, others])
        assert np.isinf(found[1, BODY.index("l_hand")])


@pytest.mark.parametrize("factor", [-1.0, -0.5])
def test_a_body_turned_inside_out_is_scaled_to_nothing(factor):
    truth = people()
    middle = truth.points[:, :1]
    found = values(middle + factor * (truth.points - middle), truth, align="scale")
    np.testing.assert_allclose(found, MM * np.linalg.norm(truth.points - middle, axis=-1))


@pytest.mark.parametrize("align", ["scale", "procrustes"])
def test_a_fit_of_enormous_bodies_does_not_overflow(align):
    truth = people()
    np.testing.assert_allclose(values(truth.points * 1e200, truth, align=align), np.zeros((1, 6)), atol=1e-6)
    np.testing.assert_allclose(values(truth.points * 1e-200, truth, align=align), np.zeros((1, 6)), atol=1e-6)


@pytest.mark.parametrize("align", ["root", "scale"])
def test_a_root_of_no_skeleton_is_told_with_the_alignment(align):
    told = error_of(score, people().points, people(), align=align, root="haed")
    assert told.startswith(f"metric 'mpjpe', align = '{align}': unknown root keypoint 'haed'; did you mean 'head'?")


# --- in a study -------------------------------------------------------------------------------------------------------

SMALL = (
    "study.modes=['random']", "dataset.generate={name='people',people=12,valid=8,size=48}", "backbone.channels=8",
    "backbone.depth=1", "codec.depth_bins=4", "training.resolution=32", "training.batch_size=4", "training.epochs=1",
    "training.iterations_per_epoch=2", "training.threads=1", "evaluation.validation.people=4",
    "evaluation.metric.aspects=true",
)  # fmt: skip


def test_a_study_tells_plane_and_depth_apart_in_every_table_and_gives_intervals(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))
    sets = [part for one in SMALL for part in ("--set", one)]
    out = tmp_path / "out"
    assert outcome(["run", str(BODY3D), "--profile", "sample", "--jobs", "1", *sets, "--out", str(out)]) == 0
    found = Results.from_json((out / "results.json").read_text())
    (row,), (split,) = found.rows, found.splits
    assert list(row.columns)[-2:] == ["in plane", "depth"]
    assert min(split.mean_shape["in plane"], split.mean_shape["depth"]) > 0
    lines = [[cell.strip() for cell in line.split("|")] for line in (out / "tables.md").read_text().splitlines()]
    head = next(line for line in lines if "in plane" in line)
    random = next(line for line in lines if line[1:2] and line[1].startswith("Random"))
    assert re.fullmatch(rf"{row.columns['depth']:.1f} \([\d.]+ to [\d.]+\)", random[head.index("depth")])
    for name in ("tables.tex", "tables.csv"):
        assert "in plane" in (out / name).read_text(), name
