"""What the page of a study shows beside results: who is an example, how far points are off, and where it helped."""

from types import SimpleNamespace

import numpy as np
import pytest

from kpcore.evaluation.predictions import Predictions
from kpcore.evaluation.score import align, scored
from kpcore.interfaces import Metric, Scores
from kpcore.keypoints import Keypoint, KeypointSplit, Skeleton, Step
from kpcore.registry import registry
from kpcore.samples import Sample
from kpcore.study.shown.body import body
from kpcore.study.shown.chosen import Shot, Shots
from kpcore.study.shown.gallery import choose, gallery
from kpcore.study.shown.slices import slices
from kpcore.study.shown.spread import more_is_better, thresholds
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

SKELETON = Skeleton("pair", (Keypoint("head"), Keypoint("tail")), (("head", "tail"),))
SPLIT = KeypointSplit("s", (Step(SKELETON.select(["head"])), Step(SKELETON.all())))
PEOPLE = 30


def people(count=PEOPLE):
    """Grey pictures of 40 px; every third one's tail is hidden, the crop's side grows from 20 to 49 px."""
    found = []
    for row in range(count):
        state = np.array([VISIBLE, HIDDEN if row % 3 == 0 else VISIBLE], np.uint8)
        found.append(
            Sample(
                image=np.full((40, 40, 3), row, np.uint8), state=state,
                points=np.array([[10, 10], [20, 30]], np.float32),
                centre=np.array([20, 20], np.float32), side=20.0 + row, normaliser=10.0, image_id=f"folder/{row}.png",
                person_id="0", row=row,
            )
        )  # fmt: skip
    return found


def shot(mode, off, metric, seed=0, samples=None):
    """A training whose points are all off by so many pixels, (N, K)."""
    samples = samples or people()
    points = np.stack([sample.points for sample in samples]).astype(float)
    points[..., 0] += off
    rows = np.arange(len(samples))
    predictions = Predictions("made up", points, SKELETON.names, 0, rows)
    aligned = align(predictions, samples, SKELETON, "valid", origin=0)
    row = SimpleNamespace(mode=SimpleNamespace(name=mode), seed=seed, job=SimpleNamespace(sources=(), dataset=""))
    return Shot(row, scored(aligned, metric, SPLIT.target, SPLIT.columns, "made up"))


@pytest.fixture(scope="module")
def pckh():
    return registry().build("metric", "pckh", {"threshold": 0.5}, where="test")


class Similar(Metric):
    """1 where a point is right, less where it is off."""

    convention = "similarity"
    higher_is_better = True

    def values(self, predicted, truth, keypoints):
        offsets = predicted - truth.select(keypoints.indices).points
        return np.exp(-np.linalg.norm(offsets, axis=-1) / 10)

    def reduce(self, values, truth, keypoints, columns):
        return Scores({column.name: float(values.mean()) for column in columns}, float(values.mean()))


def test_examples_are_the_best_the_middle_and_the_worst_each_image_once():
    means = np.array([0.5, 0.1, 0.9, 0.3, 0.7, np.nan, 0.2, 0.95])
    images = ["a", "b", "c", "d", "e", "f", "b", "h"]
    eligible = np.ones(8, bool)
    eligible[7] = False
    found = choose(means, eligible, rising=False, each=1, images=images)
    assert found == [(1, "best"), (0, "typical"), (2, "worst")]  # of two in the middle the first
    assert choose(means, eligible, rising=True, each=1, images=images)[0] == (2, "best")
    assert choose(means, np.zeros(8, bool), rising=False, each=1, images=images) == []


def test_whether_more_is_better_is_asked_of_the_metric(pckh):
    off = np.full((PEOPLE, 2), 3.0)
    assert not more_is_better(shot("a", off, pckh).scored)
    assert more_is_better(shot("a", off, Similar()).scored)


def test_thresholds_hold_the_share_of_points_within_each(pckh):
    off = np.tile([2.0, 8.0], (PEOPLE, 1))  # of a normaliser of 10: 0.2 and 0.8
    found = thresholds(Shots(SPLIT, [shot("a", off, pckh)], ""), people())
    at, shares = np.array(found.thresholds), np.array(found.modes[0].shares)
    assert shares[at < 0.2].tolist() == [0.0] * int((at < 0.2).sum())
    assert set(shares[(at > 0.21) & (at < 0.79)]) == {0.5}
    assert shares[-1] == 1.0
    assert len(found.mean_shape) == len(at)


def test_parts_are_scored_over_their_own_points(pckh):
    off = np.zeros((PEOPLE, 2))
    off[::3, 1] = 9.0  # every hidden tail is wrong, all else is right
    values, texts = slices(Shots(SPLIT, [shot("a", off, pckh)], ""))
    (row,) = values.rows
    scores = dict(zip(values.composition.columns, row.scores, strict=False))
    assert (scores["hidden"], scores["visible"]) == (0.0, 100.0)
    assert scores["small"] == pytest.approx(100 * (1 - 4 / 20))
    assert set(texts) == {"visible", "hidden", "small", "middling", "large"}
    assert row.denominators.sum(0)[list(values.composition.columns).index("hidden")] == 10


def test_no_part_of_too_few_points_and_none_of_a_metric_without_terms(pckh):
    few = people(12)  # 4 hidden points
    assert "hidden" not in slices(Shots(SPLIT, [shot("a", np.zeros((12, 2)), pckh, samples=few)], ""))[1]
    assert slices(Shots(SPLIT, [shot("a", np.zeros((PEOPLE, 2)), Similar())], "")) is None


def test_two_trainings_of_one_seed_stand_side_by_side(pckh):
    off = np.zeros((PEOPLE, 2))
    every = [shot("a", off, pckh, 1), shot("a", off, pckh, 2), shot("b", off, pckh, 2), shot("base", off, pckh, 2)]
    assert [(one.mode, one.seed) for one in Shots(SPLIT, every, "base").pair] == [("a", 2), ("base", 2)]
    assert [(one.mode, one.seed) for one in Shots(SPLIT, every[:1], "base").pair] == [("a", 1)]


def test_a_person_is_shown_with_places_in_the_crop_and_no_path(pckh):
    off = np.zeros((PEOPLE, 2))
    off[:, 1] = np.arange(PEOPLE)
    found = list(gallery(Shots(SPLIT, [shot("a", off, pckh), shot("base", off, pckh)], "base"), 1))
    assert [one.kind for one in found] == ["best", "best", "typical", "typical", "worst", "worst"]
    best = found[0]
    assert (best.image, best.row, best.hidden) == ("0.png", 0, ("tail",))
    assert best.truth == {"head": (0.0, 0.0), "tail": (0.5, 1.0)}  # crop from (10, 10) to (30, 30)
    assert best.predicted[0].target == best.truth
    assert found[-1].predicted[0].value == pytest.approx(1.4, abs=0.06)


def test_a_keypoint_that_nobody_has_is_nowhere_on_the_body():
    samples = people(3)
    for sample in samples:
        sample.state[1] = UNLABELLED
    found = body(SKELETON, samples)
    assert found.shape[1] is None
    places = [(10 - 20 + side / 2) / side for side in (20, 21, 22)]
    assert found.shape[0] == pytest.approx([np.mean(places)] * 2, abs=1e-4)
