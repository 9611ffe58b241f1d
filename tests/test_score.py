"""Predictions from anywhere, put in the order of a data set's people: rows, keypoints, origin and confidences."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpcore.errors import KpError
from kpcore.evaluation.predictions import Predictions
from kpcore.evaluation.score import align, annotation_rows, averages_columns, build_metric, score
from kpcore.keypoints import KeypointSplit, Skeleton, Step
from kpcore.registry import registry
from kpcore.samples import Instances

PEOPLE = 4


@pytest.fixture
def truth(dots):
    return dots(people=PEOPLE)


@pytest.fixture
def samples(truth):
    return truth.samples("valid")


@pytest.fixture
def predicted(samples, figure):
    """The true points, 1-based, of three keypoints in an order of their own, and people in an order of their own."""
    names = ("l_foot", "head", "r_hand")
    rows = np.array([2, 0, 3, 1])
    columns = [figure.names.index(name) for name in names]
    points = np.stack([samples[row].points[columns] for row in rows]).astype(np.float64) + 1
    confidence = 10.0 * rows[:, None] + np.arange(3)  # tells whose it is, and which keypoint's
    return Predictions(Path("p.h5"), points, names, 1, rows, None, "valid", confidence)


def put(predictions, samples, figure, origin=0):
    return align(predictions, samples, figure, "valid", origin=origin)


def test_people_and_keypoints_are_found_by_row_and_name(predicted, samples, figure):
    found = put(predicted, samples, figure)
    assert found.keypoints.names == ("r_hand", "head", "l_foot")  # the skeleton's order
    assert [sample.row for sample in found.samples] == [0, 1, 2, 3]
    columns = list(found.keypoints.indices)
    np.testing.assert_allclose(found.points, [sample.points[columns] for sample in samples], atol=1e-5)


def test_confidences_go_where_their_points_go(predicted, samples, figure):
    found = put(predicted, samples, figure)
    assert found.confidence.tolist() == [[10.0 * row + place for place in (2, 1, 0)] for row in range(PEOPLE)]
    some = found.only(figure.select(["l_foot", "r_hand"]), "p.h5")  # the order asked for is not the file's
    assert some.confidence.tolist() == [[10.0 * row, 10.0 * row + 2] for row in range(PEOPLE)]
    columns = list(figure.select(["l_foot", "r_hand"]).indices)
    np.testing.assert_allclose(some.points, [sample.points[columns] for sample in samples], atol=1e-5)
    assert put(replace(predicted, confidence=None), samples, figure).confidence is None
    assert put(replace(predicted, confidence=None), samples, figure).only(some.keypoints, "").confidence is None


@pytest.mark.parametrize(("said", "annotation", "taken_off"), [(1, 0, 1), (0, 1, 0), (None, 1, 1), (None, 0, 0)])
def test_the_origin_is_the_files_or_else_the_annotations(predicted, samples, figure, said, annotation, taken_off):
    found = put(replace(predicted, origin=said), samples, figure, origin=annotation)
    plain = put(replace(predicted, origin=0), samples, figure)
    np.testing.assert_allclose(plain.points - found.points, taken_off)


def test_the_origin_is_taken_off_x_and_y_and_never_off_depth(samples, figure):
    solid = Skeleton("solid", figure.keypoints, dims=3)
    points = np.arange(PEOPLE * 6 * 3, dtype=np.float64).reshape(PEOPLE, 6, 3)
    given = Predictions(Path("p.h5"), points.copy(), None, 1, np.arange(PEOPLE))
    found = align(given, samples, solid, "valid", origin=0)
    np.testing.assert_array_equal(found.points[..., :2], points[..., :2] - 1)
    np.testing.assert_array_equal(found.points[..., 2], points[..., 2])


def test_without_rows_people_come_in_the_annotations_order(predicted, samples, figure):
    """One a row of the annotation, unusable ones too; or one a usable person."""
    some = [samples[0], samples[2], samples[3]]  # row 1 cannot be scored
    every = replace(predicted, rows=None, image_ids=None)
    found = put(every, some, figure)
    assert [sample.row for sample in found.samples] == [0, 2, 3]
    assert found.confidence[:, 1].tolist() == [10.0 * row + 1 for row in (2, 3, 1)]  # the file's lines 0, 2, 3
    short = replace(every, points=every.points[:3], confidence=every.confidence[:3])
    assert put(short, some, figure).confidence[:, 1].tolist() == [10.0 * row + 1 for row in (2, 0, 3)]
    with pytest.raises(KpError, match=r"holds 2 people, .* 3 usable people, .* last usable row .* is row 3, .* \(4\)"):
        put(replace(short, points=short.points[:2]), some, figure)


class HeldOut:
    """Parts of one annotation file, or of two where ``files`` says so; a part called 'absent' cannot be read."""

    def __init__(self, samples, parts, files=1):
        self.rows = parts
        self.found = samples
        self.files = files
        self.parts = (*parts, "absent")

    def samples(self, part):
        if part == "absent":
            raise KpError("absent: is not there")
        name = part if self.files > 1 else "one"
        return [replace(self.found[row], image_id=f"{name}{row}") for row in self.rows[part]]


@pytest.mark.parametrize(
    ("parts", "files", "rows"),
    [
        ({"train": (0, 3), "valid": (1, 2)}, 1, 4),  # the held-out part does not hold the last row
        ({"train": (0, 1), "valid": (2, 3)}, 1, 4),
        ({"train": (0, 1, 2, 3), "valid": (0, 1)}, 2, 2),  # a file of its own
        ({"all": (0, 1, 2, 3), "valid": (0, 1)}, 1, 4),
        ({"train": (), "valid": (0, 1)}, 1, 2),
    ],
)
def test_the_rows_of_a_held_out_part_s_file_are_those_of_all_its_parts(samples, parts, files, rows):
    assert annotation_rows(HeldOut(samples, parts, files), "valid") == rows


def test_a_held_out_part_without_the_last_row_takes_one_prediction_a_row(predicted, samples, figure):
    every = replace(predicted, rows=None, image_ids=None)
    found = align(every, samples[1:3], figure, "valid", origin=0, rows=PEOPLE)
    assert found.confidence[:, 1].tolist() == [1.0, 31.0]  # the file's lines 1 and 2
    with pytest.raises(KpError, match=r"holds 3 people, .* 2 usable people, .* is row 3, .* \(4\)"):
        align(replace(every, points=every.points[:3]), samples[1:3], figure, "valid", origin=0, rows=PEOPLE)


def test_files_of_other_people_images_parts_or_dimensions_are_refused(predicted, samples, figure):
    images = tuple(f"image{row}" for row in predicted.rows)
    assert put(replace(predicted, image_ids=images), samples, figure)
    for wrong, told in [
        ({"rows": np.array([2, 0, 3, 9])}, "row 9 is no usable person of this part"),
        ({"image_ids": (*images[:3], "image7")}, "row 1 is image 'image7', but 'image1' here"),
        ({"part": "train"}, "holds predictions of part 'train'; give --part train"),
        ({"points": np.zeros((4, 3, 3))}, "3D points, the data set has 2D"),
        ({"keypoints": None}, "holds 3 keypoints a person and does not name them; give all 6"),
        ({"keypoints": ("l_foot", "hed", "r_hand")}, "unknown keypoint 'hed'; did you mean 'head'"),
    ]:
        with pytest.raises(KpError, match=told):
            put(replace(predicted, **wrong), samples, figure)
    with pytest.raises(KpError, match="has no people"):
        put(predicted, [], figure)
    with pytest.raises(KpError, match=r"holds no keypoint 'hip', which is scored \(r_hand, head, l_foot exist\)"):
        put(predicted, samples, figure).only(figure.select(["hip"]), "p.h5")


def with_images(samples, *names):
    return [replace(sample, image_id=name) for sample, name in zip(samples, names, strict=True)]


def test_where_every_image_has_one_instance_its_name_tells_whose_it_is(predicted, samples, figure):
    """Whatever order and folder they were predicted in."""
    part = with_images(samples, "test/a.jpg", "test/b.jpg", "test/c.jpg", "test/d.jpg")
    unnamed = replace(predicted, rows=None)  # of the rows 2, 0, 3, 1
    for images in (("c.jpg", "a.jpg", "d.jpg", "b.jpg"), ("test/c.jpg", "x/test/a.jpg", "d.jpg", "b.jpg")):
        found = put(replace(unnamed, image_ids=images), part, figure)
        assert found.confidence[:, 1].tolist() == [1.0, 11.0, 21.0, 31.0] and found.unmatched == ""


def test_images_on_one_side_alone_or_of_one_file_name_are_said(predicted, samples, figure):
    part = with_images(samples, "u/a.jpg", "v/a.jpg", "u/c.jpg", "u/d.jpg")
    found = put(replace(predicted, rows=None, image_ids=("c.jpg", "a.jpg", "e.jpg", "v/d.jpg")), part, figure)
    assert [sample.image_id for sample in found.samples] == ["u/c.jpg"] and found.confidence[0, 1] == 21
    assert found.unmatched == (
        "not in the file, and not scored: 1 (first: u/d.jpg); not scored, since several images have that file name: 2"
        " (first: u/a.jpg); in the file, but not of the part: 3 (first: a.jpg)"
    )
    with pytest.raises(KpError, match=r"none of its 4 images is one of this part's 4: the first is 'w' there"):
        put(replace(predicted, rows=None, image_ids=("w", "x", "y", "z")), part, figure)


def test_a_file_of_some_people_is_scored_on_these(predicted, truth):
    """Perfect but for one keypoint of one person, the score is that of the people who are in the file."""
    some = replace(predicted, points=predicted.points[:2].copy(), rows=predicted.rows[:2], confidence=None)
    metric = build_metric(registry(), "pck", {}).component
    perfect = score(truth, "valid", some, metric)
    assert (perfect.people, perfect.people_of_part, perfect.average) == (2, PEOPLE, 100.0)
    assert (perfect.data, perfect.part, perfect.convention) == ("dots", "valid", metric.convention)
    assert set(perfect.columns) == {"hand", "head", "foot"}
    some.points[1, 0] += 1000  # l_foot of row 0
    worse = score(truth, "valid", some, metric)
    assert worse.columns == {"hand": 100.0, "head": 100.0, "foot": 50.0}


def test_a_split_chooses_what_is_scored_and_in_which_columns(predicted, truth, figure):
    split = KeypointSplit("s", (Step(figure.select(["hip"])), Step(figure.select(["l_foot", "head"]))))
    metric = build_metric(registry(), "pckh", {}).component
    found = score(truth, "valid", predicted, metric, split)
    assert found.columns == {"foot": 100.0, "head": 100.0}
    plain = score(truth, "valid", predicted, metric)
    assert plain.columns == {"hand": 100.0, "head": 100.0, "foot": 100.0}  # a column a group
    assert np.isnan(plain.average)
    assert "averages the columns of a split, and none was given" in plain.note
    assert (found.average, found.note) == (100.0, "")
    assert (found.split, found.keypoints, found.not_scored) == ("s", ("l_foot", "head"), ("r_hand",))
    assert (plain.split, plain.keypoints, plain.not_scored) == ("", ("r_hand", "head", "l_foot"), ())
    assert (found.without_value, plain.without_value) == (0, 0)


@pytest.mark.parametrize(("name", "options", "expected"), [("pckh", {}, True), ("pck", {}, False)])
def test_a_metric_is_asked_whether_its_average_is_that_of_the_columns(samples, figure, name, options, expected):
    metric = build_metric(registry(), name, options).component
    people = Instances.of(samples)
    keypoints = figure.select(["head", "hand", "foot"])
    values = metric.values(people.points[:, list(keypoints.indices)], people, keypoints)
    assert averages_columns(metric, values, people, keypoints) is expected


def test_options_that_are_not_given_are_the_metrics_own():
    known = registry()
    assert build_metric(known, "pckh", {"threshold": None, "convention": None}).recipe.options == {
        "convention": "kptransfer", "threshold": 0.5,
    }  # fmt: skip
    built = build_metric(known, "pckh", {"threshold": 0.1})
    assert (built.recipe.name, built.recipe.options["threshold"], built.component.convention) == (
        "pckh",
        0.1,
        "PCKh@0.1 kptransfer",
    )
    with pytest.raises(KpError, match="--convention: metric 'pck' has no such option; it has normaliser, threshold"):
        build_metric(known, "pck", {"convention": "x"})
    with pytest.raises(KpError, match=r"--set metric\.treshold: metric 'pck' has no such option"):
        build_metric(known, "pck", {"treshold": 1})


@pytest.mark.parametrize(
    ("name", "options", "called"),
    [
        ("oks", {}, "AP"),
        ("oks", {"report": "similarity"}, "OKS"),
        ("nme", {"normaliser": "box"}, "NME"),
        ("nme", {"normaliser": "box", "report": "auc"}, "AUC"),
        ("nme", {"normaliser": "box", "report": "failure"}, "Failures"),
        ("mpjpe", {"align": "procrustes"}, "PA-MPJPE"),
        ("mpjpe", {"align": "scale"}, "N-MPJPE"),
        ("pckh", {}, "Average"),
        ("pck", {}, "PCK"),
    ],
)
def test_an_average_is_called_what_it_is(name, options, called):
    assert registry().build("metric", name, options, where="metric").average_name == called
