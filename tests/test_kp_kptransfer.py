"""Split rules: the paper's Table 1 and Tables 2-5, explicit sets, leave-groups-out, random draws."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kp_kptransfer.drawn import RandomSplits, mirror_units
from kp_kptransfer.explicit import ExplicitSplits
from kp_kptransfer.leave_out import LeaveGroupsOut
from kp_kptransfer.paper import PUBLISHED, TABLE_1, PaperSplits

from kpcore.config import validate
from kpcore.errors import KpError
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.registry import registry

PAIRED = ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")
ORDER = [
    "r_ankle",
    "r_knee",
    "r_hip",
    "l_hip",
    "l_knee",
    "l_ankle",
    "pelvis",
    "thorax",
    "upper_neck",
    "head_top",
    "r_wrist",
    "r_elbow",
    "r_shoulder",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
]


def point(name):
    side, _, group = name.partition("_")
    if group not in PAIRED:
        return Keypoint(name)
    return Keypoint(name, mirror=("l_" if side == "r" else "r_") + group, group=group)


MPII = Skeleton("mpii", tuple(point(name) for name in ORDER))
FACE = Skeleton(
    "face",
    (Keypoint("l_eye", "r_eye"), Keypoint("r_eye", "l_eye"), Keypoint("nose"), Keypoint("chin"), Keypoint("brow")),
)


def build(kind, **options):
    return registry().build("split", kind, options, where="split")


def paper(name):
    (split,) = PaperSplits(splits=[name]).splits(MPII, {})
    return split


def explicit(**table):
    (split,) = build("explicit", sets={"mine": table}).splits(MPII, {})
    return split


def random(**options):
    return build("random", **options).splits(MPII, {})


# --- the paper's ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_paper_subsets_have_eight_keypoints_in_skeleton_order(name):
    split = paper(name)
    for step in split.steps:
        assert len(step.keypoints) == 8
        assert list(step.keypoints.indices) == sorted(step.keypoints.indices)
        assert not step.keypoints.halved


def test_table_1_row_by_row():
    limbs = {"r_ankle", "r_knee", "l_knee", "l_ankle", "r_wrist", "r_elbow", "l_elbow", "l_wrist"}
    trunk = {"r_hip", "l_hip", "pelvis", "thorax", "upper_neck", "head_top", "r_shoulder", "l_shoulder"}
    assert (set(paper("a").source.names), set(paper("a").target.names)) == (trunk, limbs)
    assert set(paper("d").source.names) == limbs
    assert paper("b").source.names == (
        "r_hip", "l_hip", "upper_neck", "head_top", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow",
    )  # fmt: skip
    assert paper("c").target.names == (
        "r_ankle", "r_hip", "l_hip", "l_ankle", "pelvis", "thorax", "r_wrist", "l_wrist",
    )  # fmt: skip
    for name in "abc":  # S1 and S2 share the 16 keypoints out
        assert paper(name).overlap == ()
        assert paper(name).unused == ()


def test_split_d_overlaps_in_elbows_and_knees_and_never_uses_hips_and_shoulders():
    assert paper("d").overlap == ("r_knee", "l_knee", "r_elbow", "l_elbow")
    assert paper("d").unused == ("r_hip", "l_hip", "r_shoulder", "l_shoulder")


def test_d_fig2_is_d_from_four_keypoints_and_has_no_reference():
    split = paper("d_fig2")
    assert split.source.names == ("r_ankle", "l_ankle", "r_wrist", "l_wrist")
    assert split.target == paper("d").target
    assert split.columns == paper("d").columns
    assert (split.reference, split.reference_convention) == ({}, "")


@pytest.mark.parametrize(
    ("name", "columns"),
    [("a", "elbow wrist knee ankle"), ("b", "wrist knee ankle"), ("c", "wrist hip ankle"), ("d", "head elbow knee")],
)
def test_columns_and_references_follow_the_papers_tables(name, columns):
    split = paper(name)
    assert [column.name for column in split.columns] == columns.split()
    assert all(column.in_average for column in split.columns)
    assert list(split.reference) == ["transfer", "frozen", "random"]
    assert split.reference_convention == "PCKh@0.5 kptransfer"
    for row in split.reference.values():
        assert list(row) == [*columns.split(), "average"]


def test_head_is_head_top_and_upper_neck_together():
    assert paper("d").columns[0].keypoints == ("head_top", "upper_neck")


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_printed_averages_are_means_of_the_printed_columns(name):
    for row in paper(name).reference.values():
        values = [value for column, value in row.items() if column != "average"]
        assert row["average"] == pytest.approx(sum(values) / len(values), abs=0.0501)


def test_over_13_cells_transfer_beats_random_in_8_loses_in_4_ties_in_1():
    gains = [
        round(transfer - random, 6)
        for modes in PUBLISHED.values()
        for transfer, random in zip(modes["transfer"][:-1], modes["random"][:-1], strict=True)
    ]
    assert len(gains) == 13
    assert [sum(g > 0 for g in gains), sum(g < 0 for g in gains), sum(g == 0 for g in gains)] == [8, 4, 1]
    assert sum(gains) / 13 == pytest.approx(0.20, abs=0.005)
    assert max(gains) == 1.1


def test_paper_defaults_to_the_four_rows():
    assert [split.name for split in build("kptransfer").splits(MPII, {})] == ["a", "b", "c", "d"]


def test_unknown_split_names_the_key_and_the_nearest():
    with pytest.raises(KpError, match=r"^split\.splits: unknown split 'd_fig'; did you mean 'd_fig2'\?.*a, b, c, d"):
        build("kptransfer", splits=["a", "d_fig"])


def test_a_split_named_twice_is_refused():
    with pytest.raises(KpError, match=r"split\.splits.*twice"):
        build("kptransfer", splits=["a", "a"])


def test_a_skeleton_without_the_names_is_told_which_are_missing():
    partial = Skeleton("cut", tuple(p for p in MPII.keypoints if p.name not in ("pelvis", "thorax")))
    with pytest.raises(KpError, match=r"split 'a'.*'cut' does not have: pelvis, thorax"):
        PaperSplits(splits=["a"]).splits(partial, {})


@given(st.permutations(MPII.keypoints))
def test_paper_sets_follow_any_skeletons_order(keypoints):
    other = Skeleton("other", tuple(keypoints))
    rule = PaperSplits(splits=list(TABLE_1))
    for mine, split in zip(rule.splits(MPII, {}), rule.splits(other, {}), strict=True):
        assert set(mine.target.names) == set(split.target.names)
        assert list(split.target.indices) == sorted(split.target.indices)


# --- explicit ---------------------------------------------------------------------------------------------------------


def test_explicit_steps_take_groups_and_keypoints_and_keep_skeleton_order():
    split = explicit(steps=[["wrist", "elbow"], ["thorax", "knee"], ["hip"]])
    assert split.name == "mine"
    assert [step.keypoints.names for step in split.steps] == [
        ("r_wrist", "r_elbow", "l_elbow", "l_wrist"),
        ("r_knee", "l_knee", "thorax"),
        ("r_hip", "l_hip"),
    ]
    assert [column.name for column in split.columns] == ["hip"]


def test_explicit_columns_and_average():
    split = explicit(
        steps=[["wrist"], ["knee", "ankle", "pelvis"]],
        columns={"leg": ["knee", "ankle"], "trunk": ["pelvis"]},
        average=["leg"],
    )
    leg, trunk = split.columns
    assert leg.keypoints == ("r_knee", "l_knee", "r_ankle", "l_ankle")
    assert (leg.in_average, trunk.in_average) == (True, False)


def test_explicit_average_also_chooses_among_default_columns():
    split = explicit(steps=[["wrist"], ["knee", "pelvis"]], average=["knee"])
    assert [(column.name, column.in_average) for column in split.columns] == [("knee", True), ("pelvis", False)]


def test_a_group_in_a_column_stands_for_its_scored_keypoints():
    split = explicit(steps=[["knee"], ["r_wrist", "elbow"]], columns={"arm": ["wrist", "elbow"]})
    assert split.columns[0].keypoints == ("r_wrist", "r_elbow", "l_elbow")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"steps": [["wrst"], ["knee"]]}, r"^split\.sets\.mine\.steps\[0\]: unknown .*did you mean 'wrist'"),
        ({"steps": [["wrist"], ["knee", "r_knee"]]}, r"split\.sets\.mine\.steps\[1\]: keypoint named twice: r_knee"),
        ({"steps": []}, r"^split: sets\.mine\.steps: "),
        ({"steps": [["wrist"], []]}, r"^split: sets\.mine\.steps\.1: "),
        ({"steps": [["wrist"], ["knee"]], "columms": {}}, r"unknown key 'columms'; did you mean 'columns'"),
        ({"steps": [["wrist"], ["knee"]], "columns": {"w": ["wrist"]}}, r"columns\.w: wrist not among"),
        ({"steps": [["wrist"], ["r_knee"]], "columns": {"k": ["r_knee", "l_knee"]}}, r"columns\.k: l_knee not among"),
        ({"steps": [["wrist"], ["knee"]], "average": ["nee"]}, r"sets\.mine\.average: unknown column.*'knee'"),
        ({"steps": [["wrist"], ["knee"]], "average": []}, r"average: counts no column"),
    ],
)
def test_explicit_errors_name_the_key(table, message):
    with pytest.raises(KpError, match=message):
        explicit(**table)


# --- leave-groups-out -------------------------------------------------------------------------------------------------


def test_every_group_is_left_out_once_by_default():
    splits = build("groups").splits(MPII, {})
    assert [split.name for split in splits] == [f"without_{group}" for group in MPII.groups]
    for split, members in zip(splits, MPII.groups.values(), strict=True):
        assert split.target.names == members
        assert split.overlap == split.unused == ()


def test_named_groups_are_left_out_of_a_chosen_pool():
    (split,) = build("groups", groups=["wrist", "elbow", "knee"], leave_out=[["knee", "wrist"]]).splits(MPII, {})
    assert split.name == "without_knee_wrist"
    assert split.source.names == ("r_elbow", "l_elbow")
    assert split.target.names == ("r_knee", "l_knee", "r_wrist", "l_wrist")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["wrist", "elbw"]}, r"split\.groups: unknown group 'elbw'; did you mean 'elbow'"),
        ({"groups": ["wrist", "wrist"]}, r"split\.groups: .* twice"),
        ({"groups": ["wrist", "elbow"], "leave_out": [["knee"]]}, r"split\.leave_out\[0\]: unknown group 'knee'"),
        ({"groups": ["wrist", "elbow"], "leave_out": [["wrist", "elbow"]]}, "S1 is empty"),
    ],
)
def test_leave_out_errors_name_the_key(options, message):
    with pytest.raises(KpError, match=message):
        build("groups", **options).splits(MPII, {})


# --- random -----------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), source=st.integers(1, 5), target=st.integers(1, 5))
def test_random_sets_are_disjoint_whole_groups(seed, source, target):
    for place, split in enumerate(random(count=3, source=source, target=target, seed=seed)):
        assert split.name == f"random{place}"
        assert split.overlap == ()
        for keypoints, number in ((split.source, source), (split.target, target)):
            assert not keypoints.halved
            assert len({MPII[name].group for name in keypoints.names}) == number


def test_random_splits_are_golden():
    split = random(count=1, source=2, target=1, seed=0)[0]
    assert split.source.names == ("r_hip", "l_hip", "r_elbow", "l_elbow")
    assert split.target.names == ("pelvis",)


def test_random_splits_depend_on_the_seed_and_keep_the_first_ones():
    assert list(random(count=2)) == list(random(count=5))[:2]
    assert list(random(seed=1)) != list(random(seed=2))


def test_random_splits_are_all_different_up_to_the_last_possible():
    splits = build("random", count=12, source=1, target=1).splits(FACE, {})
    pairs = {(split.source.names, split.target.names) for split in splits}
    assert len(pairs) == 12 == math.perm(4, 2)
    with pytest.raises(KpError, match=r"13 random splits .* allow 12"):
        build("random", count=13, source=1, target=1).splits(FACE, {})
    with pytest.raises(KpError, match="allow 0"):
        build("random", source=9, target=9).splits(FACE, {})


def test_mirror_pairs_of_different_groups_stay_together():
    assert mirror_units(FACE) == [("l_eye", "r_eye"), ("nose",), ("chin",), ("brow",)]
    assert mirror_units(MPII) == list(MPII.groups.values())


# --- the plugin -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rule"),
    [("kptransfer", PaperSplits), ("explicit", ExplicitSplits), ("groups", LeaveGroupsOut), ("random", RandomSplits)],
)
def test_rules_are_found_by_name(name, rule):
    assert registry().component("split", name) is rule


def test_an_unknown_key_is_an_error_with_the_nearest():
    with pytest.raises(KpError, match="unknown key 'split'; did you mean 'splits'"):
        validate(PaperSplits.Config, {"split": ["a"]}, where="split")
