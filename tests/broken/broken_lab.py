"""A plugin of small components that work, and of the same components with one thing spoilt each."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from kpcore import hookimpl
from kpcore.interfaces import (
    Backbone,
    Codec,
    ComponentConfig,
    Dataset,
    Facts,
    Generator,
    Metric,
    Need,
    Scores,
    Split,
    Targets,
    TransferStrategy,
)
from kpcore.keypoints import Keypoint, KeypointSplit, Skeleton, Step
from kpcore.plans import Layout, Origin, TransferPlan, fresh_origins
from kpcore.samples import Sample

SQUARE = Skeleton("square", tuple(Keypoint(name) for name in ("top", "right", "bottom", "left")))
TRIANGLE = Skeleton("triangle", tuple(Keypoint(name) for name in ("a", "b", "c")))
PEOPLE = 8


class Squares(Dataset):
    """Noise with four points each."""

    class Config(ComponentConfig):
        root: str = ""

    def __init__(self, *, root):
        del root

    facts = property(lambda self: Facts("squares", SQUARE, ("train", "valid"), "1 px", "distance"))

    def samples(self, part):
        random = np.random.default_rng(len(part))
        return [
            Sample(
                random.integers(0, 255, (40, 40, 3), np.uint8), random.uniform(4, 36, (4, 2)).astype(np.float32),
                np.full(4, 2, np.uint8), np.array([20, 20], np.float32), 40.0, 1.0, f"{part}{row}", "0", row,
            )
            for row in range(PEOPLE)
        ]  # fmt: skip


class Halves(Split):
    """Two keypoints, then the other two."""

    def splits(self, skeleton, others):
        steps = [Step(skeleton.select(names)) for names in (skeleton.names[:2], skeleton.names[2:])]
        return [KeypointSplit("h", tuple(steps))]


class Plain(Backbone):
    """A convolution each."""

    stride = property(lambda self: 4)
    channels = property(lambda self: 4)

    def check_size(self, height, width):
        return None

    def stem(self):
        return nn.Conv2d(3, 4, 4, stride=4)

    def stage(self, index):
        return nn.Conv2d(4, 4, 3, padding=1)


class Maps(Codec):
    """One hot pixel a keypoint."""

    dims = property(lambda self: 2)
    width = property(lambda self: 1)

    def encode(self, points, state, size, stride):
        places = (points / stride).round().long().clamp(min=0)
        x, y = places[..., 0].clamp(max=size[1] - 1), places[..., 1].clamp(max=size[0] - 1)
        maps = nn.functional.one_hot(y * size[1] + x, size[0] * size[1]).float()
        return Targets(maps.reshape(*state.shape, *size), (state > 0).float())

    def loss(self, prediction, targets):
        return ((prediction - targets.maps) ** 2 * targets.weights[..., None, None]).mean()

    def decode(self, prediction, stride):
        value, place = prediction.flatten(2).max(2)
        width = prediction.shape[-1]
        return torch.stack([place % width, place // width], 2).float() * stride, value


class Distance(Metric):
    """Mean distance in pixels."""

    convention = property(lambda self: "distance")
    higher_is_better = property(lambda self: False)

    def values(self, predicted, truth, keypoints):
        return np.linalg.norm(predicted - truth.points[:, list(keypoints.indices)], axis=-1)

    def reduce(self, values, truth, keypoints, columns):
        return Scores({column.name: float(values.mean()) for column in columns}, float(values.mean()))


class Anew(TransferStrategy):
    """Everything anew."""

    summary = property(lambda self: "Anew")

    def needs(self, split, step):
        return []

    def layout(self, split, step, stages):
        return Layout((split.steps[step].keypoints,) * stages[step])

    def plan(self, split, step, target, sources):
        return TransferPlan(fresh_origins(target), supervision=target.layout.heads)


class Nothing(Generator):
    """Writes nothing; the squares need no files."""

    version = property(lambda self: "1")

    def write(self, folder, progress):
        pass


class Odd(nn.Module):
    """Does to an output what it is told to."""

    def __init__(self, inner, change):
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, x):
        return self.change(self.inner(x), self.training)


def boom(*_):
    raise ZeroDivisionError("broken\non purpose")


def leave(*_):
    raise SystemExit(3)


def value(found):
    """The fault that gives this back, whatever was asked."""
    return lambda good: found


def change(function):
    """The fault that gives back a changed result."""
    return lambda good: function(good())


def fact(**wrong):
    """The fault that gives back facts of which these are wrong."""
    return change(lambda facts: replace(facts, **wrong))


def odd(function):
    """The fault that gives back a module whose output is changed, (output, training) -> output."""
    return lambda good: Odd(good(), function)


def first(changed):
    """The fault that changes the first of some samples."""
    return change(lambda samples: [replace(samples[0], **changed(samples[0])), *samples[1:]])


def later(fault, good_calls):
    """The fault that shows only after that many calls."""
    calls = []

    def spoilt(good):
        calls.append(1)
        return good() if len(calls) <= good_calls else fault(good)

    return spoilt


def nan(tensor):
    return tensor * float("nan")


def plan(**changes):
    """The fault that gives back a plan with other fields, made from the plan."""
    return change(lambda made: replace(made, **{name: make(made) for name, make in changes.items()}))


def extra(function):
    """The fault that gives a plan this extra loss, outputs -> loss."""
    return plan(extra_loss=lambda made: lambda outputs, *rest: function(outputs))


GOOD = {
    "dataset": ("squares", Squares), "split": ("halves", Halves), "backbone": ("plain", Plain), "codec": ("maps", Maps),
    "metric": ("distance", Distance), "strategy": ("anew", Anew), "generator": ("nothing", Nothing),
}  # fmt: skip

# kind, what is spoilt, how, and what the one line must say of it. None of these gets as far as a training.
BEFORE = [
    ("dataset", "__init__", boom, "constructor: ZeroDivisionError: broken on purpose"),
    ("dataset", "facts", boom, "facts: ZeroDivisionError"),
    ("dataset", "facts", leave, "facts: SystemExit: 3"),
    ("dataset", "facts", value(None), "facts: None, expected Facts"),
    ("dataset", "facts", fact(skeleton=None), "facts.skeleton: None, expected a Skeleton"),
    ("dataset", "facts", fact(label=None), "facts.label: None, expected a string"),
    ("dataset", "facts", fact(list_name=3), "facts.list_name: 3, expected a string"),
    ("dataset", "facts", fact(parts="train"), "facts.parts: str 'train', expected a tuple of strings"),
    ("dataset", "facts", fact(normaliser=1.0), "facts.normaliser: 1.0, expected a string"),
    ("dataset", "facts", fact(default_metric=["x"]), "facts.default_metric: list ['x'], expected a string"),
    ("dataset", "facts", fact(origin="1"), "facts.origin: str '1', expected 0 or 1"),
    ("dataset", "samples", boom, "samples(): ZeroDivisionError"),
    ("dataset", "samples", value(None), "samples('train'): None, expected a sequence of Samples"),
    ("dataset", "samples", value([None]), "samples('train')[0]: None, expected a Sample"),
    ("dataset", "samples", first(lambda s: {"points": s.points[1:]}), ".points: (3, 2) float32, expected (4, 2) float"),
    ("dataset", "samples", first(lambda s: {"points": s.points.astype(float)}), ".points: (4, 2) float64, expected (4"),
    ("dataset", "samples", first(lambda s: {"state": s.state.astype(int)}), ".state: (4,) int64, expected (4,) uint8"),
    ("dataset", "samples", first(lambda s: {"centre": None}), ".centre: None, expected (2,) float"),
    ("dataset", "samples", first(lambda s: {"side": "40"}), ".side: str '40', expected a number"),
    ("dataset", "samples", first(lambda s: {"image": "x.png"}), ".image: str 'x.png', expected a Path, or (H, W, 3)"),
    ("dataset", "samples", first(lambda s: {"image_id": 7}), ".image_id: 7, expected a string"),
    (
        "dataset",
        "samples",
        first(lambda s: {"points": s.points + np.float32(np.random.default_rng().random())}),
        "samples('train')[0].points: differs when it is asked for again",
    ),
    ("dataset", "findings", boom, "findings(): ZeroDivisionError"),
    ("dataset", "findings", value(["bad"]), "findings('train'): list ['bad'], expected a list of Findings"),
    ("generator", "version", boom, "version: ZeroDivisionError"),
    ("generator", "version", value(None), "version: None, expected a string"),
    ("generator", "write", boom, "write(): ZeroDivisionError"),
    ("split", "splits", boom, "splits(): ZeroDivisionError"),
    ("split", "splits", value(None), "splits(): None, expected a list of KeypointSplits"),
    ("split", "splits", change(lambda found: [found[0], "h"]), "expected a list of KeypointSplits"),
    (
        "split",
        "splits",
        value([KeypointSplit("h", (Step(TRIANGLE.all()),) * 2)]),
        "splits(), 'h', S1: keypoints of skeleton 'triangle', expected 'square'",
    ),
    ("backbone", "stride", boom, "stride: ZeroDivisionError"),
    ("backbone", "stride", value(0), "stride: 0, expected a positive integer"),
    ("backbone", "channels", value(None), "channels: None, expected a positive integer"),
    ("backbone", "mean", value(0.5), "mean: 0.5, expected three numbers"),
    ("backbone", "std", value((0.0, 0.0, 0.0)), "std: tuple (0.0, 0.0, 0.0), expected three positive numbers"),
    ("backbone", "blocks", value(None), "blocks: None, expected a tuple of classes"),
    ("backbone", "check_size", boom, "check_size(): ZeroDivisionError"),
    ("backbone", "check_size", value(False), "check_size(32, 32): False, expected None or a string"),
    ("backbone", "stem", boom, "stem(): ZeroDivisionError"),
    ("backbone", "stem", value(None), "stem(): None, expected a torch.nn.Module"),
    ("backbone", "stem", odd(lambda x, _: x[:, 1:]), "stem(), evaluation: (2, 3, 8, 8) float32, expected (2, 4, 8, 8)"),
    ("backbone", "stem", odd(lambda x, _: x[..., 1:]), "(2, 4, 8, 7) float32, expected (2, 4, 8, 8) float32"),
    ("backbone", "stem", odd(lambda x, _: x.double()), "(2, 4, 8, 8) float64, expected (2, 4, 8, 8) float32"),
    ("backbone", "stem", odd(lambda x, _: nan(x)), "stem(), evaluation: (2, 4, 8, 8) with NaN or infinity"),
    ("backbone", "stage", boom, "stage(): ZeroDivisionError"),
    ("backbone", "stage", value(3), "stage(0): 3, expected a torch.nn.Module"),
    ("backbone", "stage", value(nn.Conv2d(5, 4, 1)), "stage(0), evaluation: given (2, 4, 8, 8): RuntimeError: Given"),
    ("backbone", "stage", value(nn.Conv2d(4, 4, 1)), "stage(1): parameter 'weight' is also of stage(0), expected one"),
    ("backbone", "stage", odd(boom), "stage(0), evaluation: given (2, 4, 8, 8): ZeroDivisionError: broken on purpose"),
    ("backbone", "stage", odd(lambda x, _: [x]), "stage(0), evaluation: list "),
    ("backbone", "stage", odd(lambda x, on: x[:, :3] if on else x), "stage(0), training: (2, 3, 8, 8) float32, expect"),
    ("backbone", "pretrained", boom, "pretrained(): ZeroDivisionError"),
    ("backbone", "pretrained", value(None), "pretrained(): None, expected a mapping from name to Tensor"),
    ("codec", "dims", boom, "dims: ZeroDivisionError"),
    ("codec", "dims", value(4), "dims: 4, expected 2 or 3"),
    ("codec", "width", value(1.5), "width: 1.5, expected a positive integer"),
    ("codec", "channels", boom, "channels(): ZeroDivisionError"),
    ("codec", "channels", value(None), "channels(2): None, expected a positive integer"),
    (
        "codec",
        "channel_slice",
        value(slice(1, 9)),
        "channel_slice(0): slice slice(1, 9, None), expected a slice within",
    ),
    ("codec", "encode", boom, "encode(): ZeroDivisionError"),
    ("codec", "encode", value(None), "encode(): None, expected Targets"),
    ("codec", "encode", change(lambda t: replace(t, maps=nan(t.maps))), "encode().maps: (2, 2, 8, 8) float32 with NaN"),
    (
        "codec",
        "encode",
        change(lambda t: replace(t, weights=t.weights[:, :1])),
        "encode().weights: (2, 1) float32, exp",
    ),
    ("codec", "encode", change(lambda t: replace(t, weights=3 * t.weights)), "encode().weights: 0 to 3, expected 0 to"),
    ("codec", "loss", boom, "loss(): ZeroDivisionError"),
    ("codec", "loss", value(None), "loss(): None, expected () float32"),
    ("codec", "loss", change(lambda loss: loss[None]), "loss(): (1,) float32, expected () float32"),
    ("codec", "loss", change(nan), "loss(): () with NaN or infinity"),
    ("codec", "loss", change(torch.Tensor.detach), "a scalar that the prediction's gradient comes from"),
    ("codec", "decode", boom, "decode(): ZeroDivisionError"),
    ("codec", "decode", value(None), "decode(): None, expected points and confidence"),
    (
        "codec",
        "decode",
        change(lambda d: (d[0][..., :1], d[1])),
        "decode(), points: (2, 2, 1) float32, expected (2, 2,",
    ),
    ("codec", "decode", change(lambda d: (d[0], nan(d[1]))), "decode(), confidence: (2, 2) with NaN or infinity"),
    ("codec", "merge", boom, "merge(): ZeroDivisionError"),
    ("codec", "merge", change(lambda m: m[:1]), "merge(): (1, 2, 8, 8) float32, expected (2, 2, 8, 8) float32"),
    ("metric", "convention", boom, "convention: ZeroDivisionError"),
    ("metric", "convention", value(None), "convention: None, expected a string"),
    ("metric", "unit", boom, "unit: ZeroDivisionError"),
    ("metric", "unit", value(None), "unit: None, expected a string"),
    ("metric", "value_unit", boom, "value_unit: ZeroDivisionError"),
    ("metric", "value_unit", value(None), "value_unit: None, expected a string"),
    ("metric", "legend", boom, "legend: ZeroDivisionError"),
    ("metric", "legend", value(3), "legend: 3, expected a string"),
    ("metric", "average_name", boom, "average_name: ZeroDivisionError"),
    ("metric", "average_name", value(None), "average_name: None, expected a string"),
    ("metric", "higher_is_better", value(1), "higher_is_better: 1, expected a bool"),
    ("metric", "values", boom, "values(): ZeroDivisionError"),
    ("metric", "aspects", boom, "aspects(): ZeroDivisionError"),
    ("metric", "aspects", value(3), "aspects(): 3, expected values by column's name"),
    ("metric", "values", value(None), "values(): None, expected (1, 2) float64"),
    ("metric", "values", change(lambda v: v.T), "values(): (2, 1) float64, expected (1, 2) float64"),
    ("metric", "values", change(nan), "a finite number"),
    ("metric", "reduce", boom, "reduce(): ZeroDivisionError"),
    ("metric", "reduce", value({"x": 1.0}), "reduce(): dict {'x': 1.0}, expected Scores"),
    ("metric", "reduce", change(lambda s: replace(s, columns={"x": "1"})), "reduce().columns: dict {'x': '1'}, expect"),
    ("metric", "reduce", change(lambda s: replace(s, average=None)), "reduce().average: None, expected a number"),
    ("metric", "reads", boom, "reads(): ZeroDivisionError"),
    ("metric", "reads", value("top"), "reads(): str 'top', expected a list of names"),
    ("metric", "reads", value(["nobody"]), "reads(): list ['nobody'], expected keypoints of skeleton "),
    ("metric", "convention_of", boom, "convention_of(): ZeroDivisionError"),
    ("metric", "convention_of", value(None), "convention_of(): None, expected a string"),
    ("metric", "remarks", boom, "remarks(): ZeroDivisionError"),
    ("metric", "remarks", value("top"), "remarks(): str 'top', expected a list of lines"),
    ("metric", "score", boom, "score(): ZeroDivisionError"),
    ("metric", "score", value(None), "score(): None, expected Scores"),
    ("strategy", "__init__", boom, "constructor: ZeroDivisionError"),
    ("strategy", "summary", boom, "summary: ZeroDivisionError"),
    ("strategy", "summary", value(None), "summary: None, expected a string"),
]

# A mode's own: it loses its rows, before or while it is trained; the other modes keep theirs.
MODES = [
    ("strategy", "needs", boom, "needs(): ZeroDivisionError: broken on purpose"),
    ("strategy", "needs", leave, "needs(): SystemExit: 3"),
    ("strategy", "needs", value(None), "needs(step 1): None, expected a list of Needs"),
    ("strategy", "needs", value([0]), "needs(step 1): list [0], expected a list of Needs"),
    ("strategy", "needs", value([Need(1)]), "expected an earlier step, 0 to 0"),
    ("strategy", "layout", boom, "layout(): ZeroDivisionError"),
    ("strategy", "layout", value(None), "layout(step 1): None, expected a Layout"),
    ("strategy", "layout", value(Layout(None)), "layout(step 1): None, expected a tuple of KeypointSets"),
    ("strategy", "layout", change(lambda found: Layout(found.heads[:1])), "layout(step 1): 1 heads, expected 2, one a"),
    ("strategy", "layout", value(Layout((TRIANGLE.all(),) * 2)), "layout(step 1): a head predicts 'a', expected keyp"),
    ("strategy", "plan", boom, "plan(): ZeroDivisionError"),
    ("strategy", "plan", value(None), "plan(): None, expected a TransferPlan"),
    ("strategy", "plan", plan(origins=lambda made: None), "plan().origins: None, expected a mapping"),
    ("strategy", "plan", plan(origins=lambda made: {}), "plan(): no origin for tensor 'stem.weight'"),
    (
        "strategy",
        "plan",
        plan(origins=lambda made: {**made.origins, "stem.bias": Origin("copied")}),
        "plan().origins['stem.bias']: Origin Origin(kind='copied'",
    ),
    (
        "strategy",
        "plan",
        plan(origins=lambda made: {**made.origins, "stem.bias": Origin("loaded", tensor="stem.bias")}),
        "plan(): 'stem.bias' comes from source 0, but there are 0",
    ),
    ("strategy", "plan", plan(supervision=lambda made: made.supervision[1:]), "plan(): 1 supervised stages named, the"),
    ("strategy", "plan", plan(supervision=lambda made: None), "plan().supervision: None, expected a tuple"),
    ("strategy", "plan", plan(frozen=lambda made: frozenset({"stage9"})), "plan(): no unit 'stage9'"),
    ("strategy", "plan", plan(frozen=lambda made: "stem"), "plan().frozen: str 'stem', expected a set of unit names"),
    ("strategy", "plan", plan(dropped=lambda made: ("stem",)), "plan().dropped: tuple ('stem',), expected (source, te"),
    ("strategy", "plan", plan(learning_rates=lambda made: {"stem": "x"}), "plan().learning_rates: dict"),
    ("strategy", "plan", plan(thaws=lambda made: None), "plan().thaws: None, expected Thaws"),
    ("strategy", "plan", plan(extra_loss=lambda made: 3), "plan().extra_loss: 3, expected a function or None"),
    ("strategy", "plan", plan(teacher=lambda made: True), "plan().teacher: True, expected false, since there is no"),
    ("strategy", "plan", extra(boom), "extra_loss(): ZeroDivisionError: broken on purpose"),
    ("strategy", "plan", extra(lambda outputs: None), "extra_loss(): None, expected a scalar of floating point"),
    ("strategy", "plan", extra(lambda outputs: outputs[0].mean((1, 2, 3))), "extra_loss(): (4,) float32, expected a"),
]


def shy(function):
    """(output, training) -> output that is changed from the third training step on."""
    steps = []

    def changed(x, training):
        steps.extend([1] if training and torch.is_grad_enabled() else [])
        return function(x, training) if len(steps) > 2 else x

    return changed


# What behaves while it is tried and fails in training: the jobs fail, each with the reason, and the study ends.
DURING = [
    ("backbone", "stage", odd(shy(lambda x, _: x[:, :3])), "stage0: (4, 3, 8, 8) float32, expected (4, 4, 8, 8)"),
    ("backbone", "stage", odd(shy(boom)), "forward(): ZeroDivisionError: broken on purpose"),
    ("codec", "loss", later(boom, 3), "loss(): ZeroDivisionError"),
    ("codec", "loss", later(value(None), 3), "loss(): None, expected a scalar of floating point"),
    ("codec", "loss", later(value(torch.zeros(2)), 3), "loss(): (2,) float32, expected a scalar of floating point"),
    ("codec", "encode", later(boom, 6), "encode(): ZeroDivisionError"),
    ("codec", "decode", later(leave, 4), "decode(): SystemExit: 3"),
    ("metric", "score", later(boom, 4), "score(): ZeroDivisionError"),  # tried on S2, on S1 and S2, and the mean shape
    ("metric", "score", later(value(None), 4), "score(): None, expected Scores"),
]
# A metric that only the final score reads: tried on one person, then on the mean shape.
FINAL = [("metric", "score", later(boom, 2), "score(): ZeroDivisionError")]
# What only intervals need: the rows keep their scores.
AFTER = [
    ("metric", "terms", boom, "terms(): ZeroDivisionError"),
    ("metric", "terms", value(3), "terms(): 3, expected Terms or None"),
    ("metric", "rescored", boom, "rescored(): ZeroDivisionError"),
    ("metric", "rescored", value(3), "rescored(): 3, expected (1000, 3) float64"),
]


def spoil(base, name, fault):
    """Return the component with one method or property spoilt."""
    original = getattr(base, name)

    def spoilt(self, *given, **named):
        if isinstance(original, property):
            return fault(lambda: original.fget(self))
        return fault(lambda: original(self, *given, **named))

    if name == "__init__" and "root" in base.Config.model_fields:

        def spoilt(self, *, root):
            return fault(root)
    elif name == "__init__":

        def spoilt(self):
            return fault(None)

    spoilt.__code__ = spoilt.__code__.replace(co_name=name)
    made = property(spoilt) if isinstance(original, property) else spoilt
    return type(f"Spoilt{base.__name__}", (base,), {name: made})


def named(faults, where):
    """Component's name -> (kind, what the line must say, class)."""
    return {
        f"{where}{place}-{name.strip('_')}": (kind, said, spoil(GOOD[kind][1], name, fault))
        for place, (kind, name, fault, said) in enumerate(faults)
    }


BROKEN = {
    **named(BEFORE, "before"), **named(MODES, "mode"), **named(DURING, "during"), **named(FINAL, "final"),
    **named(AFTER, "after"),
}  # fmt: skip


def supplied(kind):
    """What the hook of this kind returns."""
    name, good = GOOD[kind]
    return {name: good, **{name: found for name, (of, _, found) in BROKEN.items() if of == kind}}


@hookimpl
def kp_datasets():
    return supplied("dataset")


@hookimpl
def kp_generators():
    return supplied("generator")


@hookimpl
def kp_splits():
    return supplied("split")


@hookimpl
def kp_backbones():
    return supplied("backbone")


@hookimpl
def kp_codecs():
    return supplied("codec")


@hookimpl
def kp_metrics():
    return supplied("metric")


@hookimpl
def kp_strategies():
    return supplied("strategy")
