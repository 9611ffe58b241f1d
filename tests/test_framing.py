"""Crops against the keypoints that they are cut for, and points whose axes are exchanged."""

import numpy as np
import pytest

from kpcore.audit.annotation import annotation_findings
from kpcore.audit.framing import axes_findings, framing_findings
from kpcore.samples import Instances, Sample

SIZE = (640, 360)


def person(row, points, centre, side, state=None):
    points = np.asarray(points, np.float32)
    states = np.full(len(points), 2, np.uint8) if state is None else np.asarray(state, np.uint8)
    return Sample(None, points, states, np.asarray(centre, np.float32), side, 9.0, f"{row}.png", "0", row)


def honest(count=20, seed=0):
    """People 60 to 200 px high, all over a picture of 640 x 360."""
    random = np.random.default_rng(seed)
    people = []
    for row in range(count):
        high = random.uniform(60, 200)
        centre = random.uniform((40, high / 2), (600, 360 - high / 2))
        points = centre + random.uniform(-0.5, 0.5, (8, 2)) * (0.4 * high, high)
        people.append(person(row, points, centre, 1.25 * high))
    return people


def changed(people, every=1, **how):
    """Return people of whom every n-th has its points, centre or side changed."""
    new = []
    for row, one in enumerate(people):
        fields = {name: getattr(one, name) for name in ("points", "centre", "side")}
        if row % every == 0:
            fields |= {name: change(fields[name]) for name, change in how.items()}
        new.append(person(row, **fields))
    return Instances.of(new)


def framed(people, **more):
    return [(found.level, found.what, found.count) for found in framing_findings(people, **more)]


def axes(people, **more):
    found = axes_findings(people, np.tile(np.float64(SIZE), (len(people), 1)), **more)
    return [(one.level, one.what, one.count) for one in found]


def exchanged(points):
    return points[..., ::-1]


def test_honest_crops_say_nothing():
    people = changed(honest(200))
    assert framed(people) == axes(people) == []


CENTRES = {
    "none": lambda centre: centre * 0 - 1, "far": lambda centre: centre + 4000,
    "of another": lambda centre: np.add(centre, (150, 0)),
}  # fmt: skip


@pytest.mark.parametrize("how", CENTRES)
def test_crops_beside_their_keypoints_are_an_error(how):
    people = honest()
    ((level, what, count),) = framed(changed(people, centre=CENTRES[how]))
    assert (level, what[:55]) == ("error", "most labelled keypoints lie outside the crop that the f") and count > 10
    assert "where they are right, set dataset.trust_coordinates = true (first: " in what
    ((level, _, same),) = framed(changed(people, centre=CENTRES[how]), trusted=True)
    assert (level, same) == ("warning", count)


def test_a_few_crops_beside_their_keypoints_are_a_warning():
    ((level, what, count),) = framed(changed(honest(), every=5, centre=CENTRES["far"]))
    assert (level, count) == ("warning", 4) and "(first: 0.png, row 0)" in what
    assert framed(changed(honest(), every=4, centre=CENTRES["far"]))[0][0] == "error"


def test_half_of_the_labelled_keypoints_may_be_cut_off():
    points = [[0, 0], [1, 1], [90, 90], [91, 91], [500, 500]]
    for count, state in ((0, [2, 2, 2, 2, 0]), (1, [2, 2, 2, 2, 1])):
        assert len(framed(Instances.of([person(0, points, (0, 0), 20.0, state)]))) == count


@pytest.mark.parametrize("side", [lambda side: side / 5, lambda side: 4.0])
def test_crops_far_too_small_hold_nothing(side):
    ((level, _, count),) = framed(changed(honest(), side=side))
    assert level == "error" and count > 15


@pytest.mark.parametrize(("factor", "level"), [(200, "error"), (50, "warning"), (10, None)])
def test_crops_far_too_large_are_told_with_how_far(factor, level):
    found = framed(changed(honest(), side=lambda side: side * factor))
    assert [one[0] for one in found] == ([level] if level else [])
    if found:
        told = float(found[0][1].partition(" of their crop")[0].rpartition("1/")[2])
        assert factor * 1.25 < told < 2 * factor * 1.25  # people's points reach over more than half of their height
        assert "is the scale in another unit" in found[0][1] and found[0][2] == 20
        assert framed(changed(honest(), side=lambda side: side * factor), trusted=True)[0][0] == "warning"


def test_two_points_a_small_crop_and_what_is_no_number_say_nothing_of_a_size():
    for sample in (
        person(0, [[0, 0], [1, 1]], (0, 0), 900.0),
        person(0, [[0, 0], [1, 1], [1, 0]], (0, 0), 64.0),
        person(0, [[0, 0], [9, 9], [9, 0]], (0, 0), 0.0),
        person(0, [[0, 0], [9, 9], [9, 0]], (np.nan, 0), 30.0),
        person(0, [[7, 7], [7, 7], [7, 7]], (7, 7), 900.0),
    ):
        assert framed(Instances.of([sample])) == []


def test_exchanged_axes_are_told_by_the_crop_or_by_the_picture():
    (crop,) = framed(changed(honest(), points=exchanged))
    assert crop[0] == "error" and "with x and y exchanged they lie inside: exchange them; where" in crop[1]
    ((level, what, count),) = axes(changed(honest(), points=exchanged))
    assert level == "error" and what.partition(": ")[0].endswith("and with x and y exchanged none does") and count == 5
    both = changed(honest(), points=exchanged, centre=exchanged)
    assert framed(both) == []
    assert [one[0] for one in axes(both)] == ["warning", "error"]  # of the centres, of the points
    assert [one[0] for one in axes(both, trusted=True)] == ["warning", "warning"]


def test_a_few_exchanged_are_a_warning_and_who_is_cut_off_is_none():
    people = honest(60)
    wide = [one for one in people if one.points[:, 0].min() > 400]
    rest = [one for one in people if one.points[:, 0].max() < 400]
    wrong = [person(0, exchanged(one.points), one.centre, one.side) for one in wide[:2]]
    few = Instances.of([*wrong, *rest, *rest])
    assert [(level, count) for level, _, count in axes(few)] == [("warning", 2)]
    feet = Instances.of(
        [*wrong, *rest * (110 // len(rest) + 1)]
    )  # as many as the picture's edge cuts off among so many
    assert axes(feet) == []
    low = [person(0, np.add(one.points, (0, 360 - one.points[:, 1].max() + 12)), one.centre, one.side) for one in rest]
    assert axes(Instances.of(low)) == []


def test_a_centre_beside_the_picture_is_a_warning_and_an_unknown_size_none():
    beside = changed(honest(), every=10, centre=lambda centre: centre - 700)
    assert [(level, count) for level, _, count in axes(beside)] == [("warning", 2)]
    assert axes_findings(changed(honest(), points=exchanged), np.full((20, 2), np.nan)) == []


def test_the_check_of_a_part_tells_it(tmp_path):
    from kp_named.dataset import Named

    (tmp_path / "keypoints.csv").write_text("image,a_x,a_y\n1.png,3,4\n2.png,5,6\n")
    named = Named(**Named.Config(root=str(tmp_path)).model_dump())
    away = [person(0, [[9, 9]], (40, 40), 20.0)]
    named.samples = lambda part: away
    assert [found.what[:40] for found in annotation_findings(named, "train")] == [
        "most labelled keypoints lie outside the "
    ]
