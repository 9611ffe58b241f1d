"""Four more modes, and all seven in chains of steps, across skeletons and with codecs of more than one channel."""

import json
from dataclasses import replace
from functools import cache

import pytest
import tiny
import torch
from kp_heatmap.codec import GaussianHeatmap
from kp_modes.by_name import ByName
from kp_modes.frozen import Frozen
from kp_modes.gradual import Gradual, place_of
from kp_modes.l2sp import L2SP
from kp_modes.pseudo_labels import PseudoLabels
from kp_modes.random import Random
from kp_modes.replay import Replay
from kp_modes.transfer import Transfer
from kp_mpii.skeleton import MPII

from kpcore.cli.app import outcome
from kpcore.config import AdamW, Augmentation
from kpcore.data.batches import TrainingStream
from kpcore.data.sampling import CpuSampler
from kpcore.errors import KpError
from kpcore.interfaces import Codec, Need, Targets, TransferStrategy
from kpcore.keypoints import Keypoint, KeypointSplit, Skeleton, Step
from kpcore.network import build_network, describe, spec_of
from kpcore.plans import Layout, Thaw
from kpcore.records.results import Results
from kpcore.registry import check_class, registry
from kpcore.tensors import UNLABELLED, VISIBLE
from kpcore.training.device import Device
from kpcore.training.step import Learner, StepBatch, Stepper, supervised_loss
from kpcore.weights import execute, fingerprint, plan_record

CPU = Device(torch.device("cpu"), "fp32", 1)
CLASSES = {
    "transfer": Transfer, "frozen": Frozen, "random": Random,
    "by_name": ByName, "gradual": Gradual, "l2sp": L2SP, "replay": Replay,
}  # fmt: skip


def mode(name, **options):
    """A mode with its default options but these."""
    kind = CLASSES[name]
    return kind(**kind.Config(**options).model_dump())


VARIANTS = {
    **{name: mode(name) for name in CLASSES},
    "transfer s1": mode("transfer", supervision="s1"),
    "transfer by_name": mode("transfer", heads="by_name"),
    "by_name, new heads": mode("by_name", new_heads="new"),
    "by_name, mirror": mode("by_name", unshared="mirror"),
    "by_name, group": mode("by_name", unshared="group"),
    "gradual, every": mode("gradual", every=2),
}
SOURCED = [name for name in VARIANTS if name != "random"]
SETS = {
    "overlap": (["r_hand", "l_hand", "l_foot", "r_foot"], ["head", "r_foot", "hip", "l_foot"]),
    "disjoint": (["hand", "foot"], ["head", "hip"]),
    "same": (["hand", "foot"], ["hand", "foot"]),
    "subset": (["hand", "foot", "head"], ["head", "hand"]),
    "superset": (["foot"], ["hip", "foot", "head"]),
}
CHAINS = {
    "adding": (["head"], ["head", "hand"], ["head", "hand", "hip"]),
    "removing": (["hand", "foot", "hip"], ["hand", "foot"], ["foot"]),
    "moving": (["hand"], ["foot", "head"], ["head", "hip", "hand"]),
}


class Twofold(Codec):
    """Two channels a keypoint, the same Gaussian on both: wider than a heatmap."""

    def __init__(self):
        self.single = GaussianHeatmap(**GaussianHeatmap.Config(sigma=1.0).model_dump())

    @property
    def dims(self):
        return 2

    @property
    def width(self):
        return 2

    def encode(self, points, state, size, stride):
        one = self.single.encode(points, state, size, stride)
        return Targets(one.maps.repeat_interleave(2, 1), one.weights)

    def loss(self, prediction, targets):
        return self.single.loss(prediction, Targets(targets.maps, targets.weights.repeat_interleave(2, 1)))

    def decode(self, prediction, stride):
        return self.single.decode(prediction[:, ::2] + prediction[:, 1::2], stride)


TWOFOLD = Twofold()
described = cache(describe)  # specs are immutable


@pytest.fixture(params=["one channel", "two channels"])
def any_codec(request, codec):
    return codec if request.param == "one channel" else TWOFOLD


@pytest.fixture
def specs(narrow, codec):
    """(target, sources, plan) of a mode at a step of a split."""

    def make(strategy, split, step=1, stages=(2, 4), codec=codec):
        target = described(narrow, codec, strategy.layout(split, step, stages))
        sources = [
            described(narrow, codec, strategy.layout(split, need.step, stages)) for need in strategy.needs(split, step)
        ]
        return target, sources, strategy.plan(split, step, target, sources)

    return make


def split_of(skeleton, *sets):
    return KeypointSplit("toy", tuple(Step(skeleton.select(names)) for names in sets))


@pytest.fixture(params=list(SETS))
def split(request, figure):
    return split_of(figure, *SETS[request.param])


@pytest.fixture
def overlap(figure):
    return split_of(figure, *SETS["overlap"])


@pytest.fixture
def moving(figure):
    return split_of(figure, *CHAINS["moving"])


def of_kind(plan, kind):
    return {name for name, origin in plan.origins.items() if origin.kind == kind}


def units_of(names):
    return {name.partition(".")[0] for name in names}


def check(target, sources, plan):
    """The core's own checks, and that nothing of the source goes unsaid or is said twice."""
    plan.verify(target, tuple(sources))
    assert list(plan.origins) == list(target.tensors)
    taken = {(one.source, one.tensor) for one in plan.origins.values() if one.kind in ("loaded", "sliced")}
    assert taken | set(plan.dropped) == {(0, name) for source in sources for name in source.tensors}
    assert not taken & set(plan.dropped)
    assert len(set(plan.dropped)) == len(plan.dropped)


# All seven, as plans


def test_all_seven_are_found_by_name():
    for name, kind in CLASSES.items():
        assert registry().component("strategy", name, where="test") is kind
        assert check_class("strategy", kind) == ""
        assert issubclass(kind, TransferStrategy)
    assert len({one.summary for one in VARIANTS.values()}) == 7


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("stages", [(2, 4), (1, 2)])
def test_every_plan_covers_every_tensor_once(specs, any_codec, name, split, stages):
    target, sources, plan = specs(VARIANTS[name], split, stages=stages, codec=any_codec)
    check(target, sources, plan)
    assert set(split.target.names) <= set(target.layout.heads[-1].names)
    assert plan.supervision[-1] == split.target


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("sets", CHAINS)
@pytest.mark.parametrize("stages", [(1, 2, 3), (2, 3, 5)])
def test_every_mode_grows_at_every_step_of_a_chain(specs, figure, any_codec, name, sets, stages):
    chain = split_of(figure, *CHAINS[sets])
    for step in (1, 2):
        target, sources, plan = specs(VARIANTS[name], chain, step=step, stages=stages, codec=any_codec)
        check(target, sources, plan)
        assert target.stages == stages[step]
        assert [source.stages for source in sources] == [stages[step - 1]] * len(sources)
        assert plan.supervision[-1] == chain.steps[step].keypoints


@pytest.mark.parametrize("name", SOURCED)
def test_a_step_needs_the_one_before_and_random_none(moving, name):
    assert list(VARIANTS[name].needs(moving, 1)) == [Need(0)]
    assert list(VARIANTS[name].needs(moving, 2)) == [Need(1)]
    assert [list(mode("random").needs(moving, step)) for step in (1, 2)] == [[], []]


def test_frozen_keeps_every_earlier_stage_of_a_chain(specs, moving):
    for step, stages in ((1, 1), (2, 2)):
        target, sources, plan = specs(mode("frozen"), moving, step=step, stages=(1, 2, 3))
        assert plan.frozen == set(sources[0].units)
        assert {f"stage{index}" for index in range(stages)} <= plan.frozen
        assert plan.supervision == (None,) * stages + (moving.steps[step].keypoints,)
        assert of_kind(plan, "loaded") == sources[0].tensors.keys()
        assert target.layout.heads == tuple(one.keypoints for one in moving.steps[: step + 1])


@pytest.mark.parametrize("name", ["transfer", "by_name", "gradual", "l2sp", "replay"])
def test_a_network_that_does_not_grow_is_fine_tuned(specs, overlap, name):
    target, sources, plan = specs(mode(name), overlap, stages=(2, 2))
    check(target, sources, plan)
    assert {"stem", "stage0", "stage1"} <= units_of(of_kind(plan, "loaded"))


# Keypoints of another skeleton

LSP = Skeleton(
    "lsp",
    (
        *(Keypoint(f"r_{name}", f"l_{name}", name) for name in ("ankle", "knee", "hip")),
        *(Keypoint(f"l_{name}", f"r_{name}", name) for name in ("hip", "knee", "ankle")),
        *(Keypoint(f"r_{name}", f"l_{name}", name) for name in ("wrist", "elbow", "shoulder")),
        *(Keypoint(f"l_{name}", f"r_{name}", name) for name in ("shoulder", "elbow", "wrist")),
        Keypoint("neck"),
        Keypoint("head_top"),
    ),
)
ABROAD = KeypointSplit(
    "abroad",
    (
        Step(LSP.select(["wrist", "neck", "head_top"]), "lsp"),
        Step(MPII.select(["l_wrist", "r_wrist", "thorax", "l_elbow", "r_elbow"])),
    ),
)


def test_the_two_skeletons_would_mislead_whoever_counts():
    shared = [name for name in LSP.names if name in MPII.names]
    assert shared
    assert len(LSP.names) == 14
    assert [name for name in shared if LSP.index(name) != MPII.index(name)]
    assert "neck" not in MPII.names


@pytest.mark.parametrize("name", VARIANTS)
def test_modes_meet_another_data_set_by_name(specs, any_codec, name):
    target, sources, plan = specs(VARIANTS[name], ABROAD, codec=any_codec)
    check(target, sources, plan)
    for tensor in of_kind(plan, "sliced"):
        here = target.tensors[tensor].keypoint_axis.keypoints
        there = sources[0].tensors[plan.origins[tensor].tensor].keypoint_axis.keypoints
        assert plan.origins[tensor].keypoints == tuple(keypoint for keypoint in here if keypoint in there)
    for wanted in plan.supervision:
        assert wanted is None or wanted.skeleton == MPII


def test_carried_heads_learn_on_what_the_new_data_set_names(specs):
    target, _, plan = specs(VARIANTS["transfer s1"], ABROAD)
    assert target.layout.heads[0] == ABROAD.source
    known = MPII.select(["r_wrist", "l_wrist", "head_top"])
    assert plan.supervision == (known, known, ABROAD.target, ABROAD.target)
    strangers = KeypointSplit("strangers", (Step(LSP.select(["neck"])), Step(MPII.select(["wrist"]))))
    assert specs(VARIANTS["transfer s1"], strangers)[2].supervision[:2] == (None, None)


def test_rows_of_another_skeleton_are_copied_by_name(narrow, codec):
    _, network, initial, source = carried_out(mode("by_name"), ABROAD, narrow, codec)
    here, there = network.state_dict(), source.state_dict()
    for place, name in enumerate(ABROAD.target.names):
        row = here["head0.weight"][place]
        if name in ABROAD.source:
            assert torch.equal(row, there["head0.weight"][ABROAD.source.names.index(name)])
        else:
            assert torch.equal(row, initial["head0.weight"][place])


# By name


def carried_out(strategy, split, backbone, codec, step=1, stages=(2, 4), source=None, seed=7):
    """(plan, network, its initial state, the source network) after the plan was carried out."""
    layouts = [strategy.layout(split, need.step, stages) for need in strategy.needs(split, step)]
    if source is None and layouts:
        source = build_network(backbone, codec, layouts[0], seed=1, resolution=32)
    target = describe(backbone, codec, strategy.layout(split, step, stages))
    sources = [describe(backbone, codec, layout) for layout in layouts]
    plan = strategy.plan(split, step, target, sources)
    network = build_network(backbone, codec, target.layout, seed=seed, resolution=32)
    initial = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    execute(plan, network, target, [(spec, source.state_dict()) for spec in sources], {})
    return plan, network, initial, source


def channels(codec, keypoints, names):
    """Channels of these keypoints of a set."""
    return [
        channel
        for place in keypoints.places(names)
        for channel in range(codec.channel_slice(place).start, codec.channel_slice(place).stop)
    ]


def test_shared_keypoints_are_predicted_at_first_as_the_source_does(overlap, narrow, any_codec):
    _, network, _, source = carried_out(mode("by_name"), overlap, narrow, any_codec)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = network.eval()(images)[0], source.eval()(images)[0]
    here = channels(any_codec, overlap.target, overlap.overlap)
    there = channels(any_codec, overlap.source, overlap.overlap)
    assert torch.equal(ours[:, here], theirs[:, there])
    assert len(here) == 2 * any_codec.width
    rest = [one for one in range(ours.shape[1]) if one not in here]
    assert not torch.equal(ours[:, rest], theirs[:, : len(rest)])


def test_the_same_set_again_is_predicted_as_the_source_does_on_every_carried_stage(figure, narrow, codec):
    same = split_of(figure, *SETS["same"])
    _, network, _, source = carried_out(mode("by_name"), same, narrow, codec)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = network.eval()(images), source.eval()(images)
    assert all(torch.equal(mine, yours) for mine, yours in zip(ours[:2], theirs, strict=True))


def test_new_stages_heads_start_from_the_source_s_last(overlap, narrow, any_codec):
    _, network, initial, source = carried_out(mode("by_name"), overlap, narrow, any_codec)
    here, there = network.state_dict(), source.state_dict()
    shared = channels(any_codec, overlap.target, overlap.overlap)
    taken = channels(any_codec, overlap.source, overlap.overlap)
    new = channels(any_codec, overlap.target, [name for name in overlap.target.names if name not in overlap.overlap])
    for head in ("head1", "head2", "head3"):
        for kind in ("weight", "bias"):
            assert torch.equal(here[f"{head}.{kind}"][shared], there[f"head1.{kind}"][taken])
            assert torch.equal(here[f"{head}.{kind}"][new], initial[f"{head}.{kind}"][new])


def test_by_name_with_new_heads_is_transfer_by_name(specs, split):
    assert specs(VARIANTS["by_name, new heads"], split)[2] == specs(VARIANTS["transfer by_name"], split)[2]


HALVES = (["r_hand", "head", "l_foot", "r_foot"], ["l_hand", "hip", "r_hand"])
"""Half a mirror pair each: without flips that is allowed."""


@pytest.mark.parametrize("unshared", ["mirror", "group"])
def test_what_the_source_does_not_know_starts_as_its_likeness(figure, narrow, any_codec, unshared):
    halves = split_of(figure, *HALVES)
    strategy = mode("by_name", unshared=unshared)
    plan, network, initial, source = carried_out(strategy, halves, narrow, any_codec)
    here, there = network.state_dict(), source.state_dict()
    places = {name: channels(any_codec, halves.target, [name]) for name in halves.target.names}
    right = channels(any_codec, halves.source, ["r_hand"])
    for head, old in (("head0", "head0"), ("head1", "head1"), ("head3", "head1")):
        for kind in ("weight", "bias"):
            for name in ("l_hand", "r_hand"):
                assert torch.equal(here[f"{head}.{kind}"][places[name]], there[f"{old}.{kind}"][right])
            assert torch.equal(here[f"{head}.{kind}"][places["hip"]], initial[f"{head}.{kind}"][places["hip"]])
    assert plan_record(plan, spec_of(network, any_codec))["tensors"]["head0.bias"]["stand_ins"] == {
        "l_hand": ["r_hand"]
    }


def test_a_group_s_likeness_is_the_mean_of_those_that_the_source_knows(narrow, any_codec):
    eye = Skeleton("eye", tuple(Keypoint(name, group="eye") for name in "abcd"))
    parts = split_of(eye, ["a", "b"], ["c", "b", "d"])
    _, network, _, source = carried_out(mode("by_name", unshared="group"), parts, narrow, any_codec)
    width = any_codec.width
    there = source.state_dict()["head1.weight"]
    mean = (there[:width] + there[width:]) / 2
    expected = torch.cat([mean, there[width:], mean])
    for head in ("head1", "head2", "head3"):
        assert torch.allclose(network.state_dict()[f"{head}.weight"], expected, atol=1e-7)


def test_disjoint_sets_of_one_group_drop_nothing_of_the_heads(specs):
    eye = Skeleton("eye", tuple(Keypoint(name, group="eye") for name in "abcd"))
    target, sources, plan = specs(mode("by_name", unshared="group"), split_of(eye, ["a", "b"], ["c", "d"]))
    check(target, sources, plan)
    assert {name for _, name in plan.dropped} == {"junction0.predictions.weight"}


WRONG = {
    "none": (("l_hand", ()), "takes nothing for 'l_hand'"),
    "not in the source": (("l_hand", ("hip",)), "takes hip for 'l_hand'; its source .* has r_hand, head"),
    "copied too": (("r_hand", ("r_hand",)), "stand-ins for 'r_hand', which it copies or has not"),
    "not in the target": (("l_foot", ("r_foot",)), "stand-ins for 'l_foot', which it copies or has not"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_stand_ins_that_do_not_fit_are_refused(specs, figure, wrong):
    target, sources, plan = specs(mode("by_name"), split_of(figure, *HALVES))
    pair, told = WRONG[wrong]
    origins = {**plan.origins, "head0.bias": replace(plan.origins["head0.bias"], stand_ins=(pair,))}
    with pytest.raises(KpError, match=told):
        replace(plan, origins=origins).verify(target, tuple(sources))


# Gradual unfreezing


@pytest.mark.parametrize(
    ("until", "epochs", "expected"),
    [(0.5, 12, (2, 4, 6)), (0.5, 200, (34, 67, 100)), (1.0, 9, (3, 6, 9)), (0.3, 10, (1, 2, 3)), (0.5, 1, (1, 1, 1))],
)
def test_thaws_are_spread_over_a_share_of_the_schedule(specs, overlap, until, epochs, expected):
    _, _, plan = specs(mode("gradual", until=until), overlap)
    assert tuple(thaw.epoch for thaw in plan.scheduled(epochs).thaws) == expected
    assert plan.scheduled(epochs).always_frozen == frozenset()


def test_loaded_units_thaw_from_the_last_stage_to_the_stem(specs, overlap):
    target, _, plan = specs(mode("gradual", every=3), overlap)
    assert plan.frozen == {"stem", "stage0", "stage1"}
    assert plan.thaws == (Thaw(3, ("stage1",)), Thaw(6, ("stage0",)), Thaw(9, ("stem",)))
    assert plan.frozen_norm == "eval"
    assert plan.supervision == (overlap.target,) * 4
    renewed = units_of(of_kind(plan, "new"))
    assert renewed == set(target.units) - plan.frozen


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_of_the_schedule_lies_within_it(specs, overlap, share):
    target, sources, plan = specs(mode("gradual"), overlap)
    with pytest.raises(KpError, match=r"stem thaw after a share of .*; give 0 to 1"):
        replace(plan, thaws=(Thaw.after(share, ("stem",)),)).verify(target, tuple(sources))


def test_gradual_thaws_everything_that_it_freezes_in_chains_too(specs, moving):
    for step in (1, 2):
        target, sources, plan = specs(mode("gradual"), moving, step=step, stages=(1, 2, 4))
        thawed = [unit for thaw in plan.thaws for unit in thaw.units]
        assert sorted(thawed) == sorted(plan.frozen)
        assert thawed[-1] == "stem"
        shares = [thaw.share for thaw in plan.thaws]
        assert shares == sorted(shares)
        assert shares[-1] == 0.5
        assert len(thawed) == sources[0].stages + 1
        assert set(target.units) > plan.frozen


# L2-SP


def test_the_pull_is_what_the_paper_says(narrow, codec, overlap):
    plan, network, _, source = carried_out(mode("l2sp", alpha=0.3, beta=0.7), overlap, narrow, codec)
    assert plan.teacher
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    theirs = dict(source.named_parameters())
    expected = 0.0
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1 and plan.origins[name].kind == "loaded":
            expected += 0.3 / 2 * (parameter - theirs[name]).square().sum().item()
        elif parameter.ndim > 1:
            expected += 0.7 / 2 * parameter.square().sum().item()
    found = plan.extra_loss([], None, network, source)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    found.backward()
    kept, new, norm = (network.get_parameter(name) for name in ("stem.0.weight", "head0.weight", "head0.bias"))
    assert torch.allclose(kept.grad, 0.3 * (kept - theirs["stem.0.weight"]), atol=1e-6)
    assert torch.allclose(new.grad, 0.7 * new, atol=1e-6)
    assert norm.grad is None


def test_at_the_start_only_what_is_new_is_pulled(narrow, codec, overlap):
    plan, network, _, source = carried_out(mode("l2sp", alpha=1e6, beta=0.0), overlap, narrow, codec)
    found = plan.extra_loss([], None, network, source)
    assert found.item() == 0.0
    found.backward()
    assert all(bool(one.grad.isfinite().all()) for one in network.parameters() if one.grad is not None)


# Replay


def test_replay_predicts_both_sets_and_reads_labels_of_the_second_alone(specs, split):
    target, _, plan = specs(mode("replay"), split)
    union = split.target.skeleton.select(
        name for name in split.target.skeleton.names if name in split.source or name in split.target
    )
    assert target.layout.heads == (union,) * 4
    assert plan.supervision == (split.target,) * 4
    gone = tuple(name for name in union.names if name not in split.target)
    assert plan.teacher == (plan.extra_loss is not None) == bool(gone)
    if gone:
        assert plan.extra_loss == PseudoLabels(gone, 1.0, 0.0)


def test_a_chain_replays_all_that_came_before(specs, figure):
    chain = split_of(figure, ["hand"], ["foot", "head"], ["hip"])
    target, sources, plan = specs(mode("replay"), chain, step=2, stages=(1, 2, 3))
    assert target.layout.heads == (figure.all(),) * 3
    assert sources[0].layout.heads == (figure.select(["r_hand", "head", "l_hand", "l_foot", "r_foot"]),) * 2
    assert plan.extra_loss.keypoints == sources[0].layout.heads[0].names


def test_what_the_new_skeleton_does_not_name_is_left_out(specs):
    target, _, plan = specs(mode("replay"), ABROAD)
    head = target.layout.heads[-1]
    assert head.skeleton == MPII
    assert set(head.names) == {"l_wrist", "r_wrist", "head_top", "thorax", "l_elbow", "r_elbow"}
    assert list(head.indices) == sorted(head.indices)
    assert plan.extra_loss.keypoints == ("head_top",)


def test_nothing_to_replay_on_the_new_skeleton_is_an_error():
    strangers = KeypointSplit("strangers", (Step(LSP.select(["neck"])), Step(MPII.select(["wrist"]))))
    with pytest.raises(KpError, match=r"split 'strangers', S2: replay .* 'mpii', which has none of neck"):
        mode("replay").layout(strangers, 1, (1, 2))


@pytest.fixture
def step_batch(dots_store, codec):
    """A batch of the figure's dots as losses see it."""

    def make(codec=codec, row=0):
        stream = TrainingStream(CpuSampler(dots_store["train"]), range(32), Augmentation(), seed=0, batch_size=8)
        batch = stream.batch(row)
        return StepBatch(batch.input(CPU.torch, (0, 0, 0), (1, 1, 1)), batch.points, batch.state, codec, 4)

    return make


def learner(narrow, codec, figure, plan, network, teacher=None):
    teacher = teacher.requires_grad_(False).eval() if plan.teacher else None
    return Learner(
        network=network, plan=plan, teacher=teacher, backbone=narrow, codec=codec, skeleton=figure, device=CPU
    )


def test_no_loss_of_replay_depends_on_labels_of_the_first_set(narrow, any_codec, figure, overlap, step_batch):
    plan, network, _, source = carried_out(mode("replay"), overlap, narrow, any_codec)
    one = learner(narrow, any_codec, figure, plan, network, source)
    batch = step_batch(any_codec)
    gone = [figure.index(name) for name in ("l_hand", "r_hand")]
    points, state = batch.points.clone(), batch.state.clone()
    points[:, gone], state[:, gone] = torch.nan, UNLABELLED

    def loss(of):
        outputs = network(of.images)
        return supervised_loss(outputs, of, one) + plan.extra_loss(outputs, of, network, one.teacher)

    assert torch.equal(loss(batch), loss(replace(batch, points=points, state=state)))
    seen = figure.index("head")
    points[:, seen] += 3
    assert not torch.equal(loss(batch), loss(replace(batch, points=points, state=state)))


def test_pseudo_labels_are_the_source_s_answers_drawn_again(narrow, codec, overlap, step_batch):
    plan, network, _, source = carried_out(mode("replay", weight=2.5), overlap, narrow, codec)
    network.eval(), source.eval()
    batch = step_batch()
    outputs = network(batch.images)
    answers, confidence = codec.decode(source(batch.images)[-1], 4)
    first = list(overlap.source.places(plan.extra_loss.keypoints))
    targets = codec.encode(answers[:, first], torch.full((8, 2), VISIBLE), (8, 8), 4)
    head = network.layout.heads[0]
    mine = [output[:, list(head.places(plan.extra_loss.keypoints))] for output in outputs]
    expected = 2.5 * sum(codec.loss(one, targets).item() for one in mine)
    assert plan.extra_loss(outputs, batch, network, source).item() == pytest.approx(expected, rel=1e-5)
    doubtful = replace(plan.extra_loss, confidence=2 * confidence.max().item())
    assert doubtful(outputs, batch, network, source).item() == 0.0
    middle = replace(plan.extra_loss, confidence=confidence[:, first].median().item())
    assert 0.0 != middle(outputs, batch, network, source).item() != pytest.approx(expected, rel=1e-6)


def test_the_teacher_takes_no_gradient_and_half_precision_does_not_break_it(narrow, codec, overlap, step_batch):
    plan, network, _, source = carried_out(mode("replay"), overlap, narrow, codec)
    source.eval()
    batch = step_batch()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(batch.images)
    assert outputs[-1].dtype == torch.bfloat16
    loss = plan.extra_loss(outputs, batch, network, source)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(one.grad is None for one in source.parameters())
    assert network.get_parameter("head0.weight").grad is not None


# Training


@pytest.fixture
def train(dots_store, narrow, codec, figure):
    """Train so many steps of eight people, in epochs of ``length``; return the network."""

    def run(plan, network, teacher=None, steps=20, length=20, seed=0, after=None):
        stream = TrainingStream(CpuSampler(dots_store["train"]), range(32), Augmentation(), seed=seed, batch_size=8)
        torch.manual_seed(0)
        stepper = Stepper(
            learner(narrow, codec, figure, plan, network, teacher), AdamW(name="adamw", learning_rate=3e-3)
        )
        for step, batch in enumerate(stream.iterate(0, steps)):
            if step % length == 0:
                if after is not None and step:
                    after(step // length, network)
                stepper.start_epoch(step // length)
            stepper.step(batch)
        if after is not None:
            after(steps // length, network)
        return network

    return run


@pytest.fixture(scope="session")
def learned():
    """Source networks that were trained once, by layout."""
    return {}


@pytest.fixture
def source_of(learned, train, narrow, codec):
    """A fresh copy of the network trained on S1 of a split."""

    def make(split, stages=1):
        layout = Layout((split.source,) * stages)
        network = build_network(narrow, codec, layout, seed=3, resolution=32)
        key = (split.source.names, stages)
        if key not in learned:
            spec = describe(narrow, codec, layout)
            plan = mode("random").plan(split, 0, spec, [])
            learned[key] = {name: one.clone() for name, one in train(plan, network, steps=100).state_dict().items()}
        network.load_state_dict(learned[key])
        return network

    return make


@pytest.fixture
def trained(source_of, train, narrow, codec):
    """(network, source) after so many steps on S2 in a mode; ``change`` alters its plan."""

    def make(strategy, split, change=None, **training):
        source = source_of(split)
        plan, network, _, _ = carried_out(strategy, split, narrow, codec, stages=(1, 2), source=source)
        return train(change(plan) if change else plan, network, source, **training), source

    return make


@pytest.fixture
def once(learned, trained):
    """The same, trained once for all tests that ask for it under this name; to be looked at only."""

    def make(name, *what, **training):
        if name not in learned:
            learned[name] = trained(*what, **training)
        return learned[name]

    return make


def distance(network, source):
    """How far the carried weights of the body are from the source's."""
    theirs = dict(source.named_parameters())
    return sum(
        (one - theirs[name]).square().sum().item()
        for name, one in network.named_parameters()
        if one.ndim > 1 and name.partition(".")[0] in ("stem", "stage0")
    )


def pulled(once, overlap, alpha=0.0, beta=0.0):
    return once(f"l2sp {alpha} {beta}", mode("l2sp", alpha=alpha, beta=beta), overlap, steps=40)


@pytest.mark.slow
def test_l2sp_stays_nearer_to_the_source_than_transfer(once, overlap):
    distances = [distance(*pulled(once, overlap, alpha=alpha)) for alpha in (0.0, 0.1, 10.0)]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.2 * distances[0]


@pytest.mark.slow
def test_l2sp_shrinks_what_is_new(once, overlap):
    def size(beta):
        network, _ = pulled(once, overlap, beta=beta)
        return network.get_parameter("head1.weight").square().sum().item()

    assert size(10.0) < 0.5 * size(0.0)


def test_l2sp_without_a_pull_is_transfer_bit_by_bit(once, trained, overlap):
    free, _ = trained(mode("transfer"), overlap, steps=40)
    assert fingerprint(pulled(once, overlap)[0].state_dict()) == fingerprint(free.state_dict())


def test_gradual_leaves_units_alone_until_they_thaw(trained, overlap):
    marks = []

    def note(epoch, network):
        marks.append({unit: fingerprint(network.state_dict(), [unit]) for unit, _ in network.units()})

    network, source = trained(mode("gradual", every=1), overlap, steps=12, length=4, after=note)
    before = {unit: fingerprint(source.state_dict(), [unit]) for unit in ("stem", "stage0")}
    first, second, third = marks
    assert (first["stem"], first["stage0"]) == (before["stem"], before["stage0"])  # buffers of BatchNorm too
    assert second["stem"] == before["stem"]
    assert second["stage0"] != before["stage0"]
    assert third["stem"] != before["stem"]
    assert all(third[unit] != second[unit] != first[unit] for unit in ("stage1", "head0", "head1", "junction0"))
    assert network.training


def answers(network, store, keypoints, codec):
    """Points (N, K, 2) of these keypoints that the last head finds on people that were not trained on, input pixels."""
    stream = TrainingStream(CpuSampler(store), range(32), Augmentation(), seed=9, batch_size=32)
    batch = stream.batch(0)
    with torch.no_grad():
        output = network.eval()(batch.input(CPU.torch, (0, 0, 0), (1, 1, 1)))[-1]
    head = network.layout.heads[-1]
    found, _ = codec.decode(output[:, list(head.places(keypoints))], 4)
    truth = batch.points[:, list(head.skeleton.select(keypoints).indices)]
    return found, truth


@pytest.mark.slow
def test_replay_keeps_the_first_set_where_a_bigger_head_alone_forgets_it(once, trained, figure, dots_store, codec):
    disjoint = split_of(figure, *SETS["disjoint"])
    names = disjoint.source.names
    kept, source = once("replay", mode("replay"), disjoint, steps=100)
    lost, _ = trained(
        mode("replay"), disjoint, steps=100, change=lambda plan: replace(plan, extra_loss=None, teacher=False)
    )
    before, truth = answers(source, dots_store["valid"], names, codec)
    errors = []
    for network in (kept, lost):
        after, _ = answers(network, dots_store["valid"], names, codec)
        errors.append([float((after - one).norm(dim=-1).mean()) for one in (before, truth)])
    assert errors[0][0] < 0.7 * errors[1][0]
    assert errors[0][1] < 0.8 * errors[1][1]


def test_replay_learns_the_second_set_too(once, trained, figure, dots_store, codec):
    disjoint = split_of(figure, *SETS["disjoint"])
    errors = []
    for network, _ in (
        trained(mode("replay"), disjoint, steps=1), once("replay", mode("replay"), disjoint, steps=100)
    ):  # fmt: skip
        found, truth = answers(network, dots_store["valid"], disjoint.target.names, codec)
        errors.append(float((found - truth).norm(dim=-1).mean()))
    assert errors[1] < 0.6 * errors[0]


# Whole studies

STUDY = (
    """
[study]
name = "chain"
modes = ["transfer", "frozen", "random", "by_name", "gradual", "l2sp", "replay"]

[dataset]
name = "mpii"
generate = { name = "people", people = 12, valid = 6, size = 64 }

[split]
name = "explicit"
sets.chain.steps = [["ankle"], ["ankle", "wrist"], ["wrist", "elbow"]]
"""
    + tiny.network([1, 2, 3])
    + tiny.training(epochs=3, iterations=1, people=4)
)
ABROAD_TOO = """
[datasets.other]
name = "mpii"
generate = { name = "people", people = 12, valid = 6, size = 64, seed = 1 }
aliases = { r_ankle = "r_heel", l_ankle = "l_heel", head_top = "crown" }
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a study; return its results and the plan of every job."""
    monkeypatch.chdir(tmp_path)

    def go(text):
        (tmp_path / "study.toml").write_text(text)
        assert outcome(["run", "study.toml", "--jobs", "1"]) == 0
        folder = tmp_path / "runs" / "chain"
        plans = {
            one.name: json.loads((one / "plan.json").read_text())
            for one in (folder / "jobs").iterdir()
            if (one / "plan.json").exists()
        }
        return Results.from_json((folder / "results.json").read_text()), plans

    return go


@pytest.mark.slow
def test_three_steps_run_in_all_seven_modes(run):
    results, plans = run(STUDY)
    assert [(row.mode, row.status) for row in results.rows] == [(name, "done") for name in CLASSES]
    middle = {f"chain-{name}-step1-0" for name in CLASSES if name != "random"}
    assert plans.keys() == {"chain-source-0", *middle, *(f"chain-{name}-0" for name in CLASSES)}
    wanted = ["r_elbow", "l_elbow", "r_wrist", "l_wrist"]
    for name in CLASSES:
        heads = plans[f"chain-{name}-0"]["heads"]
        assert len(heads) == 3
        assert set(wanted) <= set(heads[-1])
        assert set(plans[f"chain-{name}-0"]["supervision"][-1]) == set(wanted)
    assert set(plans["chain-replay-0"]["heads"][-1]) == {*wanted, "r_ankle", "l_ankle"}
    frozen = plans["chain-frozen-0"]
    assert {"stem", "stage0", "head0", "junction0", "stage1", "head1"} == set(frozen["frozen"])
    assert [thaw["epoch"] for thaw in plans["chain-gradual-0"]["thaws"]] == [1, 1, 2]  # of 3 epochs
    assert frozen["frozen_hash"]["before"] == frozen["frozen_hash"]["after"]


def test_two_steps_run_across_data_sets(run):
    steps = '[["r_heel", "l_heel", "crown", "wrist"], ["ankle", "wrist"]]'
    text = STUDY.replace('[["ankle"], ["ankle", "wrist"], ["wrist", "elbow"]]', steps)
    text = text.replace("epochs = 3", "epochs = 1").replace(
        "[backbone]", 'sets.chain.datasets = ["other", ""]\n\n[backbone]'
    )
    results, plans = run(text + ABROAD_TOO)
    assert [(row.mode, row.status) for row in results.rows] == [(name, "done") for name in CLASSES]
    assert set(plans["chain-source-0"]["heads"][0]) == {"r_heel", "l_heel", "crown", "r_wrist", "l_wrist"}
    sliced = plans["chain-by_name-0"]["tensors"]["head1.weight"]
    assert sliced["origin"] == "sliced"
    assert set(sliced["keypoints"]) == {"r_wrist", "l_wrist"}
    assert set(plans["chain-replay-0"]["heads"][-1]) == {"r_ankle", "l_ankle", "r_wrist", "l_wrist"}


# --- names, first steps, and places -----------------------------------------------------------------------------------


def test_what_tables_call_the_modes():
    assert {name: mode(name).summary for name in CLASSES} == {
        "transfer": "Transfer learning", "frozen": "Frozen weights", "random": "Random initialization",
        "by_name": "Transfer by name", "gradual": "Gradual unfreezing", "l2sp": "L2-SP", "replay": "Replay",
    }  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_the_first_step_predicts_its_own_set_on_every_stage(overlap, name):
    assert VARIANTS[name].layout(overlap, 0, (2, 4)).heads == (overlap.source,) * 2


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [("frozen", {}, "frozen mode"), ("transfer", {"supervision": "s1"}, "supervision = 's1'")],
)
def test_what_cannot_learn_without_new_stages_says_which_mode_and_how_many_there_are(overlap, name, options, said):
    message = rf"^backbone\.stages: {said} needs new stages at every step, but the network keeps its 3 stages; let the"
    with pytest.raises(KpError, match=message):
        mode(name, **options).layout(overlap, 1, (3, 3))


def test_units_belong_to_the_stage_of_their_number():
    names = ("stem", "stage0", "head0", "junction3", "stage10", "junction12")
    assert [place_of(name) for name in names] == [-1, 0, 0, 3, 10, 12]


@pytest.mark.parametrize("name", ["transfer", "by_name", "l2sp", "replay", "random"])
def test_only_frozen_and_gradual_freeze_and_only_what_answers_needs_a_teacher(specs, overlap, name):
    _, _, plan = specs(mode(name), overlap)
    assert (plan.frozen, plan.thaws) == (frozenset(), ())
    assert plan.teacher == (plan.extra_loss is not None) == (name in ("l2sp", "replay"))
    assert plan.supervision == (overlap.target,) * 4
