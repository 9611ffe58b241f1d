"""Sides in names: the table of naming schemes in use, what is no side, and what holds for any names."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpcore.audit.sides import disagreements, lonely, pairs_of, side_findings
from kpcore.errors import KpError
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.reading.sides import (
    contradiction,
    mirror_partners,
    names_a_side,
    shared_name,
    side_of,
    without_partner,
)
from kpcore.reading.skeletons import sided_keypoints, told_groups, told_partners
from kpcore.registry import registry


def both(pattern, *names, sides=("left", "right")):
    """Return the pairs of a scheme: the pattern's {side} and {name} filled in."""
    return [tuple(pattern.format(side=side, name=name) for side in sides) for name in names]


LR = ("l", "r")
CAPITALS = ("L", "R")
SCHEMES = {
    "COCO": (both("{side}_{name}", "eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"), ["nose"]),
    "COCO-WholeBody": (both("{side}_{name}", "big_toe", "small_toe", "heel", "thumb1", "forefinger4"), []),
    "AP-10K": (
        both("{side}_{name}", "eye", "shoulder", "elbow", "front_paw", "hip", "knee", "back_paw"),
        ["nose", "neck", "root_of_tail"],
    ),
    "AP-10K's files": (
        both("{side}_{name}", "Eye", "Shoulder", "Elbow", "F_Paw", "Hip", "Knee", "B_Paw", sides=CAPITALS),
        ["Nose", "Neck", "Root of tail"],
    ),
    "Animal Pose": (
        both("{side}_{name}", "Eye", "EarBase", "F_Elbow", "B_Knee", sides=CAPITALS), ["Nose", "Throat", "TailBase"],
    ),
    "DeepLabCut, SuperAnimal quadruped": (
        [*both("{side}_{name}", "eye", "earbase", "antler_end"), *both("mouth_end_{side}", ""),
         *both("front_{side}_{name}", "thai", "knee", "paw"), *both("back_{side}_{name}", "thai", "knee", "paw")],
        ["nose", "upper_jaw", "lower_jaw", "throat_base", "tail_end", "belly_bottom", "body_middle_right"],
    ),
    "DeepLabCut, SuperAnimal top-view mouse": (
        both("{side}_{name}", "ear", "ear_tip", "eye", "shoulder", "midside", "hip"),
        ["nose", "neck", "mid_back", "mouse_center", "tail_base", "tail1", "tailend", "head_midpoint"],
    ),
    "DeepLabCut, mouse": (both("{side}{name}", "ear"), ["snout", "tailbase"]),
    "DeepLabCut, mouse, words in one": (
        [("LeftPaw", "RightPaw"), ("EarLeft", "EarRight"), ("leftForepaw", "rightForepaw")], ["TailBase"],
    ),
    "DeepLabCut, mouse, letters": ([("ear.l", "ear.r"), ("paw-L", "paw-R"), ("hip l", "hip r")], ["tail"]),
    "DeepLabCut, mouse, order of words": (both("paw_{side}_{name}", "front", "hind"), ["belly"]),
    "DeepLabCut, mirror mouse": (
        [], ["paw1LH_top", "paw2LF_top", "paw3RF_top", "paw4RH_top", "tailBase_top", "nose_bot", "obsLow_bot"],
    ),
    "DeepLabCut, Horse-10": (
        [],
        ["Nose", "Eye", "Nearknee", "Nearfrontfetlock", "Offknee", "Offfrontfetlock", "Shoulder", "Midshoulder",
         "Elbow", "Girth", "Wither", "Nearhindhock", "Offhindhock", "Hip", "Stifle", "Ischium"],
    ),
    "SLEAP, fly": (
        both("{name}{side}4", "foreleg", "midleg", "hindleg", sides=CAPITALS)
        + both("{name}{side}", "eye", "wing", sides=CAPITALS),
        ["head", "thorax", "abdomen"],
    ),
    "SLEAP, fly, joints": (
        both("{name}{side}1", "foreleg", "midleg", sides=CAPITALS)
        + both("{name}{side}2", "foreleg", "midleg", sides=CAPITALS),
        ["neck"],
    ),
    "quadruped, capitals": ([("LF", "RF"), ("LH", "RH")], ["T"]),
    "quadruped, capitals and paws": ([("LH_paw", "RH_paw"), ("LF_paw", "RF_paw"), ("pawLM", "pawRM")], ["belly"]),
    "quadruped, side second": ([("FL", "FR"), ("RL", "RR"), ("HL_toe", "HR_toe"), ("kneeLInner", "kneeRInner")], []),
    "CMU Panoptic": (both("{side}{name}", "Shoulder", "Elbow", "Hip", "Eye", "Ear", sides=LR), ["neck", "midHip"]),
    "CMU motion capture": (
        both("{side}{name}", "hipjoint", "femur", "tibia", "foot", "toes", "clavicle", "hand", "thumb", sides=LR),
        ["root", "lowerback", "upperback", "thorax", "lowerneck", "head"],
    ),
    "OpenPose, Halpe": (both("{side}{name}", "Eye", "Shoulder", "BigToe", "Heel", sides=CAPITALS), ["Nose", "MidHip"]),
    "Plug-in Gait": (both("{side}{name}", "FHD", "SHO", "ELB", "ANK", sides=CAPITALS), ["CLAV", "STRN", "T10", "C7"]),
    "Human3.6M": (
        both("{side}_{name}", "hip", "knee", "ankle", "shoulder", "elbow", "wrist", sides=LR),
        ["pelvis", "spine", "thorax", "upper_neck", "head_top"],
    ),
    "Human3.6M, its own": (both("{side}{name}", "UpLeg", "Leg", "Foot", sides=("Left", "Right")), ["Hips", "Spine"]),
    "COFW, WFLW and 300-W as named here": (
        both("{side}_{name}", "brow_1", "eye_outer", "jaw_mid_3", "mouth_inner_upper", "nostril", sides=LR),
        ["chin", "nose_tip", "mouth_inner_lower"],
    ),
    "CelebA": ([("lefteye", "righteye"), ("leftmouth", "rightmouth")], ["nose"]),
    "Kaggle's faces": (
        [*both("{side}_eye_{name}", "center", "inner_corner"), ("mouth_left_corner", "mouth_right_corner")],
        ["nose_tip", "mouth_center_top_lip"],
    ),
    "numbers after the side": ([("eye_L1", "eye_R1"), ("eye_L2", "eye_R2"), ("L1", "R1"), ("paw1L", "paw1R")], ["C1"]),
    "shouted": ([("EAR_LEFT", "EAR_RIGHT"), ("L_EYE", "R_EYE")], ["NOSE"]),
    "spoken": ([("left ear", "right ear"), ("Left-Front Paw", "Right-Front Paw")], ["tip of the tail"]),
}  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_naming_schemes_in_use(scheme):
    pairs, middle = SCHEMES[scheme]
    names = [*middle, *(name for pair in pairs for name in pair)]
    assert len(set(names)) == len(names)
    wanted = dict(pairs) | {right: left for left, right in pairs} | dict.fromkeys(middle)
    assert mirror_partners(names) == wanted


NO_SIDES = (
    "tail", "belly", "lip", "leg", "ankle", "upper", "nostril", "collar", "rear", "earlobe", "leftover", "right", "l",
    "lower_lip", "rump", "ruler", "forelimb", "Leg", "Rib", "LEG", "bright", "L5", "L", "left_of_left_eye",
    "left_right", "l_l", "paw_L", "LF", "lShoulder",
)  # fmt: skip


def test_nothing_has_a_side_without_its_partner():
    assert set(mirror_partners(NO_SIDES).values()) == {None}


@pytest.mark.parametrize(
    "names",
    [
        ["lip", "rip"],  # too short to be a letter and a word
        ["l_l", "r_r"],  # two sides: which one is it?
        ["left_of_left_eye", "right_of_right_eye"],
        ["leftEar", "right_ear"],  # written otherwise
        ["left_ear", "Right_ear"],
        ["left_ear_1", "right_ear_2"],
        ["tail", "tair"],
        ["ankle", "ankre"],
        ["all", "arr"],
        ["fall", "farl"],
    ],
)
def test_names_that_differ_in_more_or_in_something_else_are_no_pair(names):
    assert set(mirror_partners(names).values()) == {None}


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["left_paw_l", "right_paw_l", "left_paw_r"], {("left_paw_l", "right_paw_l")}),  # a word before a letter
        (["r_earL", "l_earL", "r_earR"], {("l_earL", "r_earL")}),  # a letter alone before one in a word
        (["leftleft_ear", "left_ear", "right_ear"], {("left_ear", "right_ear")}),
        (["left_upright", "right_upright", "left_upleft"], {("left_upright", "right_upright")}),
        (["LL", "RL", "LR", "RR"], {("LL", "RL"), ("LR", "RR")}),  # the first of two capitals
    ],
)
def test_of_two_readings_the_first_of_the_documented_order_counts(names, pairs):
    for _ in range(5):
        random.Random(len(names)).shuffle(names)
        found = mirror_partners(names)
        assert {tuple(sorted((name, other))) for name, other in found.items() if other} == {
            tuple(sorted(pair)) for pair in pairs
        }


PIECES = st.sampled_from(
    ["left", "right", "Left", "RIGHT", "l", "r", "L", "R", "_", "-", " ", ".", "ear", "Paw", "F", "H", "1", "eg", "ö"]
)
NAMES = st.lists(st.lists(PIECES, min_size=1, max_size=5).map("".join), unique=True, max_size=30)


@given(NAMES, st.randoms(use_true_random=False))
def test_partners_point_at_each_other_in_any_order(names, shuffler):
    found = mirror_partners(names)
    assert list(found) == names
    for name, other in found.items():
        assert other is None or (other != name and found[other] == name)
    shuffled = list(names)
    shuffler.shuffle(shuffled)
    assert mirror_partners(shuffled) == found


@given(NAMES)
def test_a_pair_differs_in_its_side_alone(names):
    for name, other in mirror_partners(names).items():
        if other is None:
            continue
        assert shared_name(name, other) == shared_name(other, name)
        low, high = name.lower(), other.lower()
        start = next(place for place, (a, b) in enumerate(zip(low, high, strict=False)) if a != b)
        assert {low[start], high[start]} == {"l", "r"}
        side = {"l": "left", "r": "right"}
        ways = [(low[start], high[start]), (side[low[start]], side[high[start]])]
        assert any(low[:start] + b + low[start + len(a) :] == high for a, b in ways if low.startswith(a, start))


@given(NAMES)
def test_more_names_never_part_those_that_a_word_alone_pairs(names):
    found = mirror_partners([*names, "left_zebra", "right_zebra"])
    assert (found["left_zebra"], found["right_zebra"]) == ("right_zebra", "left_zebra")


@pytest.mark.parametrize(
    ("name", "other", "shared"),
    [
        ("left_wrist", "right_wrist", "wrist"), ("R_F_Paw", "L_F_Paw", "F_Paw"), ("l-eye", "r-eye", "eye"),
        ("Left Ear", "Right Ear", "Ear"), ("front_left_paw", "front_right_paw", "front_paw"),
        ("wrist.RIGHT", "wrist.LEFT", "wrist"), ("leftWrist", "rightWrist", "Wrist"), ("earL", "earR", "ear"),
        ("forelegL1", "forelegR1", "foreleg1"), ("eye_L1", "eye_R1", "eye_1"), ("LH_paw", "RH_paw", "H_paw"),
        ("lfemur", "rfemur", "femur"), ("leftear", "rightear", "ear"), ("left", "right", ""), ("nose", "tail", ""),
        ("front-left-paw", "front-right-paw", "front-paw"),
    ],
)  # fmt: skip
def test_what_a_pair_shares(name, other, shared):
    assert shared_name(name, other) == shared


def test_a_clear_side_without_its_partner_is_told():
    clear = ["left_paw", "l_eye", "ear.R", "RBigToe", "lShoulder", "earL", "Left Ear", "wristRight"]
    assert without_partner([*clear, *NO_SIDES[:-4], "left_ear", "right_ear"]) == clear
    assert not any(names_a_side(name) for name in NO_SIDES[:-4])


# what a user says of mirrors and groups


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["left_ear", "right_ear"], ["ear", "ear"]),
        (["front_l_paw", "front_r_paw"], ["front_paw", "front_paw"]),
        (["ear", "left_ear", "right_ear"], ["ear", "left_ear", "left_ear"]),
        (["r_", "l_"], ["r_", "r_"]),
        (["left_ear"], ["left_ear"]),
    ],
)
def test_a_pair_is_one_group(names, groups):
    assert [point.group for point in sided_keypoints(names)] == groups


def test_groups_and_partners_that_are_told_come_first():
    names = ["nose", "b", "a", "left_ear", "right_ear"]
    partners = told_partners(names, {"a": "b"}, "here")
    assert sided_keypoints(names, {"nose": "head"}, partners) == (
        Keypoint("nose", None, "head"), Keypoint("b", "a", "b"), Keypoint("a", "b", "b"),
        Keypoint("left_ear"), Keypoint("right_ear"),
    )  # fmt: skip
    assert told_partners(names, {"a": "b", "b": "a"}, "here") == partners
    assert told_groups(names, {"head": ["nose", "left_ear"]}, "here") == {"nose": "head", "left_ear": "head"}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda names: told_partners(names, {"a": "a"}, "here"), "here: 'a' has the partners 'a' and 'a'; it has one"),
        (
            lambda names: told_partners(names, {"a": "b", "b": "c"}, "here"),
            "here: 'b' has the partners 'a' and 'c'; it has one",
        ),
        (lambda names: told_partners(names, {"a": "d"}, "here"), "here: unknown keypoint 'd' (a, b, c exist)"),
        (lambda names: told_groups(names, {"g": ["d"]}, "here"), "here.g: unknown keypoint 'd' (a, b, c exist)"),
        (
            lambda names: told_groups(names, {"g": ["a"], "h": ["b", "a"]}, "here"),
            "here: 'a' is in 'g' and in 'h'; name it once",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, told):
    with pytest.raises(KpError) as caught:
        call(["a", "b", "c"])
    assert str(caught.value) == told


def test_a_name_that_occurs_twice_stays_twice():
    assert len(sided_keypoints(["left_ear", "left_ear", "right_ear"])) == 3


# the core's look at a skeleton's mirror partners


def figure(**mirrors):
    return Skeleton("figure", tuple(Keypoint(name, mirror) for name, mirror in mirrors.items()))


def test_the_pairs_of_a_skeleton_come_once_and_in_its_order():
    skeleton = figure(nose=None, b="a", a="b", left_eye=None)
    assert pairs_of(skeleton) == [("b", "a")]
    assert lonely(skeleton) == ["left_eye"]


def test_findings_on_sides_count_and_name():
    assert side_findings(figure(a="b", b="a", nose=None)) == side_findings(figure(nose=None)) == []
    (none,) = side_findings(figure(nose=None, tail=None))
    assert (none.level, none.count) == ("warning", 2) and "among 'nose', 'tail'; say the partners" in none.what
    (side,) = side_findings(figure(a="b", b="a", pawL=None, l_eye=None))
    assert (side.level, side.count) == ("warning", 2) and side.what.startswith("'pawL', 'l_eye': a side in the name")
    assert all("training.augmentation.flip = 0 and evaluation.flip_test = false" in f.what for f in (none, side))
    (many,) = side_findings(figure(**{f"p{n}": None for n in range(30)}))
    assert "'p19' and 10 more" in many.what


def test_two_skeletons_disagree_where_both_know_what_is_named():
    first = figure(a="b", b="a", c=None, d=None, e="f", f="e")
    same = figure(b="a", a="b", c=None, e=None)  # knows no f, so nothing to disagree on
    assert disagreements({"one": first, "two": same}) == []
    (line,) = disagreements({"one": first, "two": same, "three": figure(c="d", d="c")})
    assert line.startswith("one and three disagree on mirror partners: 'c' (None; d), 'd' (None; c); say")


def test_the_side_of_one_of_a_pair():
    pairs = [("l_ear", "r_ear"), ("LeftPaw", "RightPaw"), ("earL", "earR"), ("FL", "FR"), ("nose", "tail")]
    assert [side_of(*pair) for pair in pairs] == ["left"] * 4 + [""]
    assert [side_of(*pair[::-1]) for pair in pairs] == ["right"] * 4 + [""]


def test_partners_that_their_names_contradict_are_listed():
    crossed = figure(left_eye="left_ear", left_ear="left_eye", right_eye="right_ear", right_ear="right_eye", nose=None)
    (found,) = side_findings(crossed)
    assert (found.level, found.count) == ("warning", 2)
    assert found.what == (
        "mirror partners that contradict the sides in their names: 'left_eye' and 'left_ear' (by its name the partner"
        " of 'left_eye' is 'right_eye'), 'right_eye' and 'right_ear' (by its name the partner of 'right_eye' is"
        " 'left_eye'); mend 'mirrors' in the data set's table or file"
    )


@pytest.mark.parametrize(
    ("one", "other", "more", "why"),
    [
        ("left_eye", "right_ear", ("right_eye",), "by its name the partner of 'left_eye' is 'right_eye'"),
        ("eye", "right_ear", ("left_ear",), "by its name the partner of 'right_ear' is 'left_ear'"),
        ("left_eye", "left_ear", (), "both say left"),
        ("pawR", "tail_R", (), "both say right"),
        ("left_eye", "nose", (), "'nose' says no side"),
        ("left_eye", "right_eye", (), ""), ("earL", "earR", (), ""), ("lhip", "rhip", (), ""),
        ("left_front_paw", "right_forepaw", (), ""),  # nobody else is called so
        ("l_paw", "paw_right", (), ""), ("port", "starboard", (), ""), ("p1", "p2", (), ""),
    ],
)  # fmt: skip
def test_what_names_say_against_a_pair(one, other, more, why):
    assert contradiction(one, other, (one, other, *more)) == why


def test_no_published_skeleton_is_contradicted():
    for name in registry().names("dataset"):
        skeleton = registry().component("dataset", name).default_skeleton
        assert skeleton is None or not [one for one in side_findings(skeleton) if "contradict" in one.what]
