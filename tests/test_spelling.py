"""One keypoint in two spellings: in one data set, in two parts of it, in two data sets of a study; and Unicode."""

import numpy as np
import pytest

from kpcore.audit.spellings import spelled_apart, spelling_findings
from kpcore.errors import told_apart, unknown
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.reading.paths import Images
from kpcore.reading.spelling import loosely, pairs_told, respelled
from kpcore.samples import Instances, Sample

COMPOSED, DECOMPOSED = "caf\xe9", "cafe\u0301"


@pytest.mark.parametrize(
    ("one", "other"),
    [("Left_Eye", "left eye"), ("left-eye", "LeftEye"), ("left.eye", "LEFT_EYE"), (COMPOSED, "CAFE\u0301"),
     ("tail_1", "tail1"), ("p 1_2", "P1.2"), ("\uff4c_eye", "l_eye")],
)  # fmt: skip
def test_spellings_of_one_name(one, other):
    assert loosely(one) == loosely(other)
    assert respelled(["nose", one], [other, "nose"]) == [(one, other)]
    assert respelled([one, other], [other]) == []


@pytest.mark.parametrize(
    ("one", "other"), [("tail_1_1", "tail_11"), ("left_eye", "right_eye"), ("eye", "eyes"), ("l_eye", "eye_l")]
)
def test_different_names_stay_different(one, other):
    assert loosely(one) != loosely(other)
    assert respelled([one], [other]) == []


def told(names, states):
    people = [
        Sample(None, np.zeros((len(names), 2), np.float32), np.asarray(state, np.uint8), np.zeros(2, np.float32), 9.0,
               9.0, f"{row}.png", "0", row) for row, state in enumerate(states)
    ]  # fmt: skip
    return spelling_findings(Instances.of(people), names)


def test_two_spellings_that_nobody_has_both_of_are_a_warning():
    (found,) = told(("nose", "Left_Eye", "left eye"), [(2, 0, 0), (2, 2, 0), (0, 0, 1), (2, 0, 2)])
    assert (found.level, found.count) == ("warning", 3)
    assert found.what == (
        "one keypoint in two spellings, taken as two, and nobody has both: 'Left_Eye' and 'left eye'; write one of"
        " them everywhere (first: 1.png, row 1)"
    )
    (found,) = told(("Left_Eye", "left eye"), [(2, 0), (2, 0)])  # the other stands in another part
    assert found.count == 2


def test_two_keypoints_that_somebody_has_both_of_are_two():
    assert told(("A", "a", "b"), [(2, 0, 2), (0, 2, 2), (1, 2, 0)]) == []


def test_many_pairs_are_counted():
    names = [f"{spelt}{n}" for n in range(9) for spelt in ("P", "p_")]
    (found,) = told(names, [[2, 0] * 9, [0, 2] * 9])
    assert "'P4' and 'p_4' and 4 more;" in found.what


def skeleton(*names):
    return Skeleton("s", tuple(Keypoint(name) for name in names))


def test_two_data_sets_that_spell_one_keypoint_in_two_ways_are_told_with_aliases():
    (line,) = spelled_apart({"cats": skeleton("nose", "Left_Eye"), "dogs": skeleton("left eye", "nose")})
    assert line.startswith("cats and dogs spell keypoints in two ways, so that they are different ones: 'Left_Eye' and")
    assert line.endswith("give them one name by aliases in the data set's table")
    assert spelled_apart({"cats": skeleton("nose", "tail"), "dogs": skeleton("ear", "nose")}) == []


def test_names_that_differ_in_unicode_form_are_shown_with_what_differs():
    assert told_apart(COMPOSED, DECOMPOSED) == ("caf\\xe9", "cafe\\u0301")
    assert told_apart(f"\u9f3b{COMPOSED}", f"\u9f3b{DECOMPOSED}") == ("\u9f3bcaf\\xe9", "\u9f3bcafe\\u0301")
    assert told_apart(COMPOSED, COMPOSED) == (COMPOSED, COMPOSED)
    assert told_apart(COMPOSED, "cafe") == (COMPOSED, "cafe")
    assert str(unknown("keypoint", COMPOSED, [DECOMPOSED, "b"])).startswith(
        "unknown keypoint 'caf\\xe9'; did you mean 'cafe\\u0301'?"
    )
    assert pairs_told([(COMPOSED, DECOMPOSED)]) == "'caf\\xe9' and 'cafe\\u0301'"


def test_an_image_whose_file_has_another_unicode_form_is_told_with_the_difference(tmp_path):
    (tmp_path / f"{DECOMPOSED}.png").write_bytes(b"")
    images = Images(tmp_path)
    assert images.name(f"{COMPOSED}.png", "row 1") == f"{DECOMPOSED}.png"
    (found,) = images.findings()
    assert found.level == "warning" and found.what.endswith("(first: 'caf\\xe9.png' is 'cafe\\u0301.png')")
