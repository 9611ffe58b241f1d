"""What single samples add to a score: every built-in metric's terms give its score, and broken ones are named."""

from dataclasses import replace

import numpy as np
import pytest

from kpcore.draws import Clusters, draws
from kpcore.errors import ContractError, KpError
from kpcore.evaluation.clusters import clusters_of
from kpcore.evaluation.score import Scored
from kpcore.evaluation.values import sample_values
from kpcore.interfaces import Metric, Scores, Terms
from kpcore.keypoints import Column, Keypoint, Skeleton
from kpcore.registry import registry
from kpcore.samples import Instances, Sample
from kpcore.tensors import UNLABELLED, VISIBLE
from kpcore.terms import Composition, means, ratios

PAIRED = ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")
BODY = Skeleton(
    "body",
    (
        *(
            Keypoint(f"{side}_{group}", mirror=f"{other}_{group}", group=group)
            for group in PAIRED
            for side, other in ("rl", "lr")
        ),
        *(Keypoint(name) for name in ("pelvis", "thorax", "upper_neck", "head_top")),
    ),
)
SOLID = Skeleton("solid", BODY.keypoints, dims=3)
CHOSEN = BODY.select(["r_ankle", "l_ankle", "r_knee", "l_knee", "pelvis", "head_top", "upper_neck"])
COLUMNS = (
    Column("ankle", ("r_ankle", "l_ankle")),
    Column("knee", ("r_knee", "l_knee")),
    Column("head", ("head_top", "upper_neck"), in_average=False),
)


def people(number=60, *, dims=2, seed=0):
    """People on images of two or three, a fifth of the labels missing; one keypoint that nobody has."""
    random = np.random.default_rng(seed)
    count = len(BODY.keypoints)
    points = random.uniform(50, 200, (number, count, dims))
    state = np.where(random.random((number, count)) < 0.2, UNLABELLED, VISIBLE).astype(np.uint8)
    state[:, BODY.index("l_knee")] = UNLABELLED
    state[:, BODY.index("pelvis")] = VISIBLE
    return Instances(
        points=np.where(state[..., None] == UNLABELLED, np.nan, points),
        state=state,
        normaliser=random.uniform(20, 40, number),
        side=np.full(number, 300.0),
        centre=np.full((number, 2), 130.0),
        image_ids=tuple(f"{row * 2 // 5}.jpg" for row in range(number)),
        person_ids=tuple(map(str, range(number))),
        rows=np.arange(number),
        mm_per_px=np.full(number, 4.0),
    )


def scored(name, options, keypoints=CHOSEN, columns=COLUMNS, *, dims=2, missing=True, metric=None):
    """A score of predictions that are off by all sizes, some of them missing."""
    truth = people(dims=dims)
    random = np.random.default_rng(1)
    chosen = truth.select(keypoints.indices)
    shape = chosen.points.shape
    predicted = (
        np.nan_to_num(chosen.points) + random.standard_normal(shape) * random.choice([2, 8, 40], shape[:2])[..., None]
    )
    predicted[0 if missing else slice(0, 0), 0] = np.nan
    metric = metric or registry().build("metric", name, options, where="metric")
    surer = random.random(shape[:2])
    found = metric.score(predicted, surer, truth, keypoints, columns)
    return Scored(metric, predicted, truth, keypoints, found, (), columns, surer)


METRICS = [
    ("pckh", {}),
    ("pckh", {"threshold": 0.1}),
    ("pck", {"normaliser": "sample", "threshold": 0.3}),
    ("pck", {"groups": ["ankle", "pelvis"]}),
    ("heatmap_pck", {}),
    ("heatmap_pck", {"groups": ["ankle"]}),
    ("nme", {"normaliser": "sample", "report": "auc"}),
    ("nme", {"normaliser": "box", "report": "failure", "threshold": 0.2}),
    ("oks", {"report": "similarity"}),
]
WHOLE = [("nme", {"normaliser": "sample"}), ("nme", {"normaliser": "box"})]
PRESETS = [("pckh", {"convention": name}) for name in ("mpii-unweighted", "mpii-weighted", "mpii-all")]
SOLIDS = [("mpjpe", {"align": name}) for name in ("root", "none", "procrustes", "scale")]


def image_clusters(one):
    return Clusters("image", np.unique(np.array(one.truth.image_ids), return_inverse=True)[1])


def check(one):
    """The terms give the score, and on drawn images what scoring these again gives."""
    found = sample_values(one, image_clusters(one))
    assert found.terms is not None
    np.testing.assert_allclose(found.terms.scores(), found.scores, atol=1e-9)
    assert list(found.composition.columns) == list(one.scores.columns)
    (counts,) = draws(len(image_clusters(one)), 1)
    weights = counts[0][image_clusters(one).of]
    sums = [weights @ values for values in (found.terms.numerators, found.terms.denominators)]
    again = again_scored(one, weights)
    np.testing.assert_allclose(found.composition.scores(ratios(*sums)), again, atol=1e-9)
    return found


def again_scored(one, weights):
    places = np.repeat(np.arange(len(weights)), weights)
    drawn = one.metric.score(
        one.predicted[places], one.confidence[places], one.truth.take(places), one.keypoints, one.columns
    )
    return [*drawn.columns.values(), drawn.average]


@pytest.mark.parametrize(("name", "options"), METRICS)
def test_terms_give_the_score_of_all_and_of_drawn_samples(name, options):
    found = check(scored(name, options))
    assert set(found.groups) == {"pelvis", "head_top", "upper_neck"}
    assert list(found.keypoints) == list(CHOSEN.names)


@pytest.mark.parametrize(("name", "options"), WHOLE)
def test_terms_of_means_give_them_and_refuse_what_they_refuse(name, options):
    check(scored(name, options, missing=False))
    one = scored(name, options, missing=False)
    one.predicted[3] = np.nan
    with pytest.raises(KpError, match="no prediction of labelled"):
        sample_values(one, image_clusters(one))


@pytest.mark.parametrize(("name", "options"), PRESETS)
def test_conventions_with_columns_of_their_own_have_no_groups_besides(name, options):
    found = check(scored(name, options, BODY.all()))
    assert not found.groups and not found.keypoints


@pytest.mark.parametrize(("name", "options"), SOLIDS)
def test_terms_of_three_dimensions(name, options):
    keypoints = SOLID.select(CHOSEN.names)
    found = check(scored(name, options, keypoints, dims=3, missing=False))
    assert set(found.groups) == {"pelvis", "head_top", "upper_neck"}


@pytest.mark.parametrize("align", ["root", "procrustes"])
def test_terms_of_aspects_give_their_columns_and_enter_no_average(align):
    keypoints = SOLID.select(CHOSEN.names)
    found = check(scored("mpjpe", {"align": align, "aspects": True}, keypoints, dims=3, missing=False))
    assert list(found.composition.columns)[-2:] == ["in plane", "depth"]
    plain = check(scored("mpjpe", {"align": align}, keypoints, dims=3, missing=False))
    np.testing.assert_array_equal(found.scores[[0, 1, 2, -1]], plain.scores)
    assert set(found.groups) == set(plain.groups) and set(found.keypoints) == set(plain.keypoints)


class Halved(Metric):
    """A share of right ones whose aspects a test hands in, and whose average is of its columns."""

    convention = "halved"
    higher_is_better = True

    def __init__(self, aspects, of_columns=False):
        self.given, self.of_columns = aspects, of_columns

    def values(self, predicted, truth, keypoints):
        return np.round(np.abs(np.nan_to_num(predicted[..., 0])) % 1)

    def aspects(self, predicted, truth, keypoints):
        return self.given(self.values(predicted, truth, keypoints))

    def reduce(self, values, truth, keypoints, columns):
        names = [column.name for column in columns]
        found = self.terms(values, truth, keypoints, columns).scores()
        return Scores(dict(zip(names, found[:-1].tolist(), strict=True)), float(found[-1]))

    def terms(self, values, truth, keypoints, columns):
        places = {column.name: tuple(keypoints.places(column.keypoints)) for column in columns}
        used = tuple(sorted({place for some in places.values() for place in some}))
        return Terms(values, np.ones_like(values), places, tuple(places) if self.of_columns else used)


def test_aspects_of_an_average_of_columns_are_drawn_anew_and_scored():
    one = scored("", {}, metric=Halved(lambda values: {"half": values / 2}, of_columns=True))
    found = sample_values(one, image_clusters(one), resamples=5)
    assert found.terms is None and found.replicates.shape == (5, 5)
    np.testing.assert_allclose(found.replicates[:, 3], found.replicates[:, 4] / 2)
    assert found.scores[3] == pytest.approx(found.scores[4] / 2)
    assert check(scored("", {}, metric=Halved(lambda values: {"half": values / 2}))).terms is not None


@pytest.mark.parametrize(
    ("aspects", "text"),
    [
        (lambda values: values, "expected values by column's name"),
        (lambda values: {"": values}, "expected values by column's name"),
        (lambda values: {"half": values[:, :1]}, "aspects()['half']"),
        (lambda values: {"half": values.astype(int)}, "expected (60, "),
    ],
)
def test_aspects_that_are_none_are_named(aspects, text):
    with pytest.raises(ContractError) as error:
        scored("", {}, metric=Halved(aspects))
    assert text in str(error.value)


def test_a_group_s_and_a_keypoint_s_place_hold_that_one_s_own_mean():
    one = scored("pckh", {})
    found = sample_values(one, image_clusters(one))
    ratio = ratios(found.terms.numerators.sum(0), found.terms.denominators.sum(0))
    for names in (found.groups, found.keypoints):
        for name, value in zip(names, means(ratio, names), strict=True):
            column = Column(name, (name,))
            expected = one.metric.reduce(one.values, one.truth, one.keypoints, [column]).columns[name]
            assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert found.terms.numerators.shape[1] == len(CHOSEN.names)  # a keypoint is there once


def broken(found):
    class Broken(Metric):
        convention = "broken"
        higher_is_better = True

        def values(self, predicted, truth, keypoints):
            return np.ones(predicted.shape[:2])

        def reduce(self, values, truth, keypoints, columns):
            return Scores({column.name: 1.0 for column in columns}, 1.0)

        def terms(self, values, truth, keypoints, columns):
            right = Terms(np.ones((60, 1)), np.ones((60, 1)), {column.name: (0,) for column in columns}, (0,))
            return found(right)

    return scored("", {}, metric=Broken())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda right: 3, "3, expected Terms or None"),
        (lambda right: replace(right, numerators=np.ones((60, 1), np.float32)), "expected (N, T) float64"),
        (lambda right: replace(right, numerators=np.ones((59, 1))), "expected finite ones of 60 samples"),
        (lambda right: replace(right, numerators=right.numerators * np.nan), "expected finite ones"),
        (lambda right: replace(right, denominators=-right.denominators), "of 0 or more"),
        (lambda right: replace(right, denominators=np.ones((60, 2))), "expected (60, 1) of 0 or more"),
        (lambda right: replace(right, columns={"ankle": (0,)}), "columns ankle, expected ankle, knee, head"),
        (lambda right: replace(right, average=(1,)), "a place 1 of 1 terms"),
        (lambda right: replace(right, average=("hip",)), "an average of 'hip', expected columns: ankle, knee, head"),
        (lambda right: replace(right, numerators=right.numerators * 2), "2 for 'ankle', expected 1, as score() gives"),
    ],
)
def test_terms_that_are_none_or_do_not_give_the_score_are_named(change, text):
    one = broken(change)
    with pytest.raises(ContractError) as error:
        sample_values(one, image_clusters(one))
    assert "terms()" in str(error.value) and text in str(error.value)


def test_without_terms_images_are_drawn_and_scored_as_images_of_their_own():
    one = scored("oks", {"report": "ap"})
    clusters = image_clusters(one)
    found = sample_values(one, clusters, resamples=7)
    assert found.terms is None and found.replicates.shape == (7, 6)
    counts = np.concatenate(list(draws(len(clusters), 7)))[:, clusters.of]
    for count, row in zip(counts, found.replicates, strict=True):
        places = np.repeat(np.arange(len(count)), count)
        truth = one.truth.take(places)
        copies = [
            f"{name}#{places[:place].tolist().count(where)}"
            for place, (where, name) in enumerate(zip(places, truth.image_ids, strict=True))
        ]
        truth = replace(truth, image_ids=tuple(copies))
        expected = one.metric.score(one.predicted[places], one.confidence[places], truth, one.keypoints, one.columns)
        np.testing.assert_allclose(row, [*expected.columns.values(), expected.average], atol=1e-9)


def sample(path, image_id):
    zeros = np.zeros((1, 2), np.float32)
    return Sample(path, zeros, np.zeros(1, np.uint8), zeros[0], 1.0, 1.0, image_id, "0", 0)


def test_frames_of_a_video_are_drawn_together_and_else_the_people_of_an_image(tmp_path):
    names = ["walk_frame001", "other", "walk_frame002", "other", "third"]
    of_videos = clusters_of([sample(tmp_path / f"{name}.png", name) for name in names])
    assert (of_videos.kind, of_videos.of.tolist(), len(of_videos)) == ("video", [0, 1, 0, 1, 2], 3)
    of_images = clusters_of([sample(tmp_path / f"{name}.png", name) for name in names[3:]])
    assert (of_images.kind, of_images.of.tolist()) == ("image", [0, 1])


def test_means_leave_out_what_is_not_known():
    ratio = np.array([[1.0, 3.0, np.nan], [np.nan, np.nan, np.nan]])
    composition = Composition({"a": (0, 1), "b": (1, 2), "c": ()}, ("a", "b"))
    np.testing.assert_array_equal(composition.scores(ratio), [[2, 3, np.nan, 2.5], [np.nan] * 4])


def test_draws_have_as_many_as_there_are_and_are_always_the_same():
    one, other = (np.concatenate(list(draws(50, 300))) for _ in range(2))
    assert one.shape == (300, 50) and (one.sum(1) == 50).all()
    np.testing.assert_array_equal(one, other)
    assert one.std() == pytest.approx(1, abs=0.05)  # binomial, n p (1 - p)
