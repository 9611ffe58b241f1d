"""The paper's three modes: which tensor comes from where, what trains, what is supervised."""

from functools import cache

import pytest
import torch
from kp_modes.frozen import Frozen
from kp_modes.random import Random
from kp_modes.transfer import Transfer

from kpcore.errors import KpError
from kpcore.interfaces import Need, TransferStrategy
from kpcore.keypoints import KeypointSplit, Step
from kpcore.network import Network, describe
from kpcore.weights import execute, plan_record

RESET = Transfer(supervision="s2", heads="reset")
BY_NAME = Transfer(supervision="s2", heads="by_name")
KEEP_S1 = Transfer(supervision="s1", heads="reset")
FROZEN = Frozen(norm="eval")
MODES = {
    "reset": RESET,
    "by_name": BY_NAME,
    "s1": KEEP_S1,
    "frozen": FROZEN,
    "frozen_train": Frozen(norm="train"),
    "random": Random(),
}

# As in the paper's split d some points are in both sets; here in another order too.
SETS = {
    "overlap": (["r_hand", "l_hand", "l_foot", "r_foot"], ["head", "r_foot", "hip", "l_foot"]),
    "disjoint": (["hand", "foot"], ["head", "hip"]),
    "same": (["hand", "foot"], ["hand", "foot"]),
}
SOURCE_UNITS = ("stem", "stage0", "head0", "junction0", "stage1", "head1")
described = cache(describe)  # specs are immutable


def split_of(figure, *sets):
    return KeypointSplit("toy", tuple(Step(figure.select(names)) for names in sets))


@pytest.fixture(params=list(SETS))
def split(request, figure):
    return split_of(figure, *SETS[request.param])


@pytest.fixture
def overlap(figure):
    return split_of(figure, *SETS["overlap"])


@pytest.fixture
def disjoint(figure):
    return split_of(figure, *SETS["disjoint"])


@pytest.fixture
def specs(narrow, codec):
    """(target, sources, plan) of a mode at a step of a split."""

    def make(mode, split, step=1, stages=(2, 4)):
        target = described(narrow, codec, mode.layout(split, step, stages))
        sources = [described(narrow, codec, mode.layout(split, need.step, stages)) for need in mode.needs(split, step)]
        return target, sources, mode.plan(split, step, target, sources)

    return make


def of_kind(plan, kind):
    return {name for name, origin in plan.origins.items() if origin.kind == kind}


def units_of(names):
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stages", [(2, 4), (1, 2), (1, 3)])
def test_every_plan_passes_and_names_every_tensor_once(specs, mode, split, stages):
    target, sources, plan = specs(MODES[mode], split, stages=stages)
    plan.verify(target, tuple(sources))
    assert list(plan.origins) == list(target.tensors)
    taken = {(origin.source, origin.tensor) for origin in plan.origins.values() if origin.kind in ("loaded", "sliced")}
    everything = {(0, name) for source in sources for name in source.tensors}
    assert taken | set(plan.dropped) == everything
    assert not taken & set(plan.dropped)
    assert len(set(plan.dropped)) == len(plan.dropped)


@pytest.mark.parametrize("mode", MODES)
def test_the_last_stage_always_learns_the_target(specs, mode, split):
    target, _, plan = specs(MODES[mode], split)
    assert target.layout.heads[-1] == split.target
    assert plan.supervision[-1] == split.target
    assert len(target.layout.heads) == 4


def test_reset_renews_heads_and_the_prediction_branch_inside_the_first_half(specs, split):
    target, _, plan = specs(RESET, split)
    renewed = {f"head{index}.{kind}" for index in (0, 1) for kind in ("weight", "bias")}
    renewed |= {"junction0.predictions.weight", "junction0.predictions.bias"}
    grown = {name for name, tensor in target.tensors.items() if tensor.unit not in SOURCE_UNITS}
    assert of_kind(plan, "new") == renewed | grown
    assert of_kind(plan, "loaded") == target.tensors.keys() - renewed - grown
    assert {"junction0.features.weight", "junction0.features.bias"} <= of_kind(plan, "loaded")
    assert set(plan.dropped) == {(0, name) for name in renewed}


def test_the_junction_behind_the_source_is_new_in_every_mode(specs, split):
    for mode in MODES.values():
        target, _, plan = specs(mode, split)
        behind = {name for name, tensor in target.tensors.items() if tensor.unit == "junction1"}
        assert len(behind) == 4
        assert behind <= of_kind(plan, "new")
        assert "junction1" not in plan.frozen


@pytest.mark.parametrize("mode", ["reset", "by_name", "random"])
def test_transfer_and_random_supervise_every_stage_on_the_target_and_freeze_nothing(specs, mode, split):
    target, _, plan = specs(MODES[mode], split)
    assert target.layout.heads == (split.target,) * 4
    assert plan.supervision == (split.target,) * 4
    assert plan.frozen == frozenset()


def test_by_name_slices_what_belongs_to_keypoints_of_both_sets(specs, overlap):
    target, _, plan = specs(BY_NAME, overlap)
    sliced = {"head0.weight", "head0.bias", "head1.weight", "head1.bias", "junction0.predictions.weight"}
    assert of_kind(plan, "sliced") == sliced
    assert {plan.origins[name].keypoints for name in sliced} == {("r_foot", "l_foot")}
    assert units_of(of_kind(plan, "loaded")) == {"stem", "stage0", "stage1", "junction0"}
    assert "junction0.predictions.bias" in of_kind(plan, "loaded")
    assert units_of(of_kind(plan, "new")) == set(target.units) - set(SOURCE_UNITS)
    assert plan.dropped == ()


def test_by_name_renews_what_no_keypoint_shares(specs, disjoint):
    target, _, plan = specs(BY_NAME, disjoint)
    unshared = {"head0.weight", "head0.bias", "head1.weight", "head1.bias", "junction0.predictions.weight"}
    grown = {name for name, tensor in target.tensors.items() if tensor.unit not in SOURCE_UNITS}
    assert of_kind(plan, "sliced") == set()
    assert of_kind(plan, "new") == unshared | grown
    assert set(plan.dropped) == {(0, name) for name in unshared}


def test_by_name_loads_heads_whole_where_the_sets_are_the_same(specs, figure):
    _, _, plan = specs(BY_NAME, split_of(figure, *SETS["same"]))
    assert units_of(of_kind(plan, "loaded")) == set(SOURCE_UNITS)
    assert of_kind(plan, "sliced") == set()


@pytest.mark.parametrize("mode", ["s1", "frozen", "frozen_train"])
def test_keeping_the_source_loads_all_of_it(specs, mode, split):
    target, sources, plan = specs(MODES[mode], split)
    assert of_kind(plan, "loaded") == sources[0].tensors.keys()
    assert of_kind(plan, "new") == target.tensors.keys() - sources[0].tensors.keys()
    assert plan.dropped == ()
    assert target.layout.heads == (split.source, split.source, split.target, split.target)


def test_s1_supervision_trains_all_and_keeps_the_carried_stages_on_the_source_set(specs, split):
    _, _, plan = specs(KEEP_S1, split)
    assert plan.supervision == (split.source, split.source, split.target, split.target)
    assert plan.frozen == frozenset()


@pytest.mark.parametrize("norm", ["eval", "train"])
def test_frozen_freezes_the_source_whole_and_learns_on_the_new_stages(specs, norm, split):
    target, _, plan = specs(Frozen(norm=norm), split)
    assert plan.frozen == set(SOURCE_UNITS)
    assert plan.supervision == (None, None, split.target, split.target)
    assert plan.frozen_norm == norm
    assert target.tensors["junction1.predictions.weight"].shape[1] == len(split.source)


class PlanAlone(TransferStrategy):
    """Supplies what must be supplied."""

    @property
    def summary(self):
        return "Plan alone"

    def plan(self, split, step, target, sources):
        raise AssertionError("not asked for")


def test_by_default_a_step_starts_from_the_one_before_and_predicts_its_own_set_on_every_stage(overlap):
    mode = PlanAlone()
    assert list(mode.needs(overlap, 1)) == [Need(0)]
    assert mode.layout(overlap, 0, (2, 4)).heads == (overlap.source,) * 2
    assert mode.layout(overlap, 1, (2, 4)).heads == (overlap.target,) * 4
    assert TransferStrategy.__abstractmethods__ == {"summary", "plan"}


def test_random_needs_nothing_and_everything_is_new(specs, split):
    target, sources, plan = specs(MODES["random"], split)
    assert sources == []
    assert of_kind(plan, "new") == target.tensors.keys()


@pytest.mark.parametrize("mode", ["reset", "by_name", "s1", "frozen"])
def test_the_others_need_the_step_before(mode, overlap):
    assert list(MODES[mode].needs(overlap, 1)) == [Need(0)]
    assert list(MODES[mode].needs(overlap, 2)) == [Need(1)]


@pytest.mark.parametrize("mode", MODES)
def test_three_steps_chain(specs, mode, figure):
    chain = split_of(figure, ["hand"], ["foot", "head"], ["head", "hip", "hand"])
    stages = (1, 2, 3)
    for step in (1, 2):
        target, sources, plan = specs(MODES[mode], chain, step=step, stages=stages)
        plan.verify(target, tuple(sources))
        assert target.stages == stages[step]
        assert target.layout.heads[-1] == chain.steps[step].keypoints
        assert plan.supervision[-1] == chain.steps[step].keypoints


def test_a_frozen_chain_freezes_all_that_came_before(specs, figure):
    chain = split_of(figure, ["hand"], ["foot"], ["hip"])
    target, _, plan = specs(FROZEN, chain, step=2, stages=(1, 2, 4))
    one, two, three = (step.keypoints for step in chain.steps)
    assert target.layout.heads == (one, two, three, three)
    assert plan.supervision == (None, None, three, three)
    assert set(target.units) - plan.frozen == {"junction1", "stage2", "head2", "junction2", "stage3", "head3"}


def test_frozen_without_growth_is_refused(overlap, narrow, codec):
    with pytest.raises(KpError, match=r"backbone\.stages: .*new stages"):
        FROZEN.layout(overlap, 1, (2, 2))
    same = describe(narrow, codec, FROZEN.layout(overlap, 0, (2, 2)))
    with pytest.raises(KpError, match=r"backbone\.stages: .*new stages"):
        FROZEN.plan(overlap, 1, same, [same])


def test_s1_supervision_without_growth_is_refused_because_nothing_would_learn_the_target(overlap):
    with pytest.raises(KpError, match=r"backbone\.stages: .*new stages"):
        KEEP_S1.layout(overlap, 1, (2, 2))


def test_transfer_without_growth_is_fine_tuning(specs, overlap):
    target, sources, plan = specs(RESET, overlap, stages=(2, 2))
    plan.verify(target, tuple(sources))
    assert plan.supervision == (overlap.target,) * 2
    assert units_of(of_kind(plan, "loaded")) == {"stem", "stage0", "junction0", "stage1"}


@pytest.fixture
def carried_out(specs, narrow, codec):
    """(plan, network, its initial state, the source's state) of a mode after its plan was carried out."""

    def run(mode, split):
        target, sources, plan = specs(mode, split)
        torch.manual_seed(1)
        states = [Network(narrow, codec, source.layout).state_dict() for source in sources]
        for state in states:
            for index, name in enumerate(state):  # buffers too: a fresh network's are all alike
                state[name].add_(index + 1)
        network = Network(narrow, codec, target.layout)
        initial = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        execute(plan, network, target, list(zip(sources, states, strict=True)), {})
        return plan, network, initial, states[0] if states else {}

    return run


@pytest.mark.parametrize("mode", MODES)
def test_values_are_carried_over_as_the_plan_says(carried_out, mode, split):
    plan, network, initial, source = carried_out(MODES[mode], split)
    for name, tensor in network.state_dict().items():
        origin = plan.origins[name]
        if origin.kind == "loaded":
            assert torch.equal(tensor, source[name]), name
        elif origin.kind == "new":
            assert torch.equal(tensor, initial[name]), name


def test_by_name_copies_the_rows_of_shared_keypoints_and_no_others(carried_out, overlap):
    _, network, initial, source = carried_out(BY_NAME, overlap)
    target = network.state_dict()
    # r_foot and l_foot are 3 and 2 in the source, 1 and 3 in the target; head (0) and hip (2) are new.
    for name in ("head0.weight", "head0.bias", "head1.weight", "head1.bias"):
        assert torch.equal(target[name][1], source[name][3])
        assert torch.equal(target[name][3], source[name][2])
        assert torch.equal(target[name][[0, 2]], initial[name][[0, 2]])
    name = "junction0.predictions.weight"
    assert torch.equal(target[name][:, 1], source[name][:, 3])
    assert torch.equal(target[name][:, 3], source[name][:, 2])
    assert torch.equal(target[name][:, [0, 2]], initial[name][:, [0, 2]])


@pytest.mark.parametrize("mode", MODES)
def test_only_units_that_are_not_frozen_take_gradients(carried_out, mode, overlap):
    plan, network, _, _ = carried_out(MODES[mode], overlap)
    still = {name.partition(".")[0] for name, one in network.named_parameters() if not one.requires_grad}
    assert still == plan.frozen


@pytest.mark.parametrize("mode", MODES)
def test_the_record_of_a_plan_names_every_tensor_and_what_was_dropped(specs, mode, overlap):
    target, _, plan = specs(MODES[mode], overlap)
    record = plan_record(plan, target)
    assert list(record["tensors"]) == list(target.tensors)
    assert [(item["source"], item["tensor"]) for item in record["dropped"]] == list(plan.dropped)
    trains = {name for name, row in record["tensors"].items() if row["trains"]}
    assert trains == {
        name for name, tensor in target.tensors.items() if tensor.trainable and tensor.unit not in plan.frozen
    }
    assert record["supervision"] == [None if one is None else list(one.names) for one in plan.supervision]
