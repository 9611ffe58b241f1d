"""A transfer plan is checked against target and sources: nothing comes from nowhere, nothing is lost unsaid."""

from dataclasses import replace

import pytest

from kpcore.errors import KpError
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.plans import (
    NEW,
    KeypointAxis,
    Layout,
    NetworkSpec,
    Origin,
    TensorSpec,
    Thaw,
    TransferPlan,
    fresh_origins,
)

SKELETON = Skeleton("s", (Keypoint("a"), Keypoint("b"), Keypoint("c")))
AB, BC = SKELETON.select(["a", "b"]), SKELETON.select(["b", "c"])


def network(keypoints, *, features=4, pretrained=()):
    """A stem, one stage and its head."""
    axis = KeypointAxis(0, keypoints.names, 1)
    tensors = {
        "stem.weight": TensorSpec((features, 3), "stem", True),
        "stage0.weight": TensorSpec((features, features), "stage0", True),
        "head0.weight": TensorSpec((len(keypoints), features), "head0", True, keypoint_axis=axis),
    }
    return NetworkSpec(Layout((keypoints,)), tensors, frozenset(pretrained))


TARGET, SOURCE = network(BC), network(AB)
GOOD = TransferPlan(
    origins={
        "stem.weight": Origin("loaded", tensor="stem.weight"),
        "stage0.weight": NEW,
        "head0.weight": Origin("sliced", tensor="head0.weight", keypoints=("b",)),
    },
    supervision=(BC,),
    dropped=((0, "stage0.weight"),),
)


def origins(**changes):
    """The good plan with other origins; None leaves one out."""
    merged = {**GOOD.origins, **{name.replace("_", "."): origin for name, origin in changes.items()}}
    return {name: origin for name, origin in merged.items() if origin is not None}


def test_a_whole_plan_holds():
    GOOD.verify(TARGET, (SOURCE,))
    replace(GOOD, supervision=(SKELETON.select(["c"]),)).verify(TARGET, (SOURCE,))
    replace(GOOD, frozen=frozenset({"stem"}), thaws=(Thaw(2, ("stem",)),)).verify(TARGET, (SOURCE,))


def test_a_fresh_network_needs_no_source():
    TransferPlan(fresh_origins(TARGET), (BC,)).verify(TARGET, ())


def test_pretrained_tensors_come_from_the_backbone_s_file():
    target = network(BC, pretrained=["stem.weight"])
    assert fresh_origins(target)["stem.weight"] == Origin("pretrained")
    assert fresh_origins(target)["head0.weight"] == NEW
    TransferPlan(fresh_origins(target), (BC,)).verify(target, ())


WRONG = {
    "no origin": ({"origins": origins(stage0_weight=None)}, "no origin for tensor 'stage0.weight' (1 such)"),
    "no such tensor": ({"origins": origins(stage1_weight=NEW)}, "no tensor 'stage1.weight'; nearest: 'stage0.weight'"),
    "no such unit": ({"frozen": frozenset({"stage7"})}, "no unit 'stage7'; the network has stem, stage0, head0"),
    "rate of no unit": ({"learning_rates": {"body": 0.1}}, "no unit 'body'"),
    "thaw of no unit": ({"thaws": (Thaw(1, ("body",)),)}, "no unit 'body'"),
    "stages": ({"supervision": (BC, BC)}, "2 supervised stages named, the network has 1"),
    "no supervision": ({"supervision": (None,)}, "no stage is supervised"),
    "other head": ({"supervision": (AB,)}, "stage0 is supervised on a, b, but its head predicts b, c"),
    "no such source": (
        {"origins": origins(stem_weight=Origin("loaded", source=1, tensor="stem.weight"))},
        "comes from source 1, but there are 1",
    ),
    "no such source tensor": (
        {"origins": origins(stem_weight=Origin("loaded", tensor="trunk.weight"))},
        "comes from 'trunk.weight', which the source does not have",
    ),
    "other shape": (
        {"origins": origins(stage0_weight=Origin("loaded", tensor="stem.weight"))},
        "'stage0.weight' is (4, 4), its source 'stem.weight' is (4, 3)",
    ),
    "not by keypoint": (
        {"origins": origins(stem_weight=Origin("sliced", tensor="stem.weight", keypoints=("b",)))},
        "'stem.weight' cannot be sliced by keypoint from 'stem.weight'",
    ),
    "keypoint of one": (
        {"origins": origins(head0_weight=Origin("sliced", tensor="head0.weight", keypoints=("c",)))},
        "sliced by 'c', which is not in both networks",
    ),
    "nothing pretrained": ({"origins": origins(stage0_weight=Origin("pretrained"))}, "the backbone brings none"),
    "lost": ({"dropped": ()}, "source tensor 'stage0.weight' is neither used nor dropped (1 such)"),
    "dropped and used": (
        {"dropped": ((0, "stage0.weight"), (0, "stem.weight"))},
        "'stem.weight' is said to be dropped, but it is used",
    ),
    "dropped from nowhere": (
        {"dropped": ((0, "stage0.weight"), (0, "tail.weight"))},
        "'tail.weight' is said to be dropped, but it is used or does not exist",
    ),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_plan_is_refused(changes, message):
    with pytest.raises(KpError) as caught:
        replace(GOOD, **changes).verify(TARGET, (SOURCE,))
    assert message in str(caught.value)


def test_slicing_between_widths_is_refused():
    with pytest.raises(KpError, match=r"'head0.weight' is \(2, 4\), its source 'head0.weight' is \(2, 5\)"):
        replace(GOOD, origins=origins(stem_weight=NEW), dropped=((0, "stem.weight"), (0, "stage0.weight"))).verify(
            TARGET, (network(AB, features=5),)
        )


def test_units_are_in_the_order_of_the_forward_pass():
    assert TARGET.units == ("stem", "stage0", "head0")
    assert TARGET.stages == 1
