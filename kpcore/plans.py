"""What a network is made of, and where each of its tensors comes from. Plain nouns: no torch.

A strategy reads a :class:`NetworkSpec` and returns a :class:`TransferPlan`; the core checks the plan against the spec,
executes it, prints it and stores it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kpcore.errors import KpError, nearest
from kpcore.keypoints import KeypointSet


@dataclass(frozen=True)
class Layout:
    """The stages of a network by the keypoint set of each stage's head, first stage first."""

    heads: tuple[KeypointSet, ...]


@dataclass(frozen=True)
class KeypointAxis:
    """An axis of a tensor that is laid out by keypoints: ``keypoints[i]`` owns ``width`` entries from i * width.

    Args:
        axis: 0 of a head's weight and bias (its outputs), 1 of the weight of a junction's branch of predictions.
        keypoints: names, in the order of the head's set.
        width: the codec's channels a keypoint.
    """

    axis: int
    keypoints: tuple[str, ...]
    width: int


@dataclass(frozen=True)
class TensorSpec:
    """One parameter or buffer.

    Args:
        shape: of the tensor.
        unit: ``stem``, ``stage0``, ``head0``, ``junction0``, ``stage1``, ...: what a tensor's name begins with.
        trainable: true of a parameter, false of a buffer (BatchNorm's statistics).
        part: what a junction's two branches are told apart by, "features" or "predictions"; "" elsewhere.
        keypoint_axis: the axis that is laid out by keypoints; None where no axis is.
    """

    shape: tuple[int, ...]
    unit: str
    trainable: bool
    part: str = ""
    keypoint_axis: KeypointAxis | None = None


@dataclass(frozen=True)
class NetworkSpec:
    """Every tensor of a network by name, and the layout that it was built from.

    Args:
        layout: the keypoint set of every stage's head.
        tensors: name ("stage0.conv.weight") -> spec, in the order of the network's ``state_dict``.
        pretrained: names of the tensors for which the backbone brings a file's weights.
    """

    layout: Layout
    tensors: Mapping[str, TensorSpec]
    pretrained: frozenset[str] = frozenset()

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.layout.heads)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit names in the order of the forward pass."""
        return tuple(dict.fromkeys(spec.unit for spec in self.tensors.values()))


OriginKind = Literal["loaded", "sliced", "new", "pretrained"]


@dataclass(frozen=True)
class Origin:
    """Where one tensor of the target comes from.

    Args:
        kind: ``loaded`` whole from the source; ``sliced``: the entries of ``keypoints`` are copied by name, the others
            are new or begin as their stand-ins; ``new``: as initialised from the job's seed; ``pretrained``: from the
            backbone's file.
        source: which source network, counted as in the strategy's ``needs``.
        tensor: the tensor's name in the source.
        keypoints: for ``sliced``, the names that are copied.
        stand_ins: for ``sliced``, (name, others): a keypoint that the source does not have begins as the mean of the
            source's entries of these others.
    """

    kind: OriginKind
    source: int = 0
    tensor: str = ""
    keypoints: tuple[str, ...] = ()
    stand_ins: tuple[tuple[str, tuple[str, ...]], ...] = ()


NEW = Origin("new")
"""The origin of a tensor that stays as it was initialised from the job's seed."""

ExtraLoss = Callable[[list[Any], Any, Any, Any], Any]
"""(outputs, batch, network, teacher) -> scalar tensor that is added to the loss, with a gradient; called every step.

- outputs: one prediction a stage, (B, channels(K of its head), h, w), on the device; bfloat16 or float16 where the
  study trains in these. The last is ``outputs[-1]``.
- batch: a :class:`kpcore.training.step.StepBatch`, on the device: images, points and states, and the study's codec.
- network: the :class:`kpcore.network.Network` that is trained, in training mode; ``network.layout.heads[i]`` says which
  keypoints ``outputs[i]`` has.
- teacher: the Network of the first of the strategy's ``needs`` as it was trained, in evaluation mode, without
  gradients, on the device; ``teacher(batch.images)`` are its predictions, one a stage, computed in float32 unless under
  ``torch.autocast``. None where the plan's ``teacher`` is false.

Keypoints of two networks meet by name: ``head.places(names)`` are the places of names in a head's set, and
``batch.codec.channel_slice(place)`` the channels of a place.
"""


@dataclass(frozen=True)
class Thaw:
    """When frozen units begin to train; make one by its epoch, or by :meth:`after`.

    Args:
        epoch: from the start of this epoch on, counted from 0.
        units: names of units that the plan froze.
        share: share of ``training.epochs``, in [0, 1]; the epoch is then the first by which it is over, filled in by
            the core.
    """

    epoch: int
    units: tuple[str, ...]
    share: float | None = None

    @classmethod
    def after(cls, share: float, units: tuple[str, ...]) -> Thaw:
        """Return a thaw after that share of the schedule, in [0, 1]."""
        return cls(0, units, share)

    def at(self, epochs: int) -> Thaw:
        """Return it for a training of that many epochs at most."""
        # What is left of a product such as 0.1 * 30 must not cost an epoch.
        return self if self.share is None else Thaw(math.ceil(self.share * epochs - 1e-9), self.units)


@dataclass(frozen=True)
class TransferPlan:
    """What a strategy decides; the core executes it.

    Args:
        origins: for every tensor of the target, once, where it comes from.
        frozen: units that do not train (until thawed).
        supervision: for every stage the keypoint set whose loss it takes, or None.
        dropped: source tensors left behind, as (source, tensor).
        frozen_norm: BatchNorm of frozen units: ``eval`` keeps its statistics, ``train`` lets them move (and the result
            says so).
        learning_rates: unit -> factor on the learning rate; 1 where absent.
        thaws: when frozen units begin to train.
        extra_loss: an additional loss, see ``ExtraLoss``; a function or a frozen dataclass with ``__call__``.
        teacher: whether the extra loss needs the source network, which is then kept beside the target, frozen.
    """

    origins: Mapping[str, Origin]
    supervision: tuple[KeypointSet | None, ...]
    frozen: frozenset[str] = frozenset()
    dropped: tuple[tuple[int, str], ...] = ()
    frozen_norm: Literal["eval", "train"] = "eval"
    learning_rates: Mapping[str, float] = field(default_factory=dict)
    thaws: tuple[Thaw, ...] = ()
    extra_loss: ExtraLoss | None = None
    teacher: bool = False

    @property
    def always_frozen(self) -> frozenset[str]:
        """Units that never train: frozen, and never thawed."""
        return self.frozen - {unit for thaw in self.thaws for unit in thaw.units}

    def scheduled(self, epochs: int) -> TransferPlan:
        """Return the plan for a training of at most that many epochs: every thaw has its epoch."""
        return replace(self, thaws=tuple(thaw.at(epochs) for thaw in self.thaws))

    def verify(self, target: NetworkSpec, sources: tuple[NetworkSpec, ...]) -> None:
        """Check that the plan names every tensor of the target once, fits its sources, and loses nothing unsaid.

        Raises:
            KpError: naming the first tensor, unit or stage that does not hold.
        """
        self._verify_coverage(target)
        self._verify_units(target)
        taken: set[tuple[int, str]] = set()
        for name, origin in self.origins.items():
            if origin.kind in ("loaded", "sliced"):
                self._verify_source(name, target.tensors[name], origin, sources)
                taken.add((origin.source, origin.tensor))
            elif origin.kind == "pretrained" and name not in target.pretrained:
                raise KpError(
                    f"transfer plan: '{name}' is to come from a pretrained file, but the backbone brings none"
                )
        self._verify_dropped(taken, sources)

    def _verify_coverage(self, target: NetworkSpec) -> None:
        missing = [name for name in target.tensors if name not in self.origins]
        if missing:
            raise KpError(
                f"transfer plan: no origin for tensor '{missing[0]}' ({len(missing)} such); name every tensor"
            )
        for name in self.origins:
            if name not in target.tensors:
                near = nearest(name, target.tensors)
                raise KpError(
                    f"transfer plan: the target has no tensor '{name}'" + (f"; nearest: '{near}'" if near else "")
                )

    def _verify_units(self, target: NetworkSpec) -> None:
        named = [*self.frozen, *self.learning_rates, *(unit for thaw in self.thaws for unit in thaw.units)]
        for unit in named:
            if unit not in target.units:
                raise KpError(f"transfer plan: no unit '{unit}'; the network has {', '.join(target.units)}")
        for thaw in self.thaws:
            if thaw.share is not None and not 0 <= thaw.share <= 1:
                raise KpError(f"transfer plan: {', '.join(thaw.units)} thaw after a share of {thaw.share}; give 0 to 1")
        if len(self.supervision) != target.stages:
            raise KpError(
                f"transfer plan: {len(self.supervision)} supervised stages named, the network has {target.stages}"
            )
        if not any(self.supervision):
            raise KpError("transfer plan: no stage is supervised; name at least one")
        for stage, wanted in enumerate(self.supervision):
            head = target.layout.heads[stage]
            if wanted is not None and not set(wanted.names) <= set(head.names):
                raise KpError(
                    f"transfer plan: stage{stage} is supervised on {', '.join(wanted.names)}, but its head predicts"
                    f" {', '.join(head.names)}"
                )

    @staticmethod
    def _verify_source(name: str, spec: TensorSpec, origin: Origin, sources: tuple[NetworkSpec, ...]) -> None:
        if origin.source >= len(sources):
            raise KpError(f"transfer plan: '{name}' comes from source {origin.source}, but there are {len(sources)}")
        source = sources[origin.source].tensors.get(origin.tensor)
        if source is None:
            raise KpError(f"transfer plan: '{name}' comes from '{origin.tensor}', which the source does not have")
        if origin.kind == "loaded":
            if source.shape != spec.shape:
                raise KpError(
                    f"transfer plan: '{name}' is {spec.shape}, its source '{origin.tensor}' is {source.shape}"
                )
            return
        here, there = spec.keypoint_axis, source.keypoint_axis
        if here is None or there is None or (here.axis, here.width) != (there.axis, there.width):
            raise KpError(f"transfer plan: '{name}' cannot be sliced by keypoint from '{origin.tensor}'")
        if tuple(s for a, s in enumerate(spec.shape) if a != here.axis) != tuple(
            s for a, s in enumerate(source.shape) if a != there.axis
        ):
            raise KpError(f"transfer plan: '{name}' is {spec.shape}, its source '{origin.tensor}' is {source.shape}")
        for keypoint in origin.keypoints:
            if keypoint not in here.keypoints or keypoint not in there.keypoints:
                raise KpError(f"transfer plan: '{name}' is sliced by '{keypoint}', which is not in both networks")
        for keypoint, others in origin.stand_ins:
            if keypoint not in here.keypoints or keypoint in origin.keypoints:
                raise KpError(f"transfer plan: '{name}' has stand-ins for '{keypoint}', which it copies or has not")
            if not others or not set(others) <= set(there.keypoints):
                raise KpError(
                    f"transfer plan: '{name}' takes {', '.join(others) or 'nothing'} for '{keypoint}'; its source"
                    f" '{origin.tensor}' has {', '.join(there.keypoints)}"
                )

    def _verify_dropped(self, taken: set[tuple[int, str]], sources: tuple[NetworkSpec, ...]) -> None:
        everything = {(index, name) for index, spec in enumerate(sources) for name in spec.tensors}
        unsaid = sorted(everything - taken - set(self.dropped))
        if unsaid:
            raise KpError(
                f"transfer plan: source tensor '{unsaid[0][1]}' is neither used nor dropped ({len(unsaid)} such)"
            )
        false = sorted(set(self.dropped) & taken) or sorted(set(self.dropped) - everything)
        if false:
            raise KpError(f"transfer plan: '{false[0][1]}' is said to be dropped, but it is used or does not exist")


def fresh_origins(target: NetworkSpec) -> dict[str, Origin]:
    """Origins of a network that starts anew: the backbone's file where it brings one, new elsewhere."""
    return {name: Origin("pretrained") if name in target.pretrained else NEW for name in target.tensors}
