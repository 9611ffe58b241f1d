"""Skeletons, sets and splits: order, columns and flip permutations come from names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpcore.errors import KpError
from kpcore.keypoints import Column, Keypoint, KeypointSplit, Skeleton, Step, default_columns

FACE = Skeleton(
    "face",
    (
        Keypoint("r_eye", "l_eye", "eye"),
        Keypoint("nose"),
        Keypoint("l_eye", "r_eye", "eye"),
        Keypoint("l_ear", "r_ear", "ear"),
        Keypoint("chin"),
        Keypoint("r_ear", "l_ear", "ear"),
    ),
    edges=(("nose", "chin"),),
)


@st.composite
def skeletons(draw):
    """Any skeleton: some mirror pairs, some points on the axis, in any order."""
    pairs, single = draw(st.integers(0, 5)), draw(st.integers(0, 4))
    points = [Keypoint(f"{a}{n}", f"{b}{n}", f"g{n}") for n in range(pairs) for a, b in ("lr", "rl")]
    points += [Keypoint(f"m{n}") for n in range(single)]
    return Skeleton("any", tuple(draw(st.permutations(points or [Keypoint("only")]))))


@given(skeletons())
def test_the_flip_permutation_is_an_involution_that_names_partners(skeleton):
    swap = skeleton.all().flip_permutation
    assert [swap[place] for place in swap] == list(range(len(swap)))
    for place, other in enumerate(swap):
        point = skeleton.keypoints[place]
        assert skeleton.names[other] == (point.mirror or point.name)


@given(skeletons(), st.data())
def test_a_subset_keeps_the_order_it_is_named_in(skeleton, data):
    groups = data.draw(st.lists(st.sampled_from(sorted(skeleton.groups)), min_size=1, unique=True))
    chosen = skeleton.select(groups)
    assert list(chosen.names) == [name for group in groups for name in skeleton.groups[group]]
    assert [skeleton.names[column] for column in chosen.indices] == list(chosen.names)
    assert sorted(chosen.flip_permutation) == list(range(len(chosen)))


def test_groups_and_defaults():
    assert Keypoint("nose").group == "nose"
    assert FACE.groups == {
        "eye": ("r_eye", "l_eye"),
        "nose": ("nose",),
        "ear": ("l_ear", "r_ear"),
        "chin": ("chin",),
    }
    assert FACE.select(["chin", "eye"]).names == ("chin", "r_eye", "l_eye")
    assert FACE.select(["chin", "eye"]).indices == (4, 0, 2)
    assert FACE.select(["chin", "eye"]).places(["l_eye", "chin"]) == (2, 0)
    assert FACE["nose"].mirror is None


BAD_SKELETONS = {
    "twice": ((Keypoint("a"), Keypoint("a")), (), "occur twice: a"),
    "no partner": ((Keypoint("l_eye", "r_eye"), Keypoint("r_eyes")), (), "'r_eye'; did you mean 'r_eyes'"),
    "not back": ((Keypoint("a", "b"), Keypoint("b")), (), "'b' mirrors 'None'; mirror partners must point at each"),
    "edge": ((Keypoint("nose"),), (("nose", "noes"),), "edges: unknown keypoint 'noes'; did you mean 'nose'"),
}


@pytest.mark.parametrize(("points", "edges", "message"), BAD_SKELETONS.values(), ids=BAD_SKELETONS)
def test_a_wrong_skeleton_is_refused(points, edges, message):
    with pytest.raises(KpError) as caught:
        Skeleton("bad", points, edges)
    assert message in str(caught.value)
    assert "skeleton 'bad'" in str(caught.value)


def test_wrong_selections_are_refused():
    with pytest.raises(KpError, match=r"here: unknown keypoint or group 'l_eey'; did you mean 'l_eye'"):
        FACE.select(["l_eey"], where="here")
    with pytest.raises(KpError, match="keypoint named twice: l_eye"):
        FACE.select(["eye", "l_eye"])
    with pytest.raises(KpError, match="name at least one of r_eye"):
        FACE.select([])
    with pytest.raises(KpError, match="unknown keypoint 'mouth'"):
        FACE.index("mouth")


def test_half_a_mirror_pair_has_no_flip():
    half = FACE.select(["nose", "l_eye"])
    assert half.halved == ("l_eye",)
    with pytest.raises(KpError, match=r"'l_eye' is in the set without its mirror partner 'r_eye'.*flip = 0"):
        _ = half.flip_permutation


def split(*sets, **options):
    return KeypointSplit("s", tuple(Step(FACE.select(names)) for names in sets), **options)


def test_a_split_says_what_its_sets_share_and_leave_out():
    found = split(["eye", "nose"], ["nose", "l_ear", "r_ear"])
    assert found.source.names == ("r_eye", "l_eye", "nose")
    assert found.target.names == ("nose", "l_ear", "r_ear")
    assert found.overlap == ("nose",)
    assert found.unused == ("chin",)


def test_more_than_two_steps_score_the_last():
    found = split(["eye"], ["nose"], ["chin"])
    assert (found.source.names, found.target.names) == (("r_eye", "l_eye"), ("chin",))
    assert found.unused == ("l_ear", "r_ear")


def test_columns_are_the_target_s_groups_unless_named():
    assert split(["nose"], ["ear", "chin"]).columns == (Column("ear", ("l_ear", "r_ear")), Column("chin", ("chin",)))
    assert default_columns(FACE.select(["l_eye"])) == (Column("eye", ("l_eye",)),)
    mine = Column("side", ("r_ear",), in_average=False)
    assert split(["nose"], ["ear"], columns=(mine,)).columns == (mine,)


def test_wrong_splits_are_refused():
    with pytest.raises(KpError, match="has no keypoint set; give it one to train on"):
        split()
    with pytest.raises(KpError, match=r"split 's', column 'x': nose not among the keypoints that are scored \(chin\)"):
        split(["nose"], ["chin"], columns=(Column("x", ("nose",)),))


# --- what holds where nothing is said, and messages -------------------------------------------------------------------


def test_defaults():
    point = Keypoint("nose")
    assert (point.mirror, point.group) == (None, "nose")
    assert Keypoint("a", group="b").group == "b"
    assert (Skeleton("s", (point,)).edges, Skeleton("s", (point,)).dims) == ((), 2)
    assert Column("c", ("nose",)).in_average is True
    assert Step(FACE.all()).dataset == ""
    assert (split(["nose"], ["chin"]).reference, split(["nose"], ["chin"]).crosses) == ({}, False)
    assert split(["nose"], ["chin"]).reference_convention == ""


def test_published_figures_do_not_make_another_split():
    published = split(["nose"], ["chin"], reference={"transfer": {"average": 3.0}}, reference_convention="PCK")
    assert published == split(["nose"], ["chin"])
    assert split(["nose"], ["chin"]) != split(["chin"], ["nose"])


@pytest.mark.parametrize(("where", "said"), [("", "skeleton 'face'"), ("study", "study")])
def test_a_wrong_name_is_told_with_its_place_and_all_that_exist(where, said):
    with pytest.raises(KpError) as caught:
        FACE.select(["nose", "mouth"], where=where)
    assert str(caught.value) == (
        f"{said}: unknown keypoint or group 'mouth' (r_eye, nose, l_eye, l_ear, chin, r_ear, eye, ear exist)"
    )


@pytest.mark.parametrize(("where", "said"), [("", "face"), ("study", "study")])
def test_a_selection_names_each_once_and_at_least_one(where, said):
    with pytest.raises(KpError, match=rf"^{said}: keypoint named twice: chin, l_eye; name each once$"):
        FACE.select(["l_eye", "chin", "eye", "chin"], where=where)
    with pytest.raises(KpError, match=rf"^{said}: no keypoints named; name at least one of r_eye, nose, l_eye, l_ear"):
        FACE.select([], where=where)


def test_positions_are_those_of_the_annotation():
    assert [FACE.index(name) for name in FACE.names] == [0, 1, 2, 3, 4, 5]
    assert FACE["l_ear"].mirror == "r_ear"
    for ask in (FACE.index, FACE.__getitem__):
        with pytest.raises(KpError, match=r"^skeleton 'face': unknown keypoint 'chinn'; did you mean 'chin'"):
            ask("chinn")


def test_a_name_that_is_a_keypoint_and_a_group_is_the_keypoint():
    skeleton = Skeleton("s", (Keypoint("eye"), Keypoint("brow", group="eye")))
    assert skeleton.select(["eye"]).names == ("eye",)
    assert skeleton.groups == {"eye": ("eye", "brow")}


def test_names_that_occur_twice_are_told_once_each():
    with pytest.raises(KpError, match=r"^skeleton 's': keypoint names occur twice: a, b; give each its own$"):
        Skeleton("s", tuple(Keypoint(name) for name in "bacbab"))


def test_both_ends_of_an_edge_must_exist():
    for edge in (("nsoe", "chin"), ("chin", "nsoe")):
        with pytest.raises(KpError, match=r"^skeleton 'bad', edges: unknown keypoint 'nsoe'; did you mean 'nose'"):
            Skeleton("bad", (Keypoint("nose"), Keypoint("chin")), (("nose", "chin"), edge))


def test_a_set_mirrors_within_itself():
    some = FACE.select(["chin", "l_eye", "nose", "r_eye"])
    assert some.flip_permutation == (0, 3, 2, 1)
    assert some.halved == ()
    assert FACE.select(["r_ear", "l_eye", "chin"]).halved == ("r_ear", "l_eye")
    with pytest.raises(KpError, match=r"^keypoint 'r_ear' is in the set without its mirror partner 'l_ear'; add the p"):
        _ = FACE.select(["r_ear", "l_eye"]).flip_permutation
    assert (len(some), "nose" in some, "l_ear" in some) == (4, True, False)


OTHER = Skeleton("other", (Keypoint("nose"), Keypoint("tail"), Keypoint("chin"), Keypoint("paw")))


def test_steps_of_other_data_sets_are_compared_by_name():
    found = KeypointSplit(
        "s", (Step(OTHER.select(["tail", "nose"]), "dogs"), Step(OTHER.select(["paw", "tail"])), Step(FACE.all()))
    )
    assert found.crosses
    assert found.extra == ("tail", "paw")  # each once, in the order of the steps
    assert found.missing == ("r_eye", "l_eye", "l_ear", "r_ear")
    assert found.overlap == ("nose",)
    assert found.unused == ()
    same = KeypointSplit("s", (Step(OTHER.select(["tail"]), "x"), Step(OTHER.select(["paw"]), "x")))
    assert (same.crosses, same.extra, same.missing, same.unused) == (False, (), (), ("nose", "chin"))


def test_every_column_must_be_scored():
    fine, strange = Column("fine", ("chin",)), Column("strange", ("chin", "nose", "l_ear"))
    with pytest.raises(KpError) as caught:
        split(["nose"], ["chin", "eye"], columns=(fine, strange))
    assert str(caught.value) == (
        "split 's', column 'strange': nose, l_ear not among the keypoints that are scored (chin, r_eye, l_eye)"
    )
