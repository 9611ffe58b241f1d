"""Coordinates that are no pixels, lie on another picture, or stand for no label; and the options that say so."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
from hand_made import Listed, finding_of, somebody
from PIL import Image

from kpcore.audit.check import check_part, require_usable
from kpcore.audit.units import unit_findings
from kpcore.cli.app import outcome
from kpcore.data.adjusted import Adjusted, Adjustments
from kpcore.data.fingerprint import fingerprint
from kpcore.errors import KpError
from kpcore.interfaces import Finding
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.study.opening import open_study
from kpcore.study.source import open_named

NAMES = ("nose", "ear", "tail")
SKELETON = Skeleton("three", tuple(Keypoint(name) for name in NAMES))
Made = partial(Listed, SKELETON)


def people(points, size=(640, 480), state=None):
    """One person a row of points (N, 3, 2), each on a picture of its own."""
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    crop = {"centre": np.array(size, np.float32) / 2, "side": float(max(size)), "normaliser": 50.0}
    states = np.full((len(points), 3), 2) if state is None else np.asarray(state)
    return [
        somebody(
            blank, one, row, image_id=f"{row}.png", person_id="0",
            state=states[row].astype(np.uint8), **crop,
        )
        for row, one in enumerate(points)
    ]  # fmt: skip


def drawn(count, low, high, seed=0):
    return np.random.default_rng(seed).uniform(low, high, (count, 3, 2))


def found(samples, text, **how):
    data = Adjusted(Made(samples), Adjustments(**how)) if how else Made(samples)
    return finding_of(data, text, decode=False)


# Units


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.4, 0.6), (-1, 0), (-0.2, 1.3)], ids=["all", "middle", "counted from 1", "cut off"]
)
def test_shares_of_a_picture_are_an_error(low, high):
    samples = people(drawn(3, low, high))
    finding = found(samples, "0..1")
    assert (finding.level, finding.count) == ("error", 3)
    assert "YOLO" in finding.what and "multiply x by the picture's width" in finding.what and "0.png" in finding.what
    with pytest.raises(KpError, match=r"0\.\.1"):
        require_usable(Made(samples), ("train",))
    trusted = found(samples, "0..1", trust_coordinates=True)
    assert trusted.level == "warning"
    require_usable(Adjusted(Made(samples), Adjustments(trust_coordinates=True)), ("train",))


def test_some_people_in_shares_are_a_warning():
    finding = found(people([*drawn(5, 0, 400), *drawn(2, 0, 1)]), "0..1")
    assert (finding.level, finding.count) == ("warning", 2) and "5.png" in finding.what


@pytest.mark.parametrize("size", [(8, 8), (15, 600)])
def test_a_tiny_picture_may_hold_small_coordinates(size):
    assert found(people(drawn(3, 0, 1), size), "0..1") is None


def test_whole_numbers_at_a_corner_are_no_shares():
    assert found(people(np.zeros((4, 3, 2))), "0..1") is None
    assert found(people(np.full((4, 3, 2), 0.5)), "0..1") is None


def test_an_unlabelled_point_says_nothing_of_the_unit():
    points = drawn(3, 0, 1)
    points[:, 1:] = 300
    assert found(people(points, state=[[2, 0, 0]] * 3), "0..1").level == "error"
    assert found(people(points), "0..1") is None


PLACEHOLDERS = [(-999, -999), (-1, -1), (0, 0), (-2, -2), (9999, 9999), (500, 400)]


@pytest.mark.parametrize("place", PLACEHOLDERS)
def test_placeholders_beside_shares_hide_nothing(place):
    points = drawn(8, 0.1, 0.9)
    points[[1, 4, 6], [0, 1, 2]] = place
    points[3, :2] = place
    finding = found(people(points), "0..1")
    assert finding.level == "error" and ("all coordinates" in finding.what) == (place != (500, 400))
    assert found(people(drawn(8, 10, 400)), "0..1") is None


@pytest.mark.parametrize("axis", [0, 1])
def test_shares_on_one_axis_are_an_error(axis):
    points = drawn(5, 10, 400)
    points[..., axis] = drawn(5, 0, 1, seed=1)[..., axis]
    finding = found(people(points), "0..1")
    assert (finding.level, finding.count) == ("error", 5) and f"all {'xy'[axis]} lie in 0..1" in finding.what
    points[..., 1 - axis] = 200
    assert found(people(points), "0..1").level == "error"
    points[..., 1 - axis] = 0.5
    assert "all coordinates lie in 0..1" in found(people(points), "0..1").what


def test_shares_rounded_to_whole_numbers_are_an_error():
    assert found(people(np.round(drawn(6, 0, 1))), "0..1").level == "error"


def test_a_few_places_at_an_edge_are_no_shares():
    points = drawn(5, 10, 400)
    points[:4, 0, 0] = [0.2, 0.8, 1.4, 1.9]
    assert found(people(points), "0..1") is None
    points[:, 1:] = [0.3, 300]  # something that stands at the left edge of all pictures
    assert found(people(points[4:].repeat(5, 0)), "0..1") is None


# Percent


def percent(finding):
    return finding and finding.level


@pytest.mark.parametrize("rounded", [0, 1, 5])
def test_percent_up_to_100_on_large_pictures_is_an_error(rounded):
    finding = found(people(np.round(drawn(12, 0, 100), rounded)), "0..100")
    assert (finding.level, finding.count) == ("error", 12) and "Label Studio" in finding.what
    assert "divide by 100" in finding.what and "trust_coordinates" in finding.what
    assert found(people(drawn(12, 0, 100)), "0..100", trust_coordinates=True).level == "warning"


@pytest.mark.parametrize(
    ("count", "low", "high", "size", "level"),
    [
        (12, 0, 100, (240, 300), "warning"),
        (12, 0, 100, (140, 130), None),  # hardly larger than 100: things may be anywhere
        (2, 0, 100, (640, 480), "warning"),
        (1, 0, 100, (640, 480), None),  # three points are an accident
        (6, 20, 60, (640, 480), "warning"),
        (6, 30, 50, (640, 480), None),  # a corner where something may sit
        (6, 20, 60, (240, 300), None),
        (12, 10, 90, (240, 180), "warning"),  # about the middle of 0..100, not of the pictures
        (12, 0, 80, (240, 180), None),
        (12, 0, 150, (640, 480), None),
        (12, 5, 90, (640, 480), "warning"),
        (12, 5, 90, (96, 96), None),
    ],
)
@pytest.mark.parametrize("digits", [0, 6])
def test_what_may_be_percent_or_something_small_is_a_warning(count, low, high, size, level, digits):
    finding = found(people(np.round(drawn(count, low, high), digits), size), "0..100")
    assert percent(finding) == level
    if finding:
        assert "or pixels of something small at the top left" in finding.what and "trust_coordinates" in finding.what


@pytest.mark.parametrize(("count", "level"), [(1, "warning"), (2, "warning"), (3, "error")])
def test_parts_of_few_samples_are_judged_by_their_points(count, level):
    points = np.linspace(0, 100, count * 6).reshape(count * 2, 3, 1).repeat(2, 2)
    several = [dataclasses.replace(one, points=both, state=np.full(6, 2, np.uint8)) for one, both in zip(
        people(points[:count]), points.reshape(count, 6, 2).astype(np.float32), strict=True)]  # fmt: skip
    (finding,) = unit_findings(Instances.of(several), np.full((count, 2), 500.0))
    assert finding.level == level and "0..100" in finding.what


def test_a_trusted_doubt_is_a_note():
    assert found(people(drawn(12, 5, 90)), "0..100", trust_coordinates=True).level == "note"


@pytest.mark.parametrize("seed", range(5))
def test_something_small_in_the_first_90_pixels_is_never_refused(seed):
    points = np.random.default_rng(seed).integers(0, 91, (40, 3, 2))
    assert percent(found(people(points), "0..100")) == "warning"
    require_usable(Made(people(points)), ("train",))


def test_pictures_that_are_hardly_larger_than_100_say_nothing():
    rng = np.random.default_rng(2)
    small, large = people(rng.integers(0, 96, (30, 3, 2)), (96, 96)), people(rng.integers(0, 400, (4, 3, 2)))
    assert found([*small, *large], "0..100") is None
    assert percent(found([*small, *people(rng.integers(0, 101, (30, 3, 2)))], "0..100")) == "error"


@pytest.mark.parametrize("place", PLACEHOLDERS)
def test_placeholders_beside_percent_hide_nothing(place):
    points = drawn(12, 0, 100)
    points[[1, 4, 6], [0, 1, 2]] = place
    assert percent(found(people(points), "0..100")) == "error"


def test_a_place_beyond_makes_percent_less_sure():
    points = drawn(12, 0, 100)
    points[4, 1] = 300
    assert percent(found(people(points), "0..100")) == "warning"
    points[:2, 1] = [[300, 200], [310, 100]]
    assert found(people(points), "0..100") is None


def test_what_is_whole_pixels_as_percent_is_an_error():
    pixels = np.random.default_rng(4).integers([150, 100], [450, 350], (6, 3, 2))
    for extent in ([640, 480], [639, 479]):
        assert percent(found(people(pixels / np.array(extent) * 100), "0..100")) == "error"
    assert percent(found(people(np.round(pixels / [640, 480] * 100, 2)), "0..100")) == "error"
    assert percent(found(people(np.round(pixels / [640, 480] * 100, 1)), "0..100")) == "warning"
    assert percent(found(people(pixels / 8), "0..100")) == "warning"  # eighths of a pixel


def test_one_axis_in_percent():
    points = drawn(12, 10, 400)
    points[..., 0] = drawn(12, 0, 100, seed=1)[..., 0]
    finding = found(people(points), "0..100")
    assert finding.level == "warning" and "all x lie in 0..100" in finding.what
    points[..., 0] = np.random.default_rng(4).integers(150, 450, (12, 3)) / 6.4
    assert found(people(points), "0..100").level == "error"
    points[..., 0] = drawn(12, 5, 60, seed=1)[..., 0]  # something at the left edge
    assert found(people(points), "0..100") is None
    points[..., 0], points[..., 1] = drawn(12, 0, 100, seed=1)[..., 0], 50
    assert found(people(points), "0..100").level == "error"


def boxed(points, middles, side):
    """People whose crops have a middle (N, 2) and a side of their own."""
    return [
        dataclasses.replace(one, centre=np.asarray(middle, np.float32), side=side)
        for one, middle in zip(people(points), middles, strict=True)
    ]


def test_boxes_that_fit_the_points_only_as_percent_make_it_an_error():
    rng = np.random.default_rng(6)
    middles = rng.uniform([200, 160], [440, 320], (6, 2))
    pixels = middles[:, None] + rng.uniform(-100, 100, (6, 3, 2))
    points = pixels / [6.4, 4.8]
    assert percent(found(boxed(points, middles, 220.0), "0..100")) == "error"
    drawn_around = (points.min(1) + points.max(1)) / 2
    assert percent(found(boxed(points, drawn_around, 60.0), "0..100")) == "warning"
    assert percent(found(boxed(points, [(320, 240)] * 6, 640.0), "0..100")) == "warning"  # the whole picture tells none


# Outside


def test_many_points_outside_are_an_error():
    points = drawn(6, 0, 400)
    points[:3] += [700, 0]
    samples = people(points)
    finding = found(samples, "outside their picture")
    assert (finding.level, finding.count) == ("error", 3) and "9 of 18" in finding.what
    assert found(samples, "outside their picture", trust_coordinates=True).level == "warning"
    with pytest.raises(KpError, match="9 of 18 labelled"):
        require_usable(Made(samples), ("train",))


def test_a_quarter_outside_is_still_no_error_and_a_far_one_is_a_warning():
    points = drawn(10, 10, 400)
    points[:7, 0] = [650, 20]
    assert found(people(points), "truncated: 7 labelled").level == "note"
    assert found(people(points), "outside their picture") is None
    points[:7, 0] = [640 + 97, 20]
    finding = found(people(points), "far outside")
    assert (finding.level, finding.count) == ("warning", 7)


def test_five_points_outside_say_nothing_of_all():
    points = drawn(2, 10, 400)
    points[:, :2] += [1000, 0]
    assert found(people(points), "far outside").level == "warning"
    points[:, :] += [1000, 0]
    assert found(people(points), "6 of 6 labelled").level == "error"


# Placeholders


@pytest.mark.parametrize("place", [(0, 0), (-1, -1), (-2, -2)])
def test_a_label_at_a_corner_is_a_warning_with_the_option(place):
    points = drawn(4, 10, 400)
    points[2:, 1] = place
    finding = found(people(points), "exactly")
    assert (finding.level, finding.count) == ("warning", 2)
    assert f"'ear' (2); where that stands for 'not labelled', set dataset.unlabelled_at = [[{place[0]}," in finding.what
    assert "2.png, row 2" in finding.what


def test_one_place_in_many_people_is_a_warning():
    points = drawn(40, 10, 400)
    points[10:16, [0, 2]] = [320, 240]
    finding = found(people(points), "exactly")
    assert finding.level == "warning" and finding.count == 12 and "'nose' (6), 'tail' (6)" in finding.what
    assert "[[320, 240]]" in finding.what


def test_a_few_people_at_one_place_are_none():
    points = drawn(40, 10, 400)
    points[:4, 0] = [320, 240]
    assert found(people(points), "exactly") is None
    many = drawn(400, 10, 400)
    many[:19, 0] = [320, 240]
    assert found(people(many), "exactly") is None
    many[:20, 0] = [320, 240]
    assert found(people(many), "exactly").count == 20


def test_three_of_a_dozen_are_many():
    points = drawn(12, 10, 400)
    points[:3, 0] = [320, 240]
    assert found(people(points), "exactly").count == 3
    points[3:5, 0] = [100, 100]
    assert found(people(points), "exactly") is None


def test_a_place_that_is_scattered_over_keypoints_is_a_warning():
    points = drawn(30, 10, 400)
    points[[0, 5, 9, 14, 20, 28], [0, 1, 2, 0, 1, 2]] = [320, 240]
    finding = found(people(points), "exactly")
    assert finding.count == 6 and "'nose' (2), 'ear' (2), 'tail' (2)" in finding.what and "[[320, 240]]" in finding.what
    points[[14, 20], [0, 1]] += 1
    assert found(people(points), "exactly") is None
    points = drawn(30, 10, 400)
    points[[0, 5, 9, 14, 20, 28], [0, 1, 1, 0, 1, 0]] = [320, 240]  # two keypoints may meet
    assert found(people(points), "exactly") is None


def test_a_scattered_place_is_told_beside_a_corner():
    points = drawn(30, 10, 400)
    points[[0, 5, 9, 14, 20, 28], [0, 1, 2, 0, 1, 2]] = [320, 240]
    points[11, 1] = 0
    told = [one for one in check_part(Made(people(points)), "train", decode=False) if "exactly" in one.what]
    assert [one.count for one in told] == [1, 6]


def test_a_keypoint_that_crops_are_centred_on_is_a_note():
    points = drawn(8, 10, 400)
    points[:, 0] = [320, 240]
    assert found(people(points), "exactly") is None
    finding = found(people(points), "in everybody")
    assert finding.level == "note" and "'nose' (8)" in finding.what


def test_aligned_faces_in_whole_pixels_are_no_placeholders():
    points = np.round(np.random.default_rng(1).normal([100, 80], 0.6, (300, 3, 2)))
    assert found(people(points), "exactly") is None


@pytest.mark.parametrize("deviation", [0.2, 0.3, 0.6, 1.5, 3])
@pytest.mark.parametrize("step", [1, 0.5])
def test_forty_aligned_faces_are_no_placeholders(deviation, step):
    for seed in range(20):
        free = np.random.default_rng(seed).normal([[60, 80], [100, 80], [80, 110]], [[deviation], [deviation], [9]])
        points = np.stack([np.random.default_rng([seed, row]).normal(free, deviation) for row in range(40)])
        assert found(people(np.round(points / step) * step, (160, 160)), "exactly") is None


def test_a_placeholder_lies_apart_from_aligned_faces():
    points = np.round(np.random.default_rng(1).normal([[60, 80], [100, 80], [80, 110]], 2, (40, 3, 2)))
    points[:8, 1] = [20, 20]
    finding = found(people(points, (160, 160)), "exactly")
    assert finding.count == 8 and "'ear' (8)" in finding.what and "[[20, 20]]" in finding.what


def test_an_animal_that_rests_and_shifts_a_little_is_no_placeholder():
    rng = np.random.default_rng(1)
    points = np.round(rng.uniform(10, 400, (60, 3, 2)))
    points[:30] = np.round(rng.normal([200, 100], [[0.3], [4], [4]], (30, 3, 2)))
    assert found(people(points), "exactly") is None


def test_an_animal_that_sits_still_is_no_placeholder():
    points = drawn(30, 10, 400)
    points[:12] = points[0]
    assert found(people(points), "exactly") is None


def test_unlabelled_corners_are_fine():
    points = drawn(4, 10, 400)
    points[:, 1] = 0
    assert found(people(points, state=[[2, 0, 2]] * 4), "exactly") is None


# unlabelled_at


def around(points, factor=1.25, **changes):
    """A person whose crop and length a reader took from the points."""
    points = np.asarray(points, np.float32)
    low, high = points.min(0), points.max(0)
    (one,) = people([points])
    longer = float((high - low).max())
    return dataclasses.replace(one, centre=(low + high) / 2, side=factor * longer, normaliser=longer, **changes)


def adjusted(sample, *places):
    return Adjusted(Made([sample]), Adjustments(unlabelled_at=tuple(places)))


def test_a_place_is_unlabelled_and_the_crop_drawn_anew():
    given = [[0, 0], [200, 100], [300, 140]]
    data = adjusted(around(given), (0, 0))
    (one,) = data.samples("train")
    assert one.state.tolist() == [0, 2, 2] and np.isnan(one.points[0]).all()
    np.testing.assert_array_equal(one.points[1:], given[1:])
    assert one.centre.tolist() == [250, 120] and one.side == pytest.approx(125) and one.normaliser == pytest.approx(100)
    assert data.samples("train")[0] is one
    notes = [finding for finding in data.findings("train") if "unlabelled_at" in finding.what]
    assert [(note.level, note.count) for note in notes] == [("note", 1)]


@pytest.mark.parametrize("length", ["diagonal", "own"])
def test_lengths_that_do_not_hang_on_the_points_stay(length):
    given = np.array([[0, 0], [200, 100], [300, 140]], float)
    normaliser = float(np.hypot(300, 140)) if length == "diagonal" else 77.0
    (one,) = adjusted(around(given, 1.5), (0, 0)).samples("train")
    (two,) = adjusted(dataclasses.replace(around(given, 1.5), normaliser=normaliser), (0, 0)).samples("train")
    assert one.side == two.side == pytest.approx(150)
    # the diagonal of the box, from the placeholder: it is taken anew, since the box's diagonal is asked for first
    assert two.normaliser == pytest.approx(float(np.hypot(100, 40)) if length == "diagonal" else 77.0)


def test_a_crop_of_its_own_stays():
    sample = people([[[0, 0], [200, 100], [300, 140]]])[0]
    (one,) = adjusted(sample, (0, 0)).samples("train")
    assert (one.side, one.centre.tolist(), one.normaliser) == (640, [320, 240], 50)


def test_a_crop_that_was_widened_to_a_placeholder_is_narrowed():
    sample = dataclasses.replace(
        people([[[0, 0], [260, 190], [240, 210]]])[0], centre=np.array([250, 200], np.float32), side=2 * 250.0 + 2
    )
    (one,) = adjusted(sample, (0, 0)).samples("train")
    assert one.centre.tolist() == [250, 200] and one.side == 32.0


def test_a_length_that_ends_at_a_placeholder_is_an_error():
    sample = dataclasses.replace(people([[[0, 0], [200, 100], [300, 140]]])[0], normaliser=float(np.hypot(200, 100)))
    data = adjusted(sample, (0, 0))
    (finding,) = [finding for finding in data.findings("train") if finding.level == "error"]
    assert "normaliser" in finding.what and "0.png, row 0" in finding.what


def test_nobody_left_keeps_the_crop():
    sample = around([[0, 0], [0, 0], [0, 0]], state=np.array([2, 2, 2], np.uint8))
    (one,) = adjusted(sample, (0, 0)).samples("train")
    assert not one.state.any() and one.side == sample.side


def test_keys_change_where_samples_do_and_only_there():
    near, far = people(drawn(2, 10, 400)), around([[0, 0], [200, 100], [300, 140]])
    same = Adjusted(Made(near), Adjustments(unlabelled_at=((0.0, 0.0),))).samples("train")
    assert fingerprint(same, SKELETON) == fingerprint(near, SKELETON)
    changed = fingerprint(adjusted(far, (0, 0)).samples("train"), SKELETON)
    before = fingerprint([far], SKELETON)
    assert changed.keypoints["nose"] != before.keypoints["nose"] and changed.boxes != before.boxes
    assert changed.keypoints["ear"] == before.keypoints["ear"]


def test_the_data_sets_own_findings_stay():
    class Odd(Listed):
        def findings(self, part):
            return (Finding("note", "own"),)

    odd = Odd(SKELETON, people(drawn(2, 10, 400)))
    data = Adjusted(odd, Adjustments(unlabelled_at=((0.0, 0.0),)))
    assert [finding.what for finding in data.findings("train")] == [
        "own",
        "unlabelled_at: no labelled keypoint lies at (0, 0)",
    ]
    assert data.facts == odd.facts


# As users give them


@pytest.fixture
def folder(tmp_path):
    rows = ["image,part,nose_x,nose_y,ear_x,ear_y,tail_x,tail_y"]
    points = np.random.default_rng(5).integers(10, 60, (8, 6))
    points[:, 2:4] = 0
    for row, values in enumerate(points):
        Image.fromarray(np.random.default_rng(row).integers(0, 255, (64, 80, 3), np.uint8)).save(
            tmp_path / f"{row}.png"
        )
        rows.append(",".join([f"{row}.png", "valid" if row % 2 else "train", *map(str, values)]))
    (tmp_path / "keypoints.csv").write_text("\n".join(rows))
    return tmp_path


def check(folder, capsys, *arguments):
    code = outcome(["data", "check", str(folder), "--json", *arguments])
    captured = capsys.readouterr()
    return code, json.loads(captured.out)["findings"] if captured.out else captured.err


@pytest.mark.parametrize("key", ["unlabelled_at", "dataset.unlabelled_at"])
def test_core_options_need_no_study_file(folder, capsys, key):
    _, findings = check(folder, capsys)
    assert [f["count"] for f in findings if "exactly (0, 0)" in f["what"]] == [4, 4]
    code, findings = check(folder, capsys, "--set", f"{key}=[[0, 0]]", "--set", "orientation=stored")
    assert code == 0 and not [f for f in findings if "exactly" in f["what"] or f["level"] == "error"]
    assert [f["count"] for f in findings if "(unlabelled_at)" in f["what"]] == [4, 4]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("unlabelled_at=[[0]]", "unlabelled_at: needs a list of places, for instance [[0, 0]]"),
        ("unlabelled_at=[0, 0]", "unlabelled_at: needs a list of places"),
        ("unlabeled_at=[[0, 0]]", "unknown key 'unlabeled_at'; did you mean 'unlabelled_at'?"),
        ("orientation=up", "orientation: "),
        ("trust_coordinates=perhaps", "trust_coordinates: "),
    ],
)
def test_wrong_core_options_are_one_line(folder, option, text):
    with pytest.raises(KpError) as error:
        open_named(registry(), "named", folder, [option])
    assert text in str(error.value) and "\n" not in str(error.value)


STUDY = """
[dataset]
name = "named"
[split]
name = "explicit"
[split.sets.a]
steps = [["nose"], ["tail"]]
[backbone]
name = "hourglass"
stages = [1, 2]
channels = 8
depth = 2
[codec]
name = "heatmap"
[training]
resolution = 32
batch_size = 2
[evaluation]
metric = { name = "pck", normaliser = "crop", threshold = 0.1 }
"""


def plan(folder, capsys, *arguments):
    study = folder / "study.toml"
    study.write_text(STUDY)
    code = outcome(["run", str(study), "--plan", "--set", f"dataset.root={folder}", *arguments])
    return code, capsys.readouterr().err


def test_a_run_refuses_wrong_units_and_takes_what_is_trusted(folder, capsys):
    text = (folder / "keypoints.csv").read_text().splitlines()
    shares = [text[0]] + [
        ",".join([*line.split(",")[:2], *(f"{int(value) / 64 + 0.01:.4f}" for value in line.split(",")[2:])])
        for line in text[1:]
    ]
    (folder / "keypoints.csv").write_text("\n".join(shares))
    code, said = plan(folder, capsys)
    assert code == 2 and "all coordinates lie in 0..1" in said and "Traceback" not in said
    assert plan(folder, capsys, "--set", "dataset.trust_coordinates=true")[0] == 0


def test_an_option_is_part_of_a_runs_keys(folder):
    study = folder / "study.toml"
    study.write_text(STUDY)
    keys = [
        open_study(registry(), study, None, [f"dataset.root={folder}", *sets], lambda text: None)
        .data[""]
        .train.fingerprint
        for sets in ([], ["dataset.unlabelled_at=[[0, 0]]"], ["dataset.orientation=stored"])
    ]
    assert keys[0] == keys[2] and keys[0].keypoints["ear"] != keys[1].keypoints["ear"]
    assert keys[0].keypoints["nose"] == keys[1].keypoints["nose"]
